//! Our containers against ffmpeg and ffprobe: what it makes we read, and what we make it plays in full.

// Helpers outside of #[test] functions are tests too.
#![allow(clippy::unwrap_used)]

mod flv;
mod hls;
mod recording;
mod source;
