//! Encoded bytes come from strangers: whatever they are, decoders answer with an error and go on.

use std::sync::LazyLock;

use media::{AudioBlock, AudioTrack, Codec, FrameRate, Packet, RenditionName, Size, Timescale, Timestamp};
use proptest::prelude::*;
use tickcast_codec::{
    AudioDecoder, AudioEncoder, AudioEncoderConfig, EncoderChoice, KeyRequest, VideoDecoder,
    VideoDecoderConfig, VideoEncoder, VideoEncoderConfig,
};

use crate::pattern::{luma, moving, psnr};

const SIZE: Size = Size::new(160, 96);

/// Thirty pictures with key frames at 0, 10 and 20.
static VIDEO: LazyLock<Vec<Packet>> = LazyLock::new(|| {
    let mut encoder = VideoEncoder::open(&VideoEncoderConfig {
        choice: EncoderChoice::x264(),
        ..VideoEncoderConfig::new(RenditionName::VeryLow, SIZE, FrameRate::FPS_30, 400)
    })
    .unwrap();
    (0..30)
        .flat_map(|index| {
            let key = if index % 10 == 0 { KeyRequest::Yes } else { KeyRequest::No };
            encoder.encode(&moving(SIZE, index, 0), key).unwrap()
        })
        .collect()
});

fn sound(codec: Codec) -> (AudioTrack, Vec<Packet>) {
    let mut encoder = AudioEncoder::open(AudioEncoderConfig::new(codec, 64)).unwrap();
    let block = AudioBlock {
        rate: 48_000,
        channels: 2,
        samples: (0..48_000).map(|n| (n as f32 * 0.03).sin() * 0.3).collect(),
        timestamp: Timestamp::zero(Timescale::AUDIO),
    };
    let packets = encoder.encode(&block).unwrap();
    (encoder.track(), packets)
}

static AAC: LazyLock<(AudioTrack, Vec<Packet>)> = LazyLock::new(|| sound(Codec::Aac));
static OPUS: LazyLock<(AudioTrack, Vec<Packet>)> = LazyLock::new(|| sound(Codec::Opus));

fn with_payload(packet: &Packet, payload: Vec<u8>) -> Packet {
    Packet { payload: payload.into(), ..packet.clone() }
}

#[test]
fn after_damage_nothing_is_shown_until_the_next_key_frame_and_then_all_is_well() {
    let mut decoder = VideoDecoder::open(VideoDecoderConfig::default()).unwrap();
    let mut shown = Vec::new();
    for (index, packet) in VIDEO.iter().enumerate() {
        if index == 4 {
            // Half of the slice is cut off.
            let cut = packet.payload[..packet.payload.len() / 2].to_vec();
            let err = decoder.decode(&with_payload(packet, cut)).unwrap_err();
            assert_eq!(err.code(), "codec_damaged");
            assert!(decoder.wants_key());
            continue;
        }
        for picture in decoder.decode(packet).unwrap() {
            let index = picture.timestamp().ticks() / 3000;
            let wanted = moving(SIZE, index as u64, 0);
            assert!(psnr(&luma(&wanted), &luma(&picture)) > 28.0, "picture {index}");
            shown.push(index);
        }
    }
    assert_eq!(shown, (0..4).chain(10..30).collect::<Vec<_>>());
    let counts = decoder.counts();
    assert_eq!((counts.pictures, counts.damaged, counts.skipped), (24, 1, 5));
}

#[test]
fn a_decoder_that_joins_in_the_middle_begins_with_a_key_frame() {
    let mut decoder = VideoDecoder::open(VideoDecoderConfig::default()).unwrap();
    let shown: Vec<_> = VIDEO[5..15]
        .iter()
        .flat_map(|packet| decoder.decode(packet).unwrap())
        .map(|picture| picture.timestamp().ticks() / 3000)
        .collect();
    assert_eq!(shown, [10, 11, 12, 13, 14]);
}

#[test]
fn a_stream_larger_than_allowed_is_refused() {
    let config = VideoDecoderConfig { max_size: Size::new(128, 96), ..Default::default() };
    let mut decoder = VideoDecoder::open(config).unwrap();
    assert!(decoder.decode(&VIDEO[0]).is_err());
    assert_eq!(decoder.counts().pictures, 0);
}

#[test]
fn an_empty_packet_is_damage_and_not_the_end() {
    let mut decoder = VideoDecoder::open(VideoDecoderConfig::default()).unwrap();
    let err = decoder.decode(&with_payload(&VIDEO[0], vec![])).unwrap_err();
    assert!(err.to_string().contains("empty"), "{err}");
    assert_eq!(decoder.decode(&VIDEO[0]).unwrap().len(), 1);
    for (track, packets) in [&*AAC, &*OPUS] {
        let mut decoder = AudioDecoder::open(track).unwrap();
        let err = decoder.decode(&with_payload(&packets[0], vec![])).unwrap_err();
        assert!(err.to_string().contains("empty"), "{err}");
        assert!(decoder.decode(&packets[0]).is_ok());
    }
}

