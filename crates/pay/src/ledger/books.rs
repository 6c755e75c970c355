//! What a node must not forget about one payer: written before anything is answered, read again after a crash.

use std::collections::BTreeMap;

use super::LedgerConfig;
use crate::close::CloseTerms;
use crate::id::ChannelId;
use crate::offer::{Kept, VerifiedOffer};
use crate::receipt::Receipt;
use crate::signed::Signed;
use crate::tick::{Tick, Unplayed};
use crate::time::UnixMillis;
use crate::voucher::Voucher;
use crate::wire::{DecodeError, Reader, Wire, write_list};

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
    /// Named unplayed and not paid, within the bound; the rest of the unpaid ones stays unpaid.
    pub forgiven: u64,
}

/// Counted over all channels of the account.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    pub paid: u64,
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
    /// From which second on which tier was sent, the newest last. What was sent before the first is not known.
    pub tiers: Vec<TierFrom>,
    /// Of seconds that no voucher accounts for; those that are missing were begun, and nothing more is known.
    pub fates: BTreeMap<u64, Fate>,
    /// Named unplayed beyond what is forgiven: unpaid until later payments allow for them.
    pub disputed: u64,
    /// When seconds were named unplayed, the newest last.
    pub named_at: Vec<UnixMillis>,
    pub account: Standing,
    /// The last voucher's own tick was paid in advance.
    pub is_ahead: bool,
    pub unsettled_since: Option<UnixMillis>,
    /// Both signatures of a cooperative close: the viewer's, then ours.
    pub close: Option<(Signed<CloseTerms>, Signed<CloseTerms>)>,
    pub totals: Totals,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TierFrom {
    pub from: u64,
    pub tier: u8,
}

/// What a voucher moves, once it was found to be right.
pub(super) struct Step<'a> {
    pub voucher: Signed<Voucher>,
    pub unplayed: &'a Unplayed,
    pub offer: VerifiedOffer,
    /// Ticks that it pays.
    pub paid: u64,
    /// The newest of them is paid in advance.
    pub is_ahead: bool,
}

impl Books {
    pub const MAX_OFFERS: usize = 4;
    /// Changes of the tier among seconds that no voucher accounts for.
    pub const MAX_TIERS: usize = 16;
    /// Failed seconds that wait for the next voucher, and more than a grace and a window of forgiveness can leave.
    pub const MAX_FATES: usize = 1_024;
    pub const MAX_NAMED: usize = 256;
    /// Of a record. Those of version 1 know nothing of the account's other channels, nor of ticks paid in advance but
    /// the first; those of version 2 nothing of tiers.
    const VERSION: u8 = 3;

    pub fn new(channel: ChannelId) -> Self {
        Self {
            channel,
            last: None,
            receipt: None,
            reserved: 0,
            offers: Vec::new(),
            tiers: Vec::new(),
            fates: BTreeMap::new(),
            disputed: 0,
            named_at: Vec::new(),
            account: Standing::default(),
            is_ahead: false,
            unsettled_since: None,
            close: None,
            totals: Totals::default(),
        }
    }

    /// The first second that no voucher accounts for.
    pub fn accounted(&self) -> u64 {
        self.last.map_or(0, |last| last.body.tick.0 + 1)
    }

