//! What a viewer keeps of a tab, so that it goes on after a crash without asking the node.

use super::{State, Tab, TabTotals, Total};
use crate::amount::Amount;
use crate::channel::ChannelTerms;
use crate::offer::Kept;
use crate::signed::Signed;
use crate::tick::{Tick, Unplayed};
use crate::wire::{DecodeError, Reader, Wire, write_list};

impl Wire for Total {
    fn write(&self, out: &mut Vec<u8>) {
        self.tick.write(out);
        self.cumulative.write(out);
        out.extend(self.ticks.to_le_bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (tick, cumulative) = (Tick::read(reader)?, Amount::read(reader)?);
        Ok(Self { tick, cumulative, ticks: reader.u64("count of ticks")? })
    }
}

/// Records of version 1 know of no tick paid in advance but the first.
const VERSION: u8 = 2;

/// To be stored after each voucher that was signed, before it is sent. An older record is made up for by what the node
/// shows; offers that were made and not consented to are not in it.
impl Wire for Tab {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        self.terms.write(out);
        self.limit.write(out);
        Kept(self.offer).write(out);
        self.next_offer.map(Kept).write(out);
        out.push((self.state == State::Closed).into());
        self.signed.write(out);
        self.acknowledged.write(out);
        self.highest_signed.write(out);
        write_list(out, &Vec::from(self.recent.clone()));
        out.push(self.has_credit.into());
        let TabTotals { played, unplayed, signed } = self.totals;
        for count in [self.owed, self.newest_played.0, self.next, played, unplayed, signed] {
            out.extend(count.to_le_bytes());
        }
        self.unplayed.write(out);
        self.receipt.write(out);
        self.ahead.write(out);
        out.push(self.pays_ahead.into());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = reader.u8()?;
        if !(1..=VERSION).contains(&version) {
            return Err(DecodeError::Version(version));
        }
        let terms = ChannelTerms::read(reader)?;
        let limit = Amount::read(reader)?;
        let Kept(offer) = Kept::read(reader)?;
        let mut tab = Self::new(terms, offer, limit).map_err(|_| DecodeError::OutOfRange("offer"))?;
        tab.next_offer = Option::<Kept>::read(reader)?.map(|Kept(offer)| offer);
        tab.state = if reader.flag()? { State::Closed } else { State::Idle };
        tab.signed = Option::<Signed<_>>::read(reader)?;
        tab.acknowledged = Option::read(reader)?;
        tab.highest_signed = Option::read(reader)?;
        tab.recent = reader.list::<Total>(Self::MAX_RECENT, "totals")?.into();
        tab.has_credit = reader.flag()?;
        let mut count = || reader.u64("count of ticks");
        (tab.owed, tab.newest_played, tab.next) = (count()?, Tick(count()?), count()?);
        tab.totals = TabTotals { played: count()?, unplayed: count()?, signed: count()? };
        tab.unplayed = Unplayed::read(reader)?;
        tab.receipt = Option::read(reader)?;
        if version > 1 {
            (tab.ahead, tab.pays_ahead) = (Option::read(reader)?, reader.flag()?);
        }
        Ok(tab)
    }
}
