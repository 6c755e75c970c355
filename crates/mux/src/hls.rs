//! Low-Latency HLS (RFC 8216bis) without sockets: playlists, the blocking rule, and packets cut into parts.

mod date;
mod master;
mod origin;
mod plan;
mod playlist;
mod reload;
mod segmenter;

pub use master::{MasterPlaylist, Sound, Variant};
pub use origin::{Extent, File, Origin, OriginConfig, TrackError};
pub use playlist::{MediaPlaylist, PartEntry, PlaylistConfig, RenditionReport, SegmentStart};
pub use reload::{Answer, BadReload, ReloadRequest};
pub use segmenter::{Output, Segmenter, SegmenterConfig, TrackName};

#[cfg(test)]
mod rules;
#[cfg(test)]
mod tests;
