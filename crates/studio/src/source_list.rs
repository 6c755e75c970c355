//! Which sources there are: added, changed and taken away while the programme runs.
//!
//! One thread opens and closes them, in the order in which it was asked: whoever asks does not wait for a device, and
//! neither does a frame.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use media::{FrameRate, Size, StopSignal, StudioEpoch, Timescale, Timestamp, Worker};
use thiserror::Error;

use crate::broadcast::{BroadcastFile, GAIN_DB, NAME_MAX, Sound, Source};
use crate::graphics::Graphics;
use crate::programme::ProgrammeCommand;
use crate::simulation::{SimulationStage, SimulationThread, simulation};
use crate::snapshot::SourceFigures;
use crate::sound::{Fader, Faders, SoundCommand};
use crate::sources::{Around, open_picture, open_sound};

/// Picture sources at most, and sounds at most: each has threads, and a device or a decoder.
pub const MAX_SOURCES: usize = 32;
/// More particles than this no machine has drawn in real time.
const PARTICLES_MAX: u32 = 4_000_000;
/// A file's pictures and its sound that are added within this are one film: both begin when the first does.
const TOGETHER: Duration = Duration::from_secs(5);
/// Sources that wait to be opened or closed. Full: the caller is told.
const ORDERS: usize = 64;

/// Why a source is not added, changed or taken away. For a person.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SourceError {
    #[error("A source's name has 1 to {NAME_MAX} bytes.")]
    Name,
    #[error("A source is called \"{0}\" already. Choose another name.")]
    Taken(String),
    #[error("No source is called \"{0}\".")]
    Unknown(String),
    #[error("There are {MAX_SOURCES} sources already. Take one away first.")]
    TooMany,
    #[error("There is a simulation already, and one a broadcast is what this build runs. Change that one.")]
    SecondSimulation,
    #[error("Its path is empty. Choose a file.")]
    NoPath,
    #[error("No preset is called \"{0}\".")]
    UnknownPreset(String),
    #[error("A simulation has from 1 to {PARTICLES_MAX} particles.")]
    Particles,
    #[error("A gain of {0} dB is not from {low} to {high}.", low = GAIN_DB.start(), high = GAIN_DB.end())]
    Gain(String),
    #[error("Too many sources are being changed at once. Try again in a moment.")]
    Busy,
}

/// One source, for as long as it is open. What is opened anew under the same name is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceId(u64);

/// How far the opening of a source came.
enum Stage {
    /// Not there yet, or there and not told of yet.
    Opening,
    /// It could not be made at all, and says why.
    Failed(String),
    /// In the place where it is used.
    Running,
}

struct Entry<T> {
    id: SourceId,
    /// What was asked for.
    what: T,
    stage: Stage,
}

/// What both kinds of source have.
trait Named {
    fn name(&self) -> &str;

    fn kind(&self) -> &'static str;
}

impl Named for Source {
    fn name(&self) -> &str {
        Self::name(self)
    }

    fn kind(&self) -> &'static str {
        Self::kind(self)
    }
}

impl Named for Sound {
    fn name(&self) -> &str {
        Self::name(self)
    }

    fn kind(&self) -> &'static str {
        Self::kind(self)
    }
}

#[derive(Default)]
struct Known {
    pictures: Vec<Entry<Source>>,
    sounds: Vec<Entry<Sound>>,
    opened: u64,
}

impl Known {
    fn next_id(&mut self) -> SourceId {
        self.opened += 1;
        SourceId(self.opened)
    }

    fn set_stage(&mut self, id: SourceId, stage: Stage) {
        // One that was taken away meanwhile is not known any more.
        if let Some(entry) = self.pictures.iter_mut().find(|entry| entry.id == id) {
            entry.stage = stage;
        } else if let Some(entry) = self.sounds.iter_mut().find(|entry| entry.id == id) {
            entry.stage = stage;
        }
    }
}

/// Whether another source has room beside those of these names, under that one.
fn room<'a>(names: impl ExactSizeIterator<Item = &'a str>, name: &str) -> Result<(), SourceError> {
    let count = names.len();
    if names.into_iter().any(|known| known == name) {
        return Err(SourceError::Taken(name.to_owned()));
    }
    if count >= MAX_SOURCES { Err(SourceError::TooMany) } else { Ok(()) }
}

