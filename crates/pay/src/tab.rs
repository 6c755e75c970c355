//! What a viewer owes: seconds that played are counted and signed for, seconds that did not are named, and nothing is
//! ever signed beyond the cap.

mod proof;
mod record;

use std::collections::VecDeque;

use crate::amount::Amount;
use crate::channel::ChannelTerms;
use crate::id::{ChannelId, OfferHash};
use crate::key::Signer;
use crate::message::{Acknowledged, Ending, Pay, Refused, Report, Start, Started};
use crate::offer::{PAYABLE_AFTER_MS, VerifiedOffer};
use crate::receipt::Receipt;
use crate::refusal::Refusal;
use crate::signed::Signed;
use crate::tick::{Tick, Unplayed};
use crate::time::UnixMillis;
use crate::voucher::Voucher;
use crate::wire::MAX_INTEGER;

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TabError {
    #[error("this is another channel's")]
    WrongChannel,
    /// Another chain, asset, payee or node than the channel's.
    #[error("the offer is for something else than the channel")]
    ForeignOffer,
    #[error("no such offer was made here")]
    NoSuchOffer,
    #[error("the offer is no longer in force: nothing is paid by it")]
    OfferExpired,
    #[error("nothing is being watched")]
    NotWatching,
    #[error("this second was counted before")]
    AlreadyCounted,
    #[error("the next second would cost more than the cap")]
    CapReached,
    #[error("too much is unacknowledged: the node does not answer")]
    Unacknowledged,
    #[error("the node shows a voucher that this key did not sign")]
    NotOurVoucher,
    #[error("the node goes back to seconds that played or were signed for")]
    WentBack,
    #[error("the node acknowledges what was not signed")]
    NotOurs,
    #[error("the receipt is not the node's, or not the next one")]
    BadReceipt,
    #[error("the node confirms a total that was not signed")]
    ReceiptMismatch,
    #[error("the close names another total than the last voucher")]
    CloseMismatch,
    #[error("the channel is closed")]
    Closed,
    #[error("the session key did not sign")]
    SignRefused,
    #[error("the signer is not the channel's session key")]
    WrongSigner,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Idle,
    Watching,
    /// A close was signed: nothing is signed after it.
    Closed,
}

/// What was played, what was paid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TabTotals {
    pub played: u64,
    pub unplayed: u64,
    /// Ticks signed for, the prepaid one too.
    pub signed: u64,
}

/// Of one voucher.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Total {
    tick: Tick,
    cumulative: Amount,
    /// That this voucher paid.
    ticks: u64,
}

/// What a refusal means for the viewer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reaction {
    /// It was taken before.
    Nothing,
    /// Send the same again a little later.
    Again,
    /// Stop watching, and say why.
    Leave(Refusal),
}

/// A viewer's side of one channel. Each event is either taken or refused with a reason; what it returns is sent.
#[derive(Clone, Debug)]
pub struct Tab {
    terms: ChannelTerms,
    channel: ChannelId,
    /// No voucher is higher: the lower of the deposit and what a person allowed.
    limit: Amount,
    offer: VerifiedOffer,
    /// Consented to; named by the next voucher that follows an acknowledged one.
    next_offer: Option<VerifiedOffer>,
    offered: Option<VerifiedOffer>,
    state: State,
    /// The newest.
    signed: Option<Signed<Voucher>>,
    acknowledged: Option<Tick>,
    /// No second is ever signed for twice, whatever was forgotten since.
    highest_signed: Option<Tick>,
    /// What was signed since the last receipt, for comparing.
    recent: VecDeque<Total>,
    /// The prepaid tick is not used up: the first second that plays is paid.
    has_credit: bool,
    /// The newest tick that was signed for in advance.
    ahead: Option<Tick>,
    /// The node forgives no more: the next session's first second is paid in advance.
    pays_ahead: bool,
    /// Seconds that played and are not signed for, and the newest of them.
    owed: u64,
    newest_played: Tick,
    /// The first second that is not decided.
    next: u64,
    /// Since the newest voucher that is known to be stored.
    unplayed: Unplayed,
    receipt: Option<Signed<Receipt>>,
    totals: TabTotals,
}

