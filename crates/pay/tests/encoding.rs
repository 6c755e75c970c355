//! The bytes are those of SCALE, as a pallet would derive them, and nothing but them is read.
#![allow(clippy::unwrap_used, reason = "a test and its builders may panic")]

mod world;

use parity_scale_codec::Encode;
use proptest::prelude::*;
use tickcast_pay::login::Host;
use tickcast_pay::message::{Ending, Pay, Refused, Report, Start, Started};
use tickcast_pay::*;
use world::*;

/// As a pallet would declare it: the fields of a voucher's signing bytes.
#[derive(Encode)]
struct PalletVoucher {
    domain: [u8; 16],
    version: u8,
    genesis: [u8; 32],
    channel: [u8; 32],
    offer: [u8; 32],
    tick: u64,
    cumulative: u128,
}

#[derive(Encode)]
enum PalletKey {
    Ed25519([u8; 32]),
    Sr25519([u8; 32]),
}

impl From<PublicKey> for PalletKey {
    fn from(key: PublicKey) -> Self {
        match key.scheme {
            KeyScheme::Ed25519 => Self::Ed25519(key.bytes),
            KeyScheme::Sr25519 => Self::Sr25519(key.bytes),
        }
    }
}

#[derive(Encode)]
struct PalletTerms {
    domain: [u8; 16],
    version: u8,
    genesis: [u8; 32],
    asset: Option<u32>,
    payer: [u8; 32],
    payee: [u8; 32],
    node: PalletKey,
    session: PalletKey,
    nonce: u64,
    dispute_window_ms: u64,
}

#[test]
fn what_a_chain_verifies_is_as_a_pallet_would_encode_it() {
    let world = World::default();
    let voucher = world.voucher(42, 4_300);
    let theirs = PalletVoucher {
        domain: *b"tickcast/voucher",
        version: 1,
        genesis: voucher.genesis.0,
        channel: voucher.channel.0,
        offer: voucher.offer.0,
        tick: 42,
        cumulative: 4_300,
    };
    assert_eq!(voucher.signing_bytes(), theirs.encode());
    assert_eq!(voucher.signing_bytes().len(), 137);
    let close = CloseTerms { genesis: GENESIS, channel: voucher.channel, cumulative: Amount::new(7) };
    let theirs = (*b"tickcast/close\0\0", 1_u8, GENESIS.0, voucher.channel.0, 7_u128);
    assert_eq!(close.signing_bytes(), theirs.encode());
    for asset in [None, Some(7)] {
        let terms = ChannelTerms { asset: asset.map_or(AssetId::Native, AssetId::Asset), ..world.terms };
        let theirs = PalletTerms {
            domain: *b"tickcast/channel",
            version: 1,
            genesis: GENESIS.0,
            asset,
            payer: terms.payer.0,
            payee: terms.payee.0,
            node: terms.node.into(),
            session: terms.session.into(),
            nonce: terms.nonce,
            dispute_window_ms: terms.dispute_window_ms,
        };
        assert_eq!(terms.id_bytes(), theirs.encode());
        assert_eq!(terms.id().0, id::blake2_256(&theirs.encode()));
    }
    let signature = world.pay(0, PRICE).voucher.signature;
    assert_eq!(signature.to_bytes(), (signature.scheme as u8, signature.bytes).encode());
}

#[test]
fn no_two_kinds_share_a_domain() {
    let mut domains = [
        Delegation::DOMAIN,
        Offer::DOMAIN,
        Voucher::DOMAIN,
        Receipt::DOMAIN,
        CloseTerms::DOMAIN,
        LoginChallenge::DOMAIN,
        CreditTerms::DOMAIN,
        *b"tickcast/channel",
    ];
    domains.sort_unstable();
    assert!(domains.windows(2).all(|pair| pair[0] != pair[1]));
}

fn login() -> LoginChallenge {
    let account = keypair(KeyScheme::Sr25519, 1).public();
    LoginChallenge { host: Host::new("node.example").unwrap(), account, nonce: [5; 32], until: NOW }
}

