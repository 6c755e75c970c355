//! One viewer's RTP numbering: continuous over layer switches, holes kept.

/// A hole larger than this is a source that started again, not loss: numbering goes on without one.
const MAX_HOLE: u64 = 1_000;

/// Maps the sequence numbers and timestamps of successive sources to one outgoing series.
#[derive(Debug, Default)]
pub(crate) struct Rewriter {
    last: Option<Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    seq_in: u64,
    seq_out: u64,
    timestamp_out: u32,
    /// Outgoing less incoming timestamp, modulo 2^32.
    offset: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Numbered {
    /// Extended.
    pub seq: u64,
    pub timestamp: u32,
}

impl Rewriter {
    /// A packet of another source than the one before, `elapsed` ticks after it by capture time.
    pub fn switch(&mut self, seq: u64, timestamp: u32, elapsed: u32) -> Numbered {
        let last = match self.last {
            None => Last { seq_in: seq, seq_out: 1, timestamp_out: timestamp, offset: 0 },
            Some(last) => {
                // Two pictures never share a timestamp.
                let timestamp_out = last.timestamp_out.wrapping_add(elapsed.max(1));
                let offset = timestamp_out.wrapping_sub(timestamp);
                Last { seq_in: seq, seq_out: last.seq_out + 1, timestamp_out, offset }
            }
        };
        self.last = Some(last);
        Numbered { seq: last.seq_out, timestamp: last.timestamp_out }
    }

    /// The next packet of the same source. `None` for one that is not newer than the last.
    pub fn next(&mut self, seq: u64, timestamp: u32) -> Option<Numbered> {
        let last = self.last.as_mut()?;
        let step = seq.checked_sub(last.seq_in).filter(|&step| step > 0)?;
        last.seq_out += if step > MAX_HOLE { 1 } else { step };
        last.seq_in = seq;
        last.timestamp_out = timestamp.wrapping_add(last.offset);
        Some(Numbered { seq: last.seq_out, timestamp: last.timestamp_out })
    }

    /// The last number given out.
    pub fn last_seq(&self) -> Option<u64> {
        self.last.map(|last| last.seq_out)
    }

    /// The timestamp that a packet of the same source gets.
    pub fn timestamp(&self, timestamp: u32) -> Option<u32> {
        self.last.map(|last| timestamp.wrapping_add(last.offset))
    }

    /// Packets are not sent after all: numbering goes on after `seq`, as [`Rewriter::last_seq`] was before
    /// them. Time went by.
    pub fn take_back(&mut self, seq: u64) {
        if let Some(last) = &mut self.last {
            last.seq_out = seq;
        }
    }

    /// Room for a packet of ours in front of the next, with `timestamp` of the source.
    pub fn insert(&mut self, timestamp: u32) -> Option<Numbered> {
        let last = self.last.as_mut()?;
        last.seq_out += 1;
        Some(Numbered { seq: last.seq_out, timestamp: timestamp.wrapping_add(last.offset) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbered(seq: u64, timestamp: u32) -> Numbered {
        Numbered { seq, timestamp }
    }

    #[test]
    fn a_switch_goes_on_where_the_last_layer_stopped() {
        let mut out = Rewriter::default();
        assert_eq!(out.switch(500, 90_000, 0), numbered(1, 90_000));
        assert_eq!(out.next(501, 93_000), Some(numbered(2, 93_000)));
        assert_eq!(out.switch(9, 7, 3_000), numbered(3, 96_000));
        assert_eq!(out.next(10, 3_007), Some(numbered(4, 99_000)));
    }

    #[test]
    fn a_hole_stays_and_what_came_late_does_not() {
        let mut out = Rewriter::default();
        out.switch(10, 0, 0);
        assert_eq!(out.next(13, 1), Some(numbered(4, 1)));
        assert_eq!(out.next(12, 1), None);
        assert_eq!(out.next(13, 1), None);
    }

    #[test]
    fn an_inserted_packet_shifts_what_follows() {
        let mut out = Rewriter::default();
        out.switch(10, 0, 0);
        assert_eq!(out.insert(3_000), Some(numbered(2, 3_000)));
        assert_eq!(out.next(11, 3_000), Some(numbered(3, 3_000)));
    }

    #[test]
    fn a_picture_of_the_same_instant_gets_a_later_timestamp() {
        let mut out = Rewriter::default();
        out.switch(1, u32::MAX, 0);
        assert_eq!(out.switch(1, 50, 0), numbered(2, 0));
    }

    proptest! {
        #[test]
        fn sequence_numbers_only_rise(steps in prop::collection::vec((any::<bool>(), 0u64..3_000, any::<u32>()), 1..200)) {
            let mut out = Rewriter::default();
            let (mut seq_in, mut last) = (0, 0);
            for (switch, step, timestamp) in steps {
                seq_in = if switch { step } else { seq_in + step };
                let numbered = if switch {
                    Some(out.switch(seq_in, timestamp, step as u32))
                } else {
                    out.next(seq_in, timestamp)
                };
                if let Some(numbered) = numbered {
                    prop_assert!(numbered.seq > last);
                    last = numbered.seq;
                }
            }
        }
    }
}
