//! The media server: ingest, forwarding, LL-HLS and API.
//!
//! Never decodes: foreign pictures and sound are bytes here. Knows no wallet, no window and no device.

mod app;
mod billing;
pub mod config;
mod descriptors;
mod door;
mod hls;
mod http;
mod id;
mod media_events;
mod places;
mod records;
mod rtmp_server;
mod server;
mod session;
mod store;
mod stream;
mod transcode;

#[cfg(feature = "load")]
pub use billing::load;
pub use billing::{AuditError, AuditReport, BillingError, ChainConfig, audit};
pub use config::{ConfigError, NodeConfig};
pub use server::{Addresses, Node, NodeError};
pub use transcode::TranscodeConfig;
