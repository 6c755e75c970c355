//! The engine on a thread of its own: the window's thread never waits for it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use media::{Picture, Slot, StopSignal, Worker};
use studio::broadcast::{Sound, Source};
use studio::collection::ScenesFile;
use studio::snapshot::OnAir;
use studio::{Collection, DeviceList, Engine, EngineError, Snapshot, SourceError};
use tokio::runtime::Handle;
use widgets::egui::ColorImage;
use widgets::picture::image;

use crate::autosave::Autosave;
use crate::hotkeys::Hotkeys;
use crate::preflight::{Plan, Preflight};
use crate::rates::History;
use crate::view::{Audience, Looked, Order, Phase, Summary, View};

/// Orders that wait for the thread. Full: the person's next click is lost, which a stuck thread explains.
const ORDERS: usize = 256;
/// How often the thread looks for a picture.
const TURN: Duration = Duration::from_millis(15);
/// How often figures are taken: what meters need.
const FIGURES: Duration = Duration::from_millis(60);
/// The preview's own rate, fifteen pictures a second; under load it is halved down to the last.
const PREVIEW: Duration = Duration::from_millis(66);
const PREVIEW_LEAST: Duration = Duration::from_millis(266);
/// Frames lost beyond this share cost the preview half its rate.
const DROPS_FELT: f64 = 0.01;
const QUIET: Duration = Duration::from_secs(10);
/// Each is a line or two.
const NOTICES_MAX: usize = 4;

/// An engine that was started without going live.
pub struct Opened {
    pub engine: Engine,
    /// What it shows.
    pub collection: Collection,
    /// Where that is saved, if it came from a file.
    pub scenes_file: Option<ScenesFile>,
    /// Where recordings go; a number is added where there is one already.
    pub recording: PathBuf,
    /// Whether going live records too.
    pub records_live: bool,
}

/// What the thread runs.
pub struct Studio {
    pub title: String,
    /// When the program began: what opening took is told from there.
    pub begun: Instant,
    /// Where a person's keys are kept; `None` keeps them no longer than the window.
    pub hotkeys_file: Option<PathBuf>,
    /// Where it can be watched, if whoever started it knows.
    pub watch_url: Option<String>,
    pub feedback: Feedback,
    /// Called on the thread, and again after a failure; what it says then is for a person.
    pub open: Box<dyn Fn() -> Result<Opened, String> + Send>,
    /// Told whether anything leaves the studio, at first and at each change.
    pub told: Box<dyn Fn(OnAir) + Send>,
    /// What outputs run on.
    pub runtime: Handle,
    pub leave: Leave,
}

/// The wish to end, from outside the window. Clones are the same wish.
#[derive(Clone, Debug, Default)]
pub struct Leave(Arc<AtomicU8>);

impl Leave {
    const WHEN_IDLE: u8 = 1;
    const NOW: u8 = 2;

    /// As soon as nothing leaves the studio.
    pub fn when_idle(&self) {
        self.0.fetch_max(Self::WHEN_IDLE, Ordering::Relaxed);
    }

    /// In order, but now.
    pub fn now(&self) {
        self.0.fetch_max(Self::NOW, Ordering::Relaxed);
    }

    fn wanted(&self, idle: bool) -> bool {
        match self.0.load(Ordering::Relaxed) {
            Self::NOW => true,
            Self::WHEN_IDLE => idle,
            _ => false,
        }
    }
}

/// What the server that has the viewers says. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Feedback(Arc<Mutex<Heard>>);

/// What a server says of a broadcast.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// What viewers lack, and why, in sentences.
    pub notices: Vec<String>,
    /// `None` where it does not answer.
    pub audience: Option<Audience>,
}

impl Feedback {
    /// What is so now; more notices than a person reads are left out.
    pub fn set(&self, mut heard: Heard) {
        heard.notices.truncate(NOTICES_MAX);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = heard;
    }

