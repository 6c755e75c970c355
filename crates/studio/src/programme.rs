//! The compose thread: at each tick of the programme it takes every source's picture for this instant,
//! composes, and hands each rendition to its encoder.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use compose::{ComposeError, Composed, Compositor, CpuCompositor, Inputs, Scene};
use media::{FrameRate, Picture, Size, Slot, StopSignal, StudioEpoch, Timescale, Timestamp, Worker};

use crate::frame_queue::Frame;
use crate::ladder::{Encoder, KEY_INTERVAL_SECONDS};
use crate::simulation::{SimulationThread, Touch};
use crate::snapshot::{ProgrammeFigures, SimulationFigures, SourceFigures};
use crate::source_list::SourceId;
use crate::sources::{NamedPicture, figures};
use crate::statistics::Window;
use crate::transition::{Drawn, Shown};

/// Requested key frames come at most this often: each costs every viewer's rendition a burst.
const KEY_REQUEST_INTERVAL: Duration = Duration::from_secs(1);
/// Frames that a compositor has not finished after so long will not come.
const HUNG: Duration = Duration::from_secs(1);
/// Commands waiting for the next tick. Full: the sender is told.
const COMMANDS: usize = 256;
/// How often finished frames are looked for while one is due later: a GPU tells nobody.
const POLL: Duration = Duration::from_millis(2);
/// The share of a frame that composing may take before the preview gives way.
const BUSY_SHARE: f32 = 0.7;
/// What a preview gives way to, so that it never stands still for good.
const PREVIEW_LEAST: Duration = Duration::from_millis(500);

/// What may be changed while the programme runs.
pub enum ProgrammeCommand {
    Scene(Scene),
    /// Another scene, which fades in for so long.
    Switch(Scene, Duration),
    Add(NamedPicture),
    /// The particles are drawn by this one.
    Simulate(SourceId, SimulationThread),
    /// Hands a source to whoever has the time to end it; nothing, where there is none.
    Take(SourceId, SyncSender<Taken>),
    Simulation(sim::Action),
    Touch(Touch),
}

/// A source that is used no more; a device is closed where this is dropped.
#[allow(dead_code, reason = "it is only dropped")]
pub enum Taken {
    Picture(NamedPicture),
    Simulation(SimulationThread),
}

#[derive(Default)]
struct Report {
    programme: ProgrammeFigures,
    simulation: Option<SimulationFigures>,
    sources: Vec<(SourceId, SourceFigures)>,
}

/// The programme's pictures.
pub struct ProgrammeThread {
    commands: SyncSender<ProgrammeCommand>,
    key_wanted: Arc<AtomicBool>,
    preview: Slot<Picture>,
    preview_interval_ms: Arc<AtomicU64>,
    report: Arc<Mutex<Report>>,
    worker: Mutex<Option<Worker>>,
}

/// What the thread is made of.
pub struct ProgrammeParts {
    pub epoch: StudioEpoch,
    pub rate: FrameRate,
    pub size: Size,
    pub scene: Scene,
    pub simulation: Option<(SourceId, SimulationThread)>,
    pub encoders: Arc<Vec<Encoder>>,
    pub compositor: Box<dyn Compositor>,
    /// What the compositor runs on: `cpu` or `gpu`.
    pub backend: &'static str,
}

impl ProgrammeThread {
    /// `open` runs on the new thread.
    pub fn start(
        parts: ProgrammeParts,
        open: impl FnOnce() -> Vec<NamedPicture> + Send + 'static,
    ) -> std::io::Result<Self> {
        let (commands, incoming) = sync_channel(COMMANDS);
        let key_wanted = Arc::new(AtomicBool::new(false));
        let preview = Slot::new();
        let preview_interval_ms = Arc::new(AtomicU64::new(0));
        let report = Arc::new(Mutex::new(Report::default()));
        let shared = Shared {
            key_wanted: Arc::clone(&key_wanted),
            preview: preview.clone(),
            preview_interval_ms: Arc::clone(&preview_interval_ms),
            report: Arc::clone(&report),
        };
        let worker = Worker::spawn("compose", move |stop| {
            Programme::new(parts, open(), incoming, shared).run(stop);
        })?;
        let worker = Mutex::new(Some(worker));
        Ok(Self { commands, key_wanted, preview, preview_interval_ms, report, worker })
    }

