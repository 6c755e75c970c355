//! Whether a voucher is right: first all that is cheap, then its signature, many at once.

use super::Ledger;
use crate::amount::Amount;
use crate::key::{Claim, PublicKey, verify, verify_batch};
use crate::message::Pay;
use crate::offer::VerifiedOffer;
use crate::offer_book::OfferBook;
use crate::refusal::Refusal;
use crate::signed::Signable;
use crate::time::UnixMillis;

/// A voucher that is right but for its signature, which was not looked at yet.
#[derive(Debug)]
pub struct Examined {
    pay: Pay,
    key: PublicKey,
}

/// A voucher that its channel's session key signed.
#[derive(Debug)]
pub struct Verified(Pay);

impl Examined {
    pub fn verify(self) -> Result<Verified, Refusal> {
        let voucher = &self.pay.voucher;
        verify(&self.key, &voucher.body.signing_bytes(), &voucher.signature)
            .map_err(|_| Refusal::BadSignature)?;
        Ok(Verified(self.pay))
    }
}

impl Verified {
    pub(super) fn into_pay(self) -> Pay {
        self.0
    }
}

/// The same for many, of different ledgers: about half the work for each. The results are in the order of what came.
pub fn verify_all(examined: Vec<Examined>) -> Vec<Result<Verified, Refusal>> {
    let bytes: Vec<_> = examined.iter().map(|one| one.pay.voucher.body.signing_bytes()).collect();
    let claim =
        |(one, bytes): (&Examined, _)| Claim { key: one.key, bytes, signature: one.pay.voucher.signature };
    let claims: Vec<_> = examined.iter().zip(bytes.iter().map(Vec::as_slice)).map(claim).collect();
    let valid = verify_batch(&claims);
    let judge = |(one, valid): (Examined, bool)| {
        if valid { Ok(Verified(one.pay)) } else { Err(Refusal::BadSignature) }
    };
    examined.into_iter().zip(valid).map(judge).collect()
}

impl Ledger {
    /// All that can be said of a voucher without its signature.
    pub fn examine(&self, pay: Pay, book: &OfferBook, now: UnixMillis) -> Result<Examined, Refusal> {
        self.terms_of(&pay, book, now)?;
        Ok(Examined { pay, key: self.channel.terms().session })
    }

    /// The offer that a voucher names, and how many ticks it pays.
    pub(super) fn terms_of(
        &self,
        pay: &Pay,
        book: &OfferBook,
        now: UnixMillis,
    ) -> Result<(VerifiedOffer, u64), Refusal> {
        let voucher = &pay.voucher.body;
        if voucher.genesis != self.channel.terms().genesis {
            return Err(Refusal::WrongGenesis);
        }
        if voucher.channel != self.channel.id() {
            return Err(Refusal::WrongChannel);
        }
        if self.books.close.is_some() {
            return Err(Refusal::CloseAgreed);
        }
        let deposit = self.redeemable(voucher.tick.0, now)?;
        if self.staged.is_some() {
            return Err(Refusal::Committing);
        }
        self.must_rise(pay)?;
        let offer = self.named_offer(pay, book, now)?;
        let paid = self.paid_ticks(pay)?;
        // Else the best quality would be had for the price of the lowest.
        let sent = self.books.best_tier_paid(voucher.tick.0, self.begun, &pay.unplayed);
        if sent.is_some_and(|sent| offer.offer().quality.tier < sent) {
            return Err(Refusal::ForeignOffer);
        }
        let due = offer.offer().price.times(paid).and_then(|due| self.accepted().checked_add(due));
        if due != Some(voucher.cumulative) {
            return Err(Refusal::WrongStep);
        }
        if voucher.cumulative > deposit {
            return Err(Refusal::OverDeposit);
        }
        Ok((offer, paid))
    }

    /// What a voucher for that tick may sum up to. While the channel closes those for seconds that were sent are taken.
    fn redeemable(&self, tick: u64, now: UnixMillis) -> Result<Amount, Refusal> {
        let while_closing = || self.channel.redeems_while_closing(now).filter(|_| tick < self.begun);
        match self.channel.funding(now) {
            Ok(funding) => Ok(funding.deposit()),
            Err(Refusal::ChannelClosing) => while_closing().ok_or(Refusal::ChannelClosing),
            Err(reason) => Err(reason),
        }
    }

    fn must_rise(&self, pay: &Pay) -> Result<(), Refusal> {
        let Some(last) = &self.books.last else { return Ok(()) };
        let (last, voucher) = (&last.body, &pay.voucher.body);
        if voucher.tick > last.tick {
            if voucher.cumulative > last.cumulative { Ok(()) } else { Err(Refusal::WrongStep) }
        } else if voucher == last {
            Err(Refusal::Replayed)
        } else if voucher.tick == last.tick {
            Err(Refusal::Conflicting)
        } else {
            Err(Refusal::RolledBack)
        }
    }

    /// A voucher may name the offer of the session; for seconds of sessions before, one of those that they were sent
    /// by; or another one that is in force now, which is the viewer's consent to it. A lower tier than that of the
    /// seconds which it pays is none of them.
    fn named_offer(&self, pay: &Pay, book: &OfferBook, now: UnixMillis) -> Result<VerifiedOffer, Refusal> {
        let session = self.session.as_ref().ok_or(Refusal::NoSession)?;
        let named = &pay.voucher.body.offer;
        if session.offer.hash() == *named {
            return Ok(session.offer);
        }
        let is_earlier = pay.voucher.body.tick.0 < session.first;
        let known = self.books.offers.iter().find(|offer| is_earlier && offer.hash() == *named);
        if let Some(known) = known {
            return Ok(*known);
        }
        let offer = *book.in_force(named, now)?;
        self.must_fit(&offer)?;
        let same_content = is_earlier || offer.offer().content == session.content;
        if same_content { Ok(offer) } else { Err(Refusal::ForeignOffer) }
    }

    /// Each second since the last voucher is either paid by this one or named unplayed.
    fn paid_ticks(&self, pay: &Pay) -> Result<u64, Refusal> {
        let (tick, books) = (pay.voucher.body.tick.0, &self.books);
        // The first is paid in advance. Of the others one may be, where the gate would not open otherwise.
        let newest = if books.last.is_none() { 0 } else { self.begun };
        let served = tick < newest || (tick == newest && pay.in_advance);
        if !served {
            return Err(Refusal::NotServed);
        }
        if pay.unplayed.end().is_some_and(|end| end > tick) {
            return Err(Refusal::UnplayedOutOfRange);
        }
        let unplayed = pay.unplayed.count_within(books.first_open(), tick);
        let since = tick + 1 - books.accounted();
        match since.checked_sub(unplayed) {
            None | Some(0) => Err(Refusal::WrongStep),
            Some(paid) => Ok(paid),
        }
    }
}
