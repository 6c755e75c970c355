//! What a node must not forget about one payer: written before anything is answered, read again after a crash.

use std::collections::BTreeMap;

use super::LedgerConfig;
use crate::close::CloseTerms;
use crate::id::ChannelId;
use crate::offer::{Kept, VerifiedOffer};
use crate::receipt::Receipt;
use crate::signed::Signed;
use crate::tick::Unplayed;
use crate::time::UnixMillis;
use crate::voucher::Voucher;
use crate::wire::{DecodeError, Reader, VERSION, Wire, write_list};

/// What is known of a second that was begun and is neither paid nor passed over yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// The viewer's feedback covers it.
    Delivered = 0,
    /// The node did not send it: nobody's debt.
    Failed = 1,
    /// The viewer says that it did not play.
    Unplayed = 2,
}

/// Counted since the channel was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    pub paid: u64,
    /// Those of the paid ones that feedback covered.
    pub paid_and_delivered: u64,
    /// Named unplayed, or passed over because the node did not send them.
    pub unplayed: u64,
    /// Named unplayed although feedback covered them.
    pub contested: u64,
    /// Named unplayed and not paid, within the bound; the rest of the unpaid ones waits.
    pub forgiven: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Books {
    pub channel: ChannelId,
    pub last: Option<Signed<Voucher>>,
    pub receipt: Option<Signed<Receipt>>,
    /// Seconds below this may have been sent: after a crash they count as sent.
    pub reserved: u64,
    /// Those under which seconds were sent that are not paid yet, the newest last.
    pub offers: Vec<VerifiedOffer>,
    /// Of seconds that no voucher accounts for; those that are missing were begun, and nothing more is known.
    pub fates: BTreeMap<u64, Fate>,
    /// Named unplayed beyond what is forgiven: unpaid until the window allows for them.
    pub disputed: u64,
    pub forgiven_at: Vec<UnixMillis>,
    pub unsettled_since: Option<UnixMillis>,
    /// Both signatures of a cooperative close: the viewer's, then ours.
    pub close: Option<(Signed<CloseTerms>, Signed<CloseTerms>)>,
    pub totals: Totals,
}

/// What a voucher moves, once it was found to be right.
pub(super) struct Step<'a> {
    pub voucher: Signed<Voucher>,
    pub unplayed: &'a Unplayed,
    pub offer: VerifiedOffer,
    /// Ticks that it pays.
    pub paid: u64,
}

impl Books {
    pub const MAX_OFFERS: usize = 4;
    /// Failed seconds that wait for the next voucher, and more than a grace and a window of forgiveness can leave.
    pub const MAX_FATES: usize = 1_024;

    pub fn new(channel: ChannelId) -> Self {
        Self {
            channel,
            last: None,
            receipt: None,
            reserved: 0,
            offers: Vec::new(),
            fates: BTreeMap::new(),
            disputed: 0,
            forgiven_at: Vec::new(),
            unsettled_since: None,
            close: None,
            totals: Totals::default(),
        }
    }

    /// The first second that no voucher accounts for.
    pub fn accounted(&self) -> u64 {
        self.last.map_or(0, |last| last.body.tick.0 + 1)
    }

    /// The first second that may still be named unplayed: the prepaid one may, since it was paid before it was sent.
    pub fn first_open(&self) -> u64 {
        match self.accounted() {
            1 => 0,
            accounted => accounted,
        }
    }

    /// Seconds sent beyond what is paid; negative while the prepaid one is not used up.
    pub fn unpaid(&self, begun: u64) -> i64 {
        let excused = self.fates.values().filter(|fate| **fate != Fate::Delivered).count();
        begun as i64 - self.accounted() as i64 - excused as i64 + self.disputed as i64
    }

    pub fn remember_offer(&mut self, offer: &VerifiedOffer) {
        self.offers.retain(|known| known.hash() != offer.hash());
        if self.offers.len() == Self::MAX_OFFERS {
            self.offers.remove(0);
        }
        self.offers.push(*offer);
    }

    /// Takes the viewer's word that a second did not play, within the bound of what is forgiven.
    pub fn name_unplayed(&mut self, tick: u64, now: UnixMillis, config: &LedgerConfig) {
        match self.fates.insert(tick, Fate::Unplayed) {
            Some(Fate::Unplayed) => return,
            Some(Fate::Failed) => {
                self.fates.insert(tick, Fate::Failed);
                return;
            }
            Some(Fate::Delivered) => self.totals.contested += 1,
            None => {}
        }
        self.disputed += 1;
        self.forgive(now, config);
    }

