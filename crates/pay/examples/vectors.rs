//! Writes the published vectors anew (`cargo run -p tickcast-pay --example vectors`). Signatures by sr25519 differ each
//! time, everything else must not: what is committed is what others were given.

use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};
use tickcast_pay::login::Host;
use tickcast_pay::message::{Pay, Report, Start};
use tickcast_pay::*;

type Failed = Box<dyn std::error::Error>;

const GENESIS: Genesis = Genesis([0x11; 32]);
const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("0x"), |text, byte| format!("{text}{byte:02x}"))
}

fn key(scheme: KeyScheme, number: u8) -> Keypair {
    Keypair::from_seed(scheme, &[number; 32].into())
}

fn entry<T: Signable + Serialize>(kind: &str, body: &T) -> Result<Value, Failed> {
    Ok(json!({
        "type": kind,
        "fields": serde_json::to_value(body)?,
        "body": hex(&body.to_bytes()),
        "hashed": hex(&body.signing_bytes()),
        "hash": hex(&body.digest()),
    }))
}

/// Signed by both schemes, and each signature spoilt.
fn signatures<T: Signable>(kind: &str, body: &T, out: &mut Vec<Value>) -> Result<(), Failed> {
    let message = body.signing_bytes();
    for scheme in [KeyScheme::Ed25519, KeyScheme::Sr25519] {
        let signer = key(scheme, 1);
        let good = signer.sign(&message)?;
        let mut spoilt = good;
        spoilt.bytes[3] ^= 0x10;
        let mut other = message.clone();
        *other.last_mut().ok_or("a message is never empty")? ^= 1;
        let cases = [(&message, good, true), (&message, spoilt, false), (&other, good, false)];
        for (message, signature, valid) in cases {
            out.push(json!({
                "type": kind,
                "public": signer.public(),
                "message": hex(message),
                "signature": signature,
                "valid": valid,
            }));
        }
    }
    Ok(())
}

/// One of each kind, as a first hour of watching has them.
struct Samples {
    delegation: Delegation,
    offer: Offer,
    terms: ChannelTerms,
    voucher: Voucher,
    receipt: Receipt,
    close: CloseTerms,
    login: LoginChallenge,
    credit: CreditTerms,
}

fn samples() -> Result<Samples, Failed> {
    let (creator, node, session) =
        (key(KeyScheme::Sr25519, 1), key(KeyScheme::Ed25519, 2), key(KeyScheme::Sr25519, 3));
    let (payee, node) = (creator.public(), node.public());
    let delegation = Delegation { genesis: GENESIS, payee, node, from: NOW, until: NOW.plus(86_400_000) };
    let offer = Offer {
        genesis: GENESIS,
        asset: AssetId::Native,
        content: ContentId([0x22; 32]),
        payee,
        delegation: delegation.hash(),
        price: Price::new(Amount::new(1_000_000_000_000)).ok_or("a price")?,
        grace_ticks: 5,
        quality: Quality { tier: 1, max_height: 720, max_bitrate_kbps: 2_500 },
        until: NOW.plus(3_600_000),
    };
    let terms = ChannelTerms {
        genesis: GENESIS,
        asset: AssetId::Native,
        payer: AccountId([0x33; 32]),
        payee: payee.account(),
        node,
        session: session.public(),
        nonce: 7,
        dispute_window_ms: 3_600_000,
    };
    let (genesis, channel, cumulative) = (GENESIS, terms.id(), Amount::new(43_000_000_000_000));
    let receipt = Receipt {
        genesis,
        channel,
        number: 1,
        previous: ReceiptHash([0; 32]),
        tick: Tick(9),
        cumulative: Amount::new(10_000_000_000_000),
        at: NOW.plus(10_000),
    };
    Ok(Samples {
        delegation,
        offer,
        terms,
        voucher: Voucher { genesis, channel, offer: offer.hash(), tick: Tick(42), cumulative },
        receipt,
        close: CloseTerms { genesis, channel, cumulative },
        login: LoginChallenge {
            host: Host::new("node.example:8080")?,
            account: payee,
            nonce: [0x44; 32],
            until: NOW.plus(60_000),
        },
        credit: CreditTerms::try_from(ChannelTerms { dispute_window_ms: 0, ..terms })?,
    })
}

