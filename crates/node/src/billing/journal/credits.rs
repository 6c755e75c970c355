//! Credit accounts, and the transfers that were counted on them.

use chain::BlockRef;
use pay::{Amount, ChannelId, CreditTerms, Signed, Wire};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::read::{amount, bytes};
use crate::store::StoreError;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CreditRow {
    pub opening: Signed<CreditTerms>,
    /// Transfers in the final blocks after this one count.
    pub since: BlockRef,
}

impl CreditRow {
    pub fn channel(&self) -> ChannelId {
        self.opening.body.id()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TransferRow {
    pub block: u32,
    /// Among the transfers of that block.
    pub place: u32,
    pub channel: ChannelId,
    pub amount: Amount,
}

/// One that was forgotten, because nothing was ever paid on it, begins anew.
pub(super) async fn write_credit(
    connection: &mut SqliteConnection,
    row: &CreditRow,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO credits (channel, opening, since_number, since_hash) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (channel) DO UPDATE SET opening = ?2, since_number = ?3, since_hash = ?4",
    )
    .bind(row.channel().0.to_vec())
    .bind(row.opening.to_bytes())
    .bind(row.since.number)
    .bind(row.since.hash.to_vec())
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn write_transfer(
    connection: &mut SqliteConnection,
    row: &TransferRow,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO transfers (block, place, channel, amount) VALUES (?1, ?2, ?3, ?4)")
        .bind(row.block)
        .bind(row.place)
        .bind(row.channel.0.to_vec())
        .bind(row.amount.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn read_credits(connection: &mut SqliteConnection) -> Result<Vec<CreditRow>, StoreError> {
    let rows = sqlx::query("SELECT opening, since_number, since_hash FROM credits");
    rows.fetch_all(connection).await?.iter().map(credit).collect()
}

/// In the order of the chain.
pub async fn read_transfers(connection: &mut SqliteConnection) -> Result<Vec<TransferRow>, StoreError> {
    let rows = sqlx::query("SELECT block, place, channel, amount FROM transfers ORDER BY block, place");
    rows.fetch_all(connection).await?.iter().map(transfer).collect()
}

fn credit(row: &SqliteRow) -> Result<CreditRow, StoreError> {
    let opening = row.try_get::<Vec<u8>, _>("opening")?;
    Ok(CreditRow {
        opening: Signed::from_bytes(&opening).map_err(|_| StoreError::Unreadable("credits.opening"))?,
        since: BlockRef { number: row.try_get("since_number")?, hash: bytes(row, "since_hash")? },
    })
}

fn transfer(row: &SqliteRow) -> Result<TransferRow, StoreError> {
    Ok(TransferRow {
        block: row.try_get("block")?,
        place: row.try_get("place")?,
        channel: ChannelId(bytes(row, "channel")?),
        amount: amount(row, "amount")?,
    })
}
