//! Keystores as polkadot-js writes them (JSON, version 3): a key behind a passphrase, readable by every Substrate
//! wallet. What a hostile file can cost is bounded before anything is worked on.

mod envelope;

use pay::{KeyScheme, PublicKey, Signer, UnixMillis};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::address::{Address, AddressError};
use crate::key::{KeyError, SecretKey};
use crate::secret::{NoRandomness, SecretBytes, SecretText};

pub use envelope::EnvelopeError;

/// PKCS #8 as far as polkadot-js writes it: a header, 64 bytes of secret, a divider, the public key.
const HEADER: [u8; 16] = [48, 83, 2, 1, 1, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];
const DIVIDER: [u8; 5] = [161, 35, 3, 33, 0];
const SECRET: usize = HEADER.len();
const PUBLIC: usize = SECRET + 64 + DIVIDER.len();
const PLAIN_BYTES: usize = PUBLIC + 32;

#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    #[error("the file is longer than {} bytes", KeystoreFile::MAX_BYTES)]
    TooLong,
    #[error("this is no keystore: {0}")]
    NotAKeystore(#[from] serde_json::Error),
    #[error("the keystore holds {0}, which is not supported: sr25519 and ed25519 keys of version 3 are")]
    Unsupported(String),
    #[error("the keystore is not encrypted: anybody who has the file has the key. Make a new key instead")]
    NotEncrypted,
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error("what the keystore holds is not a key: it is damaged")]
    Damaged,
    #[error("the keystore holds another key than its address says")]
    AnotherKey,
    #[error("the keystore's address cannot be read: {0}")]
    Address(#[from] AddressError),
    #[error("there are more than {} accounts in the file", KeystoreFile::MAX_ACCOUNTS)]
    TooMany,
    #[error("the passphrase is empty")]
    NoPassphrase,
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Encoding {
    content: Vec<String>,
    r#type: Vec<String>,
    version: String,
}

/// One account's key, encrypted.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Keystore {
    encoded: String,
    encoding: Encoding,
    address: String,
    /// What a wallet notes of the account; it is not encrypted, nor covered by the passphrase.
    #[serde(default)]
    meta: Map<String, Value>,
}

/// Several, encrypted once more under the same passphrase.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct KeystoreBatch {
    encoded: String,
    encoding: Encoding,
    accounts: Vec<Value>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum KeystoreFile {
    One(Keystore),
    Batch(KeystoreBatch),
}

impl KeystoreFile {
    pub const MAX_BYTES: usize = 256 << 10;
    pub const MAX_ACCOUNTS: usize = 64;

    pub fn parse(json: &[u8]) -> Result<Self, KeystoreError> {
        if json.len() > Self::MAX_BYTES {
            return Err(KeystoreError::TooLong);
        }
        let value: Map<String, Value> = serde_json::from_slice(json)?;
        if value.contains_key("accounts") {
            let batch: KeystoreBatch = serde_json::from_value(value.into())?;
            batch.encoding.must_be_encrypted()?;
            return Ok(Self::Batch(batch));
        }
        let one: Keystore = serde_json::from_value(value.into())?;
        one.encoding.must_be_encrypted()?;
        one.scheme()?;
        Ok(Self::One(one))
    }

    /// The keystores in it. Of a batch the passphrase opens the list, and then each of them.
    pub fn keystores(self, passphrase: &SecretText) -> Result<Vec<Keystore>, KeystoreError> {
        let batch = match self {
            Self::One(one) => return Ok(vec![one]),
            Self::Batch(batch) => batch,
        };
        if batch.encoding.content != ["batch-pkcs8"] {
            return Err(KeystoreError::Unsupported(batch.encoding.content.join(", ")));
        }
        let plain = envelope::open(&batch.encoded, passphrase)?;
        let all: Vec<Keystore> = serde_json::from_slice(&plain)?;
        if all.len() > Self::MAX_ACCOUNTS { Err(KeystoreError::TooMany) } else { Ok(all) }
    }
}

impl Encoding {
    fn must_be_encrypted(&self) -> Result<(), KeystoreError> {
        if self.r#type == ["none"] {
            return Err(KeystoreError::NotEncrypted);
        }
        if self.version == "3" && self.r#type == ["scrypt", "xsalsa20-poly1305"] {
            return Ok(());
        }
        let kinds = self.r#type.join(", ");
        Err(KeystoreError::Unsupported(
            format!("version {} and {kinds}", self.version).chars().take(80).collect(),
        ))
    }
}

