//! The encryption of a keystore: scrypt over the passphrase, then a secretbox.

use zeroize::Zeroizing;

use crate::base64;
use crate::secret::{SecretBytes, SecretText};
use crate::secret_box::{self, FRAME_BYTES, NONCE_BYTES};

/// Salt, then N, p and r (each 32 bits, little-endian), then the secretbox.
const SALT: usize = 32;
const PARAMETERS: usize = 12;

/// What polkadot-js itself allows, as (N, p, r): the dearest needs 128 MiB and a second. Others would let a file decide
/// how long this machine works.
const ALLOWED: [(u32, u32, u32); 6] =
    [(1 << 13, 10, 8), (1 << 14, 5, 8), (1 << 15, 3, 8), (1 << 15, 1, 8), (1 << 16, 2, 8), (1 << 17, 1, 8)];
/// What polkadot-js writes.
const USUAL: (u32, u32, u32) = (1 << 15, 1, 8);

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EnvelopeError {
    #[error("the keystore is damaged: its bytes cannot be read")]
    Malformed,
    #[error("the keystore asks for a work factor (N {n}, p {p}, r {r}) that no wallet writes")]
    Work { n: u32, p: u32, r: u32 },
    #[error("the passphrase is wrong, or the keystore was changed")]
    Refused,
}

type BoxKey = Zeroizing<[u8; 32]>;

fn key(passphrase: &SecretText, salt: &[u8], (n, p, r): (u32, u32, u32)) -> Result<BoxKey, EnvelopeError> {
    if !ALLOWED.contains(&(n, p, r)) {
        return Err(EnvelopeError::Work { n, p, r });
    }
    let parameters =
        scrypt::Params::new(n.trailing_zeros() as u8, r, p, 32).expect("each of the allowed is valid");
    let mut key = BoxKey::default();
    scrypt::scrypt(passphrase.as_bytes(), salt, &parameters, &mut key[..]).expect("32 bytes are a length");
    Ok(key)
}

pub(super) fn seal(
    plain: &[u8],
    passphrase: &SecretText,
    salt: &[u8; SALT],
    nonce: &[u8; NONCE_BYTES],
) -> String {
    let key = key(passphrase, salt, USUAL).expect("the usual parameters are allowed");
    let (n, p, r) = USUAL;
    let parameters = [n, p, r].map(u32::to_le_bytes).concat();
    base64::encode(&[&salt[..], &parameters, &secret_box::seal(&key, nonce, plain)].concat())
}

pub(super) fn open(encoded: &str, passphrase: &SecretText) -> Result<SecretBytes, EnvelopeError> {
    let bytes = base64::decode(encoded).ok_or(EnvelopeError::Malformed)?;
    if bytes.len() < SALT + PARAMETERS + FRAME_BYTES {
        return Err(EnvelopeError::Malformed);
    }
    let (salt, rest) = bytes.split_at(SALT);
    let (parameters, sealed) = rest.split_at(PARAMETERS);
    let parameter = |at: usize| {
        let bytes = parameters[4 * at..].first_chunk().expect("there are three of four bytes each");
        u32::from_le_bytes(*bytes)
    };
    let key = key(passphrase, salt, (parameter(0), parameter(1), parameter(2)))?;
    secret_box::open(&key, sealed).ok_or(EnvelopeError::Refused)
}
