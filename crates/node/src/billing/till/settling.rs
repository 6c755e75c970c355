//! What goes on chain: vouchers that are due, and closes that both sides signed.

use std::cmp::Reverse;

use pay::ledger::{SettleReason, Settlement};
use pay::{Amount, Channel, ChannelId, CloseTerms, Phase, Signed, UnixMillis};

use super::accounts::Account;
use super::{Party, Till};
use crate::billing::journal::OpenSettlement;

/// After one that failed, the same is not tried for so long; each time twice as long, up to the last.
const AGAIN_FIRST_MS: u64 = 2_000;
const AGAIN_LAST_MS: u64 = 60_000;
/// What is urgent and did not get there is never put off for longer: the payer's window goes by meanwhile.
pub const AGAIN_URGENT_MS: u64 = 5_000;

/// When what failed is tried again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Retry {
    not_before: Option<UnixMillis>,
    urgent_not_before: Option<UnixMillis>,
    pause_ms: u64,
}

impl Retry {
    fn may(&self, now: UnixMillis) -> bool {
        self.not_before.is_none_or(|at| now >= at)
    }

    fn may_urgently(&self, now: UnixMillis) -> bool {
        self.urgent_not_before.is_none_or(|at| now >= at)
    }

    fn after_a_while(&mut self, now: UnixMillis) {
        self.pause_ms = (self.pause_ms * 2).clamp(AGAIN_FIRST_MS, AGAIN_LAST_MS);
        self.not_before = Some(now.plus(self.pause_ms));
        self.urgent_not_before = Some(now.plus(self.pause_ms.min(AGAIN_URGENT_MS)));
    }

    /// Each try costs a fee, however urgent it is.
    fn after_long(&mut self, now: UnixMillis) {
        self.pause_ms = AGAIN_LAST_MS;
        self.not_before = Some(now.plus(self.pause_ms));
        self.urgent_not_before = self.not_before;
    }
}

/// A voucher that is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due {
    pub party: Party,
    pub settlement: Settlement,
}

/// A close that both sides signed, and that the chain has not seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DueClose {
    pub party: Party,
    pub channel: ChannelId,
    pub theirs: Signed<CloseTerms>,
    pub ours: Signed<CloseTerms>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CloseState {
    Submitted(Retry),
    /// Until it is tried again its voucher is redeemed instead; `None`: never again.
    Failed(Option<Retry>),
}

impl CloseState {
    fn may_be_sent(self, now: UnixMillis) -> bool {
        matches!(self, Self::Failed(Some(retry)) if retry.may(now))
    }
}

pub fn reason_text(reason: SettleReason) -> &'static str {
    match reason {
        SettleReason::CounterClose => "counter_close",
        SettleReason::Expiring => "expiring",
        SettleReason::Threshold => "threshold",
        SettleReason::Interval => "interval",
        SettleReason::End => "end",
    }
}

impl Till {
    /// At most `most` vouchers, the most urgent first; of these the one whose channel closes first, then the one that is
    /// worth most. Each is said again until [`Till::settling`] was called.
    pub fn due(&self, most: usize, now: UnixMillis) -> Vec<Due> {
        if !self.rules.settles {
            return Vec::new();
        }
        let due = self.accounts.iter().filter_map(|(party, account)| {
            let settlement = account.ledger.settlement_due(now)?;
            let open = account.ledger.accepted().checked_sub(account.ledger.channel().head().settled())?;
            let is_urgent = settlement.reason.is_urgent();
            let is_idle = settlement.reason != SettleReason::End
                || now.millis_since(account.left_at) >= self.rules.settle_idle_ms;
            let pays = account.hurried_for.is_some() || (is_idle && open >= self.rules.settle_at_least);
            // A close pays it, too.
            let id = account.ledger.channel().id();
            let will_close = account.ledger.close_agreed().is_some()
                && !matches!(self.closes.get(&id), Some(CloseState::Failed(_)));
            let may = match is_urgent {
                true => account.retry.may_urgently(now),
                false => pays && !will_close && account.retry.may(now),
            };
            let order = (urgency(settlement.reason), closes_at(account.ledger.channel()), Reverse(open));
            may.then_some((order, Due { party: *party, settlement }))
        });
        let mut due: Vec<_> = due.collect();
        due.sort_by_key(|(order, _)| *order);
        due.truncate(most);
        due.into_iter().map(|(_, due)| due).collect()
    }

    pub fn closes_due(&self, most: usize, now: UnixMillis) -> Vec<DueClose> {
        if !self.rules.settles {
            return Vec::new();
        }
        let due = self.accounts.iter().filter_map(|(party, account)| {
            let (theirs, ours) = *account.ledger.close_agreed()?;
            let channel = account.ledger.channel();
            let is_open = !channel.terms().is_credit()
                && matches!(channel.finalized(), Phase::Open(_) | Phase::Closing { .. })
                && !matches!(channel.head(), Phase::Closed { .. });
            // A payer of whom the creator had nothing may see to it, or many would cost the node a fee each for nothing.
            // Whoever paid gets the rest back even where all of it was settled a moment ago.
            let has_paid = theirs.body.cumulative > Amount::ZERO;
            let may = self.closes.get(&channel.id()).is_none_or(|state| state.may_be_sent(now));
            let is_due = is_open && has_paid && may;
            is_due.then_some(DueClose { party: *party, channel: channel.id(), theirs, ours })
        });
        due.take(most).collect()
    }

