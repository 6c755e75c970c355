//! Keys and signatures, against RFC 8032 and polkadot-js.
#![allow(clippy::unwrap_used, reason = "a test and its builders may panic")]

use proptest::prelude::*;
use tickcast_pay::key::{BadSignature, Claim, verify, verify_batch};
use tickcast_pay::{KeyScheme, Keypair, PublicKey, Signature, Signer};

fn hex<const N: usize>(text: &str) -> [u8; N] {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    assert_eq!(text.len(), 2 * N);
    std::array::from_fn(|at| digit(2 * at))
}

/// RFC 8032 §7.1, tests 1 to 3: seed, public key, message, signature.
const RFC_8032: [(&str, &str, &[u8], &str); 3] = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        b"",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        &[0x72],
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        &[0xaf, 0x82],
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
];

/// The seed of the development account Alice, and what `@polkadot/util-crypto` 14.0.3 makes of it.
const ALICE_SEED: &str = "e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";
const ALICE: &str = "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";
const BY_POLKADOT_JS: [(&[u8], &str); 2] = [
    (
        b"tickcast",
        "b0f6978dd3fc8edd88bc3d646e21fee66ae640da13a638e2173789bcad5c3f6b68221f4fa67b80b5312f7320993035d917164e0a78c33b6de4f94ee47e6b9888",
    ),
    (
        b"<Bytes>tickcast</Bytes>",
        "86c8db6257532eb8272b333754b90c96e91b4fdd9d3b5e6eee56b77e98174b502c8038766176cb5b399bdc55837a990f279ff96f388d969cc0046e374068e288",
    ),
];

#[test]
fn ed25519_is_that_of_rfc_8032() {
    for (seed, public, message, signature) in RFC_8032 {
        let key = Keypair::from_seed(KeyScheme::Ed25519, &hex(seed).into());
        assert_eq!(key.public().bytes, hex(public));
        let signed = key.sign(message).unwrap();
        assert_eq!(signed.bytes, hex(signature));
        assert_eq!(verify(&key.public(), message, &signed), Ok(()));
    }
}

#[test]
fn sr25519_keys_and_signatures_of_polkadot_js_are_understood() {
    let key = Keypair::from_seed(KeyScheme::Sr25519, &hex(ALICE_SEED).into());
    assert_eq!(key.public(), PublicKey { scheme: KeyScheme::Sr25519, bytes: hex(ALICE) });
    for (message, signature) in BY_POLKADOT_JS {
        let signature = Signature { scheme: KeyScheme::Sr25519, bytes: hex(signature) };
        assert_eq!(verify(&key.public(), message, &signature), Ok(()));
        assert_eq!(verify(&key.public(), b"another", &signature), Err(BadSignature));
    }
}

#[test]
fn a_signature_of_one_scheme_is_none_of_the_other() {
    for (ours, other) in [(KeyScheme::Ed25519, KeyScheme::Sr25519), (KeyScheme::Sr25519, KeyScheme::Ed25519)]
    {
        let key = Keypair::from_seed(ours, &[1; 32].into());
        let signature = Signature { scheme: other, ..key.sign(b"x").unwrap() };
        assert_eq!(verify(&key.public(), b"x", &signature), Err(BadSignature));
        assert_eq!(verify_batch(&[Claim { key: key.public(), bytes: b"x", signature }]), [false]);
    }
}

/// The neutral element as a key, R the same, s zero: the equation holds for any message.
#[test]
fn a_key_of_small_order_signs_nothing() {
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let key = PublicKey { scheme: KeyScheme::Ed25519, bytes: neutral };
    let mut bytes = [0; 64];
    bytes[0] = 1;
    let signature = Signature { scheme: KeyScheme::Ed25519, bytes };
    assert_eq!(verify(&key, b"anything", &signature), Err(BadSignature));
    let claim = Claim { key, bytes: b"anything", signature };
    assert_eq!(verify_batch(&[claim, claim, claim]), [false; 3]);
}

/// What a batch that only added up would let through: two scalars that are wrong by the same amount, up and down.
#[test]
fn errors_that_cancel_each_other_are_found() {
    for scheme in [KeyScheme::Ed25519, KeyScheme::Sr25519] {
        let key = Keypair::from_seed(scheme, &[9; 32].into());
        let shifted = |message: &[u8], up: bool| {
            let mut signature = key.sign(message).unwrap();
            // The scalar's lowest byte, where it does not carry.
            let low = signature.bytes[32];
            signature.bytes[32] = if up { low.checked_add(1)? } else { low.checked_sub(1)? };
            Some(signature)
        };
        let find = |up| (0_u32..).find_map(|n| Some((n, shifted(&n.to_le_bytes(), up)?))).unwrap();
        let ((up_at, up), (down_at, down)) = (find(true), find(false));
        let (up_bytes, down_bytes) = (up_at.to_le_bytes(), down_at.to_le_bytes());
        let claim = |bytes, signature| Claim { key: key.public(), bytes, signature };
        let claims = [claim(&up_bytes[..], up), claim(&down_bytes[..], down)];
        assert_eq!(verify_batch(&claims), [false, false], "{scheme:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Of any mixture of schemes and forgeries, a batch finds exactly those that single checks find.
    #[test]
    fn a_batch_names_each_forgery(claims in prop::collection::vec((any::<bool>(), 0_u8..6), 0..40)) {
        let message = |at: usize| (at as u64).to_le_bytes();
        let messages: Vec<_> = (0..claims.len()).map(message).collect();
        let made: Vec<_> = claims.iter().zip(&messages).enumerate().map(|(at, ((is_ed, flaw), bytes))| {
            let scheme = if *is_ed { KeyScheme::Ed25519 } else { KeyScheme::Sr25519 };
            let key = Keypair::from_seed(scheme, &[at as u8 + 1; 32].into());
            let mut signature = key.sign(bytes).unwrap();
            let mut public = key.public();
            match flaw {
                0 => signature.bytes[0] ^= 1,
                1 => signature.bytes[40] ^= 1,
                2 => public = Keypair::from_seed(scheme, &[0xee; 32].into()).public(),
                _ => {}
            }
            Claim { key: public, bytes, signature }
        }).collect();
        let expected: Vec<_> = claims.iter().map(|(_, flaw)| *flaw > 2).collect();
        prop_assert_eq!(&verify_batch(&made), &expected);
        let single: Vec<_> =
            made.iter().map(|one| verify(&one.key, one.bytes, &one.signature).is_ok()).collect();
        prop_assert_eq!(single, expected);
    }

    #[test]
    fn any_bytes_may_be_keys_and_signatures(
        key in any::<[u8; 32]>(), low in any::<[u8; 32]>(), high in any::<[u8; 32]>(), is_ed in any::<bool>()
    ) {
        let scheme = if is_ed { KeyScheme::Ed25519 } else { KeyScheme::Sr25519 };
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&low);
        bytes[32..].copy_from_slice(&high);
        let (key, signature) = (PublicKey { scheme, bytes: key }, Signature { scheme, bytes });
        prop_assert_eq!(verify(&key, b"x", &signature), Err(BadSignature));
        let claim = Claim { key, bytes: b"x", signature };
        prop_assert_eq!(verify_batch(&[claim, claim]), [false, false]);
    }
}