/// One of everything that is read from somebody else or from a store.
fn samples() -> Vec<(&'static str, Vec<u8>, Reads)> {
    let world = World::default();
    let mut ledger = world.watching();
    for tick in 1..12 {
        world.send_all(&mut ledger);
        world.accept(&mut ledger, world.pay(tick, PRICE * u128::from(tick + 1))).unwrap();
    }
    ledger.delivered(Tick(13));
    ledger.report(&Report { channel: world.terms.id(), unplayed: unplayed(&[(12, 1)]) }, NOW).unwrap();
    let started = world.start(&mut ledger);
    let pay = Pay { unplayed: unplayed(&[(12, 1), (14, 2)]), ..world.pay(16, 20 * PRICE) };
    let close = CloseTerms { genesis: GENESIS, channel: world.terms.id(), cumulative: Amount::new(1) };
    let close = Signed::sign(close, &world.session).unwrap();
    let offer = publish(plain_offer(&world.delegation.body), &world.node, world.delegation);
    let refused = ledger.refused(Some(Tick(4)), Refusal::WrongStep);
    let mut tab = world.tab();
    tab.started(&Started { last: None, receipt: None, next: Tick(0), ..started }, &world.session, NOW)
        .unwrap();
    let to_node = |message: ToNode| ("to node", message.to_bytes(), reads::<ToNode> as Reads);
    let to_viewer = |message: ToViewer| ("to viewer", message.to_bytes(), reads::<ToViewer> as Reads);
    vec![
        ("delegation", world.delegation.to_bytes(), reads::<Signed<Delegation>>),
        ("login", login().to_bytes(), reads::<LoginChallenge>),
        ("channel", world.channel().to_bytes(), reads::<Channel>),
        ("tab", tab.to_bytes(), reads::<Tab>),
        ("ledger", ledger.final_record().unwrap(), |bytes| {
            let channel = World::default().channel();
            let again = Ledger::restore(config(), channel, bytes).ok()?;
            again.final_record()
        }),
        to_node(ToNode::Start(Start { channel: world.terms.id(), offer: world.offer.hash() })),
        to_node(ToNode::Pay(pay.clone())),
        to_node(ToNode::Report(Report { channel: world.terms.id(), unplayed: pay.unplayed })),
        to_node(ToNode::Stop(world.terms.id())),
        to_node(ToNode::Close(close)),
        to_viewer(ToViewer::Started(Box::new(started))),
        to_viewer(ToViewer::Refused(Box::new(refused))),
        to_viewer(ToViewer::Refused(Box::new(Refused { tick: None, last: None, ..refused }))),
        to_viewer(ToViewer::Receipt(started.receipt.unwrap())),
        to_viewer(ToViewer::Offer(Box::new(offer))),
        to_viewer(ToViewer::Ended(world.terms.id(), Ending::Superseded)),
        to_viewer(ToViewer::Closed(close)),
    ]
}

/// What the bytes say, written again; `None` where they are refused.
type Reads = fn(&[u8]) -> Option<Vec<u8>>;

fn reads<T: Wire>(bytes: &[u8]) -> Option<Vec<u8>> {
    T::from_bytes(bytes).ok().map(|value| value.to_bytes())
}

#[test]
fn everything_is_read_as_it_was_written_and_not_a_byte_more_or_less() {
    for (name, bytes, reads) in samples() {
        assert_eq!(reads(&bytes).as_ref(), Some(&bytes), "{name}");
        assert!(name == "ledger" || bytes.len() <= message::MAX_MESSAGE_BYTES, "{name}: {}", bytes.len());
        for length in 0..bytes.len() {
            assert_eq!(reads(&bytes[..length]), None, "{name} cut at {length}");
        }
        assert_eq!(reads(&[bytes.as_slice(), &[0]].concat()), None, "{name}");
        // The first byte is a version, or the version of the first thing in it.
        for version in [0, 2, 3, 255].into_iter().filter(|version| bytes[0] != *version) {
            let mut other = bytes.clone();
            other[0] = version;
            assert_eq!(reads(&other), None, "{name} of version {version}");
        }
    }
}

#[test]
fn refusals_are_named() {
    let voucher = World::default().voucher(1, 2);
    let mut bytes = voucher.to_bytes();
    bytes.push(0);
    assert_eq!(Voucher::from_bytes(&bytes), Err(DecodeError::Trailing(1)));
    bytes.truncate(50);
    assert_eq!(Voucher::from_bytes(&bytes), Err(DecodeError::Short));
    bytes[0] = 9;
    assert_eq!(Voucher::from_bytes(&bytes), Err(DecodeError::Version(9)));
    let late = Voucher { tick: Tick(1 << 53), ..voucher };
    assert_eq!(Voucher::from_bytes(&late.to_bytes()), Err(DecodeError::OutOfRange("tick")));
    let body = plain_offer(&World::default().delegation.body);
    for grace_ticks in [0, 61] {
        let offer = Offer { grace_ticks, ..body };
        assert_eq!(Offer::from_bytes(&offer.to_bytes()), Err(DecodeError::OutOfRange("grace")));
    }
    let mut free = body.to_bytes();
    // Behind version, genesis, asset, content, payee and delegation.
    let price = 1 + 32 + 1 + 32 + 33 + 32;
    free[price..price + 16].fill(0);
    assert_eq!(Offer::from_bytes(&free), Err(DecodeError::OutOfRange("price")));
    let mut scheme = body.payee.to_bytes();
    scheme[0] = 2;
    let error = DecodeError::Variant { what: "key scheme", value: 2 };
    assert_eq!(PublicKey::from_bytes(&scheme), Err(error));
    assert_eq!(Refusal::from_bytes(&[0]), Err(DecodeError::Variant { what: "refusal", value: 0 }));
    for refusal in Refusal::ALL {
        assert_eq!(Refusal::from_bytes(&[refusal.code()]), Ok(*refusal));
    }
    for host in ["", "UPPER", "with space", "ümlaut", &"a".repeat(254)] {
        assert!(Host::new(host).is_err(), "{host}");
    }
}

