//! The sound thread: sources to mixer to encoders, ten milliseconds at a time.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use codec::{AudioEncoder, AudioEncoderConfig, CodecError};
use media::{
    AudioBlock, AudioTrack, BLOCK_FRAMES, Codec, StopSignal, StudioEpoch, Timescale, Timestamp, Worker,
};
use mixer::{InputId, InputSettings, Level, MIN_LATENCY, Mixer, Mute, ProgrammeMeters, SILENCE_DB};

use crate::broadcast::Sound;
use crate::hub::{Hub, Lane};
use crate::monitor::Monitor;
use crate::snapshot::{LevelFigures, SoundFigures, SoundSourceFigures, SourceFigures};
use crate::source_list::SourceId;
use crate::sources::{NamedSound, figures};

const OPUS_KBPS: u32 = 128;
const AAC_KBPS: u32 = 128;
/// How long after its capture sound is mixed from the first microphone on. A device hands over every twenty
/// milliseconds, and late where the machine is busy. It delays sound and picture alike for viewers.
const DEVICE_LATENCY: Timestamp = Timestamp::new(60, Timescale::MILLIS);
/// Sources that wait to be mixed or to be taken away. Full: the thread that opens them waits.
const COMMANDS: usize = 16;
/// Behind by more than this (a suspended machine), the thread starts anew at the present; what is missing
/// is filled by the encoders and counted.
const CATCH_UP_MAX_BLOCKS: i64 = 100;
/// Meters are read this often: twenty times a second.
const BLOCKS_A_REPORT: u64 = 5;

#[derive(Default)]
struct Report {
    figures: SoundFigures,
    sources: Vec<(SourceId, SourceFigures)>,
}

/// What becomes of sources while sound is mixed; each takes effect with the next block.
pub enum SoundCommand {
    Add(NamedSound, Arc<Fader>),
    /// Fades a source out and hands it to whoever has the time to end it; nothing, where there is none.
    Take(SourceId, SyncSender<NamedSound>),
}

/// What a person sets on a source; read by the sound thread without a lock.
pub struct Fader {
    name: String,
    muted: AtomicBool,
    monitored: AtomicBool,
    soloed: AtomicBool,
    /// An `f32`, in decibels.
    gain_db: AtomicU32,
}

impl Fader {
    pub fn new(sound: &Sound) -> Self {
        let (gain_db, muted) = sound.fader();
        Self {
            name: sound.name().to_owned(),
            muted: AtomicBool::new(muted),
            monitored: AtomicBool::new(false),
            soloed: AtomicBool::new(false),
            gain_db: AtomicU32::new(gain_db.to_bits()),
        }
    }

    fn settings(&self) -> InputSettings {
        InputSettings {
            gain_db: f32::from_bits(self.gain_db.load(Ordering::Relaxed)),
            mute: if self.muted.load(Ordering::Relaxed) { Mute::Muted } else { Mute::Heard },
            monitored: self.monitored.load(Ordering::Relaxed),
            soloed: self.soloed.load(Ordering::Relaxed),
        }
    }

    pub fn set_muted(&self, muted: bool) {
        self.muted.store(muted, Ordering::Relaxed);
    }

    pub fn set_monitored(&self, monitored: bool) {
        self.monitored.store(monitored, Ordering::Relaxed);
    }

    pub fn set_soloed(&self, soloed: bool) {
        self.soloed.store(soloed, Ordering::Relaxed);
    }

    /// One that is within [`GAIN_DB`](crate::broadcast::GAIN_DB).
    pub fn set_gain_db(&self, gain_db: f32) {
        self.gain_db.store(gain_db.to_bits(), Ordering::Relaxed);
    }
}

/// Every fader, for whoever sets them. Clones are the same.
#[derive(Clone, Default)]
pub struct Faders(Arc<Mutex<Vec<Arc<Fader>>>>);

