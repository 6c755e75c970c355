//! A creator's wallet names the hot key of a node that may sign offers and receipts for it.

use serde::{Deserialize, Serialize};

use crate::id::{DelegationHash, Genesis};
use crate::key::PublicKey;
use crate::signed::{Envelope, Signable, domain};
use crate::time::UnixMillis;
use crate::wire::{DecodeError, Reader, VERSION, Wire};

/// Signed by `payee`. It lets `node` speak, never receive: whatever is settled goes to the payee.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Delegation {
    pub genesis: Genesis,
    pub payee: PublicKey,
    pub node: PublicKey,
    pub from: UnixMillis,
    pub until: UnixMillis,
}

impl Delegation {
    pub fn hash(&self) -> DelegationHash {
        DelegationHash(self.digest())
    }

    /// `from` is in it, `until` is not.
    pub fn is_in_force(&self, now: UnixMillis) -> bool {
        (self.from..self.until).contains(&now)
    }
}

impl Signable for Delegation {
    const DOMAIN: [u8; 16] = domain("tickcast/hotkey");
    const ENVELOPE: Envelope = Envelope::Wallet;
}

impl Wire for Delegation {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        self.genesis.write(out);
        self.payee.write(out);
        self.node.write(out);
        self.from.write(out);
        self.until.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version()?;
        Ok(Self {
            genesis: Genesis::read(reader)?,
            payee: PublicKey::read(reader)?,
            node: PublicKey::read(reader)?,
            from: UnixMillis::read(reader)?,
            until: UnixMillis::read(reader)?,
        })
    }
}