    /// It is on its way: not again, unless it fails or a later one is due.
    pub fn settling(&mut self, due: &Due) {
        if let Some(account) = self.accounts.get_mut(&due.party) {
            if let Some(next) = account.hurried_for {
                let Account { spare, hurried_by, .. } = account;
                hurried_by.retain(|id| spare.contains_key(id));
                hurried_by.insert(next);
            }
            account.ledger.settling(&due.settlement);
        }
    }

    pub fn closing(&mut self, channel: ChannelId) {
        let retry = match self.closes.get(&channel) {
            Some(CloseState::Failed(Some(retry))) => *retry,
            _ => Retry::default(),
        };
        self.closes.insert(channel, CloseState::Submitted(retry));
    }

    /// What a node that ended had perhaps sent is not sent again before that is known.
    pub fn in_doubt(&mut self, open: &OpenSettlement) {
        match open.kind {
            crate::billing::journal::SettleKind::Close => self.closing(open.channel),
            crate::billing::journal::SettleKind::Settle => {
                let Some(account) = self.account_of(open.channel) else { return };
                // The ledger compares totals alone, and its last voucher is this one or a later one.
                if let Some(voucher) = account.ledger.last_voucher().copied()
                    && voucher.body.cumulative <= open.cumulative
                {
                    account.ledger.settling(&Settlement { reason: SettleReason::End, voucher });
                    account.ledger.settlement_doubtful();
                }
            }
        }
    }

    /// Nobody knows whether it will be in a block. What is urgent does not wait for that.
    pub fn settling_doubtful(&mut self, channel: ChannelId) {
        if let Some(account) = self.account_of(channel) {
            account.ledger.settlement_doubtful();
        }
    }

    /// It will never be in a block, because it did not get there; soon it is due again.
    pub fn settling_failed(&mut self, channel: ChannelId, now: UnixMillis) {
        if let Some(account) = self.account_of(channel) {
            account.ledger.settlement_failed();
            account.retry.after_a_while(now);
        }
    }

    /// The chain did not take it, and had its fee; it will hardly take the same soon.
    pub fn settling_refused(&mut self, channel: ChannelId, now: UnixMillis) {
        if let Some(account) = self.account_of(channel) {
            account.ledger.settlement_failed();
            account.retry.after_long(now);
        }
    }

    pub fn settling_done(&mut self, channel: ChannelId) {
        if let Some(account) = self.account_of(channel) {
            account.retry = Retry::default();
        }
    }

    /// The chain is heard again: what could not get there is tried at once, the most urgent first.
    pub fn chain_is_back(&mut self) {
        self.accounts.values_mut().for_each(|account| account.retry = Retry::default());
        for state in self.closes.values_mut() {
            if let CloseState::Failed(Some(retry)) = state {
                *retry = Retry::default();
            }
        }
    }

    /// It did not get into a block: it is tried again after a while.
    pub fn closing_failed(&mut self, channel: ChannelId, now: UnixMillis) {
        let mut retry = match self.closes.get(&channel) {
            Some(CloseState::Submitted(retry)) => *retry,
            _ => Retry::default(),
        };
        retry.after_a_while(now);
        self.closes.insert(channel, CloseState::Failed(Some(retry)));
    }

    /// The chain did not take it, and would not take it another time.
    pub fn closing_refused(&mut self, channel: ChannelId) {
        self.closes.insert(channel, CloseState::Failed(None));
    }

    /// What the payee has got of a channel, in final blocks, and whether it is closed.
    pub fn settled(&self, channel: ChannelId) -> Option<(Amount, bool)> {
        let account = self.accounts.get(self.channels.get(&channel)?)?;
        let own = account.ledger.channel();
        let channel = if own.id() == channel { own } else { account.spare.get(&channel)? };
        Some((channel.finalized().settled(), matches!(channel.finalized(), Phase::Closed { .. })))
    }

    fn account_of(&mut self, channel: ChannelId) -> Option<&mut super::Account> {
        let party = self.channels.get(&channel)?;
        self.accounts.get_mut(party).filter(|account| account.ledger.channel().id() == channel)
    }
}

fn urgency(reason: SettleReason) -> u8 {
    match reason {
        SettleReason::CounterClose | SettleReason::Expiring => 0,
        SettleReason::Threshold => 1,
        SettleReason::Interval => 2,
        SettleReason::End => 3,
    }
}

/// From when on the payer may take what was not settled.
fn closes_at(channel: &Channel) -> UnixMillis {
    match (channel.finalized(), channel.head()) {
        (_, Phase::Closing { closes_at, .. }) | (Phase::Closing { closes_at, .. }, _) => closes_at,
        (_, Phase::Open(funds)) | (Phase::Open(funds), _) => funds.expires_at,
        (Phase::Absent | Phase::Closed { .. }, Phase::Absent | Phase::Closed { .. }) => UnixMillis(u64::MAX),
    }
}
