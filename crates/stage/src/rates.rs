//! Figures of the last seconds, made from counts that only rise.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use studio::Snapshot;

/// What rates are taken over.
const WINDOW: Duration = Duration::from_secs(2);
/// Snapshots kept: more than come in a window.
const KEPT: usize = 128;

/// Of the last two seconds; `None` before they have passed once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rates {
    pub fps: Option<f64>,
    /// Share of the frames due that were not composed, 0 to 1.
    pub dropped: Option<f64>,
    /// Of all outputs.
    pub sent_kbps: Option<f64>,
}

struct Counts {
    at: Instant,
    frames: u64,
    dropped: u64,
    bytes: u64,
}

/// Remembers counts for as long as the window is.
#[derive(Default)]
pub struct History(VecDeque<Counts>);

impl History {
    /// Takes a snapshot that was made at `now` and says what its counts did since two seconds ago.
    pub fn take(&mut self, now: Instant, snapshot: &Snapshot) -> Rates {
        let newest = Counts {
            at: now,
            frames: snapshot.programme.frames,
            dropped: snapshot.programme.dropped,
            bytes: snapshot.outputs.iter().map(|output| output.bytes).sum(),
        };
        // One that is a window old stays, to be compared with.
        while self.0.len() >= KEPT || self.0.get(1).is_some_and(|next| now - next.at >= WINDOW) {
            self.0.pop_front();
        }
        let rates = self.0.front().filter(|first| now - first.at >= WINDOW).map(|first| {
            let seconds = (now - first.at).as_secs_f64();
            // Outputs that start anew count from zero again.
            let since = |new: u64, old: u64| new.saturating_sub(old) as f64;
            let (frames, lost) = (since(newest.frames, first.frames), since(newest.dropped, first.dropped));
            Rates {
                fps: Some(frames / seconds),
                dropped: Some(lost / (frames + lost).max(1.0)),
                sent_kbps: Some(since(newest.bytes, first.bytes) * 8.0 / 1e3 / seconds),
            }
        });
        self.0.push_back(newest);
        rates.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(frames: u64, dropped: u64, bytes: u64) -> Snapshot {
        let mut snapshot = Snapshot::default();
        (snapshot.programme.frames, snapshot.programme.dropped) = (frames, dropped);
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
        assert_eq!((whole.fps, whole.sent_kbps), (Some(20.0), Some(1_000.0)));
        assert_eq!(whole.dropped, Some(20.0 / 60.0));
        let good = history.take(at(3.0), &snapshot(70, 20, 500_000));
        assert_eq!((good.fps, good.dropped, good.sent_kbps), (Some(30.0), Some(0.0), Some(2_000.0)));
    }

    #[test]
    fn a_broadcast_that_begins_anew_gives_no_nonsense() {
        let begin = Instant::now();
        let mut history = History::default();
        history.take(begin, &snapshot(100, 0, 1_000_000));
        let rates = history.take(begin + WINDOW, &snapshot(160, 0, 10));
        assert_eq!((rates.fps, rates.sent_kbps), (Some(30.0), Some(0.0)));
    }
}
