//! Packets of whatever time, order and content are cut to segments and recorded; what was recorded is
//! finalised, and nothing that is kept grows with them.

use std::io::Cursor;

use arbitrary::Arbitrary;
use bytes::Bytes;
use media::{
    AudioTrack, Codec, FrameRate, Packet, RenditionName, Size, Timescale, Timestamp, VideoTrack, WallTime,
};
use mux::fmp4::{FragmentedWriter, TrackConfig, Tracks, finalise};
use mux::h264::AvcConfig;
use mux::hls::{Origin, OriginConfig, ReloadRequest, TrackName};

use crate::decoded;

/// As x264 writes it for 320×180, Constrained Baseline.
const AVCC: &[u8] = &[
    1, 66, 192, 13, 255, 225, 0, 23, 103, 66, 192, 13, 218, 5, 6, 126, 124, 4, 64, 0, 0, 3, 0, 64, 0, 0, 15,
    3, 197, 10, 168, 1, 0, 4, 104, 206, 60, 128,
];
/// More than retention (30 s) holds at the fastest rate that a part may have here.
const PLAYLIST_MAX: usize = 1 << 20;

#[derive(Arbitrary, Debug)]
struct Step {
    what: What,
    dts_step: i32,
    pts_offset: i16,
    duration: u32,
}

#[derive(Arbitrary, Debug)]
enum What {
    Video {
        low: bool,
        key: bool,
        payload: Vec<u8>,
    },
    Sound {
        payload: Vec<u8>,
    },
    /// Publishers may restart their clocks anywhere.
    Jump {
        to: i64,
    },
    Discontinuity,
}

pub fn run(data: &[u8]) {
    let Some((opus, steps)) = decoded::<(bool, Vec<Step>)>(data) else { return };
    let config = OriginConfig::live("x".into(), WallTime::from_unix_micros(1_700_000_000_000_000));
    let mut origin = Origin::new(config);
    let avc = AvcConfig::parse(AVCC).expect("x264 wrote it");
    for rendition in [RenditionName::Low, RenditionName::High] {
        let (size, frame_rate) = (Size::new(320, 180), FrameRate::FPS_30);
        let track = VideoTrack { codec: Codec::H264, rendition, size, frame_rate, bitrate_kbps: 500 };
        origin.set_video(track, avc.clone()).expect("its SPS can be read");
    }
    let (codec, asc) = if opus { (Codec::Opus, &[][..]) } else { (Codec::Aac, &[0x11, 0x90][..]) };
    let config = Bytes::from_static(asc);
    let track = AudioTrack { codec, rate: 48_000, channels: 2, bitrate_kbps: 128, config: config.clone() };
    origin.set_audio(track).expect("it is AAC-LC or Opus");
    let tracks = Tracks {
        video: Some(TrackConfig::h264(avc).expect("its SPS can be read")),
        audio: Some(TrackConfig::aac(config).unwrap_or(TrackConfig::Opus(mux::opus::OpusHead::new(2)))),
    };
    let mut recording = FragmentedWriter::new(Cursor::new(Vec::new()), tracks).expect("memory takes it");
    let (mut video_ticks, mut sound_ticks) = (0i64, 0i64);
    for step in steps {
        let packet = |ticks: &mut i64, timescale, key, payload: Vec<u8>| {
            *ticks = ticks.saturating_add(step.dts_step.into());
            let dts = Timestamp::new(*ticks, timescale);
            let pts = Timestamp::new(ticks.saturating_add(step.pts_offset.into()), timescale);
            Packet { pts, dts, duration_ticks: step.duration, key, payload: payload.into() }
        };
        match step.what {
            What::Video { low, key, payload } => {
                let packet = packet(&mut video_ticks, Timescale::VIDEO, key, payload);
                let name = if low { RenditionName::Low } else { RenditionName::High };
                origin.push(TrackName::Video(name), &packet);
                if !low {
                    recording.write_video(&packet).expect("memory takes it");
                }
            }
            What::Sound { payload } => {
                let packet = packet(&mut sound_ticks, Timescale::AUDIO, true, payload);
                origin.push(TrackName::Audio, &packet);
                recording.write_audio(&packet).expect("memory takes it");
            }
            What::Jump { to } => (video_ticks, sound_ticks) = (to, to / 2),
            What::Discontinuity => drop(origin.discontinuity()),
        }
        let request = ReloadRequest::parse("").expect("an empty query asks for what is there");
        for name in [TrackName::Audio, TrackName::Video(RenditionName::High)] {
            if let Some(mux::hls::Answer::Ready(text)) = origin.playlist(name, &request) {
                assert!(text.len() <= PLAYLIST_MAX);
            }
        }
        let _ = origin.master("x/");
    }
    origin.finish();
    let recorded = recording.finish().expect("memory takes it");
    let _ = finalise(recorded, &mut Vec::new());
}
