//! The pallet inside the real runtime: each rule, and each thing that is refused.

use codec::Encode as _;
use frame_support::traits::fungible::InspectHold as _;
use frame_support::{BoundedVec, assert_noop, assert_ok};
use sp_core::{H256, Pair as _, ed25519, sr25519};
use sp_io::TestExternalities;
use sp_runtime::{AccountId32, DispatchError, DispatchResult};

use super::{
    Channels, Error, Event, HoldReason, Key, Signature, SignedVoucher, State, Terms, terms::CloseTerms,
};
use crate::genesis::{DEV_ASSET, Genesis};
use crate::{Balances, Escrow, Runtime, RuntimeEvent, RuntimeOrigin, System, Timestamp, UNIT};

mod closing;
mod conservation;
mod opening;
mod settling;
mod weighing;

type Failure = Error<Runtime>;

const DEPOSIT: u128 = 100 * UNIT;
const START: u64 = 1_700_000_000_000;
const WINDOW: u64 = 60_000;
const EXPIRES: u64 = START + 3_600_000;
const CHAIN: H256 = H256([7; 32]);

fn alice() -> AccountId32 {
    AccountId32::new([1; 32])
}

fn bob() -> AccountId32 {
    AccountId32::new([2; 32])
}

/// Who has nothing to do with any channel, and sends transactions for others.
fn carol() -> AccountId32 {
    AccountId32::new([3; 32])
}

fn session() -> sr25519::Pair {
    sr25519::Pair::from_seed(&[11; 32])
}

fn node() -> ed25519::Pair {
    ed25519::Pair::from_seed(&[12; 32])
}

fn terms() -> Terms {
    Terms {
        asset: None,
        payer: alice(),
        payee: bob(),
        node: Key::Ed25519(node().public().0),
        session: Key::Sr25519(session().public().0),
        nonce: 1,
        dispute_window_ms: WINDOW,
    }
}

/// A chain at its first block, in which everybody has a thousand.
fn chain() -> TestExternalities {
    let everybody = [alice(), bob(), carol()];
    let genesis = Genesis {
        balances: everybody.iter().map(|who| (who.clone(), 1_000 * UNIT)).collect(),
        assets: everybody.iter().map(|who| (who.clone(), 1_000 * UNIT)).collect(),
    };
    let mut chain = TestExternalities::new(genesis.storage().expect("the accounts are named once"));
    chain.execute_with(|| {
        System::initialize(&1, &CHAIN, &Default::default());
        Timestamp::set_timestamp(START);
    });
    chain
}

fn open(terms: &Terms, deposit: u128, expires_at: u64) -> DispatchResult {
    let terms = terms.clone();
    Escrow::open(
        RuntimeOrigin::signed(terms.payer),
        terms.asset,
        terms.payee,
        terms.node,
        terms.session,
        terms.nonce,
        terms.dispute_window_ms,
        deposit,
        expires_at,
    )
}

/// In a chain where the usual channel is open.
fn with_channel(test: impl FnOnce(H256)) {
    chain().execute_with(|| {
        assert_ok!(open(&terms(), DEPOSIT, EXPIRES));
        test(terms().id(CHAIN));
    });
}

fn voucher(channel: H256, cumulative: u128) -> SignedVoucher {
    signed(SignedVoucher {
        genesis: CHAIN,
        channel,
        offer: H256([9; 32]),
        tick: 5,
        cumulative,
        signature: Signature::Sr25519([0; 64]),
    })
}

fn signed(mut voucher: SignedVoucher) -> SignedVoucher {
    voucher.signature = Signature::Sr25519(session().sign(&voucher.signing_bytes()).0);
    voucher
}

fn settle(voucher: SignedVoucher) -> DispatchResult {
    Escrow::settle(RuntimeOrigin::signed(carol()), voucher)
}

/// Both signatures over the end of a channel.
fn agreement(channel: H256, cumulative: u128) -> (Signature, Signature) {
    let bytes = CloseTerms { genesis: CHAIN, channel, cumulative }.signing_bytes();
    (Signature::Sr25519(session().sign(&bytes).0), Signature::Ed25519(node().sign(&bytes).0))
}

fn close_together(channel: H256, cumulative: u128) -> DispatchResult {
    let (by_session, by_node) = agreement(channel, cumulative);
    Escrow::cooperative_close(RuntimeOrigin::signed(carol()), channel, cumulative, by_session, by_node)
}

fn start_close(who: AccountId32, channel: H256) -> DispatchResult {
    Escrow::start_close(RuntimeOrigin::signed(who), channel)
}

fn close(who: AccountId32, channel: H256) -> DispatchResult {
    Escrow::close(RuntimeOrigin::signed(who), channel)
}

fn top_up(who: AccountId32, channel: H256, by: u128) -> DispatchResult {
    Escrow::top_up(RuntimeOrigin::signed(who), channel, by)
}

fn free(who: AccountId32) -> u128 {
    Balances::free_balance(who)
}

fn held(who: AccountId32) -> u128 {
    Balances::balance_on_hold(&HoldReason::Channel.into(), &who)
}

fn events() -> Vec<Event<Runtime>> {
    System::read_events_no_consensus()
        .filter_map(|record| match record.event {
            RuntimeEvent::Escrow(event) => Some(event),
            _ => None,
        })
        .collect()
}
