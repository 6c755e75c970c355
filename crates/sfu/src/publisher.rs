//! The publisher's side of a peer: packets in order, stamped with the time of their capture.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::{Timescale, Timestamp, WallTime};
use str0m::Rtc;
use str0m::media::{KeyframeRequestKind, Mid, Rid, SenderFeedback};
use str0m::rtp::RtpPacket as Received;

use crate::config::Clock;
use crate::event::Event;
use crate::ids::PeerId;
use crate::packet::{RtpPacket, Source};
use crate::reorder::Reorder;

/// A sender report that comes later than this after it was written tells of a clock that is behind, not of a long way.
const LATE: Duration = Duration::from_millis(500);
/// So many reports tell how late they are at the least: networks hold some of them up.
const REPORTS: usize = 8;

/// Layers and sound; an offer with more rids was refused.
const MAX_SOURCES: usize = 9;

#[derive(Debug)]
struct Lane {
    source: Source,
    reorder: Reorder<RtpPacket>,
    /// Packets of padding alone, sent to probe. They are left out, and their numbers with them, or each
    /// would look like a loss.
    left_out: u64,
}

#[derive(Debug)]
pub(crate) struct Publisher {
    video: Option<Mid>,
    audio: Option<Mid>,
    lanes: HashMap<(Mid, Option<Rid>), Lane>,
    /// How far the publisher's clock runs ahead of ours. Capture times in our future are of no use to
    /// sender reports, so all of this peer's are moved back alike, which keeps sound and picture together.
    ahead: Duration,
    /// How long ago the last few reports were written when they came.
    lateness: VecDeque<Duration>,
    wait: Duration,
}

impl Publisher {
    pub fn new(video: Option<Mid>, audio: Option<Mid>, wait: Duration) -> Self {
        Self { video, audio, lanes: HashMap::new(), ahead: Duration::ZERO, lateness: VecDeque::new(), wait }
    }

    /// A packet as it arrived; what is in order now goes to `out`.
    pub fn receive(&mut self, id: PeerId, rtc: &mut Rtc, received: Received, out: &mut impl FnMut(Event)) {
        let ssrc = received.header.ssrc;
        let Some(stream) = rtc.direct_api().stream_rx(&ssrc).map(|s| (s.mid(), s.rid())) else { return };
        let source = if Some(stream.0) == self.video {
            Source::Video(stream.1.map(|rid| Arc::from(&*rid)))
        } else if Some(stream.0) == self.audio {
            Source::Audio
        } else {
            return;
        };
        if self.lanes.len() >= MAX_SOURCES && !self.lanes.contains_key(&stream) {
            return;
        }
        let arrived = received.timestamp;
        let packet = RtpPacket {
            seq: *received.seq_no,
            timestamp: received.header.timestamp,
            marker: received.header.marker,
            captured: self.captured(&received, &source),
            payload: received.payload,
        };
        let wait = self.wait;
        let lane = self.lanes.entry(stream).or_insert_with(|| Lane {
            source,
            reorder: Reorder::new(wait),
            left_out: 0,
        });
        lane.reorder.push(arrived, packet.seq, packet);
        lane.flush(id, arrived, out);
    }

    /// A sender report that just came.
    pub fn note_report(&mut self, report: &SenderFeedback, clock: Clock) {
        let ours = clock.wall_of(report.received_at).to_system();
        let ahead = report.sender_info.ntp_time.duration_since(ours).unwrap_or_default();
        self.ahead = self.ahead.max(ahead);
        if self.lateness.len() == REPORTS {
            self.lateness.pop_front();
        }
        self.lateness.push_back(ours.duration_since(report.sender_info.ntp_time).unwrap_or_default());
    }

    /// How far the publisher's clock is behind ours: media would lie before its broadcast began. What is within a
    /// network's delay is taken for that.
    fn behind(&self) -> Duration {
        self.lateness.iter().min().copied().filter(|least| *least > LATE).unwrap_or_default()
    }

    /// Gives up on packets that were waited for long enough.
    pub fn flush(&mut self, id: PeerId, now: Instant, out: &mut impl FnMut(Event)) {
        for lane in self.lanes.values_mut() {
            lane.flush(id, now, out);
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.lanes.values().filter_map(|lane| lane.reorder.deadline()).min()
    }

    /// The capture time by the latest sender report of the packet's source (RFC 3550 §6.4.1).
    fn captured(&self, received: &Received, source: &Source) -> Option<WallTime> {
        let report = received.last_sender_info?;
        let reported = WallTime::from_system(report.ntp_time);
        let scale = if *source == Source::Audio { Timescale::AUDIO } else { Timescale::VIDEO };
        let ticks = received.header.timestamp.wrapping_sub(report.rtp_time.numer() as u32) as i32;
        let span = Timestamp::new(i64::from(ticks), scale);
        let moved = |by| Timestamp::from_duration(by, Timescale::NANOS);
        Some(reported.plus(span.plus(moved(self.behind())).minus(moved(self.ahead))))
    }

    /// Asks for a key frame of the layer (`None` for a publisher without simulcast) by PLI.
    pub fn request_keyframe(&self, rtc: &mut Rtc, rid: Option<&str>) {
        let Some(mid) = self.video else { return };
        if let Some(stream) = rtc.direct_api().stream_rx_by_mid(mid, rid.map(Rid::from)) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
    }
}

impl Lane {
    fn flush(&mut self, peer: PeerId, now: Instant, out: &mut impl FnMut(Event)) {
        while let Some((lost, mut packet)) = self.reorder.pop(now) {
            if packet.payload.is_empty() {
                self.left_out += 1;
                continue;
            }
            packet.seq -= self.left_out;
            out(Event::PublisherMedia { peer, source: self.source.clone(), packet, lost });
        }
    }
}
