//! Credit accounts: whether each was opened by its payer, and each counted transfer is on the chain, once, and none left
//! out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chain::{BlockRef, Rail, RailError, TransferNews, Update};
use pay::{AccountId, Amount, ChannelId};
use sqlx::{Row, SqliteConnection};

use super::AuditReport;
use super::books::Books;
use crate::billing::journal::{CreditRow, TransferRow, bytes, read_credits, read_transfers};
use crate::store::StoreError;

/// A chain that does not tell the next of its blocks within this is not asked any further.
const BLOCK_TIME: Duration = Duration::from_secs(30);

/// As the database has them.
pub struct Transfers {
    credits: Vec<CreditRow>,
    rows: Vec<TransferRow>,
    /// The last final block that was read.
    read_to: Option<BlockRef>,
}

impl Transfers {
    pub async fn read(
        connection: &mut SqliteConnection,
        books: &Books,
        report: &mut AuditReport,
    ) -> Result<Self, StoreError> {
        let (credits, rows) = (read_credits(connection).await?, read_transfers(connection).await?);
        let cursor = sqlx::query("SELECT number, hash FROM chain_cursor").fetch_optional(connection).await?;
        let read_to = match cursor {
            Some(row) => Some(BlockRef { number: row.try_get("number")?, hash: bytes(&row, "hash")? }),
            None => None,
        };
        let mut sums = BTreeMap::<ChannelId, Amount>::new();
        for TransferRow { channel, amount, .. } in &rows {
            let sum = sums.entry(*channel).or_default();
            *sum = sum.checked_add(*amount).unwrap_or(Amount::MAX);
        }
        let opened: BTreeSet<ChannelId> = credits.iter().map(CreditRow::channel).collect();
        for row in credits.iter().filter(|row| row.opening.verify_payer().is_err()) {
            report.find(format!("the credit account {} is not opened by its payer", row.channel()));
        }
        for (id, audited) in books.channels().filter(|(_, audited)| audited.state.terms().is_credit()) {
            let (counted, paid) =
                (sums.get(id).copied().unwrap_or_default(), audited.state.finalized().settled());
            if counted != paid {
                report.find(format!(
                    "transfers of {counted} are counted on the credit account {id}, which has {paid}"
                ));
            }
            if !opened.contains(id) {
                report.find(format!("nobody opened the credit account {id}"));
            }
        }
        report.transfers = rows.len() as u64;
        Ok(Self { credits, rows, read_to })
    }

    /// Reads every final block from the first account's beginning on.
    pub async fn against_chain(&self, rail: &dyn Rail, report: &mut AuditReport) -> Result<(), RailError> {
        let first = self.credits.iter().map(|row| row.since).min_by_key(|since| since.number);
        let (Some(first), Some(last)) = (first, self.read_to) else { return Ok(()) };
        let told = transfers_between(rail, first, last).await?;
        // The payer's first account at the payee; transfers count on one of them from then on.
        let mut parties = BTreeMap::<(AccountId, AccountId), u32>::new();
        for row in &self.credits {
            let terms = row.opening.body.terms();
            let since = parties.entry((terms.payer, terms.payee)).or_insert(row.since.number);
            *since = (*since).min(row.since.number);
        }
        let parties_of: BTreeMap<ChannelId, (AccountId, AccountId)> = self
            .credits
            .iter()
            .map(|row| (row.channel(), (row.opening.body.terms().payer, row.opening.body.terms().payee)))
            .collect();
        let mut counted = BTreeSet::new();
        for row in &self.rows {
            let (block, place) = (row.block, row.place);
            let party = parties_of.get(&row.channel).copied();
            let is_told = told
                .get(&(block, place))
                .is_some_and(|told| Some((told.from, told.to)) == party && told.amount == row.amount);
            if !is_told {
                report.find(format!(
                    "transfer {place} of block {block} was counted, and the chain has no such one"
                ));
            }
            counted.insert((block, place));
        }
        for ((block, place), told) in &told {
            let is_due = parties.get(&(told.from, told.to)).is_some_and(|since| block > since);
            if is_due && !told.amount.is_zero() && !counted.contains(&(*block, *place)) {
                report.find(format!("transfer {place} of block {block} was not counted"));
            }
        }
        Ok(())
    }
}

/// By block and place. What was transferred after `last` is not looked at: the node had not read it.
async fn transfers_between(
    rail: &dyn Rail,
    first: BlockRef,
    last: BlockRef,
) -> Result<BTreeMap<(u32, u32), TransferNews>, RailError> {
    let mut updates = rail.watch(Some(first));
    let mut told = BTreeMap::new();
    let mut read = first.number;
    while read < last.number {
        let lost = |reason: String| RailError::Unreachable(reason);
        let update = tokio::time::timeout(BLOCK_TIME, updates.recv()).await;
        match update.map_err(|_| lost(format!("it does not tell of the block after {read}")))? {
            Some(Update::Final { block, news, .. }) => {
                read = block.number;
                let places = (0_u32..).zip(news.transfers);
                told.extend(places.map(|(place, transfer)| ((read, place), transfer)));
            }
            Some(Update::Head { .. }) => {}
            Some(Update::Disconnected { reason }) => return Err(lost(reason)),
            None => return Err(lost("it is not followed any more".to_owned())),
        }
    }
    Ok(told)
}
