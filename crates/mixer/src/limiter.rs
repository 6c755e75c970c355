//! A look-ahead limiter: it turns down before the peak comes, so no sample passes the ceiling.

use crate::meter::db_to_gain;

/// The highest sample that leaves the mixer, in dBFS. Sample peak, not true peak.
pub const CEILING_DBFS: f32 = -1.0;
/// How far ahead the limiter sees, and so how much it delays: 5 ms at 48 kHz.
pub const LOOK_AHEAD_FRAMES: usize = 240;
/// How fast it lets go, as a share of the way per frame: 100 ms to within 1/e.
const RELEASE: f32 = 1.0 / 4_800.0;
/// Frames that decide one gain: the delayed one and all that follow until now.
const WINDOW: usize = LOOK_AHEAD_FRAMES + 1;

/// Gains that a window of frames asks for, kept so that the least is always in front.
#[derive(Debug)]
struct SlidingMinimum {
    /// (frame, gain) with rising gains, as a ring of at most `WINDOW`.
    ring: [(u64, f32); WINDOW],
    front: usize,
    len: usize,
}

impl SlidingMinimum {
    fn new() -> Self {
        Self { ring: [(0, 1.0); WINDOW], front: 0, len: 0 }
    }

    /// Adds the gain of `frame` and returns the least of the last `WINDOW`.
    fn push(&mut self, frame: u64, gain: f32) -> f32 {
        while self.len > 0 && self.ring[(self.front + self.len - 1) % WINDOW].1 >= gain {
            self.len -= 1;
        }
        if self.len > 0 && self.ring[self.front].0 + (WINDOW as u64) <= frame {
            self.front = (self.front + 1) % WINDOW;
            self.len -= 1;
        }
        self.ring[(self.front + self.len) % WINDOW] = (frame, gain);
        self.len += 1;
        self.ring[self.front].1
    }
}

/// Stereo, one gain for both channels so that the image does not wander.
#[derive(Debug)]
pub struct Limiter {
    ceiling: f32,
    minimum: SlidingMinimum,
    /// The last `WINDOW` frames and the gain after release at each, by frame modulo `WINDOW`.
    delay: [[f32; 2]; WINDOW],
    gains: [f32; WINDOW],
    /// Sum of `gains`, in double so that hours of adding and taking away leave no error worth hearing.
    sum: f64,
    released: f32,
    frame: u64,
}

impl Default for Limiter {
    fn default() -> Self {
        Self {
            ceiling: db_to_gain(CEILING_DBFS),
            minimum: SlidingMinimum::new(),
            delay: [[0.0; 2]; WINDOW],
            gains: [1.0; WINDOW],
            sum: WINDOW as f64,
            released: 1.0,
            frame: 0,
        }
    }
}

impl Limiter {
    /// Limits interleaved stereo in place, delaying it by [`LOOK_AHEAD_FRAMES`]. Returns the least gain used.
    ///
    /// Every gain in the averaged window already knows of the delayed frame's peak (each is a minimum over
    /// a window that holds it), so their mean never exceeds what that peak allows.
    pub fn process(&mut self, samples: &mut [f32]) -> f32 {
        let mut least = 1.0_f32;
        for frame in samples.as_chunks_mut::<2>().0 {
            let peak = frame[0].abs().max(frame[1].abs());
            let asked = if peak > self.ceiling { self.ceiling / peak } else { 1.0 };
            let minimum = self.minimum.push(self.frame, asked);
            self.released = minimum.min(self.released + (1.0 - self.released) * RELEASE);
            let slot = (self.frame % WINDOW as u64) as usize;
            self.sum += f64::from(self.released) - f64::from(self.gains[slot]);
            self.gains[slot] = self.released;
            self.delay[slot] = *frame;
            let gain = (self.sum / WINDOW as f64) as f32;
            least = least.min(gain);
            let oldest = self.delay[(slot + 1) % WINDOW];
            // The clamp only takes off the rounding of the mean.
            *frame = oldest.map(|v| (v * gain).clamp(-self.ceiling, self.ceiling));
            self.frame += 1;
        }
        least
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quiet_sound_passes_unchanged_but_for_the_delay() {
        let mut limiter = Limiter::default();
        let mut samples = vec![0.0; 2 * 600];
        samples[20] = 0.5;
        samples[21] = -0.25;
        limiter.process(&mut samples);
        let expected = 20 + 2 * LOOK_AHEAD_FRAMES;
        assert_eq!((samples[expected], samples[expected + 1]), (0.5, -0.25));
        assert_eq!(samples.iter().filter(|v| **v != 0.0).count(), 2);
    }

    #[test]
    fn a_burst_is_turned_down_before_it_comes_and_not_cut_off() {
        let mut limiter = Limiter::default();
        // A burst at four times full scale after a quiet tone.
        let mut samples: Vec<f32> = (0..48_000)
            .flat_map(|n| {
                let level = if (20_000..24_000).contains(&n) { 4.0 } else { 0.1 };
                let v = level * (n as f32 * std::f32::consts::TAU * 1_000.0 / 48_000.0).sin();
                [v, v]
            })
            .collect();
        limiter.process(&mut samples);
        let peak = samples.iter().fold(0.0_f32, |p, v| p.max(v.abs()));
        // −1 dBFS is 10^(−1/20) = 0.8913.
        assert!((0.88..=0.8913).contains(&peak), "{peak}");
        // Clipping would flatten the tops: many samples at the ceiling in a row.
        let longest = samples.chunks_exact(2).fold((0, 0), |(run, longest), f| {
            let run = if f[0].abs() > 0.8912 { run + 1 } else { 0 };
            (run, longest.max(run))
        });
        assert!(longest.1 <= 2, "{longest:?}");
    }

    proptest! {
        #[test]
        fn nothing_passes_the_ceiling(samples in proptest::collection::vec(-20.0f32..20.0, 2_000)) {
            let mut samples = samples;
            Limiter::default().process(&mut samples);
            prop_assert!(samples.iter().all(|v| v.abs() <= 0.891_251));
        }
    }
}
