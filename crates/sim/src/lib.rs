//! Half a million particles in fixed steps of 1/60 s: emitters, forces, collisions, and how they look as
//! light. One trait, [`Backend`], with a CPU twin that is bit-identical on every machine.
//!
//! Reads no clock and knows no window, scene or encoder: steps, commands and sizes come in, pictures go out.

mod block;
mod camera;
mod command;
mod cpu;
mod emission;
mod exact;
mod glow;
#[cfg(feature = "gpu")]
mod gpu;
mod isa;
mod kernel;
mod look;
mod params;
mod pool;
mod preset;
mod scene;
mod simulation;
mod splat;
mod state;
mod tone;
mod world;

pub use block::{Block, LANES};
pub use camera::{Camera, View};
pub use command::{Action, Command, CommandLog, LogError, Parameter};
pub use cpu::CpuBackend;
#[cfg(feature = "gpu")]
pub use gpu::{GpuBackend, is_software};
pub use isa::Isa;
pub use look::{ColourRamp, Look};
pub use params::StepParams;
pub use preset::Preset;
pub use scene::{Attractor, Burst, CurlNoise, Emitter, Plane, Scene, Shape, Sphere, Vortex};
pub use simulation::{Backend, SimConfig, SimError, Simulation, Stats, check_state};
pub use splat::Frame;
pub use state::StateError;

/// The graphics interface that [`GpuBackend`] shares its device through.
#[cfg(feature = "gpu")]
pub use wgpu;

/// Seconds of simulated time in a step.
pub const STEP_SECONDS: f32 = 1.0 / 60.0;
/// Steps in a second of simulated time.
pub const STEPS_PER_SECOND: u32 = 60;
/// The most particles a simulation is made for; it bounds the memory that a foreign file can ask for.
pub const MAX_PARTICLES: u32 = 2_000_000;
