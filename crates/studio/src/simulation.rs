//! The simulation as a source of light: stepped to the programme's time on a thread of its own, one frame
//! ahead of the compositor, and shed where the machine is slow.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use media::{Picture, Size, Timescale, Timestamp, Worker};
use sim::{Action, Backend, CpuBackend, Isa, SimError, Simulation};

use crate::engine::EngineError;
use crate::graphics::Graphics;
use crate::snapshot::{ReplayFigures, SimulationFigures};
use crate::statistics::Window;

/// The step whose state is reported as a hash.
const HASHED_STEP: u64 = 600;
/// A report holds so many commands that came before it: it is no place for a hand's every move.
const REPLAYED_MAX: usize = 64;
/// More steps than this behind (a suspended machine), time is skipped instead of caught up with.
const CATCH_UP_MAX_STEPS: u64 = 30;
/// The share of a frame that drawing or composing may take before particles are shed.
const BUSY_SHARE: f32 = 0.9;
const SHED_FACTOR: f64 = 0.8;
const RECOVER_FACTOR: f64 = 1.25;
/// Without a busy frame, before some come back; and from then on to the next.
const QUIET_SECONDS: u64 = 10;
const NEXT_QUIET_SECONDS: u64 = 2;

/// Orders that wait for the thread: one drawing and what people do meanwhile. Full: the order is refused.
const ORDERS: usize = 64;

enum Order {
    Draw { at: Timestamp, size: Size, interval: Duration, busy: Duration },
    Act(Action),
    Touch(Touch),
}

/// What a hand on the programme does to the particles behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Touch {
    /// Across and down, each from 0 to 1 over the programme.
    pub at: [f32; 2],
    pub hand: Hand,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Hand {
    /// Takes them along; in programme widths and heights a second, across and down.
    Push([f32; 2]),
    Attract,
    Repel,
}

/// The thread that draws ahead, as the compose thread sees it.
pub struct SimulationThread {
    name: String,
    // Dropped before the worker: that ends its loop.
    orders: Option<SyncSender<Order>>,
    pictures: Receiver<Option<Picture>>,
    figures: Arc<Mutex<SimulationFigures>>,
    newest: Option<Picture>,
    /// Drawings that were ordered and have not come.
    ordered: u32,
    worker: Option<Worker>,
}

