//! A simulation: a world, its log, and a backend that holds the particles.

use std::borrow::Cow;

use media::{Picture, PictureError, Size, Timestamp};
use thiserror::Error;

use crate::MAX_PARTICLES;
use crate::block::Block;
use crate::command::{Action, Command, CommandLog, LogError, Parameter};
use crate::cpu::CpuBackend;
use crate::isa::Isa;
use crate::look::Look;
use crate::params::{RINGS, StepParams};
use crate::preset::Preset;
use crate::scene::Scene;
use crate::splat::Frame;
use crate::state::{self, StateError};
use crate::world::World;

/// Steps that a block takes while it is in the cache. More would gain nothing.
const BATCH: usize = 8;
/// The widest and the highest picture.
const MAX_EDGE: u32 = 8_191;
/// The count at which a preset's light is as it was made.
const REFERENCE_COUNT: f32 = 500_000.0;

/// Where particles live: they are stepped, drawn, and read there.
pub trait Backend: Send {
    /// For reports: `cpu` or `gpu`.
    fn name(&self) -> &'static str;
    /// Takes all particles through `steps`.
    fn advance(&mut self, steps: &[StepParams]) -> Result<(), SimError>;
    /// Living particles after the last step.
    fn alive(&mut self) -> Result<u32, SimError>;
    /// The particles; a GPU reads them back for it.
    fn blocks(&mut self) -> Result<Cow<'_, [Block]>, SimError>;
    /// Replaces all particles.
    fn set_blocks(&mut self, blocks: Vec<Block>) -> Result<(), SimError>;
    /// A picture in memory.
    fn render(&mut self, frame: &Frame, timestamp: Timestamp) -> Result<Picture, SimError>;
}

impl Backend for Box<dyn Backend> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn advance(&mut self, steps: &[StepParams]) -> Result<(), SimError> {
        (**self).advance(steps)
    }

    fn alive(&mut self) -> Result<u32, SimError> {
        (**self).alive()
    }

    fn blocks(&mut self) -> Result<Cow<'_, [Block]>, SimError> {
        (**self).blocks()
    }

    fn set_blocks(&mut self, blocks: Vec<Block>) -> Result<(), SimError> {
        (**self).set_blocks(blocks)
    }

    fn render(&mut self, frame: &Frame, timestamp: Timestamp) -> Result<Picture, SimError> {
        (**self).render(frame, timestamp)
    }
}

/// How a simulation begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimConfig {
    pub seed: u64,
    /// Particles of the emitters, rounded up to whole blocks; guests come on top.
    pub count: u32,
    pub preset: Preset,
    /// Threads of the CPU backend; 0 leaves one core free.
    pub threads: usize,
    /// Instruction set of the CPU backend; `None` takes the best.
    pub isa: Option<Isa>,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self { seed: 1, count: 500_000, preset: Preset::default(), threads: 0, isa: None }
    }
}

/// Why a simulation could not go on.
#[derive(Debug, Error)]
pub enum SimError {
    #[error("{count} particles were asked for; between 1 and {MAX_PARTICLES} are possible")]
    Count { count: u32 },
    #[error("a picture of {size} was asked for; edges from 8 to {MAX_EDGE} pixels are possible")]
    Size { size: Size },
    #[error("step {step} was asked for, but {now} steps are already taken: time does not run backwards")]
    Backwards { step: u64, now: u64 },
    #[error("the threads for the simulation could not be started: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    #[error(transparent)]
    Picture(#[from] PictureError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("the GPU did not do its work: {reason}")]
    Gpu { reason: String },
}

/// Whether bytes are a saved state, without keeping it: for files before they are opened, and for fuzzing.
pub fn check_state(bytes: &[u8]) -> Result<(), SimError> {
    state::read(bytes)?;
    Ok(())
}

/// Numbers for a health display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    pub backend: &'static str,
    /// Particles that the emitters were made for.
    pub count: u32,
    /// How many of them are in use; fewer while load is shed.
    pub active: u32,
    /// Living particles after the last step, guests included.
    pub alive: u32,
    /// Steps taken since the beginning.
    pub steps: u64,
}

