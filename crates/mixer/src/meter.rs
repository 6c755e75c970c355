//! Levels and loudness: what the meters show.

use ebur128::{EbuR128, Mode};
use media::{PROGRAMME_CHANNELS, PROGRAMME_RATE};

/// What a meter shows for digital silence, in dB: below the noise of 24 bits.
pub const SILENCE_DB: f32 = -150.0;

pub fn db_to_gain(db: f32) -> f32 {
    10f32.powf(db / 20.0)
}

/// At least [`SILENCE_DB`].
pub fn gain_to_db(gain: f32) -> f32 {
    if gain > 0.0 { (20.0 * gain.log10()).max(SILENCE_DB) } else { SILENCE_DB }
}

/// The level of one block, left and right.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Level {
    /// The highest sample, in dB of full scale.
    pub peak_dbfs: [f32; 2],
    /// Root mean square, in dB of a full-scale square wave (a full-scale sine reads −3.01).
    pub rms_dbfs: [f32; 2],
}

impl Level {
    pub const SILENCE: Self = Self { peak_dbfs: [SILENCE_DB; 2], rms_dbfs: [SILENCE_DB; 2] };

    /// Of interleaved stereo.
    pub fn of(samples: &[f32]) -> Self {
        let mut peak = [0.0_f32; 2];
        let mut square = [0.0_f32; 2];
        let frames = samples.as_chunks::<2>().0;
        for frame in frames {
            for channel in 0..2 {
                peak[channel] = peak[channel].max(frame[channel].abs());
                square[channel] += frame[channel] * frame[channel];
            }
        }
        let count = frames.len().max(1) as f32;
        Self { peak_dbfs: peak.map(gain_to_db), rms_dbfs: square.map(|sum| gain_to_db((sum / count).sqrt())) }
    }
}

/// Loudness after EBU R 128 (ITU-R BS.1770), in LUFS; `None` until a window is full or while it is silent.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Loudness {
    /// Over the last 400 ms.
    pub momentary_lufs: Option<f32>,
    /// Over the last 3 s.
    pub short_term_lufs: Option<f32>,
    /// Gated, since the mixer was made.
    pub integrated_lufs: Option<f32>,
}

/// Blocks between two readings: EBU Tech 3341 asks for at least 10 Hz.
const BLOCKS_PER_READING: u32 = 10;

pub struct LoudnessMeter {
    meter: EbuR128,
    blocks: u32,
    newest: Loudness,
}

impl std::fmt::Debug for LoudnessMeter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoudnessMeter").field("newest", &self.newest).finish_non_exhaustive()
    }
}

impl Default for LoudnessMeter {
    fn default() -> Self {
        // The histogram keeps the integrated loudness of a broadcast of any length in fixed memory.
        let mode = Mode::M | Mode::S | Mode::I | Mode::HISTOGRAM;
        let meter = EbuR128::new(PROGRAMME_CHANNELS as u32, PROGRAMME_RATE, mode)
            .expect("stereo at 48 kHz lies within the meter's limits");
        Self { meter, blocks: 0, newest: Loudness::default() }
    }
}

impl LoudnessMeter {
    /// Takes a block of the programme.
    pub fn push(&mut self, samples: &[f32]) -> Loudness {
        // It only refuses partial frames, and a block has none.
        let _ = self.meter.add_frames_f32(samples);
        self.blocks += 1;
        if self.blocks.is_multiple_of(BLOCKS_PER_READING) {
            let reading = |value: Result<f64, ebur128::Error>| {
                value.ok().map(|lufs| lufs as f32).filter(|lufs| *lufs > SILENCE_DB)
            };
            // Before its window is full a reading would be too low.
            let after = |blocks: u32, value| reading(value).filter(|_| self.blocks >= blocks);
            self.newest = Loudness {
                momentary_lufs: after(40, self.meter.loudness_momentary()),
                short_term_lufs: after(300, self.meter.loudness_shortterm()),
                integrated_lufs: after(40, self.meter.loudness_global()),
            };
        }
        self.newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(gain: f32, frames: usize) -> Vec<f32> {
        (0..frames)
            .flat_map(|n| {
                let v = gain * (n as f32 % 48.0 * std::f32::consts::TAU / 48.0).sin();
                [v, v]
            })
            .collect()
    }

    #[test]
    fn a_full_scale_sine_reads_minus_three_rms() {
        let level = Level::of(&sine(1.0, 480));
        assert!((level.rms_dbfs[0] + 3.01).abs() < 0.01, "{level:?}");
        assert!(level.peak_dbfs[1].abs() < 0.05);
        assert_eq!(Level::of(&[0.0; 960]), Level::SILENCE);
    }

    #[test]
    fn a_stereo_sine_at_minus_23_dbfs_reads_minus_23_lufs() {
        // EBU Tech 3341 test 1: 1 kHz, stereo in phase, peak −23 dBFS: all readings −23.0 ±0.1 LUFS.
        let mut meter = LoudnessMeter::default();
        let block = sine(db_to_gain(-23.0), 480);
        let loudness = (0..500).fold(Loudness::default(), |_, _| meter.push(&block));
        for value in [loudness.momentary_lufs, loudness.short_term_lufs, loudness.integrated_lufs] {
            assert!((value.unwrap() + 23.0).abs() < 0.1, "{loudness:?}");
        }
    }

    #[test]
    fn silence_has_no_loudness() {
        let mut meter = LoudnessMeter::default();
        let loudness = (0..400).fold(Loudness::default(), |_, _| meter.push(&[0.0; 960]));
        assert_eq!(loudness, Loudness::default());
    }
}
