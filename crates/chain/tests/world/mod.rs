//! A chain, who has money on it, and what they agree on.

#![allow(dead_code)] // Each test file uses its own part.

use std::sync::Arc;
use std::time::Duration;

use devchain::{Account, AccountScheme, Config, Devchain, development_accounts};
use pay::{
    AccountId, Amount, AssetId, ChannelTerms, CloseTerms, Genesis, KeyScheme, Keypair, OfferHash, Signed,
    Signer as _, Tick, UnixMillis, Voucher,
};
use tickcast_chain::{Call, EscrowRail, Included, Rail as _, RailError, Settings, TxSigner, Update};
use tokio::sync::mpsc;

pub const UNIT: u128 = 1_000_000_000_000;
pub const NEVER: UnixMillis = UnixMillis(9_000_000_000_000_000);
pub const WINDOW_MS: u64 = 60_000;

/// Longer than anything takes; only a test that hangs meets it.
const HANGS: Duration = Duration::from_secs(60);

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

/// Quick to notice what is wrong.
pub fn settings(endpoints: &[String]) -> Settings {
    Settings { answer_within_ms: 5_000, stalled_after_ms: 100, ..Settings::new(endpoints) }
}

pub async fn rail(devchain: &Devchain) -> EscrowRail {
    EscrowRail::connect(settings(&[devchain.url()])).await.expect("the chain answers")
}

pub fn terms(devchain: &Devchain, payer: &TxSigner, scheme: KeyScheme, nonce: u64) -> ChannelTerms {
    ChannelTerms {
        genesis: Genesis(devchain.genesis()),
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
