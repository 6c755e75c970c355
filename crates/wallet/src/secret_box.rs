//! NaCl's secretbox (XSalsa20, Poly1305): nonce, tag, and what is encrypted.

use crypto_secretbox::aead::{AeadInPlace, KeyInit};
use crypto_secretbox::{Key, Nonce, Tag, XSalsa20Poly1305};

use crate::secret::SecretBytes;

pub(crate) const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// Longer than what is encrypted by so much.
pub(crate) const FRAME_BYTES: usize = NONCE_BYTES + TAG_BYTES;

/// The nonce is fresh for each thing that a key encrypts.
pub(crate) fn seal(key: &[u8; 32], nonce: &[u8; NONCE_BYTES], plain: &[u8]) -> Vec<u8> {
    let mut body = SecretBytes::copied(plain);
    let key: &Key = key.into();
    let tag = XSalsa20Poly1305::new(key)
        .encrypt_in_place_detached(nonce.into(), b"", &mut body)
        .expect("what a wallet encrypts is shorter than the cipher's stream");
    [&nonce[..], &tag, &body].concat()
}

/// `None` for another key, or where a bit was changed.
pub(crate) fn open(key: &[u8; 32], sealed: &[u8]) -> Option<SecretBytes> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let (tag, body) = rest.split_first_chunk::<TAG_BYTES>()?;
    let mut plain = SecretBytes::copied(body);
    let (key, nonce, tag): (&Key, &Nonce, &Tag) = (key.into(), nonce.into(), tag.into());
    XSalsa20Poly1305::new(key).decrypt_in_place_detached(nonce, b"", &mut plain, tag).ok()?;
    Some(plain)
}
