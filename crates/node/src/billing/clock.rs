//! The time by which money is judged: the later of this machine's clock and the newest block's, and never earlier than
//! it was, so that a clock that is set back keeps no channel alive.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use media::WallTime;
use pay::UnixMillis;

/// Where both clocks are behind what was known, this one goes on at a fraction of its speed until they are not: what
/// waits for an hour that a chain took back would wait that hour.
const SLOWED: u32 = 2;

#[derive(Clone, Default, Debug)]
pub struct PayClock {
    known: Arc<Mutex<Option<Known>>>,
}

/// The latest time that a clock or a block told, and when it did.
#[derive(Clone, Copy, Debug)]
struct Known {
    time: UnixMillis,
    at: Instant,
}

impl Known {
    fn by(self, at: Instant) -> UnixMillis {
        let since = at.saturating_duration_since(self.at) / SLOWED;
        self.time.plus(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl PayClock {
    pub fn now(&self) -> UnixMillis {
        self.told(UnixMillis::from(WallTime::from_system(SystemTime::now())), Instant::now())
    }

    /// A block of that time was seen.
    pub fn block(&self, time: UnixMillis) {
        self.told(time, Instant::now());
    }

    /// What time it is, where something tells that one.
    fn told(&self, time: UnixMillis, at: Instant) -> UnixMillis {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match *known {
            Some(earlier) if earlier.by(at) >= time => earlier.by(at),
            _ => known.insert(Known { time, at }).time,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    #[test]
    fn a_clock_behind_the_chain_is_not_believed() {
        let clock = PayClock::default();
        let ahead = clock.now().plus(HOUR_MS);
        clock.block(ahead);
        assert!(clock.now() >= ahead);
        clock.block(UnixMillis(1));
        assert!(clock.now() >= ahead);
    }

    #[test]
    fn an_hour_that_a_chain_took_back_goes_by_slowly_and_neither_stands_nor_comes_again() {
        let (clock, start) = (PayClock::default(), Instant::now());
        let told = |seconds: u64, time_ms| {
            let at = start + Duration::from_secs(seconds);
            clock.told(UnixMillis(time_ms), at).0
        };
        assert_eq!(told(0, 1_000_000), 1_000_000);
        // A block of an hour later, and then the machine's clock again.
        assert_eq!(told(1, 1_000_000 + HOUR_MS), 1_000_000 + HOUR_MS);
        assert_eq!(told(11, 1_011_000), 1_000_000 + HOUR_MS + 5_000);
        assert_eq!(told(21, 1_021_000), 1_000_000 + HOUR_MS + 10_000);
        // However often it is asked meanwhile.
        let last = (0..1_000).map(|_| told(21, 1_021_000)).next_back();
        assert_eq!(last, Some(1_000_000 + HOUR_MS + 10_000));
        // After two hours the machine's clock is there, and counts.
        assert_eq!(told(7_201, 1_000_000 + 2 * HOUR_MS + 1_000), 1_000_000 + 2 * HOUR_MS + 1_000);
        assert_eq!(told(7_202, 1_000_000 + 2 * HOUR_MS + 2_000), 1_000_000 + 2 * HOUR_MS + 2_000);
        // Set back, it does the same.
        assert_eq!(told(7_212, 5_000), 1_000_000 + 2 * HOUR_MS + 7_000);
    }
}
