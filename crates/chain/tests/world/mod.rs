//! A chain, who has money on it, and what they agree on.

#![allow(dead_code)] // Each test file uses its own part.

use std::sync::Arc;
use std::time::Duration;

use devchain::{Account, AccountScheme, Config, Devchain, development_accounts};
use pay::{
    AccountId, Amount, AssetId, ChannelTerms, CloseTerms, Genesis, KeyScheme, Keypair, OfferHash, Signed,
    Signer as _, Tick, UnixMillis, Voucher,
};
use testkit::{Solochain, SolochainSettings};
use tickcast_chain::{Call, EscrowRail, Included, Rail as _, RailError, Settings, TxSigner, Update};
use tokio::sync::mpsc;

pub const UNIT: u128 = 1_000_000_000_000;
pub const NEVER: UnixMillis = UnixMillis(9_000_000_000_000_000);
pub const WINDOW_MS: u64 = 60_000;

/// Longer than anything takes, on a slow chain too; only a test that hangs meets it.
const HANGS: Duration = Duration::from_secs(120);
/// Set: tests of the protocol have a chain that is as slow as public ones are.
const SLOW: &str = "TICKCAST_SLOW_CHAIN";

pub async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANGS, what).await.expect("it comes to an end")
}

pub async fn until(mut done: impl FnMut() -> bool) {
    in_time(async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

pub fn signer(account: &Account) -> TxSigner {
    let scheme = match account.scheme {
        AccountScheme::Ed25519 => KeyScheme::Ed25519,
        AccountScheme::Sr25519 => KeyScheme::Sr25519,
    };
    Arc::new(Keypair::from_seed(scheme, &account.seed.into()))
}

/// Alice, Bob, …: see `development_accounts`.
pub fn person(at: usize) -> TxSigner {
    signer(&development_accounts()[at])
}

pub fn account(signer: &TxSigner) -> AccountId {
    signer.public().account()
}

pub fn session(scheme: KeyScheme) -> Keypair {
    Keypair::from_seed(scheme, &[41; 32].into())
}

pub fn node() -> Keypair {
    Keypair::from_seed(KeyScheme::Ed25519, &[42; 32].into())
}

pub async fn start(config: Config) -> Devchain {
    Devchain::start(config).await.expect("the loopback address has a free port")
}

/// What serves a chain.
pub trait Serves {
    fn url(&self) -> String;
    fn genesis(&self) -> [u8; 32];
}

impl Serves for Devchain {
    fn url(&self) -> String {
        Self::url(self)
    }

    fn genesis(&self) -> [u8; 32] {
        Self::genesis(self)
    }
}

/// A chain that tests of the protocol run on: the development chain in this process, or a real node with its runtime.
pub enum AnyChain {
    Devchain(Devchain),
    Solochain { node: Solochain, genesis: [u8; 32] },
}

impl Serves for AnyChain {
    fn url(&self) -> String {
        match self {
            Self::Devchain(devchain) => devchain.url(),
            Self::Solochain { node, .. } => node.url().to_owned(),
        }
    }

    fn genesis(&self) -> [u8; 32] {
        match self {
            Self::Devchain(devchain) => devchain.genesis(),
            Self::Solochain { genesis, .. } => *genesis,
        }
    }
}

/// The chain that this run is about, quick unless it is to be a slow one: each transaction has a final block at once, or,
/// on a real node, which makes its blocks by the clock alone, within a second or two.
pub async fn any_chain() -> AnyChain {
    let config = if std::env::var_os(SLOW).is_some() { Config::slow() } else { Config::at_once() };
    let Some(built) = Solochain::wanted() else { return AnyChain::Devchain(start(config).await) };
    let wasm = Solochain::runtime(&built).expect("the runtime was built");
    let spec = devchain::spec(&config.genesis, &wasm).expect("the genesis is right");
    let (block_period, finality_blocks) = config.by_the_clock().expect("no finality by hand");
    let real = SolochainSettings {
        built,
        spec,
        block_period,
        finality_blocks,
        port: config.port,
        data: config.data,
    };
    let node = tokio::task::spawn_blocking(move || Solochain::start(&real));
    let node = node.await.expect("it does not panic").expect("the node starts");
    let rail = EscrowRail::connect(settings(&[node.url().to_owned()])).await.expect("the node answers");
    let genesis = rail.info().genesis.0;
    AnyChain::Solochain { node, genesis }
}

/// Quick to notice what is wrong.
pub fn settings(endpoints: &[String]) -> Settings {
    Settings { answer_within_ms: 5_000, stalled_after_ms: 100, ..Settings::new(endpoints) }
}

pub async fn rail(chain: &impl Serves) -> EscrowRail {
    EscrowRail::connect(settings(&[chain.url()])).await.expect("the chain answers")
}

pub fn terms(chain: &impl Serves, payer: &TxSigner, scheme: KeyScheme, nonce: u64) -> ChannelTerms {
    ChannelTerms {
        genesis: Genesis(chain.genesis()),
        asset: AssetId::Native,
        payer: account(payer),
        payee: account(&person(1)),
        node: node().public(),
        session: session(scheme).public(),
        nonce,
        dispute_window_ms: WINDOW_MS,
    }
}

pub fn open(terms: ChannelTerms, deposit: u128) -> Call {
    Call::Open { terms, deposit: Amount::new(deposit), expires_at: NEVER }
}

pub fn voucher(terms: &ChannelTerms, cumulative: u128) -> Signed<Voucher> {
    let voucher = Voucher {
        genesis: terms.genesis,
        channel: terms.id(),
        offer: OfferHash([7; 32]),
        tick: Tick(3),
        cumulative: Amount::new(cumulative),
    };
    Signed::sign(voucher, &session(terms.session.scheme)).expect("a key in memory signs")
}

pub fn together(terms: &ChannelTerms, cumulative: u128) -> Call {
    let close =
        CloseTerms { genesis: terms.genesis, channel: terms.id(), cumulative: Amount::new(cumulative) };
    let by = |key: &Keypair| Signed::sign(close, key).expect("a key in memory signs");
    Call::CooperativeClose { session: by(&session(terms.session.scheme)), node: by(&node()) }
}

pub async fn submit(rail: &EscrowRail, call: Call, signer: &TxSigner) -> Result<Included, RailError> {
    in_time(rail.submit(call, signer.clone())).await
}

pub async fn next(updates: &mut mpsc::Receiver<Update>) -> Update {
    in_time(updates.recv()).await.expect("the rail goes on")
}
