//! The crate from outside: what goes in comes out again, and other implementations agree.
#![allow(clippy::unwrap_used, reason = "a test ends where something it relies on is missing")]

mod audio;
mod convert;
mod damage;
mod files;
mod logging;
mod pattern;
mod video;
