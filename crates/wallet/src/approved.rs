//! An account's key for one act that a person approved: it reads what it is asked to sign, and refuses all else.

use std::sync::atomic::{AtomicU32, Ordering};

use pay::key::{SignRefused, Signature};
use pay::{Amount, AssetId, LoginChallenge, PublicKey, Signable, Signer, Wire};

use crate::approval::Act;
use crate::keyring::KeyHandle;

/// A [`Signer`] for a rail, or for the client of a node.
#[derive(Debug)]
pub struct Approved {
    key: KeyHandle,
    act: Act,
    left: AtomicU32,
}

impl Approved {
    /// One for each: a transaction may have to be made anew before it is sent, when another took its number.
    const SIGNATURES: u32 = 4;

    pub const fn new(key: KeyHandle, act: Act) -> Self {
        Self { key, act, left: AtomicU32::new(Self::SIGNATURES) }
    }

    pub const fn act(&self) -> &Act {
        &self.act
    }

    fn covers(&self, bytes: &[u8]) -> bool {
        match &self.act {
            Act::Login { host } => {
                let challenge = unwrapped::<LoginChallenge>(bytes);
                challenge.is_some_and(|challenge| {
                    challenge.host == *host && challenge.account == self.key.public()
                })
            }
            Act::Delegate { delegation, .. } => {
                let is_possible = delegation.payee == self.key.public() && delegation.from < delegation.until;
                is_possible && bytes == delegation.signing_bytes()
            }
            Act::Open { terms, deposit, .. } => {
                let genesis = (terms.payer == self.key.public().account()).then_some(&terms.genesis.0);
                let (node, session) = (terms.node.to_bytes(), terms.session.to_bytes());
                let parts = [exactly(&terms.payee.0), exactly(&node), exactly(&session), number(*deposit)];
                genesis.is_some_and(|genesis| is_transaction(bytes, &parts, genesis))
            }
            Act::TopUp { terms, by } => {
                is_transaction(bytes, &[exactly(&terms.id().0), number(*by)], &terms.genesis.0)
            }
            Act::StartClose { terms } | Act::Close { terms } => {
                is_transaction(bytes, &[exactly(&terms.id().0)], &terms.genesis.0)
            }
            Act::Transfer { genesis, asset, to, amount } => {
                let asset = match asset {
                    AssetId::Native => exactly(b""),
                    AssetId::Asset(id) => number(Amount::new((*id).into())),
                };
                is_transaction(bytes, &[asset, exactly(&to.account.0), number(*amount)], &genesis.0)
            }
            // What lets the session key speak for the account, where no chain binds the two; the rest is that key's.
            Act::Watch { terms, .. } => {
                terms.is_credit() && terms.payer == self.key.public().account() && bytes == terms.id_bytes()
            }
            Act::CooperativeClose { .. } => false,
        }
    }
}

impl Signer for Approved {
    fn public(&self) -> PublicKey {
        self.key.public()
    }

    fn sign(&self, bytes: &[u8]) -> Result<Signature, SignRefused> {
        if !self.covers(bytes) {
            return Err(SignRefused);
        }
        let taken = self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1));
        taken.map_err(|_| SignRefused)?;
        self.key.sign(bytes)
    }
}

/// Something that wallets sign in an envelope, in its one spelling.
pub(crate) fn unwrapped<T: Signable>(bytes: &[u8]) -> Option<T> {
    let inner = bytes.strip_prefix(b"<Bytes>")?.strip_suffix(b"</Bytes>")?;
    T::from_bytes(inner.strip_prefix(&T::DOMAIN)?).ok()
}

/// The spellings that a part of a call may have.
type Part = Vec<Vec<u8>>;

fn exactly(bytes: &[u8]) -> Part {
    vec![bytes.to_vec()]
}

/// In full, or in SCALE's compact form.
fn number(amount: Amount) -> Part {
    let units = amount.units();
    let compact = match units {
        0..0x40 => vec![(units as u8) << 2],
        0x40..0x4000 => ((units as u16) << 2 | 1).to_le_bytes().to_vec(),
        0x4000..0x4000_0000 => ((units as u32) << 2 | 2).to_le_bytes().to_vec(),
        _ => {
            let length = (128 - units.leading_zeros()).div_ceil(8) as usize;
            let mut bytes = vec![((length - 4) as u8) << 2 | 3];
            bytes.extend(&units.to_le_bytes()[..length]);
            bytes
        }
    };
    vec![units.to_le_bytes().to_vec(), compact]
}

/// Whether this is a transaction with these arguments, in this order, on the chain with this genesis. A transaction is
/// signed as its call, its extensions and what they imply, the genesis among that. Of more than 256 bytes only the hash
/// would be signed, which cannot be read; none of the calls that are approved here is so long.
///
/// Which pallet and call the numbers in front stand for is in the chain's metadata: that is the rail's to know.
fn is_transaction(bytes: &[u8], parts: &[Part], genesis: &[u8; 32]) -> bool {
    const LONGEST: usize = 256;
    if bytes.len() > LONGEST || bytes.starts_with(b"<Bytes>") || bytes.starts_with(b"tickcast/") {
        return false;
    }
    // Pallet and call, one byte each.
    let mut left = bytes.get(2..).unwrap_or_default();
    for part in parts {
        let after = part.iter().filter_map(|spelling| find(left, spelling)).min();
        let Some(after) = after else { return false };
        left = &left[after..];
    }
    find(left, genesis).is_some()
}

/// Where the bytes after the first occurrence begin.
fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    if wanted.is_empty() {
        return Some(0);
    }
    bytes.windows(wanted.len()).position(|window| window == wanted).map(|at| at + wanted.len())
}

#[cfg(test)]
mod tests;
