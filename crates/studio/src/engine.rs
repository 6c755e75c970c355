//! The engine: starts every thread of a broadcast, and ends them in order.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use compose::Scene;
use media::{Codec, Picture, Slot, StudioEpoch, Timescale, WallTime};
use rtc::{Network, Signalling};
use rtmp::RtmpUrl;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::broadcast::{BroadcastError, BroadcastFile, Output, Source};
use crate::hub::Hub;
use crate::ladder::{self, Encoder, EncoderError};
use crate::output::recording::{Recording, RecordingError};
use crate::output::rtmp::RtmpParts;
use crate::output::whip::WhipParts;
use crate::output::{self, Status};
use crate::programme::{ProgrammeCommand, ProgrammeParts, ProgrammeThread};
use crate::simulation::{SimulationStage, SimulationThread};
use crate::snapshot::{OutputFigures, Snapshot};
use crate::sound::{SoundError, SoundThread};
use crate::sources::{open_picture, open_sound};

/// An output gets this long to say goodbye at the end.
const GOODBYE: Duration = Duration::from_secs(5);

/// Makes the signalling for a WHIP address with its bearer token.
pub type SignallingFactory =
    Arc<dyn Fn(&str, &str) -> Result<Arc<dyn Signalling>, rtc::SignallingError> + Send + Sync>;