impl SimulationThread {
    pub fn start(stage: SimulationStage) -> std::io::Result<Self> {
        let name = stage.name.clone();
        let (orders, taken) = sync_channel(ORDERS);
        // At most one drawing is on order, so its sender never waits.
        let (drawn, pictures) = sync_channel(1);
        let figures = Arc::new(Mutex::new(stage.figures()));
        let told = Arc::clone(&figures);
        let worker = Worker::spawn("sim", move |_| draw_ahead(stage, &taken, &drawn, &told))?;
        Ok(Self {
            name,
            orders: Some(orders),
            pictures,
            figures,
            newest: None,
            ordered: 0,
            worker: Some(worker),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes effect with the next step, and is logged there.
    pub fn act(&self, action: Action) {
        if !self.order(Order::Act(action)) {
            tracing::warn!("the simulation is too busy for a command");
        }
    }

    /// Acts where the particles are drawn now.
    pub fn touch(&self, touch: Touch) {
        // One of many that follow each other: a lost one is not missed.
        let _ = self.order(Order::Touch(touch));
    }

    /// The picture that was drawn for this frame, and has the one for `next` begun. Waits at most a quarter
    /// of `interval` for it; the last one is shown again where it is late. `busy` is how long the last frame took.
    pub fn picture(
        &mut self,
        next: Timestamp,
        size: Size,
        interval: Duration,
        busy: Duration,
    ) -> Option<Picture> {
        if self.ordered > 0 {
            // A slow simulation costs the programme a part of a frame, never a frame.
            match self.pictures.recv_timeout(interval / 4) {
                Ok(picture) => {
                    self.ordered -= 1;
                    self.newest = picture;
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
        if self.ordered == 0 && self.order(Order::Draw { at: next, size, interval, busy }) {
            self.ordered += 1;
        }
        self.newest.clone()
    }

    pub fn figures(&self) -> SimulationFigures {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn order(&self, order: Order) -> bool {
        self.orders.as_ref().is_some_and(|orders| orders.try_send(order).is_ok())
    }
}

impl Drop for SimulationThread {
    fn drop(&mut self) {
        self.orders = None;
        self.worker = None;
    }
}

fn draw_ahead(
    mut stage: SimulationStage,
    orders: &Receiver<Order>,
    drawn: &SyncSender<Option<Picture>>,
    figures: &Mutex<SimulationFigures>,
) {
    while let Ok(order) = orders.recv() {
        match order {
            Order::Act(action) => stage.act(action),
            Order::Touch(touch) => stage.touch(touch),
            Order::Draw { at, size, interval, busy } => {
                let begun = Instant::now();
                if drawn.send(stage.picture_at(at, size)).is_err() {
                    return;
                }
                stage.shed(begun.elapsed().max(busy), interval);
                *figures.lock().unwrap_or_else(PoisonError::into_inner) = stage.figures();
            }
        }
    }
}

/// On whichever backend the machine has.
pub type AnySimulation = Simulation<Box<dyn Backend>>;

/// What a broadcast asks for, on what the machine has.
pub fn simulation(
    name: &str,
    preset: &str,
    count: u32,
    seed: u64,
    size: Size,
    graphics: &Graphics,
) -> Result<SimulationStage, EngineError> {
    let found =
        sim::Preset::from_name(preset).ok_or_else(|| EngineError::UnknownPreset(preset.to_owned()))?;
    let config = sim::SimConfig { seed, count, preset: found, ..sim::SimConfig::default() };
    Ok(SimulationStage::new(name.to_owned(), graphics.simulation(config, size)?, count))
}

pub struct SimulationStage {
    name: String,
    simulation: AnySimulation,
    size: Size,
    capacity: u32,
    full_count: u32,
    active: u32,
    /// The step that media time zero is at: rises where time was skipped.
    skipped: u64,
    /// At [`HASHED_STEP`], whatever came before.
    replay: Option<ReplayFigures>,
    /// Something acted before [`HASHED_STEP`]: its state is not the seed's alone.
    touched: bool,
    /// Particles went with a graphics device before it: no log brings them back.
    broken: bool,
    step_ms: Window,
    render_ms: Window,
    first: Option<(Instant, u64)>,
    second: SecondOfLoad,
    failed: bool,
}

/// How busy the compose thread was in the second that is running.
struct SecondOfLoad {
    began: Instant,
    frames: u32,
    busy: u32,
    quiet_seconds: u64,
}

impl SimulationStage {
    pub fn new(name: String, simulation: AnySimulation, full_count: u32) -> Self {
        Self {
            name,
            simulation,
            size: Size::new(1280, 720),
            capacity: full_count,
            full_count,
            active: full_count,
            skipped: 0,
            replay: None,
            touched: false,
            broken: false,
            step_ms: Window::default(),
            render_ms: Window::default(),
            first: None,
            second: SecondOfLoad { began: Instant::now(), frames: 0, busy: 0, quiet_seconds: 0 },
            failed: false,
        }
    }

    fn act(&mut self, action: Action) {
        // What a person sets is what shedding starts from.
        if let Action::Active { count } = action {
            self.full_count = count.clamp(1, self.capacity);
            self.active = self.full_count;
        }
        if self.simulation.steps() < HASHED_STEP {
            self.touched = true;
        }
        if let Err(err) = self.simulation.act(action) {
            tracing::warn!("a command was not taken: {err}");
        }
    }

    fn touch(&mut self, touch: Touch) {
        let Ok(frame) = self.simulation.frame(self.size) else { return };
        if let Some(action) = reach(&frame.view, self.size, touch) {
            self.act(action);
        }
    }

    /// Steps to `at` and renders.
    fn picture_at(&mut self, at: Timestamp, size: Size) -> Option<Picture> {
        self.size = size;
        let due = u64::try_from(at.rescale(Timescale::of(sim::STEPS_PER_SECOND)).ticks()).unwrap_or(0);
        let behind = due.saturating_sub(self.skipped + self.simulation.steps());
        if behind > CATCH_UP_MAX_STEPS {
            self.skipped += behind - 1;
        }
        let step = due.saturating_sub(self.skipped);
        let drawn = self.draw(step, size, at).or_else(|err| {
            self.simulate_without_gpu(err)?;
            self.draw(step, size, at)
        });
        drawn.inspect_err(|err| self.fail(err)).ok()
    }

    fn draw(&mut self, step: u64, size: Size, at: Timestamp) -> Result<Picture, SimError> {
        self.advance(step)?;
        let begun = Instant::now();
        self.first.get_or_insert((begun, self.simulation.steps()));
        let picture = self.simulation.render(size, at);
        self.render_ms.push(begun.elapsed().as_secs_f32() * 1e3);
        picture
    }

    /// A graphics device that fails takes its particles along; the CPU goes on, and the emitters make others.
    fn simulate_without_gpu(&mut self, err: SimError) -> Result<(), SimError> {
        if !matches!(err, SimError::Gpu { .. }) {
            return Err(err);
        }
        tracing::error!("the graphics device failed, and the CPU simulates from here: {err}");
        self.broken |= self.simulation.steps() < HASHED_STEP;
        self.simulation.replace_backend(Box::new(CpuBackend::new(0, Isa::best())?))
    }

    /// To `step`, stopping at the one whose state is reported.
    fn advance(&mut self, step: u64) -> Result<(), SimError> {
        let from = self.simulation.steps();
        if step <= from {
            return Ok(());
        }
        let begun = Instant::now();
        let mut spent_on_hash = Duration::ZERO;
        if from < HASHED_STEP && step >= HASHED_STEP {
            self.simulation.advance_to(HASHED_STEP)?;
            let hashing = Instant::now();
            self.replay = self.state()?;
            spent_on_hash = hashing.elapsed();
        }
        self.simulation.advance_to(step)?;
        let spent = begun.elapsed().saturating_sub(spent_on_hash);
        self.step_ms.push(spent.as_secs_f32() * 1e3 / (step - from) as f32);
        Ok(())
    }

    /// The present state with its history.
    fn state(&mut self) -> Result<Option<ReplayFigures>, SimError> {
        let step = self.simulation.steps();
        let commands = self.simulation.log().commands().iter().take_while(|command| command.step < step);
        let commands: Vec<_> = commands.take(REPLAYED_MAX + 1).copied().collect();
        if self.broken || commands.len() > REPLAYED_MAX {
            return Ok(None);
        }
        Ok(Some(ReplayFigures { step, hash: self.simulation.hash_hex()?, commands }))
    }

    /// Without the simulation the programme goes on: its layer shows a slate.
    fn fail(&mut self, err: &SimError) {
        if !self.failed {
            tracing::error!("the simulation stands still: {err}");
            self.failed = true;
        }
    }

    /// Told after each frame how long it took: a second of overload takes particles away, ten quiet ones
    /// bring some back, and each two quiet ones after these some more.
    fn shed(&mut self, spent: Duration, interval: Duration) {
        let second = &mut self.second;
        second.frames += 1;
        if spent.as_secs_f32() > interval.as_secs_f32() * BUSY_SHARE {
            second.busy += 1;
        }
        if second.began.elapsed() < Duration::from_secs(1) {
            return;
        }
        let overloaded = second.busy * 2 > second.frames;
        second.quiet_seconds = if second.busy == 0 { second.quiet_seconds + 1 } else { 0 };
        let recover = second.quiet_seconds >= QUIET_SECONDS;
        (second.began, second.frames, second.busy) = (Instant::now(), 0, 0);
        let factor = match (overloaded, recover && self.active < self.full_count) {
            (true, _) => SHED_FACTOR,
            (false, true) => RECOVER_FACTOR,
            (false, false) => return,
        };
        self.second.quiet_seconds = if overloaded { 0 } else { QUIET_SECONDS - NEXT_QUIET_SECONDS };
        let wanted = (f64::from(self.active) * factor) as u32;
        // What is shed changes the state, so a hash from here on is not the seed's.
        self.touched |= self.simulation.steps() < HASHED_STEP;
        let wanted = wanted.clamp(self.full_count.div_ceil(20), self.full_count);
        match self.simulation.set_active_count(wanted) {
            Ok(_) => self.active = wanted,
            Err(err) => tracing::warn!("the simulation was not shed: {err}"),
        }
    }

    fn figures(&self) -> SimulationFigures {
        let steps = self.simulation.steps();
        let rate =
            self.first.map_or(0.0, |(at, step)| (steps - step) as f64 / at.elapsed().as_secs_f64().max(1e-3));
        SimulationFigures {
            backend: self.simulation.backend().name(),
            preset: self.simulation.preset().name().to_owned(),
            particles: u64::from(self.active),
            steps,
            steps_per_second: rate,
            settings: sim::Parameter::ALL
                .map(|parameter| (parameter, self.simulation.parameter(parameter)))
                .into(),
            full_count: u64::from(self.full_count),
            capacity: u64::from(self.capacity),
            step_ms_p50: self.step_ms.percentile(0.5),
            render_ms_p50: self.render_ms.percentile(0.5),
            hash_at_step_600: self
                .replay
                .as_ref()
                .filter(|_| !self.touched)
                .map(|replay| replay.hash.clone()),
            replay: self.replay.clone(),
        }
    }
}

/// The share of the distance to the camera's target that a hand reaches over.
const REACH: f32 = 0.14;
/// A pull, over the square of that distance: in m/s² it then feels the same in every preset.
const PULL: f32 = 0.9;
/// How long one touch pulls: somewhat longer than the next one takes to come.
const PULL_STEPS: u32 = 8;
/// Pushes faster than this are a jump of the pointer, in metres a second at a distance of one metre.
const PUSH_MAX: f32 = 3.0;

/// The touch as an action in the world: at the depth of the camera's target, where a preset has its middle.
/// `None` where it lies outside the picture.
fn reach(view: &sim::View, size: Size, touch: Touch) -> Option<Action> {
    let [across, down] = touch.at;
    if !(0.0..=1.0).contains(&across) || !(0.0..=1.0).contains(&down) {
        return None;
    }
    let distance = view.eye[3].sqrt();
    let (width, height) = (size.width as f32, size.height as f32);
    // Both axes are unit vectors times the focal length in pixels.
    let focal_squared: f32 = view.right[..3].iter().map(|v| v * v).sum();
    // Metres at the target's depth, along right and up.
    let in_world = |right: f32, up: f32| -> [f32; 3] {
        std::array::from_fn(|axis| {
            (view.right[axis] * right * width - view.up[axis] * up * height) * distance / focal_squared
        })
    };
    let aside = in_world(across - 0.5, down - 0.5);
    let at: [f32; 3] =
        std::array::from_fn(|axis| view.eye[axis] + view.forward[axis] * distance + aside[axis]);
    let pull =
        |sign: f32| Action::Attract { at, strength: sign * PULL * distance * distance, steps: PULL_STEPS };
    Some(match touch.hand {
        Hand::Attract => pull(1.0),
        Hand::Repel => pull(-1.0),
        Hand::Push([right, down]) => {
            let most = PUSH_MAX * distance;
            let velocity = in_world(right, down).map(|v| v.clamp(-most, most));
            Action::Push { at, radius: REACH * distance, velocity }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size::new(1280, 720);

    #[test]
    fn the_cpu_goes_on_where_the_graphics_device_is_lost() {
        let graphics = crate::graphics::Graphics::find(crate::graphics::Choice::Gpu);
        let device = graphics.device().expect("an adapter; mesa-vulkan-drivers has one").device.clone();
        let config = sim::SimConfig { count: 2_000, ..sim::SimConfig::default() };
        let size = Size::new(320, 180);
        let simulation = graphics.simulation(config, size).expect("a simulation");
        let mut stage = SimulationStage::new("particles".into(), simulation, config.count);
        let mut frame = |n| {
            let drawn = stage.picture_at(Timestamp::new(n, Timescale::of(30)), size);
            let light = drawn.map(|picture| picture.data().chunks_exact(4).filter(|p| p[0] > 16).count());
            (stage.figures().backend, stage.figures().steps, light)
        };
        let (backend, steps, _) = frame(5);
        assert_eq!((backend, steps), ("gpu", 10));
        device.destroy();
        let (backend, steps, light) = frame(10);
        assert_eq!((backend, steps, light.is_some()), ("cpu", 20, true));
        // The emitters make others.
        let lit = (11..40).map(frame).last().and_then(|(_, _, light)| light);
        assert!(lit > Some(0), "{lit:?}");
    }

    fn view() -> sim::View {
        let camera = sim::Camera {
            target: [1.0, 2.0, 3.0],
            distance: 8.0,
            height: 2.0,
            bob: 0.0,
            focal: 1.2,
            orbit: 0.0,
            start: 0.0,
        };
        camera.view(0, 0.3, SIZE)
    }

    /// Where a point is drawn, by the definition of [`sim::View`]: across and down in pixels.
    fn drawn(view: &sim::View, at: [f32; 3]) -> [f32; 2] {
        let along = |axis: [f32; 4]| (0..3).map(|n| axis[n] * (at[n] - view.eye[n])).sum::<f32>();
        let depth = along(view.forward);
        [view.right[3] + along(view.right) / depth, view.up[3] - along(view.up) / depth]
    }

    #[test]
    fn a_hand_reaches_what_is_drawn_under_it() {
        let view = view();
        for at in [[0.5, 0.5], [0.1, 0.9], [0.8, 0.25]] {
            let Some(Action::Attract { at: point, strength, .. }) =
                reach(&view, SIZE, Touch { at, hand: Hand::Attract })
            else {
                panic!("no attraction")
            };
            let [x, y] = drawn(&view, point);
            assert!(
                (x - at[0] * 1280.0).abs() < 0.1 && (y - at[1] * 720.0).abs() < 0.1,
                "{x} {y} for {at:?}"
            );
            assert!(strength > 0.0);
        }
    }

    #[test]
    fn a_push_goes_where_the_hand_goes() {
        let view = view();
        let touch = Touch { at: [0.5, 0.5], hand: Hand::Push([0.2, 0.1]) };
        let Some(Action::Push { at, velocity, radius }) = reach(&view, SIZE, touch) else {
            panic!("no push")
        };
        assert!(radius > 0.0);
        let moved = drawn(&view, std::array::from_fn(|axis| at[axis] + velocity[axis]));
        // A second later it is a fifth of the width and a tenth of the height further.
        assert!(
            (moved[0] - (640.0 + 256.0)).abs() < 0.1 && (moved[1] - (360.0 + 72.0)).abs() < 0.1,
            "{moved:?}"
        );
    }

    #[test]
    fn a_hand_beside_the_picture_does_nothing() {
        let view = view();
        for at in [[-0.1, 0.5], [0.5, 1.1], [f32::NAN, 0.5]] {
            assert_eq!(reach(&view, SIZE, Touch { at, hand: Hand::Repel }), None);
        }
    }
}
