//! The WebRTC server side: many peers behind one UDP port.
//!
//! Takes media in from WHIP publishers, hands it out as events, and forwards what it is given to WHEP
//! viewers. Knows nothing of HTTP, of payments or of what a stream is beyond its id. Everything but
//! [`Sfu`]'s one socket loop is sans-IO: [`Shard`] takes datagrams, commands and the time.

mod command;
mod config;
mod demux;
mod endpoint;
mod event;
mod forward;
mod h264;
mod handle;
mod ids;
mod layer_choice;
mod meter;
mod outbox;
mod packet;
mod peer;
mod publisher;
mod rate;
mod reorder;
mod rewrite;
pub mod sdp;
mod session;
mod shard;
#[cfg(test)]
mod tests;
mod viewer;

pub use command::Command;
pub use config::{Clock, SfuConfig, StartError};
pub use demux::{Datagram, classify};
pub use event::{CloseReason, Event, MeteredLine, Metering, ViewerStats};
pub use h264::nal_units;
pub use handle::{Accepted, Newcomer, Refused, Sfu, SfuCounters, SfuHandle, ViewerConfig};
pub use ids::{PeerId, StreamId};
pub use layer_choice::{Layer, LayerChoice};
pub use outbox::{Outbox, Run};
pub use packet::{Lane, RtpPacket, Source};
pub use sdp::{SdpFragment, SdpRefused};
pub use session::SessionFactory;
pub use shard::Shard;
