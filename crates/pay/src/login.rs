//! Who somebody is: a challenge that a node makes and an account's wallet signs, good once, soon, and at that node
//! alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::key::PublicKey;
use crate::signed::{Envelope, Signable, Signed, domain};
use crate::time::UnixMillis;
use crate::wire::{DecodeError, Reader, VERSION, Wire, write_length};

/// A host and a port, as in an address: `node.example:8080`; printable ASCII in lower case.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Host(String);

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a host is 1 to 253 printable ASCII characters in lower case")]
pub struct NotAHost;

impl Host {
    pub const MAX_BYTES: usize = 253;

    pub fn new(text: &str) -> Result<Self, NotAHost> {
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase());
        let fits = (1..=Self::MAX_BYTES).contains(&text.len());
        if plain && fits { Ok(Self(text.to_owned())) } else { Err(NotAHost) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Host {
    type Error = NotAHost;

    fn try_from(text: String) -> Result<Self, NotAHost> {
        Self::new(&text)
    }
}

impl From<Host> for String {
    fn from(host: Host) -> Self {
        host.0
    }
}

impl Wire for Host {
    fn write(&self, out: &mut Vec<u8>) {
        write_length(out, self.0.len());
        out.extend(self.0.as_bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = reader.length(Self::MAX_BYTES, "host")?;
        let text = std::str::from_utf8(reader.bytes(length)?).map_err(|_| DecodeError::OutOfRange("host"))?;
        Self::new(text).map_err(|_| DecodeError::OutOfRange("host"))
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LoginChallenge {
    /// The node's own name: a wallet refuses to sign another than the one it asked.
    pub host: Host,
    pub account: PublicKey,
    /// From the node's randomness.
    #[serde(with = "nonce_hex")]
    pub nonce: [u8; 32],
    pub until: UnixMillis,
}

mod nonce_hex {
    use crate::id::{from_hex, to_hex};
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(nonce: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_hex(nonce))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        from_hex(&text).map_err(serde::de::Error::custom)
    }
}

impl Signable for LoginChallenge {
    const DOMAIN: [u8; 16] = domain("tickcast/login");
    const ENVELOPE: Envelope = Envelope::Wallet;
}

impl Wire for LoginChallenge {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        self.host.write(out);
        self.account.write(out);
        out.extend(self.nonce);
        self.until.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version()?;
        Ok(Self {
            host: Host::read(reader)?,
            account: PublicKey::read(reader)?,
            nonce: reader.array()?,
            until: UnixMillis::read(reader)?,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LoginError {
    #[error("too many logins are open: try again in a minute")]
    Full,
    /// Never made here, or answered before.
    #[error("this challenge is not open: ask for a new one")]
    NotOpen,
    #[error("the challenge was answered too late: ask for a new one")]
    Expired,
    #[error("the challenge was changed, or is another node's")]
    Altered,
    #[error("the account did not sign the challenge")]
    BadSignature,
}

/// The challenges of a node that wait for an answer, each for [`Challenges::LIFETIME_MS`]. They are not stored: after
/// a restart a person asks again.
#[derive(Debug)]
pub struct Challenges {
    host: Host,
    open: BTreeMap<[u8; 32], LoginChallenge>,
}

impl Challenges {
    pub const LIFETIME_MS: u64 = 60_000;
    pub const MAX_OPEN: usize = 4_096;

    pub fn new(host: Host) -> Self {
        Self { host, open: BTreeMap::new() }
    }

    /// The nonce is fresh randomness. Where too many are open, those that are too late make room.
    pub fn issue(
        &mut self,
        account: PublicKey,
        nonce: [u8; 32],
        now: UnixMillis,
    ) -> Result<LoginChallenge, LoginError> {
        if self.open.len() >= Self::MAX_OPEN {
            self.open.retain(|_, challenge| now < challenge.until);
        }
        if self.open.len() >= Self::MAX_OPEN || self.open.contains_key(&nonce) {
            return Err(LoginError::Full);
        }
        let until = now.plus(Self::LIFETIME_MS);
        let challenge = LoginChallenge { host: self.host.clone(), account, nonce, until };
        self.open.insert(nonce, challenge.clone());
        Ok(challenge)
    }

    /// Who logged in. A challenge is spent by its first answer, right or wrong.
    pub fn answer(
        &mut self,
        answer: &Signed<LoginChallenge>,
        now: UnixMillis,
    ) -> Result<PublicKey, LoginError> {
        let challenge = self.open.remove(&answer.body.nonce).ok_or(LoginError::NotOpen)?;
        if now >= challenge.until {
            return Err(LoginError::Expired);
        }
        if challenge != answer.body {
            return Err(LoginError::Altered);
        }
        answer.verify(&challenge.account).map_err(|_| LoginError::BadSignature)?;
        Ok(challenge.account)
    }
}
