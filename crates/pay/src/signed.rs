//! A body and the signature over it. What is signed begins with the body's own domain, so that a signature over one
//! thing is never one over another.

use serde::{Deserialize, Serialize};

use crate::id::blake2_256;
use crate::key::{BadSignature, PublicKey, SignRefused, Signature, Signer, verify};
use crate::wire::{DecodeError, Reader, Wire};

/// Whether wallets wrap these bytes before they sign them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Envelope {
    /// The bytes themselves: keys that Tickcast or a chain holds.
    Bare,
    /// Between `<Bytes>` and `</Bytes>`, as polkadot-js wallets sign what is no transaction.
    Wallet,
}

pub trait Signable: Wire {
    /// 16 bytes of ASCII, padded with zeros.
    const DOMAIN: [u8; 16];
    const ENVELOPE: Envelope = Envelope::Bare;

    /// `domain ‖ body`, wrapped where wallets do so.
    fn signing_bytes(&self) -> Vec<u8> {
        let (before, after): (&[u8], &[u8]) = match Self::ENVELOPE {
            Envelope::Bare => (b"", b""),
            Envelope::Wallet => (b"<Bytes>", b"</Bytes>"),
        };
        let mut out = before.to_vec();
        out.extend(Self::DOMAIN);
        self.write(&mut out);
        out.extend(after);
        out
    }

    /// [`blake2_256`] of the signing bytes.
    fn digest(&self) -> [u8; 32] {
        blake2_256(&self.signing_bytes())
    }
}

/// A domain of ASCII text; too long a one does not compile.
pub(crate) const fn domain(text: &str) -> [u8; 16] {
    let bytes = text.as_bytes();
    let mut out = [0; 16];
    let mut at = 0;
    while at < bytes.len() {
        out[at] = bytes[at];
        at += 1;
    }
    out
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Signed<T> {
    pub body: T,
    pub signature: Signature,
}

impl<T: Signable> Signed<T> {
    pub fn sign(body: T, signer: &dyn Signer) -> Result<Self, SignRefused> {
        let signature = signer.sign(&body.signing_bytes())?;
        Ok(Self { body, signature })
    }

    pub fn verify(&self, key: &PublicKey) -> Result<(), BadSignature> {
        verify(key, &self.body.signing_bytes(), &self.signature)
    }
}

impl<T: Wire> Wire for Signed<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.body.write(out);
        self.signature.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { body: T::read(reader)?, signature: Signature::read(reader)? })
    }
}
