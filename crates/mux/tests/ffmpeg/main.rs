//! Our containers against ffmpeg and ffprobe: what it makes we read, and what we make it plays in full.

mod flv;
mod recording;
mod source;