fn encodings(all: &Samples) -> Result<Vec<Value>, Failed> {
    let (offer, terms, receipt) = (all.offer, all.terms, all.receipt);
    Ok(vec![
        entry("delegation", &all.delegation)?,
        entry("offer", &offer)?,
        entry("offer", &Offer { asset: AssetId::Asset(u32::MAX), grace_ticks: 60, ..offer })?,
        json!({
            "type": "channel",
            "fields": serde_json::to_value(terms)?,
            "body": hex(&terms.to_bytes()),
            "hashed": hex(&terms.id_bytes()),
            "hash": terms.id(),
        }),
        entry("voucher", &all.voucher)?,
        entry("voucher", &Voucher { tick: Tick((1 << 53) - 1), cumulative: Amount::MAX, ..all.voucher })?,
        entry("receipt", &receipt)?,
        entry("receipt", &Receipt { number: 2, previous: receipt.hash(), tick: Tick(19), ..receipt })?,
        entry("close", &all.close)?,
        entry("login", &all.login)?,
        entry("login", &LoginChallenge { host: Host::new(&"a".repeat(253))?, ..all.login.clone() })?,
        entry("credit", &all.credit)?,
    ])
}

fn messages(all: &Samples) -> Result<Vec<Value>, Failed> {
    // Ed25519, so that the bytes are the same each time.
    let signer = key(KeyScheme::Ed25519, 3);
    let (channel, offer) = (all.terms.id(), all.offer.hash());
    let mut unplayed = Unplayed::default();
    unplayed.push(Tick(38), 2)?;
    unplayed.push(Tick(41), 1)?;
    let (voucher, close) = (Signed::sign(all.voucher, &signer)?, Signed::sign(all.close, &signer)?);
    let message = |kind: &str, fields: Value, message: ToNode| json!({ "type": kind, "fields": fields, "bytes": hex(&message.to_bytes()) });
    let pay = Pay { voucher, unplayed: unplayed.clone(), in_advance: false };
    Ok(vec![
        message(
            "start",
            json!({ "channel": channel, "offer": offer }),
            ToNode::Start(Start { channel, offer }),
        ),
        message(
            "pay",
            json!({ "voucher": voucher, "unplayed": unplayed, "in_advance": false }),
            ToNode::Pay(pay.clone()),
        ),
        message(
            "pay",
            json!({ "voucher": voucher, "unplayed": unplayed, "in_advance": true }),
            ToNode::Pay(Pay { in_advance: true, ..pay }),
        ),
        message(
            "report",
            json!({ "channel": channel, "unplayed": unplayed }),
            ToNode::Report(Report { channel, unplayed }),
        ),
        message("stop", json!({ "channel": channel }), ToNode::Stop(channel)),
        message("close", json!({ "close": close }), ToNode::Close(close)),
    ])
}

fn main() -> Result<(), Failed> {
    let all = samples()?;
    let mut signed = Vec::new();
    signatures("delegation", &all.delegation, &mut signed)?;
    signatures("offer", &all.offer, &mut signed)?;
    signatures("voucher", &all.voucher, &mut signed)?;
    signatures("receipt", &all.receipt, &mut signed)?;
    signatures("close", &all.close, &mut signed)?;
    signatures("login", &all.login, &mut signed)?;
    signatures("credit", &all.credit, &mut signed)?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    for (name, vectors) in
        [("encodings", encodings(&all)?), ("signatures", signed), ("messages", messages(&all)?)]
    {
        let text = serde_json::to_string_pretty(&vectors)?;
        std::fs::write(folder.join(name).with_extension("json"), text + "\n")?;
    }
    Ok(())
}
