//! The node's HTTP types and a client for them.
//!
//! Knows no server: `node` serves these types, the studio and the viewer call them through [`Client`]. The
//! signalling of WHIP and WHEP is the same three requests, in [`session`].

pub mod address;
pub mod cid;
pub mod client;
pub mod ipfs;
pub mod pay;
pub mod problem;
pub mod session;
pub mod stream;

pub use self::pay::{
    AuditedAct, JoinRequest, Joined, LoggedIn, OfferInfo, PayInfo, PaySocketHello, PaySocketText,
    PaymentRequired, PriceTier, WireHex,
};
pub use address::reachable;
pub use cid::{Cid, NotACid};
pub use client::{Client, ClientError};
pub use problem::Problem;
pub use session::{Resource, SessionClient, SessionOffered};
pub use stream::{
    ArchiveRequest, CreateStream, CreatedStream, RenditionInfo, StreamEarnings, StreamInfo, StreamStatus,
};
