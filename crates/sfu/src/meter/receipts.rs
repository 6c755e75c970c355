//! Which packets of a line the viewer has, by its own feedback. [`crate::Metering::Over`] says what that is worth.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use str0m::rtp::rtcp::{Nack, ReceptionReport, Rtcp, Twcc};
use str0m::rtp::{RawPacket, RtpHeader, Ssrc};

/// Who misses a packet asks for it within this, however far away.
const SILENCE: Duration = Duration::from_secs(1);
/// Who asked more often and then is silent gave up: receivers ask five to ten times at most, one twentieth of which is
/// lost.
const MAX_ASKED: u8 = 3;
/// Packets of seconds that are not over: four seconds at 4 000 packets. The oldest go first, and
/// count as lost.
const MAX_PACKETS: usize = 16_384;
/// Transmissions of them.
const MAX_TRANSMISSIONS: usize = 2 * MAX_PACKETS;

#[derive(Debug)]
pub(super) struct Receipts {
    ssrc: Ssrc,
    rtx: Option<Ssrc>,
    /// By sequence number.
    packets: VecDeque<Packet>,
    /// Transport-wide sequence number, rising, and that of the packet.
    transmissions: VecDeque<(u64, u64)>,
    last_seq: u64,
    last_transmission: u64,
    /// The highest that the viewer got to.
    highest: u64,
    /// When it last said anything about packets.
    heard: Option<Instant>,
    /// It names the packets that it lacks, by whatever means.
    names_losses: bool,
    /// By its last report.
    lost: i32,
}

#[derive(Debug)]
struct Packet {
    seq: u64,
    second: u64,
    /// The last time that it was sent.
    sent: Instant,
    /// The transport-wide number of that.
    transmission: Option<u64>,
    /// How often it was asked for by name.
    asked: u8,
    fate: Fate,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// Since it was last sent, nothing was heard of it.
    Unknown,
    Missing,
    Acknowledged,
}

impl Receipts {
    pub fn new(ssrc: Ssrc, rtx: Option<Ssrc>) -> Self {
        Self {
            ssrc,
            rtx,
            packets: VecDeque::new(),
            transmissions: VecDeque::new(),
            last_seq: 0,
            last_transmission: 0,
            highest: 0,
            heard: None,
            names_losses: false,
            lost: 0,
        }
    }

    /// A packet is about to be sent; sequence numbers rise.
    pub fn sent(&mut self, seq: u64, second: u64, now: Instant) {
        self.last_seq = seq;
        if self.packets.len() >= MAX_PACKETS {
            self.packets.pop_front();
        }
        let fate = Fate::Unknown;
        self.packets.push_back(Packet { seq, second, sent: now, transmission: None, asked: 0, fate });
    }

    /// Counts what else of a second the viewer may be taken to have, and forgets the second.
    pub fn close(&mut self, second: u64) -> u32 {
        let (highest, heard) = (self.highest, self.heard);
        let silent = |packet: &&Packet| {
            let heard_since = heard.is_some_and(|heard| heard >= packet.sent + SILENCE);
            let unknown = packet.fate == Fate::Unknown && packet.asked <= MAX_ASKED;
            packet.second == second && unknown && packet.seq <= highest && heard_since
        };
        let silent = self.packets.iter().filter(silent).count();
        while self.packets.pop_front_if(|packet| packet.second <= second).is_some() {}
        let first = self.packets.front().map_or(u64::MAX, |packet| packet.seq);
        while self.transmissions.pop_front_if(|(_, seq)| *seq < first).is_some() {}
        u32::try_from(silent).unwrap_or(u32::MAX)
    }

    /// Forgets all packets.
    pub fn forget(&mut self) {
        self.packets.clear();
        self.transmissions.clear();
    }

    /// Takes in what was sent and what was said; `acknowledged` is called with the second of each packet that the
    /// viewer now has.
    pub fn observe(&mut self, raw: RawPacket, now: Instant, acknowledged: &mut impl FnMut(u64)) {
        match raw {
            RawPacket::RtpTx(header, datagram) => self.transmitted(&header, &datagram, now),
            RawPacket::RtcpRx(Rtcp::Twcc(feedback)) => {
                self.heard = Some(now);
                self.names_losses = true;
                self.take_feedback(feedback, now, acknowledged);
            }
            RawPacket::RtcpRx(Rtcp::Nack(nack)) if nack.ssrc == self.ssrc => {
                self.heard = Some(now);
                self.names_losses = true;
                self.take_nack(&nack);
            }
            RawPacket::RtcpRx(Rtcp::ReceiverReport(report)) => {
                let ssrc = self.ssrc;
                for report in report.reports.into_iter().filter(|report| report.ssrc == ssrc) {
                    self.heard = Some(now);
                    self.take_report(&report);
                }
            }
            _ => {}
        }
    }

