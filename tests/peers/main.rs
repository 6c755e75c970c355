//! The executable with real peers: browsers, ffmpeg, OBS, another RTMP server, and crashes.

mod broadcasts;
mod chromium;
mod crash;
mod devices;
mod nginx;
mod obs;
mod refusals;
mod rtmp_and_hls;
