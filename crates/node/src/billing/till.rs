//! Every payer's ledger, and the sessions that they pay for. What happens comes in, what is to be stored and said comes
//! out; it knows no socket, no database and no clock.

mod accounts;
mod by_session;
mod credits;
mod gate;
mod sessions;
mod settling;
mod storing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use api::pay::SessionBegin;
use chain::BlockRef;
use media::RenditionName;
use pay::ledger::{Examined, Standing, Verified};
use pay::message::ToViewer;
use pay::{
    AccountId, Amount, AssetId, ChannelId, Genesis, Keypair, LedgerConfig, PublicKey, Refusal, Signer,
};

use super::hls_viewers::HlsViewerId;
use super::journal::{CreditRow, Cursor, TransferRow};
use super::log::Act;
use super::tickets::{ByTicket, TicketId};

pub use accounts::Unable;
pub use by_session::PageChannel;
pub use credits::CreditStanding;
pub use gate::MeterNews;
pub(super) use settling::AGAIN_URGENT_MS;
pub use settling::{Due, DueClose, reason_text};

use accounts::Account;
use by_session::BySession;
use sessions::{Conn, Session};
use storing::Staged;

/// Who pays whom.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Party {
    pub payer: AccountId,
    pub payee: AccountId,
}

/// One pay socket. Never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnId(pub u64);

/// Whoever is sent seconds that are paid for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum MeteredPeer {
    WebRtc(sfu::PeerId),
    Hls(HlsViewerId),
}

impl From<sfu::PeerId> for MeteredPeer {
    fn from(peer: sfu::PeerId) -> Self {
        Self::WebRtc(peer)
    }
}

impl From<HlsViewerId> for MeteredPeer {
    fn from(viewer: HlsViewerId) -> Self {
        Self::Hls(viewer)
    }
}

/// What is to be done outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    Say {
        conn: ConnId,
        what: Box<ToViewer>,
    },
    /// The session's first second has begun.
    Begin {
        conn: ConnId,
        begin: SessionBegin,
    },
    /// Closes a pay socket, for that reason.
    Drop {
        conn: ConnId,
        why: &'static str,
    },
    Meter {
        peer: MeteredPeer,
        session: u32,
    },
    Allow {
        peer: MeteredPeer,
        session: u32,
        until: u64,
    },
    Cap {
        peer: MeteredPeer,
        cap: RenditionName,
    },
    /// The run is over: a player asks for what it wants, so that nothing goes by that it has not asked for.
    Rest {
        viewer: HlsViewerId,
    },
    /// Ends a peer in whose place another came.
    Hang {
        peer: MeteredPeer,
    },
}

/// What never changes while the node runs.
#[derive(Clone, Debug)]
pub struct Rules {
    pub ledger: LedgerConfig,
    pub genesis: Genesis,
    pub asset: AssetId,
    pub dispute_window_ms: u64,
    /// Whether the node redeems vouchers itself.
    pub settles: bool,
    /// Where nothing is locked: what each payer may owe each payee.
    pub credit: Option<Amount>,
    pub settle_idle_ms: u64,
    pub settle_at_least: Amount,
}

pub struct Till {
    rules: Rules,
    signer: Arc<Keypair>,
    accounts: BTreeMap<Party, Account>,
    /// Of accounts that are forgotten: what they were forgiven is not given again. As many as have paid for it; the others'
    /// is nothing that a new account has not.
    standings: BTreeMap<Party, Standing>,
    /// Those that have ever named this node: nobody else is paid here.
    payees: BTreeSet<AccountId>,
    /// Of every channel that is known, used or not.
    channels: BTreeMap<ChannelId, Party>,
    by_session: BySession,
    /// Of which a final block told when they were not known, the newest last: whoever was asked of one of them before that
    /// did not say it.
    passed_over: VecDeque<ChannelId>,
    /// Left for another one: what was paid on them is in no book any more.
    retired: BTreeSet<ChannelId>,
    /// Credit accounts, with the block from which on transfers count.
    credits: BTreeMap<ChannelId, BlockRef>,
    /// To be stored, as what follows.
    openings: Vec<CreditRow>,
    transfers: Vec<TransferRow>,
    /// Those of which blocks tell that are not final.
    pending: BTreeSet<ChannelId>,
    sessions: ByTicket<Session>,
    conns: BTreeMap<ConnId, Conn>,
    peers: BTreeMap<MeteredPeer, TicketId>,
    examined: Vec<(Payment, Examined)>,
    staged: Vec<Staged>,
    /// Handed out to be stored.
    storing: Vec<Staged>,
    /// Channels whose rows are older than what is known of them.
    dirty: BTreeSet<ChannelId>,
    cursor: Option<Cursor>,
    /// The last final block that was read.
    newest: Option<BlockRef>,
    /// How old that is by what was told last; `None` before the chain was heard.
    chain_age_ms: Option<u64>,
    /// The number of the last block that was kept as read.
    kept: Option<u32>,
    acts: Vec<Act>,
    effects: Vec<Effect>,
    /// Closes that were handed to the chain, or failed there.
    closes: BTreeMap<ChannelId, settling::CloseState>,
}

/// Whose voucher it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Payment {
    party: Party,
    ticket: TicketId,
    conn: ConnId,
    tick: pay::Tick,
}

impl Till {
    pub fn new(rules: Rules, signer: Arc<Keypair>) -> Self {
        Self {
            rules,
            signer,
            accounts: BTreeMap::new(),
            standings: BTreeMap::new(),
            payees: BTreeSet::new(),
            channels: BTreeMap::new(),
            by_session: BySession::default(),
            passed_over: VecDeque::new(),
            retired: BTreeSet::new(),
            credits: BTreeMap::new(),
            openings: Vec::new(),
            transfers: Vec::new(),
            pending: BTreeSet::new(),
            sessions: BTreeMap::new(),
            conns: BTreeMap::new(),
            peers: BTreeMap::new(),
            examined: Vec::new(),
            staged: Vec::new(),
            storing: Vec::new(),
            dirty: BTreeSet::new(),
            cursor: None,
            newest: None,
            chain_age_ms: None,
            kept: None,
            acts: Vec::new(),
            effects: Vec::new(),
            closes: BTreeMap::new(),
        }
    }

    fn key(&self) -> PublicKey {
        self.signer.public()
    }

    /// What is to be done now, in order.
    pub fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Vouchers whose signatures are to be checked, many at once, and handed back to [`Till::verified`] in this order.
    pub fn examined(&mut self) -> (Vec<Vetted>, Vec<Examined>) {
        std::mem::take(&mut self.examined).into_iter().map(|(payment, one)| (Vetted(payment), one)).unzip()
    }

    pub fn verified(
        &mut self,
        vetted: Vec<Vetted>,
        results: Vec<Result<Verified, Refusal>>,
        now: pay::UnixMillis,
    ) {
        for (Vetted(payment), result) in vetted.into_iter().zip(results) {
            self.stage_payment(payment, result, now);
        }
    }

    fn say(&mut self, conn: ConnId, what: ToViewer) {
        if self.conns.contains_key(&conn) {
            self.effects.push(Effect::Say { conn, what: Box::new(what) });
        }
    }
}

/// The place of a voucher that is being checked.
pub struct Vetted(Payment);