fn find<T: Named>(entries: &[Entry<T>], name: &str) -> Result<usize, SourceError> {
    let found = entries.iter().position(|entry| entry.what.name() == name);
    found.ok_or_else(|| SourceError::Unknown(name.to_owned()))
}

/// Whether `source` may be added beside these.
pub fn check_another_picture<'a>(
    source: &Source,
    others: impl ExactSizeIterator<Item = &'a Source> + Clone,
) -> Result<(), SourceError> {
    check_picture(source)?;
    room(others.clone().map(Source::name), source.name())?;
    check_one_simulation(source, others)
}

/// The same of a sound.
pub fn check_another_sound<'a>(
    sound: &Sound,
    others: impl ExactSizeIterator<Item = &'a Sound>,
) -> Result<(), SourceError> {
    check_sound(sound)?;
    room(others.map(Sound::name), sound.name())
}

fn check_one_simulation<'a>(
    source: &Source,
    mut others: impl Iterator<Item = &'a Source>,
) -> Result<(), SourceError> {
    let is_simulation = |source: &Source| matches!(source, Source::Simulation { .. });
    let second = is_simulation(source) && others.any(is_simulation);
    if second { Err(SourceError::SecondSimulation) } else { Ok(()) }
}

fn check_name(name: &str) -> Result<(), SourceError> {
    if (1..=NAME_MAX).contains(&name.len()) { Ok(()) } else { Err(SourceError::Name) }
}

fn check_path(path: &Path) -> Result<(), SourceError> {
    if path.as_os_str().is_empty() { Err(SourceError::NoPath) } else { Ok(()) }
}

fn check_picture(source: &Source) -> Result<(), SourceError> {
    check_name(source.name())?;
    match source {
        Source::Simulation { preset, .. } if sim::Preset::from_name(preset).is_none() => {
            Err(SourceError::UnknownPreset(preset.clone()))
        }
        Source::Simulation { count, .. } if !(1..=PARTICLES_MAX).contains(count) => {
            Err(SourceError::Particles)
        }
        Source::File { path, .. } => check_path(path),
        _ => Ok(()),
    }
}

pub fn check_sound(sound: &Sound) -> Result<(), SourceError> {
    check_name(sound.name())?;
    let (gain_db, _) = sound.fader();
    // A number that is none is in no range.
    if !GAIN_DB.contains(&gain_db) {
        return Err(SourceError::Gain(gain_db.to_string()));
    }
    match sound {
        Sound::File { path, .. } => check_path(path),
        _ => Ok(()),
    }
}

/// What the thread is to do: close one, open one, or open one in the place of another.
enum Order {
    Picture { close: Option<SourceId>, open: Option<(SourceId, Source)> },
    Sound { close: Option<SourceId>, open: Option<(SourceId, Sound, Arc<Fader>)> },
}

/// The sources that a file has from the start, each with its id.
pub struct Listed {
    known: Known,
    /// File sources with the media time of their beginning.
    files: Vec<(SourceId, PathBuf, Timestamp)>,
}

impl Listed {
    pub fn of(file: &BroadcastFile) -> Self {
        let (mut known, mut files) = (Known::default(), Vec::new());
        let zero = Timestamp::zero(Timescale::VIDEO);
        for source in &file.sources {
            let id = known.next_id();
            if let Source::File { path, .. } = source {
                files.push((id, path.clone(), zero));
            }
            known.pictures.push(Entry { id, what: source.clone(), stage: Stage::Running });
        }
        for sound in &file.sounds {
            let id = known.next_id();
            if let Sound::File { path, .. } = sound {
                files.push((id, path.clone(), zero));
            }
            known.sounds.push(Entry { id, what: sound.clone(), stage: Stage::Running });
        }
        Self { known, files }
    }

    /// Of the file's picture sources, in its order.
    pub fn pictures(&self) -> Vec<SourceId> {
        self.known.pictures.iter().map(|entry| entry.id).collect()
    }