impl Tab {
    /// So many vouchers are signed at most without an acknowledgement.
    pub const MAX_UNACKNOWLEDGED: u64 = 16;
    /// So many totals are kept for a receipt.
    pub const MAX_RECENT: usize = 64;

    /// For a channel that nothing was paid from yet, or of which this machine knows nothing any more: the node will
    /// show. `limit` is on the channel's running total: the deposit, or less.
    pub fn new(terms: ChannelTerms, offer: VerifiedOffer, limit: Amount) -> Result<Self, TabError> {
        fits(&terms, &offer)?;
        Ok(Self {
            channel: terms.id(),
            terms,
            limit,
            offer,
            next_offer: None,
            offered: None,
            state: State::Idle,
            signed: None,
            acknowledged: None,
            highest_signed: None,
            recent: VecDeque::new(),
            has_credit: false,
            ahead: None,
            pays_ahead: false,
            owed: 0,
            newest_played: Tick(0),
            next: 0,
            unplayed: Unplayed::default(),
            receipt: None,
            totals: TabTotals::default(),
        })
    }

    pub const fn channel(&self) -> ChannelId {
        self.channel
    }

    pub const fn totals(&self) -> &TabTotals {
        &self.totals
    }

    /// The newest.
    pub const fn last_voucher(&self) -> Option<&Signed<Voucher>> {
        self.signed.as_ref()
    }

    /// The running total that was signed.
    pub fn spent(&self) -> Amount {
        self.signed.map_or(Amount::ZERO, |signed| signed.body.cumulative)
    }

    /// Whether a session was started and did not end.
    pub fn is_watching(&self) -> bool {
        self.state == State::Watching
    }

    /// What the cap leaves.
    pub fn left(&self) -> Amount {
        self.limit.checked_sub(self.spent()).unwrap_or(Amount::ZERO)
    }

    pub const fn offer(&self) -> &VerifiedOffer {
        &self.offer
    }

    pub const fn last_receipt(&self) -> Option<&Signed<Receipt>> {
        self.receipt.as_ref()
    }

    /// Whether one more second can be paid: ask before it plays, and stop playing where it cannot.
    pub fn affords_next(&self) -> bool {
        let price = self.next_offer.as_ref().unwrap_or(&self.offer).offer().price;
        self.has_credit || price.times(self.owed + 1).is_some_and(|due| due <= self.left())
    }

    /// A person allowed more, or the channel was topped up; or less from now on.
    pub fn set_limit(&mut self, limit: Amount) {
        self.limit = limit;
    }

    /// What a session begins with, over each new connection.
    pub fn start(&mut self) -> Result<Start, TabError> {
        if self.state == State::Closed {
            return Err(TabError::Closed);
        }
        self.state = State::Idle;
        let offer = self.next_offer.as_ref().unwrap_or(&self.offer);
        Ok(Start { channel: self.channel, offer: offer.hash() })
    }

    /// The node's answer to it. What comes back is sent: the prepaid tick, or what it has not stored yet.
    pub fn started(
        &mut self,
        started: &Started,
        signer: &dyn Signer,
        now: UnixMillis,
    ) -> Result<Option<Pay>, TabError> {
        self.must_be_ours(started.channel)?;
        self.go_back(started.next)?;
        let known = self.signed;
        if let Some(last) = &started.last {
            self.shown(last)?;
            // It was paid in advance and not sent yet, which may have been forgotten here.
            if last.body.tick == started.next && self.signed == Some(*last) {
                (self.has_credit, self.ahead) = (true, Some(started.next));
                self.next = started.next.0;
            }
        }
        if let (Some(receipt), None) = (&started.receipt, &self.receipt) {
            receipt.verify(&self.terms.node).map_err(|_| TabError::BadReceipt)?;
            let ours = receipt.body.channel == self.channel && receipt.body.cumulative <= self.spent();
            self.receipt = Some(*receipt).filter(|_| ours);
        }
        // What was sent meanwhile never arrived here.
        self.pass_over(started.next.0)?;
        self.state = State::Watching;
        if self.signed.is_none() {
            return self.prepay(started.next, signer, now).map(Some);
        }
        // A lower tier pays nothing that was sent by a higher one.
        if self.changes_tier() && self.owed > 0 && self.unacknowledged().is_none() {
            let pay = self.sign_by(&self.offer.clone(), self.owed, self.newest_played, signer, now)?;
            self.owed = 0;
            return Ok(Some(pay));
        }
        // As in `due`: what the old offer pays must be stored before a new one counts.
        let is_changing = self.next_offer.is_some() && self.unacknowledged().is_some();
        let is_next = Some(started.next) > self.highest_signed && self.signed == known;
        if self.pays_ahead && !self.has_credit && !is_changing && is_next && self.affords_next() {
            return self.prepay(started.next, signer, now).map(Some);
        }
        Ok(self.unacknowledged())
    }