    /// Notes by which transport-wide number a packet goes out, for the first time or again.
    fn transmitted(&mut self, header: &RtpHeader, datagram: &[u8], now: Instant) {
        let transmission = header.ext_vals.transport_cc.and_then(|low| extend(self.last_transmission, low));
        self.last_transmission = transmission.unwrap_or(self.last_transmission);
        let low = if header.ssrc == self.ssrc {
            header.sequence_number
        } else if Some(header.ssrc) == self.rtx && !header.has_padding {
            // The original number is in front of the payload (RFC 4588 §4).
            let body = datagram.get(header.header_len..).unwrap_or_default();
            let Some(original) = body.first_chunk::<2>() else { return };
            u16::from_be_bytes(*original)
        } else {
            return;
        };
        let Some(seq) = extend(self.last_seq, low) else { return };
        let Some(packet) = self.packet(seq) else { return };
        (packet.sent, packet.transmission) = (now, transmission);
        if packet.fate == Fate::Missing {
            packet.fate = Fate::Unknown;
        }
        if let Some(transmission) = transmission {
            if self.transmissions.len() >= MAX_TRANSMISSIONS {
                self.transmissions.pop_front();
            }
            self.transmissions.push_back((transmission, seq));
        }
    }

    fn take_feedback(&mut self, feedback: Twcc, now: Instant, acknowledged: &mut impl FnMut(u64)) {
        // Only the low half of the number counts here; the rest keeps it from going below zero.
        let near = self.last_transmission + (1 << 16);
        for (transmission, _, arrived) in feedback.into_iter(now, near.into()) {
            let Some(transmission) = extend(self.last_transmission, *transmission as u16) else { continue };
            let found = self.transmissions.binary_search_by_key(&transmission, |(number, _)| *number);
            let Some((_, seq)) = found.ok().and_then(|at| self.transmissions.get(at)) else { continue };
            let seq = *seq;
            let Some(packet) = self.packet(seq) else { continue };
            if arrived.is_none() {
                if packet.fate == Fate::Unknown && packet.transmission == Some(transmission) {
                    packet.fate = Fate::Missing;
                }
            } else if packet.fate != Fate::Acknowledged {
                packet.fate = Fate::Acknowledged;
                acknowledged(packet.second);
                self.highest = self.highest.max(seq);
            }
        }
    }

    fn take_nack(&mut self, nack: &Nack) {
        for entry in &nack.reports {
            for seq in entry.into_iter((self.last_seq + (1 << 16)).into()) {
                let seq = extend(self.last_seq, *seq as u16);
                if let Some(packet) = seq.and_then(|seq| self.packet(seq))
                    && packet.fate != Fate::Acknowledged
                {
                    packet.fate = Fate::Missing;
                    packet.asked = packet.asked.saturating_add(1);
                }
            }
        }
    }

    fn take_report(&mut self, report: &ReceptionReport) {
        let highest = extend(self.last_seq, report.max_seq as u16).filter(|seq| *seq <= self.last_seq);
        let Some(highest) = highest.filter(|seq| *seq >= self.highest) else { return };
        // A signed number of 24 bits.
        let lost = (report.packets_lost << 8).cast_signed() >> 8;
        let new = i64::from(lost) - i64::from(self.lost);
        if !self.names_losses && new > 0 {
            let span = highest - self.highest;
            let first = self.packets.partition_point(|packet| packet.seq <= self.highest);
            let end = self.packets.partition_point(|packet| packet.seq <= highest);
            // Numbers that were never sent are not lost here. Which others are is not said.
            let holes = i64::try_from(span).unwrap_or(i64::MAX) - (end - first) as i64;
            let missing = usize::try_from(new - holes).unwrap_or(0);
            for packet in self.packets.range_mut(first..end).rev().take(missing) {
                packet.fate = Fate::Missing;
            }
        }
        (self.highest, self.lost) = (highest, lost);
    }

    fn packet(&mut self, seq: u64) -> Option<&mut Packet> {
        let at = self.packets.binary_search_by_key(&seq, |packet| packet.seq).ok()?;
        self.packets.get_mut(at)
    }
}

/// The number with these low 16 bits that is nearest to `near`; `None` below zero.
fn extend(near: u64, low: u16) -> Option<u64> {
    near.checked_add_signed(low.wrapping_sub(near as u16).cast_signed().into())
}

#[cfg(test)]
mod tests {
    use str0m::rtp::ExtensionValues;
    use str0m::rtp::rtcp::ReceiverReport;

    use super::*;

    fn report(highest: u32, lost: i32) -> RawPacket {
        let report = ReceptionReport {
            ssrc: 7.into(),
            fraction_lost: 0,
            packets_lost: lost.cast_unsigned() & 0xff_ffff,
            max_seq: highest,
            jitter: 0,
            last_sr_time: 0,
            last_sr_delay: 0,
        };
        RawPacket::RtcpRx(Rtcp::ReceiverReport(ReceiverReport {
            sender_ssrc: 1.into(),
            reports: report.into(),
        }))
    }

