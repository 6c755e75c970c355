//! Puts a publisher's packets in order: waits a bounded time for one that is missing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Packets held at most; a 4 Mbit/s layer sends about 420 a second.
const MAX_HELD: usize = 512;

/// One source's packets by extended sequence number.
#[derive(Debug)]
pub(crate) struct Reorder<T> {
    next: Option<u64>,
    held: BTreeMap<u64, (Instant, T)>,
    wait: Duration,
}

impl<T> Reorder<T> {
    pub fn new(wait: Duration) -> Self {
        Self { next: None, held: BTreeMap::new(), wait }
    }

    /// Takes a packet; one that is older than what was given out, or here already, is let go.
    pub fn push(&mut self, now: Instant, seq: u64, packet: T) {
        if self.next.is_some_and(|next| seq < next) {
            return;
        }
        self.held.entry(seq).or_insert((now, packet));
    }

    /// The next packet that is due, with the count of those before it that are given up.
    pub fn pop(&mut self, now: Instant) -> Option<(u32, T)> {
        let (&seq, &(since, _)) = self.held.first_key_value()?;
        let next = self.next.unwrap_or(seq);
        let waited = now.saturating_duration_since(since) >= self.wait;
        if seq != next && !waited && self.held.len() <= MAX_HELD {
            return None;
        }
        let (_, (_, packet)) = self.held.pop_first()?;
        self.next = Some(seq + 1);
        let lost = u32::try_from(seq.saturating_sub(next)).unwrap_or(u32::MAX);
        Some((lost, packet))
    }

    /// When [`Reorder::pop`] gives up waiting.
    pub fn deadline(&self) -> Option<Instant> {
        self.held.first_key_value().map(|(_, (since, _))| *since + self.wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WAIT: Duration = Duration::from_millis(100);

    fn drain(reorder: &mut Reorder<u64>, now: Instant) -> Vec<(u32, u64)> {
        std::iter::from_fn(|| reorder.pop(now)).collect()
    }

    #[test]
    fn swapped_packets_come_out_in_order_without_waiting() {
        let (mut reorder, now) = (Reorder::new(WAIT), Instant::now());
        for seq in [5, 7, 6] {
            reorder.push(now, seq, seq);
        }
        assert_eq!(drain(&mut reorder, now), [(0, 5), (0, 6), (0, 7)]);
    }

    #[test]
    fn a_missing_packet_is_waited_for_and_then_counted() {
        let (mut reorder, now) = (Reorder::new(WAIT), Instant::now());
        reorder.push(now, 5, 5);
        assert_eq!(drain(&mut reorder, now), [(0, 5)]);
        reorder.push(now, 8, 8);
        assert_eq!(drain(&mut reorder, now), []);
        assert_eq!(reorder.deadline(), Some(now + WAIT));
        assert_eq!(drain(&mut reorder, now + WAIT), [(2, 8)]);
        reorder.push(now, 6, 6);
        assert_eq!(drain(&mut reorder, now + WAIT), [], "what comes after it was given up is let go");
    }

    proptest! {
        #[test]
        fn whatever_comes_what_goes_rises_and_nothing_piles_up(seqs: Vec<u16>) {
            let (mut reorder, now) = (Reorder::new(WAIT), Instant::now());
            let mut last = None;
            for seq in seqs {
                reorder.push(now, u64::from(seq), u64::from(seq));
                while let Some((_, out)) = reorder.pop(now) {
                    prop_assert!(last < Some(out));
                    last = Some(out);
                }
                prop_assert!(reorder.held.len() <= MAX_HELD);
            }
        }
    }
}
