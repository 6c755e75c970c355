//! Takes to the chain what is due, and follows it: written down before it is sent, and not sent again while its fate is
//! not known, unless it would be too late by then.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use chain::{Call, Included, Rail, RailError, TxSigner};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use pay::{Amount, UnixMillis};

use crate::billing::journal::{Intent, Journal, OpenSettlement, Outcome, SettleKind, Transaction};
use crate::billing::till::{AGAIN_URGENT_MS, Due, DueClose, Till, reason_text};

/// Vouchers in one transaction.
const VOUCHERS_MAX: usize = 32;
/// Closes that are on their way at once.
const CLOSES_MAX: usize = 4;
/// A transaction that none of so many final blocks had never comes: it is good for 128 where blocks become final soon.
/// Where they do not, it may be sent twice after all, which costs a fee: the chain takes each voucher once.
const LOST_AFTER_BLOCKS: u32 = 256;
/// After a failure, everything waits; twice as long each time, until the chain is heard again.
const PAUSE_MIN_MS: u64 = 2_000;
const PAUSE_MAX_MS: u64 = 60_000;

type Sending = Pin<Box<dyn Future<Output = Ended> + Send>>;

/// One transaction's end.
pub struct Ended {
    rows: Vec<OpenSettlement>,
    slot: Slot,
    result: Result<Included, RailError>,
}

/// What waits for the transaction before it: what is urgent waits for nothing else.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    Settle,
    Urgent,
    Close,
}

/// One that may have been sent, and was not seen.
struct Doubt {
    row: OpenSettlement,
    /// The last final block when the doubt began.
    since: Option<u32>,
}

pub struct Payout {
    rail: Arc<dyn Rail>,
    signer: TxSigner,
    sending: FuturesUnordered<Sending>,
    settles: usize,
    urgent: usize,
    closes: usize,
    doubts: Vec<Doubt>,
    newest: Option<u32>,
    pause_ms: u64,
    paused_until: UnixMillis,
    urgent_paused_until: UnixMillis,
}

impl Payout {
    /// `open` are those that a node which ended had perhaps sent.
    pub fn new(rail: Arc<dyn Rail>, signer: TxSigner, open: &[OpenSettlement], till: &mut Till) -> Self {
        open.iter().for_each(|row| till.in_doubt(row));
        Self {
            rail,
            signer,
            sending: FuturesUnordered::new(),
            settles: 0,
            urgent: 0,
            closes: 0,
            doubts: open.iter().map(|row| Doubt { row: *row, since: None }).collect(),
            newest: None,
            pause_ms: PAUSE_MIN_MS,
            paused_until: UnixMillis(0),
            urgent_paused_until: UnixMillis(0),
        }
    }

    /// A block is final.
    pub fn block(&mut self, number: u32) {
        self.newest = Some(number);
    }

    /// Nothing waits for what is over.
    pub fn chain_is_back(&mut self) {
        (self.pause_ms, self.paused_until, self.urgent_paused_until) =
            (PAUSE_MIN_MS, UnixMillis(0), UnixMillis(0));
    }

    /// The next transaction that ended; waits for ever where none is on its way.
    pub async fn next(&mut self) -> Ended {
        match self.sending.next().await {
            Some(ended) => ended,
            None => std::future::pending().await,
        }
    }

    /// Sends what is due, and says of what is in doubt whether the chain has it.
    pub async fn look(&mut self, till: &mut Till, journal: &Journal, now: UnixMillis) {
        self.resolve_doubts(till, journal, now).await;
        let is_paused = now < self.paused_until;
        if self.urgent == 0 && now >= self.urgent_paused_until {
            let mut due = till.due(VOUCHERS_MAX, now);
            let only_urgent = is_paused || self.settles > 0;
            due.retain(|due| !only_urgent || due.settlement.reason.is_urgent());
            if !due.is_empty() {
                self.settle(till, journal, &due, now).await;
            }
        }
        if is_paused {
            return;
        }
        for close in till.closes_due(CLOSES_MAX - self.closes.min(CLOSES_MAX), now) {
            self.close(till, journal, &close, now).await;
        }
    }

    async fn settle(&mut self, till: &mut Till, journal: &Journal, due: &[Due], now: UnixMillis) {
        let intent = |due: &Due| Intent {
            channel: due.settlement.voucher.body.channel,
            kind: SettleKind::Settle,
            cumulative: due.settlement.voucher.body.cumulative,
            reason: reason_text(due.settlement.reason),
        };
        let intents: Vec<Intent> = due.iter().map(intent).collect();
        let Some(rows) = intend(journal, &intents, now).await else { return };
        due.iter().for_each(|due| till.settling(due));
        let is_urgent = due.iter().any(|due| due.settlement.reason.is_urgent());
        let slot = if is_urgent { Slot::Urgent } else { Slot::Settle };
        self.send(Call::Settle(due.iter().map(|due| due.settlement.voucher).collect()), rows, slot);
    }

    async fn close(&mut self, till: &mut Till, journal: &Journal, close: &DueClose, now: UnixMillis) {
        let cumulative = close.ours.body.cumulative;
        let intent =
            Intent { channel: close.channel, kind: SettleKind::Close, cumulative, reason: "both_signed" };
        let Some(rows) = intend(journal, &[intent], now).await else { return };
        till.closing(close.channel);
        self.send(Call::CooperativeClose { session: close.theirs, node: close.ours }, rows, Slot::Close);
    }

