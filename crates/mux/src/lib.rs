//! Containers and bitstreams: fMP4, FLV, RTP payloads, LL-HLS playlists, H.264, AAC and Opus headers.
//!
//! Bytes in, bytes out: knows no clock, socket or file. Whatever comes from outside may be hostile; every
//! parser returns an error, takes bounded memory and never panics.

pub mod aac;
mod bits;
pub mod flv;
pub mod fmp4;
pub mod h264;
pub mod hls;
pub mod opus;
pub mod rtp;
