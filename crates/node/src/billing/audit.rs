//! Proves from the database, and from the chain where there is one, that what was signed, accepted, confirmed and settled
//! agrees to the unit. It changes nothing, and may run beside the node.

mod books;
mod transfers;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chain::{ChannelState, Rail, RailError};
use pay::{Amount, ChannelId, Phase, Signed, Voucher, Wire};
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use thiserror::Error;

use super::log::row_hash;
use crate::store::{StoreError, options, pool};
use books::Books;
use transfers::Transfers;

#[derive(Debug, Error)]
pub enum AuditError {
    #[error("{} holds no node's database", .0.display())]
    NoDatabase(PathBuf),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the chain could not be asked: {0}")]
    Chain(#[from] RailError),
}

impl From<sqlx::Error> for AuditError {
    fn from(err: sqlx::Error) -> Self {
        Self::Store(err.into())
    }
}

/// What was looked at, and what is wrong with it. Amounts are in smallest units.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct AuditReport {
    pub channels: u64,
    pub vouchers: u64,
    pub receipts: u64,
    /// That were counted on credit accounts.
    pub transfers: u64,
    pub log_rows: u64,
    /// Paid seconds.
    pub ticks: u64,
    /// Of all channels: what viewers have signed and the node has stored.
    pub accepted: Amount,
    /// The same of each channel.
    pub accepted_of: BTreeMap<ChannelId, Amount>,
    /// What the creators have got, in final blocks: by the chain where it was asked, else as the node read it.
    pub settled: Amount,
    pub is_chain_asked: bool,
    /// A sentence each; none where everything agrees.
    pub findings: Vec<String>,
}

impl AuditReport {
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, what: impl Into<String>) {
        // A broken database has enough to say with its first thousand faults.
        if self.findings.len() < 1_000 {
            self.findings.push(what.into());
        }
    }
}

/// Of the node whose data lie in `folder`.
pub async fn audit(folder: &Path, rail: Option<Arc<dyn Rail>>) -> Result<AuditReport, AuditError> {
    let options = options(folder)?.read_only(true);
    if !options.get_filename().exists() {
        return Err(AuditError::NoDatabase(folder.to_owned()));
    }
    let pool = pool(1).connect_with(options).await?;
    let mut report = AuditReport::default();
    // One transaction: a node that runs beside changes nothing under our hands.
    let mut tx = pool.begin().await?;
    check_log(&mut tx, &mut report).await?;
    let books = Books::read(&mut tx, &mut report).await?;
    check_totals(&mut tx, &books, &mut report).await?;
    let transfers = Transfers::read(&mut tx, &books, &mut report).await?;
    tx.rollback().await?;
    pool.close().await;
    for (id, channel) in books.channels() {
        report.accepted = report.accepted.checked_add(channel.accepted()).unwrap_or(Amount::MAX);
        report.accepted_of.insert(*id, channel.accepted());
        let settled = match &rail {
            _ if channel.state.terms().is_credit() => channel.state.finalized().settled(),
            Some(rail) => against_chain(*id, channel, rail.channel(*id).await?, &mut report),
            None => channel.state.finalized().settled(),
        };
        report.settled = report.settled.checked_add(settled).unwrap_or(Amount::MAX);
    }
    if let Some(rail) = &rail {
        transfers.against_chain(rail.as_ref(), &mut report).await?;
    }
    report.is_chain_asked = rail.is_some();
    Ok(report)
}

async fn check_log(connection: &mut SqliteConnection, report: &mut AuditReport) -> Result<(), AuditError> {
    let rows = sqlx::query("SELECT seq, at, act, detail, hash FROM pay_audit_log ORDER BY seq")
        .fetch_all(connection)
        .await?;
    let mut previous = Vec::new();
    for (number, row) in (1_i64..).zip(&rows) {
        let seq: i64 = row.try_get("seq")?;
        let (act, detail): (String, String) = (row.try_get("act")?, row.try_get("detail")?);
        let hash: Vec<u8> = row.try_get("hash")?;
        if seq != number {
            report.find(format!("the audit log lacks row {number}"));
            break;
        }
        if row_hash(&previous, seq, row.try_get("at")?, &act, &detail)[..] != hash[..] {
            report.find(format!("row {seq} of the audit log, or one before it, was changed"));
            break;
        }
        previous = hash;
        report.log_rows += 1;
    }
    Ok(())
}

