//! What must be durable before anything is answered: ledgers, vouchers, receipts, channels and settlements, many in one
//! transaction. On a connection of its own, which waits for the disk.

mod batch;
mod credits;
mod read;
mod settlements;

pub use credits::{CreditRow, TransferRow, read_credits, read_transfers};
pub use read::{Loaded, OpenSettlement, bytes};
pub use settlements::{Intent, Outcome, SettleKind, Transaction};

use std::path::Path;

use chain::BlockRef;
use pay::{
    AccountId, Amount, Channel, ChannelId, Genesis, Phase, Receipt, Signed, UnixMillis, Voucher, Wire,
};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqlitePool, SqliteSynchronous};
use sqlx::{Row, Sqlite, SqliteConnection};
use uuid::Uuid;

use super::log::{self, Act};
use crate::store::{StoreError, options, pool};

/// What belongs together: all of it is stored, or nothing.
#[derive(Debug, Default)]
pub struct Unit {
    pub channels: Vec<ChannelRow>,
    pub credits: Vec<CreditRow>,
    pub transfers: Vec<TransferRow>,
    pub cursor: Option<Cursor>,
    pub ledger: Option<LedgerRow>,
    pub voucher: Option<Signed<Voucher>>,
    pub receipt: Option<Signed<Receipt>>,
    pub watched: Option<Watched>,
    pub acts: Vec<Act>,
}

#[derive(Clone, Debug)]
pub struct ChannelRow {
    pub channel: Channel,
    pub is_retired: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    pub genesis: Genesis,
    pub block: BlockRef,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LedgerRow {
    pub payer: AccountId,
    pub payee: AccountId,
    pub channel: ChannelId,
    pub record: Vec<u8>,
    pub accepted: Amount,
}

/// What a voucher paid for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Watched {
    pub viewer: Uuid,
    pub stream: Uuid,
    pub ticks: u64,
    pub amount: Amount,
}

#[derive(Clone)]
pub struct Journal {
    pool: SqlitePool,
}

impl Journal {
    /// The database in `dir`, which the store has made and migrated.
    pub async fn open(dir: &Path) -> Result<Self, StoreError> {
        // In WAL mode anything less than FULL may lose the last transactions with the power; but what is in them was
        // acknowledged, and a viewer never signs for it again.
        let options = options(dir)?.synchronous(SqliteSynchronous::Full);
        let pool = pool(1).connect_with(options).await?;
        Ok(Self { pool })
    }

    /// Stores them all in one transaction; where that fails, each by itself, so that nobody's trouble is another's.
    /// Whether each is durable, in their order.
    pub async fn commit(&self, units: &[Unit], now: UnixMillis) -> Vec<bool> {
        match self.try_commit(units, now).await {
            Ok(()) => return vec![true; units.len()],
            Err(err) => tracing::error!("payments could not be stored: {err}"),
        }
        if units.len() == 1 {
            return vec![false];
        }
        let mut stored = Vec::with_capacity(units.len());
        for unit in units {
            stored.push(self.try_commit(std::slice::from_ref(unit), now).await.is_ok());
        }
        stored
    }

    async fn try_commit(&self, units: &[Unit], now: UnixMillis) -> Result<(), StoreError> {
        let mut connection = self.begin().await?;
        let written = write(&mut connection, units, now).await;
        finish(connection, written).await
    }

    async fn begin(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
        Ok(connection)
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }

    #[cfg(test)]
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }
}

/// Ends a transaction. By hand, since a full disk makes SQLite end it by itself: a transaction of the driver's would then
/// fail to be rolled back, and so would the next one to begin.
async fn finish<T>(
    mut connection: PoolConnection<Sqlite>,
    written: Result<T, StoreError>,
) -> Result<T, StoreError> {
    let ended = match written {
        Ok(value) => {
            sqlx::query("COMMIT").execute(&mut *connection).await.map(|_| value).map_err(StoreError::from)
        }
        Err(err) => Err(err),
    };
    if ended.is_err() {
        // There may be nothing left to roll back.
        let _ = sqlx::query("ROLLBACK").execute(&mut *connection).await;
    }
    ended
}

