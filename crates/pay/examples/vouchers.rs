//! What a voucher costs: signing it, checking it alone and among others, and all that a ledger does with it besides
//! (`cargo run --release -p tickcast-pay --example vouchers`).

#![allow(clippy::print_stdout, reason = "the table is its output")]

use std::hint::black_box;
use std::time::Instant;

use row::{Better, Row};
use tickcast_pay::key::{Claim, verify, verify_batch};
use tickcast_pay::ledger::{Forward, verify_all};
use tickcast_pay::message::Pay;
use tickcast_pay::*;

#[path = "../../xtask/src/bench/row.rs"]
mod row;

type Failed = Box<dyn std::error::Error>;

const GENESIS: Genesis = Genesis([0x11; 32]);
const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const DAY_MS: u64 = 86_400_000;
/// Viewers whose vouchers come within one group commit.
const BATCH: usize = 256;
const ROUNDS: usize = 15;
/// Of one viewer, for the ledger's own share.
const SECONDS: u64 = 500;

/// Of `count` a round, how many are done in a second: the best of all rounds.
fn per_second(count: usize, mut work: impl FnMut()) -> f64 {
    let round = |_| {
        let start = Instant::now();
        work();
        count as f64 / start.elapsed().as_secs_f64()
    };
    (0..ROUNDS).map(round).fold(0.0, f64::max)
}

fn key(scheme: KeyScheme, number: u16) -> Keypair {
    let mut seed = [7; 32];
    seed[..2].copy_from_slice(&number.to_le_bytes());
    Keypair::from_seed(scheme, &seed.into())
}

struct Node {
    key: Keypair,
    payee: PublicKey,
    offer: VerifiedOffer,
    book: OfferBook,
}

impl Node {
    fn new() -> Result<Self, Failed> {
        let (creator, key) = (key(KeyScheme::Sr25519, 1), key(KeyScheme::Ed25519, 2));
        let payee = creator.public();
        let delegation = Delegation {
            genesis: GENESIS,
            payee,
            node: key.public(),
            from: NOW,
            until: NOW.plus(2 * DAY_MS),
        };
        let delegation = Signed::sign(delegation, &creator)?;
        let offer = Offer {
            genesis: GENESIS,
            asset: AssetId::Native,
            content: ContentId([3; 32]),
            payee,
            delegation: delegation.body.hash(),
            price: Price::new(Amount::new(1_000)).ok_or("a price")?,
            grace_ticks: 5,
            quality: Quality { tier: 0, max_height: 720, max_bitrate_kbps: 2_500 },
            until: NOW.plus(DAY_MS),
        };
        let offer = PublishedOffer { offer: Signed::sign(offer, &key)?, delegation };
        let offer = offer.verify(&GENESIS, NOW)?;
        let mut book = OfferBook::default();
        book.publish(offer, NOW)?;
        Ok(Self { key, payee, offer, book })
    }

    /// A viewer that has joined and not paid yet.
    fn viewer(&self, session: &Keypair) -> Result<(Tab, Ledger), Failed> {
        let terms = ChannelTerms {
            genesis: GENESIS,
            asset: AssetId::Native,
            payer: session.public().account(),
            payee: self.payee.account(),
            node: self.key.public(),
            session: session.public(),
            nonce: 0,
            dispute_window_ms: 60_000,
        };
        let mut channel = Channel::new(terms);
        let deposit = Amount::new(1 << 60);
        channel.apply_final(ChannelEvent::Opened { deposit, expires_at: NOW.plus(30 * DAY_MS) })?;
        let mut ledger = Ledger::new(LedgerConfig::default(), channel);
        ledger.start(&self.offer.hash(), &self.book, NOW)?;
        Ok((Tab::new(terms, self.offer, deposit)?, ledger))
    }

    fn prepaid(&self, tab: &mut Tab, ledger: &mut Ledger, session: &Keypair) -> Result<Pay, Failed> {
        let started = ledger.start(&self.offer.hash(), &self.book, NOW)?;
        tab.started(&started, session, NOW)?.ok_or_else(|| "the first tick is paid in advance".into())
    }
}

