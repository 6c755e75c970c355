//! The simulation as a source of light: stepped to the programme's time, and shed where the machine is slow.

use std::time::{Duration, Instant};

use media::{Picture, Size, Timescale, Timestamp};
use sim::{Action, Simulation};

use crate::snapshot::SimulationFigures;
use crate::statistics::Window;

/// The step whose state is reported as a hash.
const HASHED_STEP: u64 = 600;
/// More steps than this behind (a suspended machine), time is skipped instead of caught up with.
const CATCH_UP_MAX_STEPS: u64 = 30;
/// The share of a frame that everything on the compose thread may take before particles are shed.
const BUSY_SHARE: f32 = 0.9;
const SHED_FACTOR: f64 = 0.8;
const RECOVER_FACTOR: f64 = 1.1;
const QUIET_SECONDS: u64 = 10;

pub struct SimulationStage {
    name: String,
    preset: String,
    simulation: Simulation,
    full_count: u32,
    /// The step that media time zero is at: rises where time was skipped.
    skipped: u64,
    hash: Option<String>,
    touched: bool,
    step_ms: Window,
    render_ms: Window,
    first: Option<(Instant, u64)>,
    second: SecondOfLoad,
}

/// How busy the compose thread was in the second that is running.
struct SecondOfLoad {
    began: Instant,
    frames: u32,
    busy: u32,
    quiet_seconds: u64,
}

impl SimulationStage {
    pub fn new(name: String, preset: String, simulation: Simulation) -> Self {
        let full_count = simulation.active_count();
        Self {
            name,
            preset,
            simulation,
            full_count,
            skipped: 0,
            hash: None,
            touched: false,
            step_ms: Window::default(),
            render_ms: Window::default(),
            first: None,
            second: SecondOfLoad { began: Instant::now(), frames: 0, busy: 0, quiet_seconds: 0 },
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes effect with the next step, and is logged there.
    pub fn act(&mut self, action: Action) {
        if self.simulation.step_count() < HASHED_STEP {
            self.touched = true;
        }
        self.simulation.push_command(action);
    }

    /// Steps to `at` and renders.
    pub fn picture_at(&mut self, at: Timestamp, size: Size) -> Picture {
        let due = u64::try_from(at.rescale(Timescale::of(sim::STEPS_PER_SECOND)).ticks()).unwrap_or(0);
        let behind = due.saturating_sub(self.skipped + self.simulation.step_count());
        if behind > CATCH_UP_MAX_STEPS {
            self.skipped += behind - 1;
        }
        while self.simulation.step_count() + self.skipped < due {
            let begun = Instant::now();
            self.simulation.step();
            self.step_ms.push(begun.elapsed().as_secs_f32() * 1e3);
            if self.simulation.step_count() == HASHED_STEP && !self.touched {
                self.hash = Some(self.simulation.hash_hex());
            }
        }
        let begun = Instant::now();
        self.first.get_or_insert((begun, self.simulation.step_count()));
        let picture = self.simulation.render(size, at);
        self.render_ms.push(begun.elapsed().as_secs_f32() * 1e3);
        picture
    }

    /// Told after each frame how long it took: a second of overload takes particles away, ten quiet ones
    /// bring some back.
    pub fn shed(&mut self, spent: Duration, interval: Duration) {
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
        let active = self.simulation.active_count();
        let factor = match (overloaded, recover && active < self.full_count) {
            (true, _) => SHED_FACTOR,
            (false, true) => RECOVER_FACTOR,
            (false, false) => return,
        };
        self.second.quiet_seconds = 0;
        let wanted = (f64::from(active) * factor) as u32;
        // What is shed changes the state, so a hash from here on is not the seed's.
        self.touched |= self.simulation.step_count() < HASHED_STEP;
        self.simulation.set_active_count(wanted.clamp(self.full_count.div_ceil(20), self.full_count));
    }

    pub fn figures(&self) -> SimulationFigures {
        let steps = self.simulation.step_count();
        let rate = self.first.map_or(0.0, |(at, step)| (steps - step) as f64 / at.elapsed().as_secs_f64().max(1e-3));
        SimulationFigures {
            backend: self.simulation.backend_name(),
            preset: self.preset.clone(),
            particles: u64::from(self.simulation.active_count()),
            steps,
            steps_per_second: rate,
            step_ms_p50: self.step_ms.percentile(0.5),
            render_ms_p50: self.render_ms.percentile(0.5),
            hash_at_step_600: self.hash.clone(),
        }
    }
}
