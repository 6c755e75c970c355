//! What goes on chain: written down as intended before it is sent, and what became of it.

use pay::{Amount, ChannelId, UnixMillis};
use serde_json::json;

use sqlx::SqliteConnection;

use super::{Journal, finish};
use crate::billing::log::{self, Act};
use crate::store::{StoreError, now_text};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SettleKind {
    /// A voucher is redeemed.
    Settle,
    /// The channel is closed with both signatures.
    Close,
}

impl SettleKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Settle => "settle",
            Self::Close => "close",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Settle, Self::Close].into_iter().find(|kind| kind.as_str() == text)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Intent {
    pub channel: ChannelId,
    pub kind: SettleKind,
    pub cumulative: Amount,
    pub reason: &'static str,
}

/// What became of one of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// In a final block; of the transaction, where it was followed.
    Final(Option<Transaction>),
    /// Sent, and not seen since.
    Doubtful,
    Failed(String),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transaction {
    pub hash: [u8; 32],
    pub block: u32,
    /// Of all that it carries.
    pub fee: Amount,
}

impl Journal {
    /// Their numbers, once they are durable: only then they may be sent.
    pub async fn intend(&self, intents: &[Intent], now: UnixMillis) -> Result<Vec<i64>, StoreError> {
        let mut connection = self.begin().await?;
        let written = intend(&mut connection, intents, now).await;
        finish(connection, written).await
    }

    pub async fn resolve(&self, outcomes: &[(i64, Outcome)], now: UnixMillis) -> Result<(), StoreError> {
        let mut connection = self.begin().await?;
        let written = resolve(&mut connection, outcomes, now).await;
        finish(connection, written).await
    }
}

async fn intend(
    connection: &mut SqliteConnection,
    intents: &[Intent],
    now: UnixMillis,
) -> Result<Vec<i64>, StoreError> {
    let mut ids = Vec::with_capacity(intents.len());
    for intent in intents {
        let Intent { channel, kind, cumulative, reason } = intent;
        let done = sqlx::query(
                "INSERT INTO settlements (channel, kind, cumulative, reason, intended_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            )
            .bind(channel.0.to_vec())
            .bind(kind.as_str())
            .bind(cumulative.to_string())
            .bind(*reason)
            .bind(now_text())
            .execute(&mut *connection)
            .await?;
        let id = done.last_insert_rowid();
        let detail = json!({
            "settlement": id, "channel": channel, "kind": kind.as_str(), "cumulative": cumulative, "reason": reason
        });
        log::append(connection, &Act::new("settlement.intended", detail), now).await?;
        ids.push(id);
    }
    Ok(ids)
}

async fn resolve(
    connection: &mut SqliteConnection,
    outcomes: &[(i64, Outcome)],
    now: UnixMillis,
) -> Result<(), StoreError> {
    for (id, outcome) in outcomes {
        let (state, transaction, error) = match outcome {
            Outcome::Final(transaction) => ("final", *transaction, None),
            Outcome::Doubtful => ("doubtful", None, None),
            Outcome::Failed(error) => ("failed", None, Some(error.as_str())),
        };
        sqlx::query(
                "UPDATE settlements SET state = ?2, tx = coalesce(?3, tx), block = coalesce(?4, block), \
                 fee = coalesce(?5, fee), error = ?6, ended_at = CASE WHEN ?2 = 'doubtful' THEN NULL ELSE ?7 END \
                 WHERE id = ?1",
            )
            .bind(id)
            .bind(state)
            .bind(transaction.map(|tx| tx.hash.to_vec()))
            .bind(transaction.map(|tx| tx.block))
            .bind(transaction.map(|tx| tx.fee.to_string()))
            .bind(error)
            .bind(now_text())
            .execute(&mut *connection)
            .await?;
        let detail = json!({ "settlement": id, "state": state, "error": error });
        log::append(connection, &Act::new("settlement.ended", detail), now).await?;
    }
    Ok(())
}
