//! Public keys and signatures of the two schemes that chains and browsers have, checked one by one or many at once.
//! Private keys are somebody else's: a [`Signer`] is handed in.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::id::{AccountId, NotHex, from_hex, to_hex};
use crate::wire::{DecodeError, Reader, Wire};

/// The context under which Substrate's chains and polkadot-js sign with sr25519.
const CONTEXT: &[u8] = b"substrate";

/// Numbered as the variants of Substrate's `MultiSigner` and `MultiSignature`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyScheme {
    /// RFC 8032, checked strictly.
    Ed25519,
    /// Schnorr over Ristretto, under the context `substrate`.
    Sr25519,
}

impl Wire for KeyScheme {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            0 => Ok(Self::Ed25519),
            1 => Ok(Self::Sr25519),
            value => Err(DecodeError::Variant { what: "key scheme", value }),
        }
    }
}

/// Any 32 bytes; whether they are a key shows when a signature is checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey {
    pub scheme: KeyScheme,
    pub bytes: [u8; 32],
}

impl PublicKey {
    /// The account that this key alone controls.
    pub const fn account(&self) -> AccountId {
        AccountId(self.bytes)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature {
    pub scheme: KeyScheme,
    pub bytes: [u8; 64],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the signature is not this key's over these bytes")]
pub struct BadSignature;

/// A key that is locked, gone, or not allowed to sign this.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the key did not sign: it is locked, or may not sign this")]
pub struct SignRefused;

pub trait Signer {
    fn public(&self) -> PublicKey;

    fn sign(&self, bytes: &[u8]) -> Result<Signature, SignRefused>;
}

pub fn verify(key: &PublicKey, bytes: &[u8], signature: &Signature) -> Result<(), BadSignature> {
    let valid = match (key.scheme, signature.scheme) {
        (KeyScheme::Ed25519, KeyScheme::Ed25519) => Ed25519::parse(key, signature)
            .is_some_and(|(key, signature)| key.verify_strict(bytes, &signature).is_ok()),
        (KeyScheme::Sr25519, KeyScheme::Sr25519) => Sr25519::parse(key, signature)
            .is_some_and(|(key, signature)| key.verify_simple(CONTEXT, bytes, &signature).is_ok()),
        _ => false,
    };
    if valid { Ok(()) } else { Err(BadSignature) }
}

/// What is claimed: that `key` signed `bytes`.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    pub key: PublicKey,
    pub bytes: &'a [u8],
    pub signature: Signature,
}

/// Which of the claims hold, in their order. A batch with a bad one among them is halved until that one is found, so
/// a few forgeries cost logarithmically more, and nobody else's signature fails for them.
///
/// Ed25519's batch equation may let through what [`verify`] refuses for points outside the prime-order group, which
/// only a key's own holder can make; chains, which check by ZIP-215, take those too.
pub fn verify_batch(claims: &[Claim<'_>]) -> Vec<bool> {
    let mut valid = vec![false; claims.len()];
    let parsed = |scheme| {
        claims.iter().enumerate().filter(move |(_, c)| (c.key.scheme, c.signature.scheme) == (scheme, scheme))
    };
    let ed25519: Vec<_> = parsed(KeyScheme::Ed25519)
        .filter_map(|(at, claim)| Some((at, claim.bytes, Ed25519::parse(&claim.key, &claim.signature)?)))
        // A key of small order "signs" anything.
        .filter(|(_, _, (key, _))| !key.is_weak())
        .collect();
    sift(&ed25519, &mut valid, Ed25519::verify_all);
    let sr25519: Vec<_> = parsed(KeyScheme::Sr25519)
        .filter_map(|(at, claim)| Some((at, claim.bytes, Sr25519::parse(&claim.key, &claim.signature)?)))
        .collect();
    sift(&sr25519, &mut valid, Sr25519::verify_all);
    valid
}

/// A claim's place in the batch, what was signed, and the parsed key and signature.
type Item<'a, T> = (usize, &'a [u8], T);

/// Marks those items, by their index, that are valid.
fn sift<T>(items: &[Item<'_, T>], valid: &mut [bool], verify_all: fn(&[Item<'_, T>]) -> bool) {
    if items.is_empty() {
    } else if verify_all(items) {
        items.iter().for_each(|(at, ..)| valid[*at] = true);
    } else if items.len() > 1 {
        let (left, right) = items.split_at(items.len() / 2);
        sift(left, valid, verify_all);
        sift(right, valid, verify_all);
    }
}

struct Ed25519;

type Ed25519Pair = (ed25519_dalek::VerifyingKey, ed25519_dalek::Signature);

impl Ed25519 {
    fn parse(key: &PublicKey, signature: &Signature) -> Option<Ed25519Pair> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(&key.bytes).ok()?;
        Some((key, ed25519_dalek::Signature::from_bytes(&signature.bytes)))
    }

