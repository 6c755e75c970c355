//! Channels by their session key: how a page, which has no account, finds what a wallet opened for it.

use std::collections::{BTreeMap, BTreeSet};

use pay::{Amount, ChannelId, ChannelTerms, Phase, PublicKey, UnixMillis};

use super::Till;

/// Channels of one key. A page needs one after the other; whoever opens more with somebody else's key gives money away.
const OF_ONE: usize = 16;

/// Of all channels that are known.
#[derive(Default)]
pub(super) struct BySession(BTreeMap<PublicKey, BTreeSet<ChannelId>>);

impl BySession {
    pub fn note(&mut self, session: PublicKey, id: ChannelId) {
        let of_key = self.0.entry(session).or_default();
        if of_key.len() < OF_ONE {
            of_key.insert(id);
        }
    }

    pub fn keep(&mut self, is_known: impl Fn(&ChannelId) -> bool) {
        self.0.retain(|_, of_key| {
            of_key.retain(&is_known);
            !of_key.is_empty()
        });
    }
}

/// A channel that pays, or whose close both sides agreed on and that is not closed in a final block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageChannel {
    pub terms: ChannelTerms,
    pub deposit: Amount,
    /// Signed for, and stored.
    pub spent: Amount,
    pub expires_at: UnixMillis,
    /// Both sides agreed to close it: nothing more is paid from it.
    pub is_closing: bool,
}

impl Till {
    /// What is open of that key's now.
    pub fn of_session(&self, session: &PublicKey, now: UnixMillis) -> Vec<PageChannel> {
        let ids = self.by_session.0.get(session).into_iter().flatten();
        ids.filter_map(|id| self.page_channel(*id, now)).collect()
    }

    fn page_channel(&self, id: ChannelId, now: UnixMillis) -> Option<PageChannel> {
        let account = self.accounts.get(self.channels.get(&id)?)?;
        let own = account.ledger.channel();
        let (channel, spent, is_closing) = if own.id() == id {
            (own, account.ledger.accepted(), account.ledger.close_agreed().is_some())
        } else {
            (account.spare.get(&id)?, Amount::ZERO, false)
        };
        let terms = *channel.terms();
        if is_closing {
            // Whatever has become of it meanwhile: its page waits for the rest of the deposit.
            let (Phase::Open(funds) | Phase::Closing { funds, .. }) = channel.finalized() else {
                return None;
            };
            let (deposit, expires_at) = (funds.deposit, funds.expires_at);
            return Some(PageChannel { terms, deposit, spent, expires_at, is_closing });
        }
        let deposit = channel.funding(now).ok()?.deposit();
        let Phase::Open(funds) = channel.head() else { return None };
        // Paid from with books that are not here.
        let is_ours = channel.finalized().settled() <= spent;
        let expires_at = funds.expires_at;
        is_ours.then_some(PageChannel { terms, deposit, spent, expires_at, is_closing })
    }
}
