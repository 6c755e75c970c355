//! The sound thread: sources to mixer to encoders, ten milliseconds at a time.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use codec::{AudioEncoder, AudioEncoderConfig, CodecError};
use media::{
    AudioBlock, AudioTrack, BLOCK_FRAMES, Codec, StopSignal, StudioEpoch, Timescale, Timestamp, Worker,
};
use mixer::{InputId, InputSettings, Level, MIN_LATENCY, Mixer, Mute, ProgrammeMeters, SILENCE_DB};

use crate::broadcast::{GAIN_DB, Sound};
use crate::hub::{Hub, Lane};
use crate::snapshot::{LevelFigures, SoundFigures, SoundSourceFigures, SourceFigures};
use crate::sources::{NamedSound, figures};

const OPUS_KBPS: u32 = 128;
const AAC_KBPS: u32 = 128;
/// How long after its capture a microphone's sound is mixed. It delays sound and picture alike for viewers.
const DEVICE_LATENCY: Timestamp = Timestamp::new(60, Timescale::MILLIS);
/// Behind by more than this (a suspended machine), the thread starts anew at the present; what is missing
/// is filled by the encoders and counted.
const CATCH_UP_MAX_BLOCKS: i64 = 100;
/// Meters are read this often: twenty times a second.
const BLOCKS_A_REPORT: i64 = 5;

#[derive(Default)]
struct Report {
    figures: SoundFigures,
    sources: Vec<SourceFigures>,
}

/// What a person sets on a source; read by the sound thread without a lock.
struct Fader {
    name: String,
    muted: AtomicBool,
    /// An `f32`, in decibels.
    gain_db: AtomicU32,
}

impl Fader {
    fn new(sound: &Sound) -> Self {
        let (gain_db, muted) = sound.fader();
        Self {
            name: sound.name().to_owned(),
            muted: AtomicBool::new(muted),
            gain_db: AtomicU32::new(gain_db.to_bits()),
        }
    }

    fn settings(&self) -> InputSettings {
        let mute = if self.muted.load(Ordering::Relaxed) { Mute::Muted } else { Mute::Heard };
        InputSettings { gain_db: f32::from_bits(self.gain_db.load(Ordering::Relaxed)), mute }
    }
}

/// The programme's sound.
pub struct SoundThread {
    report: Arc<Mutex<Report>>,
    faders: Arc<[Fader]>,
    muted: Arc<AtomicBool>,
    tracks: Vec<AudioTrack>,
    _worker: Worker,
}

#[derive(Debug, thiserror::Error)]
pub enum SoundError {
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("the sound thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl SoundThread {
    /// `open` runs on the new thread: devices' streams may not move between threads.
    pub fn start(
        epoch: StudioEpoch,
        hub: Hub,
        sounds: &[Sound],
        open: impl FnOnce() -> Vec<NamedSound> + Send + 'static,
    ) -> Result<Self, SoundError> {
        let encoders = [
            AudioEncoder::open(AudioEncoderConfig::new(Codec::Opus, OPUS_KBPS))?,
            AudioEncoder::open(AudioEncoderConfig::new(Codec::Aac, AAC_KBPS))?,
        ];
        let tracks = encoders.iter().map(AudioEncoder::track).collect();
        let report = Arc::new(Mutex::new(Report::default()));
        let muted = Arc::new(AtomicBool::new(false));
        let faders: Arc<[Fader]> = sounds.iter().map(Fader::new).collect();
        let (told, silenced, moved) = (Arc::clone(&report), Arc::clone(&muted), Arc::clone(&faders));
        let worker = Worker::spawn("sound", move |stop| {
            Desk::new(epoch, hub, encoders, open(), moved, silenced).run(stop, &told);
        })?;
        Ok(Self { report, faders, muted, tracks, _worker: worker })
    }

    pub fn track(&self, codec: Codec) -> Option<&AudioTrack> {
        self.tracks.iter().find(|track| track.codec == codec)
    }

    /// Mutes every source.
    pub fn set_muted(&self, muted: bool) {
        self.muted.store(muted, Ordering::Relaxed);
    }

    /// `false` where no source is called so.
    pub fn set_source_muted(&self, name: &str, muted: bool) -> bool {
        let fader = self.faders.iter().find(|fader| fader.name == name);
        fader.map(|fader| fader.muted.store(muted, Ordering::Relaxed)).is_some()
    }

    /// In decibels. `false` where no source is called so, or the gain is out of range.
    pub fn set_source_gain(&self, name: &str, gain_db: f32) -> bool {
        if !GAIN_DB.contains(&gain_db) {
            return false;
        }
        let fader = self.faders.iter().find(|fader| fader.name == name);
        fader.map(|fader| fader.gain_db.store(gain_db.to_bits(), Ordering::Relaxed)).is_some()
    }

    pub fn figures(&self) -> SoundFigures {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).figures.clone()
    }

