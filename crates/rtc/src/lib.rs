//! WebRTC clients: a WHIP publisher with simulcast, and a WHEP player.
//!
//! Knows no codec, no HTTP and no window: encoded packets go in and come out, and offers travel over a
//! [`Signalling`] that the caller brings.

mod connection;
mod engine;
mod h264;
pub mod link;
mod receive_buffer;
pub mod sdp;
mod send_queue;
pub mod signalling;
mod tap;
pub mod whep;
pub mod whip;

pub use link::IceServer;
pub use signalling::{Answer, BoxFuture, Signalling, SignallingError, SignallingSession};
pub use whep::{PlayEvent, ReceiveStats, ReceivedUnit, WhepConfig, WhepPlayer};
pub use whip::{LayerStats, PublishEvent, PublishStats, WhipConfig, WhipPublisher};

pub use connection::LinkState;
pub use engine::Network;
