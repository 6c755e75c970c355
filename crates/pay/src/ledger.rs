//! A node's account of one payer: what was sent, what was paid, and whether more may be sent. It decides; what it
//! decides is stored by somebody else, and only what was stored is answered: see [`Uncommitted`].

mod books;
mod check;
mod gate;
mod settle;

pub use books::{Standing, Totals};
pub use check::{Examined, Verified, verify_all};
pub use gate::{Forward, Hold};
pub use settle::{AuditError, SettleReason, Settlement};

use books::{Books, Fate, Step};

use crate::amount::Amount;
use crate::channel::{Channel, ChannelEvent, EventRefused, Phase};
use crate::close::CloseTerms;
use crate::id::{ContentId, OfferHash, ReceiptHash};
use crate::key::Signer;
use crate::message::{Acknowledged, Refused, Report, Started};
use crate::offer::VerifiedOffer;
use crate::offer_book::OfferBook;
use crate::receipt::Receipt;
use crate::refusal::Refusal;
use crate::signed::Signed;
use crate::tick::Tick;
use crate::time::UnixMillis;
use crate::voucher::Voucher;
use crate::wire::{DecodeError, Wire};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LedgerConfig {
    /// Of the seconds that an account names unplayed so many are forgiven, each against one that it has paid.
    pub forgive_ticks: u16,
    /// Beyond these, one for each so many that it has paid.
    pub forgive_each: u64,
    /// Seconds named unplayed count against the layer for so long.
    pub named_window_ms: u64,
    /// How many seconds ahead are written down as sent, so that a crash gives no grace back: more means fewer writes
    /// while nobody pays, and more seconds passed over after a crash.
    pub reserve_ticks: u16,
    /// Of a channel whose opening is not final so many seconds are served, and the grace at least: what its creator loses
    /// should the opening be undone.
    pub unconfirmed_ticks: u16,
    /// A receipt each so many paid ticks.
    pub receipt_ticks: u64,
    /// Unsettled amounts from this on are settled.
    pub settle_from: Amount,
    /// Older ones too, in milliseconds.
    pub settle_after_ms: u64,
}

impl LedgerConfig {
    /// How many seconds an account is forgiven at most that has paid so many: only payment gives more.
    pub fn forgivable(&self, paid: u64) -> u64 {
        paid.min(u64::from(self.forgive_ticks) + paid / self.forgive_each.max(1))
    }
}

impl Default for LedgerConfig {
    fn default() -> Self {
        Self {
            forgive_ticks: 30,
            forgive_each: 10,
            named_window_ms: 600_000,
            reserve_ticks: 2,
            unconfirmed_ticks: 0,
            receipt_ticks: 10,
            settle_from: Amount::MAX,
            settle_after_ms: 3_600_000,
        }
    }
}

/// Who watches at present.
#[derive(Clone, Copy, Debug)]
struct Session {
    offer: VerifiedOffer,
    content: ContentId,
    /// Seconds from here on are of this content.
    first: u64,
}

/// One payer's, at one payee's node. The count of what is unpaid belongs to the account: it outlives connections,
/// restarts and channels.
#[derive(Debug)]
pub struct Ledger {
    config: LedgerConfig,
    channel: Channel,
    /// As stored.
    books: Books,
    /// The next second to send; at most `books.reserved`.
    begun: u64,
    session: Option<Session>,
    staged: Option<Staged>,
    serial: u64,
    settling: Option<Settling>,
}

/// A total that was submitted.
#[derive(Clone, Copy, Debug)]
struct Settling {
    total: Amount,
    /// Nobody knows whether it will be in a block.
    is_doubtful: bool,
}

/// What is being stored.
#[derive(Debug)]
struct Staged {
    serial: u64,
    books: Books,
    /// Where it is another one's from then on.
    channel: Option<Channel>,
}

/// What must be stored before anything is answered: the whole record, in place of the one before. Hand it back to
/// [`Ledger::committed`] once it is durable, or to [`Ledger::aborted`] when it could not be stored. One that is lost
/// stops the ledger, which is then read from the store again.
#[derive(Debug)]
#[must_use = "nothing is accepted before this is stored and handed back"]
pub struct Uncommitted {
    serial: u64,
    record: Vec<u8>,
    outcome: Box<Outcome>,
}

