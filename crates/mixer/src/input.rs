//! One source of the mix: its blocks become frames at known indices, which are read at the programme's rate
//! so that what was captured at a time is heard at that time, whatever the device's clock does.

use std::collections::VecDeque;

use media::{AudioBlock, BLOCK_FRAMES, PROGRAMME_CHANNELS, PROGRAMME_RATE};
use rubato::audioadapter_buffers::direct::{InterleavedSlice, SequentialSliceOfVecs};
use rubato::{
    Adjustable, Async, FixedAsync, Resampler, SincInterpolationParameters, SincInterpolationType,
    WindowFunction,
};
use thiserror::Error;

use crate::device_clock::{DeviceClock, Fit, MAX_DRIFT};
use crate::meter::Level;

/// Taps of the resampling filter; half of them are input that must lie ahead of what is read.
const SINC_TAPS: usize = 64;
/// Share of an offset that is corrected in one block: an offset fades with a time constant of 2 s, so a
/// step of a frame bends the pitch by 10 ppm.
const CORRECTION: f64 = 0.005;
/// Seconds that may wait unread; past them the oldest are dropped and counted.
const CAPACITY_SECONDS: usize = 2;
/// A step of more than this, in seconds, is a device that went away and came back: its clock is learnt anew.
const RESTART_SECONDS: f64 = 1.0;
/// An offset of more than this, in seconds, is jumped over instead of bent away.
const SEEK_SECONDS: f64 = 0.1;
/// Rates that devices have.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=768_000;
const MAX_CHANNELS: usize = 64;
/// Indices beyond this come from nonsensical times: at 48 kHz it takes six centuries to get there.
const MAX_INDEX: f64 = 1e15;
/// How a missing frame continues the one before: fades out with a time constant of 1 ms, without a click.
const FADE_OUT: f32 = 0.979;
/// Frames over which sound that comes back is faded in.
const FADE_IN_STEP: f32 = 1.0 / 96.0;

/// Why a block cannot be mixed.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PushError {
    #[error("a sound source states a rate of {0} Hz, which no device has")]
    Rate(u32),
    #[error("a sound source states {0} channels; 1 to 64 can be mixed")]
    Channels(usize),
    #[error("there is no such input")]
    UnknownInput,
}

/// What did not go as it should, in frames of the device since the input was added.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct InputCounts {
    /// Not there when they were to be heard: replaced by silence.
    pub gap: u64,
    /// Came twice, by their timestamps: dropped.
    pub overlap: u64,
    /// Came after they should have been heard: dropped.
    pub late: u64,
    /// Came faster than they were mixed for too long: the oldest were dropped.
    pub overflow: u64,
    /// Not a number: replaced by silence.
    pub invalid: u64,
    /// How often the device's clock was learnt anew.
    pub restarts: u64,
}

/// What is known of an input at its last block.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct InputState {
    /// After gain, before mute: one sees that a muted microphone still hears.
    pub level: Level,
    pub counts: InputCounts,
    /// How much faster than stated its device runs, in parts per million.
    pub drift_ppm: f64,
    /// How far what is heard lies from what its timestamps ask for, in ms; the correction drives it to 0.
    pub offset_ms: f64,
    /// Sound that is waiting, in ms. Falls to nothing where the latency is too short for the device.
    pub buffered_ms: f64,
}

/// Marks a frame that the device never delivered. Pushed samples are cleared of NaN, so it cannot be one.
const MISSING: [f32; 2] = [f32::NAN; 2];

