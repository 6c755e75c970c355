//! Logins and offers: what is believed, and what is refused for which reason.
#![allow(clippy::unwrap_used, reason = "a test and its builders may panic")]

mod world;

use tickcast_pay::login::{Host, LoginError};
use tickcast_pay::offer::OfferError;
use tickcast_pay::*;
use world::*;

fn challenges() -> (Challenges, Keypair) {
    (Challenges::new(Host::new("node.example:8080").unwrap()), keypair(KeyScheme::Sr25519, 1))
}

fn sign(challenge: LoginChallenge, key: &Keypair) -> Signed<LoginChallenge> {
    Signed::sign(challenge, key).unwrap()
}

#[test]
fn a_challenge_is_good_once() {
    let (mut challenges, key) = challenges();
    let answer = sign(challenges.issue(key.public(), [1; 32], NOW).unwrap(), &key);
    assert_eq!(challenges.answer(&answer, NOW), Ok(key.public()));
    assert_eq!(challenges.answer(&answer, NOW), Err(LoginError::NotOpen));
}

#[test]
fn a_challenge_is_spent_by_a_wrong_answer_too() {
    let (mut challenges, key) = challenges();
    let challenge = challenges.issue(key.public(), [1; 32], NOW).unwrap();
    let forged = sign(challenge.clone(), &keypair(KeyScheme::Sr25519, 9));
    assert_eq!(challenges.answer(&forged, NOW), Err(LoginError::BadSignature));
    assert_eq!(challenges.answer(&sign(challenge, &key), NOW), Err(LoginError::NotOpen));
}

#[test]
fn a_challenge_ends_after_a_minute() {
    let (mut challenges, key) = challenges();
    let answer = sign(challenges.issue(key.public(), [1; 32], NOW).unwrap(), &key);
    assert_eq!(challenges.answer(&answer, NOW.plus(60_000)), Err(LoginError::Expired));
}

#[test]
fn an_answer_to_another_nodes_challenge_is_refused() {
    let (mut challenges, key) = challenges();
    let mut other = challenges.issue(key.public(), [1; 32], NOW).unwrap();
    other.host = Host::new("evil.example").unwrap();
    assert_eq!(challenges.answer(&sign(other, &key), NOW), Err(LoginError::Altered));
    let mut elsewhere = Challenges::new(Host::new("evil.example").unwrap());
    let relayed = sign(elsewhere.issue(key.public(), [2; 32], NOW).unwrap(), &key);
    assert_eq!(challenges.answer(&relayed, NOW), Err(LoginError::NotOpen));
}

#[test]
fn open_challenges_are_bounded_and_make_room_when_they_are_over() {
    let (mut challenges, key) = challenges();
    let nonce = |at: usize| {
        let mut nonce = [0; 32];
        nonce[..8].copy_from_slice(&at.to_le_bytes());
        nonce
    };
    for at in 0..Challenges::MAX_OPEN {
        challenges.issue(key.public(), nonce(at), NOW).unwrap();
    }
    assert_eq!(challenges.issue(key.public(), [9; 32], NOW), Err(LoginError::Full));
    challenges.issue(key.public(), [9; 32], NOW.plus(60_000)).unwrap();
}

#[test]
fn wallets_sign_logins_and_delegations_between_tags() {
    let (mut challenges, key) = challenges();
    let challenge = challenges.issue(key.public(), [1; 32], NOW).unwrap();
    let delegation = World::default().delegation.body;
    for bytes in [challenge.signing_bytes(), delegation.signing_bytes()] {
        assert!(bytes.starts_with(b"<Bytes>tickcast/") && bytes.ends_with(b"</Bytes>"));
    }
    // Without them it is no login.
    let bare = challenge.signing_bytes()[7..challenge.signing_bytes().len() - 8].to_vec();
    let answer = Signed { body: challenge, signature: key.sign(&bare).unwrap() };
    assert_eq!(challenges.answer(&answer, NOW), Err(LoginError::BadSignature));
}

#[test]
fn an_offer_is_believed_only_with_all_that_makes_it_one() {
    let world = World::default();
    let delegation = world.delegation;
    let body = plain_offer(&delegation.body);
    let offer = publish(body, &world.node, delegation);
    let verify = |offer: PublishedOffer| offer.verify(&GENESIS, NOW);
    assert_eq!(verify(offer).unwrap().hash(), body.hash());
    assert_eq!(offer.verify(&Genesis([0; 32]), NOW), Err(OfferError::WrongGenesis));
    assert_eq!(offer.verify(&GENESIS, body.until), Err(OfferError::Expired));
    let early = UnixMillis(delegation.body.from.0 - 1);
    assert_eq!(offer.verify(&GENESIS, early), Err(OfferError::DelegationExpired));
    assert_eq!(offer.verify(&GENESIS, delegation.body.until), Err(OfferError::DelegationExpired));
    assert_eq!(verify(publish(body, &world.creator, delegation)), Err(OfferError::Forged));
    let by_node = Signed::sign(delegation.body, &world.node).unwrap();
    assert_eq!(verify(publish(body, &world.node, by_node)), Err(OfferError::DelegationForged));
    let other = Delegation { until: NOW.plus(1), ..delegation.body };
    let other = Signed::sign(other, &world.creator).unwrap();
    assert_eq!(verify(publish(body, &world.node, other)), Err(OfferError::WrongDelegation));
    let payee = Offer { payee: keypair(KeyScheme::Sr25519, 9).public(), ..body };
    assert_eq!(verify(publish(payee, &world.node, delegation)), Err(OfferError::WrongDelegation));
    let grace = Offer { grace_ticks: 0, ..body };
    assert_eq!(verify(publish(grace, &world.node, delegation)), Err(OfferError::Grace));
    // A changed price is another offer, which nobody signed.
    let mut cheaper = offer;
    cheaper.offer.body.price = Price::new(Amount::new(1)).unwrap();
    assert_eq!(verify(cheaper), Err(OfferError::Forged));
}

#[test]
fn an_offer_is_no_longer_good_than_the_right_to_make_it() {
    let world = World::default();
    let delegation = Delegation { until: NOW.plus(5), ..world.delegation.body };
    let delegation = Signed::sign(delegation, &world.creator).unwrap();
    let offer = publish(plain_offer(&delegation.body), &world.node, delegation);
    let verified = offer.verify(&GENESIS, NOW).unwrap();
    assert_eq!(verified.offer().until, NOW.plus(5));
    let mut book = OfferBook::default();
    book.publish(verified, NOW).unwrap();
    assert!(book.in_force(&verified.hash(), NOW.plus(4)).is_ok());
    assert_eq!(book.in_force(&verified.hash(), NOW.plus(5)), Err(Refusal::OfferExpired));
}
