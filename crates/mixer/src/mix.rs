//! The mix itself: every input at its gain, summed, limited and measured, one programme block at a time.

use std::sync::Arc;

use media::{AudioBlock, BLOCK_FRAMES, PROGRAMME_CHANNELS, PROGRAMME_RATE, Timescale, Timestamp};

use crate::input::{Input, InputState, PushError};
use crate::limiter::{LOOK_AHEAD_FRAMES, Limiter};
use crate::meter::{Level, Loudness, LoudnessMeter, SILENCE_DB, db_to_gain, gain_to_db};

const SAMPLES: usize = BLOCK_FRAMES * PROGRAMME_CHANNELS;

/// The least delay with which sound can be mixed: a block, the limiter's view and the resampler's filter,
/// and as much again for a device to deliver in.
pub const MIN_LATENCY: Timestamp = Timestamp::new(30, Timescale::MILLIS);

/// Names an input of one mixer; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct InputId(u32);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mute {
    #[default]
    Heard,
    Muted,
}

/// What a person sets on an input. A change is faded in over one block.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct InputSettings {
    pub gain_db: f32,
    pub mute: Mute,
    /// Heard by whoever listens at the desk too, as long as it is not muted.
    pub monitored: bool,
    /// Heard at the desk alone with others like it, muted or not. The programme does not hear that.
    pub soloed: bool,
}

/// What the programme's meters show.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ProgrammeMeters {
    pub level: Level,
    pub loudness: Loudness,
    /// How much the limiter takes away, in dB: 0 or less.
    pub limiter_db: f32,
}

/// One block of the programme.
#[derive(Clone, Debug)]
pub struct Mixed {
    /// 10 ms at 48 kHz, stereo, stamped with the `start` that was asked for.
    pub block: AudioBlock,
    pub meters: ProgrammeMeters,
    /// What is heard at the desk, stamped alike; `None` where nothing is listened to.
    pub monitor: Option<AudioBlock>,
}

#[derive(Debug)]
struct Strip {
    id: InputId,
    settings: InputSettings,
    /// Gain at the end of the last block.
    gain: f32,
    audible: f32,
    /// As `audible`, at the desk.
    listened: f32,
    level: Level,
    input: Input,
}

/// The audio graph. Time comes in with the blocks and with `mix`.
///
/// A sample captured at time t is heard in the block that covers t + [`Mixer::latency`], the same for every
/// input, whatever its rate, its drift and its block size.
#[derive(Debug)]
pub struct Mixer {
    latency: Timestamp,
    strips: Vec<Strip>,
    next_id: u32,
    master_gain_db: f32,
    master_gain: f32,
    limiter: Limiter,
    loudness: LoudnessMeter,
    sum: Box<[f32; SAMPLES]>,
    monitor: Box<[f32; SAMPLES]>,
    scratch: Box<[f32; SAMPLES]>,
}

impl Mixer {
    /// `latency` is raised to [`MIN_LATENCY`]. It must cover what the slowest input needs to deliver: with
    /// `mix` called as soon as a block begins, a sample may reach `push` up to `latency` − 16 ms after it
    /// was captured.
    pub fn new(latency: Timestamp) -> Self {
        Self {
            latency: latency.max(MIN_LATENCY),
            strips: Vec::new(),
            next_id: 0,
            master_gain_db: 0.0,
            master_gain: 1.0,
            limiter: Limiter::default(),
            loudness: LoudnessMeter::default(),
            sum: Box::new([0.0; SAMPLES]),
            monitor: Box::new([0.0; SAMPLES]),
            scratch: Box::new([0.0; SAMPLES]),
        }
    }

    /// The delay from capture to the programme, limiter and resampler included.
    pub fn latency(&self) -> Timestamp {
        self.latency
    }

    /// Raises the latency to `wanted`, by whole blocks, where it is lower: for an input that delivers later than all
    /// before it. Returns by how many blocks. Whoever mixes leaves out so many starts: then the next block follows the
    /// last one's sound without a gap, and each comes that much later.
    pub fn raise_latency(&mut self, wanted: Timestamp) -> i64 {
        let block = BLOCK_FRAMES as i64;
        let missing = wanted.minus(self.latency).rescale(Timescale::AUDIO).ticks().max(0);
        let blocks = (missing + block - 1) / block;
        self.latency = self.latency.plus(Timestamp::new(blocks * block, Timescale::AUDIO));
        blocks
    }

    pub fn add_input(&mut self, settings: InputSettings) -> InputId {
        let id = InputId(self.next_id);
        self.next_id += 1;
        self.strips.push(Strip {
            id,
            settings,
            gain: db_to_gain(settings.gain_db),
            audible: audible(settings),
            listened: 0.0,
            level: Level::SILENCE,
            input: Input::new(),
        });
        id
    }

    /// Does nothing when there is no such input.
    pub fn remove_input(&mut self, id: InputId) {
        self.strips.retain(|strip| strip.id != id);
    }

    fn strip(&mut self, id: InputId) -> Result<&mut Strip, PushError> {
        self.strips.iter_mut().find(|strip| strip.id == id).ok_or(PushError::UnknownInput)
    }

