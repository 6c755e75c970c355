//! Which layer a viewer gets: by its bandwidth, its tier, and its own wish.

use std::time::{Duration, Instant};

use media::RenditionName;

/// Of the measured bandwidth a layer may take this much, in percent.
const SHARE_PERCENT: u64 = 80;
/// To climb, a layer must fit with this much to spare, in percent of its rate: what only just fits would be
/// left again at once.
const CLIMB_PERCENT: u64 = 110;
/// A higher layer must have been affordable for this long.
const CLIMB_AFTER: Duration = Duration::from_secs(2);
/// After falling, a viewer stays where it is for this long.
const SETTLE: Duration = Duration::from_secs(5);
/// Where there is no estimate: fall above this loss, climb below that one.
const HIGH_LOSS: f32 = 0.10;
const LOW_LOSS: f32 = 0.02;

/// One rendition of a stream as the shard knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layer {
    pub name: RenditionName,
    /// What it takes. Of a stream's layers as they are told: what each is meant to take, by which viewers choose until
    /// what it does take was measured.
    pub kbps: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LayerChoice {
    /// The best that bandwidth and tier allow.
    #[default]
    Auto,
    /// This one, whatever the bandwidth; the next lower where the stream lacks it or the tier forbids it.
    Fixed(RenditionName),
}

#[derive(Debug)]
pub(crate) struct Selector {
    choice: LayerChoice,
    cap: RenditionName,
    selected: Option<RenditionName>,
    estimate_bps: Option<u64>,
    climbing_since: Option<Instant>,
    settled_at: Option<Instant>,
}

impl Selector {
    pub fn new(choice: LayerChoice, cap: RenditionName) -> Self {
        Self { choice, cap, selected: None, estimate_bps: None, climbing_since: None, settled_at: None }
    }

    pub fn set_choice(&mut self, choice: LayerChoice) {
        self.choice = choice;
    }

    pub fn set_cap(&mut self, cap: RenditionName) {
        self.cap = cap;
    }

    pub fn set_estimate(&mut self, bps: u64) {
        self.estimate_bps = Some(bps);
    }

    pub fn estimate_bps(&self) -> Option<u64> {
        self.estimate_bps
    }

    /// The bandwidth that the best allowed layer of `layers` needs in order to be climbed to.
    pub fn desired_bps(&self, layers: &[Layer]) -> u64 {
        let best = self.allowed(layers).map(|layer| u64::from(layer.kbps) * 1_000).max().unwrap_or(0);
        best * CLIMB_PERCENT / SHARE_PERCENT * 11 / 10
    }

