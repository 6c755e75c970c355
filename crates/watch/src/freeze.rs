//! Freezes, as the WebRTC statistics define them (W3C webrtc-stats, `freezeCount`): an interval between two
//! pictures of at least three times the mean interval, and of at least the mean plus 150 ms.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const EXCESS: Duration = Duration::from_millis(150);
/// The mean is taken over this many intervals.
const WINDOW: usize = 30;

/// Fed with the instant of each presented picture.
#[derive(Debug, Default)]
pub struct FreezeMeter {
    last: Option<Instant>,
    intervals: VecDeque<Duration>,
    frozen: Duration,
    freezes: u32,
}

impl FreezeMeter {
    pub fn presented(&mut self, at: Instant) {
        let Some(last) = self.last.replace(at) else { return };
        let interval = at.saturating_duration_since(last);
        if let Some(mean) = self.mean()
            && interval >= (mean * 3).max(mean + EXCESS)
        {
            self.frozen += interval;
            self.freezes += 1;
        }
        if self.intervals.len() == WINDOW {
            self.intervals.pop_front();
        }
        self.intervals.push_back(interval);
    }

    /// Nobody looks for a while: what follows is no freeze.
    pub fn rest(&mut self) {
        self.last = None;
    }

    /// How long the picture stood still, with a freeze that lasts at `now`.
    pub fn frozen(&self, now: Instant) -> Duration {
        let open = self.last.zip(self.mean()).and_then(|(last, mean)| {
            let interval = now.saturating_duration_since(last);
            (interval >= (mean * 3).max(mean + EXCESS)).then_some(interval)
        });
        self.frozen + open.unwrap_or_default()
    }

    /// Freezes that ended.
    pub fn freezes(&self) -> u32 {
        self.freezes
    }

    fn mean(&self) -> Option<Duration> {
        let count = u32::try_from(self.intervals.len()).ok().filter(|count| *count > 0)?;
        Some(self.intervals.iter().sum::<Duration>() / count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Pictures every 40 ms, so that a freeze begins at 40 + 150 = 190 ms.
    fn steady(meter: &mut FreezeMeter, start: Instant) -> Instant {
        (0..40).for_each(|n| meter.presented(start + 40 * MS * n));
        start + 40 * MS * 39
    }

    #[test]
    fn an_even_stream_is_never_frozen() {
        let mut meter = FreezeMeter::default();
        let last = steady(&mut meter, Instant::now());
        assert_eq!((meter.frozen(last + 40 * MS), meter.freezes()), (Duration::ZERO, 0));
    }

    #[test]
    fn a_gap_counts_whole_from_the_threshold_on() {
        let (mut meter, start) = (FreezeMeter::default(), Instant::now());
        let last = steady(&mut meter, start);
        meter.presented(last + 189 * MS);
        assert_eq!(meter.freezes(), 0);
        let mut meter = FreezeMeter::default();
        let last = steady(&mut meter, start);
        meter.presented(last + 190 * MS);
        assert_eq!((meter.frozen(last + 190 * MS), meter.freezes()), (190 * MS, 1));
    }

    #[test]
    fn slow_pictures_freeze_at_three_times_their_interval() {
        let (mut meter, start) = (FreezeMeter::default(), Instant::now());
        // 100 ms apart: three times that is more than 100 + 150.
        (0..10).for_each(|n| meter.presented(start + 100 * MS * n));
        let last = start + 900 * MS;
        meter.presented(last + 299 * MS);
        assert_eq!(meter.freezes(), 0);
    }

    #[test]
    fn a_picture_that_stands_still_now_counts_already() {
        let mut meter = FreezeMeter::default();
        let last = steady(&mut meter, Instant::now());
        assert_eq!(meter.frozen(last + 1000 * MS), 1000 * MS);
        assert_eq!(meter.freezes(), 0);
    }

    #[test]
    fn a_first_picture_that_comes_late_is_no_freeze() {
        let (mut meter, start) = (FreezeMeter::default(), Instant::now());
        meter.presented(start);
        meter.presented(start + 5000 * MS);
        assert_eq!(meter.frozen(start + 5000 * MS), Duration::ZERO);
    }
}