#[test]
fn what_a_damaged_parameter_set_asks_for_ends_with_the_next_whole_one() {
    let mut decoder = VideoDecoder::open(VideoDecoderConfig::default()).unwrap();
    // A bit of the SPS, found by mutation: pictures are held back from there on.
    let broken = mutate(&VIDEO[10].payload, &[(0.005_111_719_689_522_744, 30)], 0.830_309_050_450_442_4);
    for (index, packet) in VIDEO.iter().enumerate() {
        if index == 10 {
            let _ = decoder.decode(&with_payload(packet, broken.clone()));
            continue;
        }
        let shown = decoder.decode(packet);
        if index >= 20 {
            let stamps: Vec<_> =
                shown.unwrap().iter().map(|picture| picture.timestamp().ticks() / 3000).collect();
            assert_eq!(stamps, [index as i64]);
        }
    }
}

#[test]
fn a_damaged_sound_configuration_is_refused_when_opened() {
    let mut track = AAC.0.clone();
    // Object type 31 escapes to one that does not exist.
    track.config = vec![0xff; 8].into();
    assert!(AudioDecoder::open(&track).is_err());
    track.config = AAC.0.config.clone();
    track.channels = 9;
    assert_eq!(AudioDecoder::open(&track).unwrap_err().code(), "codec_wrong_sound");
}

/// Byte positions (as shares of the payload) and what is XORed into them.
fn flips() -> impl Strategy<Value = Vec<(f64, u8)>> {
    prop::collection::vec((0.0..1.0f64, 1u8..), 1..12)
}

fn mutate(payload: &[u8], flips: &[(f64, u8)], keep: f64) -> Vec<u8> {
    let mut bytes = payload[..(payload.len() as f64 * keep).ceil() as usize].to_vec();
    for &(place, mask) in flips {
        let index = (place * bytes.len() as f64) as usize;
        if let Some(byte) = bytes.get_mut(index) {
            *byte ^= mask;
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_mutated_picture_never_panics_and_the_stream_recovers(
        victim in 0usize..19, flips in flips(), keep in 0.3..=1.0f64,
    ) {
        let mut decoder = VideoDecoder::open(VideoDecoderConfig::default()).unwrap();
        for (index, packet) in VIDEO.iter().enumerate() {
            let broken = with_payload(packet, mutate(&packet.payload, &flips, keep));
            let result = decoder.decode(if index == victim { &broken } else { packet });
            if index >= 20 {
                // From the first whole key frame after it on, every picture is there again.
                prop_assert_eq!(result.unwrap().len(), 1, "picture {}", index);
            }
        }
    }

    #[test]
    fn bytes_without_sense_never_panic(payload in prop::collection::vec(any::<u8>(), 0..600), key: bool) {
        let packet = Packet { key, ..with_payload(&VIDEO[0], payload.clone()) };
        let _ = VideoDecoder::open(VideoDecoderConfig::default()).unwrap().decode(&packet);
        let mut marked = vec![0, 0, 1, 0x65];
        marked.extend(payload);
        let _ = VideoDecoder::open(VideoDecoderConfig::default()).unwrap().decode(&with_payload(&VIDEO[0], marked));
    }

    #[test]
    fn mutated_sound_never_panics_and_the_next_packets_decode(
        opus: bool, victim in 0usize..10, flips in flips(), keep in 0.1..=1.0f64,
    ) {
        let (track, packets) = if opus { &*OPUS } else { &*AAC };
        let mut decoder = AudioDecoder::open(track).unwrap();
        for (index, packet) in packets.iter().enumerate() {
            let broken = with_payload(packet, mutate(&packet.payload, &flips, keep));
            let result = decoder.decode(if index == victim { &broken } else { packet });
            if let Ok(blocks) = &result {
                // At most 120 ms (RFC 6716 §3.2.1) in the channels that the track allows.
                prop_assert!(blocks.iter().all(|block| block.samples.len() <= 5760 * 8));
            }
            if index > victim + 1 {
                prop_assert!(result.is_ok());
            }
        }
    }

    #[test]
    fn a_mutated_sound_configuration_never_panics(config in prop::collection::vec(any::<u8>(), 0..40), opus: bool) {
        let (track, packets) = if opus { &*OPUS } else { &*AAC };
        let track = AudioTrack { config: config.into(), ..track.clone() };
        if let Ok(mut decoder) = AudioDecoder::open(&track) {
            for packet in &packets[..3] {
                let _ = decoder.decode(packet);
            }
        }
    }
}

#[test]
fn a_packet_that_tells_of_other_channels_spoils_none_after_the_next() {
    let (track, packets) = &*AAC;
    let mut decoder = AudioDecoder::open(track).unwrap();
    let mut foreign = packets[0].payload.to_vec();
    // Its first three bits name the element: a channel pair becomes something else.
    foreign[0] ^= 0b0110_0000;
    let _ = decoder.decode(&with_payload(&packets[0], foreign));
    let _ = decoder.decode(&packets[1]);
    for packet in &packets[2..] {
        decoder.decode(packet).unwrap();
    }
}
