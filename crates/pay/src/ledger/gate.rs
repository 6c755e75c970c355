//! Whether the next second may be sent.

use super::{Committed, Ledger, Uncommitted};
use crate::channel::Funding;
use crate::message::Ending;
use crate::offer_book::OfferBook;
use crate::refusal::Refusal;
use crate::tick::Tick;
use crate::time::UnixMillis;
use crate::wire::MAX_INTEGER;

/// The gate is open.
#[derive(Debug)]
pub enum Forward {
    /// Send this second. It counts as sent.
    Send(Tick),
    /// Store this and hand it back, then ask again: what may be sent is written down first, so that a crash gives
    /// nobody new grace.
    Reserve(Uncommitted),
}

/// The gate is closed, until something changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Hold {
    #[error("nobody watches")]
    NoSession,
    #[error("the first tick is paid in advance")]
    Unpaid,
    #[error("the grace is spent")]
    GraceSpent,
    /// Of a channel whose opening is not final.
    #[error("the channel is not final yet, and what is served until then is spent")]
    Unconfirmed,
    #[error("the deposit does not pay another second")]
    DepositSpent,
    /// It passes once a transfer is final.
    #[error("the credit window is full until a transfer is final")]
    CreditSpent,
    /// It passes once the next second is paid in advance.
    #[error("too many seconds were named unplayed")]
    TooManyUnplayed,
    /// It passes once the chain is heard again: see [`crate::ChannelTerms::is_served_at_age`].
    #[error("the chain was not heard for too long")]
    ChainAway,
    #[error("something is being stored")]
    Committing,
    #[error("{0}")]
    Refused(#[from] Refusal),
}

impl Hold {
    /// What the viewer is told when it lasts; `None` for what passes by itself.
    pub const fn ending(self) -> Option<Ending> {
        match self {
            Self::GraceSpent | Self::Unpaid => Some(Ending::GraceSpent),
            Self::DepositSpent => Some(Ending::DepositSpent),
            Self::TooManyUnplayed => Some(Ending::TooManyUnplayed),
            Self::Refused(Refusal::OfferExpired | Refusal::UnknownOffer) => Some(Ending::OfferExpired),
            Self::Refused(_) => Some(Ending::ChannelEnded),
            Self::NoSession | Self::Unconfirmed | Self::CreditSpent | Self::ChainAway | Self::Committing => {
                None
            }
        }
    }
}

impl Ledger {
    /// Asks for the next second. It is sent whole: a second that could not be is [`Ledger::failed`].
    pub fn forward(&mut self, book: &OfferBook, now: UnixMillis) -> Result<Forward, Hold> {
        let session = self.session.as_ref().ok_or(Hold::NoSession)?;
        let offer = *session.offer.offer();
        // It may have been withdrawn.
        book.in_force(&session.offer.hash(), now)?;
        let funding = self.channel.funding(now)?;
        if self.books.close.is_some() {
            return Err(Hold::Refused(Refusal::CloseAgreed));
        }
        if self.books.last.is_none() {
            return Err(Hold::Unpaid);
        }
        let grace = i64::from(offer.grace_ticks);
        let unpaid = self.books.unpaid(self.begun);
        if unpaid + 1 > grace {
            // Of what is unpaid nothing is left that may still be paid.
            let is_named = unpaid <= i64::try_from(self.books.disputed).unwrap_or(i64::MAX);
            return Err(if is_named { Hold::TooManyUnplayed } else { Hold::GraceSpent });
        }
        let until_final = offer.grace_ticks.max(self.config.unconfirmed_ticks);
        if matches!(funding, Funding::Unconfirmed { .. }) && self.begun >= until_final.into() {
            return Err(Hold::Unconfirmed);
        }
        let owed = offer.price.times(u64::try_from(unpaid + 1).unwrap_or(0));
        let total = owed.and_then(|owed| self.accepted().checked_add(owed));
        if total.is_none_or(|total| total > funding.deposit()) {
            let is_credit = self.channel.terms().is_credit();
            return Err(if is_credit { Hold::CreditSpent } else { Hold::DepositSpent });
        }
        if self.begun < self.books.reserved {
            self.begun += 1;
            return Ok(Forward::Send(Tick(self.begun - 1)));
        }
        if self.staged.is_some() {
            return Err(Hold::Committing);
        }
        let ahead = u64::try_from(grace - unpaid).unwrap_or(0).min(self.config.reserve_ticks.into()).max(1);
        if self.begun + ahead > MAX_INTEGER {
            return Err(Hold::Refused(Refusal::ChannelExpiring));
        }
        let mut next = self.books.clone();
        next.reserved = self.begun + ahead;
        Ok(Forward::Reserve(self.stage_books(next, None, None, Committed::default())))
    }
}
