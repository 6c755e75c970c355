//! What can go wrong in a codec, in the words of whoever has to act on it.

use media::{PixelFormat, Size, Timestamp};
use thiserror::Error;

/// Why an encoder, decoder or converter could not do what it was asked.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CodecError {
    #[error("the linked FFmpeg has no {name}; install an FFmpeg that was built with it")]
    Missing { name: String },
    #[error("{name} could not be opened: {reason}")]
    Open { name: String, reason: String },
    #[error("the setting {setting} is out of range: {reason}")]
    Setting { setting: &'static str, reason: String },
    #[error("a picture of {got} was given to a codec that was opened for {expected}")]
    WrongSize { expected: Size, got: Size },
    #[error("pictures in {format:?} are not taken here: {reason}")]
    WrongPicture { format: PixelFormat, reason: &'static str },
    #[error("sound of {rate} Hz in {channels} channels is not taken here; resample it first")]
    WrongSound { rate: u32, channels: usize },
    #[error("the picture at {got:?} is not later than the one before it at {last:?}")]
    TimeNotRising { last: Timestamp, got: Timestamp },
    #[error("the encoded data is damaged: {reason}")]
    Damaged { reason: String },
    #[error("{codec} failed while {action}: {reason}")]
    Failed { codec: &'static str, action: &'static str, reason: String },
    #[error("out of memory")]
    OutOfMemory,
}

impl CodecError {
    /// A name for this error that does not change between versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "codec_missing",
            Self::Open { .. } => "codec_open",
            Self::Setting { .. } => "codec_setting",
            Self::WrongSize { .. } => "codec_wrong_size",
            Self::WrongPicture { .. } => "codec_wrong_picture",
            Self::WrongSound { .. } => "codec_wrong_sound",
            Self::TimeNotRising { .. } => "codec_time_not_rising",
            Self::Damaged { .. } => "codec_damaged",
            Self::Failed { .. } => "codec_failed",
            Self::OutOfMemory => "codec_out_of_memory",
        }
    }
}
