//! What the fuzz targets do with an input: each module is one of them, and its `run` panics where a promise is broken.
//!
//! The executables in `fuzz/`, outside the workspace, only call these, so that an ordinary build compiles every target
//! and an ordinary test runs it over what is kept in `fuzz/corpus`. Parsers of crates that would bring FFmpeg, wgpu, axum
//! or the WebRTC client's stack are compiled from their source files by `#[path]`, since fuzzing builds everything anew;
//! they are formatted and tested in their own crates.
#![cfg(not(test))]

pub mod amf;
pub mod bitstream;
pub mod chunk;
mod elsewhere;
pub mod flv;
pub mod handshake;
pub mod hls;
pub mod image;
mod input;
pub mod lane;
pub mod mp4;
pub mod offer;
pub mod pay;
pub mod playlist;
pub mod rtmp_client;
pub mod rtmp_server;
mod rtmp_sides;
pub mod rtp;
pub mod scene;
pub mod sdp;
pub mod settings;
pub mod signalling;
pub mod sim;
pub mod strip;

// Those files name their crates.
extern crate self as api;
extern crate self as chain;
use elsewhere::{billing, engine, graphics, ipfs, is_endpoint, transcode};
use input::decoded;

/// A target's name, and what it does.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 21] = [
    ("amf", amf::run),
    ("bitstream", bitstream::run),
    ("chunk", chunk::run),
    ("flv", flv::run),
    ("handshake", handshake::run),
    ("hls", hls::run),
    ("image", image::run),
    ("lane", lane::run),
    ("mp4", mp4::run),
    ("offer", offer::run),
    ("pay", pay::run),
    ("playlist", playlist::run),
    ("rtmp_client", rtmp_client::run),
    ("rtmp_server", rtmp_server::run),
    ("rtp", rtp::run),
    ("scene", scene::run),
    ("sdp", sdp::run),
    ("settings", settings::run),
    ("signalling", signalling::run),
    ("sim", sim::run),
    ("strip", strip::run),
];
