//! Being paid by the second: who may ask for money, who pays, what is open, and what is stored before anything is
//! answered. What is right is decided in `pay`; here it meets sockets, media, the database and a chain.

mod audit;
mod cashier;
mod catalogue;
mod chain_age;
mod chain_config;
mod clock;
mod credit;
mod fundings;
mod hls_meter;
mod hls_viewers;
mod hot_key;
mod journal;
#[cfg(feature = "load")]
pub mod load;
pub mod log;
mod logins;
mod meter_inbox;
#[cfg(test)]
pub(crate) mod tests;
mod throttle;
mod tickets;
mod till;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chain::{Call, Rail, RailError, Settings};
use pay::{
    AccountId, Amount, AssetId, ChannelId, Keypair, OfferHash, PublicKey, Signature, Signed, Signer, Tick,
    Voucher,
};
use sfu::SfuHandle;
use thiserror::Error;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::store::{Store, StoreError};

pub use audit::{AuditError, AuditReport, audit};
pub use cashier::{Cashier, CashierHandle, Input, SAYINGS, Saying};
pub use catalogue::{Catalogue, NoOffers, Priced};
pub use chain_config::ChainConfig;
pub use clock::PayClock;
pub use credit::Credit;
pub use fundings::{Fate, Fundings, NotFunded};
pub use hls_meter::Withheld;
pub use hls_viewers::{Answered, Asking, Entered, HlsViewer, Sending, ViewersFull};
pub use hot_key::HotKeyError;
pub use logins::{Logins, Person};
pub use throttle::{Throttle, TooOften};
pub use tickets::{Ticket, Tickets, TicketsFull};
pub use till::{ConnId, CreditStanding, PageChannel, Party, Unable};

use cashier::Payout;
use journal::Journal;
use till::{Rules, Till};

/// How often offers are looked at that will end.
const RENEWAL: Duration = Duration::from_secs(10);
/// The node's account holds enough for fees while it holds that of so many transfers.
const FEES_AT_HAND: u128 = 20;
/// Below that of so many, the rest is kept for settling: what is worth less than money to somebody waits.
const FEES_RESERVED: u128 = 100;
/// A creator does not wait longer for a chain that does not say what that account holds.
const FEES_KNOWN_WITHIN: Duration = Duration::from_secs(4);
/// Logins and joins of one remote network, each minute.
const LOGINS_A_MINUTE: u32 = 60;
const JOINS_A_MINUTE: u32 = 240;
/// Deposits that wallets are to sign, and their signatures, of one remote network: for each the chain is asked.
const FUNDINGS_A_MINUTE: u32 = 30;
/// Those of one session key, wherever it asks from: a proxy's clients come from one address.
const FUNDINGS_OF_A_KEY_A_MINUTE: u32 = 20;
/// Delegations, paid streams and prices of one account, and of one remote network: each is recorded on chain, for a fee.
const CHANGES_A_MINUTE: u32 = 20;
const CHANGES_OF_A_NETWORK_A_MINUTE: u32 = 60;

#[derive(Debug, Error)]
pub enum BillingError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    HotKey(#[from] HotKeyError),
    #[error(
        "the data folder's payments are of another chain than the one that is set: give that chain a folder of its own"
    )]
    OtherChain,
    #[error("the node is paid already")]
    Begun,
    #[error("the chain does not say what its fee is: {0}")]
    Fee(#[source] chain::RailError),
    #[error(
        "chain.credit_window is {set}, which is less than ten transfers cost, or than an account has to hold: set {least} \
         at least, and as much more as is watched until a transfer is final"
    )]
    CreditWindow { set: pay::Amount, least: pay::Amount },
    #[error(
        "a payer's ledger cannot be read: {0}. Nothing is served until it is restored, or the payer's debt is forgiven"
    )]
    Ledger(#[from] pay::ledger::RestoreError),
}

/// What handlers need of it.
pub struct Billing {
    pub key: Arc<Keypair>,
    pub clock: PayClock,
    pub logins: Logins,
    pub tickets: Tickets,
    pub login_throttle: Throttle,
    pub join_throttle: Throttle,
    pub funding_throttle: Throttle,
    pub page_throttle: Throttle<PublicKey>,
    pub fundings: Fundings,
    pub creator_throttle: Throttle<AccountId>,
    pub change_throttle: Throttle,
    /// This machine's own addresses.
    own: Vec<IpAddr>,
    /// Empty: everything is free, or no endpoint of the chain has answered yet.
    paid: OnceLock<Paid>,
}