impl Faders {
    fn locked(&self) -> MutexGuard<'_, Vec<Arc<Fader>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn add(&self, fader: Arc<Fader>) {
        self.locked().push(fader);
    }

    pub fn remove(&self, name: &str) {
        self.locked().retain(|fader| fader.name != name);
    }

    pub fn find(&self, name: &str) -> Option<Arc<Fader>> {
        self.locked().iter().find(|fader| fader.name == name).cloned()
    }
}

/// The programme's sound.
pub struct SoundThread {
    commands: SyncSender<SoundCommand>,
    report: Arc<Mutex<Report>>,
    faders: Faders,
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
        let (commands, incoming) = sync_channel(COMMANDS);
        let listed: Vec<_> = sounds.iter().map(|sound| Arc::new(Fader::new(sound))).collect();
        let faders = Faders(Arc::new(Mutex::new(listed.clone())));
        let (told, silenced) = (Arc::clone(&report), Arc::clone(&muted));
        let worker = Worker::spawn("sound", move |stop| {
            let mut desk = Desk::new(epoch, hub, encoders, incoming, silenced);
            open().into_iter().zip(listed).for_each(|(sound, fader)| desk.add(sound, fader));
            desk.begin();
            desk.run(stop, &told);
        })?;
        Ok(Self { commands, report, faders, muted, tracks, _worker: worker })
    }

    /// For a thread that may wait until there is room.
    pub fn commands(&self) -> SyncSender<SoundCommand> {
        self.commands.clone()
    }

    pub fn faders(&self) -> Faders {
        self.faders.clone()
    }

    pub fn track(&self, codec: Codec) -> Option<&AudioTrack> {
        self.tracks.iter().find(|track| track.codec == codec)
    }

    /// Mutes every source.
    pub fn set_muted(&self, muted: bool) {
        self.muted.store(muted, Ordering::Relaxed);
    }

    /// `false` where no source is called so.
    pub fn set(&self, name: &str, change: impl FnOnce(&Fader)) -> bool {
        self.faders.find(name).map(|fader| change(&fader)).is_some()
    }

    pub fn figures(&self) -> SoundFigures {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).figures.clone()
    }

    pub fn sources(&self) -> Vec<(SourceId, SourceFigures)> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).sources.clone()
    }
}

/// When a block is mixed.
fn block_start(block: i64) -> Timestamp {
    Timestamp::new(block * BLOCK_FRAMES as i64, Timescale::AUDIO)
}

/// A source with what it is set to now, and its highest level since it was last told.
struct Strip {
    id: InputId,
    sound: NamedSound,
    fader: Arc<Fader>,
    /// Who takes it once it is faded out.
    taker: Option<SyncSender<NamedSound>>,
    settings: InputSettings,
    level: Level,
}

impl Strip {
    /// `muted`: everything is. What is to go is faded out for everybody.
    fn settings_now(&self, muted: bool) -> InputSettings {
        let set = self.fader.settings();
        match (&self.taker, muted) {
            (Some(_), _) => InputSettings { mute: Mute::Muted, monitored: false, soloed: false, ..set },
            (None, true) => InputSettings { mute: Mute::Muted, ..set },
            (None, false) => set,
        }
    }
}

