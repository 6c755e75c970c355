//! RTMP without sockets: handshake, chunks, AMF, client and server sessions.
//! Bytes and the time come in, bytes and events go out; it must not know of sockets, threads or clocks.
//!
//! Sources: "Adobe's Real Time Messaging Protocol" 1.0 (2012), AMF 0 and AMF 3 specifications, Enhanced RTMP v2.

pub mod amf;
pub mod chunk;
pub mod client;
mod command;
pub mod error;
pub mod fan_out;
pub mod handshake;
pub mod key;
pub mod limits;
mod link;
pub mod message;
pub mod metadata;
pub mod server;
pub mod tag;
pub mod timestamps;
pub mod url;

pub use client::{Client, ClientConfig, ClientEvent, Role};
pub use error::Error;
pub use fan_out::{PlayerFormat, SharedTag};
pub use key::StreamKey;
pub use limits::Limits;
pub use metadata::Metadata;
pub use server::{Refusal, Server, ServerConfig, ServerEvent};
pub use tag::{Tag, TagContent, TagKind};
pub use url::{RtmpUrl, Scheme, UrlError};