    /// Ends the thread and waits for it.
    pub fn stop(&self) {
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(worker);
    }

    /// For a thread that may wait until there is room.
    pub fn commands(&self) -> SyncSender<ProgrammeCommand> {
        self.commands.clone()
    }

    /// `false` where too many commands wait already.
    pub fn command(&self, command: ProgrammeCommand) -> bool {
        !matches!(self.commands.try_send(command), Err(TrySendError::Full(_)))
    }

    /// Asks for a key frame in all renditions at once.
    pub fn want_key(&self) {
        self.key_wanted.store(true, Ordering::Release);
    }

    /// The programme's newest picture, made at most each `interval`; a zero interval makes none.
    pub fn preview(&self, interval: Duration) -> Slot<Picture> {
        let ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        self.preview_interval_ms.store(ms, Ordering::Relaxed);
        self.preview.clone()
    }

    pub fn programme(&self) -> ProgrammeFigures {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).programme.clone()
    }

    pub fn simulation(&self) -> Option<SimulationFigures> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).simulation.clone()
    }

    pub fn sources(&self) -> Vec<(SourceId, SourceFigures)> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).sources.clone()
    }
}

struct Shared {
    key_wanted: Arc<AtomicBool>,
    preview: Slot<Picture>,
    preview_interval_ms: Arc<AtomicU64>,
    report: Arc<Mutex<Report>>,
}

/// A frame that was handed to the compositor and has not come back.
struct Submitted {
    at: Timestamp,
    key: bool,
    begun: Instant,
}

struct Programme {
    epoch: StudioEpoch,
    rate: FrameRate,
    size: Size,
    shown: Shown,
    simulation: Option<(SourceId, SimulationThread)>,
    encoders: Arc<Vec<Encoder>>,
    sources: Vec<NamedPicture>,
    compositor: Box<dyn Compositor>,
    backend: &'static str,
    /// In order; as many as a GPU may be behind.
    submitted: VecDeque<Submitted>,
    /// A frame that should have been a key frame was lost: the next one is.
    key_owed: bool,
    incoming: Receiver<ProgrammeCommand>,
    shared: Shared,
    last_key: Option<Instant>,
    last_preview: Option<Instant>,
    frames: u64,
    dropped: u64,
    dropped_at_start: u64,
    first: Option<u64>,
    compose_ms: Window,
    /// How long the last frame took.
    spent: Duration,
}

impl Programme {
    fn new(
        parts: ProgrammeParts,
        sources: Vec<NamedPicture>,
        incoming: Receiver<ProgrammeCommand>,
        shared: Shared,
    ) -> Self {
        let ProgrammeParts { epoch, rate, size, scene, simulation, encoders, compositor, backend } = parts;
        Self {
            epoch,
            rate,
            size,
            shown: Shown::new(scene),
            simulation,
            encoders,
            sources,
            compositor,
            backend,
            submitted: VecDeque::new(),
            key_owed: false,
            incoming,
            shared,
            last_key: None,
            last_preview: None,
            frames: 0,
            dropped: 0,
            dropped_at_start: 0,
            first: None,
            compose_ms: Window::default(),
            spent: Duration::ZERO,
        }
    }

    fn run(mut self, stop: &StopSignal) {
        let mut next = self.index_now() + 1;
        while !stop.is_set() {
            let due = self.epoch.instant_of(self.rate.timestamp_of(next, Timescale::VIDEO));
            let now = Instant::now();
            if let Some(wait) = due.checked_duration_since(now).filter(|wait| !wait.is_zero()) {
                let wait = if self.submitted.is_empty() { wait } else { wait.min(POLL) };
                std::thread::park_timeout(wait);
                self.deliver();
                continue;
            }
            // Late by a frame or more: what is due now is shown, what was due before is lost.
            let newest = self.index_now();
            self.count_dropped(next, newest);
            next = newest.max(next);
            self.frame(next);
            next += 1;
        }
        // The last word counts every frame.
        self.tell();
    }

    fn index_now(&self) -> u64 {
        self.rate.index_at(self.epoch.stamp(Instant::now(), Timescale::NANOS))
    }

