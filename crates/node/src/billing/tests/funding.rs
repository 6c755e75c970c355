//! Deposits that a browser wallet signs for a page: what the node makes, what it takes, and what it refuses.

use std::sync::Arc;

use api::pay::{ChannelStanding, FundingRequest, FundingState, LoggedIn, SessionChannel, SignerPayload};
use api::{ClientError, WireHex};
use chain::{Call, EscrowRail, Rail, Settings};
use pay::id::blake2_256;
use pay::{
    Amount, AssetId, ChannelTerms, Delegation, Keypair, Phase, Signature, Signed, Signer, UnixMillis, Wire,
};

use super::code;
use super::world::{BOB, CHARLIE, DAVE, DEPOSIT, PRICE, Viewer, World, person, until};
use crate::billing::log::Act;

const DAY_MS: u64 = 24 * 3_600_000;
/// Of the runtime's pallet `Escrow`, and of its calls.
const ESCROW: u8 = 10;
const OPEN: u8 = 0;
const TOP_UP: u8 = 1;
const START_CLOSE: u8 = 4;
const CLOSE: u8 = 5;

/// A page whose session key is logged in, and whose channel CHARLIE is to open.
struct Page {
    terms: ChannelTerms,
    session: Keypair,
    login: LoggedIn,
    expires_at: UnixMillis,
}

impl Page {
    async fn load(world: &World) -> Self {
        let viewer = Viewer::new(world, CHARLIE).await;
        let login = world.client.login(&viewer.session).await.unwrap();
        let expires_at =
            world.node().app().billing().clock.now().plus(viewer.terms.dispute_window_ms + DAY_MS);
        Self { terms: viewer.terms, session: viewer.session, login, expires_at }
    }

    async fn log_in(&mut self, world: &World) {
        self.login = world.client.login(&self.session).await.unwrap();
    }

    fn open(&self, terms: ChannelTerms, deposit: u128) -> FundingRequest {
        let (deposit, expires_at) = (Amount::new(deposit), self.expires_at);
        FundingRequest::Open { terms: WireHex(terms), deposit, expires_at }
    }

    async fn prepare(&self, world: &World, request: &FundingRequest) -> Result<SignerPayload, ClientError> {
        world.client.prepare_funding(&self.login, request).await.map(|prepared| prepared.payload)
    }

    async fn sent(&self, world: &World, signature: Signature) -> Result<FundingState, ClientError> {
        world.client.sign_funding(&self.login, signature).await
    }

    /// Prepared, signed by CHARLIE, and final; what it cost.
    async fn done(&self, world: &World, request: &FundingRequest) -> (Vec<u8>, u128) {
        let prepared = world.client.prepare_funding(&self.login, request).await.unwrap();
        self.sent(world, signed(CHARLIE, &prepared.payload)).await.unwrap();
        assert_eq!(self.fate(world).await, FundingState::Final);
        (bytes(&prepared.payload.method), prepared.fee.units())
    }

    /// Its only channel, once it stands so.
    async fn stands(&self, world: &World, standing: ChannelStanding, may_close: bool) -> SessionChannel {
        let mut known = Vec::new();
        until(async || {
            known = world.client.session_channels(&self.login).await.unwrap();
            known.first().is_some_and(|one| (one.standing, one.may_close) == (standing, may_close))
        })
        .await;
        assert_eq!(known.len(), 1);
        known.remove(0)
    }

    /// What becomes of what was sent.
    async fn fate(&self, world: &World) -> FundingState {
        let mut state = FundingState::Sent;
        until(async || {
            state = world.client.funding(&self.login).await.unwrap();
            state != FundingState::Sent
        })
        .await;
        state
    }
}

fn bytes(text: &str) -> Vec<u8> {
    let digits = text.strip_prefix("0x").unwrap().as_bytes();
    let value = |digit: &u8| char::from(*digit).to_digit(16).unwrap() as u8;
    digits.chunks_exact(2).map(|pair| value(&pair[0]) << 4 | value(&pair[1])).collect()
}