    fn get(&self) -> Heard {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The window's end of the thread. Dropping it ends the engine in order.
pub struct Control {
    orders: SyncSender<Order>,
    view: Arc<Mutex<Arc<View>>>,
    frames: Slot<ColorImage>,
    worker: Worker,
}

impl Control {
    /// `renew` is called on the thread whenever there is something new to show.
    pub fn start(studio: Studio, renew: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let (orders, taken) = sync_channel(ORDERS);
        let first =
            View { title: studio.title.clone(), watch_url: studio.watch_url.clone(), ..View::default() };
        let view = Arc::new(Mutex::new(Arc::new(first.clone())));
        let frames = Slot::new();
        let (told, shown) = (Arc::clone(&view), frames.clone());
        let worker = Worker::spawn("stage-engine", move |stop| {
            let renew = Box::new(renew);
            let desk = Desk { studio, orders: taken, told, shown, renew, view: first, autosave: None };
            desk.run(stop);
        })?;
        Ok(Self { orders, view, frames, worker })
    }

    /// Whether the thread has ended: in order, or by a panic, after which nothing is left to wait for.
    pub fn has_ended(&self) -> bool {
        self.worker.is_finished()
    }

    /// `false` where the thread is stuck.
    pub fn order(&self, order: Order) -> bool {
        self.orders.try_send(order).is_ok()
    }

    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The programme's picture, where there is a new one.
    pub fn frame(&self) -> Option<ColorImage> {
        self.frames.take()
    }
}

struct Desk {
    studio: Studio,
    orders: Receiver<Order>,
    told: Arc<Mutex<Arc<View>>>,
    shown: Slot<ColorImage>,
    renew: Box<dyn Fn() + Send>,
    view: View,
    autosave: Option<Autosave>,
}

/// What `serve` keeps between its turns.
struct Course {
    history: History,
    preview: Slot<Picture>,
    pace: Pace,
    newest_figures: Option<Instant>,
    /// What the engine is to run and had no room to be told at once.
    wanted: Option<(Vec<Source>, Vec<Sound>)>,
    devices: DeviceList,
    is_looking: bool,
    /// While it is about to go live.
    preflight: Option<Preflight>,
    live: Option<Live>,
}

/// What a summary is made of.
struct Live {
    latest: Snapshot,
    /// Frames that had been dropped before.
    dropped_before: u64,
    most_viewers: Option<u32>,
    earned: Option<String>,
}

impl Live {
    fn take(&mut self, snapshot: &Snapshot, heard: &Heard) {
        self.latest = snapshot.clone();
        let Some(audience) = &heard.audience else { return };
        self.most_viewers = self.most_viewers.max(Some(audience.viewers));
        if let Some(earned) = &audience.earned {
            self.earned = Some(earned.total.clone());
        }
    }

    fn summary(&self) -> Summary {
        let last = &self.latest;
        Summary {
            seconds: last.live_seconds.unwrap_or_default(),
            bytes: last.outputs.iter().map(|output| output.bytes).sum(),
            dropped: last.programme.dropped - self.dropped_before,
            most_viewers: self.most_viewers,
            earned: self.earned.clone(),
            recording: last.recording.as_ref().map(|recording| PathBuf::from(&recording.path)),
        }
    }
}

impl Desk {
    fn run(mut self, stop: &StopSignal) {
        self.read_hotkeys();
        loop {
            self.show(Phase::Opening);
            match (self.studio.open)() {
                Ok(mut opened) => {
                    let number = self.view.editing.as_ref().map_or(0, |(number, _)| number + 1);
                    self.view.editing = Some((number, opened.collection.clone()));
                    self.autosave = opened.scenes_file.take().and_then(autosave);
                    self.serve(&opened, stop);
                    // With the newest edit in the file.
                    self.autosave = None;
                    self.show(Phase::Closing);
                    self.studio.runtime.block_on(opened.engine.stop());
                    return self.show(Phase::Closed);
                }
                Err(reason) => {
                    tracing::error!("the studio could not start: {reason}");
                    self.show(Phase::Failed(reason));
                    if !self.wait_for_retry(stop) {
                        return self.show(Phase::Closed);
                    }
                }
            }
        }
    }

    fn read_hotkeys(&mut self) {
        let Some(path) = &self.studio.hotkeys_file else { return };
        match Hotkeys::read(path) {
            Ok(hotkeys) => self.view.hotkeys = hotkeys,
            Err(why) => {
                let told = format!(
                    "your keys cannot be read from {}, so the usual ones hold: {why}",
                    path.display()
                );
                self.view.refused = Some(told);
            }
        }
    }

    fn keep(&self, hotkeys: &Hotkeys) -> Result<(), String> {
        let Some(path) = &self.studio.hotkeys_file else { return Ok(()) };
        hotkeys
            .write(path)
            .map_err(|err| format!("your keys hold until the window closes: {}: {err}", path.display()))
    }

    fn show(&mut self, phase: Phase) {
        self.view.phase = phase;
        self.tell();
    }

    fn tell(&self) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(self.view.clone());
        (self.renew)();
    }

    fn wait_for_retry(&self, stop: &StopSignal) -> bool {
        while !stop.is_set() && !self.studio.leave.wanted(true) {
            match self.orders.recv_timeout(FIGURES) {
                Ok(Order::Retry) => return true,
                Ok(Order::Close) | Err(RecvTimeoutError::Disconnected) => return false,
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            }
        }
        false
    }

    /// Until the window, or whoever started us, wants to end.
    fn serve(&mut self, opened: &Opened, stop: &StopSignal) {
        let engine = &opened.engine;
        let mut course = Course {
            history: History::default(),
            preview: engine.preview(PREVIEW),
            pace: Pace::new(Instant::now()),
            newest_figures: None,
            wanted: None,
            devices: DeviceList::default(),
            is_looking: false,
            preflight: None,
            live: None,
        };
        while !stop.is_set() && !self.studio.leave.wanted(self.is_idle()) {
            match self.orders.recv_timeout(TURN) {
                Ok(Order::Close) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Order::Look) => {
                    course.devices.look(Instant::now());
                    course.is_looking = true;
                    self.view.devices = Looked::NotYet;
                }
                Ok(Order::Sources(sources, sounds)) => course.wanted = Some((sources, sounds)),
                Ok(Order::GoLive) => self.look_round(opened, &mut course),
                Ok(order) => self.follow(opened, order),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.run_sources(engine, &mut course);
            self.take_off(opened, &mut course);
            if course.is_looking
                && let Some(devices) = course.devices.found(Instant::now())
            {
                course.is_looking = false;
                self.view.devices = Looked::Found(devices);
                self.tell();
            }
            if let Some(image) = course.preview.take().as_ref().and_then(image) {
                self.shown.put(image);
                (self.renew)();
            }
            let now = Instant::now();
            if course.newest_figures.is_none_or(|newest| now - newest >= FIGURES) {
                course.newest_figures = Some(now);
                self.renew_figures(engine, &mut course, now);
            }
        }
    }

    /// Before going live; nothing waits for it here.
    fn look_round(&mut self, opened: &Opened, course: &mut Course) {
        if course.preflight.is_some() || self.view.snapshot.on_air != OnAir::Preview {
            return;
        }
        let (snapshot, rates) = (&self.view.snapshot, &self.view.rates);
        let recording = opened.records_live.then(|| opened.recording.clone());
        course.preflight = Some(Preflight::start(Plan { snapshot, rates, recording }, &self.studio.runtime));
        self.view.is_checking = true;
        self.tell();
    }

    /// Goes live once nothing was found, else asks.
    fn take_off(&mut self, opened: &Opened, course: &mut Course) {
        let Some(found) = course.preflight.as_mut().and_then(Preflight::found) else { return };
        course.preflight = None;
        self.view.is_checking = false;
        if found.is_empty() {
            return self.follow(opened, Order::GoLiveAnyway);
        }
        let number = self.view.found.as_ref().map_or(0, |(number, _)| number + 1);
        self.view.found = Some((number, found));
        self.tell();
    }

    /// Until the engine has room for all of it.
    fn run_sources(&mut self, engine: &Engine, course: &mut Course) {
        let Some((sources, sounds)) = &course.wanted else { return };
        match engine.set_sources(sources, sounds) {
            Err(SourceError::Busy) => return,
            Err(err) => {
                self.view.refused = Some(err.to_string());
                self.tell();
            }
            Ok(()) => {}
        }
        course.wanted = None;
    }

    fn is_idle(&self) -> bool {
        let recording = self.view.snapshot.recording.as_ref().is_some_and(|r| r.state == "recording");
        self.view.phase == Phase::Running && self.view.snapshot.on_air == OnAir::Preview && !recording
    }

    fn renew_figures(&mut self, engine: &Engine, course: &mut Course, now: Instant) {
        let snapshot = engine.snapshot();
        self.view.rates = course.history.take(now, &snapshot);
        if let Some(interval) = course.pace.after(now, self.view.rates.dropped) {
            course.preview = engine.preview(interval);
        }
        self.view.heard = self.studio.feedback.get();
        match snapshot.on_air {
            OnAir::Live => {
                let live = course.live.get_or_insert_with(|| Live {
                    latest: snapshot.clone(),
                    dropped_before: snapshot.programme.dropped,
                    most_viewers: None,
                    earned: None,
                });
                live.take(&snapshot, &self.view.heard);
            }
            OnAir::Ending => {}
            OnAir::Preview => {
                if let Some(live) = course.live.take() {
                    let number = self.view.summary.as_ref().map_or(0, |(number, _)| number + 1);
                    self.view.summary = Some((number, live.summary()));
                }
            }
        }
        if self.view.phase != Phase::Running || self.view.snapshot.on_air != snapshot.on_air {
            (self.studio.told)(snapshot.on_air);
        }
        self.view.snapshot = snapshot;
        self.view.saving = self.autosave.as_ref().map(Autosave::saving).unwrap_or_default();
        self.view.phase = Phase::Running;
        self.tell();
    }

    fn follow(&mut self, opened: &Opened, order: Order) {
        let engine = &opened.engine;
        let followed = match order {
            Order::GoLiveAnyway => match if opened.records_live { record(opened) } else { Ok(()) } {
                Ok(()) => engine.go_live(),
                Err(err) => {
                    let number = self.view.unrecorded.as_ref().map_or(0, |(number, _)| number + 1);
                    self.view.unrecorded = Some((number, err.to_string()));
                    Ok(())
                }
            },
            Order::GoLiveUnrecorded => engine.go_live(),
            Order::End => {
                engine.end_live();
                if opened.records_live {
                    engine.end_recording();
                }
                Ok(())
            }
            Order::StartOutput(at) => engine.start_output(at),
            Order::StopOutput(at) => {
                engine.stop_output(at);
                Ok(())
            }
            Order::Record => record(opened),
            Order::EndRecording => {
                engine.end_recording();
                Ok(())
            }
            Order::Command(command) => {
                if !engine.command(command) {
                    tracing::warn!("a command was not taken");
                }
                return;
            }
            Order::Hotkeys(hotkeys) => {
                self.view.refused = self.keep(&hotkeys).err();
                self.view.hotkeys = hotkeys;
                return self.tell();
            }
            Order::Keep(collection) => {
                if let Some(autosave) = &self.autosave {
                    autosave.keep(collection);
                }
                return;
            }
            Order::GoLive | Order::Look | Order::Sources(..) | Order::Retry | Order::Close => return,
        };
        self.view.refused = followed.err().map(|err| err.to_string());
        self.tell();
    }
}

/// A system that gives no thread saves nothing: the window says that there is no file to save to.
fn autosave(file: ScenesFile) -> Option<Autosave> {
    Autosave::start(file).inspect_err(|err| tracing::error!("scenes are not saved: {err}")).ok()
}

fn record(opened: &Opened) -> Result<(), EngineError> {
    let recording = opened.engine.snapshot().recording;
    if recording.is_some_and(|recording| recording.state == "recording") {
        return Ok(());
    }
    opened.engine.start_recording(&opened.recording)
}

/// The preview's rate: the first to give way where frames are lost, and slow to come back.
struct Pace {
    interval: Duration,
    changed: Instant,
    /// Since when no frame was lost.
    quiet: Instant,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { interval: PREVIEW, changed: now, quiet: now }
    }

