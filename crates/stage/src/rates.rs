//! Figures of the last seconds, made from counts that only rise.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use studio::Snapshot;

/// What rates are taken over.
const WINDOW: Duration = Duration::from_secs(2);
/// What pictures a second are taken over: one more or less in the window does not show.
const STEADY: Duration = Duration::from_secs(5);
/// Snapshots kept: more than come in the longer window.
const KEPT: usize = 256;

/// `None` before their window has passed once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rates {
    /// Of the last five seconds. What is caught up with in bursts makes no more of them than the programme has.
    pub fps: Option<f64>,
    /// Share of the frames due that were not composed, 0 to 1, of the last two seconds.
    pub dropped: Option<f64>,
    /// Of all outputs, of the last two seconds.
    pub sent_kbps: Option<f64>,
}

struct Counts {
    at: Instant,
    frames: u64,
    dropped: u64,
    bytes: u64,
}

/// Remembers counts for as long as the longer window is.
#[derive(Default)]
pub struct History(VecDeque<Counts>);

impl History {
    /// Takes a snapshot that was made at `now` and says what its counts did in the windows before.
    pub fn take(&mut self, now: Instant, snapshot: &Snapshot) -> Rates {
        let newest = Counts {
            at: now,
            frames: snapshot.programme.frames,
            dropped: snapshot.programme.dropped,
            bytes: snapshot.outputs.iter().map(|output| output.bytes).sum(),
        };
        // One that is a window old stays, to be compared with.
        while self.0.len() >= KEPT || self.0.get(1).is_some_and(|next| now - next.at >= STEADY) {
            self.0.pop_front();
        }
        // Outputs that start anew count from zero again.
        let since = |new: u64, old: u64| new.saturating_sub(old) as f64;
        let mut rates = Rates::default();
        if let Some(first) = self.before(now, STEADY) {
            let fps = since(newest.frames, first.frames) / (now - first.at).as_secs_f64();
            rates.fps = Some(fps.min(snapshot.programme.fps));
        }
        if let Some(first) = self.before(now, WINDOW) {
            let (frames, lost) = (since(newest.frames, first.frames), since(newest.dropped, first.dropped));
            rates.dropped = Some(lost / (frames + lost).max(1.0));
            let kilobits = since(newest.bytes, first.bytes) * 8.0 / 1e3;
            rates.sent_kbps = Some(kilobits / (now - first.at).as_secs_f64());
        }
        self.0.push_back(newest);
        rates
    }

    /// The newest counts that are at least `window` old.
    fn before(&self, now: Instant, window: Duration) -> Option<&Counts> {
        self.0.iter().rev().find(|counts| now - counts.at >= window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(frames: u64, dropped: u64, bytes: u64) -> Snapshot {
        let mut snapshot = Snapshot::default();
        (snapshot.programme.frames, snapshot.programme.dropped) = (frames, dropped);
        snapshot.programme.fps = 30.0;
        snapshot.outputs = vec![studio::snapshot::OutputFigures { bytes, ..Default::default() }];
        snapshot
    }

    #[test]
    fn rates_are_of_the_last_two_seconds_alone() {
        let begin = Instant::now();
        let mut history = History::default();
        assert_eq!(history.take(begin, &snapshot(0, 0, 0)), Rates::default());
        // A bad first second, then a good window.
        let at = |seconds: f64| begin + Duration::from_secs_f64(seconds);
        assert_eq!(history.take(at(1.0), &snapshot(10, 20, 0)), Rates::default());
        let whole = history.take(at(2.0), &snapshot(40, 20, 250_000));
        assert_eq!((whole.dropped, whole.sent_kbps), (Some(20.0 / 60.0), Some(1_000.0)));
        let good = history.take(at(3.0), &snapshot(70, 20, 500_000));
        assert_eq!((good.dropped, good.sent_kbps), (Some(0.0), Some(2_000.0)));
    }

    #[test]
    fn pictures_a_second_are_steady_and_never_more_than_the_programme_has() {
        let begin = Instant::now();
        let mut history = History::default();
        let mut take = |tenths: u64, frames: u64| {
            history.take(begin + Duration::from_millis(100 * tenths), &snapshot(frames, 0, 0)).fps
        };
        assert_eq!((take(0, 0), take(49, 147)), (None, None));
        // A pause of half a second, then all that was due at once.
        assert_eq!(take(50, 135), Some(27.0));
        assert_eq!(take(51, 153), Some(30.0));
        // Fifteen more than 4.9 s hold, since the last five seconds began in the pause.
        assert_eq!(take(100, 300), Some(30.0));
    }

    #[test]
    fn a_broadcast_that_begins_anew_gives_no_nonsense() {
        let begin = Instant::now();
        let mut history = History::default();
        history.take(begin, &snapshot(100, 0, 1_000_000));
        let rates = history.take(begin + WINDOW, &snapshot(160, 0, 10));
        assert_eq!(rates.sent_kbps, Some(0.0));
    }
}