/// A number as payloads have it, the highest byte first, as the chain has it.
fn reversed(text: &str) -> Vec<u8> {
    bytes(text).into_iter().rev().collect()
}

/// What a wallet signs, made of the payload as Substrate defines it: the call, what the extensions put into the
/// transaction, and what they only sign. A nonce below 64 is one byte.
fn to_sign(payload: &SignerPayload) -> Vec<u8> {
    let nonce = u64::from_be_bytes(bytes(&payload.nonce).try_into().unwrap());
    assert!(nonce < 64 && reversed(&payload.tip) == [0; 16] && payload.version == 4);
    let extensions = [
        "CheckNonZeroSender",
        "CheckSpecVersion",
        "CheckTxVersion",
        "CheckGenesis",
        "CheckMortality",
        "CheckNonce",
        "CheckWeight",
        "ChargeTransactionPayment",
    ];
    assert_eq!(payload.signed_extensions, extensions);
    let extra = [bytes(&payload.era), vec![(nonce as u8) << 2, 0]].concat();
    let implicit = [
        reversed(&payload.spec_version),
        reversed(&payload.transaction_version),
        bytes(&payload.genesis_hash),
        bytes(&payload.block_hash),
    ];
    let whole = [bytes(&payload.method), extra, implicit.concat()].concat();
    if whole.len() > 256 { blake2_256(&whole).to_vec() } else { whole }
}

fn signed(at: usize, payload: &SignerPayload) -> Signature {
    person(at).sign(&to_sign(payload)).unwrap()
}

/// The arguments of `open`, in their order.
fn arguments(terms: &ChannelTerms, deposit: u128, expires_at: UnixMillis) -> Vec<u8> {
    assert_eq!(terms.asset, AssetId::Native);
    [
        vec![0],
        terms.payee.0.to_vec(),
        terms.node.to_bytes(),
        terms.session.to_bytes(),
        terms.nonce.to_le_bytes().to_vec(),
        terms.dispute_window_ms.to_le_bytes().to_vec(),
        deposit.to_le_bytes().to_vec(),
        expires_at.0.to_le_bytes().to_vec(),
    ]
    .concat()
}

async fn deposit(world: &World, terms: &ChannelTerms) -> Option<u128> {
    let state = world.rail.channel(terms.id()).await.unwrap()?;
    match state.finalized {
        Phase::Open(funds) => Some(funds.deposit.units()),
        _ => None,
    }
}

#[tokio::test]
async fn a_wallet_opens_and_tops_up_the_channel_that_a_page_asked_for() {
    let world = World::start().await;
    let page = Page::load(&world).await;
    let before = world.rail.balance(page.terms.payer).await.unwrap();
    let prepared = world.client.prepare_funding(&page.login, &page.open(page.terms, DEPOSIT)).await.unwrap();
    let expected = [vec![ESCROW, OPEN], arguments(&page.terms, DEPOSIT, page.expires_at)].concat();
    assert_eq!(bytes(&prepared.payload.method), expected);
    assert_eq!(world.client.funding(&page.login).await.unwrap(), FundingState::Prepared);
    assert_eq!(deposit(&world, &page.terms).await, None, "nothing happens that nobody signed");

    assert_eq!(page.sent(&world, signed(CHARLIE, &prepared.payload)).await.unwrap(), FundingState::Sent);
    assert_eq!(page.fate(&world).await, FundingState::Final);
    assert_eq!(deposit(&world, &page.terms).await, Some(DEPOSIT));
    // The fee that the page was told is the one that was charged.
    let after = world.rail.balance(page.terms.payer).await.unwrap();
    assert_eq!(before.units() - after.units(), DEPOSIT + prepared.fee.units());

    until(async || !world.client.session_channels(&page.login).await.unwrap().is_empty()).await;
    let more = FundingRequest::TopUp { channel: page.terms.id(), by: Amount::new(PRICE) };
    let payload = page.prepare(&world, &more).await.unwrap();
    let expected = [&[ESCROW, TOP_UP], &page.terms.id().0[..], &PRICE.to_le_bytes()].concat();
    assert_eq!(bytes(&payload.method), expected);
    page.sent(&world, signed(CHARLIE, &payload)).await.unwrap();
    assert_eq!(page.fate(&world).await, FundingState::Final);
    assert_eq!(deposit(&world, &page.terms).await, Some(DEPOSIT + PRICE));
}