/// A running simulation.
pub struct Simulation<B: Backend = CpuBackend> {
    world: World,
    scene: Scene,
    previous: Scene,
    log: CommandLog,
    /// The first command of the log that has not acted yet.
    next: usize,
    backend: B,
}

impl Simulation<CpuBackend> {
    /// A simulation on the CPU.
    pub fn new(config: SimConfig) -> Result<Self, SimError> {
        let backend = CpuBackend::new(config.threads, config.isa.unwrap_or_else(Isa::best))?;
        Self::with_backend(config, backend)
    }
}

impl<B: Backend> Simulation<B> {
    pub fn with_backend(config: SimConfig, mut backend: B) -> Result<Self, SimError> {
        if config.count == 0 || config.count > MAX_PARTICLES {
            return Err(SimError::Count { count: config.count });
        }
        let world = World::new(config.seed, config.count, config.preset);
        backend.set_blocks(vec![Block::dead(); World::blocks_for(config.count)])?;
        let scene = config.preset.scene();
        Ok(Self { world, previous: scene.clone(), scene, log: CommandLog::new(), next: 0, backend })
    }

    /// Replays `log` from the beginning as steps are taken. Only before the first step.
    pub fn set_log(&mut self, log: CommandLog) -> Result<(), LogError> {
        if let Some(first) = log.commands().first()
            && first.step < self.world.step
        {
            return Err(LogError::Late { step: first.step, now: self.world.step });
        }
        self.log = log;
        self.next = 0;
        Ok(())
    }

    /// Every command so far, those to come included; or the newest, once there were more than it holds: then it
    /// is no recording of the run.
    pub fn log(&self) -> &CommandLog {
        &self.log
    }

    /// Enters a command for a step that is not taken yet, and not before one already entered. Where the log is
    /// full it forgets what has acted: a hand on the particles works for as long as the broadcast goes on.
    pub fn push_command(&mut self, command: Command) -> Result<(), LogError> {
        if command.step < self.world.step {
            return Err(LogError::Late { step: command.step, now: self.world.step });
        }
        match self.log.push(command) {
            Err(LogError::Full) if self.next > 0 => {
                self.log.forget(std::mem::take(&mut self.next));
                self.log.push(command)
            }
            pushed => pushed,
        }
    }

    /// Goes on from the present step on another backend, without a particle: they cannot be read where a device
    /// was lost. The emitters fill it again within a lifetime.
    pub fn replace_backend(&mut self, mut backend: B) -> Result<(), SimError> {
        backend.set_blocks(vec![Block::dead(); World::blocks_for(self.world.count)])?;
        self.backend = backend;
        Ok(())
    }

    /// Enters an action for the next step, or for the step of the last command where that is later.
    /// Returns that step.
    pub fn act(&mut self, action: Action) -> Result<u64, LogError> {
        let last = self.log.commands().last().map_or(0, |command| command.step);
        let step = self.world.step.max(last);
        self.push_command(Command { step, action })?;
        Ok(step)
    }

    /// Keeps `count` particles in use from the next step on; the others fade in half a second, and come
    /// back one by one when it is raised. The log holds it, so a replay sheds at the same step.
    pub fn set_active_count(&mut self, count: u32) -> Result<u64, LogError> {
        self.act(Action::Active { count })
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.world.step
    }

    pub fn preset(&self) -> Preset {
        self.world.preset
    }

    /// A slider's present value.
    pub fn parameter(&self, parameter: Parameter) -> f32 {
        self.world.control(parameter)
    }

    pub fn backend(&self) -> &B {
        &self.backend
    }

    pub fn backend_mut(&mut self) -> &mut B {
        &mut self.backend
    }

    /// Takes one step.
    pub fn step(&mut self) -> Result<(), SimError> {
        self.advance_to(self.world.step + 1)
    }

    /// Takes steps until `step` are taken.
    pub fn advance_to(&mut self, step: u64) -> Result<(), SimError> {
        if step < self.world.step {
            return Err(SimError::Backwards { step, now: self.world.step });
        }
        let mut batch = Vec::with_capacity(BATCH);
        while self.world.step < step {
            batch.clear();
            while self.world.step < step && batch.len() < BATCH {
                self.take_commands();
                batch.push(self.world.plan(&self.scene));
            }
            self.backend.advance(&batch)?;
        }
        Ok(())
    }

