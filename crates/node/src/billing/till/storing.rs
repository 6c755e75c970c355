//! From a checked voucher to what may be said of it: staged, handed out to be stored, and answered once that is done.

use std::sync::Arc;

use pay::ledger::Verified;
use pay::message::{Start, ToNode, ToViewer};
use pay::{Amount, Channel, Ledger, Refusal, Uncommitted, UnixMillis};
use serde_json::json;

use super::sessions::Word;
use super::{ConnId, Party, Payment, Till};
use crate::billing::journal::{ChannelRow, LedgerRow, Unit, Watched};
use crate::billing::log::Act;
use crate::billing::tickets::TicketId;

/// What is to be stored of one ledger; there is one at a time.
pub(super) struct Staged {
    pub party: Party,
    pub uncommitted: Uncommitted,
    pub why: Why,
}

pub(super) enum Why {
    Pay { payment: Payment, watched: Option<Watched> },
    Reserve { ticket: TicketId },
    Replace { conn: ConnId, start: Start, old: Box<Channel> },
    Close { conn: ConnId, ticket: TicketId },
}

impl Till {
    pub(super) fn stage_payment(
        &mut self,
        payment: Payment,
        result: Result<Verified, Refusal>,
        now: UnixMillis,
    ) {
        let Payment { party, ticket, conn, tick } = payment;
        let signer = Arc::clone(&self.signer);
        let Some(account) = self.accounts.get_mut(&party) else { return };
        account.is_busy = false;
        // Its connection may have gone meanwhile; what it signed is money all the same, if its session still stands.
        let session = self.sessions.get(&ticket);
        let staged = match (result, session) {
            (Ok(verified), Some(session)) => {
                account.ledger.stage(verified, &session.priced.book, signer.as_ref(), now)
            }
            (Ok(_), None) => Err(Refusal::NoSession),
            (Err(reason), _) => Err(reason),
        };
        match staged {
            Ok(uncommitted) => {
                account.is_busy = true;
                let watched = session
                    .and_then(|session| watched(&self.rules.ledger, &account.ledger, &uncommitted, session));
                let why = Why::Pay { payment, watched };
                self.staged.push(Staged { party, uncommitted, why });
            }
            Err(reason) => {
                let refused = account.ledger.refused(Some(tick), reason);
                self.say(conn, ToViewer::Refused(Box::new(refused)));
                self.resume(party, now);
            }
        }
    }

    /// What is to be stored now, for [`Till::stored`]; empty where there is nothing.
    pub fn units(&mut self) -> Vec<Unit> {
        let mut units = Vec::new();
        let chain = Unit {
            channels: self.dirty.iter().filter_map(|id| self.channel_row(*id)).collect(),
            // One that was forgotten before it was stored is none.
            credits: self.openings.iter().filter(|row| self.is_known(row.channel())).copied().collect(),
            transfers: self.transfers.iter().filter(|row| self.is_known(row.channel)).copied().collect(),
            cursor: self.cursor,
            acts: self.acts.clone(),
            ..Unit::default()
        };
        // The chain's comes first, since ledgers name channels.
        let has_chain = !(chain.channels.is_empty() && chain.cursor.is_none() && chain.acts.is_empty());
        self.storing = std::mem::take(&mut self.staged);
        if !has_chain && self.storing.is_empty() {
            return units;
        }
        units.push(chain);
        units.extend(self.storing.iter().filter_map(|staged| self.unit(staged)));
        units
    }

    fn is_known(&self, id: pay::ChannelId) -> bool {
        self.channels.contains_key(&id)
    }

    fn channel_row(&self, id: pay::ChannelId) -> Option<ChannelRow> {
        let account = self.accounts.get(self.channels.get(&id)?)?;
        let own = account.ledger.channel();
        let channel = if own.id() == id { own } else { account.spare.get(&id)? };
        Some(ChannelRow { channel: channel.clone(), is_retired: false })
    }

    fn unit(&self, staged: &Staged) -> Option<Unit> {
        let Staged { party, uncommitted, why } = staged;
        let account = self.accounts.get(party)?;
        let voucher = uncommitted.voucher().copied();
        let receipt = uncommitted.receipt().copied();
        let (mut channel, mut accepted) = (account.ledger.channel().id(), account.ledger.accepted());
        let mut unit = Unit { voucher, receipt, ..Unit::default() };
        match why {
            Why::Pay { watched, .. } => {
                accepted = voucher.map_or(accepted, |voucher| voucher.body.cumulative);
                unit.watched = *watched;
            }
            Why::Replace { start, old, .. } => {
                (channel, accepted) = (start.channel, Amount::ZERO);
                unit.channels = vec![ChannelRow { channel: (**old).clone(), is_retired: true }];
                unit.acts
                    .push(Act::new("channel.left", json!({ "channel": old.id(), "for": start.channel })));
            }
            Why::Close { .. } => {
                unit.acts
                    .push(Act::new("close.agreed", json!({ "channel": channel, "cumulative": accepted })));
            }
            Why::Reserve { .. } => {}
        }
        if let Some(receipt) = &receipt {
            let body = &receipt.body;
            let detail =
                json!({ "channel": body.channel, "number": body.number, "cumulative": body.cumulative });
            unit.acts.push(Act::new("receipt", detail));
        }
        let record = uncommitted.record().to_vec();
        unit.ledger = Some(LedgerRow { payer: party.payer, payee: party.payee, channel, record, accepted });
        Some(unit)
    }

