//! MP4 (ISO/IEC 14496-12): fragmented recordings that survive a kill, CMAF parts, and plain MP4s from both.

mod boxes;
mod finalise;
mod fragment;
mod movie;
mod part;
mod recorder;
mod sample;

pub use finalise::{Summary, finalise};
pub use part::{Part, PartWriter};
pub use recorder::{FragmentedWriter, Tracks};
pub use sample::{Sample, SampleQueue, TrackConfig};

use std::io;

use thiserror::Error;

/// Why a recording cannot be finalised.
#[derive(Debug, Error)]
pub enum Mp4Error {
    #[error("the recording cannot be read or written: {0}")]
    Io(#[from] io::Error),
    #[error("it is not a fragmented MP4: {0}")]
    NotFragmented(&'static str),
    #[error("it ends before its first whole fragment, so there is nothing to play")]
    Empty,
}