#[tokio::test]
async fn a_signature_of_another_account_of_another_call_or_used_before_is_refused() {
    let world = World::start().await;
    let page = Page::load(&world).await;
    let early = person(CHARLIE).sign(b"anything").unwrap();
    assert_eq!(code(&page.sent(&world, early).await.unwrap_err()), "nothing_waits");
    let earlier = page.prepare(&world, &page.open(page.terms, DEPOSIT + 1)).await.unwrap();
    let payload = page.prepare(&world, &page.open(page.terms, DEPOSIT)).await.unwrap();
    // The page has another tab, as it seems.
    for (who, over, expected) in [(DAVE, &payload, "bad_signature"), (CHARLIE, &earlier, "replaced")] {
        let refused = page.sent(&world, signed(who, over)).await.unwrap_err();
        assert_eq!(code(&refused), expected);
    }
    assert_eq!(world.client.funding(&page.login).await.unwrap(), FundingState::Prepared);

    let good = signed(CHARLIE, &payload);
    page.sent(&world, good).await.unwrap();
    assert_eq!(page.fate(&world).await, FundingState::Final);
    let again = page.sent(&world, good).await.unwrap_err();
    assert_eq!(code(&again), "nothing_waits");
    assert_eq!(deposit(&world, &page.terms).await, Some(DEPOSIT));
}

#[tokio::test]
async fn nothing_is_prepared_for_another_key_node_chain_or_payee_or_without_money() {
    let world = World::start().await;
    let page = Page::load(&world).await;
    let terms = page.terms;
    let strange = [
        ChannelTerms { session: person(DAVE).public(), ..terms },
        ChannelTerms { node: person(DAVE).public(), ..terms },
        ChannelTerms { genesis: pay::Genesis([7; 32]), ..terms },
        ChannelTerms { asset: AssetId::Asset(1), ..terms },
        ChannelTerms { dispute_window_ms: terms.dispute_window_ms + 1, ..terms },
        ChannelTerms { payee: person(DAVE).public().account(), ..terms },
        ChannelTerms { payer: terms.payee, ..terms },
    ];
    for (at, other) in strange.into_iter().enumerate() {
        let refused = page.prepare(&world, &page.open(other, DEPOSIT)).await.unwrap_err();
        assert_eq!(code(&refused), "wrong_funding", "{at}");
    }
    let nothing = page.prepare(&world, &page.open(terms, 0)).await.unwrap_err();
    assert_eq!(code(&nothing), "wrong_funding");
    let foreign = FundingRequest::TopUp { channel: terms.id(), by: Amount::new(PRICE) };
    assert_eq!(code(&page.prepare(&world, &foreign).await.unwrap_err()), "wrong_funding");

    // All but what the fee is.
    let all = world.rail.balance(terms.payer).await.unwrap().units();
    let call = Call::Open { terms, deposit: Amount::new(all), expires_at: page.expires_at };
    let fee = world.rail.fee(call, terms.payer).await.unwrap().units();
    let refused = page.prepare(&world, &page.open(terms, all - fee + 1)).await.unwrap_err();
    assert_eq!(code(&refused), "too_little");
    assert!(page.prepare(&world, &page.open(terms, all - fee)).await.is_ok());
}

