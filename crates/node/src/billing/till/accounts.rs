//! Accounts and their channels, as the chain and the database tell of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chain::{BlockRef, ChannelNews, ChannelState};
use pay::channel::{EventRefused, Funds};
use pay::ledger::Standing;
use pay::{
    AccountId, Amount, Channel, ChannelEvent, ChannelId, ChannelTerms, Ledger, Phase, Price, Refusal,
    UnixMillis,
};
use serde_json::json;

use super::sessions::Word;
use super::settling::Retry;
use super::{ConnId, Party, Till};
use crate::billing::journal::{ChannelRow, Cursor, Loaded};
use crate::billing::log::Act;
use crate::billing::tickets::TicketId;

/// Payers that are known at once. Where there are more, those go that owe nothing and whose channel is closed.
const ACCOUNTS_MAX: usize = 32_768;
/// So many final blocks without news are read again after a crash: each one kept would cost the disk a write.
const CURSOR_EACH: u32 = 60;
/// Channels that blocks told of and that are not known, as many as come while a chain is asked of one of them.
const PASSED_OVER_MAX: usize = 1_024;
/// Channels of one payer to one payee beside the one in use.
const SPARE_MAX: usize = 16;

/// One payer's, at one payee.
pub(super) struct Account {
    pub ledger: Ledger,
    /// Channels that it could use instead.
    pub spare: BTreeMap<ChannelId, Channel>,
    pub watcher: Option<TicketId>,
    /// Something of it is being checked or stored.
    pub is_busy: bool,
    /// What was said meanwhile, in order.
    pub waiting: VecDeque<(ConnId, Word)>,
    /// When the last viewer left.
    pub left_at: UnixMillis,
    /// Of a settlement that failed.
    pub retry: Retry,
    /// The channels for whose sake this one was settled though that was not worth its fee: each is a deposit, and it is
    /// done once for each.
    pub hurried_by: BTreeSet<ChannelId>,
    /// The one that waits for this one's settlement now.
    pub hurried_for: Option<ChannelId>,
}

impl Account {
    fn new(ledger: Ledger) -> Self {
        Self {
            ledger,
            spare: BTreeMap::new(),
            watcher: None,
            is_busy: false,
            waiting: VecDeque::new(),
            left_at: UnixMillis(0),
            retry: Retry::default(),
            hurried_by: BTreeSet::new(),
            hurried_for: None,
        }
    }

    fn channel(&self, id: ChannelId) -> Option<&Channel> {
        let own = self.ledger.channel();
        if own.id() == id { Some(own) } else { self.spare.get(&id) }
    }

    /// Nothing would be forgotten with it but what it was forgiven.
    fn is_past(&self) -> bool {
        let channel = self.ledger.channel();
        let is_closed = match channel.finalized() {
            Phase::Closed { .. } => true,
            Phase::Absent => channel.head() == Phase::Absent && self.ledger.last_voucher().is_none(),
            Phase::Open(_) | Phase::Closing { .. } => false,
        };
        is_closed && self.is_idle() && self.spare.is_empty() && self.ledger.unpaid_ticks() <= 0
    }

    /// Opened and never used: its payer opens it again, which costs nothing.
    fn is_unused_credit(&self) -> bool {
        let paid = self.ledger.channel().credit().map(|credit| credit.paid);
        let is_unused = paid == Some(Amount::ZERO) && self.ledger.last_voucher().is_none();
        // What was left unpaid on another account of the same payer is not forgotten with it.
        is_unused && self.is_idle() && self.ledger.unpaid_ticks() <= 0
    }

    /// How it stands, where that is worse than how an account begins.
    fn forgiven(&self) -> Option<Standing> {
        Some(*self.ledger.standing()).filter(|standing| standing.forgiven > 0)
    }

    fn is_idle(&self) -> bool {
        self.watcher.is_none() && !self.is_busy && self.waiting.is_empty()
    }
}

/// Why a channel does not pay for a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unable {
    #[error("the chain knows no such channel yet")]
    Unknown,
    #[error("the node has read no block of the chain yet")]
    NoBlock,
    #[error("the chain was not heard for so long that the channel could be closed unseen")]
    ChainAway,
    #[error("the channel is another account's, or pays somebody else")]
    NotYours,
    #[error("the channel was left for another one: open a new one")]
    Retired,
    #[error("the channel's dispute window is shorter than this node takes")]
    DisputeWindow,
    #[error("the deposit does not pay another second: top the channel up")]
    TooLittle,
    #[error(
        "what this account watched from its earlier channel is settled first: it takes as long as two blocks"
    )]
    Unsettled,
    #[error(
        "what this account watched from its earlier channel is worth less than the fee of its settlement: close that \
         channel first, or watch on from it"
    )]
    SettledLater,
    #[error("this account watches from another channel now: stop there first")]
    Watching,
    #[error("the credit window is full: what is owed must be transferred first")]
    CreditSpent,
    #[error("the node is paid in another way: ask GET /api/pay")]
    OtherRail,
    #[error("the node has all the payers that it may have")]
    Full,
    #[error("{0}")]
    Refused(#[from] Refusal),
}

