//! Rails: where channels are opened, settled and closed. One trait, [`Rail`]; a node and a wallet know no more of a chain
//! than it says. Keys are somebody else's: transactions are signed by a [`pay::Signer`] that is handed in.

mod rail;

pub use rail::{
    Answer, BlockRef, Call, ChannelNews, ChannelState, Included, Rail, RailError, RailInfo, RailKind, TxSigner, Update,
};
