//! The executable with real peers: browsers, ffmpeg, OBS, another RTMP server, and crashes.

#![allow(clippy::print_stdout, reason = "a test's figures are shown where it fails, or on request")]

mod broadcasts;
mod chromium;
mod crash;
#[cfg(feature = "desk")]
mod desk;
mod devices;
mod graphics;
mod joins;
mod nginx;
mod obs;
mod outputs;
#[cfg(all(feature = "devchain", feature = "engine", feature = "node", feature = "wallet"))]
mod paying;
#[cfg(all(feature = "devchain", feature = "engine", feature = "node", feature = "wallet"))]
mod paying_page;
mod refusals;
mod rtmp_and_hls;
#[cfg(feature = "windows")]
mod stage;
#[cfg(feature = "engine")]
mod transcoding;
#[cfg(feature = "engine")]
mod viewer;
#[cfg(all(feature = "engine", feature = "wallet"))]
mod watching;
