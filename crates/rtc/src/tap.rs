//! Our place in the chain of interceptors, next to the wire: it stamps mid and rid on what goes out, writes
//! sender reports from the studio's clock, and hears what the other side reports.
//!
//! The library's own sender reports map the moment of sending; ours map the moment of capture, so that a
//! viewer can state its true delay.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use media::{StudioEpoch, Timescale, WallTime};
use rtc::interceptor::{Attribute, AttributedPacket, Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::sender_report::SenderReport;
use rtc::rtcp::source_description::{
    SdesType, SourceDescription, SourceDescriptionChunk, SourceDescriptionItem,
};
use rtc::sansio::Protocol;
use rtc::shared::TransportContext;
use rtc::shared::error::Error;
use tokio::sync::mpsc;

/// Between the pacer and the responder to NACKs: retransmissions pass here too.
pub(crate) const SLOT: usize = 3_500;

const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
const RID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
const REPAIRED_RID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";

/// Reports come this often at first, so that a viewer who joins early has lip sync at once…
const EARLY_INTERVAL: Duration = Duration::from_millis(200);
const EARLY_REPORTS: u32 = 5;
/// …and then this often.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// What was heard from the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    KeyframeRequest { ssrc: u32 },
    SenderReport { ssrc: u32, clock: SenderClock },
}

/// One pair of a sender report: the RTP timestamp that a wall time has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SenderClock {
    pub wall: WallTime,
    pub rtp: u32,
}

/// A stream that we send.
#[derive(Clone, Debug)]
pub(crate) struct SentStream {
    pub ssrc: u32,
    pub rtx_ssrc: Option<u32>,
    /// None where the m-line has a single stream.
    pub rid: Option<&'static str>,
    pub timescale: Timescale,
    /// The RTP timestamp at the studio's epoch.
    pub rtp_offset: u32,
    /// The m-line's identification, known once the offer is made.
    pub mid: Arc<OnceLock<String>>,
}

#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct SentCounts {
    pub packets: u64,
    pub bytes: u64,
    pub retransmitted: u64,
    /// Of the last interval, as the receiver reported it.
    pub loss: Option<f64>,
    pub rtt: Option<Duration>,
}

/// Counts by SSRC, shared with who reports them.
pub(crate) type SharedCounts = Arc<Mutex<HashMap<u32, SentCounts>>>;

struct Stream {
    sent: SentStream,
    extensions: Extensions,
    reports: u32,
    next_report: Option<Instant>,
}

#[derive(Default)]
struct Extensions {
    mid: Option<u8>,
    rid: Option<u8>,
    repaired_rid: Option<u8>,
}

pub(crate) struct Tap {
    epoch: StudioEpoch,
    cname: String,
    streams: Vec<Stream>,
    counts: SharedCounts,
    heard: mpsc::Sender<Heard>,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

impl Tap {
    /// `epoch` is what packets' timestamps count from; a player sends nothing and may give any.
    pub fn new(
        epoch: StudioEpoch,
        cname: String,
        streams: Vec<SentStream>,
        counts: SharedCounts,
        heard: mpsc::Sender<Heard>,
    ) -> Self {
        let streams = streams
            .into_iter()
            .map(|sent| Stream { sent, extensions: Extensions::default(), reports: 0, next_report: None })
            .collect();
        Self { epoch, cname, streams, counts, heard, reads: VecDeque::new(), writes: VecDeque::new() }
    }

    fn hear(&mut self, now: Instant, packets: &[Box<dyn rtc::rtcp::Packet>]) {
        for packet in packets {
            let packet = packet.as_any();
            if let Some(pli) = packet.downcast_ref::<PictureLossIndication>() {
                self.tell(Heard::KeyframeRequest { ssrc: pli.media_ssrc });
            } else if let Some(fir) = packet.downcast_ref::<FullIntraRequest>() {
                for entry in fir.fir.iter().take(self.streams.len()) {
                    self.tell(Heard::KeyframeRequest { ssrc: entry.ssrc });
                }
            } else if let Some(report) = packet.downcast_ref::<SenderReport>() {
                let clock = SenderClock { wall: WallTime::from_ntp(report.ntp_time), rtp: report.rtp_time };
                self.tell(Heard::SenderReport { ssrc: report.ssrc, clock });
                self.note_receptions(now, &report.reports);
            } else if let Some(report) = packet.downcast_ref::<ReceiverReport>() {
                self.note_receptions(now, &report.reports);
            }
        }
    }

    /// A full queue loses a request that its neighbour repeats, or a report that the next one replaces.
    fn tell(&self, heard: Heard) {
        let _ = self.heard.try_send(heard);
    }

    fn note_receptions(&self, now: Instant, reports: &[ReceptionReport]) {
        let now = self.epoch.wall_of(self.epoch.stamp(now, Timescale::NANOS)).to_ntp();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for report in reports {
            if let Some(counts) = counts.get_mut(&report.ssrc) {
                counts.loss = Some(f64::from(report.fraction_lost) / 256.0);
                counts.rtt = round_trip(now, report.last_sender_report, report.delay).or(counts.rtt);
            }
        }
    }