    pub fn sources(&self) -> Vec<SourceFigures> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).sources.clone()
    }
}

/// A source with what it is set to now, and its highest level since it was last told.
struct Strip {
    id: InputId,
    sound: NamedSound,
    settings: InputSettings,
    level: Level,
}

struct Desk {
    epoch: StudioEpoch,
    hub: Hub,
    encoders: [AudioEncoder; 2],
    mixer: Mixer,
    strips: Vec<Strip>,
    /// In the order of `strips`.
    faders: Arc<[Fader]>,
    muted: Arc<AtomicBool>,
    blocks: Vec<AudioBlock>,
    mixed: u64,
    meters: Option<ProgrammeMeters>,
    level: Level,
}

/// The higher of both in every value.
fn higher(a: Level, b: Level) -> Level {
    let each = |a: [f32; 2], b: [f32; 2]| [a[0].max(b[0]), a[1].max(b[1])];
    Level { peak_dbfs: each(a.peak_dbfs, b.peak_dbfs), rms_dbfs: each(a.rms_dbfs, b.rms_dbfs) }
}

fn level_figures(level: Level) -> LevelFigures {
    let heard = |db: f32| (db > SILENCE_DB).then(|| f64::from(db));
    LevelFigures { peak_dbfs: level.peak_dbfs.map(heard), rms_dbfs: level.rms_dbfs.map(heard) }
}

impl Desk {
    fn new(
        epoch: StudioEpoch,
        hub: Hub,
        encoders: [AudioEncoder; 2],
        sounds: Vec<NamedSound>,
        faders: Arc<[Fader]>,
        muted: Arc<AtomicBool>,
    ) -> Self {
        // A device hands over every twenty milliseconds, and late where the machine is busy.
        let from_device = sounds.iter().any(|sound| sound.kind == "microphone");
        let mut mixer = Mixer::new(if from_device { DEVICE_LATENCY } else { MIN_LATENCY });
        let strips = sounds.into_iter().map(|sound| Strip {
            id: mixer.add_input(sound.settings),
            settings: sound.settings,
            sound,
            level: Level::SILENCE,
        });
        let strips = strips.collect();
        Self {
            epoch,
            hub,
            encoders,
            mixer,
            strips,
            faders,
            muted,
            blocks: Vec::new(),
            mixed: 0,
            meters: None,
            level: Level::SILENCE,
        }
    }

    fn run(mut self, stop: &StopSignal, report: &Mutex<Report>) {
        let at = |block: i64| Timestamp::new(block * BLOCK_FRAMES as i64, Timescale::AUDIO);
        let mut next = self.block_now() + 1;
        while !stop.is_set() {
            let due = self.epoch.instant_of(at(next));
            if let Some(wait) = due.checked_duration_since(Instant::now()) {
                // The owner unparks to stop; a spurious wake goes round once more.
                std::thread::park_timeout(wait);
                continue;
            }
            if self.block_now() - next > CATCH_UP_MAX_BLOCKS {
                next = self.block_now();
            }
            self.mix(at(next));
            next += 1;
            if next % BLOCKS_A_REPORT == 0 {
                self.tell(report);
            }
        }
        self.finish();
    }

