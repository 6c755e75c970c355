//! What a viewer owes in all, signed with the session key of its channel: the one thing that a chain redeems.

use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::id::{ChannelId, Genesis, OfferHash};
use crate::signed::{Signable, domain};
use crate::tick::Tick;
use crate::wire::{DecodeError, Reader, VERSION, Wire};

/// `tick` is the newest second that is paid, `cumulative` what was paid on the channel since it was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Voucher {
    pub genesis: Genesis,
    pub channel: ChannelId,
    pub offer: OfferHash,
    pub tick: Tick,
    pub cumulative: Amount,
}

impl Signable for Voucher {
    const DOMAIN: [u8; 16] = domain("tickcast/voucher");
}

impl Wire for Voucher {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        self.genesis.write(out);
        self.channel.write(out);
        self.offer.write(out);
        self.tick.write(out);
        self.cumulative.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version()?;
        Ok(Self {
            genesis: Genesis::read(reader)?,
            channel: ChannelId::read(reader)?,
            offer: OfferHash::read(reader)?,
            tick: Tick::read(reader)?,
            cumulative: Amount::read(reader)?,
        })
    }
}
