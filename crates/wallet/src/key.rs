//! A private key of one of the two schemes. It signs what it is given: what may be signed is decided around it.

use std::fmt;

use pay::key::{SignRefused, Signature};
use pay::{KeyScheme, PublicKey, Signer};
use schnorrkel::ExpansionMode;
use schnorrkel::derive::{ChainCode, Derivation};
use zeroize::{Zeroize, Zeroizing};

use crate::path::Junction;
use crate::secret::SecretBytes;

/// The context under which Substrate's chains and polkadot-js sign with sr25519.
const CONTEXT: &[u8] = b"substrate";

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyError {
    #[error("an Ed25519 key has hard derivations alone: write // in front of each part of the path")]
    SoftEd25519,
    #[error("the secret is not a key, or not that of its public key")]
    NotAKey,
}

/// Of Ed25519 the 32 bytes of the seed, of sr25519 the scalar and the nonce's seed.
pub struct SecretKey {
    public: PublicKey,
    secret: SecretBytes,
}

impl SecretKey {
    /// A seed as RFC 8032 has it, or a mini secret key as Substrate expands it.
    pub fn from_seed(scheme: KeyScheme, seed: &[u8; 32]) -> Self {
        match scheme {
            KeyScheme::Ed25519 => Self::ed25519(seed),
            KeyScheme::Sr25519 => {
                let mini = schnorrkel::MiniSecretKey::from_bytes(seed).expect("a seed has 32 bytes");
                Self::sr25519(&mini.expand(ExpansionMode::Ed25519))
            }
        }
    }

    fn ed25519(seed: &[u8; 32]) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let public = PublicKey { scheme: KeyScheme::Ed25519, bytes: key.verifying_key().to_bytes() };
        Self { public, secret: SecretBytes::copied(seed) }
    }

    fn sr25519(key: &schnorrkel::SecretKey) -> Self {
        let public = PublicKey { scheme: KeyScheme::Sr25519, bytes: key.to_public().to_bytes() };
        Self { public, secret: SecretBytes::copied(&Zeroizing::new(key.to_bytes())[..]) }
    }

    fn expanded(&self) -> schnorrkel::SecretKey {
        schnorrkel::SecretKey::from_bytes(&self.secret).expect("it was made from a key")
    }

    fn seed(&self) -> Zeroizing<[u8; 32]> {
        let mut seed = Zeroizing::new([0; 32]);
        seed.copy_from_slice(&self.secret);
        seed
    }

    /// A key of its own, as Substrate derives it. From a softly derived one nobody comes back to this one's secret
    /// without knowing both its public key and the derived secret.
    pub fn derive(&self, junction: &Junction) -> Result<Self, KeyError> {
        match (self.public.scheme, junction) {
            (KeyScheme::Sr25519, Junction::Hard(code)) => {
                let (mini, _) = self.expanded().hard_derive_mini_secret_key(Some(ChainCode(*code)), b"");
                Ok(Self::sr25519(&mini.expand(ExpansionMode::Ed25519)))
            }
            (KeyScheme::Sr25519, Junction::Soft(code)) => {
                Ok(Self::sr25519(&self.expanded().derived_key_simple(ChainCode(*code), b"").0))
            }
            (KeyScheme::Ed25519, Junction::Hard(code)) => {
                // SCALE of ("Ed25519HDKD", seed, code): the text with its compact length, then both.
                let mut bytes = SecretBytes::zeroed(1 + 11 + 64);
                bytes[0] = 11 << 2;
                bytes[1..12].copy_from_slice(b"Ed25519HDKD");
                bytes[12..44].copy_from_slice(&self.secret);
                bytes[44..].copy_from_slice(code);
                Ok(Self::ed25519(&Zeroizing::new(pay::id::blake2_256(&bytes))))
            }
            (KeyScheme::Ed25519, Junction::Soft(_)) => Err(KeyError::SoftEd25519),
        }
    }

    /// The 64 bytes that polkadot-js keeps: seed and public key, or an Ed25519-like expanded secret.
    pub(crate) fn to_polkadot_js(&self) -> SecretBytes {
        let mut bytes = SecretBytes::zeroed(64);
        match self.public.scheme {
            KeyScheme::Ed25519 => {
                bytes[..32].copy_from_slice(&self.secret);
                bytes[32..].copy_from_slice(&self.public.bytes);
            }
            KeyScheme::Sr25519 => {
                bytes.copy_from_slice(&Zeroizing::new(self.expanded().to_ed25519_bytes())[..]);
            }
        }
        bytes
    }

    /// The inverse; the public key has to be that of the secret.
    pub(crate) fn from_polkadot_js(secret: &[u8], public: PublicKey) -> Result<Self, KeyError> {
        let key = match public.scheme {
            KeyScheme::Ed25519 => {
                let seed = secret.first_chunk::<32>().filter(|_| secret.len() == 64);
                Self::ed25519(seed.ok_or(KeyError::NotAKey)?)
            }
            KeyScheme::Sr25519 => {
                let key = schnorrkel::SecretKey::from_ed25519_bytes(secret);
                Self::sr25519(&key.map_err(|_| KeyError::NotAKey)?)
            }
        };
        if key.public == public { Ok(key) } else { Err(KeyError::NotAKey) }
    }

    /// Another handle of the same key, with pages of its own.
    pub(crate) fn copied(&self) -> Self {
        Self { public: self.public, secret: SecretBytes::copied(&self.secret) }
    }
}

impl Signer for SecretKey {
    fn public(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, bytes: &[u8]) -> Result<Signature, SignRefused> {
        let scheme = self.public.scheme;
        let mut bytes = match scheme {
            KeyScheme::Ed25519 => {
                let key = ed25519_dalek::SigningKey::from_bytes(&self.seed());
                ed25519_dalek::Signer::sign(&key, bytes).to_bytes()
            }
            KeyScheme::Sr25519 => {
                let public =
                    schnorrkel::PublicKey::from_bytes(&self.public.bytes).map_err(|_| SignRefused)?;
                self.expanded().sign_simple(CONTEXT, bytes, &public).to_bytes()
            }
        };
        let signature = Signature { scheme, bytes };
        bytes.zeroize();
        Ok(signature)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({:?})", self.public)
    }
}
