//! FLV: the tag bodies that RTMP shares, and the file around them.
//!
//! Adobe's Video File Format 10.1 annex E, and of Enhanced RTMP v2 the one form that has none there: a track of Opus.
//! Its other forms are the `rtmp` crate's, which turns them into these, and so is AMF: script data passes as bytes.

mod body;
mod file;

pub use body::{AudioBody, AudioCodec, VideoBody};
pub use file::{FlvReader, FlvWriter, Tag, TagKind};

use thiserror::Error;

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FlvError {
    #[error("the FLV data ends too early")]
    TooShort,
    #[error("it is not an FLV file: {0}")]
    NotFlv(&'static str),
    #[error("video of type \"{0}\" is not supported; H.264 is")]
    VideoCodec(String),
    #[error("sound of type \"{0}\" is not supported; AAC and Opus are")]
    AudioCodec(String),
    #[error("the tag is damaged: {0}")]
    BadTag(&'static str),
    #[error("a tag of {0} bytes does not fit the 24 bits of its length")]
    TooLarge(usize),
}