#[test]
fn a_tick_costs_these_bytes_on_the_wire() {
    let world = World::default();
    // Two of the message, a voucher of 121, a signature of 65, an empty list, a flag.
    assert_eq!(ToNode::Pay(world.pay(9, 10)).to_bytes().len(), 2 + 121 + 65 + 1 + 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Changed bytes are refused, or mean something else that is written the same way; nothing panics, and nothing
    /// that is read grows beyond what was sent.
    #[test]
    fn damaged_bytes_are_refused_or_read_in_their_one_spelling(
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..6),
    ) {
        thread_local!(static SAMPLES: Vec<(&'static str, Vec<u8>, Reads)> = samples());
        SAMPLES.with(|samples| {
            let (name, bytes, reads) = which.get(samples);
            let mut bytes = bytes.clone();
            for (at, value, kind) in damage {
                let at = at.index(bytes.len());
                match kind {
                    0 => bytes[at] = value,
                    1 => bytes[at] ^= 1 << (value % 8),
                    _ => bytes.insert(at, value),
                }
            }
            if let Some(again) = reads(&bytes) {
                prop_assert_eq!(again, bytes, "{}", name);
            }
            Ok(())
        })?;
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = ToNode::from_bytes(&bytes);
        let _ = ToViewer::from_bytes(&bytes);
        let _ = PublishedOffer::from_bytes(&bytes);
        let _ = Signed::<LoginChallenge>::from_bytes(&bytes);
        let _ = Channel::from_bytes(&bytes);
        let _ = Tab::from_bytes(&bytes);
        let _ = Ledger::restore(config(), World::default().channel(), &bytes);
    }
}

#[test]
fn what_was_stored_by_earlier_versions_is_read() {
    let world = World::default();
    let mut tab = world.tab();
    let begin = Started { channel: world.terms.id(), last: None, receipt: None, next: Tick(0) };
    tab.started(&begin, &world.session, NOW).unwrap();
    for tick in [0, 1] {
        tab.played(Tick(tick), &world.session, NOW).unwrap();
    }
    // Without the tick paid in advance, and whether one is to be.
    let mut record = tab.to_bytes();
    record.truncate(record.len() - 10);
    record[0] = 1;
    let again = Tab::from_bytes(&record).unwrap();
    assert_eq!((again.spent(), again.unacknowledged()), (tab.spent(), tab.unacknowledged()));

    let watched = || {
        let mut ledger = world.watching();
        for tick in 0..3 {
            assert_eq!(world.send(&mut ledger), Ok(Tick(tick)));
        }
        ledger
    };
    // Without the one tier that was sent.
    let mut record = watched().final_record().unwrap();
    record.truncate(record.len() - 10);
    record[0] = 2;
    let again = Ledger::restore(config(), world.channel(), &record).unwrap();
    assert_eq!((again.accepted(), again.unpaid_ticks()), (Amount::new(PRICE), 2));
    // Without that, what the account has paid and was forgiven on all channels, and whether a tick is ahead.
    let old = |ledger: Ledger| {
        let mut record = ledger.final_record().unwrap();
        record.truncate(record.len() - 27);
        record[0] = 1;
        Ledger::restore(config(), world.channel(), &record).unwrap()
    };
    let mut ledger = old(watched());
    assert_eq!((ledger.accepted(), ledger.unpaid_ticks()), (Amount::new(PRICE), 2));
    world.start(&mut ledger);
    // The prepaid one did not play.
    let mut pay = world.pay(2, 2 * PRICE);
    pay.unplayed = unplayed(&[(0, 1)]);
    world.accept(&mut ledger, pay).unwrap();
    let ledger = old(ledger);
    assert_eq!(*ledger.standing(), ledger::Standing { paid: 2, forgiven: 1 });
    ledger.audit().unwrap();
}