#[derive(Debug, Error)]
pub enum EngineError {
    #[error(transparent)]
    Broadcast(#[from] BroadcastError),
    #[error("the simulation: {0}")]
    Simulation(#[from] sim::SimError),
    #[error("there is no preset \"{0}\"; there are {known}", known = presets())]
    UnknownPreset(String),
    #[error("the compositor: {0}")]
    Compose(#[from] compose::ComposeError),
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    #[error(transparent)]
    Sound(#[from] SoundError),
    #[error(transparent)]
    Recording(#[from] RecordingError),
    #[error("the WHIP output: {0}")]
    Whip(#[from] rtc::SignallingError),
    #[error("the RTMP output: {0}")]
    Rtmp(#[from] rtmp::UrlError),
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

fn presets() -> String {
    sim::Preset::ALL.map(sim::Preset::name).join(", ")
}

/// What may be asked of a running engine. Each takes effect with the next frame or block.
pub enum Command {
    Scene(Scene),
    Simulation(sim::Action),
    /// Silences every sound source, or lets them be heard again.
    Mute(bool),
    /// A key frame in all renditions at once.
    KeyFrame,
}

/// A running broadcast. Dropping it ends it at once, [`Engine::stop`] in order.
pub struct Engine {
    epoch: StudioEpoch,
    // The order of dropping: first what makes frames, then what encodes, then what takes packets.
    programme: Arc<ProgrammeThread>,
    sound: SoundThread,
    encoders: Arc<Vec<Encoder>>,
    outputs: Vec<(Status, JoinHandle<()>)>,
    recording: Option<Recording>,
    hub: Hub,
    stop: watch::Sender<bool>,
}

impl Engine {
    /// Starts what `file` describes; outputs run on `runtime`. Returns once everything that can be refused
    /// was accepted; devices and connections follow in their own time.
    pub fn start(
        file: &BroadcastFile,
        network: Network,
        signalling: &SignallingFactory,
        runtime: &Handle,
    ) -> Result<Self, EngineError> {
        let ladder = file.ladder()?;
        let (size, rate) = (file.size(), file.programme.fps.0);
        let hub = Hub::default();
        let encoders = Arc::new(ladder::start(&ladder, rate, &hub)?);
        let simulation = simulation(file)?.map(SimulationThread::start).transpose()?;
        // Everything slow is behind: media time starts here.
        let epoch = StudioEpoch::new(Instant::now(), WallTime::from_system(SystemTime::now()));
        let sounds = file.sounds.clone();
        let open = move || sounds.iter().map(|sound| open_sound(sound, epoch)).collect();
        let sound = SoundThread::start(epoch, hub.clone(), open)?;
        let sources = file.sources.clone();
        let programme = ProgrammeThread::start(
            ProgrammeParts {
                epoch,
                rate,
                size,
                scene: Scene::new(file.layers.clone()),
                simulation,
                encoders: Arc::clone(&encoders),
            },
            move || sources.iter().filter_map(|source| open_picture(source, size, rate, epoch)).collect(),
        )?;
        let (stop, _) = watch::channel(false);
        let mut engine = Self {
            epoch,
            programme: Arc::new(programme),
            sound,
            encoders,
            outputs: Vec::new(),
            recording: None,
            hub,
            stop,
        };
        engine.start_recording(file)?;
        for output in &file.outputs {
            engine.start_output(output, network, signalling, runtime)?;
        }
        Ok(engine)
    }

    fn start_recording(&mut self, file: &BroadcastFile) -> Result<(), EngineError> {
        if let (Some(recording), Some(sound)) = (&file.recording, self.sound.track(Codec::Aac)) {
            let rendition = self.rendition(&recording.rendition).track().rendition;
            self.recording = Some(Recording::start(&recording.path, rendition, sound.clone(), &self.hub)?);
        }
        Ok(())
    }

    fn start_output(
        &mut self,
        output: &Output,
        network: Network,
        signalling: &SignallingFactory,
        runtime: &Handle,
    ) -> Result<(), EngineError> {
        let (hub, stop) = (self.hub.clone(), self.stop.subscribe());
        let programme = Arc::clone(&self.programme);
        let want_key = move || programme.want_key();
        let (status, task) = match output {
            Output::Whip { url, token } => {
                let parts = WhipParts {
                    renditions: self.encoders.iter().map(|encoder| encoder.track().clone()).collect(),
                    sound: self.sound.track(Codec::Opus).cloned(),
                    epoch: self.epoch,
                    network,
                    signalling: signalling(url, token)?,
                };
                let status = Status::new("whip", url.clone());
                let task = output::whip::run(parts, hub, status.clone(), stop, want_key);
                (status, runtime.spawn(task))
            }
            Output::Rtmp { url, rendition } => {
                let url = RtmpUrl::parse(url)?;
                // Without the stream key.
                let status = Status::new("rtmp", url.tc_url());
                let video = self.rendition(rendition).track().clone();
                let Some(sound) = self.sound.track(Codec::Aac).cloned() else { return Ok(()) };
                let parts = RtmpParts { url, video, sound };
                let task = output::rtmp::run(parts, hub, status.clone(), stop, want_key);
                (status, runtime.spawn(task))
            }
        };
        self.outputs.push((status, task));
        Ok(())
    }

    /// The rendition called `name`, or the largest. The file's check saw to it that the name is known.
    fn rendition(&self, name: &str) -> &Encoder {
        let named = self.encoders.iter().find(|encoder| encoder.rendition().name.as_str() == name);
        named.or(self.encoders.last()).expect("a ladder is never empty")
    }

    pub fn epoch(&self) -> StudioEpoch {
        self.epoch
    }

    /// `false` where too many commands wait already.
    pub fn command(&self, command: Command) -> bool {
        match command {
            Command::Scene(scene) => self.programme.command(ProgrammeCommand::Scene(scene)),
            Command::Simulation(action) => self.programme.command(ProgrammeCommand::Simulation(action)),
            Command::Mute(muted) => {
                self.sound.set_muted(muted);
                true
            }
            Command::KeyFrame => {
                self.programme.want_key();
                true
            }
        }
    }

    /// The programme's newest picture, made at most each `interval`.
    pub fn preview(&self, interval: Duration) -> Slot<Picture> {
        self.programme.preview(interval)
    }

    pub fn snapshot(&self) -> Snapshot {
        let mut sources = self.programme.sources();
        sources.extend(self.sound.sources());
        Snapshot {
            seconds: self.epoch.stamp(Instant::now(), Timescale::NANOS).as_secs_f64(),
            simulation: self.programme.simulation(),
            programme: self.programme.programme(),
            renditions: self.encoders.iter().map(Encoder::figures).collect(),
            sound: self.sound.figures(),
            sources,
            outputs: self.outputs.iter().map(|(status, _)| status.get()).collect(),
            recording: self.recording.as_ref().map(Recording::figures),
        }
    }

    /// What went wrong for good: encoders and the recording.
    pub fn failures(&self) -> Vec<String> {
        let encoders = self.encoders.iter().filter_map(Encoder::failure);
        let recording = self.recording.as_ref().and_then(|recording| recording.figures().message);
        encoders.chain(recording).collect()
    }

    /// Ends in order: frames, encoders, outputs with a goodbye, the recording finalised. Returns the last
    /// snapshot, in which outputs show the state they had while live.
    pub async fn stop(self) -> Snapshot {
        let mut last = self.snapshot();
        let outputs: Vec<OutputFigures> = last.outputs.clone();
        let Self { programme, sound, encoders, outputs: tasks, recording, hub, stop, .. } = self;
        let finished = tokio::task::spawn_blocking(move || {
            // The last clone of the programme lives in the outputs; stopping it is what counts here.
            programme.stop();
            drop(sound);
            // Each encodes what is queued before it ends: only then is the last packet out.
            drop(encoders);
            hub.close();
            drop(recording);
        });
        // Its panic would have been printed; there is nothing more to end.
        let _ = finished.await;
        for (status, task) in tasks {
            if tokio::time::timeout(GOODBYE, task).await.is_err() {
                tracing::warn!("an output did not end in time: {}", status.get().url);
            }
        }
        stop.send_replace(true);
        last.outputs = outputs;
        last
    }
}

fn simulation(file: &BroadcastFile) -> Result<Option<SimulationStage>, EngineError> {
    let described = file.sources.iter().find_map(|source| match source {
        Source::Simulation { name, preset, count, seed } => Some((name, preset, *count, *seed)),
        _ => None,
    });
    let Some((name, preset, count, seed)) = described else { return Ok(None) };
    let found = sim::Preset::from_name(preset).ok_or_else(|| EngineError::UnknownPreset(preset.clone()))?;
    let config = sim::SimConfig { seed, count, preset: found, ..sim::SimConfig::default() };
    let simulation = sim::Simulation::new(config)?;
    Ok(Some(SimulationStage::new(name.clone(), simulation, count)))
}
