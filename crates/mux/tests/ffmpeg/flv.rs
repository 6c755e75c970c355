use bytes::Bytes;
use media::Timescale;
use tickcast_mux::flv::{AudioBody, AudioCodec, FlvWriter, Tag, TagKind, VideoBody};
use tickcast_mux::rtp::{H264Depacketizer, H264Packetizer};

use crate::source::{self, STUDIO, Source, WITH_B_FRAMES, complaints, probe};

fn write_flv(source: &Source) -> Vec<u8> {
    let mut writer = FlvWriter::new(Vec::new()).unwrap();
    let header = VideoBody::sequence_header(&source.avc).to_bytes();
    let sound = AudioBody::SequenceHeader { codec: AudioCodec::Aac, config: source.aac.clone() }.to_bytes();
    for (kind, body) in [(TagKind::Video, header), (TagKind::Audio, sound)] {
        writer.write(&Tag { kind, timestamp_ms: 0, body: body.into() }).unwrap();
    }
    for (kind, packet) in &source.packets {
        let body = match kind {
            TagKind::Video => VideoBody::frame(packet).to_bytes(),
            _ => AudioBody::Frame { codec: AudioCodec::Aac, frame: packet.payload.clone() }.to_bytes(),
        };
        let timestamp_ms = packet.dts.rescale(Timescale::MILLIS).ticks() as u32;
        writer.write(&Tag { kind: *kind, timestamp_ms, body: Bytes::from(body) }).unwrap();
    }
    writer.into_inner()
}

#[test]
fn ffmpeg_plays_every_frame_of_our_flv() {
    for recipe in [STUDIO, WITH_B_FRAMES] {
        let source = source::source(recipe);
        assert_eq!(source.count(TagKind::Video), 180);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ours.flv");
        std::fs::write(&path, write_flv(&source)).unwrap();
        let video = probe(&path, "v:0");
        assert_eq!((video.codec.as_str(), video.frames), ("h264", 180));
        assert_eq!(probe(&path, "a:0").frames, source.count(TagKind::Audio));
        assert_eq!(complaints(&path), "");
    }
}

#[test]
fn an_encoders_sps_says_what_was_asked_of_it() {
    let sps = source::source(STUDIO).avc.first_sps().unwrap();
    assert_eq!((sps.size.width, sps.size.height), (320, 180));
    assert!(sps.codec_string().starts_with("avc1.42c0"), "{}", sps.codec_string());
    let vui = sps.vui.unwrap();
    assert_eq!(vui.timing.unwrap().frame_rate().unwrap().to_string(), "30");
    assert_eq!(source::source(WITH_B_FRAMES).avc.first_sps().unwrap().profile_idc, 100);
}

#[test]
fn an_encoders_pictures_survive_rtp_byte_for_byte() {
    let source = source::source(STUDIO);
    let packetizer = H264Packetizer::new(1_200);
    let mut depacketizer = H264Depacketizer::new();
    let mut sequence = 0;
    for (index, (_, packet)) in source.packets.iter().filter(|(kind, _)| *kind == TagKind::Video).enumerate()
    {
        let mut got = Vec::new();
        for payload in packetizer.packetize(&packet.payload) {
            assert!(payload.bytes.len() <= 1_200);
            got.extend(depacketizer.push(sequence, index as u32 * 3000, payload.marker, &payload.bytes));
            sequence += 1;
        }
        assert_eq!(got.len(), 1);
        assert_eq!((&got[0].annex_b, got[0].key), (&packet.payload, packet.key));
    }
}