    /// A node names as next what it will send next. Where this side has counted further, by its own clock, those
    /// seconds were never sent: they may come once more if all that was said of them is that they did not play.
    fn go_back(&mut self, next: Tick) -> Result<(), TabError> {
        if next.0 >= self.next {
            return Ok(());
        }
        // One that was paid in advance waits to be used.
        let is_waiting = self.has_credit && Some(next) == self.highest_signed;
        let is_signed = Some(next) <= self.highest_signed && !is_waiting;
        if is_signed || !self.unplayed.covers(next.0, self.next) {
            return Err(TabError::WentBack);
        }
        self.unplayed.forget_from(next.0);
        self.totals.unplayed = self.totals.unplayed.saturating_sub(self.next - next.0);
        self.next = next.0;
        Ok(())
    }

    /// The first second that plays from `next` on is paid, with all that is owed.
    fn prepay(&mut self, next: Tick, signer: &dyn Signer, now: UnixMillis) -> Result<Pay, TabError> {
        let pay = Pay { in_advance: true, ..self.sign(self.owed + 1, next, signer, now)? };
        (self.has_credit, self.ahead, self.pays_ahead, self.owed) = (true, Some(next), false, 0);
        Ok(pay)
    }

    /// A second of which at least 90 % was shown in time. Those before it that were not reported did not play.
    /// Returns what is sent: nothing for the prepaid one, nor while an offer that was consented to waits for what is
    /// not stored yet.
    pub fn played(
        &mut self,
        tick: Tick,
        signer: &dyn Signer,
        now: UnixMillis,
    ) -> Result<Option<Pay>, TabError> {
        self.must_watch()?;
        if tick.0 < self.next {
            return Err(TabError::AlreadyCounted);
        }
        if tick.0 >= MAX_INTEGER {
            return Err(TabError::CapReached);
        }
        self.pass_over(tick.0)?;
        if self.owed >= Self::MAX_UNACKNOWLEDGED {
            return Err(TabError::Unacknowledged);
        }
        self.totals.played += 1;
        self.next = tick.0 + 1;
        if self.has_credit {
            self.has_credit = false;
            return Ok(None);
        }
        self.owed += 1;
        self.newest_played = tick;
        self.due(signer, now)
    }

    /// Signs for what played and could not be signed for at once. It is asked again after each acknowledgement.
    pub fn due(&mut self, signer: &dyn Signer, now: UnixMillis) -> Result<Option<Pay>, TabError> {
        // A voucher covers one price: what the old one pays must be stored before the new one counts.
        let is_changing = self.next_offer.is_some() && self.unacknowledged().is_some();
        let is_signed = Some(self.newest_played) <= self.highest_signed;
        if self.owed == 0 || is_changing || is_signed {
            return Ok(None);
        }
        if self.state == State::Closed {
            return Err(TabError::Closed);
        }
        let pay = self.sign(self.owed, self.newest_played, signer, now)?;
        self.owed = 0;
        Ok(Some(pay))
    }

    /// A second that did not play. The report is sent, so that the node does not wait for its payment.
    pub fn did_not_play(&mut self, tick: Tick) -> Result<Report, TabError> {
        self.must_watch()?;
        if tick.0 < self.next {
            return Err(TabError::AlreadyCounted);
        }
        if tick.0 >= MAX_INTEGER {
            return Err(TabError::CapReached);
        }
        self.pass_over(tick.0 + 1)?;
        Ok(Report { channel: self.channel, unplayed: self.unplayed.clone() })
    }

    /// The report again, where one may have been lost.
    pub fn report(&self) -> Option<Report> {
        let unplayed = self.unplayed.clone();
        (!unplayed.is_empty()).then_some(Report { channel: self.channel, unplayed })
    }

