//! What a channel is made of, and the bytes that its vouchers and its close are signed over.

use alloc::vec::Vec;

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use sp_core::{H256, ed25519, sr25519};
use sp_io::hashing::blake2_256;
use sp_runtime::AccountId32;

/// The first byte of every body that is signed, and of a channel's terms.
const VERSION: u8 = 1;
const CHANNEL: &[u8; 16] = b"tickcast/channel";
const VOUCHER: &[u8; 16] = b"tickcast/voucher";
const CLOSE: &[u8; 16] = b"tickcast/close\0\0";

/// 64-bit numbers stay where JavaScript's are exact.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// A public key, numbered as in `MultiSigner`. Of its further schemes none is taken.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Key {
    Ed25519([u8; 32]),
    Sr25519([u8; 32]),
}

impl Key {
    /// Whether anybody can sign under it: a point of small order on Ed25519's curve, in any of its spellings, or sr25519's
    /// zero. Chains verify Ed25519 more leniently than RFC 8032 (ZIP 215), so the key itself has to be refused. What is
    /// left of the difference is that a chain takes some signatures that nodes refuse, and none the other way round.
    pub fn is_weak(&self) -> bool {
        match self {
            Self::Ed25519(bytes) => {
                let mut unsigned = *bytes;
                unsigned[31] &= 0x7f;
                SMALL_ORDER.contains(&unsigned)
            }
            Self::Sr25519(bytes) => *bytes == [0; 32],
        }
    }
}

/// y of the eight points of small order, least byte first, without the sign of x, with the spellings above p: 0, 1, two
/// of order eight, −1, and p and p + 1 for 0 and 1 (libsodium refuses the same ones).
const SMALL_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    ends(0x01, 0x00, 0x00),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    ends(0xec, 0xff, 0x7f),
    ends(0xed, 0xff, 0x7f),
    ends(0xee, 0xff, 0x7f),
];

const fn ends(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

/// Numbered as in `MultiSignature`.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Signature {
    Ed25519([u8; 64]),
    Sr25519([u8; 64]),
}

impl Signature {
    /// Whether `key` made it over `bytes`; never where the schemes differ.
    pub fn is_of(&self, key: &Key, bytes: &[u8]) -> bool {
        match (self, key) {
            (Self::Ed25519(signature), Key::Ed25519(key)) => sp_io::crypto::ed25519_verify(
                &ed25519::Signature::from_raw(*signature),
                bytes,
                &ed25519::Public::from_raw(*key),
            ),
            (Self::Sr25519(signature), Key::Sr25519(key)) => sp_io::crypto::sr25519_verify(
                &sr25519::Signature::from_raw(*signature),
                bytes,
                &sr25519::Public::from_raw(*key),
            ),
            _ => false,
        }
    }
}

/// What never changes about a channel. The order of the fields is that of its name's bytes.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Terms {
    /// `None`: the chain's own.
    pub asset: Option<u32>,
    pub payer: AccountId32,
    pub payee: AccountId32,
    /// Signs a cooperative close for the payee.
    pub node: Key,
    /// Signs vouchers for the payer.
    pub session: Key,
    pub nonce: u64,
    pub dispute_window_ms: u64,
}

impl Terms {
    /// A name that binds all of them.
    pub fn id(&self, genesis: H256) -> H256 {
        (CHANNEL, VERSION, genesis, self).using_encoded(blake2_256).into()
    }
}

#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum State {
    Open,
    /// The payer may take the rest from then on, in milliseconds since 1970.
    Closing {
        closes_at: u64,
    },
    Closed,
}

#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Channel {
    pub terms: Terms,
    /// All that was ever put in.
    pub deposit: u128,
    /// What the payee has got in all.
    pub settled: u128,
    /// In milliseconds since 1970.
    pub expires_at: u64,
    pub state: State,
}

/// What the payer owes in all, as its session key signed it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct SignedVoucher {
    pub genesis: H256,
    pub channel: H256,
    /// What it was paid for is nothing to a chain, but part of what was signed.
    pub offer: H256,
    pub tick: u64,
    pub cumulative: u128,
    pub signature: Signature,
}

impl SignedVoucher {
    pub fn signing_bytes(&self) -> Vec<u8> {
        (VOUCHER, VERSION, self.genesis, self.channel, self.offer, self.tick, self.cumulative).encode()
    }
}

pub(super) struct CloseTerms {
    pub genesis: H256,
    pub channel: H256,
    pub cumulative: u128,
}

impl CloseTerms {
    pub fn signing_bytes(&self) -> Vec<u8> {
        (CLOSE, VERSION, self.genesis, self.channel, self.cumulative).encode()
    }
}