impl Till {
    /// What a node that starts knows. A ledger that cannot be read is an error: forgetting it would pay its payer.
    pub fn load(&mut self, loaded: Loaded) -> Result<(), pay::ledger::RestoreError> {
        let Loaded { channels, ledgers, credits, payees, cursor, .. } = loaded;
        self.payees.extend(payees);
        self.newest = cursor.map(|cursor| cursor.block);
        self.credits = credits.iter().map(|row| (row.channel(), row.since)).collect();
        let mut known = BTreeMap::new();
        for ChannelRow { mut channel, is_retired } in channels {
            self.widen(&mut channel);
            if is_retired {
                self.retired.insert(channel.id());
            } else {
                known.insert(channel.id(), channel);
            }
        }
        for row in ledgers {
            let channel = known.remove(&row.channel).ok_or(pay::ledger::RestoreError::OtherChannel)?;
            self.by_session.note(channel.terms().session, row.channel);
            let ledger = Ledger::restore(self.rules.ledger, channel, &row.record)?;
            let party = Party { payer: row.payer, payee: row.payee };
            self.channels.insert(row.channel, party);
            self.accounts.insert(party, Account::new(ledger));
        }
        for channel in known.into_values() {
            self.enter(channel);
        }
        self.forget(Account::is_past);
        Ok(())
    }

    /// A creator has named this node's key.
    pub fn payee(&mut self, account: AccountId) {
        self.payees.insert(account);
    }

    /// A channel that is not known: of our node, chain and asset, and for a creator of ours, it may be paid from. Whoever
    /// opens some for others takes no place from anybody.
    pub(super) fn enter(&mut self, channel: Channel) {
        let terms = *channel.terms();
        let (id, party) = (channel.id(), Party { payer: terms.payer, payee: terms.payee });
        let is_ours = terms.node == self.key()
            && (terms.genesis, terms.asset) == (self.rules.genesis, self.rules.asset)
            && terms.is_credit() == self.rules.credit.is_some()
            && self.payees.contains(&terms.payee);
        if !is_ours || self.retired.contains(&id) {
            return;
        }
        if let Some(account) = self.accounts.get_mut(&party) {
            account.spare.retain(|_, channel| !matches!(channel.finalized(), Phase::Closed { .. }));
            if account.spare.len() >= SPARE_MAX {
                tracing::warn!("a payer has too many channels to one payee: the newest is passed over");
                return;
            }
            account.spare.insert(id, channel);
        } else {
            if self.accounts.len() >= ACCOUNTS_MAX {
                self.forget(|account| account.is_past() || account.is_unused_credit());
            }
            if self.accounts.len() >= ACCOUNTS_MAX {
                tracing::warn!("the node has all the payers that it may have: a channel is passed over");
                return;
            }
            let standing = self.standings.remove(&party).unwrap_or_default();
            let ledger = Ledger::of_account(self.rules.ledger, channel, standing);
            self.accounts.insert(party, Account::new(ledger));
        }
        self.channels.insert(id, party);
        self.by_session.note(terms.session, id);
        self.dirty.insert(id);
    }

    /// To the window that is set now, unless it is wider already.
    fn widen(&mut self, channel: &mut Channel) {
        let (before, window) = (channel.credit(), self.rules.credit.unwrap_or(Amount::ZERO));
        if let Err(err) = channel.widen_credit(window) {
            tracing::error!("a credit window cannot be widened: {err}");
        } else if channel.credit() != before {
            self.dirty.insert(channel.id());
        }
    }

    /// Accounts that are so, but for what they were forgiven.
    fn forget(&mut self, is_so: impl Fn(&Account) -> bool) {
        let gone = self.accounts.extract_if(.., |_, account| is_so(account));
        self.standings.extend(gone.filter_map(|(party, account)| Some((party, account.forgiven()?))));
        self.forget_gone();
    }

    /// What is known of channels whose account is gone.
    fn forget_gone(&mut self) {
        let (accounts, channels) = (&self.accounts, &mut self.channels);
        channels.retain(|_, party| accounts.contains_key(party));
        self.credits.retain(|id, _| channels.contains_key(id));
        self.by_session.keep(|id| channels.contains_key(id));
    }

