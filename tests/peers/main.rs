//! The executable with real peers: browsers, ffmpeg, OBS, another RTMP server, and crashes.

#![allow(clippy::print_stdout, reason = "a test's figures are shown where it fails, or on request")]

#[cfg(all(feature = "engine", feature = "node"))]
mod any_chain;
#[cfg(all(
    feature = "devchain",
    feature = "engine",
    feature = "node",
    feature = "wallet",
    feature = "windows"
))]
mod approving;
#[cfg(all(
    feature = "devchain",
    feature = "engine",
    feature = "node",
    feature = "wallet",
    feature = "windows"
))]
mod asking_window;
mod broadcasts;
#[cfg(all(feature = "engine", feature = "node"))]
mod chain_faults;
mod chromium;
#[cfg(all(feature = "devchain", feature = "engine", feature = "node", feature = "wallet"))]
mod clocks;
mod crash;
#[cfg(all(feature = "engine", feature = "node"))]
mod crowd;
#[cfg(feature = "desk")]
mod desk;
mod devices;
#[cfg(any(feature = "desk", feature = "windows"))]
mod displays;
#[cfg(all(
    feature = "desk",
    feature = "devchain",
    feature = "engine",
    feature = "node",
    feature = "wallet",
    feature = "windows"
))]
mod first_run;
#[cfg(all(feature = "engine", feature = "node"))]
mod freeloaders;
mod graphics;
#[cfg(all(feature = "devchain", feature = "engine", feature = "node", feature = "wallet"))]
mod home;
mod joins;
#[cfg(all(feature = "devchain", feature = "engine", feature = "node", feature = "wallet"))]
mod killed_viewers;
#[cfg(all(feature = "engine", feature = "node"))]
mod lossy_line;
#[cfg(all(feature = "engine", feature = "node"))]
mod market;
mod nginx;
mod obs;
mod outputs;
#[cfg(all(
    feature = "devchain",
    feature = "engine",
    feature = "node",
    feature = "wallet",
    feature = "windows"
))]
mod paused_window;
#[cfg(all(feature = "engine", feature = "node"))]
mod payer;
#[cfg(all(feature = "devchain", feature = "engine", feature = "node", feature = "wallet"))]
mod paying;
#[cfg(all(feature = "devchain", feature = "engine", feature = "node", feature = "wallet"))]
mod paying_page;
mod recordings;
mod refusals;
#[cfg(all(feature = "devchain", feature = "engine", feature = "node", feature = "wallet"))]
mod rejoin;
mod rtmp_and_hls;
mod rtmps;
#[cfg(all(feature = "devchain", feature = "engine", feature = "node", feature = "wallet"))]
mod secrets;
#[cfg(all(feature = "engine", feature = "node"))]
mod show;
#[cfg(feature = "windows")]
mod stage;
#[cfg(all(feature = "devchain", feature = "engine", feature = "node", feature = "wallet"))]
mod streams;
#[cfg(feature = "engine")]
mod transcoding;
#[cfg(feature = "engine")]
mod viewer;
#[cfg(all(feature = "devchain", feature = "engine", feature = "node", feature = "wallet"))]
mod wallet_extension;
#[cfg(all(feature = "windows", feature = "wallet"))]
mod watch_window;
#[cfg(all(feature = "engine", feature = "wallet"))]
mod watching;