    fn in_slot(&mut self, slot: Slot) -> &mut usize {
        match slot {
            Slot::Settle => &mut self.settles,
            Slot::Urgent => &mut self.urgent,
            Slot::Close => &mut self.closes,
        }
    }

    fn send(&mut self, call: Call, rows: Vec<OpenSettlement>, slot: Slot) {
        *self.in_slot(slot) += 1;
        let (rail, signer) = (Arc::clone(&self.rail), Arc::clone(&self.signer));
        self.sending.push(Box::pin(async move {
            let result = rail.submit(call, signer).await;
            Ended { rows, slot, result }
        }));
    }

    pub async fn ended(&mut self, till: &mut Till, journal: &Journal, ended: Ended, now: UnixMillis) {
        let Ended { rows, slot, result } = ended;
        *self.in_slot(slot) -= 1;
        match &result {
            Ok(_) => self.pause_ms = PAUSE_MIN_MS,
            Err(err) => {
                tracing::warn!("what was to go on chain did not: {err}");
                self.paused_until = now.plus(self.pause_ms);
                self.urgent_paused_until = now.plus(self.pause_ms.min(AGAIN_URGENT_MS));
                self.pause_ms = (self.pause_ms * 2).min(PAUSE_MAX_MS);
            }
        }
        let outcomes: Vec<(i64, Outcome)> =
            rows.iter().map(|row| (row.id, self.outcome(row, &result, till, now))).collect();
        note(journal, &outcomes, now).await;
    }

    fn outcome(
        &mut self,
        row: &OpenSettlement,
        result: &Result<Included, RailError>,
        till: &mut Till,
        now: UnixMillis,
    ) -> Outcome {
        match result {
            Ok(included) => {
                let Some(refused) = included.refused.iter().find(|refused| refused.channel == row.channel)
                else {
                    let (hash, block, fee) = (included.hash, included.block.number, included.fee);
                    till.settling_done(row.channel);
                    return Outcome::Final(Some(Transaction { hash, block, fee }));
                };
                match row.kind {
                    SettleKind::Settle => till.settling_refused(row.channel, now),
                    SettleKind::Close => till.closing_refused(row.channel),
                }
                Outcome::Failed(refused.reason.clone())
            }
            Err(RailError::Unknown) => {
                self.doubts.push(Doubt { row: *row, since: self.newest });
                if row.kind == SettleKind::Settle {
                    till.settling_doubtful(row.channel);
                }
                Outcome::Doubtful
            }
            Err(err) => {
                match (row.kind, err) {
                    (SettleKind::Close, RailError::Refused(_)) => till.closing_refused(row.channel),
                    _ => give_up(row, till, now),
                }
                Outcome::Failed(err.to_string())
            }
        }
    }

    async fn resolve_doubts(&mut self, till: &mut Till, journal: &Journal, now: UnixMillis) {
        let Some(newest) = self.newest else { return };
        let mut outcomes = Vec::new();
        self.doubts.retain_mut(|doubt| {
            let row = doubt.row;
            let is_done = till
                .settled(row.channel)
                .is_some_and(|(settled, is_closed)| is_closed || reaches(&row, settled));
            let since = *doubt.since.get_or_insert(newest);
            if is_done {
                outcomes.push((row.id, Outcome::Final(None)));
            } else if newest.saturating_sub(since) >= LOST_AFTER_BLOCKS {
                give_up(&row, till, now);
                outcomes.push((row.id, Outcome::Failed("no block had it".to_owned())));
            } else {
                return true;
            }
            false
        });
        if !outcomes.is_empty() {
            note(journal, &outcomes, now).await;
        }
    }
}

/// A close is done when the channel is closed, whatever was paid of it before.
fn reaches(row: &OpenSettlement, settled: Amount) -> bool {
    row.kind == SettleKind::Settle && settled >= row.cumulative
}

fn give_up(row: &OpenSettlement, till: &mut Till, now: UnixMillis) {
    match row.kind {
        SettleKind::Settle => till.settling_failed(row.channel, now),
        SettleKind::Close => till.closing_failed(row.channel, now),
    }
}

/// Written down; `None` where it could not be, and so must not be sent.
async fn intend(journal: &Journal, intents: &[Intent], now: UnixMillis) -> Option<Vec<OpenSettlement>> {
    let ids = journal.intend(intents, now).await;
    let ids = ids.inspect_err(|err| tracing::error!("a settlement could not be written down: {err}")).ok()?;
    let row = |(id, intent): (i64, &Intent)| {
        let Intent { channel, kind, cumulative, .. } = *intent;
        OpenSettlement { id, channel, kind, cumulative }
    };
    Some(ids.into_iter().zip(intents).map(row).collect())
}

/// Where it cannot be stored, the next start finds it open and looks again.
async fn note(journal: &Journal, outcomes: &[(i64, Outcome)], now: UnixMillis) {
    if let Err(err) = journal.resolve(outcomes, now).await {
        tracing::error!("the end of a settlement could not be stored: {err}");
    }
}
