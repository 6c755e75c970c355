//! What a device's sample clock really does: a delay-locked loop from block timestamps to the time of each
//! sample (F. Adriaensen, "Using a DLL to filter time", Linux Audio Conference 2005).

use std::f64::consts::{SQRT_2, TAU};

/// How far a device's rate may lie from what it states: 0.5 %, far beyond any crystal (100 ppm).
pub const MAX_DRIFT: f64 = 0.005;

/// Loop bandwidth in Hz: wide at first to find the rate, then narrow so that jitter does not reach the pitch.
const FIRST_BANDWIDTH: f64 = 0.5;
const LAST_BANDWIDTH: f64 = 0.02;
/// A stamp further off than this many mean deviations is no jitter, but a gap or an overlap.
const JITTER_REACH: f64 = 6.0;
/// Bounds of what is taken for a gap, in seconds.
const MIN_STEP: f64 = 0.004;
const MAX_STEP: f64 = 0.060;
/// The deviation assumed of a device not yet known, in seconds.
const FIRST_JITTER: f64 = 0.005;

/// How a block lies against the ones before it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Fit {
    /// It follows on, but for jitter.
    Follows,
    /// It was stamped this many seconds later (positive: samples are missing) or earlier (they overlap).
    Steps(f64),
}

/// Frame indices count from 0 at the device's first block.
#[derive(Clone, Debug)]
pub struct DeviceClock {
    /// Seconds a frame takes, as the device states it.
    nominal_period: f64,
    /// The same, as measured.
    period: f64,
    next_index: i64,
    /// The filtered time of frame `next_index`, in seconds.
    next_time: f64,
    /// Mean absolute deviation of the stamps, in seconds.
    jitter: f64,
    /// Seconds of sound observed; the loop narrows with it.
    observed: f64,
}

impl DeviceClock {
    pub fn new(rate: u32, first_stamp: f64) -> Self {
        let nominal_period = 1.0 / f64::from(rate);
        Self {
            nominal_period,
            period: nominal_period,
            next_index: 0,
            next_time: first_stamp,
            jitter: FIRST_JITTER,
            observed: 0.0,
        }
    }

    /// Seconds a frame takes, as measured.
    pub fn period(&self) -> f64 {
        self.period
    }

    /// How much faster than stated the device runs, in parts per million.
    pub fn drift_ppm(&self) -> f64 {
        (self.nominal_period / self.period - 1.0) * 1e6
    }

    /// The fractional index of the frame that was captured at `time`.
    pub fn index_at(&self, time: f64) -> f64 {
        self.next_index as f64 + (time - self.next_time) / self.period
    }

    /// Where a block stamped `stamp` lies. Changes nothing but the estimate of jitter.
    pub fn fit(&mut self, stamp: f64) -> Fit {
        let error = stamp - self.next_time;
        let limit = (JITTER_REACH * self.jitter).clamp(MIN_STEP, MAX_STEP);
        // The newest hundred stamps or so; a step counts as no more than a step.
        self.jitter += (error.abs().min(MAX_STEP) - self.jitter) * 0.01;
        if error.abs() > limit { Fit::Steps(error) } else { Fit::Follows }
    }

    /// Skips frames that the device did not deliver.
    pub fn skip(&mut self, frames: i64) {
        self.next_index += frames;
        self.next_time += frames as f64 * self.period;
    }

    /// Takes the stamp of a block of `frames` into the loop.
    pub fn observe(&mut self, stamp: f64, frames: usize) {
        let error = stamp - self.next_time;
        let span = frames as f64 * self.period;
        let bandwidth = (FIRST_BANDWIDTH / (1.0 + self.observed)).max(LAST_BANDWIDTH);
        // A loop over blocks of a second would not be stable at a wide bandwidth.
        let omega = (TAU * bandwidth * span).min(0.3);
        self.next_time += SQRT_2 * omega * error + span;
        self.next_index += frames as i64;
        self.period += omega * omega * error / frames.max(1) as f64;
        let (fast, slow) = (self.nominal_period / (1.0 + MAX_DRIFT), self.nominal_period / (1.0 - MAX_DRIFT));
        self.period = self.period.clamp(fast, slow);
        self.observed += span;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repeatable stand-in for jitter, evenly spread over ±`reach`.
    pub fn jitter(seed: &mut u32, reach: f64) -> f64 {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (f64::from(*seed >> 8) / f64::from(1 << 24) - 0.5) * 2.0 * reach
    }

    #[test]
    fn a_device_that_runs_fast_is_measured_through_jitter() {
        let true_period = 1.0 / (48_000.0 * (1.0 + 200e-6));
        let mut seed = 1;
        let mut clock = DeviceClock::new(48_000, 10.0);
        for block in 0..12_000 {
            let stamp = 10.0 + f64::from(block * 480) * true_period + jitter(&mut seed, 0.002);
            assert_eq!(clock.fit(stamp), Fit::Follows);
            clock.observe(stamp, 480);
        }
        assert!((clock.drift_ppm() - 200.0).abs() < 30.0, "{}", clock.drift_ppm());
        let index = clock.index_at(10.0 + 5_760_000.0 * true_period);
        assert!((index - 5_760_000.0).abs() < 24.0, "within half a millisecond: {index}");
    }

    #[test]
    fn exact_stamps_leave_the_nominal_rate() {
        let mut clock = DeviceClock::new(44_100, 0.0);
        for block in 0..100 {
            clock.observe(f64::from(block * 441) / 44_100.0, 441);
        }
        assert!(clock.drift_ppm().abs() < 1e-3);
        assert!((clock.index_at(1.0) - 44_100.0).abs() < 1e-3);
    }

    #[test]
    fn a_missing_block_is_a_step_once_the_device_is_known_to_be_steady() {
        let mut clock = DeviceClock::new(48_000, 0.0);
        for block in 0..500 {
            let stamp = f64::from(block) * 0.01;
            clock.fit(stamp);
            clock.observe(stamp, 480);
        }
        let Fit::Steps(step) = clock.fit(5.01) else { panic!("a block is missing") };
        assert!((step - 0.01).abs() < 1e-6);
    }

    #[test]
    fn a_nonsense_clock_stays_within_the_bound() {
        let mut clock = DeviceClock::new(48_000, 0.0);
        for block in 0..2_000 {
            clock.observe(f64::from(block) * 0.02, 480);
        }
        assert!(clock.drift_ppm() >= -1e6 * MAX_DRIFT - 1.0);
    }
}