    /// The seconds up to `to` did not play.
    fn pass_over(&mut self, to: u64) -> Result<(), TabError> {
        let mut from = self.next;
        while from < to {
            let count = u32::try_from(to - from).unwrap_or(u32::MAX);
            self.unplayed.push(Tick(from), count).map_err(|_| TabError::Unacknowledged)?;
            from += u64::from(count);
        }
        self.totals.unplayed += to.saturating_sub(self.next);
        self.next = self.next.max(to);
        Ok(())
    }

    /// What the node has not acknowledged: sent again after a while, and over each new connection.
    pub fn unacknowledged(&self) -> Option<Pay> {
        let signed = self.signed.filter(|signed| Some(signed.body.tick) != self.acknowledged)?;
        let mut unplayed = Unplayed::default();
        for range in self.unplayed.ranges().iter().filter(|range| range.first < signed.body.tick) {
            // They lie in order, and none reaches over a second that was paid but the first, whose voucher is older.
            let count = u64::from(range.count).min(signed.body.tick.0 - range.first.0);
            unplayed.push(range.first, count as u32).ok()?;
        }
        Some(Pay { voucher: signed, unplayed, in_advance: self.was_in_advance(signed.body.tick) })
    }

    fn was_in_advance(&self, tick: Tick) -> bool {
        tick.0 == 0 || Some(tick) == self.ahead
    }

    fn waiting(&self) -> impl Iterator<Item = &Total> {
        self.recent.iter().filter(|total| Some(total.tick) > self.acknowledged)
    }

    fn has_signed(&self, tick: Tick, cumulative: Amount) -> bool {
        self.recent.iter().any(|total| (total.tick, total.cumulative) == (tick, cumulative))
    }

    /// A voucher that pays `ticks` more, `tick` being the newest of them.
    fn sign(
        &mut self,
        ticks: u64,
        tick: Tick,
        signer: &dyn Signer,
        now: UnixMillis,
    ) -> Result<Pay, TabError> {
        let offer = self.next_offer.unwrap_or(self.offer);
        let pay = self.sign_by(&offer, ticks, tick, signer, now)?;
        (self.offer, self.next_offer) = (offer, None);
        Ok(pay)
    }

    fn changes_tier(&self) -> bool {
        let tier = |offer: &VerifiedOffer| offer.offer().quality.tier;
        self.next_offer.is_some_and(|next| tier(&next) != tier(&self.offer))
    }

    fn sign_by(
        &mut self,
        offer: &VerifiedOffer,
        ticks: u64,
        tick: Tick,
        signer: &dyn Signer,
        now: UnixMillis,
    ) -> Result<Pay, TabError> {
        if signer.public() != self.terms.session {
            return Err(TabError::WrongSigner);
        }
        if self.waiting().count() as u64 >= Self::MAX_UNACKNOWLEDGED {
            return Err(TabError::Unacknowledged);
        }
        if now >= offer.offer().until.plus(PAYABLE_AFTER_MS) {
            return Err(TabError::OfferExpired);
        }
        let due = offer.offer().price.times(ticks).and_then(|due| self.spent().checked_add(due));
        let cumulative = due.filter(|total| *total <= self.limit).ok_or(TabError::CapReached)?;
        let body = Voucher {
            genesis: self.terms.genesis,
            channel: self.channel,
            offer: offer.hash(),
            tick,
            cumulative,
        };
        let voucher = Signed::sign(body, signer).map_err(|_| TabError::SignRefused)?;
        self.signed = Some(voucher);
        self.highest_signed = self.highest_signed.max(Some(tick));
        self.totals.signed += ticks;
        if self.recent.len() == Self::MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(Total { tick, cumulative, ticks });
        self.unacknowledged().ok_or(TabError::Unacknowledged)
    }

    pub fn acknowledged(&mut self, stored: &Acknowledged) -> Result<(), TabError> {
        self.must_be_ours(stored.channel)?;
        if !self.has_signed(stored.tick, stored.cumulative) {
            // Late, of something that a receipt confirmed since; or invented.
            return if Some(stored.tick) <= self.acknowledged { Ok(()) } else { Err(TabError::NotOurs) };
        }
        self.stored_up_to(stored.tick);
        Ok(())
    }

