//! Puts received packets in order, asks again for what is missing, and gives up in time. No clock inside:
//! `Instant`s come in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A gap younger than this may be reordering.
const REORDER_WAIT: Duration = Duration::from_millis(3);
/// Between two requests for the same packet; paths of ours are shorter.
const NACK_INTERVAL: Duration = Duration::from_millis(40);
/// A packet that is this late would be shown too late: better a key frame.
const GIVE_UP: Duration = Duration::from_millis(250);
/// More packets than this do not wait for a missing one: a second of video.
const WAITING_MAX: usize = 1024;
/// A jump over more numbers is a new stream, not a loss.
const JUMP_MAX: i64 = 2048;

/// One request names at most this many packets, so that it fits a datagram.
const NACKS_MAX: usize = 128;

/// What comes out, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Popped<T> {
    Packet(T),
    /// So many packets never came.
    Gap(u64),
}

/// What was counted since the start.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct BufferCounts {
    pub received: u64,
    pub lost: u64,
    /// Packets that were asked for again, each counted once.
    pub nacked: u64,
    /// Came twice, or after it was given up.
    pub useless: u64,
}

struct Missing {
    since: Instant,
    next_nack: Instant,
    asked: bool,
}

pub(crate) struct ReceiveBuffer<T> {
    /// The number that is to come out next; none before the first packet.
    next: Option<i64>,
    /// One past the highest number that came.
    end: i64,
    waiting: BTreeMap<i64, T>,
    missing: BTreeMap<i64, Missing>,
    counts: BufferCounts,
}

impl<T> ReceiveBuffer<T> {
    pub fn new() -> Self {
        let counts = BufferCounts::default();
        Self { next: None, end: 0, waiting: BTreeMap::new(), missing: BTreeMap::new(), counts }
    }

    pub fn counts(&self) -> BufferCounts {
        self.counts
    }

    pub fn insert(&mut self, sequence: u16, packet: T, now: Instant) {
        self.counts.received += 1;
        let Some(next) = self.next else {
            // Room below, so that numbers never get negative by a late packet.
            let first = i64::from(sequence) + (1 << 16);
            (self.next, self.end) = (Some(first + 1), first + 1);
            self.next = Some(first);
            self.waiting.insert(first, packet);
            return;
        };
        // The number nearest to the newest one that has these 16 bits.
        let at = self.end - 1 + i64::from(sequence.wrapping_sub((self.end - 1) as u16) as i16);
        if at - self.end > JUMP_MAX || self.end - at > JUMP_MAX {
            self.restart(at, packet);
            return;
        }
        if at < next || self.waiting.contains_key(&at) {
            self.counts.useless += 1;
            return;
        }
        for absent in self.end..at {
            let next_nack = now + REORDER_WAIT;
            self.missing.insert(absent, Missing { since: now, next_nack, asked: false });
        }
        self.missing.remove(&at);
        self.end = self.end.max(at + 1);
        self.waiting.insert(at, packet);
    }

    /// What the sender numbers anew: nothing before it is awaited.
    fn restart(&mut self, at: i64, packet: T) {
        self.waiting.clear();
        self.missing.clear();
        (self.next, self.end) = (Some(at), at + 1);
        self.waiting.insert(at, packet);
    }

    /// The next packet in order, or a gap that is not waited for any longer.
    pub fn pop(&mut self, now: Instant) -> Option<Popped<T>> {
        let next = self.next?;
        if let Some(packet) = self.waiting.remove(&next) {
            self.next = Some(next + 1);
            return Some(Popped::Packet(packet));
        }
        let (&first, _) = self.waiting.first_key_value()?;
        let too_late = self.missing.get(&next).is_none_or(|missing| now >= missing.since + GIVE_UP);
        let too_many = self.waiting.len() > WAITING_MAX || self.end - next > JUMP_MAX;
        if !too_late && !too_many {
            return None;
        }
        // All in front of what waits goes together: the picture is broken once.
        self.missing = self.missing.split_off(&first);
        self.next = Some(first);
        let lost = first.abs_diff(next);
        self.counts.lost += lost;
        Some(Popped::Gap(lost))
    }

    /// The numbers to ask for now.
    pub fn nacks(&mut self, now: Instant) -> Vec<u16> {
        let mut due = Vec::new();
        for (at, missing) in &mut self.missing {
            if due.len() < NACKS_MAX && missing.next_nack <= now {
                missing.next_nack = now + NACK_INTERVAL;
                self.counts.nacked += u64::from(!missing.asked);
                missing.asked = true;
                due.push(*at as u16);
            }
        }
        due
    }