    pub fn set_input(&mut self, id: InputId, settings: InputSettings) -> Result<(), PushError> {
        self.strip(id)?.settings = settings;
        Ok(())
    }

    /// The gain of the whole programme, before the limiter.
    pub fn set_master_gain_db(&mut self, gain_db: f32) {
        self.master_gain_db = gain_db;
    }

    /// Hands an input a block of any rate and length; its timestamp is when its first frame was captured.
    pub fn push(&mut self, id: InputId, block: &AudioBlock) -> Result<(), PushError> {
        self.strip(id)?.input.push(block)
    }

    /// Meters, counts and drift of an input.
    pub fn input(&self, id: InputId) -> Option<InputState> {
        let strip = self.strips.iter().find(|strip| strip.id == id)?;
        Some(InputState {
            level: strip.level,
            counts: strip.input.counts(),
            drift_ppm: strip.input.drift_ppm(),
            offset_ms: strip.input.offset_ms(),
            buffered_ms: strip.input.buffered_ms(),
        })
    }

    /// The programme from `start` on. Blocks are asked for in order, each 10 ms after the last; a jump makes
    /// every input seek.
    pub fn mix(&mut self, start: Timestamp) -> Mixed {
        let look_ahead = Timestamp::new(LOOK_AHEAD_FRAMES as i64, Timescale::AUDIO);
        let time = start.minus(self.latency).as_secs_f64() + look_ahead.as_secs_f64();
        let any_soloed = self.strips.iter().any(|strip| strip.settings.soloed);
        let mut is_listened = false;
        self.sum.fill(0.0);
        self.monitor.fill(0.0);
        for strip in &mut self.strips {
            strip.input.read(time, &mut self.scratch[..]);
            ramp(&mut self.scratch[..], &mut strip.gain, db_to_gain(strip.settings.gain_db));
            strip.level = Level::of(&self.scratch[..]);
            let listened = listened(strip.settings, any_soloed);
            if strip.listened > 0.0 || listened > 0.0 {
                is_listened = true;
                add_ramped(&mut self.monitor[..], &self.scratch[..], strip.listened, listened);
                strip.listened = listened;
            }
            ramp(&mut self.scratch[..], &mut strip.audible, audible(strip.settings));
            self.sum.iter_mut().zip(&self.scratch[..]).for_each(|(sum, v)| *sum += v);
        }
        ramp(&mut self.sum[..], &mut self.master_gain, db_to_gain(self.master_gain_db));
        let least = self.limiter.process(&mut self.sum[..]);
        let meters = ProgrammeMeters {
            level: Level::of(&self.sum[..]),
            loudness: self.loudness.push(&self.sum[..]),
            limiter_db: gain_to_db(least).min(0.0),
        };
        let block = |samples: &[f32]| AudioBlock {
            rate: PROGRAMME_RATE,
            channels: PROGRAMME_CHANNELS,
            samples: Arc::from(samples),
            timestamp: start,
        };
        // It goes to one pair of ears, past no limiter: what is beyond full scale is cut off there.
        let monitor = is_listened.then(|| {
            self.monitor.iter_mut().for_each(|sample| *sample = sample.clamp(-1.0, 1.0));
            block(&self.monitor[..])
        });
        Mixed { block: block(&self.sum[..]), meters, monitor }
    }
}

fn listened(settings: InputSettings, any_soloed: bool) -> f32 {
    match (any_soloed, settings.monitored) {
        (true, _) => f32::from(u8::from(settings.soloed && settings.gain_db > SILENCE_DB)),
        (false, true) => audible(settings),
        (false, false) => 0.0,
    }
}

/// Adds `samples` to `sum` at a gain that goes `from` one `to` another over the block.
fn add_ramped(sum: &mut [f32], samples: &[f32], from: f32, to: f32) {
    let (sum, samples) = (sum.as_chunks_mut::<2>().0, samples.as_chunks::<2>().0);
    let step = (to - from) / samples.len().max(1) as f32;
    for (n, (sum, sample)) in sum.iter_mut().zip(samples).enumerate() {
        let gain = from + step * (n + 1) as f32;
        sum.iter_mut().zip(sample).for_each(|(sum, v)| *sum += v * gain);
    }
}

fn audible(settings: InputSettings) -> f32 {
    match settings.mute {
        // A fader at the bottom is off.
        Mute::Heard if settings.gain_db > SILENCE_DB => 1.0,
        Mute::Heard | Mute::Muted => 0.0,
    }
}

/// Moves the gain from `gain` to `target` over the block: a jump would click.
fn ramp(samples: &mut [f32], gain: &mut f32, target: f32) {
    let from = std::mem::replace(gain, target);
    if from == 1.0 && target == 1.0 {
        return;
    }
    let frames = samples.as_chunks_mut::<2>().0;
    let step = (target - from) / frames.len().max(1) as f32;
    for (n, frame) in frames.iter_mut().enumerate() {
        let gain = from + step * (n + 1) as f32;
        *frame = frame.map(|v| v * gain);
    }
}
