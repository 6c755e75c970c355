//! A node's signature under the running total, chained to the one before: both sides hold proof.

use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::id::{ChannelId, Genesis, ReceiptHash};
use crate::signed::{Signable, domain};
use crate::tick::Tick;
use crate::time::UnixMillis;
use crate::wire::{DecodeError, Reader, VERSION, Wire};

/// Signed by the channel's node key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Receipt {
    pub genesis: Genesis,
    pub channel: ChannelId,
    /// From 1 on, without gaps.
    pub number: u64,
    /// Zeros in the first.
    pub previous: ReceiptHash,
    /// Of the newest voucher that it confirms.
    pub tick: Tick,
    pub cumulative: Amount,
    pub at: UnixMillis,
}

impl Receipt {
    pub fn hash(&self) -> ReceiptHash {
        ReceiptHash(self.digest())
    }
}

impl Signable for Receipt {
    const DOMAIN: [u8; 16] = domain("tickcast/receipt");
}

impl Wire for Receipt {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        self.genesis.write(out);
        self.channel.write(out);
        out.extend(self.number.to_le_bytes());
        self.previous.write(out);
        self.tick.write(out);
        self.cumulative.write(out);
        self.at.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version()?;
        Ok(Self {
            genesis: Genesis::read(reader)?,
            channel: ChannelId::read(reader)?,
            number: reader.u64("receipt's number")?,
            previous: ReceiptHash::read(reader)?,
            tick: Tick::read(reader)?,
            cumulative: Amount::read(reader)?,
            at: UnixMillis::read(reader)?,
        })
    }
}
