//! The engine: capture to publish, commands in, snapshots out.
//!
//! Joins sources, simulation, compositor, mixer, encoders and outputs. Knows no window and no argument
//! parsing: the Stage, `tickcast engine` and `tickcast demo` drive it through [`Engine`] alone.

mod air;
pub mod broadcast;
pub mod collection;
pub mod devices;
pub mod engine;
mod file_source;
mod frame_queue;
pub mod graphics;
mod hub;
mod ladder;
mod monitor;
mod output;
mod programme;
pub mod room;
mod simulation;
pub mod snapshot;
mod sound;
mod source_list;
mod sources;
mod statistics;
pub mod transcode;
mod transition;

pub use broadcast::{BroadcastError, BroadcastFile, Output};
pub use collection::Collection;
// What scenes are made of, for whoever edits them.
pub use compose::scene;
pub use devices::{DeviceKind, DeviceList, Devices, FoundDevice};
pub use engine::{Command, Engine, EngineError, SignallingFactory};
pub use graphics::Graphics;
pub use sim::{Action, Parameter, Preset};
pub use simulation::{Hand, Touch};
pub use snapshot::Snapshot;
pub use source_list::{MAX_SOURCES, SourceError};