impl Keystore {
    /// Encrypts a key, as polkadot-js does it.
    pub fn seal(
        key: &SecretKey,
        passphrase: &SecretText,
        name: &str,
        created: UnixMillis,
    ) -> Result<Self, KeystoreError> {
        let (mut salt, mut nonce) = ([0; 32], [0; 24]);
        getrandom::fill(&mut salt).and_then(|()| getrandom::fill(&mut nonce)).map_err(|_| NoRandomness)?;
        Self::seal_with(key, passphrase, name, created, &salt, &nonce)
    }

    fn seal_with(
        key: &SecretKey,
        passphrase: &SecretText,
        name: &str,
        created: UnixMillis,
        salt: &[u8; 32],
        nonce: &[u8; 24],
    ) -> Result<Self, KeystoreError> {
        if passphrase.is_empty() {
            return Err(KeystoreError::NoPassphrase);
        }
        let public = key.public();
        let mut plain = SecretBytes::zeroed(PLAIN_BYTES);
        plain[..SECRET].copy_from_slice(&HEADER);
        plain[SECRET..SECRET + 64].copy_from_slice(&key.to_polkadot_js());
        plain[SECRET + 64..PUBLIC].copy_from_slice(&DIVIDER);
        plain[PUBLIC..].copy_from_slice(&public.bytes);
        let mut meta = Map::new();
        meta.insert("name".into(), name.into());
        meta.insert("whenCreated".into(), created.0.into());
        let scheme = match public.scheme {
            KeyScheme::Ed25519 => "ed25519",
            KeyScheme::Sr25519 => "sr25519",
        };
        Ok(Self {
            encoded: envelope::seal(&plain, passphrase, salt, nonce),
            encoding: Encoding {
                content: vec!["pkcs8".into(), scheme.into()],
                r#type: vec!["scrypt".into(), "xsalsa20-poly1305".into()],
                version: "3".into(),
            },
            address: Address::generic(public.account()).to_string(),
            meta,
        })
    }

    /// A passphrase that is wrong and a file that was changed look the same.
    pub fn open(&self, passphrase: &SecretText) -> Result<SecretKey, KeystoreError> {
        self.encoding.must_be_encrypted()?;
        let expected = self.public()?;
        let plain = envelope::open(&self.encoded, passphrase)?;
        let framed =
            plain.len() == PLAIN_BYTES && plain[..SECRET] == HEADER && plain[SECRET + 64..PUBLIC] == DIVIDER;
        if !framed {
            return Err(KeystoreError::Damaged);
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(&plain[PUBLIC..]);
        let public = PublicKey { scheme: expected.scheme, bytes };
        let key = SecretKey::from_polkadot_js(&plain[SECRET..SECRET + 64], public)
            .map_err(|_: KeyError| KeystoreError::Damaged)?;
        if key.public() == expected { Ok(key) } else { Err(KeystoreError::AnotherKey) }
    }

    fn scheme(&self) -> Result<KeyScheme, KeystoreError> {
        match &self.encoding.content.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["pkcs8", "sr25519"] => Ok(KeyScheme::Sr25519),
            ["pkcs8", "ed25519"] => Ok(KeyScheme::Ed25519),
            other => Err(KeystoreError::Unsupported(other.join(", ").chars().take(80).collect())),
        }
    }

    /// As the file says; [`Keystore::open`] proves it.
    pub fn public(&self) -> Result<PublicKey, KeystoreError> {
        let address: Address = self.address.parse()?;
        Ok(PublicKey { scheme: self.scheme()?, bytes: address.account.0 })
    }

    pub fn name(&self) -> &str {
        self.meta.get("name").and_then(Value::as_str).unwrap_or_default()
    }

    /// The same key under another name; what else the file notes stays.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.meta.insert("name".into(), name.into());
        self
    }

    /// When the account was made, as far as the file says.
    pub fn created(&self) -> UnixMillis {
        UnixMillis(self.meta.get("whenCreated").and_then(Value::as_u64).unwrap_or_default())
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers are JSON")
    }
}

#[cfg(test)]
mod tests;