pub struct Input {
    rate: u32,
    clock: Option<DeviceClock>,
    frames: VecDeque<[f32; 2]>,
    /// The index of the first of `frames`.
    front: i64,
    reader: Reader,
    fader: Fader,
    counts: InputCounts,
    offset_seconds: f64,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input")
            .field("rate", &self.rate)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl Input {
    pub fn new() -> Self {
        Self::with_rate(PROGRAMME_RATE)
    }

    fn with_rate(rate: u32) -> Self {
        Self {
            rate,
            clock: None,
            frames: VecDeque::with_capacity(rate as usize * CAPACITY_SECONDS),
            front: 0,
            reader: Reader::new(rate),
            fader: Fader::default(),
            counts: InputCounts::default(),
            offset_seconds: 0.0,
        }
    }

    pub fn counts(&self) -> InputCounts {
        self.counts
    }

    pub fn drift_ppm(&self) -> f64 {
        self.clock.as_ref().map_or(0.0, DeviceClock::drift_ppm)
    }

    pub fn offset_ms(&self) -> f64 {
        self.offset_seconds * 1e3
    }

    pub fn buffered_ms(&self) -> f64 {
        self.frames.len() as f64 * 1e3 / f64::from(self.rate)
    }

    /// Takes a block whose first frame was captured at its timestamp.
    pub fn push(&mut self, block: &AudioBlock) -> Result<(), PushError> {
        if !RATES.contains(&block.rate) {
            return Err(PushError::Rate(block.rate));
        }
        if !(1..=MAX_CHANNELS).contains(&block.channels) {
            return Err(PushError::Channels(block.channels));
        }
        if block.rate != self.rate {
            *self = Self { counts: self.counts, ..Self::with_rate(block.rate) };
        }
        let stamp = block.timestamp.as_secs_f64();
        let skipped = self.place(stamp, block.frames());
        if skipped < block.frames() {
            let clock = self.clock.get_or_insert_with(|| DeviceClock::new(block.rate, stamp));
            let stamp = stamp + skipped as f64 * clock.period();
            clock.observe(stamp, block.frames() - skipped);
            self.store(block, skipped);
        }
        Ok(())
    }

    /// Makes room for a block or finds what of it is there already: returns how many of its first frames
    /// to leave out.
    fn place(&mut self, stamp: f64, frames: usize) -> usize {
        let Some(clock) = &mut self.clock else { return 0 };
        match clock.fit(stamp) {
            Fit::Follows => 0,
            Fit::Steps(step) if step.abs() > RESTART_SECONDS => {
                self.counts.restarts += 1;
                self.clock = None;
                self.frames.clear();
                self.front = 0;
                self.reader.forget();
                0
            }
            Fit::Steps(step) if step > 0.0 => {
                let missing = (step / clock.period()).round() as i64;
                clock.skip(missing);
                // They count as a gap when they should be heard.
                (0..missing).for_each(|_| self.frames.push_back(MISSING));
                0
            }
            Fit::Steps(step) => {
                let twice = ((-step / clock.period()).round() as usize).min(frames);
                self.counts.overlap += twice as u64;
                twice
            }
        }
    }

    /// Appends a block's frames as stereo, and bounds what waits.
    fn store(&mut self, block: &AudioBlock, skipped: usize) {
        for frame in block.samples.chunks_exact(block.channels).skip(skipped) {
            let mut frame = stereo(frame);
            for sample in &mut frame {
                if !sample.is_finite() {
                    *sample = 0.0;
                    self.counts.invalid += 1;
                }
            }
            self.frames.push_back(frame);
        }
        let excess = self.frames.len().saturating_sub(self.rate as usize * CAPACITY_SECONDS);
        self.counts.overflow += excess as u64;
        self.drop_front(excess);
        // What should have been heard already is of no use any more.
        if let Some(next) = self.reader.next_index() {
            while self.front < next
                && let Some(frame) = self.frames.pop_front()
            {
                self.front += 1;
                if !frame[0].is_nan() {
                    self.counts.late += 1;
                }
            }
        }
    }

    fn drop_front(&mut self, count: usize) {
        self.frames.drain(..count);
        self.front += count as i64;
    }

    /// Fills `out` (one programme block, interleaved stereo) with what was captured from `time` on, in
    /// seconds since the studio epoch.
    pub fn read(&mut self, time: f64, out: &mut [f32]) {
        let Some(clock) = &self.clock else { return out.fill(0.0) };
        let period = clock.period();
        let offset = self.reader.aim(clock.index_at(time), period, self.rate);
        self.offset_seconds = offset * period;
        let (frames, front) = (&mut self.frames, &mut self.front);
        let (fader, counts) = (&mut self.fader, &mut self.counts);
        self.reader.read(out, |index| {
            while *front < index && frames.pop_front().is_some() {
                *front += 1;
            }
            let frame = if *front == index { frames.pop_front().inspect(|_| *front += 1) } else { None };
            match frame {
                Some(frame) if !frame[0].is_nan() => fader.heard(frame),
                _ => {
                    // Before its first frame a source is not late.
                    counts.gap += u64::from(index >= 0);
                    fader.missing()
                }
            }
        });
    }
}

/// Down to left and right. Six channels are taken as L R C LFE Ls Rs and mixed as ITU-R BS.775 does;
/// other layouts keep their first two.
fn stereo(frame: &[f32]) -> [f32; 2] {
    const HALF_POWER: f32 = std::f32::consts::FRAC_1_SQRT_2;
    match *frame {
        [mono] => [mono; 2],
        [l, r, c, _, ls, rs] => [l + HALF_POWER * (c + ls), r + HALF_POWER * (c + rs)],
        [l, r, ..] => [l, r],
        [] => [0.0; 2],
    }
}

/// Covers missing frames without clicks.
#[derive(Debug, Default)]
struct Fader {
    last: [f32; 2],
    /// 0 while frames are missing, 1 once sound is back.
    gain: f32,
}

impl Fader {
    fn heard(&mut self, frame: [f32; 2]) -> [f32; 2] {
        self.gain = (self.gain + FADE_IN_STEP).min(1.0);
        self.last = frame.map(|v| v * self.gain);
        self.last
    }

