//! Numbers that wrap, and the wall time that RTP timestamps mean.

use media::{Timescale, Timestamp, WallTime};

/// Turns 16-bit sequence numbers into ones that never wrap. Each is taken to be within 32 767 of the
/// highest seen, so reordering and loss up to that are told apart.
#[derive(Clone, Debug, Default)]
pub struct SequenceUnwrapper {
    highest: Option<u64>,
}

impl SequenceUnwrapper {
    /// The first number is lifted by 65 536, so that packets reordered in front of it stay positive.
    pub fn unwrap(&mut self, sequence: u16) -> u64 {
        let Some(highest) = self.highest else {
            let first = u64::from(sequence) + (1 << 16);
            self.highest = Some(first);
            return first;
        };
        let step = i64::from(sequence.wrapping_sub(highest as u16) as i16);
        let value = highest.saturating_add_signed(step);
        self.highest = Some(highest.max(value));
        value
    }
}

/// Turns 32-bit RTP timestamps into ones that never wrap.
#[derive(Clone, Debug, Default)]
pub struct TimestampUnwrapper {
    last: Option<i64>,
}

impl TimestampUnwrapper {
    /// Each is taken to be within 2^31 of the one before.
    pub fn unwrap(&mut self, timestamp: u32) -> i64 {
        let value = match self.last {
            None => i64::from(timestamp),
            Some(last) => last.saturating_add(i64::from(timestamp.wrapping_sub(last as u32) as i32)),
        };
        self.last = Some(value);
        value
    }
}

/// What a sender report says (RFC 3550 §6.4.1): this RTP timestamp was at that wall time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SenderClock {
    pub wall: WallTime,
    pub rtp: u32,
    pub clock: Timescale,
}

impl SenderClock {
    /// From the NTP and RTP timestamps of a report.
    pub fn from_report(ntp: u64, rtp: u32, clock: Timescale) -> Self {
        Self { wall: WallTime::from_ntp(ntp), rtp, clock }
    }

    /// The wall time of an RTP timestamp, which is within 2^31 ticks of the report.
    pub fn wall_of(&self, rtp: u32) -> WallTime {
        let ticks = i64::from(rtp.wrapping_sub(self.rtp) as i32);
        self.wall.plus(Timestamp::new(ticks, self.clock))
    }

    /// The RTP timestamp of a wall time, for a report about that time.
    pub fn rtp_of(&self, wall: WallTime) -> u32 {
        let micros = wall.unix_micros() as i64 - self.wall.unix_micros() as i64;
        let ticks = Timestamp::new(micros, Timescale::of(1_000_000)).rescale(self.clock).ticks();
        self.rtp.wrapping_add(ticks as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sequence_numbers_go_on_over_the_wrap_and_back() {
        let mut unwrapper = SequenceUnwrapper::default();
        let first = unwrapper.unwrap(65_534);
        let rest: Vec<_> = [65_535, 1, 0, 65_533].map(|s| unwrapper.unwrap(s) as i64 - first as i64).into();
        assert_eq!(rest, [1, 3, 2, -1]);
    }

    #[test]
    fn a_late_packet_does_not_move_the_reach_back() {
        let mut unwrapper = SequenceUnwrapper::default();
        let first = unwrapper.unwrap(0);
        // 65 000 is 35 000 beyond the late one, but 25 000 beyond the highest.
        let rest: Vec<_> = [20_000, 40_000, 30_000, 65_000].map(|s| unwrapper.unwrap(s) - first).into();
        assert_eq!(rest, [20_000, 40_000, 30_000, 65_000]);
    }

    #[test]
    fn a_second_after_the_report_is_a_second_of_ticks() {
        let wall = WallTime::from_unix_micros(1_700_000_000_000_000);
        let clock = SenderClock::from_report(wall.to_ntp(), u32::MAX - 44_999, Timescale::VIDEO);
        let later = clock.wall_of(45_000);
        assert_eq!(later.unix_micros(), 1_700_000_001_000_000);
        assert_eq!(clock.rtp_of(later), 45_000);
        assert_eq!(clock.rtp_of(wall.plus(Timestamp::new(-1, Timescale::of(1)))), u32::MAX - 134_999);
    }

    proptest! {
        #[test]
        fn timestamps_keep_their_differences(start: u32, steps in prop::collection::vec(-1_000_000i64..1_000_000, 0..50)) {
            let mut unwrapper = TimestampUnwrapper::default();
            let mut expected = unwrapper.unwrap(start);
            for step in steps {
                expected += step;
                prop_assert_eq!(unwrapper.unwrap(expected as u32), expected);
            }
        }
    }
}
