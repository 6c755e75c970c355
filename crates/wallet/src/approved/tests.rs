use pay::login::Host;
use pay::{
    AccountId, ChannelTerms, CreditTerms, Delegation, Genesis, KeyScheme, Price, Signed, Tick, UnixMillis,
    Voucher,
};

use super::*;
use crate::address::Address;
use crate::key::SecretKey;

const GENESIS: Genesis = Genesis([1; 32]);

fn key() -> SecretKey {
    SecretKey::from_seed(KeyScheme::Sr25519, &[7; 32])
}

fn approved(act: Act) -> Approved {
    Approved::new(key().into(), act)
}

fn host(text: &str) -> Host {
    Host::new(text).unwrap()
}

fn challenge(at: &str) -> LoginChallenge {
    LoginChallenge { host: host(at), account: key().public(), nonce: [9; 32], until: UnixMillis(1) }
}

fn terms() -> ChannelTerms {
    ChannelTerms {
        genesis: GENESIS,
        asset: AssetId::Native,
        payer: key().public().account(),
        payee: AccountId([3; 32]),
        node: PublicKey { scheme: KeyScheme::Ed25519, bytes: [4; 32] },
        session: PublicKey { scheme: KeyScheme::Ed25519, bytes: [5; 32] },
        nonce: 0,
        dispute_window_ms: 60_000,
    }
}

/// A call's bytes, then extensions and what they imply: era, nonce and tip, versions, genesis, block.
fn transaction(call: &[u8], genesis: Genesis) -> Vec<u8> {
    [call, &[0, 4, 0, 0], &[1, 0, 0, 0, 1, 0, 0, 0], &genesis.0, &genesis.0].concat()
}

/// `Balances::transfer_keep_alive(Id(to), compact value)` as chains encode it.
fn transfer(to: [u8; 32], compact: &[u8]) -> Vec<u8> {
    transaction(&[&[5, 3, 0][..], &to, compact].concat(), GENESIS)
}

#[test]
fn a_login_is_signed_for_the_host_that_was_asked_and_for_no_other() {
    let signer = approved(Act::Login { host: host("node.example:443") });
    let signed = Signed::sign(challenge("node.example:443"), &signer).unwrap();
    assert!(signed.verify(&key().public()).is_ok());
    assert!(Signed::sign(challenge("evil.example:443"), &signer).is_err());
    assert!(Signed::sign(challenge("node.example:80"), &signer).is_err());
    let other = PublicKey { scheme: KeyScheme::Sr25519, bytes: [1; 32] };
    let foreign = LoginChallenge { account: other, ..challenge("node.example:443") };
    assert!(Signed::sign(foreign, &signer).is_err());
}

#[test]
fn what_was_approved_as_a_login_signs_nothing_else() {
    let signer = approved(Act::Login { host: host("node.example:443") });
    assert!(signer.sign(&transfer([3; 32], &[4])).is_err());
    let bare = LoginChallenge::DOMAIN.iter().copied().chain(challenge("node.example:443").to_bytes());
    assert!(signer.sign(&bare.collect::<Vec<_>>()).is_err());
}

#[test]
fn a_delegation_is_signed_as_it_was_read_to_the_last_bit() {
    let delegation = Delegation {
        genesis: GENESIS,
        payee: key().public(),
        node: terms().node,
        from: UnixMillis(1),
        until: UnixMillis(2),
    };
    let signer = approved(Act::Delegate { delegation, host: host("node.example:443") });
    assert!(Signed::sign(delegation, &signer).unwrap().verify(&key().public()).is_ok());
    assert!(Signed::sign(Delegation { until: UnixMillis(3), ..delegation }, &signer).is_err());
    let foreign = Delegation { payee: terms().node, ..delegation };
    let signer = approved(Act::Delegate { delegation: foreign, host: host("node.example:443") });
    assert!(Signed::sign(foreign, &signer).is_err());
}

#[test]
fn a_transfer_is_signed_with_the_amount_and_payee_that_were_approved() {
    let to = Address::generic(AccountId([3; 32]));
    // 1 000 000 000 000 in SCALE's compact form: six bytes, of which the first holds the mode.
    let compact = [7, 0x00, 0x10, 0xa5, 0xd4, 0xe8];
    let act = Act::Transfer {
        genesis: GENESIS,
        asset: AssetId::Native,
        to,
        amount: Amount::new(1_000_000_000_000),
    };
    assert!(approved(act.clone()).sign(&transfer([3; 32], &compact)).is_ok());
    assert!(approved(act.clone()).sign(&transfer([4; 32], &compact)).is_err());
    assert!(approved(act.clone()).sign(&transfer([3; 32], &[7, 0x00, 0x10, 0xa5, 0xd4, 0xe9])).is_err());
    let call = [&[5, 3, 0][..], &[3; 32], &compact].concat();
    assert!(approved(act.clone()).sign(&transaction(&call, Genesis([2; 32]))).is_err());
    // A hash alone, of who knows what.
    assert!(approved(act).sign(&[3; 32]).is_err());
}

