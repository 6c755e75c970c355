//! A test tone: a beep at each whole second of media time, which the test pattern's flash accompanies.

use std::f32::consts::TAU;

use media::{AudioBlock, BLOCK_FRAMES, PROGRAMME_CHANNELS, PROGRAMME_RATE, Timescale, Timestamp};

use crate::source::{SoundSource, SourceStatus};

pub const BEEP_HERTZ: u32 = 1_000;
/// 100 ms: a whole number of periods, so the beep ends as silently as it begins.
pub const BEEP_FRAMES: i64 = 4_800;
/// Peak of the beep.
pub const BEEP_DBFS: f32 = -12.0;
/// The bed lies far enough under the beep to be told from it by level alone.
const BED_HERTZ: f32 = 220.0;
const BED_DBFS: f32 = -42.0;
/// A reader that comes back after more than this gets only the newest part.
const MAX_BLOCKS: i64 = 100;

/// What is heard between the beeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Bed {
    #[default]
    Silence,
    /// A quiet tone of 220 Hz, so that a listener hears that there is sound.
    Hum,
}

/// Sound made of arithmetic: the sample at a time is always the same.
#[derive(Debug)]
pub struct TestTone {
    bed: Bed,
    /// The block after the last one read, on the grid of whole blocks since the epoch.
    next_block: Option<i64>,
}

impl TestTone {
    pub fn new(bed: Bed) -> Self {
        Self { bed, next_block: None }
    }

    /// The sample at frame `index` since the epoch.
    fn sample(&self, index: i64) -> f32 {
        let rate = i64::from(PROGRAMME_RATE);
        let in_second = index.rem_euclid(rate);
        let tone = |hertz: f32, dbfs: f32| {
            // Reduced before it becomes a float, so the phase is as exact after a day as at first.
            10f32.powf(dbfs / 20.0) * (TAU * hertz * in_second as f32 / rate as f32).sin()
        };
        match (in_second < BEEP_FRAMES, self.bed) {
            (true, _) => tone(BEEP_HERTZ as f32, BEEP_DBFS),
            (false, Bed::Hum) => tone(BED_HERTZ, BED_DBFS),
            (false, Bed::Silence) => 0.0,
        }
    }

    fn block(&self, block: i64) -> AudioBlock {
        let first = block * BLOCK_FRAMES as i64;
        let samples = (first..first + BLOCK_FRAMES as i64)
            .flat_map(|index| [self.sample(index); PROGRAMME_CHANNELS])
            .collect();
        AudioBlock {
            rate: PROGRAMME_RATE,
            channels: PROGRAMME_CHANNELS,
            samples,
            timestamp: Timestamp::new(first, Timescale::AUDIO),
        }
    }
}

impl SoundSource for TestTone {
    fn read(&mut self, until: Timestamp, out: &mut Vec<AudioBlock>) {
        let end = until.rescale(Timescale::AUDIO).ticks().div_euclid(BLOCK_FRAMES as i64);
        let first = self.next_block.unwrap_or(end - 1).max(end - MAX_BLOCKS);
        out.extend((first..end).map(|block| self.block(block)));
        self.next_block = Some(end.max(first));
    }

    fn status(&self) -> SourceStatus {
        SourceStatus::Live
    }

    fn name(&self) -> &str {
        "Test tone"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(ms: i64) -> Timestamp {
        Timestamp::new(ms, Timescale::MILLIS)
    }

    #[test]
    fn a_beep_begins_at_the_whole_second_and_lasts_100_ms() {
        let mut tone = TestTone::new(Bed::Silence);
        let mut blocks = Vec::new();
        tone.read(millis(1_900), &mut blocks);
        blocks.clear();
        tone.read(millis(2_300), &mut blocks);
        let left: Vec<f32> = blocks.iter().flat_map(|b| b.samples.iter().step_by(2).copied()).collect();
        assert_eq!(blocks[0].timestamp, millis(1_900));
        assert_eq!(left.len(), 400 * 48);
        let sounding: Vec<usize> = (0..left.len()).filter(|&n| left[n].abs() > 1e-4).collect();
        // The sine is 0 at its first sample; the last period's zeros lie 24 and 0 samples before the end.
        assert_eq!(sounding[0], 100 * 48 + 1);
        assert_eq!(sounding[sounding.len() - 1], 200 * 48 - 1);
        // −12 dBFS is 0.2512.
        let peak = left.iter().fold(0.0_f32, |p, v| p.max(*v));
        assert!((peak - 0.2512).abs() < 1e-4);
        // 1 kHz has 48 samples a period.
        let first = 100 * 48;
        assert!((left[first + 12] - peak).abs() < 1e-4 && left[first + 24].abs() < 1e-4);
    }

    #[test]
    fn reading_goes_on_without_a_seam_and_gives_whole_blocks_only() {
        let mut tone = TestTone::new(Bed::Hum);
        let mut blocks = Vec::new();
        for now in [25, 26, 39, 40, 71] {
            tone.read(millis(now), &mut blocks);
        }
        let starts: Vec<i64> = blocks.iter().map(|b| b.timestamp.ticks()).collect();
        assert_eq!(starts, [480, 960, 1_440, 1_920, 2_400, 2_880]);
    }

    #[test]
    fn a_reader_that_stalled_for_an_hour_gets_no_more_than_a_second() {
        let mut tone = TestTone::new(Bed::Silence);
        let mut blocks = Vec::new();
        tone.read(millis(20), &mut blocks);
        blocks.clear();
        tone.read(millis(3_600_000), &mut blocks);
        assert_eq!(blocks.len(), 100);
        blocks.clear();
        tone.read(millis(20), &mut blocks);
        assert!(blocks.is_empty(), "time that runs backwards gives nothing");
    }
}