#[derive(Debug)]
struct Outcome {
    voucher: Option<Signed<Voucher>>,
    said: Committed,
}

impl Uncommitted {
    /// For [`Ledger::restore`].
    pub fn record(&self) -> &[u8] {
        &self.record
    }

    /// The voucher in it, for a table of them.
    pub fn voucher(&self) -> Option<&Signed<Voucher>> {
        self.outcome.voucher.as_ref()
    }

    pub fn receipt(&self) -> Option<&Signed<Receipt>> {
        self.outcome.said.receipt.as_ref()
    }
}

/// What may be said now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Committed {
    pub acknowledged: Option<Acknowledged>,
    pub receipt: Option<Signed<Receipt>>,
    pub closed: Option<Signed<CloseTerms>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("this is not what the ledger waits for")]
pub struct NotStaged;

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("the stored record cannot be read")]
    Unreadable(#[from] DecodeError),
    #[error("the stored record is another channel's")]
    OtherChannel,
}

impl Ledger {
    /// For an account that never paid here.
    pub fn new(config: LedgerConfig, channel: Channel) -> Self {
        Self::of_account(config, channel, Standing::default())
    }

    /// For an account of whose earlier channels nothing is left but how it stands.
    pub fn of_account(config: LedgerConfig, channel: Channel, standing: Standing) -> Self {
        let books = Books { account: standing, ..Books::new(channel.id()) };
        Self::with(config, channel, books)
    }

    /// After a restart: nobody watches, and all that may have been sent counts as sent.
    pub fn restore(config: LedgerConfig, channel: Channel, record: &[u8]) -> Result<Self, RestoreError> {
        let books = Books::from_bytes(record)?;
        if books.channel != channel.id() {
            return Err(RestoreError::OtherChannel);
        }
        Ok(Self::with(config, channel, books))
    }

    fn with(config: LedgerConfig, channel: Channel, books: Books) -> Self {
        let begun = books.reserved;
        Self { config, channel, books, begun, session: None, staged: None, serial: 0, settling: None }
    }

    /// Another channel of the same account, once that is stored. What was left unpaid on the old one stays unpaid.
    pub fn replace_channel(&mut self, channel: Channel) -> Result<Uncommitted, Refusal> {
        let (old, new) = (self.channel.terms(), channel.terms());
        let same_parties = (old.payer, old.payee, old.node) == (new.payer, new.payee, new.node);
        if !same_parties || channel.id() == self.channel.id() {
            return Err(Refusal::WrongChannel);
        }
        if self.staged.is_some() {
            return Err(Refusal::Committing);
        }
        if !self.is_settled() {
            return Err(Refusal::Unsettled);
        }
        let mut books = Books::new(channel.id());
        books.disputed = u64::try_from(self.books.unpaid(self.begun)).unwrap_or(0);
        books.named_at = self.books.named_at.clone();
        books.account = self.books.account;
        self.session = None;
        Ok(self.stage_books(books, Some(channel), None, Committed::default()))
    }

    /// Whether the payee has all that was accepted, in final blocks, or all that it will get: its channel may be left for
    /// another.
    pub fn is_settled(&self) -> bool {
        // An agreed close is carried out before its books are left; one of which nobody got anything is the payer's.
        let is_closing = self.books.close.is_some_and(|(theirs, _)| !theirs.body.cumulative.is_zero());
        let is_closed = matches!(self.channel.finalized(), Phase::Closed { .. });
        is_closed || (self.accepted() <= self.channel.finalized().settled() && !is_closing)
    }

    pub const fn channel(&self) -> &Channel {
        &self.channel
    }

    /// What was accepted and stored.
    pub fn accepted(&self) -> Amount {
        self.books.last.map_or(Amount::ZERO, |last| last.body.cumulative)
    }

    pub const fn last_voucher(&self) -> Option<&Signed<Voucher>> {
        self.books.last.as_ref()
    }