    fn block_now(&self) -> i64 {
        self.epoch.stamp(Instant::now(), Timescale::AUDIO).ticks().div_euclid(BLOCK_FRAMES as i64)
    }

    fn mix(&mut self, start: Timestamp) {
        let muted = self.muted.load(Ordering::Relaxed);
        for (strip, fader) in self.strips.iter_mut().zip(self.faders.iter()) {
            let wanted = fader.settings();
            let wanted = InputSettings { mute: if muted { Mute::Muted } else { wanted.mute }, ..wanted };
            if wanted != strip.settings {
                strip.settings = wanted;
                // The input was made by this mixer and is never removed.
                let _ = self.mixer.set_input(strip.id, wanted);
            }
            self.blocks.clear();
            strip.sound.source.read(start, &mut self.blocks);
            for block in &self.blocks {
                if let Err(err) = self.mixer.push(strip.id, block) {
                    tracing::debug!("{} was not mixed: {err}", strip.sound.name);
                }
            }
        }
        let mixed = self.mixer.mix(start);
        self.mixed += 1;
        self.meters = Some(mixed.meters);
        self.level = higher(self.level, mixed.meters.level);
        for strip in &mut self.strips {
            let heard = self.mixer.input(strip.id).map_or(Level::SILENCE, |state| state.level);
            strip.level = higher(strip.level, heard);
        }
        // What is heard here was captured that long ago; so stamped, it meets its picture again.
        let timestamp = start.minus(self.mixer.latency());
        if timestamp.ticks() < 0 {
            return;
        }
        self.encode(&AudioBlock { timestamp, ..mixed.block });
    }

    fn encode(&mut self, block: &AudioBlock) {
        for encoder in &mut self.encoders {
            let lane = if encoder.track().codec == Codec::Opus { Lane::Opus } else { Lane::Aac };
            match encoder.encode(block) {
                Ok(packets) => packets.iter().for_each(|packet| self.hub.publish(lane, packet)),
                Err(err) => tracing::error!("sound was not encoded: {err}"),
            }
        }
    }

    fn finish(&mut self) {
        for encoder in &mut self.encoders {
            let lane = if encoder.track().codec == Codec::Opus { Lane::Opus } else { Lane::Aac };
            for packet in encoder.flush().unwrap_or_default() {
                self.hub.publish(lane, &packet);
            }
        }
    }

    fn tell(&mut self, report: &Mutex<Report>) {
        let gap = |strip: &Strip| self.mixer.input(strip.id).map_or(0, |state| state.counts.gap);
        let level = std::mem::replace(&mut self.level, Level::SILENCE);
        let peak = level.peak_dbfs.into_iter().fold(SILENCE_DB, f32::max);
        let filled = self.strips.iter().map(gap).sum();
        let strips = self.strips.iter_mut().map(|strip| SoundSourceFigures {
            name: strip.sound.name.clone(),
            gain_db: f64::from(strip.settings.gain_db),
            muted: strip.settings.mute == Mute::Muted,
            level: level_figures(std::mem::replace(&mut strip.level, Level::SILENCE)),
        });
        let figures_of = SoundFigures {
            blocks: self.mixed,
            filled,
            peak_dbfs: (peak > SILENCE_DB).then(|| f64::from(peak)),
            lufs: self.meters.and_then(|meters| meters.loudness.short_term_lufs).map(f64::from),
            level: level_figures(level),
            sources: strips.collect(),
        };
        let sources = self.strips.iter().map(|strip| {
            let sound = &strip.sound;
            figures(&sound.name, sound.kind, sound.source.status())
        });
        let sources = sources.collect();
        *report.lock().unwrap_or_else(PoisonError::into_inner) = Report { figures: figures_of, sources };
    }
}