#[tokio::test]
async fn a_transaction_that_the_account_overtook_fails_in_words_and_may_be_made_anew() {
    let world = World::start().await;
    let page = Page::load(&world).await;
    let payload = page.prepare(&world, &page.open(page.terms, DEPOSIT)).await.unwrap();
    let other = Call::Transfer { to: person(DAVE).public().account(), amount: Amount::new(DEPOSIT) };
    world.rail.submit(other, Arc::new(person(CHARLIE))).await.unwrap();
    page.sent(&world, signed(CHARLIE, &payload)).await.unwrap();
    let FundingState::Failed { code, words } = page.fate(&world).await else { panic!("it was sent") };
    assert!(code == "refused" && words.contains("signed anew"), "{code}: {words}");
    let payload = page.prepare(&world, &page.open(page.terms, DEPOSIT)).await.unwrap();
    page.sent(&world, signed(CHARLIE, &payload)).await.unwrap();
    assert_eq!(page.fate(&world).await, FundingState::Final);
}

/// The chain's clock goes on, and a block has told the node so.
async fn wait(world: &World, millis: u64) {
    let clock = &world.node().app().billing().clock;
    let then = clock.now().plus(millis);
    world.devchain.step_clock(i64::try_from(millis).unwrap());
    world.devchain.seal().unwrap();
    until(async || clock.now() >= then).await;
}

#[tokio::test]
async fn a_deposit_of_which_nothing_was_spent_comes_back_by_two_signatures_of_the_wallet() {
    let world = World::start().await;
    let page = Page::load(&world).await;
    let (channel, window) = (page.terms.id(), page.terms.dispute_window_ms);
    let before = world.rail.balance(page.terms.payer).await.unwrap();
    let (_, opened) = page.done(&world, &page.open(page.terms, DEPOSIT)).await;
    page.stands(&world, ChannelStanding::Open, false).await;
    let (start, close) = (FundingRequest::StartClose { channel }, FundingRequest::Close { channel });
    assert_eq!(code(&page.prepare(&world, &close).await.unwrap_err()), "wrong_funding", "it is open");

    let (method, started) = page.done(&world, &start).await;
    assert_eq!(method, [&[ESCROW, START_CLOSE], &channel.0[..]].concat());
    let closing = page.stands(&world, ChannelStanding::Closing, false).await;
    let Phase::Closing { closes_at, .. } = world.rail.channel(channel).await.unwrap().unwrap().finalized
    else {
        panic!("its payer started to close it")
    };
    assert_eq!(
        (closing.closes_at, closing.deposit, closing.spent),
        (closes_at, Amount::new(DEPOSIT), Amount::ZERO)
    );
    assert_eq!(code(&page.prepare(&world, &start).await.unwrap_err()), "wrong_funding", "it has started");
    assert_eq!(code(&page.prepare(&world, &close).await.unwrap_err()), "wrong_funding", "its window is open");
    let more = FundingRequest::TopUp { channel, by: Amount::new(PRICE) };
    assert_eq!(code(&page.prepare(&world, &more).await.unwrap_err()), "wrong_funding");

    wait(&world, window).await;
    page.stands(&world, ChannelStanding::Closing, true).await;
    let (method, closed) = page.done(&world, &close).await;
    assert_eq!(method, [&[ESCROW, CLOSE], &channel.0[..]].concat());
    let after = world.rail.balance(page.terms.payer).await.unwrap();
    assert_eq!(before.units() - after.units(), opened + started + closed);
    until(async || world.client.session_channels(&page.login).await.unwrap().is_empty()).await;
    assert_eq!(code(&page.prepare(&world, &close).await.unwrap_err()), "wrong_funding", "it is closed");
}

