//! What a settled channel costs: the weight that is declared, and what running it here takes.
//! `cargo run -p tickcast-runtime --example settle_weight`

use std::time::{Duration, Instant};

use codec::Encode as _;
use frame_support::BoundedVec;
use frame_support::weights::constants::WEIGHT_REF_TIME_PER_MICROS;
use row::{Better, Row};
use runtime::escrow::weights::{Counted, WeightInfo as _};
use runtime::escrow::{Channels, Key, Signature, SignedVoucher, State, Terms};
use runtime::{Escrow, Genesis, Hash, Runtime, RuntimeOrigin, System, Timestamp, UNIT};
use sp_core::{Pair as _, ed25519, sr25519};
use sp_runtime::AccountId32;
use tickcast_runtime as runtime;

#[path = "../../xtask/src/bench/row.rs"]
mod row;

const CHAIN: Hash = Hash::repeat_byte(7);
const NOW: u64 = 1_700_000_000_000;

#[allow(clippy::print_stdout)] // The table is what it is for.
fn main() {
    let mut rows = Vec::new();
    println!("scheme    channels  bytes each  declared each  measured each");
    for scheme in ["sr25519", "ed25519"] {
        for channels in [1, 10, 100, 256] {
            let (bytes, taken) = settle(scheme, channels);
            let declared = Counted::<Runtime>::settle_many(channels).ref_time() as f64
                / f64::from(channels)
                / WEIGHT_REF_TIME_PER_MICROS as f64;
            let measured = taken.as_secs_f64() * 1e6 / f64::from(channels);
            let bytes = bytes / channels as usize;
            let row = |what: &str, unit: &str, value| {
                let metric = format!("{what} of {channels} channels settled at once, each, {scheme}");
                Row::new(Better::Less, metric, unit, value)
            };
            rows.extend([
                row("bytes", "bytes", bytes as f64),
                row("declared weight", "µs", declared),
                row("time here", "µs", measured),
            ]);
            println!("{scheme}   {channels:8}  {bytes:10}  {declared:10.0} µs  {measured:10.1} µs");
        }
    }
    rows.iter().for_each(|row| println!("{}", row.to_line()));
}

/// Bytes of the call's vouchers, and the shortest of five runs.
fn settle(scheme: &str, channels: u32) -> (usize, Duration) {
    let runs = (0..5).map(|_| settle_once(scheme, channels));
    runs.min_by_key(|(_, taken)| *taken).expect("there were five")
}

fn settle_once(scheme: &str, channels: u32) -> (usize, Duration) {
    let sr25519 = sr25519::Pair::from_seed(&[1; 32]);
    let ed25519 = ed25519::Pair::from_seed(&[1; 32]);
    let session = match scheme {
        "sr25519" => Key::Sr25519(sr25519.public().0),
        _ => Key::Ed25519(ed25519.public().0),
    };
    let account = |at: u32, role: u8| {
        let mut bytes = [role; 32];
        bytes[..4].copy_from_slice(&at.to_le_bytes());
        AccountId32::new(bytes)
    };
    let balances = (0..channels).map(|at| (account(at, 1), 10 * UNIT)).chain([(account(0, 2), UNIT)]);
    let storage = Genesis { balances: balances.collect(), assets: Vec::new() }.storage();
    let mut chain = sp_io::TestExternalities::new(storage.expect("the accounts are named once"));
    let vouchers: Vec<_> = chain.execute_with(|| {
        System::initialize(&1, &CHAIN, &Default::default());
        Timestamp::set_timestamp(NOW);
        (0..channels)
            .map(|at| {
                let terms = Terms {
                    asset: None,
                    payer: account(at, 1),
                    payee: account(0, 2),
                    node: session,
                    session,
                    nonce: 1,
                    dispute_window_ms: 1,
                };
                let channel = terms.id(CHAIN);
                let origin = RuntimeOrigin::signed(terms.payer);
                Escrow::open(origin, None, terms.payee, session, session, 1, 1, UNIT, NOW + 10)
                    .expect("it has it");
                let mut voucher = SignedVoucher {
                    genesis: CHAIN,
                    channel,
                    offer: Hash::zero(),
                    tick: 1,
                    cumulative: UNIT / 2,
                    signature: Signature::Ed25519([0; 64]),
                };
                let bytes = voucher.signing_bytes();
                voucher.signature = match session {
                    Key::Sr25519(_) => Signature::Sr25519(sr25519.sign(&bytes).0),
                    Key::Ed25519(_) => Signature::Ed25519(ed25519.sign(&bytes).0),
                };
                voucher
            })
            .collect()
    });
    chain.commit_all().expect("nothing is open");
    chain.execute_with(|| {
        let bytes = vouchers.encoded_size();
        let vouchers = BoundedVec::try_from(vouchers).expect("there are no more than may be");
        let origin = RuntimeOrigin::signed(account(0, 2));
        let begun = Instant::now();
        Escrow::settle_many(origin, vouchers).expect("it takes them");
        let taken = begun.elapsed();
        let settled = Channels::<Runtime>::iter_values().filter(|kept| kept.settled == UNIT / 2).count();
        assert_eq!(settled, channels as usize);
        assert!(Channels::<Runtime>::iter_values().all(|kept| kept.state == State::Open));
        (bytes, taken)
    })
}