fn signatures(node: &Node, scheme: KeyScheme, rows: &mut Vec<Row>) -> Result<(), Failed> {
    let sessions: Vec<_> = (0..BATCH as u16).map(|number| key(scheme, 100 + number)).collect();
    let mut ledgers = Vec::new();
    let mut pays = Vec::new();
    for session in &sessions {
        let (mut tab, mut ledger) = node.viewer(session)?;
        pays.push(node.prepaid(&mut tab, &mut ledger, session)?);
        ledgers.push(ledger);
    }
    let messages: Vec<_> = pays.iter().map(|pay| pay.voucher.body.signing_bytes()).collect();
    let sign = per_second(BATCH, || {
        sessions.iter().zip(&messages).for_each(|(key, bytes)| {
            let _ = black_box(key.sign(bytes));
        });
    });
    let claims: Vec<_> = pays
        .iter()
        .zip(&sessions)
        .zip(&messages)
        .map(|((pay, key), bytes)| Claim { key: key.public(), bytes, signature: pay.voucher.signature })
        .collect();
    let alone = per_second(BATCH, || {
        claims.iter().for_each(|c| {
            let _ = black_box(verify(&c.key, c.bytes, &c.signature));
        });
    });
    let batch = per_second(BATCH, || drop(black_box(verify_batch(&claims))));
    let mut spoilt = claims.clone();
    spoilt[BATCH / 2].signature.bytes[40] ^= 1;
    let forged = per_second(BATCH, || drop(black_box(verify_batch(&spoilt))));
    let whole = per_second(BATCH, || {
        let examined = ledgers.iter().zip(&pays).filter_map(|(ledger, pay)| {
            let bytes = ToNode::Pay(pay.clone()).to_bytes();
            let Ok(ToNode::Pay(pay)) = ToNode::from_bytes(&bytes) else { return None };
            ledger.examine(pay, &node.book, NOW).ok()
        });
        let verified = verify_all(examined.collect());
        for (ledger, verified) in ledgers.iter_mut().zip(verified.into_iter().flatten()) {
            let staged = ledger.stage(verified, &node.book, &node.key, NOW);
            // Not taken, so that the next round finds it new.
            let _ = staged.map(|staged| black_box(ledger.aborted(&staged)));
        }
    });
    let name = format!("{scheme:?}");
    println!(
        "{name:<8} a second and core: sign {sign:>7.0}   check {alone:>7.0}   by {BATCH} {batch:>7.0}   \
         with one forged {forged:>7.0}   read, check and stage {whole:>7.0}"
    );
    let named = [
        ("sign a voucher", sign),
        ("check a signature alone", alone),
        ("check signatures in batches", batch),
        ("the same, one in each forged", forged),
        ("read, check and stage vouchers", whole),
    ];
    rows.extend(named.map(|(what, value)| {
        Row::new(Better::More, format!("{what}, {}", name.to_lowercase()), "1/s/core", value)
    }));
    Ok(())
}

/// All that a node does for a second of one viewer but the signature and the store.
fn seconds(node: &Node, rows: &mut Vec<Row>) -> Result<(), Failed> {
    let session = key(KeyScheme::Ed25519, 9);
    let mut best = f64::MAX;
    let mut record_bytes = 0;
    for _ in 0..ROUNDS {
        let (mut tab, mut ledger) = node.viewer(&session)?;
        let mut pay = Some(node.prepaid(&mut tab, &mut ledger, &session)?);
        let mut spent = std::time::Duration::ZERO;
        for _ in 0..SECONDS {
            let verified = pay.take().map(|pay| ledger.examine(pay, &node.book, NOW)?.verify());
            let start = Instant::now();
            if let Some(verified) = verified {
                let staged = ledger.stage(verified?, &node.book, &node.key, NOW)?;
                record_bytes = staged.record().len();
                let committed = ledger.committed(staged)?;
                spent += start.elapsed();
                tab.acknowledged(&committed.acknowledged.ok_or("an acknowledgement")?)?;
            }
            let start = Instant::now();
            let tick = loop {
                match ledger.forward(&node.book, NOW)? {
                    Forward::Send(tick) => break tick,
                    Forward::Reserve(reserve) => {
                        ledger.committed(reserve)?;
                    }
                }
            };
            ledger.delivered(tick);
            spent += start.elapsed();
            pay = tab.played(tick, &session, NOW)?;
        }
        best = best.min(spent.as_nanos() as f64 / SECONDS as f64);
    }
    println!(
        "a viewer's second in the ledger, receipts included: {best:.0} ns; its record: {record_bytes} bytes"
    );
    rows.push(Row::new(Better::Less, "a viewer's second in the ledger", "ns", best));
    rows.push(Row::new(Better::Less, "a ledger's stored record", "bytes", record_bytes as f64));
    let (mut tab, mut ledger) = node.viewer(&session)?;
    let pay = ToNode::Pay(node.prepaid(&mut tab, &mut ledger, &session)?).to_bytes().len();
    println!("a tick's payment on the wire: {pay} bytes");
    rows.push(Row::new(Better::Less, "a tick's payment on the wire", "bytes", pay as f64));
    Ok(())
}

fn main() -> Result<(), Failed> {
    let node = Node::new()?;
    let mut rows = Vec::new();
    for scheme in [KeyScheme::Sr25519, KeyScheme::Ed25519] {
        signatures(&node, scheme, &mut rows)?;
    }
    seconds(&node, &mut rows)?;
    rows.iter().for_each(|row| println!("{}", row.to_line()));
    Ok(())
}
