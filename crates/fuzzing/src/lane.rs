//! A WebRTC publisher's packets are put together to whole ones, and whole ones split again, whatever their
//! numbers, times and payloads.
#![allow(dead_code, reason = "the node uses the rest")]

#[rustfmt::skip]
#[path = "../../node/src/stream/lane.rs"]
mod node_lane;
#[rustfmt::skip]
#[path = "../../node/src/stream/timeline.rs"]
mod timeline;

use std::time::Instant;

use arbitrary::Arbitrary;
use media::{StudioEpoch, WallTime};

use crate::decoded;

#[derive(Arbitrary, Debug)]
struct Piece {
    seq_step: u8,
    timestamp: u32,
    marker: bool,
    captured_micros: Option<u64>,
    payload: Vec<u8>,
}

pub fn run(data: &[u8]) {
    let Some(pieces) = decoded::<Vec<Piece>>(data) else { return };
    let epoch = StudioEpoch::new(Instant::now(), WallTime::from_unix_micros(1_700_000_000_000_000));
    let (mut video, mut sound) = (node_lane::Assembler::video(), node_lane::Assembler::audio());
    let (mut split_video, mut split_sound) = (node_lane::Splitter::video(), node_lane::Splitter::audio());
    let mut seq = 0;
    for piece in pieces {
        seq += u64::from(piece.seq_step);
        let rtp = sfu::RtpPacket {
            seq,
            timestamp: piece.timestamp,
            marker: piece.marker,
            payload: piece.payload.into(),
            captured: piece.captured_micros.map(WallTime::from_unix_micros),
        };
        for packet in video.push(&rtp, epoch) {
            let _ = mux::h264::parameter_sets(&packet.payload);
            split_video.push(&packet, epoch.wall_of(packet.pts));
        }
        for packet in sound.push(&rtp, epoch) {
            assert_eq!(split_sound.push(&packet, epoch.wall_of(packet.pts)).len(), 1);
        }
        let _ = video.wants_key();
    }
}