    /// The new interval, where it changes.
    fn after(&mut self, now: Instant, dropped: Option<f64>) -> Option<Duration> {
        let felt = dropped.is_some_and(|share| share > DROPS_FELT);
        if felt {
            self.quiet = now;
        }
        // A change needs as long to show in the rates as they are taken over.
        let settled = now - self.changed >= Duration::from_secs(2);
        let wanted = match felt {
            true => (self.interval * 2).min(PREVIEW_LEAST),
            false if now - self.quiet >= QUIET => (self.interval / 2).max(PREVIEW),
            false => self.interval,
        };
        if !settled || wanted == self.interval {
            return None;
        }
        (self.interval, self.changed, self.quiet) = (wanted, now, now);
        Some(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preview_gives_way_at_once_and_comes_back_after_ten_quiet_seconds() {
        let begin = Instant::now();
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        let mut pace = Pace::new(begin);
        assert_eq!(pace.after(at(1), Some(0.2)), None);
        assert_eq!(pace.after(at(2), Some(0.2)), Some(PREVIEW * 2));
        assert_eq!(pace.after(at(3), Some(0.2)), None);
        assert_eq!(pace.after(at(5), Some(0.2)), Some(PREVIEW_LEAST.min(PREVIEW * 4)));
        assert_eq!(pace.after(at(14), Some(0.0)), None);
        assert_eq!(pace.after(at(15), Some(0.0)), Some(PREVIEW * 2));
        assert_eq!(pace.after(at(25), Some(0.0)), Some(PREVIEW));
        assert_eq!(pace.after(at(90), Some(0.0)), None);
    }

    #[test]
    fn a_supervised_window_leaves_when_nothing_is_on_air_and_a_told_one_at_once() {
        let leave = Leave::default();
        assert!(!leave.wanted(true));
        leave.when_idle();
        assert!(leave.wanted(true) && !leave.wanted(false));
        leave.now();
        leave.when_idle();
        assert!(leave.wanted(false));
    }
}
