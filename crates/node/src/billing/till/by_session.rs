//! Channels by their session key: how a page, which has no account, finds what a wallet opened for it.

use std::collections::{BTreeMap, BTreeSet};

use api::pay::ChannelStanding;
use pay::channel::{Funding, Funds};
use pay::{Amount, Channel, ChannelId, ChannelTerms, Phase, PublicKey, UnixMillis};

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

/// A channel that is not closed in a final block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageChannel {
    pub terms: ChannelTerms,
    pub deposit: Amount,
    /// Signed for, and stored.
    pub spent: Amount,
    pub expires_at: UnixMillis,
    pub standing: ChannelStanding,
    /// From then on its payer alone may take the rest.
    pub closes_at: UnixMillis,
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
        let (channel, spent, is_agreed) = if own.id() == id {
            (own, account.ledger.accepted(), account.ledger.close_agreed().is_some())
        } else {
            (account.spare.get(&id)?, Amount::ZERO, false)
        };
        // Paid from with books that are not here.
        if channel.finalized().settled() > spent && !is_agreed {
            return None;
        }
        let (funds, standing, closes_at) = standing(channel, is_agreed, now)?;
        let Funds { deposit, expires_at, .. } = funds;
        Some(PageChannel { terms: *channel.terms(), deposit, spent, expires_at, standing, closes_at })
    }
}

/// What is locked in it, as far as that counts, and what its page may do with it.
fn standing(
    channel: &Channel,
    is_agreed: bool,
    now: UnixMillis,
) -> Option<(Funds, ChannelStanding, UnixMillis)> {
    match (channel.finalized(), channel.head()) {
        (Phase::Closed { .. }, _) | (Phase::Absent, Phase::Absent | Phase::Closed { .. }) => None,
        // Its page waits for what comes back, whatever the best block says.
        (Phase::Closing { funds, closes_at }, _) | (_, Phase::Closing { funds, closes_at }) => {
            Some((funds, ChannelStanding::Closing, closes_at))
        }
        (Phase::Open(funds), _) | (Phase::Absent, Phase::Open(funds)) => {
            let deposit = channel.funding(now).map(Funding::deposit);
            let standing = match deposit {
                _ if is_agreed => ChannelStanding::Agreed,
                Ok(_) => ChannelStanding::Open,
                Err(_) => ChannelStanding::Ending,
            };
            let funds = Funds { deposit: deposit.unwrap_or(funds.deposit), ..funds };
            Some((funds, standing, funds.expires_at))
        }
    }
}