    fn count_dropped(&mut self, next: u64, newest: u64) {
        let first = *self.first.get_or_insert(next);
        let settled = first + (2.0 * self.rate.as_f64()) as u64;
        let missed = newest.saturating_sub(next);
        self.dropped += missed;
        self.dropped_at_start += settled.clamp(next, newest.max(next)) - next;
    }

    fn frame(&mut self, index: u64) {
        let begun = Instant::now();
        let at = self.rate.timestamp_of(index, Timescale::VIDEO);
        self.obey(at);
        let mut pictures: Vec<(String, Picture)> = Vec::new();
        let next = self.rate.timestamp_of(index + 1, Timescale::VIDEO);
        if let Some((_, thread)) = &mut self.simulation
            && let Some(light) = thread.picture(next, self.size, self.rate.interval(), self.spent)
        {
            pictures.push((thread.name().to_owned(), light));
        }
        for named in &mut self.sources {
            if let Some(picture) = named.source.picture_at(at) {
                pictures.push((named.name.clone(), picture));
            }
        }
        let find = |name: &str| pictures.iter().find(|(known, _)| known == name).map(|(_, p)| p.clone());
        if self.preview_due(begun) {
            self.last_preview = Some(begun);
            self.compositor.request_preview(self.size);
        }
        let key = self.key_due(index, begun);
        if let Err(err) = self.submit(&find, at) {
            self.compose_without_gpu(&err);
            // What was under way is lost with it; the CPU takes this frame.
            if let Err(err) = self.submit(&find, at) {
                tracing::error!("a frame was not composed: {err}");
            }
        }
        self.submitted.push_back(Submitted { at, key, begun });
        self.deliver();
        self.spent = begun.elapsed();
        self.compose_ms.push(self.spent.as_secs_f32() * 1e3);
        if index.is_multiple_of(6) {
            self.tell();
        }
    }

    fn submit(&mut self, inputs: Inputs<'_>, at: Timestamp) -> Result<(), ComposeError> {
        match self.shown.at(at) {
            Drawn::Scene(scene) => self.compositor.submit(scene, inputs, at),
            Drawn::Fade(fade) => self.compositor.submit_fade(fade, inputs, at),
        }
    }

    /// Hands on what the compositor has finished, in order.
    fn deliver(&mut self) {
        loop {
            match self.compositor.poll() {
                Ok(Some(composed)) => self.hand_on(composed),
                Ok(None) => break,
                Err(err) => return self.compose_without_gpu(&err),
            }
        }
        // A device can hang without being lost: then it refuses nothing and finishes nothing.
        if self.submitted.front().is_some_and(|frame| frame.begun.elapsed() > HUNG) {
            self.compose_without_gpu(&"it has finished nothing for a second");
        }
    }

    fn hand_on(&mut self, composed: Composed) {
        while let Some(frame) = self.submitted.pop_front() {
            if frame.at != composed.timestamp {
                // Given up by the compositor.
                self.dropped += 1;
                self.key_owed |= frame.key;
                continue;
            }
            let key = frame.key || std::mem::take(&mut self.key_owed);
            self.frames += 1;
            for (encoder, picture) in self.encoders.iter().zip(composed.renditions) {
                encoder.push(Frame { picture, key, begun: frame.begun });
            }
            break;
        }
        if let Some(picture) = composed.preview {
            self.shared.preview.put(picture);
        }
    }

    /// A graphics device that fails does not end the broadcast.
    fn compose_without_gpu(&mut self, err: &dyn std::fmt::Display) {
        tracing::error!("the graphics device failed, and the programme goes on without it: {err}");
        match CpuCompositor::new(self.compositor.config().clone()) {
            Ok(compositor) => {
                self.compositor = Box::new(compositor);
                self.backend = "cpu";
                self.dropped += self.submitted.len() as u64;
                self.key_owed |= self.submitted.drain(..).any(|frame| frame.key);
            }
            Err(err) => tracing::error!("nor could it be composed on the CPU: {err}"),
        }
    }