    fn allowed<'a>(&self, layers: &'a [Layer]) -> impl DoubleEndedIterator<Item = &'a Layer> {
        let cap = self.cap;
        layers.iter().filter(move |layer| layer.name <= cap)
    }

    /// The layer to send from now on; `layers` are sorted from low to high. `None` where the tier allows none of
    /// them: what it does not pay for is not sent for want of anything lower either.
    pub fn decide(&mut self, layers: &[Layer], now: Instant) -> Option<RenditionName> {
        let Some(lowest) = self.allowed(layers).next().map(|layer| layer.name) else {
            self.selected = None;
            return None;
        };
        let wanted = match self.choice {
            LayerChoice::Fixed(name) => {
                self.climbing_since = None;
                self.allowed(layers).rfind(|layer| layer.name <= name).map_or(lowest, |layer| layer.name)
            }
            LayerChoice::Auto => self.automatic(layers, now).unwrap_or(lowest),
        };
        self.selected = Some(wanted);
        self.selected
    }

    fn automatic(&mut self, layers: &[Layer], now: Instant) -> Option<RenditionName> {
        let known = self.selected.filter(|name| layers.iter().any(|l| l.name == *name) && *name <= self.cap);
        let Some(current) = known else {
            // A beginning at medium is soon left in either direction.
            let start = self.fitting(layers, 100).unwrap_or(RenditionName::Medium).min(RenditionName::Medium);
            return self.allowed(layers).rfind(|layer| layer.name <= start).map(|layer| layer.name);
        };
        let Some(fits) = self.fitting(layers, 100) else { return Some(current) };
        if fits < current {
            self.climbing_since = None;
            self.settled_at = Some(now + SETTLE);
            return Some(fits);
        }
        let target = self.fitting(layers, CLIMB_PERCENT).filter(|target| *target > current);
        let Some(target) = target.filter(|_| self.settled_at.is_none_or(|at| now >= at)) else {
            self.climbing_since = None;
            return Some(current);
        };
        let since = *self.climbing_since.get_or_insert(now);
        if now.duration_since(since) < CLIMB_AFTER {
            return Some(current);
        }
        self.climbing_since = None;
        Some(target)
    }

    /// The best allowed layer whose rate, times `percent`, fits into our share of the estimate; the lowest of
    /// them where none does. `None` without an estimate.
    fn fitting(&self, layers: &[Layer], percent: u64) -> Option<RenditionName> {
        let share = self.estimate_bps? / 100 * SHARE_PERCENT;
        let fits = |layer: &&Layer| u64::from(layer.kbps) * 1_000 * percent / 100 <= share;
        self.allowed(layers).rfind(fits).or_else(|| self.allowed(layers).next()).map(|layer| layer.name)
    }

    /// Once a second for viewers that give no estimate: one step down at high loss, one up after quiet.
    pub fn follow_loss(&mut self, loss: f32, layers: &[Layer], now: Instant) {
        if self.estimate_bps.is_some() || self.choice != LayerChoice::Auto {
            return;
        }
        let allowed: Vec<_> = self.allowed(layers).map(|layer| layer.name).collect();
        let Some(at) = self.selected.and_then(|name| allowed.iter().position(|n| *n == name)) else { return };
        if loss > HIGH_LOSS {
            self.selected = Some(allowed[at.saturating_sub(1)]);
            self.climbing_since = None;
            self.settled_at = Some(now + SETTLE * 2);
        } else if loss < LOW_LOSS && self.settled_at.is_none_or(|until| now >= until) {
            self.selected = Some(allowed[(at + 1).min(allowed.len() - 1)]);
            self.settled_at = Some(now + SETTLE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RenditionName::{High, Low, Medium, VeryLow};
    use proptest::prelude::*;

    fn ladder() -> Vec<Layer> {
        [VeryLow, Low, Medium, High].map(|name| Layer { name, kbps: name.default_kbps() }).to_vec()
    }

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn a_layer_never_takes_more_than_four_fifths() {
        let (mut auto, now) = (Selector::new(LayerChoice::Auto, High), Instant::now());
        // 2000 kbit/s of 2500 is exactly 80 %.
        auto.set_estimate(2_500_000);
        assert_eq!(auto.decide(&ladder(), now), Some(Medium));
        auto.set_estimate(2_499_000);
        assert_eq!(auto.decide(&ladder(), now), Some(Low));
    }

    #[test]
    fn climbing_takes_two_seconds_of_room_and_falling_none() {
        let (mut auto, start) = (Selector::new(LayerChoice::Auto, High), Instant::now());
        auto.set_estimate(2_500_000);
        auto.decide(&ladder(), start);
        auto.set_estimate(6_000_000);
        assert_eq!(auto.decide(&ladder(), start), Some(Medium));
        assert_eq!(auto.decide(&ladder(), at(start, 1_999)), Some(Medium));
        assert_eq!(auto.decide(&ladder(), at(start, 2_000)), Some(High));
        auto.set_estimate(1_000_000);
        assert_eq!(auto.decide(&ladder(), at(start, 2_001)), Some(VeryLow));
        auto.set_estimate(6_000_000);
        assert_eq!(auto.decide(&ladder(), at(start, 5_000)), Some(VeryLow), "it settles first");
        assert_eq!(auto.decide(&ladder(), at(start, 7_001)), Some(VeryLow));
        assert_eq!(auto.decide(&ladder(), at(start, 9_001)), Some(High));
    }

    #[test]
    fn an_estimate_that_only_just_fits_is_not_climbed_to() {
        let (mut auto, start) = (Selector::new(LayerChoice::Auto, High), Instant::now());
        auto.set_estimate(2_500_000);
        auto.decide(&ladder(), start);
        // 4000 kbit/s and a tenth over 0.8 is 5500.
        auto.set_estimate(5_499_000);
        for ms in 0..10 {
            assert_eq!(auto.decide(&ladder(), at(start, ms * 1_000)), Some(Medium));
        }
        assert!(auto.desired_bps(&ladder()) >= 5_500_000, "probing must reach what climbing needs");
    }

    #[test]
    fn a_fixed_choice_stays_within_the_tier_and_the_ladder() {
        let mut fixed = Selector::new(LayerChoice::Fixed(High), Medium);
        let now = Instant::now();
        assert_eq!(fixed.decide(&ladder(), now), Some(Medium));
        fixed.set_cap(High);
        assert_eq!(fixed.decide(&ladder(), now), Some(High));
        assert_eq!(fixed.decide(&ladder()[..2], now), Some(Low));
        assert_eq!(fixed.decide(&[], now), None);
    }

    #[test]
    fn a_tier_below_the_whole_ladder_gets_no_layer() {
        let now = Instant::now();
        for choice in [LayerChoice::Auto, LayerChoice::Fixed(High), LayerChoice::Fixed(VeryLow)] {
            let mut selector = Selector::new(choice, Low);
            selector.set_estimate(50_000_000);
            assert_eq!(selector.decide(&ladder()[2..], now), None, "{choice:?}");
            assert_eq!(selector.desired_bps(&ladder()[2..]), 0);
            selector.follow_loss(0.0, &ladder()[2..], now);
            assert_eq!(selector.decide(&ladder()[1..], now), Some(Low), "{choice:?}");
            assert_eq!(selector.decide(&ladder()[2..], now), None, "the step that it had is gone");
        }
    }

    #[test]
    fn without_an_estimate_loss_moves_a_viewer_one_step_at_a_time() {
        let (mut auto, start) = (Selector::new(LayerChoice::Auto, High), Instant::now());
        assert_eq!(auto.decide(&ladder(), start), Some(Medium));
        auto.follow_loss(0.2, &ladder(), start);
        assert_eq!(auto.decide(&ladder(), start), Some(Low));
        auto.follow_loss(0.0, &ladder(), at(start, 9_999));
        assert_eq!(auto.decide(&ladder(), at(start, 9_999)), Some(Low));
        auto.follow_loss(0.0, &ladder(), at(start, 10_000));
        assert_eq!(auto.decide(&ladder(), at(start, 10_000)), Some(Medium));
    }

    proptest! {
        #[test]
        fn no_run_of_estimates_leads_over_the_share_or_the_cap(
            estimates in prop::collection::vec(0u64..10_000_000, 1..100), cap in 0usize..5
        ) {
            let cap = RenditionName::ALL[cap];
            let (mut auto, start) = (Selector::new(LayerChoice::Auto, cap), Instant::now());
            for (step, estimate) in estimates.into_iter().enumerate() {
                auto.set_estimate(estimate);
                let name = auto.decide(&ladder(), at(start, step as u64 * 700)).unwrap();
                let rate = u64::from(name.default_kbps()) * 1_000;
                prop_assert!(name <= cap && (rate * 5 <= estimate * 4 || name == VeryLow));
            }
        }
    }
}
