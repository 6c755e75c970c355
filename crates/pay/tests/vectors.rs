//! The published vectors are what this crate makes, and what polkadot-js signed over them verifies here. The other way
//! round is `vectors/verify`.
#![allow(clippy::unwrap_used, reason = "a test and its builders may panic")]

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tickcast_pay::key::{Claim, verify, verify_batch};
use tickcast_pay::*;

fn bytes(text: &str) -> Vec<u8> {
    let digits = text.strip_prefix("0x").unwrap();
    (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap()).collect()
}

#[derive(Deserialize)]
struct Encoding {
    r#type: String,
    fields: Value,
    body: String,
    hashed: String,
    hash: String,
}

impl Encoding {
    fn value<T: Wire + DeserializeOwned>(&self) -> T {
        let value: T = serde_json::from_value(self.fields.clone()).unwrap();
        assert_eq!(value.to_bytes(), bytes(&self.body), "{}", self.r#type);
        // Strictly: neither less nor more.
        assert!(T::from_bytes(&bytes(&self.body)).unwrap().to_bytes() == value.to_bytes());
        value
    }

    fn check<T: Signable + DeserializeOwned>(&self) {
        let value: T = self.value();
        assert_eq!(value.signing_bytes(), bytes(&self.hashed), "{}", self.r#type);
        assert_eq!(value.digest().to_vec(), bytes(&self.hash), "{}", self.r#type);
    }
}

#[test]
fn encodings_are_the_published_ones() {
    let all: Vec<Encoding> = serde_json::from_str(include_str!("../vectors/encodings.json")).unwrap();
    assert_eq!(all.len(), 12);
    for one in all {
        match one.r#type.as_str() {
            "delegation" => one.check::<Delegation>(),
            "offer" => one.check::<Offer>(),
            "voucher" => one.check::<Voucher>(),
            "receipt" => one.check::<Receipt>(),
            "close" => one.check::<CloseTerms>(),
            "login" => one.check::<LoginChallenge>(),
            "credit" => {
                one.check::<CreditTerms>();
                let terms: ChannelTerms = one.value();
                assert_eq!(terms.id().to_string(), one.hash, "an account is named by what its payer signs");
            }
            "channel" => {
                let terms: ChannelTerms = one.value();
                assert_eq!(terms.id_bytes(), bytes(&one.hashed));
                assert_eq!(terms.id().to_string(), one.hash);
            }
            other => panic!("{other}"),
        }
    }
}

#[derive(Deserialize)]
struct Message {
    r#type: String,
    bytes: String,
}

#[test]
fn messages_are_the_published_ones() {
    let all: Vec<Message> = serde_json::from_str(include_str!("../vectors/messages.json")).unwrap();
    let kinds: Vec<_> = all
        .iter()
        .map(|one| {
            let message = ToNode::from_bytes(&bytes(&one.bytes)).unwrap();
            assert_eq!(message.to_bytes(), bytes(&one.bytes));
            match message {
                ToNode::Start(_) => "start",
                ToNode::Pay(_) => "pay",
                ToNode::Report(_) => "report",
                ToNode::Stop(_) => "stop",
                ToNode::Close(_) => "close",
            }
        })
        .collect();
    assert_eq!(kinds, all.iter().map(|one| one.r#type.as_str()).collect::<Vec<_>>());
    assert_eq!(kinds.len(), 6);
}

#[derive(Deserialize)]
struct SignatureVector {
    public: PublicKey,
    message: String,
    signature: Signature,
    valid: bool,
}

fn check_signatures(text: &str) -> usize {
    let all: Vec<SignatureVector> = serde_json::from_str(text).unwrap();
    let messages: Vec<_> = all.iter().map(|one| bytes(&one.message)).collect();
    for (one, message) in all.iter().zip(&messages) {
        assert_eq!(verify(&one.public, message, &one.signature).is_ok(), one.valid, "{}", one.message);
    }
    let claim =
        |(one, bytes): (&SignatureVector, _)| Claim { key: one.public, bytes, signature: one.signature };
    let claims: Vec<_> = all.iter().zip(messages.iter().map(Vec::as_slice)).map(claim).collect();
    let expected: Vec<_> = all.iter().map(|one| one.valid).collect();
    assert_eq!(verify_batch(&claims), expected);
    all.len()
}

#[test]
fn signatures_are_as_the_vectors_say() {
    assert_eq!(check_signatures(include_str!("../vectors/signatures.json")), 42);
}

#[test]
fn what_polkadot_js_signed_over_them_verifies() {
    assert_eq!(check_signatures(include_str!("../vectors/polkadot-js.json")), 22);
}
