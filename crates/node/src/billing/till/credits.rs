//! Credit accounts: opened by their payer's signature, and paid by its transfers, each counted once.

use chain::{BlockRef, TransferNews};
use pay::{Amount, ChannelId, CreditTerms, Refusal, Signed, UnixMillis};
use serde_json::json;

use super::{Party, Till, Unable};
use crate::billing::journal::{CreditRow, Cursor, TransferRow};
use crate::billing::log::Act;

/// How an account stands at this node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CreditStanding {
    /// Transfers in the final blocks after this one count.
    pub since: u32,
    /// What may be owed.
    pub window: Amount,
    /// Transferred, in final blocks.
    pub paid: Amount,
    /// Signed for, and stored.
    pub accepted: Amount,
}

impl Till {
    /// `None` where the account is not known.
    pub fn credit(&self, id: ChannelId) -> Option<CreditStanding> {
        let account = self.accounts.get(self.channels.get(&id)?)?;
        let own = account.ledger.channel();
        let is_own = own.id() == id;
        let channel = if is_own { own } else { account.spare.get(&id)? };
        let pay::credit::Standing { paid, window } = channel.credit()?;
        let accepted = if is_own { account.ledger.accepted() } else { Amount::ZERO };
        Some(CreditStanding { since: self.credits.get(&id)?.number, window, paid, accepted })
    }

    /// Opens an account that is not open yet. Transfers count from the next final block on.
    pub fn open_credit(&mut self, opening: &Signed<CreditTerms>) -> Result<ChannelId, Unable> {
        let (terms, id) = (*opening.body.terms(), opening.body.id());
        let window = self.rules.credit.ok_or(Unable::OtherRail)?;
        opening.verify_payer().map_err(|_| Refusal::BadSignature)?;
        if self.retired.contains(&id) {
            return Err(Unable::Retired);
        }
        if self.credit(id).is_some() {
            return Ok(id);
        }
        let is_ours = terms.node == self.key()
            && (terms.genesis, terms.asset) == (self.rules.genesis, self.rules.asset)
            && terms.payer != terms.payee
            && self.payees.contains(&terms.payee);
        if !is_ours {
            return Err(Unable::NotYours);
        }
        let since = self.newest.ok_or(Unable::NoBlock)?;
        let channel = opening.body.open(window).map_err(|_| Unable::OtherRail)?;
        self.enter(channel);
        if !self.channels.contains_key(&id) {
            return Err(Unable::Full);
        }
        self.credits.insert(id, since);
        // With the account it is stored how far the chain was read: no block before is read for it after a crash.
        self.cursor = Some(Cursor { genesis: self.rules.genesis, block: since });
        self.kept = Some(since.number);
        let detail = json!({ "channel": id, "window": window, "since": since.number });
        self.acts.push(Act::new("credit.opened", detail));
        self.openings.push(CreditRow { opening: *opening, since });
        Ok(id)
    }

    /// The transfers of a final block; to be told before [`Till::finalized`], which keeps that the block was read.
    pub fn transferred(&mut self, block: BlockRef, transfers: &[TransferNews], now: UnixMillis) {
        for (place, one) in (0_u32..).zip(transfers) {
            let party = Party { payer: one.from, payee: one.to };
            let Some(account) = self.accounts.get_mut(&party) else { continue };
            let id = account.ledger.channel().id();
            let counts = self.credits.get(&id).is_some_and(|since| block.number > since.number);
            if !counts || one.amount.is_zero() {
                continue;
            }
            if let Err(err) = account.ledger.on_transfer(one.amount, now) {
                tracing::error!("a transfer cannot be counted: {err}");
                continue;
            }
            self.dirty.insert(id);
            let row = TransferRow { block: block.number, place, channel: id, amount: one.amount };
            self.transfers.push(row);
            let detail = json!({ "channel": id, "amount": one.amount, "block": block.number });
            self.acts.push(Act::new("credit.paid", detail));
            // In the same transaction: it is never read again.
            self.cursor = Some(Cursor { genesis: self.rules.genesis, block });
            self.resume(party, now);
        }
    }
}
