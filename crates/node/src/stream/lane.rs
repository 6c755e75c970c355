//! The two forms of a lane: RTP as WebRTC carries it, and whole packets as everything else takes them.

use std::sync::Arc;

use bytes::Bytes;
use media::{Packet, StudioEpoch, Timescale, Timestamp, WallTime};
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

    /// Whether pictures wait for a key frame that could be placed in time. A publisher that makes key frames
    /// only when it is asked, as browsers do, would never send it by itself.
    pub fn wants_key(&self) -> bool {
        matches!(self, Self::Video { timeline, broken: true, .. } if timeline.is_tied())
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
                    // A key frame before the first sender report has no place in time, so it cannot be the start.
                    if unit.key && unit.damage.is_none() && pts.is_some() {
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

/// How far a publisher's times are ahead of their arrival. They begin at the arrival of its first packet, and that one is
/// late where the connection was still being made: all others would be captured after they came, and what says so to
/// players, each line for itself, could say no more than when it came.
#[derive(Clone, Copy, Debug)]
pub struct Lead(Timestamp);

impl Default for Lead {
    fn default() -> Self {
        Self(Timestamp::new(0, Timescale::MILLIS))
    }
}

impl Lead {
    /// A packet of the publisher's own came.
    pub fn note(&mut self, pts: Timestamp, arrived: Timestamp) {
        self.0 = self.0.max(pts.minus(arrived));
    }

    pub fn captured(self, pts: Timestamp, epoch: StudioEpoch) -> WallTime {
        epoch.wall_of(pts.minus(self.0))
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

    pub fn push(&mut self, packet: &Packet, captured: WallTime) -> Vec<sfu::RtpPacket> {
        let timestamp = wrapped(packet.pts, self.timescale);
        let captured = Some(captured);
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn nothing_is_captured_after_it_came_and_sound_and_pictures_keep_their_places() {
        let (epoch, mut lead) = (epoch(), Lead::default());
        let at = |millis| Timestamp::new(millis, Timescale::MILLIS);
        let captured = |lead: Lead, millis| lead.captured(at(millis), epoch).unix_micros();
        let begin = 1_000_000_000;
        // As its times say, while they are behind their arrival.
        lead.note(at(0), at(350));
        assert_eq!(captured(lead, 0), begin);
        // The first was late by 350 ms.
        lead.note(at(700), at(350));
        lead.note(at(900), at(560));
        assert_eq!(captured(lead, 700), begin + 350_000);
        assert_eq!(captured(lead, 900), begin + 550_000);
    }

    fn epoch() -> StudioEpoch {
        StudioEpoch::new(Instant::now(), WallTime::from_unix_micros(1_000_000_000))
    }

    /// A picture of one packet: an IDR with parameter sets in front (STAP-A), or one that refers to others.
    fn picture(seq: u64, key: bool, captured: Option<WallTime>) -> sfu::RtpPacket {
        let payload: &[u8] = match key {
            true => &[0x78, 0, 4, 0x67, 0x42, 0xc0, 0x1e, 0, 2, 0x68, 0xce, 0, 2, 0x65, 0x88],
            false => &[0x41, 0x9a, 0x00],
        };
        sfu::RtpPacket { seq, timestamp: seq as u32 * 3000, marker: true, payload: payload.into(), captured }
    }

    #[test]
    fn a_key_frame_that_came_before_the_first_sender_report_is_asked_for_again() {
        let mut lane = Assembler::video();
        assert!(lane.push(&picture(0, true, None), epoch()).is_empty());
        assert!(!lane.wants_key(), "before a report a key frame would be lost too");
        let captured = Some(WallTime::from_unix_micros(1_000_033_000));
        assert!(
            lane.push(&picture(1, false, captured), epoch()).is_empty(),
            "nothing decodes without the key frame"
        );
        assert!(lane.wants_key());
        let started = lane.push(&picture(2, true, captured), epoch());
        assert!(started.iter().any(|packet| packet.key) && !lane.wants_key());
    }
}
