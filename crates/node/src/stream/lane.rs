//! The two forms of a lane: RTP as WebRTC carries it, and whole packets as everything else takes them.

use std::sync::Arc;

use bytes::Bytes;
use media::{Packet, StudioEpoch, Timescale, Timestamp};
use mux::rtp::{H264Depacketizer, H264Packetizer};

use super::timeline::RtpTimeline;

/// RTP payload bytes that fit every path once headers, SRTP and IPv6 are added (1 200 is what browsers
/// use for the whole packet).
const RTP_PAYLOAD_MAX: usize = 1_140;

/// Puts a WebRTC publisher's packets together to whole ones.
pub enum Assembler {
    Video { timeline: RtpTimeline, depacketizer: H264Depacketizer, broken: bool },
    Audio { timeline: RtpTimeline },
}

impl Assembler {
    pub fn video() -> Self {
        let timeline = RtpTimeline::new(Timescale::VIDEO);
        // Nothing can be decoded before the first key frame.
        Self::Video { timeline, depacketizer: H264Depacketizer::new(), broken: true }
    }

    pub fn audio() -> Self {
        Self::Audio { timeline: RtpTimeline::new(Timescale::AUDIO) }
    }

    /// The packets that this one completes. Pictures after a loss are held back until the next key frame:
    /// what refers to something missing would be shown wrong.
    pub fn push(&mut self, rtp: &sfu::RtpPacket, epoch: StudioEpoch) -> Vec<Packet> {
        match self {
            Self::Audio { timeline } => {
                let Some(pts) = timeline.place(rtp.timestamp, rtp.captured, epoch) else { return Vec::new() };
                let payload = Bytes::from_owner(Arc::clone(&rtp.payload));
                let duration_ticks = mux::opus::packet_samples(&payload).unwrap_or(960);
                vec![Packet { pts, dts: pts, duration_ticks, key: true, payload }]
            }
            Self::Video { timeline, depacketizer, broken } => {
                let units = depacketizer.push(rtp.seq, rtp.timestamp, rtp.marker, &rtp.payload);
                let mut whole = Vec::new();
                for unit in units {
                    let pts = timeline.place(unit.timestamp, rtp.captured, epoch);
                    if unit.damage.is_some() || unit.lost_before > 0 {
                        *broken = true;
                    }
                    if unit.key && unit.damage.is_none() {
                        *broken = false;
                    }
                    if let (false, Some(pts)) = (*broken, pts) {
                        whole.push(Packet {
                            pts,
                            dts: pts,
                            duration_ticks: 0,
                            key: unit.key,
                            payload: unit.annex_b,
                        });
                    }
                }
                whole
            }
        }
    }
}

/// Splits whole packets into RTP, for lanes that did not come by WebRTC.
pub struct Splitter {
    timescale: Timescale,
    packetizer: Option<H264Packetizer>,
    seq: u64,
}

impl Splitter {
    pub fn video() -> Self {
        let packetizer = Some(H264Packetizer::new(RTP_PAYLOAD_MAX));
        Self { timescale: Timescale::VIDEO, packetizer, seq: 0 }
    }

    pub fn audio() -> Self {
        Self { timescale: Timescale::AUDIO, packetizer: None, seq: 0 }
    }

    pub fn push(&mut self, packet: &Packet, epoch: StudioEpoch) -> Vec<sfu::RtpPacket> {
        let timestamp = wrapped(packet.pts, self.timescale);
        let captured = Some(epoch.wall_of(packet.pts));
        let mut next = |payload: &[u8], marker| {
            self.seq += 1;
            sfu::RtpPacket { seq: self.seq, timestamp, marker, payload: Arc::from(payload), captured }
        };
        match &self.packetizer {
            Some(packetizer) => packetizer
                .packetize(&packet.payload)
                .into_iter()
                .map(|payload| next(&payload.bytes, payload.marker))
                .collect(),
            None => vec![next(&packet.payload, true)],
        }
    }
}

/// A media time as 32 bits of an RTP clock.
fn wrapped(time: Timestamp, timescale: Timescale) -> u32 {
    time.rescale(timescale).ticks() as u32
}
