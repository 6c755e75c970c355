//! What both sides agree on when they close a channel at once.

use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::id::{ChannelId, Genesis};
use crate::signed::{Signable, domain};
use crate::wire::{DecodeError, Reader, VERSION, Wire};

/// Signed by the channel's session key and by its node key: `cumulative` goes to the payee, the rest back to the
/// payer. Whoever has signed it takes no further voucher, nor signs one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CloseTerms {
    pub genesis: Genesis,
    pub channel: ChannelId,
    pub cumulative: Amount,
}

impl Signable for CloseTerms {
    const DOMAIN: [u8; 16] = domain("tickcast/close");
}

impl Wire for CloseTerms {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        self.genesis.write(out);
        self.channel.write(out);
        self.cumulative.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version()?;
        Ok(Self {
            genesis: Genesis::read(reader)?,
            channel: ChannelId::read(reader)?,
            cumulative: Amount::read(reader)?,
        })
    }
}