/// Where there is a chain to be paid on.
pub struct Paid {
    pub rail: Arc<dyn Rail>,
    pub config: ChainConfig,
    pub catalogue: Catalogue,
    pub cashier: CashierHandle,
    /// Where nothing is locked.
    pub credit: Option<Credit>,
    fee_account: AccountId,
}

impl Billing {
    /// Nothing is paid before [`Billing::begin`].
    pub fn new(folder: &Path) -> Result<Self, BillingError> {
        let own = if_addrs::get_if_addrs().unwrap_or_default();
        Ok(Self {
            key: Arc::new(hot_key::load_or_create(folder)?),
            clock: PayClock::default(),
            logins: Logins::default(),
            tickets: Tickets::default(),
            login_throttle: Throttle::new(LOGINS_A_MINUTE),
            join_throttle: Throttle::new(JOINS_A_MINUTE),
            funding_throttle: Throttle::new(FUNDINGS_A_MINUTE),
            page_throttle: Throttle::of_keys(FUNDINGS_OF_A_KEY_A_MINUTE),
            fundings: Fundings::default(),
            creator_throttle: Throttle::new(CHANGES_A_MINUTE),
            change_throttle: Throttle::new(CHANGES_OF_A_NETWORK_A_MINUTE),
            own: own.into_iter().map(|interface| interface.ip()).collect(),
            paid: OnceLock::new(),
        })
    }

    /// Is paid on `rail` from now on, once in its life. The cashier is to be run by whoever asks.
    pub async fn begin(
        &self,
        folder: &Path,
        rail: Arc<dyn Rail>,
        config: ChainConfig,
        store: Store,
        sfu: SfuHandle,
    ) -> Result<Cashier, BillingError> {
        let (paid, cashier) = Paid::start(folder, rail, config, store, sfu, &self.key, &self.clock).await?;
        match self.paid.set(paid) {
            Ok(()) => Ok(cashier),
            Err(_) => Err(BillingError::Begun),
        }
    }

    pub fn paid(&self) -> Option<&Paid> {
        self.paid.get()
    }

    /// Whether `host`, without a port, means this machine to whoever asks from `peer`. A name that somebody else could
    /// have as well does not.
    pub fn is_own_name(&self, host: &str, peer: SocketAddr) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_here = peer.ip().to_canonical().is_loopback();
        match host.parse::<IpAddr>() {
            Ok(address) if address.to_canonical().is_loopback() => is_here,
            Ok(address) => self.own.contains(&address),
            Err(_) => is_here && host.eq_ignore_ascii_case("localhost"),
        }
    }
}

impl ChainConfig {
    /// Waits until an endpoint has answered.
    pub async fn connect(&self) -> Result<Arc<dyn Rail>, RailError> {
        let Self { endpoints, genesis, asset, .. } = self.clone();
        chain::connect(self.rail, Settings { endpoints, genesis, asset, ..Settings::default() }).await
    }
}

/// How many transfers the account could pay for. `None` where nothing is settled, and where fees are in another asset than
/// the balance that the rail knows.
async fn fees_at_hand(rail: &dyn Rail, account: AccountId) -> Result<Option<u128>, RailError> {
    let info = rail.info();
    if info.kind != pay::RailKind::Escrow || info.asset != AssetId::Native {
        return Ok(None);
    }
    let transfer = Call::Transfer { to: account, amount: Amount::new(1) };
    let (balance, fee) = (rail.balance(account).await?, rail.fee(transfer, account).await?);
    Ok(Some(balance.units() / fee.units().max(1)))
}

/// What a transaction that redeems one voucher is worth sending for. Where the chain does not say what that costs the node
/// starts all the same: anything is worth it then.
async fn worth_settling(rail: &dyn Rail, config: &ChainConfig, key: &Keypair) -> Amount {
    let info = rail.info();
    let fee_is_comparable = info.kind == pay::RailKind::Escrow && info.asset == AssetId::Native;
    if config.settle_at_least.is_some() || !fee_is_comparable {
        return config.settle_at_least.unwrap_or(Amount::new(1));
    }
    // The fee is that of so many bytes and of the call: nobody looks at what they say.
    let body = Voucher {
        genesis: info.genesis,
        channel: ChannelId([0; 32]),
        offer: OfferHash([0; 32]),
        tick: Tick(0),
        cumulative: Amount::MAX,
    };
    let signature = Signature { scheme: key.public().scheme, bytes: [0; 64] };
    let call = Call::Settle(vec![Signed { body, signature }]);
    rail.fee(call, key.public().account()).await.unwrap_or_else(|err| {
        tracing::warn!("the chain does not say what settling costs, so any amount is settled: {err}");
        Amount::new(1)
    })
}