    /// Packets 1 to 100 of second 0, without number 50, as a viewer gets them that asks for nothing again.
    fn reported(at: Duration, reports: &[(u32, i32)]) -> u32 {
        let (mut receipts, start) = (Receipts::new(7.into(), None), Instant::now());
        for seq in (1..=100).filter(|seq| *seq != 50) {
            receipts.sent(seq, 0, start);
        }
        for (highest, lost) in reports {
            receipts
                .observe(report(*highest, *lost), start + at, &mut |_| panic!("a report names no packet"));
        }
        receipts.close(0)
    }

    const LATER: Duration = Duration::from_secs(2);

    #[test]
    fn without_other_feedback_the_losses_of_reports_count() {
        assert_eq!(reported(LATER, &[(100, 1)]), 99, "the number that was never sent is no loss");
        assert_eq!(reported(LATER, &[(100, 11)]), 89);
        assert_eq!(reported(LATER, &[(40, 4), (100, 11)]), 89);
        assert_eq!(reported(LATER, &[(60, 0)]), 59, "what comes after it is not spoken of");
        assert_eq!(reported(LATER, &[(100, -3)]), 99, "what came twice makes up for nothing that was lost");
    }

    #[test]
    fn silence_counts_only_after_time_to_ask() {
        assert_eq!(reported(Duration::from_millis(900), &[(100, 1)]), 0);
        assert_eq!(reported(Duration::from_millis(1_000), &[(100, 1)]), 99);
        assert_eq!(reported(LATER, &[]), 0);
    }

    /// A packet on its way, with its transport-wide number.
    fn transmitted(ssrc: u32, transmission: u16, body: &[u8]) -> RawPacket {
        let ext_vals = ExtensionValues { transport_cc: Some(transmission), ..Default::default() };
        let header = RtpHeader {
            ssrc: ssrc.into(),
            sequence_number: 1,
            ext_vals,
            header_len: 0,
            ..Default::default()
        };
        RawPacket::RtpTx(header, body.to_vec())
    }

    /// Transport-wide feedback on one packet: sources, number, count, time, and a run of one
    /// (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
    fn feedback(transmission: u8, arrived: bool) -> RawPacket {
        let mut bytes = vec![0, 0, 0, 1, 0, 0, 0, 7, 0, transmission, 0, 1, 0, 0, 1, 0];
        bytes.extend(if arrived { &[0x20, 1, 4][..] } else { &[0, 1] });
        RawPacket::RtcpRx(Rtcp::Twcc(Twcc::try_from(&bytes[..]).unwrap()))
    }

    #[test]
    fn what_is_said_of_an_earlier_transmission_does_not_count_against_a_later_one() {
        let again = [0, 1];
        for (denied, arrived, silent) in [(0, 0, 1), (1, 0, 0)] {
            let (mut receipts, start) = (Receipts::new(7.into(), Some(8.into())), Instant::now());
            let (mut named, later) = (0, start + LATER);
            receipts.sent(1, 0, start);
            for raw in [transmitted(7, 0, &[]), transmitted(8, 1, &again), feedback(denied, false)] {
                receipts.observe(raw, start, &mut |_| named += 1);
            }
            receipts.observe(report(1, 0), later, &mut |_| named += 1);
            assert_eq!((named, receipts.close(0)), (arrived, silent), "{denied}");
        }
    }

    #[test]
    fn a_packet_that_arrived_any_time_is_named_once() {
        let (mut receipts, now) = (Receipts::new(7.into(), Some(8.into())), Instant::now());
        let mut named = Vec::new();
        receipts.sent(1, 3, now);
        for raw in [
            transmitted(7, 0, &[]),
            transmitted(8, 1, &[0, 1]),
            feedback(0, false),
            feedback(1, true),
            feedback(0, true),
        ] {
            receipts.observe(raw, now, &mut |second| named.push(second));
        }
        assert_eq!((named, receipts.close(3)), (vec![3], 0));
    }

    #[test]
    fn packets_that_are_never_spoken_of_take_bounded_room() {
        let (mut receipts, now) = (Receipts::new(7.into(), Some(8.into())), Instant::now());
        for seq in 1..100_000 {
            receipts.sent(seq, 0, now);
            receipts.observe(transmitted(8, seq as u16, &(seq as u16).to_be_bytes()), now, &mut |_| {});
        }
        assert!(receipts.packets.len() <= MAX_PACKETS && receipts.transmissions.len() <= MAX_TRANSMISSIONS);
    }

    #[test]
    fn numbers_are_extended_to_the_nearest() {
        assert_eq!(extend(65_530, 3), Some(65_539));
        assert_eq!(extend(65_539, 65_530), Some(65_530));
        assert_eq!(extend(3, 65_530), None);
    }
}