    pub const fn totals(&self) -> &Totals {
        &self.books.totals
    }

    /// Seconds sent beyond what is paid, as the gate counts them.
    pub fn unpaid_ticks(&self) -> i64 {
        self.books.unpaid(self.begun)
    }

    /// How many seconds the account has paid and how many it was forgiven, over all of its channels.
    pub const fn standing(&self) -> &Standing {
        &self.books.account
    }

    /// How many seconds were named unplayed of late, and how many make the worst layer: a node lowers the layer of a
    /// viewer before it sends it none.
    pub fn named(&self, now: UnixMillis) -> (u16, u16) {
        let window = self.config.named_window_ms;
        let recent = self.books.named_at.iter().filter(|at| now.millis_since(**at) < window).count();
        (u16::try_from(recent).unwrap_or(u16::MAX), self.config.forgive_ticks)
    }

    /// The offer by which media is sent at present.
    pub fn offer(&self) -> Option<&VerifiedOffer> {
        self.session.as_ref().map(|session| &session.offer)
    }

    /// The second that was paid in advance, while nothing later is paid, and its tier: no better one is sent for it.
    pub fn paid_ahead(&self) -> Option<(Tick, u8)> {
        let last = self.books.last.as_ref().map(|last| &last.body).filter(|_| self.books.is_ahead)?;
        let by = self.books.offers.iter().find(|offer| offer.hash() == last.offer);
        Some((last.tick, by.map_or(0, |offer| offer.offer().quality.tier)))
    }

    /// The same record as [`Uncommitted::record`], for a node that ends in order: seconds that were reserved and not
    /// sent are given back. Nothing may be sent after it.
    pub fn final_record(mut self) -> Option<Vec<u8>> {
        if self.staged.is_some() {
            return None;
        }
        self.books.reserved = self.begun;
        Some(self.books.to_bytes())
    }

    /// A viewer joins, or comes back; whoever watched before on this channel does so no more.
    pub fn start(
        &mut self,
        offer: &OfferHash,
        book: &OfferBook,
        now: UnixMillis,
    ) -> Result<Started, Refusal> {
        self.channel.funding(now)?;
        if self.books.close.is_some() {
            return Err(Refusal::CloseAgreed);
        }
        // A viewer that forgot a voucher which is being stored would be shown an older one.
        if self.staged.is_some() {
            return Err(Refusal::Committing);
        }
        let offer = *book.in_force(offer, now)?;
        self.must_fit(&offer)?;
        let begun = self.begun;
        self.edit(|books| {
            books.remember_offer(&offer);
            books.send_by(offer.offer().quality.tier, begun);
        });
        self.session = Some(Session { offer, content: offer.offer().content, first: self.begun });
        let Books { last, receipt, .. } = self.books;
        Ok(Started { channel: self.channel.id(), last, receipt, next: Tick(self.begun) })
    }

    /// Nobody watches any more.
    pub fn stop(&mut self) {
        self.session = None;
    }

    fn must_fit(&self, offer: &VerifiedOffer) -> Result<(), Refusal> {
        let (terms, body) = (self.channel.terms(), offer.offer());
        let fits = (terms.genesis, terms.asset, terms.payee, terms.node)
            == (body.genesis, body.asset, body.payee.account(), offer.node());
        if fits { Ok(()) } else { Err(Refusal::ForeignOffer) }
    }

    /// What a viewer is told that was refused.
    pub fn refused(&self, tick: Option<Tick>, reason: Refusal) -> Refused {
        Refused { channel: self.channel.id(), tick, reason, last: self.books.last }
    }

    /// Feedback covers a second.
    pub fn delivered(&mut self, tick: Tick) {
        self.mark(tick, Fate::Delivered);
    }

    /// The node itself failed to send a second: it is nobody's debt. Never to be said on the word of a viewer, whose
    /// reports of loss could be false.
    pub fn failed(&mut self, tick: Tick) {
        self.mark(tick, Fate::Failed);
    }