    /// Whether each of [`Till::units`] is durable: what is may be said now, what is not never was. Whether all of it
    /// is.
    pub fn stored(&mut self, results: &[bool], now: UnixMillis) -> bool {
        let Some((chain, rest)) = results.split_first() else { return true };
        if *chain {
            self.dirty.clear();
            self.cursor = None;
            self.openings.clear();
            self.transfers.clear();
            self.acts.clear();
        }
        let storing = std::mem::take(&mut self.storing);
        debug_assert_eq!(storing.len(), rest.len(), "each account stays while something of it is stored");
        let parties: Vec<Party> = storing.iter().map(|staged| staged.party).collect();
        for (staged, is_durable) in storing.into_iter().zip(rest) {
            if *is_durable {
                self.durable(staged, now);
            } else {
                self.lost(staged);
            }
        }
        for party in parties {
            self.resume(party, now);
        }
        *chain && rest.iter().all(|stored| *stored)
    }

    fn durable(&mut self, staged: Staged, now: UnixMillis) {
        let Staged { party, uncommitted, why } = staged;
        let Some(account) = self.accounts.get_mut(&party) else { return };
        account.is_busy = false;
        let Ok(said) = account.ledger.committed(uncommitted) else {
            tracing::error!("a ledger does not know what it had stored");
            return;
        };
        match why {
            Why::Pay { payment, .. } => {
                if let Some(acknowledged) = said.acknowledged {
                    self.say(payment.conn, ToViewer::Acknowledged(acknowledged));
                }
                if let Some(receipt) = said.receipt {
                    self.say(payment.conn, ToViewer::Receipt(receipt));
                }
                self.cap(payment.ticket, now);
            }
            Why::Reserve { .. } => {}
            Why::Replace { conn, start, old } => {
                account.spare.remove(&start.channel);
                self.channels.remove(&old.id());
                self.retired.insert(old.id());
                // Before what waits: it was said first.
                if self.conns.contains_key(&conn)
                    && let Some(account) = self.accounts.get_mut(&party)
                {
                    account.waiting.push_front((conn, Word::Said(Box::new(ToNode::Start(start)))));
                }
            }
            Why::Close { conn, ticket } => {
                if let Some(closed) = said.closed {
                    self.say(conn, ToViewer::Closed(closed));
                }
                self.end_run(ticket);
                if let Some(account) = self.accounts.get_mut(&party) {
                    account.watcher = None;
                    account.left_at = now;
                }
            }
        }
    }

    fn lost(&mut self, staged: Staged) {
        let Staged { party, uncommitted, why } = staged;
        if let Some(account) = self.accounts.get_mut(&party) {
            account.is_busy = false;
            if account.ledger.aborted(&uncommitted).is_err() {
                tracing::error!("a ledger does not know what it had not stored");
            }
        }
        match why {
            Why::Pay { payment: Payment { conn, tick, .. }, .. } => {
                let channel = uncommitted.voucher().map(|voucher| voucher.body.channel);
                if let Some(channel) = channel {
                    self.refuse(conn, channel, Some(tick), Refusal::NodeFault);
                }
            }
            Why::Replace { conn, start, .. } => self.refuse(conn, start.channel, None, Refusal::NodeFault),
            Why::Close { conn, .. } => {
                let channel = self.accounts.get(&party).map(|account| account.ledger.channel().id());
                if let Some(channel) = channel {
                    self.refuse(conn, channel, None, Refusal::NodeFault);
                }
            }
            // Not asked again at once: the disk would be asked for ever. The next second does.
            Why::Reserve { ticket } => self.wait_for_store(ticket),
        }
    }

    /// What a node that ends in order gives back: seconds that were reserved and never sent.
    pub fn last_units(self) -> Vec<Unit> {
        let records = self.accounts.into_iter().filter_map(|(party, account)| {
            let (channel, accepted) = (account.ledger.channel().id(), account.ledger.accepted());
            let is_used = account.ledger.last_voucher().is_some();
            let record = account.ledger.final_record().filter(|_| is_used)?;
            let ledger = LedgerRow { payer: party.payer, payee: party.payee, channel, record, accepted };
            Some(Unit { ledger: Some(ledger), ..Unit::default() })
        });
        records.collect()
    }
}

/// What a voucher pays for, beyond what was paid before it.
fn watched(
    config: &pay::LedgerConfig,
    ledger: &Ledger,
    uncommitted: &Uncommitted,
    session: &super::Session,
) -> Option<Watched> {
    let voucher = uncommitted.voucher()?.body;
    // The ledger says what will be only in its record.
    let next = Ledger::restore(*config, ledger.channel().clone(), uncommitted.record()).ok()?;
    Some(Watched {
        viewer: session.ticket.viewer,
        stream: session.ticket.stream_id,
        ticks: next.totals().paid - ledger.totals().paid,
        amount: voucher.cumulative.checked_sub(ledger.accepted())?,
    })
}