struct Desk {
    epoch: StudioEpoch,
    hub: Hub,
    encoders: [AudioEncoder; 2],
    mixer: Mixer,
    strips: Vec<Strip>,
    incoming: Receiver<SoundCommand>,
    muted: Arc<AtomicBool>,
    blocks: Vec<AudioBlock>,
    monitor: Monitor,
    mixed: u64,
    /// The number of the next block.
    next: i64,
    /// Samples that sources which are gone did not have.
    filled: u64,
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
        incoming: Receiver<SoundCommand>,
        muted: Arc<AtomicBool>,
    ) -> Self {
        Self {
            epoch,
            hub,
            encoders,
            mixer: Mixer::new(MIN_LATENCY),
            strips: Vec::new(),
            incoming,
            muted,
            blocks: Vec::new(),
            monitor: Monitor::default(),
            mixed: 0,
            next: 0,
            filled: 0,
            meters: None,
            level: Level::SILENCE,
        }
    }

    fn add(&mut self, sound: NamedSound, fader: Arc<Fader>) {
        if sound.kind == "microphone" {
            self.next += self.mixer.raise_latency(DEVICE_LATENCY);
        }
        let id = self.mixer.add_input(sound.settings);
        let (settings, level) = (sound.settings, Level::SILENCE);
        self.strips.push(Strip { id, sound, fader, taker: None, settings, level });
    }

    fn obey(&mut self) {
        while let Ok(command) = self.incoming.try_recv() {
            match command {
                SoundCommand::Add(sound, fader) => self.add(sound, fader),
                SoundCommand::Take(id, taker) => {
                    if let Some(strip) = self.strips.iter_mut().find(|strip| strip.sound.id == id) {
                        strip.taker = Some(taker);
                    }
                }
            }
        }
    }

    /// Those that were faded out in this block.
    fn let_go(&mut self) {
        while let Some(at) = self.strips.iter().position(|strip| strip.taker.is_some()) {
            let Strip { id, sound, taker, .. } = self.strips.remove(at);
            self.filled += self.gap(id);
            self.mixer.remove_input(id);
            // There is room for one, and whoever asked waits for it.
            let _ = taker.map(|taker| taker.try_send(sound));
        }
    }

    fn begin(&mut self) {
        self.next = self.block_now() + 1;
    }

    fn run(mut self, stop: &StopSignal, report: &Mutex<Report>) {
        while !stop.is_set() {
            // It may move the next block to a later one.
            self.obey();
            let due = self.epoch.instant_of(block_start(self.next));
            if let Some(wait) = due.checked_duration_since(Instant::now()) {
                // The owner unparks to stop; a spurious wake goes round once more.
                std::thread::park_timeout(wait);
                continue;
            }
            if self.block_now() - self.next > CATCH_UP_MAX_BLOCKS {
                self.next = self.block_now();
            }
            self.mix(block_start(self.next));
            self.let_go();
            self.next += 1;
            if self.mixed.is_multiple_of(BLOCKS_A_REPORT) {
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
        for strip in &mut self.strips {
            let wanted = strip.settings_now(muted);
            if wanted != strip.settings {
                strip.settings = wanted;
                // The input was made by this mixer, and goes with its strip.
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
        self.monitor.hear(mixed.monitor, self.epoch.instant_of(start));
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

    fn gap(&self, id: InputId) -> u64 {
        self.mixer.input(id).map_or(0, |state| state.counts.gap)
    }

    fn tell(&mut self, report: &Mutex<Report>) {
        let level = std::mem::replace(&mut self.level, Level::SILENCE);
        let peak = level.peak_dbfs.into_iter().fold(SILENCE_DB, f32::max);
        let filled = self.filled + self.strips.iter().map(|strip| self.gap(strip.id)).sum::<u64>();
        let strips = self.strips.iter_mut().map(|strip| SoundSourceFigures {
            name: strip.sound.name.clone(),
            gain_db: f64::from(strip.settings.gain_db),
            muted: strip.settings.mute == Mute::Muted,
            monitored: strip.settings.monitored,
            soloed: strip.settings.soloed,
            level: level_figures(std::mem::replace(&mut strip.level, Level::SILENCE)),
        });
        let figures_of = SoundFigures {
            blocks: self.mixed,
            filled,
            peak_dbfs: (peak > SILENCE_DB).then(|| f64::from(peak)),
            lufs: self.meters.and_then(|meters| meters.loudness.short_term_lufs).map(f64::from),
            level: level_figures(level),
            sources: strips.collect(),
            monitor: self.monitor.figures(self.epoch.instant_of(block_start(self.next))),
        };
        let sources = self.strips.iter().map(|strip| {
            let sound = &strip.sound;
            (sound.id, figures(&sound.name, sound.kind, sound.source.status()))
        });
        let sources = sources.collect();
        *report.lock().unwrap_or_else(PoisonError::into_inner) = Report { figures: figures_of, sources };
    }
}