    fn mark(&mut self, tick: Tick, fate: Fate) {
        let begun = self.begun;
        self.edit(|books| {
            let open = (books.first_open()..begun).contains(&tick.0);
            let known = books.fates.contains_key(&tick.0);
            if open && !known && books.fates.len() < Books::MAX_FATES {
                books.fates.insert(tick.0, fate);
            }
        });
    }

    /// Seconds named unplayed without a voucher. What was accounted for is passed over, so it may come twice.
    pub fn report(&mut self, report: &Report, now: UnixMillis) -> Result<(), Refusal> {
        if report.channel != self.channel.id() {
            return Err(Refusal::WrongChannel);
        }
        if report.unplayed.end().is_some_and(|end| end > self.begun) {
            return Err(Refusal::UnplayedOutOfRange);
        }
        let (begun, config) = (self.begun, self.config);
        self.edit(|books| {
            for tick in report.unplayed.within(books.first_open(), begun) {
                if books.fates.len() < Books::MAX_FATES || books.fates.contains_key(&tick) {
                    books.name_unplayed(tick, now, &config);
                }
            }
        });
        Ok(())
    }

    /// A change that need not be stored at once: lost in a crash, it costs the viewer's side a part of the grace.
    fn edit(&mut self, change: impl Fn(&mut Books)) {
        change(&mut self.books);
        // Seconds of the old channel are none of a new one.
        if let Some(staged) = self.staged.as_mut().filter(|staged| staged.channel.is_none()) {
            change(&mut staged.books);
        }
    }

    /// Accepts a voucher whose signature was checked, once it is stored. What changed since it was examined counts.
    pub fn stage(
        &mut self,
        verified: Verified,
        book: &OfferBook,
        signer: &dyn Signer,
        now: UnixMillis,
    ) -> Result<Uncommitted, Refusal> {
        let pay = verified.into_pay();
        let (offer, paid) = self.terms_of(&pay, book, now)?;
        let (begun, tick) = (self.begun, pay.voucher.body.tick);
        if let Some(session) = self.session.as_ref().filter(|session| tick.0 >= session.first) {
            let (before, after) = (session.offer.offer().quality.tier, offer.offer().quality.tier);
            // What may be sent and was not yet may be of the better tier.
            let from = if after > before { begun.min(tick.0 + 1) } else { begun };
            self.edit(|books| books.send_by(after, from));
        }
        let mut next = self.books.clone();
        let step =
            Step { voucher: pay.voucher, unplayed: &pay.unplayed, offer, paid, is_ahead: pay.in_advance };
        next.take(&step, now, &self.config);
        let receipt = self.receipt_due(&next, signer, now)?;
        next.receipt = receipt.or(next.receipt);
        let room = i64::from(offer.offer().grace_ticks) - next.unpaid(self.begun);
        let ahead = u64::try_from(room).unwrap_or(0).min(self.config.reserve_ticks.into());
        next.reserved = next.reserved.max(self.begun + ahead);
        let Voucher { channel, tick, cumulative, .. } = pay.voucher.body;
        let acknowledged = Some(Acknowledged { channel, tick, cumulative });
        // The consent is the voucher; should storing it fail, it is sent again. One for seconds of an earlier session
        // says nothing about this one.
        if let Some(session) = self.session.as_mut().filter(|session| tick.0 >= session.first) {
            session.offer = offer;
        }
        Ok(self.stage_books(next, None, Some(pay.voucher), Committed { acknowledged, receipt, closed: None }))
    }

    fn receipt_due(
        &self,
        next: &Books,
        signer: &dyn Signer,
        now: UnixMillis,
    ) -> Result<Option<Signed<Receipt>>, Refusal> {
        let Some(last) = next.last else { return Ok(None) };
        let every = self.config.receipt_ticks.max(1);
        if next.totals.paid / every == self.books.totals.paid / every {
            return Ok(None);
        }
        let before = self.books.receipt;
        let receipt = Receipt {
            genesis: last.body.genesis,
            channel: last.body.channel,
            number: before.map_or(1, |receipt| receipt.body.number + 1),
            previous: before.map_or(ReceiptHash([0; 32]), |receipt| receipt.body.hash()),
            tick: last.body.tick,
            cumulative: last.body.cumulative,
            at: now,
        };
        self.countersign(receipt, signer).map(Some)
    }