    fn take_commands(&mut self) {
        while let Some(command) = self.log.commands().get(self.next)
            && command.step <= self.world.step
        {
            self.world.apply(command.action);
            if let Action::Preset { preset } = command.action {
                self.previous = std::mem::replace(&mut self.scene, preset.scene());
            }
            self.next += 1;
        }
    }

    /// The picture of this step on opaque black, for a compositor to add.
    pub fn render(&mut self, size: Size, timestamp: Timestamp) -> Result<Picture, SimError> {
        let frame = self.frame(size)?;
        self.backend.render(&frame, timestamp)
    }

    /// What a backend needs to draw this step.
    pub fn frame(&self, size: Size) -> Result<Frame, SimError> {
        let fits = |edge: u32| (8..=MAX_EDGE).contains(&edge);
        if !fits(size.width) || !fits(size.height) {
            return Err(SimError::Size { size });
        }
        let Look { camera, exposure, glow, sparkle, mirror, .. } = &self.scene.look;
        let glowing = self.world.control(Parameter::Glow);
        // As much light in all, however many share it and however large the picture is.
        let scale = size.height as f32 / 720.0;
        let share = REFERENCE_COUNT / (self.world.active.max(1) as f32);
        let gain = exposure * self.world.control(Parameter::Exposure) * share * scale * scale;
        let sphere = |s: &crate::Sphere| [s.centre[0], s.centre[1], s.centre[2], s.radius];
        Ok(Frame {
            view: camera.view(self.world.step, self.world.camera_turns(), size),
            width: size.width,
            height: size.height,
            palettes: self.palettes(),
            gain,
            sparkle: *sparkle,
            hiders: self.scene.spheres.iter().map(sphere).collect(),
            mirror: self.scene.planes.first().filter(|_| *mirror > 0.0).map(|p| [p.offset, *mirror]),
            glow: glow.map(|amount| amount * glowing),
        })
    }

    /// A palette for each ring of both banks; the bank not in use is the previous preset's.
    fn palettes(&self) -> Vec<[[f32; 3]; crate::look::PALETTE_LEN]> {
        let guests = self.world.guest_colour;
        let of = |scene: &Scene, ring: usize| match scene.emitters.get(ring) {
            Some(emitter) if ring + 1 < RINGS => emitter.ramp.palette([1.0; 3]),
            _ if ring + 1 == RINGS => scene.look.guest.palette(guests),
            _ => [[0.0; 3]; crate::look::PALETTE_LEN],
        };
        let scenes = match self.world.bank {
            0 => [&self.scene, &self.previous],
            _ => [&self.previous, &self.scene],
        };
        scenes.into_iter().flat_map(|scene| (0..RINGS).map(move |ring| of(scene, ring))).collect()
    }

    /// Counts; how long steps take is the caller's to measure.
    pub fn stats(&mut self) -> Result<Stats, SimError> {
        Ok(Stats {
            backend: self.backend.name(),
            count: self.world.count,
            active: self.world.active,
            alive: self.backend.alive()?,
            steps: self.world.step,
        })
    }

    /// SHA-256 over the whole state but the log; equal states have equal hashes on every machine.
    pub fn hash(&mut self) -> Result<[u8; 32], SimError> {
        Ok(state::hash(&self.world, &self.backend.blocks()?))
    }

    /// [`Simulation::hash`] in lower-case hexadecimal digits.
    pub fn hash_hex(&mut self) -> Result<String, SimError> {
        Ok(self.hash()?.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The whole state but the log, to go on from later.
    pub fn save(&mut self) -> Result<Vec<u8>, SimError> {
        Ok(state::write(&self.world, &self.backend.blocks()?))
    }

    /// Goes on from a saved state, with an empty log: commands to come are entered again.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), SimError> {
        let (world, blocks) = state::read(bytes)?;
        self.backend.set_blocks(blocks)?;
        self.scene = world.preset.scene();
        self.previous = world.previous.scene();
        self.world = world;
        self.log = CommandLog::new();
        self.next = 0;
        Ok(())
    }
}