#[tokio::test]
async fn a_channel_at_its_end_is_named_still_and_its_payer_takes_the_rest_without_a_window() {
    let world = World::start().await;
    let mut page = Page::load(&world).await;
    page.done(&world, &page.open(page.terms, DEPOSIT)).await;
    let channel = page.terms.id();
    page.stands(&world, ChannelStanding::Open, false).await;
    wait(&world, DAY_MS).await;
    page.log_in(&world).await;
    let ending = page.stands(&world, ChannelStanding::Ending, false).await;
    assert_eq!(ending.closes_at, page.expires_at);
    let close = FundingRequest::Close { channel };
    assert_eq!(code(&page.prepare(&world, &close).await.unwrap_err()), "wrong_funding");
    wait(&world, page.terms.dispute_window_ms).await;
    page.stands(&world, ChannelStanding::Ending, true).await;
    page.done(&world, &close).await;
    let closed = world.rail.channel(channel).await.unwrap().unwrap().finalized;
    assert_eq!(closed, Phase::Closed { paid: Amount::ZERO });
}

#[tokio::test]
async fn nothing_is_taken_back_for_another_key() {
    let world = World::start().await;
    let page = Page::load(&world).await;
    page.done(&world, &page.open(page.terms, DEPOSIT)).await;
    let other = world.client.login(&person(DAVE)).await.unwrap();
    let channel = page.terms.id();
    for request in [FundingRequest::StartClose { channel }, FundingRequest::Close { channel }] {
        let refused = world.client.prepare_funding(&other, &request).await.unwrap_err();
        assert_eq!(code(&refused), "wrong_funding");
    }
}

#[tokio::test]
async fn nothing_is_locked_for_a_creator_whose_delegation_is_over() {
    let world = World::start().await;
    let page = Page::load(&world).await;
    let app = world.node().app();
    let now = app.billing().clock.now();
    let delegation = Delegation {
        genesis: page.terms.genesis,
        payee: person(BOB).public(),
        node: page.terms.node,
        from: UnixMillis(0),
        until: now,
    };
    let delegation = Signed::sign(delegation, &person(BOB)).unwrap();
    let act = Act::new("creator.delegated", serde_json::Value::Null);
    app.store().set_delegation(&delegation, (act, now)).await.unwrap();
    let refused = page.prepare(&world, &page.open(page.terms, DEPOSIT)).await.unwrap_err();
    assert_eq!(code(&refused), "wrong_funding");
}

#[tokio::test]
async fn a_key_that_asks_too_often_waits_wherever_it_asks_from_and_another_does_not() {
    let world = World::start().await;
    let page = Page::load(&world).await;
    let foreign = FundingRequest::TopUp { channel: page.terms.id(), by: Amount::new(PRICE) };
    for _ in 0..20 {
        assert_eq!(code(&page.prepare(&world, &foreign).await.unwrap_err()), "wrong_funding");
    }
    assert_eq!(code(&page.prepare(&world, &foreign).await.unwrap_err()), "too_often");
    let other = world.client.login(&person(DAVE)).await.unwrap();
    let refused = world.client.prepare_funding(&other, &foreign).await.unwrap_err();
    assert_eq!(code(&refused), "wrong_funding");
}

#[tokio::test]
async fn whoever_pays_in_another_asset_needs_the_chains_own_unit_for_the_fee() {
    let world = World::in_asset(1).await;
    let page = Page::load(&world).await;
    let terms = page.terms;
    assert_eq!(terms.asset, AssetId::Asset(1));
    let request = page.open(terms, DEPOSIT);
    assert!(page.prepare(&world, &request).await.is_ok());
    let native = EscrowRail::connect(Settings::new([world.devchain.url()])).await.unwrap();
    // All but what the account itself needs to go on, and less than a fee.
    let to = person(DAVE).public().account();
    let all = native.balance(terms.payer).await.unwrap().units();
    let call = |amount| Call::Transfer { to, amount: Amount::new(amount) };
    let fee = native.fee(call(all), terms.payer).await.unwrap().units();
    native.submit(call(all - fee), Arc::new(person(CHARLIE))).await.unwrap();
    let refused = page.prepare(&world, &request).await.unwrap_err();
    assert_eq!(code(&refused), "too_little");
    assert!(refused.to_string().contains("own unit"), "{refused}");
    let held = world.rail.balance(terms.payer).await.unwrap().units();
    assert!(held > DEPOSIT, "{held}");
}