    fn countersign<T: crate::Signable>(&self, body: T, signer: &dyn Signer) -> Result<Signed<T>, Refusal> {
        if signer.public() != self.channel.terms().node {
            return Err(Refusal::NodeFault);
        }
        Signed::sign(body, signer).map_err(|_| Refusal::NodeFault)
    }

    /// Agrees to the viewer's half of a cooperative close, once that is stored. No voucher is taken after it.
    pub fn agree_to_close(
        &mut self,
        close: &Signed<CloseTerms>,
        signer: &dyn Signer,
    ) -> Result<Uncommitted, Refusal> {
        let terms = self.channel.terms();
        if close.body.genesis != terms.genesis {
            return Err(Refusal::WrongGenesis);
        }
        if close.body.channel != self.channel.id() {
            return Err(Refusal::WrongChannel);
        }
        if self.staged.is_some() {
            return Err(Refusal::Committing);
        }
        if self.books.close.is_some() {
            return Err(Refusal::CloseAgreed);
        }
        if close.body.cumulative != self.accepted() {
            return Err(Refusal::CloseMismatch);
        }
        close.verify(&terms.session).map_err(|_| Refusal::BadSignature)?;
        let ours = self.countersign(close.body, signer)?;
        let mut next = self.books.clone();
        next.close = Some((*close, ours));
        let closed = Some(ours);
        Ok(self.stage_books(next, None, None, Committed { closed, ..Committed::default() }))
    }

    /// Both signatures of a close that was agreed to and stored, the viewer's first: for the chain, and for a viewer
    /// that asks again.
    pub const fn close_agreed(&self) -> Option<&(Signed<CloseTerms>, Signed<CloseTerms>)> {
        self.books.close.as_ref()
    }

    fn stage_books(
        &mut self,
        books: Books,
        channel: Option<Channel>,
        voucher: Option<Signed<Voucher>>,
        said: Committed,
    ) -> Uncommitted {
        self.serial += 1;
        let (serial, record) = (self.serial, books.to_bytes());
        self.staged = Some(Staged { serial, books, channel });
        Uncommitted { serial, record, outcome: Box::new(Outcome { voucher, said }) }
    }

    /// What was staged is durable: only now there is something to answer.
    pub fn committed(&mut self, stored: Uncommitted) -> Result<Committed, NotStaged> {
        let staged = self.staged.take_if(|staged| staged.serial == stored.serial).ok_or(NotStaged)?;
        self.books = staged.books;
        if let Some(channel) = staged.channel {
            self.channel = channel;
            self.begun = self.books.reserved;
            self.settling = None;
        }
        let said = stored.outcome.said;
        if said.closed.is_some() {
            self.session = None;
        }
        Ok(said)
    }

    /// What was staged was not stored, and is as if it had never come.
    pub fn aborted(&mut self, failed: &Uncommitted) -> Result<(), NotStaged> {
        self.staged.take_if(|staged| staged.serial == failed.serial).map(drop).ok_or(NotStaged)
    }

    /// An event of a final block.
    pub fn on_final(&mut self, event: ChannelEvent, now: UnixMillis) -> Result<(), EventRefused> {
        self.channel.apply_final(event)?;
        let settled = self.channel.finalized().settled();
        self.settling = self.settling.filter(|settling| settling.total > settled);
        if matches!(event, ChannelEvent::Settled { .. }) {
            let open = self.accepted() > settled;
            self.edit(|books| books.unsettled_since = open.then_some(now));
        }
        Ok(())
    }

    /// A transfer from the payer to the payee in a final block: what pays a credit account. It may be more than was
    /// signed for, and then pays what will be.
    pub fn on_transfer(&mut self, amount: Amount, now: UnixMillis) -> Result<(), EventRefused> {
        self.channel.after_transfer(amount)?.into_iter().try_for_each(|event| self.on_final(event, now))
    }

    /// All events of blocks that are not final yet, anew.
    pub fn on_pending(&mut self, events: &[ChannelEvent]) -> Result<(), EventRefused> {
        self.channel.set_pending(events)
    }
}