    /// When to look again, if no packet comes.
    pub fn timeout(&self) -> Option<Instant> {
        let nack = self.missing.values().map(|missing| missing.next_nack).min();
        let give_up = self.missing.values().next().map(|missing| missing.since + GIVE_UP);
        nack.into_iter().chain(give_up).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    fn drain(buffer: &mut ReceiveBuffer<u16>, now: Instant) -> Vec<Popped<u16>> {
        std::iter::from_fn(|| buffer.pop(now)).collect()
    }

    fn insert_all(buffer: &mut ReceiveBuffer<u16>, numbers: &[u16], now: Instant) {
        numbers.iter().for_each(|&n| buffer.insert(n, n, now));
    }

    #[test]
    fn reordered_packets_come_out_in_order_across_the_wrap() {
        let (mut buffer, now) = (ReceiveBuffer::new(), Instant::now());
        insert_all(&mut buffer, &[65534, 0, 65535, 2, 1], now);
        assert_eq!(drain(&mut buffer, now), [65534, 65535, 0, 1, 2].map(Popped::Packet));
        assert!(buffer.nacks(now + 10 * MS).is_empty());
    }

    #[test]
    fn a_missing_packet_is_asked_for_after_the_reordering_wait_and_again() {
        let (mut buffer, now) = (ReceiveBuffer::new(), Instant::now());
        insert_all(&mut buffer, &[1, 2, 5], now);
        assert_eq!(drain(&mut buffer, now), [1, 2].map(Popped::Packet));
        assert!(buffer.nacks(now + 2 * MS).is_empty());
        assert_eq!(buffer.timeout(), Some(now + REORDER_WAIT));
        assert_eq!(buffer.nacks(now + 3 * MS), [3, 4]);
        assert!(buffer.nacks(now + 4 * MS).is_empty());
        insert_all(&mut buffer, &[4], now + 20 * MS);
        assert_eq!(buffer.nacks(now + 43 * MS), [3]);
        insert_all(&mut buffer, &[3], now + 50 * MS);
        assert_eq!(drain(&mut buffer, now + 50 * MS), [3, 4, 5].map(Popped::Packet));
        assert_eq!(buffer.timeout(), None);
        assert_eq!(buffer.counts(), BufferCounts { received: 5, lost: 0, nacked: 2, useless: 0 });
    }

    #[test]
    fn what_never_comes_is_given_up_as_one_gap() {
        let (mut buffer, now) = (ReceiveBuffer::new(), Instant::now());
        insert_all(&mut buffer, &[1, 4, 5], now);
        assert_eq!(drain(&mut buffer, now + 249 * MS), [Popped::Packet(1)]);
        let after = now + 250 * MS;
        assert_eq!(drain(&mut buffer, after), [Popped::Gap(2), Popped::Packet(4), Popped::Packet(5)]);
        insert_all(&mut buffer, &[2, 5], after);
        assert_eq!(drain(&mut buffer, after), []);
        assert_eq!(buffer.counts(), BufferCounts { received: 5, lost: 2, nacked: 0, useless: 2 });
        assert_eq!(buffer.timeout(), None);
    }

    #[test]
    fn a_sender_that_numbers_anew_is_followed() {
        let (mut buffer, now) = (ReceiveBuffer::new(), Instant::now());
        insert_all(&mut buffer, &[100, 30_000, 30_001], now);
        assert_eq!(drain(&mut buffer, now), [30_000, 30_001].map(Popped::Packet));
        assert!(buffer.nacks(now + GIVE_UP).is_empty());
    }

    proptest! {
        #[test]
        fn any_numbers_keep_the_buffer_bounded_and_the_order(numbers in prop::collection::vec(any::<u16>(), 0..4000)) {
            let (mut buffer, start) = (ReceiveBuffer::new(), Instant::now());
            for (index, &number) in numbers.iter().enumerate() {
                let now = start + MS * index as u32;
                buffer.insert(number, number, now);
                while buffer.pop(now).is_some() {}
                buffer.nacks(now);
                prop_assert!(buffer.waiting.len() <= WAITING_MAX + 1);
                prop_assert!(buffer.missing.len() <= 2 * JUMP_MAX as usize);
            }
        }

        #[test]
        fn a_shuffled_window_loses_nothing(swaps in prop::collection::vec((0usize..60, 0usize..60), 0..40), first: u16) {
            let mut numbers: Vec<u16> = (0..60).map(|i| first.wrapping_add(i)).collect();
            // The first stays in front: what is older than it was never awaited.
            swaps.into_iter().for_each(|(a, b)| numbers.swap(a.max(1), b.max(1)));
            let (mut buffer, now) = (ReceiveBuffer::new(), Instant::now());
            insert_all(&mut buffer, &numbers, now);
            let expected: Vec<_> = (0..60).map(|i| Popped::Packet(first.wrapping_add(i))).collect();
            prop_assert_eq!(drain(&mut buffer, now), expected);
        }
    }
}