/// Channels first, since ledgers name them; then what each second of each viewer brings, many rows at once.
async fn write(connection: &mut SqliteConnection, units: &[Unit], now: UnixMillis) -> Result<(), StoreError> {
    for unit in units {
        for row in &unit.channels {
            write_channel(connection, row).await?;
        }
        for row in &unit.credits {
            credits::write_credit(connection, row).await?;
        }
        for row in &unit.transfers {
            credits::write_transfer(connection, row).await?;
        }
    }
    let ledgers: Vec<_> = units.iter().filter_map(|unit| unit.ledger.as_ref()).collect();
    batch::write_ledgers(connection, &ledgers).await?;
    let vouchers: Vec<_> = units.iter().filter_map(|unit| unit.voucher.as_ref()).collect();
    batch::write_vouchers(connection, &vouchers).await?;
    for receipt in units.iter().filter_map(|unit| unit.receipt.as_ref()) {
        write_receipt(connection, receipt).await?;
    }
    batch::write_watched(connection, units.iter().filter_map(|unit| unit.watched.as_ref())).await?;
    for unit in units {
        if let Some(cursor) = &unit.cursor {
            write_cursor(connection, cursor).await?;
        }
        for act in &unit.acts {
            log::append(connection, act, now).await?;
        }
    }
    Ok(())
}

async fn write_cursor(connection: &mut SqliteConnection, cursor: &Cursor) -> Result<(), StoreError> {
    let Cursor { genesis, block } = cursor;
    sqlx::query(
        "INSERT INTO chain_cursor (one, genesis, number, hash) VALUES (1, ?1, ?2, ?3) \
         ON CONFLICT (one) DO UPDATE SET genesis = ?1, number = ?2, hash = ?3",
    )
    .bind(genesis.0.to_vec())
    .bind(block.number)
    .bind(block.hash.to_vec())
    .execute(&mut *connection)
    .await?;
    Ok(())
}

async fn write_channel(connection: &mut SqliteConnection, row: &ChannelRow) -> Result<(), StoreError> {
    let (channel, terms) = (&row.channel, row.channel.terms());
    let (phase, deposit) = match channel.finalized() {
        Phase::Absent => ("absent", Amount::ZERO),
        Phase::Open(funds) => ("open", funds.deposit),
        Phase::Closing { funds, .. } => ("closing", funds.deposit),
        Phase::Closed { paid } => ("closed", paid),
    };
    // A retired one stays so.
    sqlx::query(
        "INSERT INTO channels (id, payer, payee, state, phase, deposit, settled, retired) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO UPDATE SET \
         state = ?4, phase = ?5, deposit = ?6, settled = ?7, retired = max(retired, ?8)",
    )
    .bind(channel.id().0.to_vec())
    .bind(terms.payer.0.to_vec())
    .bind(terms.payee.0.to_vec())
    .bind(channel.to_bytes())
    .bind(phase)
    .bind(deposit.to_string())
    .bind(channel.finalized().settled().to_string())
    .bind(row.is_retired)
    .execute(connection)
    .await?;
    Ok(())
}

/// With it the vouchers that it makes needless go: a receipt and its own voucher prove everything before them.
async fn write_receipt(
    connection: &mut SqliteConnection,
    signed: &Signed<Receipt>,
) -> Result<(), StoreError> {
    let receipt = &signed.body;
    let channel = receipt.channel.0.to_vec();
    let before = sqlx::query("SELECT tick FROM receipts WHERE channel = ?1 ORDER BY number DESC LIMIT 1")
        .bind(&channel)
        .fetch_optional(&mut *connection)
        .await?;
    let before = before.map(|row| row.try_get::<i64, _>("tick")).transpose()?.unwrap_or(-1);
    let tick = integer(receipt.tick.0)?;
    sqlx::query(
        "INSERT INTO receipts (channel, number, tick, cumulative, signed) VALUES (?1, ?2, ?3, ?4, ?5)",
    )
    .bind(&channel)
    .bind(integer(receipt.number)?)
    .bind(tick)
    .bind(receipt.cumulative.to_string())
    .bind(signed.to_bytes())
    .execute(&mut *connection)
    .await?;
    sqlx::query("DELETE FROM vouchers WHERE channel = ?1 AND tick > ?2 AND tick < ?3")
        .bind(&channel)
        .bind(before)
        .bind(tick)
        .execute(connection)
        .await?;
    Ok(())
}

/// SQLite's integers are signed; those of the protocol end at 2^53.
fn integer(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Unreadable("a number beyond 2^63"))
}
