//! The audio graph: gain, mute, meters, limiter and drift-correcting resampling.
//!
//! Knows no device, thread or clock: blocks with timestamps come in, the programme's 10 ms blocks come out.

mod device_clock;
mod input;
mod limiter;
mod meter;
mod mix;

pub use device_clock::MAX_DRIFT;
pub use input::{InputCounts, InputState, PushError};
pub use limiter::{CEILING_DBFS, LOOK_AHEAD_FRAMES};
pub use meter::{Level, Loudness, SILENCE_DB, db_to_gain, gain_to_db};
pub use mix::{InputId, InputSettings, MIN_LATENCY, Mixed, Mixer, Mute, ProgrammeMeters};