    /// Forgives as many disputed seconds as the rolling window has room for.
    pub fn forgive(&mut self, now: UnixMillis, config: &LedgerConfig) {
        self.forgiven_at.retain(|at| now.millis_since(*at) < config.forgive_window_ms);
        while self.disputed > 0 && self.forgiven_at.len() < usize::from(config.forgive_ticks) {
            self.disputed -= 1;
            self.totals.forgiven += 1;
            self.forgiven_at.push(now);
        }
    }

    /// Accounts for every second up to the voucher's.
    pub fn take(&mut self, step: &Step<'_>, now: UnixMillis, config: &LedgerConfig) {
        let tick = step.voucher.body.tick.0;
        for unplayed in step.unplayed.within(self.first_open(), tick) {
            self.name_unplayed(unplayed, now, config);
            self.totals.unplayed += 1;
        }
        let behind = self.fates.split_off(&(tick + 1));
        let settled = std::mem::replace(&mut self.fates, behind);
        let delivered = settled.values().filter(|fate| **fate == Fate::Delivered).count() as u64;
        self.totals.paid += step.paid;
        self.totals.paid_and_delivered += delivered.min(step.paid);
        self.last = Some(step.voucher);
        self.remember_offer(&step.offer);
        self.unsettled_since.get_or_insert(now);
    }
}

impl Wire for Fate {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            0 => Ok(Self::Delivered),
            1 => Ok(Self::Failed),
            2 => Ok(Self::Unplayed),
            value => Err(DecodeError::Variant { what: "fate of a second", value }),
        }
    }
}

struct Dated(u64, Fate);

impl Wire for Dated {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.0.to_le_bytes());
        self.1.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(reader.u64("tick")?, Fate::read(reader)?))
    }
}

struct Pair(Signed<CloseTerms>, Signed<CloseTerms>);

impl Wire for Pair {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(Signed::read(reader)?, Signed::read(reader)?))
    }
}

impl Wire for Books {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        self.channel.write(out);
        self.last.write(out);
        self.receipt.write(out);
        out.extend(self.reserved.to_le_bytes());
        let offers: Vec<_> = self.offers.iter().copied().map(Kept).collect();
        write_list(out, &offers);
        let fates: Vec<_> = self.fates.iter().map(|(tick, fate)| Dated(*tick, *fate)).collect();
        write_list(out, &fates);
        out.extend(self.disputed.to_le_bytes());
        write_list(out, &self.forgiven_at);
        self.unsettled_since.write(out);
        self.close.map(|(theirs, ours)| Pair(theirs, ours)).write(out);
        let Totals { paid, paid_and_delivered, unplayed, contested, forgiven } = self.totals;
        for count in [paid, paid_and_delivered, unplayed, contested, forgiven] {
            out.extend(count.to_le_bytes());
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version()?;
        let mut books = Self::new(ChannelId::read(reader)?);
        books.last = Option::read(reader)?;
        books.receipt = Option::read(reader)?;
        books.reserved = reader.u64("reserved ticks")?;
        let offers = reader.list(Self::MAX_OFFERS, "offers")?;
        books.offers = offers.into_iter().map(|Kept(offer)| offer).collect();
        let fates = reader.list::<Dated>(Self::MAX_FATES, "fates")?;
        if !fates.windows(2).all(|pair| pair[0].0 < pair[1].0) {
            return Err(DecodeError::NotCanonical("fates"));
        }
        books.fates = fates.into_iter().map(|Dated(tick, fate)| (tick, fate)).collect();
        books.disputed = reader.u64("disputed ticks")?;
        books.forgiven_at = reader.list(usize::from(LedgerConfig::MAX_FORGIVE_TICKS), "forgiven ticks")?;
        books.unsettled_since = Option::read(reader)?;
        books.close = Option::<Pair>::read(reader)?.map(|Pair(theirs, ours)| (theirs, ours));
        let mut count = || reader.u64("count of ticks");
        books.totals = Totals {
            paid: count()?,
            paid_and_delivered: count()?,
            unplayed: count()?,
            contested: count()?,
            forgiven: count()?,
        };
        Ok(books)
    }
}
