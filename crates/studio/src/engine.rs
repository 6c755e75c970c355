//! The engine: starts every thread of a broadcast, and ends them in order.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use compose::{CompositorConfig, Scene};
use media::{Codec, Picture, Slot, StudioEpoch, Timescale, Timestamp, WallTime};
use rtc::{Network, Signalling};
use rtmp::RtmpUrl;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::air::{Live, Running, idle};
use crate::broadcast::{self, BroadcastError, BroadcastFile, GAIN_DB, Output, Sound, Source};
use crate::graphics::{Graphics, Programme};
use crate::hub::Hub;
use crate::ladder::{self, Encoder, EncoderError};
use crate::output::recording::{Recording, RecordingError, Told};
use crate::output::rtmp::RtmpParts;
use crate::output::whip::WhipParts;
use crate::output::{self, Status};
use crate::programme::{ProgrammeCommand, ProgrammeParts, ProgrammeThread};
use crate::simulation::{SimulationStage, SimulationThread, Touch, simulation};
use crate::snapshot::{OnAir, Snapshot};
use crate::sound::{SoundError, SoundThread};
use crate::source_list::{Listed, Places, SourceError, SourceId, SourceList};
use crate::sources::{Around, open_picture, open_sound};

/// Makes the signalling for a WHIP address with its bearer token.
pub type SignallingFactory =
    Arc<dyn Fn(&str, &str) -> Result<Arc<dyn Signalling>, rtc::SignallingError> + Send + Sync>;