    fn missing(&mut self) -> [f32; 2] {
        self.gain = 0.0;
        self.last = self.last.map(|v| if v.abs() < 1e-6 { 0.0 } else { v * FADE_OUT });
        self.last
    }
}

/// Reads frames at fractional indices, one programme block at a time.
struct Reader {
    resampler: Async<f32>,
    /// Device frames that make one programme frame at the stated rate.
    step: f64,
    input: Vec<Vec<f32>>,
    /// The index of the next frame that the resampler is fed; `None` until it is aimed.
    next: Option<i64>,
    /// The index at which the next output frame lies.
    position: f64,
}

impl Reader {
    fn new(rate: u32) -> Self {
        let parameters = SincInterpolationParameters::new(SINC_TAPS, WindowFunction::BlackmanHarris2)
            .interpolation(SincInterpolationType::Cubic);
        let ratio = f64::from(PROGRAMME_RATE) / f64::from(rate);
        // A little more than is ever asked for, so that rounding cannot pass the resampler's bound.
        let resampler = Async::new_sinc(
            ratio,
            1.0 + 2.0 * MAX_DRIFT,
            &parameters,
            BLOCK_FRAMES,
            PROGRAMME_CHANNELS,
            FixedAsync::Output,
        )
        .expect("the rate was checked, so the ratio is finite and positive");
        let input = vec![vec![0.0; resampler.input_frames_max() + SINC_TAPS]; PROGRAMME_CHANNELS];
        Self { resampler, step: 1.0 / ratio, input, next: None, position: 0.0 }
    }

    /// The index of the first frame that can still be heard.
    fn next_index(&self) -> Option<i64> {
        self.next
    }

    fn forget(&mut self) {
        self.next = None;
    }

    /// Where the first output frame lies from the first frame fed, after a reset: the filter's window
    /// starts almost its own length before that frame and looks half its length ahead.
    fn lead(&self) -> f64 {
        self.step - (SINC_TAPS / 2) as f64
    }

    /// Sets the ratio so that the next block moves towards `wanted`, the index of its first frame. Returns
    /// how far off it is, in frames.
    fn aim(&mut self, wanted: f64, period: f64, rate: u32) -> f64 {
        let reach = SEEK_SECONDS * f64::from(rate);
        let wanted = wanted.clamp(-MAX_INDEX, MAX_INDEX);
        let mut offset = wanted - self.position;
        if self.next.is_none() || offset.abs() > reach {
            let next = (wanted - self.lead()).round();
            self.resampler.reset();
            self.next = Some(next as i64);
            self.position = next + self.lead();
            offset = wanted - self.position;
        }
        // Device frames a programme frame really takes, and a little of the offset.
        let measured = 1.0 / (period * f64::from(PROGRAMME_RATE));
        let step = measured + CORRECTION * offset / BLOCK_FRAMES as f64;
        let relative = (self.step / step).clamp(1.0 / (1.0 + MAX_DRIFT), 1.0 / (1.0 - MAX_DRIFT));
        self.resampler
            .set_resample_ratio_relative(relative, false)
            .expect("the ratio is clamped to half of what the resampler was made for");
        offset
    }

    /// Resamples one block of the frames that `frame_at` gives for rising indices.
    fn read(&mut self, out: &mut [f32], mut frame_at: impl FnMut(i64) -> [f32; 2]) {
        let needed = self.resampler.input_frames_next();
        let first = self.next.unwrap_or(0);
        for offset in 0..needed {
            let frame = frame_at(first + offset as i64);
            self.input[0][offset] = frame[0];
            self.input[1][offset] = frame[1];
        }
        let ratio = self.resampler.resample_ratio();
        let views = (
            SequentialSliceOfVecs::new(&self.input, PROGRAMME_CHANNELS, needed),
            InterleavedSlice::new_mut(out, PROGRAMME_CHANNELS, BLOCK_FRAMES),
        );
        let (Ok(input), Ok(mut output)) = views else {
            unreachable!("the buffers hold the most that the resampler asks for");
        };
        self.resampler
            .process_into_buffer(&input, &mut output, None)
            .expect("the buffers hold what the resampler asks for");
        self.next = Some(first + needed as i64);
        self.position += BLOCK_FRAMES as f64 / ratio;
    }
}