    /// Of the file's sounds, in its order.
    pub fn sounds(&self) -> Vec<SourceId> {
        self.known.sounds.iter().map(|entry| entry.id).collect()
    }
}

/// What opening needs, and where what is open goes.
pub struct Places {
    pub epoch: StudioEpoch,
    pub size: Size,
    pub rate: FrameRate,
    pub graphics: Graphics,
    pub programme: SyncSender<ProgrammeCommand>,
    pub sound: SyncSender<SoundCommand>,
    pub faders: Faders,
}

/// The sources of a running programme.
pub struct SourceList {
    known: Arc<Mutex<Known>>,
    faders: Faders,
    // Dropped before the worker: that ends its loop.
    orders: Option<SyncSender<Order>>,
    worker: Option<Worker>,
}

fn locked(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    // Whoever panicked left whole entries.
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SourceList {
    pub fn start(listed: Listed, places: Places) -> std::io::Result<Self> {
        let Listed { known, files } = listed;
        let (orders, taken) = sync_channel(ORDERS);
        let known = Arc::new(Mutex::new(known));
        let faders = places.faders.clone();
        let opener = Opener { places, files, known: Arc::clone(&known) };
        let worker = Worker::spawn("sources", move |stop| opener.run(&taken, stop))?;
        Ok(Self { known, faders, orders: Some(orders), worker: Some(worker) })
    }

    /// The order is given while `known` is locked, so that the thread comes to know of it after the list does.
    fn order(&self, order: Order) -> Result<(), SourceError> {
        let given = self.orders.as_ref().is_some_and(|orders| orders.try_send(order).is_ok());
        if given { Ok(()) } else { Err(SourceError::Busy) }
    }

    pub fn add_picture(&self, source: Source) -> Result<(), SourceError> {
        let mut known = locked(&self.known);
        check_another_picture(&source, known.pictures.iter().map(|entry| &entry.what))?;
        let id = known.next_id();
        self.order(Order::Picture { close: None, open: Some((id, source.clone())) })?;
        known.pictures.push(Entry { id, what: source, stage: Stage::Opening });
        Ok(())
    }

    /// Opens `source` in the place of the one that is called so.
    pub fn change_picture(&self, source: Source) -> Result<(), SourceError> {
        check_picture(&source)?;
        let mut known = locked(&self.known);
        let at = find(&known.pictures, source.name())?;
        let others = known.pictures.iter().map(|entry| &entry.what).enumerate();
        check_one_simulation(&source, others.filter(|(other, _)| *other != at).map(|(_, other)| other))?;
        let (id, close) = (known.next_id(), known.pictures[at].id);
        self.order(Order::Picture { close: Some(close), open: Some((id, source.clone())) })?;
        known.pictures[at] = Entry { id, what: source, stage: Stage::Opening };
        Ok(())
    }

    pub fn remove_picture(&self, name: &str) -> Result<(), SourceError> {
        let mut known = locked(&self.known);
        let at = find(&known.pictures, name)?;
        self.order(Order::Picture { close: Some(known.pictures[at].id), open: None })?;
        known.pictures.remove(at);
        Ok(())
    }

    pub fn add_sound(&self, sound: Sound) -> Result<(), SourceError> {
        let mut known = locked(&self.known);
        check_another_sound(&sound, known.sounds.iter().map(|entry| &entry.what))?;
        let fader = Arc::new(Fader::new(&sound));
        let id = known.next_id();
        self.order(Order::Sound { close: None, open: Some((id, sound.clone(), Arc::clone(&fader))) })?;
        self.faders.add(fader);
        known.sounds.push(Entry { id, what: sound, stage: Stage::Opening });
        Ok(())
    }

    /// Opens `sound` in the place of the one that is called so, at the gain that it says.
    pub fn change_sound(&self, sound: Sound) -> Result<(), SourceError> {
        check_sound(&sound)?;
        let mut known = locked(&self.known);
        let at = find(&known.sounds, sound.name())?;
        let fader = Arc::new(Fader::new(&sound));
        let (id, close) = (known.next_id(), known.sounds[at].id);
        let open = Some((id, sound.clone(), Arc::clone(&fader)));
        self.order(Order::Sound { close: Some(close), open })?;
        self.faders.remove(sound.name());
        self.faders.add(fader);
        known.sounds[at] = Entry { id, what: sound, stage: Stage::Opening };
        Ok(())
    }

    pub fn remove_sound(&self, name: &str) -> Result<(), SourceError> {
        let mut known = locked(&self.known);
        let at = find(&known.sounds, name)?;
        self.order(Order::Sound { close: Some(known.sounds[at].id), open: None })?;
        self.faders.remove(name);
        known.sounds.remove(at);
        Ok(())
    }

    /// Makes the picture sources these: what is the same stays open.
    ///
    /// # Errors
    /// With [`SourceError::Busy`] a part of it is done, and the rest may be asked for again.
    pub fn set_pictures(&self, wanted: &[Source]) -> Result<(), SourceError> {
        let open = locked(&self.known).pictures.iter().map(|entry| entry.what.clone()).collect::<Vec<_>>();
        for gone in open.iter().filter(|open| wanted.iter().all(|source| source.name() != open.name())) {
            self.remove_picture(gone.name())?;
        }
        for source in wanted {
            match open.iter().find(|open| open.name() == source.name()) {
                None => self.add_picture(source.clone())?,
                Some(open) if open != source => self.change_picture(source.clone())?,
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn move_fader(&self, sound: &Sound) -> Result<(), SourceError> {
        check_sound(sound)?;
        let mut known = locked(&self.known);
        let at = find(&known.sounds, sound.name())?;
        let (gain_db, muted) = sound.fader();
        if let Some(fader) = self.faders.find(sound.name()) {
            fader.set_gain_db(gain_db);
            fader.set_muted(muted);
        }
        known.sounds[at].what = sound.clone();
        Ok(())
    }

    /// The same of sounds, whose faders are moved to where they are wanted.
    pub fn set_sounds(&self, wanted: &[Sound]) -> Result<(), SourceError> {
        let open = locked(&self.known).sounds.iter().map(|entry| entry.what.clone()).collect::<Vec<_>>();
        for gone in open.iter().filter(|open| wanted.iter().all(|sound| sound.name() != open.name())) {
            self.remove_sound(gone.name())?;
        }
        let is_same = |open: &Sound, sound: &Sound| open.at(0.0, false) == sound.at(0.0, false);
        for sound in wanted {
            match open.iter().find(|open| open.name() == sound.name()) {
                None => self.add_sound(sound.clone())?,
                Some(open) if !is_same(open, sound) => self.change_sound(sound.clone())?,
                Some(open) if open != sound => self.move_fader(sound)?,
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Every source in its order, pictures first, by what the programme and the mixer tell of those that run. The
    /// simulation is here only until it runs: then it has figures of its own.
    pub fn figures(&self, told: &[(SourceId, SourceFigures)]) -> Vec<SourceFigures> {
        let known = locked(&self.known);
        let pictures = known.pictures.iter().filter_map(|entry| entry.figures(told));
        pictures.chain(known.sounds.iter().filter_map(|entry| entry.figures(told))).collect()
    }
}

impl<T: Named> Entry<T> {
    fn figures(&self, told: &[(SourceId, SourceFigures)]) -> Option<SourceFigures> {
        if let Some((_, figures)) = told.iter().find(|(id, _)| *id == self.id) {
            return Some(figures.clone());
        }
        let kind = self.what.kind();
        let (state, message) = match &self.stage {
            Stage::Running if kind == "simulation" => return None,
            Stage::Opening | Stage::Running => ("opening", None),
            Stage::Failed(why) => ("lost", Some(why.clone())),
        };
        Some(SourceFigures { name: self.what.name().to_owned(), kind, state, message })
    }
}

impl Drop for SourceList {
    fn drop(&mut self) {
        self.orders = None;
        // What waits to be opened is not, and what waits to be closed ends with the programme.
        self.worker = None;
    }
}

/// The thread's side.
struct Opener {
    places: Places,
    files: Vec<(SourceId, PathBuf, Timestamp)>,
    known: Arc<Mutex<Known>>,
}

impl Opener {
    fn run(mut self, orders: &Receiver<Order>, stop: &StopSignal) {
        while let Ok(order) = orders.recv() {
            if stop.is_set() {
                return;
            }
            match order {
                Order::Picture { close, open } => {
                    if let Some(id) = close {
                        self.close_picture(id);
                    }
                    if let Some((id, source)) = open {
                        let stage = self.open_picture(id, &source);
                        locked(&self.known).set_stage(id, stage);
                    }
                }
                Order::Sound { close, open } => {
                    if let Some(id) = close {
                        self.close_sound(id);
                    }
                    if let Some((id, sound, fader)) = open {
                        self.open_sound(id, &sound, fader);
                        locked(&self.known).set_stage(id, Stage::Running);
                    }
                }
            }
        }
    }

    fn open_picture(&mut self, id: SourceId, source: &Source) -> Stage {
        let Places { epoch, size, rate, graphics, programme, .. } = &self.places;
        let command = if let Source::Simulation { name, preset, count, seed } = source {
            let stage = simulation(name, preset, *count, *seed, *size, graphics);
            match stage.map_err(|err| err.to_string()).and_then(start) {
                Ok(thread) => ProgrammeCommand::Simulate(id, thread),
                Err(why) => return Stage::Failed(format!("The simulation was not started: {why}.")),
            }
        } else {
            let missing = Around::look(std::slice::from_ref(source), &[]).missing();
            let start = match source {
                Source::File { path, .. } => begin(&mut self.files, id, path, *epoch),
                _ => Timestamp::zero(Timescale::VIDEO),
            };
            let Some(opened) = open_picture(id, source, *size, *rate, *epoch, start, &missing) else {
                return Stage::Failed("It shows no pictures.".into());
            };
            ProgrammeCommand::Add(opened)
        };
        // The programme takes it with its next frame, unless it has ended.
        let _ = programme.send(command);
        Stage::Running
    }

    /// Devices end on this thread: a frame does not wait for a driver.
    fn close_picture(&mut self, id: SourceId) {
        self.files.retain(|(known, ..)| *known != id);
        let (giver, taken) = sync_channel(1);
        if self.places.programme.send(ProgrammeCommand::Take(id, giver)).is_ok() {
            drop(taken.recv());
        }
    }

    fn open_sound(&mut self, id: SourceId, sound: &Sound, fader: Arc<Fader>) {
        let missing = Around::look(&[], std::slice::from_ref(sound)).missing();
        let epoch = self.places.epoch;
        let start = match sound {
            Sound::File { path, .. } => begin(&mut self.files, id, path, epoch),
            _ => Timestamp::zero(Timescale::AUDIO),
        };
        let opened = open_sound(id, sound, epoch, start, &missing);
        let _ = self.places.sound.send(SoundCommand::Add(opened, fader));
    }

    fn close_sound(&mut self, id: SourceId) {
        self.files.retain(|(known, ..)| *known != id);
        let (giver, taken) = sync_channel(1);
        if self.places.sound.send(SoundCommand::Take(id, giver)).is_ok() {
            drop(taken.recv());
        }
    }
}

fn start(stage: SimulationStage) -> Result<SimulationThread, String> {
    SimulationThread::start(stage).map_err(|err| err.to_string())
}

/// The media time at which a file's own time zero is: the present, or that of the same file where it was opened just
/// before. Not where that was long ago, since a decoder would have to go through all that was played since.
fn begin(
    files: &mut Vec<(SourceId, PathBuf, Timestamp)>,
    id: SourceId,
    path: &Path,
    epoch: StudioEpoch,
) -> Timestamp {
    let now = epoch.stamp(Instant::now(), Timescale::VIDEO);
    let together = Timestamp::from_duration(TOGETHER, Timescale::VIDEO);
    let same = files.iter().rfind(|(_, known, start)| known == path && now.minus(*start) < together);
    let start = same.map_or(now, |(.., start)| *start);
    files.push((id, path.to_owned(), start));
    start
}