    /// A channel that was asked for and that no block told of: opened before this node looked. Where a block has told of it
    /// by now, the answer may be older than that: it is not taken, and whoever asks again hears the newer one.
    pub fn import(&mut self, state: &ChannelState) {
        let id = state.terms.id();
        if self.channels.contains_key(&id) {
            return;
        }
        if let Some(at) = self.passed_over.iter().position(|known| *known == id) {
            self.passed_over.remove(at);
            return;
        }
        let mut channel = Channel::new(state.terms);
        if events_of(state.finalized).into_iter().any(|event| channel.apply_final(event).is_err()) {
            tracing::warn!("the chain tells of a channel what cannot be");
            return;
        }
        // What is not final comes with the next block.
        self.enter(channel);
    }

    /// Everything of the blocks that are not final, anew.
    pub fn head(&mut self, news: &[ChannelNews], now: UnixMillis) {
        let mut events: BTreeMap<ChannelId, Vec<ChannelEvent>> =
            std::mem::take(&mut self.pending).into_iter().map(|id| (id, Vec::new())).collect();
        for one in news {
            self.meet(one.channel, one.terms.as_ref());
            events.entry(one.channel).or_default().push(one.event);
        }
        for (id, events) in events {
            let Some(party) = self.channels.get(&id).copied() else { continue };
            if !events.is_empty() {
                self.pending.insert(id);
            }
            if let Err(err) = self.set_pending(party, id, &events) {
                tracing::warn!("a block that is not final tells of a channel what cannot be: {err}");
            }
            self.forget_absent(party, id);
            self.resume(party, now);
        }
    }

    fn meet(&mut self, id: ChannelId, terms: Option<&ChannelTerms>) {
        if let Some(terms) = terms.filter(|terms| terms.id() == id)
            && !self.channels.contains_key(&id)
        {
            self.enter(Channel::new(*terms));
        }
    }

    fn set_pending(
        &mut self,
        party: Party,
        id: ChannelId,
        events: &[ChannelEvent],
    ) -> Result<(), EventRefused> {
        let Some(account) = self.accounts.get_mut(&party) else { return Ok(()) };
        if account.ledger.channel().id() == id {
            account.ledger.on_pending(events)
        } else {
            account.spare.get_mut(&id).map_or(Ok(()), |channel| channel.set_pending(events))
        }
    }

    /// Its opening was in a block that lost.
    fn forget_absent(&mut self, party: Party, id: ChannelId) {
        let Some(account) = self.accounts.get_mut(&party) else { return };
        let is_absent =
            |channel: &Channel| (channel.finalized(), channel.head()) == (Phase::Absent, Phase::Absent);
        let is_own = account.ledger.channel().id() == id;
        let goes = if is_own {
            is_absent(account.ledger.channel()) && account.is_past()
        } else {
            account.spare.get(&id).is_some_and(is_absent)
        };
        if !goes {
            return;
        }
        account.spare.remove(&id);
        if is_own {
            let gone = self.accounts.remove(&party);
            self.standings.extend(gone.and_then(|account| Some((party, account.forgiven()?))));
        }
        self.channels.remove(&id);
        self.by_session.keep(|known| *known != id);
        self.dirty.remove(&id);
    }

    /// What a final block says, and that it was read: at once where it says something to us, else now and then.
    /// Blocks that say nothing may be read twice.
    pub fn finalized(&mut self, block: BlockRef, news: &[ChannelNews], now: UnixMillis) {
        let mut is_ours = false;
        for one in news {
            self.meet(one.channel, one.terms.as_ref());
            let Some(party) = self.channels.get(&one.channel).copied() else {
                self.pass_over(one.channel);
                continue;
            };
            let Some(account) = self.accounts.get_mut(&party) else { continue };
            let applied = if account.ledger.channel().id() == one.channel {
                account.ledger.on_final(one.event, now)
            } else {
                account.spare.get_mut(&one.channel).map_or(Ok(()), |channel| channel.apply_final(one.event))
            };
            match applied {
                Ok(()) => {
                    if matches!(one.event, ChannelEvent::Closed { .. }) {
                        self.closes.remove(&one.channel);
                    }
                    is_ours = true;
                    self.dirty.insert(one.channel);
                    self.acts.push(act_of(one));
                    self.resume(party, now);
                }
                // Of a channel that was asked for when this had happened already.
                Err(err) => tracing::debug!("an event of a final block is passed over: {err}"),
            }
        }
        self.newest = Some(block);
        let is_due = self.kept.is_none_or(|kept| block.number >= kept.saturating_add(CURSOR_EACH));
        if is_ours || is_due || self.cursor.is_some() {
            self.kept = Some(block.number);
            self.cursor = Some(Cursor { genesis: self.rules.genesis, block });
        }
    }