#[test]
fn an_opening_is_signed_with_every_term_that_was_approved() {
    let (terms, deposit) = (terms(), Amount::new(5_000));
    let call = |deposit: Amount| {
        let mut call = vec![9, 0, 0];
        call.extend(terms.payee.0);
        call.extend(terms.node.to_bytes());
        call.extend(terms.session.to_bytes());
        call.extend(terms.nonce.to_le_bytes());
        call.extend(terms.dispute_window_ms.to_le_bytes());
        call.extend(deposit.units().to_le_bytes());
        call.extend(77_u64.to_le_bytes());
        transaction(&call, GENESIS)
    };
    let signer = approved(Act::Open { terms, deposit, expires_at: UnixMillis(77) });
    assert!(signer.sign(&call(deposit)).is_ok());
    assert!(signer.sign(&call(Amount::new(5_001))).is_err());
    let foreign = ChannelTerms { payer: AccountId([8; 32]), ..terms };
    let signer = approved(Act::Open { terms: foreign, deposit, expires_at: UnixMillis(77) });
    assert!(signer.sign(&call(deposit)).is_err());
}

#[test]
fn watching_on_credit_lets_its_own_session_key_speak_and_no_channel_is_opened_by_it() {
    let channel = terms();
    let credit = ChannelTerms { dispute_window_ms: 0, ..channel };
    let watch = |terms| {
        let price = Price::new(Amount::new(1)).unwrap();
        approved(Act::Watch { terms, price, at_most: Amount::new(10) })
    };
    let opening = |terms| CreditTerms::try_from(terms).unwrap();
    Signed::sign(opening(credit), &watch(credit)).unwrap().verify_payer().unwrap();
    let other = ChannelTerms { session: key().public(), ..credit };
    assert!(Signed::sign(opening(other), &watch(credit)).is_err());
    let foreign = ChannelTerms { payer: AccountId([8; 32]), ..credit };
    assert!(Signed::sign(opening(foreign), &watch(foreign)).is_err());
    assert!(watch(channel).sign(&channel.id_bytes()).is_err());
}

#[test]
fn nothing_of_ours_passes_for_a_transaction() {
    let terms = terms();
    let signer = approved(Act::Close { terms });
    let voucher = Voucher {
        genesis: GENESIS,
        channel: terms.id(),
        offer: pay::OfferHash(GENESIS.0),
        tick: Tick(0),
        cumulative: Amount::new(1),
    };
    // It has the channel in it, and the genesis after that, as a transaction has.
    assert!(Signed::sign(voucher, &signer).is_err());
    let close = transaction(&[&[9, 5][..], &terms.id().0].concat(), GENESIS);
    assert!(signer.sign(&close).is_ok());
}

#[test]
fn an_approval_is_used_up_and_ends_with_the_lock() {
    let signer = approved(Act::Login { host: host("a:1") });
    let sign = |signer: &Approved| Signed::sign(challenge("a:1"), signer).is_ok();
    assert!((0..Approved::SIGNATURES).all(|_| sign(&signer)));
    assert!(!sign(&signer));
    let handle = KeyHandle::from(key());
    let signer = Approved::new(handle.clone(), Act::Login { host: host("a:1") });
    handle.lock();
    assert!(!sign(&signer));
}

#[test]
fn compact_numbers_are_those_of_scale() {
    // The examples of SCALE's specification, and its largest.
    let compact = |units: u128| number(Amount::new(units)).remove(1);
    assert_eq!(compact(0), [0x00]);
    assert_eq!(compact(1), [0x04]);
    assert_eq!(compact(42), [0xa8]);
    assert_eq!(compact(69), [0x15, 0x01]);
    assert_eq!(compact(65_535), [0xfe, 0xff, 0x03, 0x00]);
    assert_eq!(compact(100_000_000_000_000), [0x0b, 0x00, 0x40, 0x7a, 0x10, 0xf3, 0x5a]);
    assert_eq!(compact(u128::MAX), [&[0x33][..], &[0xff; 16]].concat());
}
