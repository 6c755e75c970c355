//! Encoders, decoders, hardware probing and file demuxing, over FFmpeg.
//!
//! The only crate that sees FFmpeg (5.1 to 7.1). It opens no device and no connection and knows no container but
//! those that it demuxes from files; the caller decides when pictures and key frames are due.

mod audio_decoder;
mod audio_encoder;
mod demuxer;
mod error;
mod file_reader;
mod frame;
mod hardware;
mod level;
mod library;
mod log;
mod raw;
mod resampler;
mod scaler;
mod video_decoder;
mod video_encoder;

pub use audio_decoder::AudioDecoder;
pub use audio_encoder::{AudioEncoder, AudioEncoderConfig, Fec, SoundCorrections};
pub use error::CodecError;
pub use file_reader::{
    FileError, FileInfo, FileOptions, FilePiece, FileReader, FileSound, FileVideo, Need, Repeat,
};
pub use hardware::{EncoderProbe, probe};
pub use library::{License, license, version};
pub use resampler::Resampler;
pub use scaler::Scaler;
pub use video_decoder::{DecodeCounts, Latency, VideoDecoder, VideoDecoderConfig};
pub use video_encoder::{EncoderChoice, KeyRequest, SpeedPreset, VideoEncoder, VideoEncoderConfig};
