//! What every rail can do, in the words of `pay`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use pay::{
    AccountId, Amount, ChannelEvent, ChannelId, ChannelTerms, CloseTerms, Genesis, Phase, RailInfo,
    Signature, Signed, Signer, UnixMillis, Voucher,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::mpsc;

use crate::unsigned::Unsigned;

/// Whoever signs transactions: a node's hot key, or a wallet's account.
pub type TxSigner = Arc<dyn Signer + Send + Sync>;

pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, RailError>> + Send + 'a>>;

#[derive(Debug, Error)]
pub enum RailError {
    #[error("no endpoint of the chain answers: {0}")]
    Unreachable(String),
    #[error("the endpoint is of another chain: its genesis is {found}, not {expected}")]
    WrongChain { expected: Genesis, found: Genesis },
    #[error("the chain refused it: {0}")]
    Refused(String),
    #[error("an account has too little: {0}")]
    TooLittle(String),
    #[error("the key did not sign")]
    NotSigned(#[from] pay::key::SignRefused),
    #[error("the transaction was not taken into a block in time; whether it will be is not known")]
    Unknown,
    #[error("the rail does not do this: {0}")]
    Unsupported(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BlockRef {
    pub number: u32,
    pub hash: [u8; 32],
}

/// Something that happened to a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChannelNews {
    pub channel: ChannelId,
    pub event: ChannelEvent,
    /// Given with [`ChannelEvent::Opened`].
    pub terms: Option<ChannelTerms>,
}

/// Somebody paid somebody, in the rail's asset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TransferNews {
    pub from: AccountId,
    pub to: AccountId,
    pub amount: Amount,
}

/// What happened in a block, or in several, in order. Which of it matters is the reader's to know.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct News {
    /// Never any on a transfer rail.
    pub channels: Vec<ChannelNews>,
    /// Payments by transactions of their own; what a channel pays is not among them.
    pub transfers: Vec<TransferNews>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Update {
    /// A new best block, or a new last final one, with everything of the blocks above the latter.
    Head { block: BlockRef, time: UnixMillis, pending: News },
    /// A block is final. Every final block comes once, in order, none left out.
    Final { block: BlockRef, time: UnixMillis, news: News },
    /// No endpoint answers. What was said holds until the next update.
    Disconnected { reason: String },
}

/// A channel as the chain has it now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelState {
    pub terms: ChannelTerms,
    /// In the last final block.
    pub finalized: Phase,
    /// In the best block.
    pub head: Phase,
}

/// What is asked of a chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Call {
    /// Locks `deposit` under the terms; the payer is the signer.
    Open {
        terms: ChannelTerms,
        deposit: Amount,
        expires_at: UnixMillis,
    },
    /// `by` is added to the deposit.
    TopUp {
        channel: ChannelId,
        by: Amount,
    },
    /// One that the chain does not take is passed over, and the others are settled.
    Settle(Vec<Signed<Voucher>>),
    /// Both have signed: the session key's signature, and the node's.
    CooperativeClose {
        session: Signed<CloseTerms>,
        node: Signed<CloseTerms>,
    },
    /// The payer alone: the dispute window begins.
    StartClose(ChannelId),
    /// After the dispute window, or after the expiry.
    Close(ChannelId),
    Transfer {
        to: AccountId,
        amount: Amount,
    },
    /// A stream's metadata, by content id (CIDv1 bytes), under the creator's account.
    PublishStream {
        stream: [u8; 16],
        metadata: Vec<u8>,
    },
}

/// A transaction in a final block, and it did what it was to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Included {
    pub block: BlockRef,
    /// Of the transaction.
    pub hash: [u8; 32],
    pub fee: Amount,
    pub news: News,
    /// Of [`Call::Settle`]: the channels that were passed over, and why.
    pub refused: Vec<SettleRefused>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SettleRefused {
    pub channel: ChannelId,
    pub reason: String,
}

pub trait Rail: Send + Sync {
    fn info(&self) -> &RailInfo;

    /// `None` for one that the chain never had.
    fn channel(&self, id: ChannelId) -> Answer<'_, Option<ChannelState>>;

    /// Free to spend.
    fn balance(&self, account: AccountId) -> Answer<'_, Amount>;

    /// The same of the chain's own unit, which fees are paid in. Only the rail of the escrow tells it.
    fn fee_balance(&self, _account: AccountId) -> Answer<'_, Amount> {
        Box::pin(async { Err(RailError::Unsupported("what an account has for fees is not told")) })
    }

    /// What the transaction would cost.
    fn fee(&self, call: Call, signer: AccountId) -> Answer<'_, Amount>;

    /// Signs, sends, and follows it until it is final or has failed. Never sent twice: where its fate is not known the
    /// answer is [`RailError::Unknown`], and the same call may be made again once the chain shows that it did nothing.
    fn submit(&self, call: Call, signer: TxSigner) -> Answer<'_, Included>;

    /// The transaction of an account whose key is not here, for a wallet to sign. Only the rail of the escrow makes any, of
    /// what a payer does.
    fn prepare(&self, _call: Call, _account: AccountId) -> Answer<'_, Unsigned> {
        Box::pin(async { Err(RailError::Unsupported("nothing is signed elsewhere for it")) })
    }

    /// Sends it with the signature that the wallet gave, and follows it as [`Rail::submit`] does.
    fn send(&self, _unsigned: Unsigned, _signature: Signature) -> Answer<'_, Included> {
        Box::pin(async { Err(RailError::Unsupported("nothing is signed elsewhere for it")) })
    }

    /// Everything after the final block `since`, or from now on. It goes on over lost endpoints until it is dropped; a
    /// reader that is slow makes the rail wait, and loses nothing.
    fn watch(&self, since: Option<BlockRef>) -> mpsc::Receiver<Update>;
}
