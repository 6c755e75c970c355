//! What a layer takes at present: measured over some seconds, and slow to believe that it has become less. No clock
//! inside.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);
/// Whole seconds that a rate is the mean of: two groups of pictures as most encoders have them, so that a key frame more
/// or less makes little of it.
const WINDOW: usize = 4;
/// The highest such mean within so many seconds counts: who climbs while a scene stands still falls when it moves.
const MEMORY: usize = 10;
/// Packets further apart than this are not measured together. A layer that pauses takes what it took before.
const PAUSE: Duration = Duration::from_secs(2);
/// What is off by no more than this part is nothing new.
const SLACK: u32 = 8;

#[derive(Debug, Default)]
pub(crate) struct Rate {
    kbps: Option<u32>,
    run: Option<Run>,
}

/// Packets that follow each other.
#[derive(Debug)]
struct Run {
    last: Instant,
    /// When the second began that is being counted, and its bytes.
    begun: Instant,
    bytes: u64,
    /// The bytes of the whole seconds before, the oldest first.
    seconds: VecDeque<u64>,
}

impl Rate {
    /// In kbit/s, never 0; `None` before it was measured.
    pub fn kbps(&self) -> Option<u32> {
        self.kbps
    }

    /// Takes note of a packet's payload.
    pub fn count(&mut self, bytes: usize, now: Instant) {
        let run = self.run.take().filter(|run| now.saturating_duration_since(run.last) <= PAUSE);
        let mut run = run.unwrap_or_else(|| Run::new(now));
        let before = run.begun;
        run.count(bytes as u64, now);
        if run.begun != before
            && let Some(kbps) = run.kbps()
            && self.kbps.is_none_or(|known| kbps.abs_diff(known) > known / SLACK)
        {
            self.kbps = Some(kbps);
        }
        self.run = Some(run);
    }
}

impl Run {
    fn new(now: Instant) -> Self {
        Self { last: now, begun: now, bytes: 0, seconds: VecDeque::with_capacity(MEMORY + 1) }
    }

    fn count(&mut self, bytes: u64, now: Instant) {
        self.last = now;
        while now.saturating_duration_since(self.begun) >= SECOND {
            self.begun += SECOND;
            self.seconds.push_back(std::mem::take(&mut self.bytes));
            if self.seconds.len() > MEMORY {
                self.seconds.pop_front();
            }
        }
        self.bytes += bytes;
    }

    fn kbps(&mut self) -> Option<u32> {
        let windows = self.seconds.make_contiguous().windows(WINDOW);
        let most = windows.map(|window| window.iter().sum::<u64>()).max()?;
        let kbps = most * 8 / 1_000 / WINDOW as u64;
        Some(u32::try_from(kbps).unwrap_or(u32::MAX).max(1))
    }
}

#[cfg(test)]
mod tests {
    use media::RenditionName::{High, Medium};

    use super::*;
    use crate::layer_choice::{Layer, LayerChoice, Selector};

    /// A layer, fed second by second.
    struct Fed {
        rate: Rate,
        now: Instant,
    }

    impl Fed {
        fn new() -> Self {
            Self { rate: Rate::default(), now: Instant::now() }
        }

        /// A hundred packets in each of so many seconds; returns what is known at their end.
        fn run(&mut self, seconds: usize, kbps: usize) -> Option<u32> {
            for _ in 0..seconds * 100 {
                // A kilobit is 125 bytes.
                self.rate.count(kbps * 125 / 100, self.now);
                self.now += Duration::from_millis(10);
            }
            // A second is over with the next packet.
            self.rate.count(0, self.now);
            self.rate.kbps()
        }
    }

    #[test]
    fn a_rate_is_known_after_four_seconds() {
        let mut fed = Fed::new();
        assert_eq!(fed.run(3, 800), None);
        assert_eq!(fed.run(1, 800), Some(800));
    }

    #[test]
    fn more_is_believed_at_once_and_less_after_ten_seconds() {
        let mut fed = Fed::new();
        fed.run(10, 800);
        // The mean of 800, 800, 800 and 4000, and so on.
        let rising: Vec<_> = (0..4).map(|_| fed.run(1, 4_000)).collect();
        assert_eq!(rising, [1_600, 2_400, 3_200, 4_000].map(Some));
        fed.run(6, 4_000);
        assert_eq!(fed.run(6, 400), Some(4_000), "four of the last ten seconds were at 4000");
        assert_eq!(fed.run(4, 400), Some(400));
    }

    #[test]
    fn an_eighth_more_or_less_is_nothing_new() {
        let then = |kbps| {
            let mut fed = Fed::new();
            assert_eq!(fed.run(10, 800), Some(800));
            fed.run(20, kbps)
        };
        assert_eq!([700, 900].map(then), [Some(800); 2]);
        // The means on the way are 850, 900, 950 and 1000: of these the third is news, and the fourth is not.
        assert_eq!(then(1_000), Some(950));
    }

    #[test]
    fn a_second_with_a_key_frame_is_measured_with_one_without() {
        let mut fed = Fed::new();
        let known: Vec<_> =
            (0..10).map(|second| fed.run(1, if second % 2 == 0 { 1_200 } else { 400 })).collect();
        assert_eq!(known[3..], [Some(800); 7]);
    }

    #[test]
    fn a_layer_that_pauses_takes_what_it_took_before() {
        let mut fed = Fed::new();
        fed.run(10, 800);
        fed.now += Duration::from_secs(60);
        assert_eq!(fed.run(3, 80), Some(800), "not measured for long enough");
        assert_eq!(fed.run(1, 80), Some(80));
        let mut sparse = Fed::new();
        for _ in 0..10 {
            sparse.rate.count(1_000, sparse.now);
            sparse.now += Duration::from_secs(3);
        }
        assert_eq!(sparse.rate.kbps(), None);
    }

    #[test]
    fn a_rate_that_swings_round_what_fits_sends_no_viewer_to_and_fro() {
        let (mut fed, mut auto) = (Fed::new(), Selector::new(LayerChoice::Auto, High));
        // Of this 4240 kbit/s may be taken: more than the one scene takes, and less than the other.
        auto.set_estimate(5_300_000);
        let mut chosen = Vec::new();
        for second in 0..300 {
            let kbps = fed.run(1, if second / 3 % 2 == 0 { 3_600 } else { 4_400 });
            let high = Layer { name: High, kbps: kbps.unwrap_or(4_000) };
            chosen.extend(auto.decide(&[Layer { name: Medium, kbps: 2_000 }, high], fed.now));
        }
        chosen.dedup();
        assert_eq!(chosen, [Medium, High]);
    }
}