    /// What waits takes effect with the frame at `at`.
    fn obey(&mut self, at: Timestamp) {
        while let Ok(command) = self.incoming.try_recv() {
            match command {
                ProgrammeCommand::Scene(scene) => self.shown.edit(scene),
                ProgrammeCommand::Switch(scene, fade) => self.shown.switch(scene, fade, at),
                ProgrammeCommand::Add(picture) => self.sources.push(picture),
                ProgrammeCommand::Simulate(id, thread) => self.simulation = Some((id, thread)),
                ProgrammeCommand::Take(id, taker) => {
                    if let Some(taken) = self.take(id) {
                        // There is room for one, and whoever asked waits for it.
                        let _ = taker.try_send(taken);
                    }
                }
                ProgrammeCommand::Simulation(action) => {
                    if let Some((_, thread)) = &self.simulation {
                        thread.act(action);
                    }
                }
                ProgrammeCommand::Touch(touch) => {
                    if let Some((_, thread)) = &self.simulation {
                        thread.touch(touch);
                    }
                }
            }
        }
    }

    fn take(&mut self, id: SourceId) -> Option<Taken> {
        if let Some((_, thread)) = self.simulation.take_if(|(known, _)| *known == id) {
            return Some(Taken::Simulation(thread));
        }
        let at = self.sources.iter().position(|named| named.id == id)?;
        Some(Taken::Picture(self.sources.remove(at)))
    }

    /// The preview is the first to give way where the machine is slow.
    fn preview_due(&self, now: Instant) -> bool {
        let ms = self.shared.preview_interval_ms.load(Ordering::Relaxed);
        let asked = Duration::from_millis(ms);
        let busy = self.spent.as_secs_f32() > self.rate.interval().as_secs_f32() * BUSY_SHARE;
        let interval = if busy { asked.max(PREVIEW_LEAST) } else { asked };
        ms > 0 && self.last_preview.is_none_or(|last| now - last >= interval)
    }

    /// On the grid, or asked for. The grid is by frame index, so that a request moves nothing.
    fn key_due(&mut self, index: u64, now: Instant) -> bool {
        let on_grid = is_on_key_grid(index, self.rate);
        let may = self.last_key.is_none_or(|last| now - last >= KEY_REQUEST_INTERVAL);
        let asked = may && self.shared.key_wanted.swap(false, Ordering::AcqRel);
        let due = on_grid || asked || self.last_key.is_none();
        if due {
            self.last_key = Some(now);
            // Whoever waited for one has it now.
            self.shared.key_wanted.store(false, Ordering::Release);
        }
        due
    }

    fn tell(&self) {
        let slowest = self.encoders.last();
        let seconds = self.epoch.stamp(Instant::now(), Timescale::NANOS).as_secs_f64();
        let first = self.rate.timestamp_of(self.first.unwrap_or(0), Timescale::NANOS).as_secs_f64();
        let mut report = self.shared.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.programme = ProgrammeFigures {
            width: self.size.width,
            height: self.size.height,
            backend: self.backend,
            fps: self.frames as f64 / (seconds - first).max(1e-3),
            frames: self.frames,
            dropped: self.dropped,
            dropped_at_start: self.dropped_at_start,
            compose_ms_p50: self.compose_ms.percentile(0.5),
            lag_ms_p50: slowest.and_then(Encoder::lag_ms_p50),
        };
        report.simulation = self.simulation.as_ref().map(|(_, thread)| thread.figures());
        let named = self.sources.iter();
        report.sources = named.map(|n| (n.id, figures(&n.name, n.kind, n.source.status()))).collect();
    }
}

/// Whether frame `index` is the first at or after a multiple of the key interval.
fn is_on_key_grid(index: u64, rate: FrameRate) -> bool {
    let period = |index: u64| {
        let at: Timestamp = rate.timestamp_of(index, Timescale::NANOS);
        at.ticks() / (i64::from(KEY_INTERVAL_SECONDS) * 1_000_000_000)
    };
    index == 0 || period(index) != period(index - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_grid_is_every_two_seconds_of_media_time() {
        let on_grid = |rate| (0..200).filter(|&index| is_on_key_grid(index, rate)).collect::<Vec<_>>();
        assert_eq!(on_grid(FrameRate::FPS_30), [0, 60, 120, 180]);
        // At 29.97 frame 60 falls at 2.002 s, 119 at 3.97, 120 at 4.004.
        assert_eq!(on_grid(FrameRate::new(30_000, 1_001).unwrap()), [0, 60, 120, 180]);
        assert_eq!(on_grid(FrameRate::new(25, 1).unwrap()), [0, 50, 100, 150]);
    }
}