    fn pass_over(&mut self, id: ChannelId) {
        self.passed_over.retain(|known| *known != id);
        if self.passed_over.len() == PASSED_OVER_MAX {
            self.passed_over.pop_front();
        }
        self.passed_over.push_back(id);
    }

    /// Whether a second at that price can be paid from it.
    pub fn is_able(&self, party: Party, id: ChannelId, least: Price, now: UnixMillis) -> Result<(), Unable> {
        if self.retired.contains(&id) {
            return Err(Unable::Retired);
        }
        match self.channels.get(&id) {
            None => return Err(Unable::Unknown),
            Some(known) if *known != party => return Err(Unable::NotYours),
            Some(_) => {}
        }
        let account = self.accounts.get(&party).ok_or(Unable::Unknown)?;
        let channel = account.channel(id).ok_or(Unable::Unknown)?;
        let is_credit = channel.terms().is_credit();
        if is_credit != self.rules.credit.is_some() {
            return Err(Unable::OtherRail);
        }
        if !is_credit && channel.terms().dispute_window_ms < self.rules.dispute_window_ms {
            return Err(Unable::DisputeWindow);
        }
        let is_own = account.ledger.channel().id() == id;
        let spent = if is_own { account.ledger.accepted() } else { Amount::ZERO };
        if channel.finalized().settled() > spent && !is_credit {
            // Paid from with books that are not here.
            return Err(Unable::Retired);
        }
        let deposit = channel.funding(now)?.deposit();
        if !channel.terms().is_served_at_age(self.chain_age_ms) {
            return Err(Unable::ChainAway);
        }
        // The prepaid second, if nothing was paid yet, is one second like another.
        let left = deposit.checked_sub(spent).unwrap_or(Amount::ZERO);
        if left < least.per_tick() {
            return Err(if is_credit { Unable::CreditSpent } else { Unable::TooLittle });
        }
        if !is_own && !is_credit && !account.ledger.is_settled() {
            let is_spent = account.hurried_by.contains(&id) && account.hurried_for.is_none();
            return Err(match account.watcher {
                Some(_) => Unable::Watching,
                None if is_spent => Unable::SettledLater,
                None => Unable::Unsettled,
            });
        }
        Ok(())
    }

    /// Has the account's present channel settled at once, so that `next` can take its place.
    pub fn hurry(&mut self, party: Party, next: ChannelId) {
        let Some(account) = self.accounts.get_mut(&party) else { return };
        if account.spare.contains_key(&next) && !account.hurried_by.contains(&next) {
            account.hurried_for = Some(next);
        }
    }
}

/// What must have happened to a channel that is in this phase.
fn events_of(phase: Phase) -> Vec<ChannelEvent> {
    let opened = |funds: Funds| {
        let mut events = vec![ChannelEvent::Opened { deposit: funds.deposit, expires_at: funds.expires_at }];
        if !funds.settled.is_zero() {
            events.push(ChannelEvent::Settled { cumulative: funds.settled });
        }
        events
    };
    match phase {
        // A closed one pays for nothing any more.
        Phase::Absent | Phase::Closed { .. } => Vec::new(),
        Phase::Open(funds) => opened(funds),
        Phase::Closing { funds, closes_at } => {
            let mut events = opened(funds);
            events.push(ChannelEvent::ClosingStarted { closes_at });
            events
        }
    }
}

fn act_of(news: &ChannelNews) -> Act {
    let channel = news.channel;
    match news.event {
        ChannelEvent::Opened { deposit, expires_at } => Act::new(
            "channel.opened",
            json!({ "channel": channel, "deposit": deposit, "expires_at": expires_at }),
        ),
        ChannelEvent::ToppedUp { deposit } => {
            Act::new("channel.topped_up", json!({ "channel": channel, "deposit": deposit }))
        }
        ChannelEvent::Settled { cumulative } => {
            Act::new("channel.settled", json!({ "channel": channel, "cumulative": cumulative }))
        }
        ChannelEvent::ClosingStarted { closes_at } => {
            Act::new("channel.closing", json!({ "channel": channel, "closes_at": closes_at }))
        }
        ChannelEvent::Closed { paid } => {
            Act::new("channel.closed", json!({ "channel": channel, "paid": paid }))
        }
    }
}
