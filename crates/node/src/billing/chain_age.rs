//! How old the last final block is that was heard of: by the chain's own clock up to its best block, and from there by
//! whichever of this machine's clocks says more.

use std::time::Instant;

use pay::UnixMillis;

#[derive(Clone, Copy, Default, Debug)]
pub struct ChainAge {
    finalized: Option<UnixMillis>,
    best: Option<Heard>,
}

/// The newest block, and when it was heard of. Time by which money is judged may be set and leap, and one that only
/// passes stands still while a machine sleeps.
#[derive(Clone, Copy, Debug)]
struct Heard {
    time: UnixMillis,
    at: Instant,
    now: UnixMillis,
}

impl ChainAge {
    /// A block of that time is the best one; all before it was told.
    pub fn head(&mut self, time: UnixMillis, at: Instant, now: UnixMillis) {
        self.best = Some(Heard { time, at, now });
    }

    pub fn finalized(&mut self, time: UnixMillis) {
        self.finalized = Some(time);
    }

    /// In milliseconds; `None` until a best block was heard of, since final ones may be of long ago until then. Where no
    /// block has become final since the node looks, everything below the best one was told with it.
    pub fn by(&self, at: Instant, now: UnixMillis) -> Option<u64> {
        let best = self.best?;
        let lag = best.time.millis_since(self.finalized.unwrap_or(best.time));
        let passed = u64::try_from(at.saturating_duration_since(best.at).as_millis()).unwrap_or(u64::MAX);
        Some(lag.saturating_add(passed.max(now.millis_since(best.now))))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
    const HOUR_MS: u64 = 3_600_000;

    /// A chain whose clock is an hour behind, and whose blocks are final after 18 seconds.
    fn slow(start: Instant) -> ChainAge {
        let mut age = ChainAge::default();
        let time = UnixMillis(NOW.0 - HOUR_MS);
        age.finalized(UnixMillis(time.0 - 18_000));
        age.head(time, start, NOW);
        age
    }

    #[test]
    fn it_is_what_finality_takes_and_then_what_goes_by_without_a_block_whatever_the_chains_clock_says() {
        let start = Instant::now();
        let by = |seconds| slow(start).by(start + Duration::from_secs(seconds), NOW.plus(seconds * 1_000));
        assert_eq!([0, 6, 600].map(by), [Some(18_000), Some(24_000), Some(618_000)]);
    }

    #[test]
    fn it_grows_while_blocks_come_of_which_none_becomes_final() {
        let start = Instant::now();
        let mut age = slow(start);
        age.head(UnixMillis(NOW.0 - HOUR_MS).plus(60_000), start + Duration::from_secs(60), NOW.plus(60_000));
        assert_eq!(age.by(start + Duration::from_secs(60), NOW.plus(60_000)), Some(78_000));
    }

    #[test]
    fn a_clock_that_is_set_back_and_a_machine_that_slept_make_it_no_younger() {
        let start = Instant::now();
        let age = slow(start);
        assert_eq!(age.by(start + Duration::from_secs(60), UnixMillis(NOW.0 - HOUR_MS)), Some(78_000));
        assert_eq!(age.by(start, NOW.plus(HOUR_MS)), Some(HOUR_MS + 18_000));
    }

    #[test]
    fn what_is_read_of_long_ago_is_no_news_of_today() {
        let start = Instant::now();
        let mut age = ChainAge::default();
        age.finalized(NOW);
        assert_eq!(age.by(start, NOW), None);
        age.head(NOW.plus(1_000), start, NOW);
        assert_eq!(age.by(start, NOW), Some(1_000));
        // A chain that makes blocks on demand alone, at which nothing happens.
        let mut quiet = ChainAge::default();
        quiet.head(UnixMillis(NOW.0 - HOUR_MS), start, NOW);
        assert_eq!(quiet.by(start, NOW), Some(0));
    }
}