    fn verify_all(items: &[Item<'_, Ed25519Pair>]) -> bool {
        if let [(_, bytes, (key, signature))] = items {
            return key.verify_strict(bytes, signature).is_ok();
        }
        let bytes: Vec<_> = items.iter().map(|(_, bytes, _)| *bytes).collect();
        let (keys, signatures): (Vec<_>, Vec<_>) = items.iter().map(|(.., pair)| *pair).unzip();
        ed25519_dalek::verify_batch(&bytes, &signatures, &keys).is_ok()
    }
}

struct Sr25519;

type Sr25519Pair = (schnorrkel::PublicKey, schnorrkel::Signature);

impl Sr25519 {
    fn parse(key: &PublicKey, signature: &Signature) -> Option<Sr25519Pair> {
        let key = schnorrkel::PublicKey::from_bytes(&key.bytes).ok()?;
        Some((key, schnorrkel::Signature::from_bytes(&signature.bytes).ok()?))
    }

    fn verify_all(items: &[Item<'_, Sr25519Pair>]) -> bool {
        if let [(_, bytes, (key, signature))] = items {
            return key.verify_simple(CONTEXT, bytes, signature).is_ok();
        }
        let context = schnorrkel::signing_context(CONTEXT);
        let transcripts = items.iter().map(|(_, bytes, _)| context.bytes(bytes));
        let (keys, signatures): (Vec<_>, Vec<_>) = items.iter().map(|(.., pair)| *pair).unzip();
        // With the system's randomness: the deterministic form does not hash the scalars, so a signer of two could
        // choose them such that their errors cancel.
        schnorrkel::verify_batch(transcripts, &signatures, &keys, false).is_ok()
    }
}

/// A key made from its 32-byte seed. It is zeroed when dropped, and never shown.
pub struct Keypair(Secret);

enum Secret {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    Sr25519(Box<schnorrkel::Keypair>),
}

impl Keypair {
    /// A seed as RFC 8032 has it, or a mini secret key as Substrate expands it.
    pub fn from_seed(scheme: KeyScheme, seed: &Zeroizing<[u8; 32]>) -> Self {
        Self(match scheme {
            KeyScheme::Ed25519 => Secret::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(seed))),
            KeyScheme::Sr25519 => {
                let mini = schnorrkel::MiniSecretKey::from_bytes(&seed[..]).expect("a seed has 32 bytes");
                Secret::Sr25519(Box::new(mini.expand_to_keypair(schnorrkel::ExpansionMode::Ed25519)))
            }
        })
    }
}

impl Signer for Keypair {
    fn public(&self) -> PublicKey {
        match &self.0 {
            Secret::Ed25519(key) => {
                PublicKey { scheme: KeyScheme::Ed25519, bytes: key.verifying_key().to_bytes() }
            }
            Secret::Sr25519(key) => PublicKey { scheme: KeyScheme::Sr25519, bytes: key.public.to_bytes() },
        }
    }

    fn sign(&self, bytes: &[u8]) -> Result<Signature, SignRefused> {
        Ok(match &self.0 {
            Secret::Ed25519(key) => {
                let signature = ed25519_dalek::Signer::sign(key.as_ref(), bytes);
                Signature { scheme: KeyScheme::Ed25519, bytes: signature.to_bytes() }
            }
            Secret::Sr25519(key) => {
                let signature = key.sign_simple(CONTEXT, bytes);
                Signature { scheme: KeyScheme::Sr25519, bytes: signature.to_bytes() }
            }
        })
    }
}

impl fmt::Debug for Keypair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keypair({:?})", self.public())
    }
}

/// Shortened, so that a log line names nobody.
impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({}…)", self.scheme, to_hex(&self.bytes[..4]))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({:?}, {}…)", self.scheme, to_hex(&self.bytes[..4]))
    }
}

impl Wire for PublicKey {
    fn write(&self, out: &mut Vec<u8>) {
        self.scheme.write(out);
        out.extend(self.bytes);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { scheme: KeyScheme::read(reader)?, bytes: reader.array()? })
    }
}

impl Wire for Signature {
    fn write(&self, out: &mut Vec<u8>) {
        self.scheme.write(out);
        out.extend(self.bytes);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { scheme: KeyScheme::read(reader)?, bytes: reader.array()? })
    }
}

/// As JSON: the wire bytes in hexadecimal, so that a key never goes without its scheme.
fn parse_hex<T: Wire, const N: usize>(text: &str) -> Result<T, String> {
    let bytes = from_hex::<N>(text).map_err(|err: NotHex| err.to_string())?;
    T::from_bytes(&bytes).map_err(|err| err.to_string())
}

macro_rules! hex_json {
    ($name:ident, $length:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&to_hex(&self.to_bytes()))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                parse_hex::<Self, $length>(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_json!(PublicKey, 33);
hex_json!(Signature, 65);