    /// Counts a packet and gives it its extensions.
    fn stamp(&mut self, msg: &mut TaggedPacket) {
        let retransmission = msg.message.has(&Attribute::Retransmission);
        let Packet::Rtp(packet) = &mut msg.message.packet else { return };
        let header = &mut packet.header;
        let Some(stream) = self
            .streams
            .iter_mut()
            .find(|s| s.sent.ssrc == header.ssrc || s.sent.rtx_ssrc == Some(header.ssrc))
        else {
            return;
        };
        let repair = stream.sent.rtx_ssrc == Some(header.ssrc);
        let rid_id = if repair { stream.extensions.repaired_rid } else { stream.extensions.rid };
        let values = [
            (stream.extensions.mid, stream.sent.mid.get().map(|mid| Bytes::copy_from_slice(mid.as_bytes()))),
            (rid_id, stream.sent.rid.map(|rid| Bytes::from_static(rid.as_bytes()))),
        ];
        for (id, value) in values {
            if let (Some(id), Some(value)) = (id, value) {
                // Refused only for an id or a length that no negotiated extension has.
                let _ = header.set_extension(id, value);
            }
        }
        if stream.next_report.is_none() {
            stream.next_report = Some(msg.now);
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = counts.entry(stream.sent.ssrc).or_default();
        counts.retransmitted += u64::from(retransmission);
        counts.packets += u64::from(!retransmission);
        counts.bytes += packet.payload.len() as u64;
    }

    /// RFC 3550 §6.4.1: the NTP and the RTP time of the same instant, here of `now`.
    fn report(&self, stream: &SentStream, now: Instant) -> AttributedPacket {
        let media = self.epoch.stamp(now, stream.timescale);
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = counts.get(&stream.ssrc).copied().unwrap_or_default();
        let report = SenderReport {
            ssrc: stream.ssrc,
            ntp_time: self.epoch.wall_of(media).to_ntp(),
            rtp_time: stream.rtp_offset.wrapping_add(media.ticks() as u32),
            packet_count: counts.packets as u32,
            octet_count: counts.bytes as u32,
            ..Default::default()
        };
        let name = SourceDescription {
            chunks: vec![SourceDescriptionChunk {
                source: stream.ssrc,
                items: vec![SourceDescriptionItem {
                    sdes_type: SdesType::SdesCname,
                    text: Bytes::from(self.cname.clone()),
                }],
            }],
        };
        AttributedPacket::new(Packet::Rtcp(vec![Box::new(report), Box::new(name)]))
    }
}

/// RFC 3550 §6.4.1: arrival less the time of the report it answers less what the receiver held it, all in
/// 1/65 536 s. `None` before the receiver saw a report, and for an answer that contradicts the clock.
fn round_trip(now_ntp: u64, last_report: u32, held: u32) -> Option<Duration> {
    if last_report == 0 {
        return None;
    }
    let now = (now_ntp >> 16) as u32;
    let ticks = now.wrapping_sub(last_report).wrapping_sub(held);
    // Ten seconds: a longer one is a clock that stepped, or a forged report.
    (ticks < 10 << 16).then(|| Duration::from_secs_f64(f64::from(ticks) / 65_536.0))
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Tap {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &msg.message.packet {
            self.hear(msg.now, packets);
        }
        self.reads.push_back(msg);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reads.pop_front()
    }

    fn handle_write(&mut self, mut msg: TaggedPacket) -> Result<(), Error> {
        self.stamp(&mut msg);
        self.writes.push_back(msg);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writes.pop_front()
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        for index in 0..self.streams.len() {
            let stream = &mut self.streams[index];
            if stream.next_report.is_none_or(|due| due > now) {
                continue;
            }
            stream.reports += 1;
            let interval = if stream.reports <= EARLY_REPORTS { EARLY_INTERVAL } else { REPORT_INTERVAL };
            stream.next_report = Some(now + interval);
            let message = self.report(&self.streams[index].sent, now);
            self.writes.push_back(TaggedPacket { now, transport: TransportContext::default(), message });
        }
        Ok(())
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.streams.iter().filter_map(|stream| stream.next_report).min()
    }
}

impl Interceptor for Tap {
    fn bind_local_stream(&mut self, info: &StreamInfo) {
        let id = |uri: &str| {
            info.rtp_header_extensions
                .iter()
                .find(|ext| ext.uri == uri)
                .and_then(|ext| ext.id.try_into().ok())
        };
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.sent.ssrc == info.ssrc) {
            stream.extensions =
                Extensions { mid: id(MID_URI), rid: id(RID_URI), repaired_rid: id(REPAIRED_RID_URI) };
        }
    }

    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}

    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}

    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}

#[cfg(test)]
mod tests;