/// Whether the account that fees are paid from holds more than is kept for settling.
pub async fn spares_fees(rail: &dyn Rail, account: AccountId) -> Result<bool, RailError> {
    Ok(fees_at_hand(rail, account).await?.is_none_or(|fees| fees >= FEES_RESERVED))
}

impl Paid {
    async fn start(
        folder: &Path,
        rail: Arc<dyn Rail>,
        config: ChainConfig,
        store: Store,
        sfu: SfuHandle,
        key: &Arc<Keypair>,
        clock: &PayClock,
    ) -> Result<(Self, Cashier), BillingError> {
        if let Some(warning) = config.warning() {
            tracing::warn!("{warning}");
        }
        let info = rail.info();
        let credit = match info.kind {
            pay::RailKind::Escrow => None,
            pay::RailKind::Transfer => Some(Credit::of(rail.as_ref(), &config, key).await?),
        };
        let (genesis, asset) = (info.genesis, info.asset);
        let rules = Rules {
            ledger: config.ledger(),
            genesis,
            asset,
            dispute_window_ms: config.dispute_window_ms(),
            settles: info.kind == pay::RailKind::Escrow,
            credit: credit.map(|credit| credit.window),
            settle_idle_ms: config.settle_idle_s * 1_000,
            settle_at_least: worth_settling(rail.as_ref(), &config, key).await,
        };
        let journal = Journal::open(folder).await?;
        let loaded = journal.load().await?;
        if loaded.cursor.is_some_and(|cursor| cursor.genesis != genesis) {
            return Err(BillingError::OtherChain);
        }
        let (since, open) = (loaded.cursor.map(|cursor| cursor.block), loaded.open.clone());
        let mut till = Till::new(rules, Arc::clone(key));
        till.load(loaded)?;
        let signer: chain::TxSigner = Arc::clone(key) as chain::TxSigner;
        let payout = Payout::new(Arc::clone(&rail), signer, &open, &mut till);
        let updates = rail.watch(since);
        let (cashier, handle) = Cashier::new(till, (journal, clock.clone()), sfu, updates, payout);
        let offer_ms = config.offer_s * 1_000;
        let catalogue = Catalogue::new(store, Arc::clone(key), clock.clone(), (genesis, asset), offer_ms);
        let fee_account = key.public().account();
        Ok((Self { rail, config, catalogue, cashier: handle, credit, fee_account }, cashier))
    }

    /// Why nothing would be settled or recorded, now or soon, in words: the account that the node pays fees from holds too
    /// little. `None` as well where that is not known.
    pub async fn lacks_fees(&self) -> Option<String> {
        let asked = fees_at_hand(self.rail.as_ref(), self.fee_account);
        let fees = timeout(FEES_KNOWN_WITHIN, asked).await.ok()?.ok()??;
        let means = match fees {
            0 => "Nothing is settled",
            1..FEES_AT_HAND => "Soon nothing is settled",
            FEES_AT_HAND..FEES_RESERVED if self.config.record_streams => "Nothing more is recorded on chain",
            FEES_AT_HAND.. => return None,
        };
        let address = chain::address_of(self.fee_account);
        Some(format!(
            "{means}: the node pays the chain's fees from {address}, which holds too little. Send it something."
        ))
    }

    /// Renews offers until the task is aborted.
    pub async fn renew(&self) {
        let mut turns = interval(RENEWAL);
        turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for turn in 0_u64.. {
            turns.tick().await;
            // Not at once: whoever sets up a node sends it something once it says where to.
            if turn == 1
                && let Some(why) = self.lacks_fees().await
            {
                tracing::warn!("{why}");
            }
            for priced in self.catalogue.renew().await {
                self.cashier.tell(Input::Offers(priced)).await;
            }
        }
    }
}
