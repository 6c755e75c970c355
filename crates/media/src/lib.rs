//! Time, pictures, sound blocks and packets: the words that every other crate speaks.
//!
//! Knows no codec, container, network or device. Nothing here reads a clock: `Instant`s come in.

pub mod audio;
pub mod burn_in;
pub mod packet;
pub mod picture;
pub mod rendition;
pub mod slot;
pub mod time;
pub mod transcode;
pub mod worker;

pub use audio::{AudioBlock, BLOCK_FRAMES, PROGRAMME_CHANNELS, PROGRAMME_RATE};
pub use packet::{AudioTrack, Codec, Packet, Track, VideoTrack};
pub use picture::{ColorMatrix, ColorRange, Picture, PictureError, PixelFormat, Plane, Size};
pub use rendition::{Ladder, Rendition, RenditionName};
pub use slot::Slot;
pub use time::{FrameRate, StudioEpoch, Timescale, Timestamp, WallTime};
pub use transcode::{KeyPlacement, LaneToken, Made, TranscodeCommand, TranscodeOrder};
pub use worker::{StopSignal, Worker};
