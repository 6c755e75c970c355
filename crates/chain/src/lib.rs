//! Rails: where channels are opened, settled and closed. One trait, [`Rail`]; a node and a wallet know no more of a chain
//! than it says. Keys are somebody else's: transactions are signed by a [`pay::Signer`] that is handed in.

mod blocks;
mod calls;
mod connect;
mod endpoints;
mod escrow;
mod events;
mod heads;
mod link;
mod nonces;
mod rail;
mod shared;
mod submission;
mod transfer;
mod unsigned;
mod watching;

pub use connect::connect;
pub use escrow::EscrowRail;
pub use link::is_endpoint;
pub use shared::Settings;
pub use submission::address_of;
pub use transfer::TransferRail;
pub use unsigned::{FORMAT, SignerFields, Unsigned};

pub use rail::{
    Answer, BlockRef, Call, ChannelNews, ChannelState, Included, News, Rail, RailError, SettleRefused,
    TransferNews, TxSigner, Update,
};
