//! The sound thread: sources to mixer to encoders, ten milliseconds at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use codec::{AudioEncoder, AudioEncoderConfig, CodecError};
use media::{
    AudioBlock, AudioTrack, BLOCK_FRAMES, Codec, StopSignal, StudioEpoch, Timescale, Timestamp, Worker,
};
use mixer::{InputId, InputSettings, MIN_LATENCY, Mixer, Mute, ProgrammeMeters};

use crate::hub::{Hub, Lane};
use crate::snapshot::{SoundFigures, SourceFigures};
use crate::sources::{NamedSound, figures};

const OPUS_KBPS: u32 = 128;
const AAC_KBPS: u32 = 128;
/// How long after its capture a microphone's sound is mixed. It delays sound and picture alike for viewers.
const DEVICE_LATENCY: Timestamp = Timestamp::new(60, Timescale::MILLIS);
/// Behind by more than this (a suspended machine), the thread starts anew at the present; what is missing
/// is filled by the encoders and counted.
const CATCH_UP_MAX_BLOCKS: i64 = 100;

#[derive(Default)]
struct Report {
    figures: SoundFigures,
    sources: Vec<SourceFigures>,
}

/// The programme's sound.
pub struct SoundThread {
    report: Arc<Mutex<Report>>,
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
        open: impl FnOnce() -> Vec<NamedSound> + Send + 'static,
    ) -> Result<Self, SoundError> {
        let encoders = [
            AudioEncoder::open(AudioEncoderConfig::new(Codec::Opus, OPUS_KBPS))?,
            AudioEncoder::open(AudioEncoderConfig::new(Codec::Aac, AAC_KBPS))?,
        ];
        let tracks = encoders.iter().map(AudioEncoder::track).collect();
        let report = Arc::new(Mutex::new(Report::default()));
        let muted = Arc::new(AtomicBool::new(false));
        let (told, silenced) = (Arc::clone(&report), Arc::clone(&muted));
        let worker = Worker::spawn("sound", move |stop| {
            Desk::new(epoch, hub, encoders, open(), silenced).run(stop, &told);
        })?;
        Ok(Self { report, muted, tracks, _worker: worker })
    }

    pub fn track(&self, codec: Codec) -> Option<&AudioTrack> {
        self.tracks.iter().find(|track| track.codec == codec)
    }

    /// Mutes every source.
    pub fn set_muted(&self, muted: bool) {
        self.muted.store(muted, Ordering::Relaxed);
    }

    pub fn figures(&self) -> SoundFigures {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).figures.clone()
    }

    pub fn sources(&self) -> Vec<SourceFigures> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).sources.clone()
    }
}

struct Desk {
    epoch: StudioEpoch,
    hub: Hub,
    encoders: [AudioEncoder; 2],
    mixer: Mixer,
    inputs: Vec<(InputId, NamedSound)>,
    muted: Arc<AtomicBool>,
    was_muted: bool,
    blocks: Vec<AudioBlock>,
    mixed: u64,
    meters: Option<ProgrammeMeters>,
}

impl Desk {
    fn new(
        epoch: StudioEpoch,
        hub: Hub,
        encoders: [AudioEncoder; 2],
        sounds: Vec<NamedSound>,
        muted: Arc<AtomicBool>,
    ) -> Self {
        // A device hands over every twenty milliseconds, and late where the machine is busy.
        let from_device = sounds.iter().any(|sound| sound.kind == "microphone");
        let mut mixer = Mixer::new(if from_device { DEVICE_LATENCY } else { MIN_LATENCY });
        let inputs = sounds.into_iter().map(|sound| (mixer.add_input(sound.settings), sound)).collect();
        Self {
            epoch,
            hub,
            encoders,
            mixer,
            inputs,
            muted,
            was_muted: false,
            blocks: Vec::new(),
            mixed: 0,
            meters: None,
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
            if next % 10 == 0 {
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
        for (id, sound) in &mut self.inputs {
            if muted != self.was_muted {
                let mute = if muted { Mute::Muted } else { sound.settings.mute };
                // The input was made by this mixer and is never removed.
                let _ = self.mixer.set_input(*id, InputSettings { mute, ..sound.settings });
            }
            self.blocks.clear();
            sound.source.read(start, &mut self.blocks);
            for block in &self.blocks {
                if let Err(err) = self.mixer.push(*id, block) {
                    tracing::debug!("{} was not mixed: {err}", sound.name);
                }
            }
        }
        self.was_muted = muted;
        let mixed = self.mixer.mix(start);
        self.mixed += 1;
        self.meters = Some(mixed.meters);
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

    fn tell(&self, report: &Mutex<Report>) {
        let gap = |(id, _): &(InputId, NamedSound)| self.mixer.input(*id).map_or(0, |state| state.counts.gap);
        let level = self.meters.map_or(mixer::Level::SILENCE, |meters| meters.level);
        let peak = level.peak_dbfs.into_iter().fold(mixer::SILENCE_DB, f32::max);
        let sources = self.inputs.iter().map(|(_, s)| figures(&s.name, s.kind, s.source.status())).collect();
        let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
        report.figures = SoundFigures {
            blocks: self.mixed,
            filled: self.inputs.iter().map(gap).sum(),
            peak_dbfs: (peak > mixer::SILENCE_DB).then(|| f64::from(peak)),
            lufs: self.meters.and_then(|meters| meters.loudness.short_term_lufs).map(f64::from),
        };
        report.sources = sources;
    }
}