    fn stored_up_to(&mut self, tick: Tick) {
        if Some(tick) > self.acknowledged {
            self.acknowledged = Some(tick);
            // A second that was paid in advance is named by the voucher after it, if it did not play.
            self.unplayed.forget_before(tick.0 + u64::from(!self.was_in_advance(tick)));
        }
    }

    /// A voucher that the node has stored: our own signature, so it is believed before our memory.
    fn shown(&mut self, last: &Signed<Voucher>) -> Result<(), TabError> {
        let body = &last.body;
        if body.channel != self.channel || body.genesis != self.terms.genesis {
            return Err(TabError::WrongChannel);
        }
        if self.has_signed(body.tick, body.cumulative) {
            self.stored_up_to(body.tick);
            return Ok(());
        }
        if Some(body.tick) <= self.acknowledged {
            return Ok(());
        }
        last.verify(&self.terms.session).map_err(|_| TabError::NotOurVoucher)?;
        // This machine has forgotten it: go on from there. What it has signed since stands on an older total and will
        // never be taken, so those seconds are owed again.
        if self.signed.is_none_or(|signed| signed.body.tick < body.tick) {
            (self.has_credit, self.owed) = (false, 0);
        } else {
            let void = self.waiting().map(|total| total.ticks).sum::<u64>();
            // A second that was paid in advance among them is not paid any more, nor owed.
            let is_void = self.has_credit && self.ahead > Some(body.tick);
            self.has_credit &= !is_void;
            self.owed += void.saturating_sub(is_void.into());
            self.totals.signed = self.totals.signed.saturating_sub(void);
        }
        self.signed = Some(*last);
        self.highest_signed = self.highest_signed.max(Some(body.tick));
        self.recent = [Total { tick: body.tick, cumulative: body.cumulative, ticks: 0 }].into();
        self.next = self.next.max(body.tick.0 + 1);
        self.stored_up_to(body.tick);
        Ok(())
    }

    pub fn refused(&mut self, refused: &Refused) -> Result<Reaction, TabError> {
        self.must_be_ours(refused.channel)?;
        if let Some(last) = &refused.last {
            self.shown(last)?;
        }
        let newest = self.signed.map(|signed| signed.body.tick);
        let is_old = refused.tick.is_some() && (refused.tick != newest || newest <= self.acknowledged);
        Ok(match refused.reason {
            _ if is_old => Reaction::Nothing,
            reason if reason.is_passing() => Reaction::Again,
            reason => Reaction::Leave(reason),
        })
    }

    pub fn ended(&mut self, channel: ChannelId, ending: Ending) -> Result<Ending, TabError> {
        self.must_be_ours(channel)?;
        self.stop();
        self.pays_ahead |= ending == Ending::TooManyUnplayed;
        Ok(ending)
    }

    /// Nothing more is watched; what was played is still owed and sent.
    pub fn stop(&mut self) {
        if self.state == State::Watching {
            self.state = State::Idle;
        }
    }

    /// An offer that was made; nothing changes before [`Tab::consent`].
    pub fn offered(&mut self, offer: VerifiedOffer) -> Result<(), TabError> {
        fits(&self.terms, &offer)?;
        self.offered = Some(offer);
        Ok(())
    }

    /// A person, or a rule that a person set, takes the offer: the next voucher names it.
    pub fn consent(&mut self, offer: &OfferHash) -> Result<(), TabError> {
        let offered = self.offered.take_if(|offered| offered.hash() == *offer);
        self.next_offer = Some(offered.ok_or(TabError::NoSuchOffer)?);
        Ok(())
    }

    fn must_watch(&self) -> Result<(), TabError> {
        match self.state {
            State::Watching => Ok(()),
            State::Idle => Err(TabError::NotWatching),
            State::Closed => Err(TabError::Closed),
        }
    }

    fn must_be_ours(&self, channel: ChannelId) -> Result<(), TabError> {
        if channel == self.channel { Ok(()) } else { Err(TabError::WrongChannel) }
    }
}

fn fits(terms: &ChannelTerms, offer: &VerifiedOffer) -> Result<(), TabError> {
    let body = offer.offer();
    let same = (terms.genesis, terms.asset, terms.payee, terms.node)
        == (body.genesis, body.asset, body.payee.account(), offer.node());
    if same { Ok(()) } else { Err(TabError::ForeignOffer) }
}
