//! When the newest voucher goes on chain, and whether everything adds up.

use super::{Ledger, Settling};
use crate::amount::Amount;
use crate::channel::Phase;
use crate::signed::Signed;
use crate::time::UnixMillis;
use crate::voucher::Voucher;

/// The most urgent one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SettleReason {
    /// The other side has started to close: at once.
    CounterClose,
    /// The channel is at its end, or nearly: at once.
    Expiring,
    Threshold,
    Interval,
    /// Nobody watches any more.
    End,
}

impl SettleReason {
    /// What is not settled soon is lost.
    pub const fn is_urgent(self) -> bool {
        matches!(self, Self::CounterClose | Self::Expiring)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settlement {
    pub reason: SettleReason,
    pub voucher: Signed<Voucher>,
}

/// What should be impossible, and is shown to whoever keeps the books.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AuditError {
    #[error("the chain has settled more than was accepted here")]
    SettledBeyondAccepted,
    #[error("more was accepted than is deposited")]
    AcceptedBeyondDeposit,
    #[error("the paid and the unplayed seconds are not all that the last voucher accounts for")]
    TicksDoNotAddUp,
    #[error("a receipt confirms more than was accepted")]
    ReceiptBeyondAccepted,
    #[error("more seconds were sent than grace and forgiveness allow")]
    BeyondGrace,
    #[error("the stored voucher is not signed by the channel's session key")]
    VoucherForged,
}

impl Ledger {
    /// What to settle now, if anything. It is said again until [`Ledger::settling`] was called.
    pub fn settlement_due(&self, now: UnixMillis) -> Option<Settlement> {
        let voucher = self.books.last?;
        let total = voucher.body.cumulative;
        let settled = self.channel.head().settled();
        let (finalized, head) = (self.channel.finalized(), self.channel.head());
        // A credit account's voucher is no claim on anything.
        let redeemable = !self.channel.terms().is_credit()
            && matches!(finalized, Phase::Open(_) | Phase::Closing { .. })
            && !matches!(head, Phase::Closed { .. } | Phase::Absent);
        if !redeemable || total <= settled {
            return None;
        }
        let open = total.checked_sub(settled)?;
        let since = self.books.unsettled_since.unwrap_or(now);
        // As long again as the dispute window is left for blocks that are full.
        let margin = self.channel.terms().dispute_window_ms;
        let reason = if matches!(head, Phase::Closing { .. }) || matches!(finalized, Phase::Closing { .. }) {
            SettleReason::CounterClose
        } else if self.channel.serves_for_ms(now).is_some_and(|left| left <= margin) {
            SettleReason::Expiring
        } else if open >= self.config.settle_from {
            SettleReason::Threshold
        } else if now.millis_since(since) >= self.config.settle_after_ms {
            SettleReason::Interval
        } else if self.session.is_none() {
            SettleReason::End
        } else {
            return None;
        };
        // The chain takes each total once: what may be lost is sent again before it is known to be, and at worst costs a
        // second fee.
        let is_sent = self
            .settling
            .is_some_and(|settling| settling.total >= total && !(settling.is_doubtful && reason.is_urgent()));
        (!is_sent).then_some(Settlement { reason, voucher })
    }

    /// It was submitted: not again, until a later voucher is due or this one failed.
    pub fn settling(&mut self, settlement: &Settlement) {
        self.settling = Some(Settling { total: settlement.voucher.body.cumulative, is_doubtful: false });
    }

    /// Whether what was submitted will be in a block is not known: nothing but what is urgent is submitted again.
    pub fn settlement_doubtful(&mut self) {
        if let Some(settling) = &mut self.settling {
            settling.is_doubtful = true;
        }
    }

    /// What was submitted will never be in a block.
    pub fn settlement_failed(&mut self) {
        self.settling = None;
    }

    /// Holds the books against themselves and against the chain.
    pub fn audit(&self) -> Result<(), AuditError> {
        let accepted = self.accepted();
        // Of a credit account the payer may have paid ahead.
        let is_credit = self.channel.terms().is_credit();
        if self.channel.finalized().settled() > accepted && !is_credit {
            return Err(AuditError::SettledBeyondAccepted);
        }
        let deposit = match self.channel.finalized() {
            Phase::Open(funds) | Phase::Closing { funds, .. } => funds.deposit,
            Phase::Absent | Phase::Closed { .. } => Amount::MAX,
        };
        if accepted > deposit {
            return Err(AuditError::AcceptedBeyondDeposit);
        }
        let totals = &self.books.totals;
        if totals.paid + totals.unplayed != self.books.accounted() {
            return Err(AuditError::TicksDoNotAddUp);
        }
        if self.books.receipt.is_some_and(|receipt| receipt.body.cumulative > accepted) {
            return Err(AuditError::ReceiptBeyondAccepted);
        }
        let grace = self.session.as_ref().map(|session| session.offer.offer().grace_ticks);
        let allowed = i64::from(grace.unwrap_or(crate::Offer::MAX_GRACE_TICKS));
        if self.books.unpaid(self.begun) > allowed && self.books.disputed == 0 && grace.is_some() {
            return Err(AuditError::BeyondGrace);
        }
        match &self.books.last {
            Some(last) => last.verify(&self.channel.terms().session).map_err(|_| AuditError::VoucherForged),
            None => Ok(()),
        }
    }
}