    /// The first second that may still be named unplayed: one that was paid in advance may.
    pub fn first_open(&self) -> u64 {
        self.accounted() - u64::from(self.is_ahead)
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

    /// Seconds from that one on are sent by an offer of this tier.
    pub fn send_by(&mut self, tier: u8, from: u64) {
        // Of another one nothing was sent since.
        self.tiers.retain(|known| known.from < from);
        if self.tiers.last().is_none_or(|last| last.tier != tier) {
            self.tiers.push(TierFrom { from, tier });
        }
        let open = self.accounted();
        while self.tiers.get(1).is_some_and(|second| second.from <= open) {
            self.tiers.remove(0);
        }
        if self.tiers.len() > Self::MAX_TIERS {
            // Of two that become one the better was sent.
            let first = self.tiers.remove(0);
            let second = &mut self.tiers[0];
            *second = TierFrom { from: first.from, tier: first.tier.max(second.tier) };
        }
    }

    /// The best tier that any second was sent by which a voucher pays.
    pub fn best_tier_paid(&self, tick: u64, begun: u64, unplayed: &Unplayed) -> Option<u8> {
        let ends = self.tiers.iter().skip(1).map(|next| next.from).chain([u64::MAX]);
        let (open, end) = (self.accounted(), begun.min(tick + 1));
        let is_paid = |(known, until): &(&TierFrom, u64)| {
            let (from, to) = (known.from.max(open), end.min(*until));
            to.saturating_sub(from) > unplayed.count_within(from, to)
        };
        self.tiers.iter().zip(ends).filter(is_paid).map(|(known, _)| known.tier).max()
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
        if self.named_at.len() == Self::MAX_NAMED {
            self.named_at.remove(0);
        }
        self.named_at.push(now);
        self.disputed += 1;
        self.forgive(config);
    }

    /// Forgives as many disputed seconds as what was paid allows for.
    pub fn forgive(&mut self, config: &LedgerConfig) {
        let room = config.forgivable(self.account.paid).saturating_sub(self.account.forgiven);
        let more = self.disputed.min(room);
        self.disputed -= more;
        self.totals.forgiven += more;
        self.account.forgiven += more;
    }

    /// Seconds that were named unplayed and are paid after all.
    fn withdraw(&mut self, seconds: u64) {
        let disputed = seconds.min(self.disputed);
        self.disputed -= disputed;
        // Those of a record of version 1 may have been forgiven under another rule.
        let forgiven = (seconds - disputed).min(self.totals.forgiven).min(self.account.forgiven);
        self.totals.forgiven -= forgiven;
        self.account.forgiven -= forgiven;
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
        let is_paid = |tick: u64| !step.unplayed.contains(Tick(tick));
        let paid_after_all = |(tick, fate): &(&u64, &Fate)| **fate == Fate::Unplayed && is_paid(**tick);
        self.withdraw(settled.iter().filter(paid_after_all).count() as u64);
        let delivered = settled.values().filter(|fate| **fate == Fate::Delivered).count() as u64;
        self.totals.paid += step.paid;
        self.account.paid += step.paid;
        self.is_ahead = step.is_ahead;
        self.totals.paid_and_delivered += delivered.min(step.paid);
        self.last = Some(step.voucher);
        self.remember_offer(&step.offer);
        self.unsettled_since.get_or_insert(now);
        self.forgive(config);
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

impl Wire for TierFrom {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.from.to_le_bytes());
        out.push(self.tier);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { from: reader.u64("tick")?, tier: reader.u8()? })
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
        out.push(Self::VERSION);
        self.channel.write(out);
        self.last.write(out);
        self.receipt.write(out);
        out.extend(self.reserved.to_le_bytes());
        let offers: Vec<_> = self.offers.iter().copied().map(Kept).collect();
        write_list(out, &offers);
        let fates: Vec<_> = self.fates.iter().map(|(tick, fate)| Dated(*tick, *fate)).collect();
        write_list(out, &fates);
        out.extend(self.disputed.to_le_bytes());
        write_list(out, &self.named_at);
        self.unsettled_since.write(out);
        self.close.map(|(theirs, ours)| Pair(theirs, ours)).write(out);
        let Totals { paid, paid_and_delivered, unplayed, contested, forgiven } = self.totals;
        for count in [paid, paid_and_delivered, unplayed, contested, forgiven] {
            out.extend(count.to_le_bytes());
        }
        out.extend(self.account.paid.to_le_bytes());
        out.extend(self.account.forgiven.to_le_bytes());
        out.push(self.is_ahead.into());
        write_list(out, &self.tiers);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = reader.u8()?;
        if !(1..=Self::VERSION).contains(&version) {
            return Err(DecodeError::Version(version));
        }
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
        books.named_at = reader.list(Self::MAX_NAMED, "named ticks")?;
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
        if version == 1 {
            books.account = Standing { paid: books.totals.paid, forgiven: books.totals.forgiven };
            books.is_ahead = books.accounted() == 1;
        } else {
            books.account = Standing { paid: count()?, forgiven: count()? };
            books.is_ahead = reader.flag()?;
            if books.is_ahead && books.last.is_none() {
                return Err(DecodeError::OutOfRange("tick paid in advance"));
            }
        }
        if version >= 3 {
            books.tiers = reader.list(Self::MAX_TIERS, "tiers")?;
            if !books.tiers.windows(2).all(|pair| pair[0].from < pair[1].from) {
                return Err(DecodeError::NotCanonical("tiers"));
            }
        }
        Ok(books)
    }
}