#[derive(Debug, Error)]
pub enum EngineError {
    #[error(transparent)]
    Broadcast(#[from] BroadcastError),
    #[error("the simulation: {0}")]
    Simulation(#[from] sim::SimError),
    #[error("{}", no_preset(.0))]
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
    #[error("the last broadcast is still ending")]
    StillEnding,
    #[error("this output is still saying goodbye")]
    OutputEnding,
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// What is said of a preset that does not exist.
pub(crate) fn no_preset(name: &str) -> String {
    let known = sim::Preset::ALL.map(sim::Preset::name).join(", ");
    format!("there is no preset \"{name}\"; there are {known}")
}

/// What may be asked of a running engine. Each takes effect with the next frame or block.
#[derive(Clone, Debug)]
pub enum Command {
    /// The scene that is shown, as it is to look now; a fade to it goes on.
    Scene(Scene),
    /// Another scene, which comes over this time: light of both, mixed. Zero is a cut.
    ///
    /// A fade that is under way ends with a cut to its scene; but one that is taken back turns where it is.
    SwitchScene {
        scene: Scene,
        fade: Duration,
    },
    Simulation(sim::Action),
    /// A hand on the picture, where the particles are drawn now.
    Touch(Touch),
    /// Silences every sound source, or lets them be heard again.
    Mute(bool),
    /// One sound source by its name.
    MuteSource {
        name: String,
        muted: bool,
    },
    /// Whether one sound source is heard at the desk too.
    MonitorSource {
        name: String,
        monitored: bool,
    },
    /// One sound source alone at the desk, muted or not; viewers hear what they heard.
    SoloSource {
        name: String,
        soloed: bool,
    },
    /// One sound source's gain in decibels, at most 24.
    Gain {
        name: String,
        gain_db: f32,
    },
    /// A key frame in all renditions at once.
    KeyFrame,
}

/// What leaves the studio now.
#[derive(Default)]
struct Air {
    live: Option<Live>,
    /// The end of the last broadcast, with what its outputs tell meanwhile.
    ending: Option<(Vec<Status>, JoinHandle<()>)>,
    recording: Option<Recording>,
    /// The newest recording's figures, also after its end.
    recorded: Option<Told>,
    /// Recordings that are made whole.
    finalising: Vec<JoinHandle<()>>,
}

/// A running studio. Dropping it ends it at once, [`Engine::stop`] in order.
pub struct Engine {
    epoch: StudioEpoch,
    // The order of dropping: first what opens sources, then what makes frames, what encodes, and what takes packets.
    sources: SourceList,
    programme: Arc<ProgrammeThread>,
    sound: SoundThread,
    encoders: Arc<Vec<Encoder>>,
    air: Mutex<Air>,
    hub: Hub,
    graphics: Graphics,
    outputs: Vec<Output>,
    recording: Option<broadcast::Recording>,
    network: Network,
    signalling: SignallingFactory,
    runtime: Handle,
}

impl Engine {
    /// Starts what `file` describes, and goes live with it at once: its outputs, and its recording.
    pub fn start(
        file: &BroadcastFile,
        network: Network,
        signalling: &SignallingFactory,
        runtime: &Handle,
    ) -> Result<Self, EngineError> {
        let graphics = Graphics::find(file.graphics);
        let engine = Self::open(file, &graphics, network, signalling, runtime)?;
        if let Some(recording) = &file.recording {
            engine.start_recording(&recording.path)?;
        }
        engine.go_live()?;
        Ok(engine)
    }

    /// Starts sources, programme and encoders; nothing leaves yet. Outputs will run on `runtime`. Returns once
    /// everything that can be refused was accepted; devices follow in their own time.
    pub fn open(
        file: &BroadcastFile,
        graphics: &Graphics,
        network: Network,
        signalling: &SignallingFactory,
        runtime: &Handle,
    ) -> Result<Self, EngineError> {
        let ladder = file.ladder()?;
        let (size, rate) = (file.size(), file.programme.fps.0);
        let around = Around::look(&file.sources, &file.sounds);
        let hub = Hub::default();
        let encoders = Arc::new(ladder::start(&ladder, rate, &hub)?);
        let config = CompositorConfig {
            programme: size,
            renditions: encoders.iter().map(|encoder| encoder.rendition().size).collect(),
        };
        let Programme { compositor, backend } = graphics.compositor(config)?;
        let listed = Listed::of(file);
        let (picture_ids, sound_ids) = (listed.pictures(), listed.sounds());
        let simulation = match first_simulation(file, &picture_ids, graphics)? {
            Some((id, stage)) => Some((id, SimulationThread::start(stage)?)),
            None => None,
        };
        let missing = around.missing();
        // Everything slow is behind: media time starts here.
        let epoch = StudioEpoch::new(Instant::now(), WallTime::from_system(SystemTime::now()));
        let start = Timestamp::zero(Timescale::VIDEO);
        let (sounds, no_sounds) = (file.sounds.clone(), missing.clone());
        let open = move || {
            let open = |(sound, id)| open_sound(id, sound, epoch, start, &no_sounds);
            sounds.iter().zip(sound_ids).map(open).collect()
        };
        let sound = SoundThread::start(epoch, hub.clone(), &file.sounds, open)?;
        let sources = file.sources.clone();
        let programme = ProgrammeThread::start(
            ProgrammeParts {
                epoch,
                rate,
                size,
                scene: file.first_scene(),
                simulation,
                encoders: Arc::clone(&encoders),
                compositor,
                backend,
            },
            move || {
                let open = |(source, id)| open_picture(id, source, size, rate, epoch, start, &missing);
                sources.iter().zip(picture_ids).filter_map(open).collect()
            },
        )?;
        let places = Places {
            epoch,
            size,
            rate,
            graphics: graphics.clone(),
            programme: programme.commands(),
            sound: sound.commands(),
            faders: sound.faders(),
        };
        Ok(Self {
            epoch,
            sources: SourceList::start(listed, places)?,
            programme: Arc::new(programme),
            sound,
            encoders,
            air: Mutex::default(),
            hub,
            graphics: graphics.clone(),
            outputs: file.outputs.clone(),
            recording: file.recording.clone(),
            network,
            signalling: Arc::clone(signalling),
            runtime: runtime.clone(),
        })
    }

    fn air(&self) -> MutexGuard<'_, Air> {
        // Whoever panicked left outputs that still run and end.
        self.air.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts every output of the file. Does nothing while they run, and is refused while the last broadcast ends.
    pub fn go_live(&self) -> Result<(), EngineError> {
        let mut air = self.air();
        if air.live.is_some() {
            return Ok(());
        }
        if air.ending.as_ref().is_some_and(|(_, end)| !end.is_finished()) {
            return Err(EngineError::StillEnding);
        }
        air.ending = None;
        let mut live = Live::new(self.outputs.len());
        for (at, output) in self.outputs.iter().enumerate() {
            if let Some(running) = self.run_output(output)? {
                live.start(at, running);
            }
        }
        air.live = Some(live);
        Ok(())
    }

    /// Starts one output of the file, by its place there, that was stopped while live. Does nothing where it runs, and
    /// where nothing is live.
    pub fn start_output(&self, at: usize) -> Result<(), EngineError> {
        let mut air = self.air();
        let (Some(live), Some(output)) = (air.live.as_mut(), self.outputs.get(at)) else { return Ok(()) };
        if live.is_leaving(at) {
            return Err(EngineError::OutputEnding);
        }
        if live.is_off(at)
            && let Some(running) = self.run_output(output)?
        {
            live.start(at, running);
        }
        Ok(())
    }

    /// Ends one output while the others go on.
    pub fn stop_output(&self, at: usize) {
        if let Some(live) = &mut self.air().live {
            live.stop(at, &self.runtime);
        }
    }

    /// Ends the outputs while the programme goes on. They say goodbye in their own time; a snapshot shows when.
    pub fn end_live(&self) {
        let mut air = self.air();
        if let Some(live) = air.live.take() {
            air.ending = Some((live.statuses(), self.runtime.spawn(live.end())));
        }
    }

    /// Records into `path`, or beside what is there, from the next key frame on. Does nothing while one is made; one
    /// that failed (a full disk) is left as it is.
    pub fn start_recording(&self, path: &Path) -> Result<(), EngineError> {
        let mut air = self.air();
        if air.recording.as_ref().is_some_and(Recording::has_failed) {
            self.finalise(&mut air);
        }
        let wanted = self.recording.as_ref().map_or("", |recording| recording.rendition.as_str());
        if let (None, Some(sound)) = (&air.recording, self.sound.track(Codec::Aac)) {
            let rendition = self.rendition(wanted).track().rendition;
            let recording = Recording::start(path, rendition, sound.clone(), &self.hub)?;
            self.programme.want_key();
            air.recorded = Some(recording.told());
            air.recording = Some(recording);
        }
        Ok(())
    }

    /// Ends the recording while the programme goes on; it is made whole in its own time.
    pub fn end_recording(&self) {
        self.finalise(&mut self.air());
    }

    fn finalise(&self, air: &mut Air) {
        if let Some(recording) = air.recording.take() {
            air.finalising.retain(|task| !task.is_finished());
            air.finalising.push(self.runtime.spawn_blocking(move || drop(recording)));
        }
    }

    fn run_output(&self, output: &Output) -> Result<Option<Running>, EngineError> {
        let (stop, stopped) = watch::channel(false);
        let own = self.hub.branch();
        let hub = own.clone();
        let programme = Arc::clone(&self.programme);
        let want_key = move || programme.want_key();
        let (status, task) = match output {
            Output::Whip { url, token } => {
                let parts = WhipParts {
                    renditions: self.encoders.iter().map(|encoder| encoder.track().clone()).collect(),
                    sound: self.sound.track(Codec::Opus).cloned(),
                    epoch: self.epoch,
                    network: self.network,
                    signalling: (self.signalling)(url, token)?,
                };
                let status = Status::new("whip", output.place());
                let task = output::whip::run(parts, hub, status.clone(), stopped, want_key);
                (status, self.runtime.spawn(task))
            }
            Output::Rtmp { url, rendition } => {
                let url = RtmpUrl::parse(url)?;
                let status = Status::new("rtmp", output.place());
                let video = self.rendition(rendition).track().clone();
                let Some(sound) = self.sound.track(Codec::Aac).cloned() else { return Ok(None) };
                let parts = RtmpParts { url, video, sound };
                let task = output::rtmp::run(parts, hub, status.clone(), stopped, want_key);
                (status, self.runtime.spawn(task))
            }
        };
        Ok(Some(Running { status, task, hub: own, stop }))
    }

    /// The rendition called `name`, or the largest. The file's check saw to it that the name is known.
    fn rendition(&self, name: &str) -> &Encoder {
        let named = self.encoders.iter().find(|encoder| encoder.rendition().name.as_str() == name);
        named.or(self.encoders.last()).expect("a ladder is never empty")
    }

    pub fn epoch(&self) -> StudioEpoch {
        self.epoch
    }

    /// `false` where too many commands wait already, or a source is not known.
    pub fn command(&self, command: Command) -> bool {
        match command {
            Command::Scene(scene) => self.programme.command(ProgrammeCommand::Scene(scene)),
            Command::SwitchScene { scene, fade } => {
                self.programme.command(ProgrammeCommand::Switch(scene, fade))
            }
            Command::Simulation(action) => self.programme.command(ProgrammeCommand::Simulation(action)),
            Command::Touch(touch) => self.programme.command(ProgrammeCommand::Touch(touch)),
            Command::MuteSource { name, muted } => self.sound.set(&name, |fader| fader.set_muted(muted)),
            Command::MonitorSource { name, monitored } => {
                self.sound.set(&name, |fader| fader.set_monitored(monitored))
            }
            Command::SoloSource { name, soloed } => self.sound.set(&name, |fader| fader.set_soloed(soloed)),
            Command::Gain { name, gain_db } => {
                GAIN_DB.contains(&gain_db) && self.sound.set(&name, |fader| fader.set_gain_db(gain_db))
            }
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

    /// Makes the sources these, whatever they were: what is the same stays open, and faders are moved to where these have
    /// them. Returns at once; a snapshot shows how it goes.
    ///
    /// # Errors
    /// With [`SourceError::Busy`] a part of it is done, and the rest may be asked for again.
    pub fn set_sources(&self, sources: &[Source], sounds: &[Sound]) -> Result<(), SourceError> {
        self.sources.set_pictures(sources)?;
        self.sources.set_sounds(sounds)
    }

    /// Opens another picture source while the programme goes on. Returns at once; a snapshot shows how it goes.
    pub fn add_source(&self, source: Source) -> Result<(), SourceError> {
        self.sources.add_picture(source)
    }

    /// Closes the picture source that is called as this one is, and opens this one in its place.
    pub fn change_source(&self, source: Source) -> Result<(), SourceError> {
        self.sources.change_picture(source)
    }

    /// Closes a picture source. Layers that show it show the slate of a source without a picture.
    pub fn remove_source(&self, name: &str) -> Result<(), SourceError> {
        self.sources.remove_picture(name)
    }

    /// As [`Engine::add_source`], of what is heard.
    pub fn add_sound(&self, sound: Sound) -> Result<(), SourceError> {
        self.sources.add_sound(sound)
    }

    /// As [`Engine::change_source`]; its gain becomes the one that is said.
    pub fn change_sound(&self, sound: Sound) -> Result<(), SourceError> {
        self.sources.change_sound(sound)
    }

    /// Fades a sound out, within a block, and closes it.
    pub fn remove_sound(&self, name: &str) -> Result<(), SourceError> {
        self.sources.remove_sound(name)
    }

    /// The programme's newest picture, made at most each `interval`.
    pub fn preview(&self, interval: Duration) -> Slot<Picture> {
        self.programme.preview(interval)
    }

    pub fn snapshot(&self) -> Snapshot {
        let mut told = self.programme.sources();
        told.extend(self.sound.sources());
        let sources = self.sources.figures(&told);
        let air = self.air();
        let ending = air.ending.as_ref().filter(|(_, end)| !end.is_finished());
        let (on_air, outputs) = match (&air.live, ending) {
            (Some(live), _) => (OnAir::Live, live.figures(&self.outputs)),
            (None, Some((statuses, _))) => (OnAir::Ending, statuses.iter().map(Status::get).collect()),
            (None, None) => {
                (OnAir::Preview, self.outputs.iter().map(|output| idle(output, "idle")).collect())
            }
        };
        Snapshot {
            seconds: self.epoch.stamp(Instant::now(), Timescale::NANOS).as_secs_f64(),
            on_air,
            graphics: self.graphics.name().map(str::to_owned),
            live_seconds: air.live.as_ref().map(|live| live.since.elapsed().as_secs_f64()),
            simulation: self.programme.simulation(),
            programme: self.programme.programme(),
            renditions: self.encoders.iter().map(Encoder::figures).collect(),
            sound: self.sound.figures(),
            sources,
            outputs,
            recording: air.recorded.as_ref().map(Told::get),
        }
    }

    /// What went wrong for good, so that nothing can go out any more: encoders. A recording that fails takes
    /// nothing from the outputs; the snapshot tells of it.
    pub fn failures(&self) -> Vec<String> {
        self.encoders.iter().filter_map(Encoder::failure).collect()
    }

    /// Ends in order: frames, encoders, outputs with a goodbye, the recording finalised. Returns the last
    /// snapshot: every picture is counted, the recording is what became of it, outputs show the state they had while
    /// live.
    pub async fn stop(self) -> Snapshot {
        let mut last = self.snapshot();
        let Self { sources, programme, sound, encoders, air, hub, .. } = self;
        let Air { live, ending, recording, recorded, finalising } =
            air.into_inner().unwrap_or_else(PoisonError::into_inner);
        let finished = tokio::task::spawn_blocking(move || {
            drop(sources);
            // The last clone of the programme lives in the outputs; stopping it is what counts here.
            programme.stop();
            drop(sound);
            // Only then is the last packet out.
            let renditions = encoders.iter().map(Encoder::end).collect();
            hub.close();
            drop(recording);
            (programme.programme(), renditions)
        });
        // Its panic would have been printed; there is nothing more to end.
        if let Ok(counted) = finished.await {
            (last.programme, last.renditions) = counted;
        }
        if let Some(live) = live {
            live.end().await;
        }
        let before = ending.map(|(_, end)| end).into_iter().chain(finalising);
        for task in before {
            let _ = task.await;
        }
        last.recording = recorded.as_ref().map(Told::get);
        last
    }
}

/// The simulation that the file names, with its id.
fn first_simulation(
    file: &BroadcastFile,
    ids: &[SourceId],
    graphics: &Graphics,
) -> Result<Option<(SourceId, SimulationStage)>, EngineError> {
    let described = file.sources.iter().zip(ids).find_map(|(source, id)| match source {
        Source::Simulation { name, preset, count, seed } => Some((*id, name, preset, *count, *seed)),
        _ => None,
    });
    let Some((id, name, preset, count, seed)) = described else { return Ok(None) };
    Ok(Some((id, simulation(name, preset, count, seed, file.size(), graphics)?)))
}