/// What the streams and their viewers are said to have paid is what the vouchers say.
async fn check_totals(
    connection: &mut SqliteConnection,
    books: &Books,
    report: &mut AuditReport,
) -> Result<(), AuditError> {
    let viewers =
        sqlx::query("SELECT stream_id, total_ticks, paid_amount FROM stream_viewers WHERE total_ticks > 0")
            .fetch_all(&mut *connection)
            .await?;
    let (mut paid, mut of_streams) = (Amount::ZERO, BTreeMap::<String, i64>::new());
    for row in &viewers {
        let amount: Option<Amount> = row.try_get::<String, _>("paid_amount")?.parse().ok();
        paid = amount.and_then(|amount| paid.checked_add(amount)).unwrap_or(Amount::MAX);
        *of_streams.entry(row.try_get("stream_id")?).or_default() += row.try_get::<i64, _>("total_ticks")?;
    }
    let streams = sqlx::query("SELECT id, total_ticks FROM streams").fetch_all(connection).await?;
    let mut ticks = 0;
    for row in &streams {
        let (id, total): (String, i64) = (row.try_get("id")?, row.try_get("total_ticks")?);
        ticks += total;
        let viewers = of_streams.remove(&id).unwrap_or(0);
        if viewers != total {
            report.find(format!("stream {id} has {total} paid seconds, and its viewers {viewers}"));
        }
    }
    report.ticks = u64::try_from(ticks).unwrap_or(0);
    let mut signed = books.channels().map(|(_, channel)| channel.accepted());
    let signed = signed.try_fold(Amount::ZERO, Amount::checked_add).unwrap_or(Amount::MAX);
    if paid != signed {
        report.find(format!("viewers have paid {paid}, and their vouchers are over {signed}"));
    }
    Ok(())
}

/// What the payee has got by the chain.
fn against_chain(
    id: ChannelId,
    channel: &books::Audited,
    state: Option<ChannelState>,
    report: &mut AuditReport,
) -> Amount {
    let accepted = channel.accepted();
    let Some(state) = state else {
        if channel.state.finalized() != Phase::Absent {
            report.find(format!("the chain knows no channel {id}"));
        }
        return Amount::ZERO;
    };
    let (settled, known) = (state.finalized.settled(), channel.state.finalized().settled());
    if state.terms != *channel.state.terms() {
        report.find(format!("the chain has other terms of the channel {id}"));
    }
    if settled > accepted {
        report.find(format!("the chain settled {settled} of the channel {id}, and {accepted} were accepted"));
    }
    if known > settled {
        report
            .find(format!("the node believes {known} of the channel {id} settled, and the chain {settled}"));
    }
    match state.finalized {
        Phase::Open(funds) | Phase::Closing { funds, .. } if accepted > funds.deposit => {
            let deposit = funds.deposit;
            report.find(format!("{accepted} were accepted of the channel {id}, and {deposit} deposited"));
        }
        Phase::Closed { paid } if paid < accepted => {
            report.find(format!("the channel {id} was closed with {paid} paid of {accepted}"));
        }
        Phase::Absent | Phase::Open(_) | Phase::Closing { .. } | Phase::Closed { .. } => {}
    }
    settled
}

fn voucher_of(row: &SqliteRow) -> Result<Signed<Voucher>, StoreError> {
    let bytes = row.try_get::<Vec<u8>, _>("signed")?;
    Signed::from_bytes(&bytes).map_err(|_| StoreError::Unreadable("vouchers.signed"))
}
