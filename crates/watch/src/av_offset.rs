//! Sound against picture: the instant at which a beep is heard less the instant at which its flash is seen.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use media::AudioBlock;

/// The source beeps at −12 dBFS (0.25) over a bed at −42 (0.008): this tells them apart after any encoder.
const THRESHOLD: f32 = 0.05;
/// Sound must have been below the threshold this long before a beep begins; a beep lasts 100 ms.
const QUIET: Duration = Duration::from_millis(150);
/// Flashes and beeps are a second apart, so what is further apart than half of it belongs to others.
const PAIR_MAX: Duration = Duration::from_millis(450);
/// The median is taken over this many pairs.
const WINDOW: usize = 61;

/// Finds where beeps begin in decoded sound.
#[derive(Debug, Default)]
pub struct BeepDetector {
    quiet_frames: u64,
}

impl BeepDetector {
    /// The frames of `block` at which a beep begins, each as the time since the block's first frame.
    pub fn onsets(&mut self, block: &AudioBlock) -> Vec<Duration> {
        let rate = block.rate.max(1);
        let needed = QUIET.as_millis() as u64 * u64::from(rate) / 1000;
        let mut onsets = Vec::new();
        for (index, frame) in block.samples.chunks(block.channels.max(1)).enumerate() {
            if frame.iter().all(|sample| sample.abs() < THRESHOLD) {
                self.quiet_frames += 1;
                continue;
            }
            if self.quiet_frames >= needed {
                onsets.push(Duration::from_secs_f64(index as f64 / f64::from(rate)));
            }
            self.quiet_frames = 0;
        }
        onsets
    }
}

/// Pairs flashes with beeps.
#[derive(Debug, Default)]
pub struct AvOffset {
    flashes: VecDeque<Instant>,
    beeps: VecDeque<Instant>,
    offsets_ms: VecDeque<f64>,
}

impl AvOffset {
    /// A picture that begins a flash was presented at `at`.
    pub fn flash(&mut self, at: Instant) {
        push(&mut self.flashes, at);
        self.pair();
    }

    /// A beep begins to be heard at `at`.
    pub fn beep(&mut self, at: Instant) {
        push(&mut self.beeps, at);
        self.pair();
    }

    /// The median in milliseconds, positive where the sound is late; `None` before the first pair.
    pub fn median_ms(&self) -> Option<f64> {
        let mut sorted: Vec<f64> = self.offsets_ms.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    }

    fn pair(&mut self) {
        while let (Some(&flash), Some(&beep)) = (self.flashes.front(), self.beeps.front()) {
            let (early, late) = (flash.min(beep), flash.max(beep));
            if late - early <= PAIR_MAX {
                let apart_ms = (late - early).as_secs_f64() * 1e3;
                if self.offsets_ms.len() == WINDOW {
                    self.offsets_ms.pop_front();
                }
                self.offsets_ms.push_back(if beep >= flash { apart_ms } else { -apart_ms });
                self.flashes.pop_front();
                self.beeps.pop_front();
            } else if flash < beep {
                // Its beep was lost, or came before we listened.
                self.flashes.pop_front();
            } else {
                self.beeps.pop_front();
            }
        }
    }
}

/// A partner that never comes must not let its queue grow.
fn push(queue: &mut VecDeque<Instant>, at: Instant) {
    const WAITING_MAX: usize = 4;
    if queue.len() == WAITING_MAX {
        queue.pop_front();
    }
    queue.push_back(at);
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::{Timescale, Timestamp};

    const MS: Duration = Duration::from_millis(1);

    fn block(samples: impl Iterator<Item = f32>) -> AudioBlock {
        let samples = samples.flat_map(|sample| [sample, sample]).collect();
        AudioBlock { rate: 48_000, channels: 2, samples, timestamp: Timestamp::zero(Timescale::AUDIO) }
    }

    #[test]
    fn a_beep_begins_where_quiet_ends() {
        let mut detector = BeepDetector::default();
        // 200 ms of a quiet bed, then a beep that begins 240 frames, hence 5 ms, into the next block.
        assert!(detector.onsets(&block((0..9600).map(|_| 0.01))).is_empty());
        let beep = block((0..4800).map(|n| if n < 240 { 0.01 } else { 0.25 }));
        assert_eq!(detector.onsets(&beep), [5 * MS]);
        // A wave's own zeros do not begin another.
        assert!(detector.onsets(&block((0..480).map(|n| if n % 48 < 24 { 0.25 } else { 0.0 }))).is_empty());
    }

    #[test]
    fn sound_from_the_first_sample_on_is_no_onset() {
        assert!(BeepDetector::default().onsets(&block((0..4800).map(|_| 0.25))).is_empty());
    }

    #[test]
    fn the_median_of_the_pairs_is_told_positive_where_sound_is_late() {
        let (mut offset, start) = (AvOffset::default(), Instant::now() + Duration::from_secs(10));
        assert_eq!(offset.median_ms(), None);
        for (second, late_ms) in [4, 40, 6].into_iter().enumerate() {
            let flash = start + Duration::from_secs(second as u64);
            offset.flash(flash);
            offset.beep(flash + late_ms * MS);
        }
        assert_eq!(offset.median_ms(), Some(6.0));
        let mut offset = AvOffset::default();
        offset.beep(start - 7 * MS);
        offset.flash(start);
        assert_eq!(offset.median_ms(), Some(-7.0));
    }

    #[test]
    fn a_flash_whose_beep_was_lost_does_not_pair_with_the_next() {
        let (mut offset, start) = (AvOffset::default(), Instant::now());
        offset.flash(start);
        offset.flash(start + 1000 * MS);
        offset.beep(start + 1003 * MS);
        assert_eq!(offset.median_ms(), Some(3.0));
    }

    #[test]
    fn partners_that_never_come_take_no_memory() {
        let (mut offset, start) = (AvOffset::default(), Instant::now());
        (0..1000).for_each(|n| offset.flash(start + 1000 * MS * n));
        assert!(offset.flashes.len() <= 4);
    }
}
