//! What a node that starts knows of its payers.

use chain::BlockRef;
use pay::{AccountId, Amount, Channel, ChannelId, Genesis, Wire};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{ChannelRow, CreditRow, Cursor, Journal, LedgerRow, SettleKind, read_credits};
use crate::store::StoreError;

#[derive(Debug, Default)]
pub struct Loaded {
    pub channels: Vec<ChannelRow>,
    pub ledgers: Vec<LedgerRow>,
    pub credits: Vec<CreditRow>,
    /// Accounts that have named this node, now or once.
    pub payees: Vec<AccountId>,
    pub cursor: Option<Cursor>,
    pub open: Vec<OpenSettlement>,
}

/// One that may have been sent when the node ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenSettlement {
    pub id: i64,
    pub channel: ChannelId,
    pub kind: SettleKind,
    pub cumulative: Amount,
}

impl Journal {
    pub async fn load(&self) -> Result<Loaded, StoreError> {
        let mut connection = self.pool.acquire().await?;
        let channels = sqlx::query("SELECT state, retired FROM channels").fetch_all(&mut *connection).await?;
        let ledgers = sqlx::query("SELECT payer, payee, channel, record, accepted FROM ledgers")
            .fetch_all(&mut *connection)
            .await?;
        let payees = sqlx::query("SELECT account FROM creators").fetch_all(&mut *connection).await?;
        let cursor = sqlx::query("SELECT genesis, number, hash FROM chain_cursor")
            .fetch_optional(&mut *connection)
            .await?;
        let open = sqlx::query(
            "SELECT id, channel, kind, cumulative FROM settlements WHERE state IN ('intended', 'doubtful')",
        )
        .fetch_all(&mut *connection)
        .await?;
        Ok(Loaded {
            channels: channels.iter().map(channel).collect::<Result<_, _>>()?,
            ledgers: ledgers.iter().map(ledger).collect::<Result<_, _>>()?,
            payees: payees
                .iter()
                .map(|row| bytes(row, "account").map(AccountId))
                .collect::<Result<_, _>>()?,
            credits: read_credits(&mut connection).await?,
            cursor: cursor.as_ref().map(cursor_of).transpose()?,
            open: open.iter().map(settlement).collect::<Result<_, _>>()?,
        })
    }
}

fn channel(row: &SqliteRow) -> Result<ChannelRow, StoreError> {
    let state = row.try_get::<Vec<u8>, _>("state")?;
    let mut channel = Channel::from_bytes(&state).map_err(|_| StoreError::Unreadable("channels.state"))?;
    // The chain tells anew what is in blocks that are not final.
    channel.set_pending(&[]).map_err(|_| StoreError::Unreadable("channels.state"))?;
    Ok(ChannelRow { channel, is_retired: row.try_get("retired")? })
}

fn ledger(row: &SqliteRow) -> Result<LedgerRow, StoreError> {
    Ok(LedgerRow {
        payer: AccountId(bytes(row, "payer")?),
        payee: AccountId(bytes(row, "payee")?),
        channel: ChannelId(bytes(row, "channel")?),
        record: row.try_get("record")?,
        accepted: amount(row, "accepted")?,
    })
}

fn cursor_of(row: &SqliteRow) -> Result<Cursor, StoreError> {
    let block = BlockRef { number: row.try_get("number")?, hash: bytes(row, "hash")? };
    Ok(Cursor { genesis: Genesis(bytes(row, "genesis")?), block })
}

fn settlement(row: &SqliteRow) -> Result<OpenSettlement, StoreError> {
    let kind = row.try_get::<String, _>("kind")?;
    Ok(OpenSettlement {
        id: row.try_get("id")?,
        channel: ChannelId(bytes(row, "channel")?),
        kind: SettleKind::parse(&kind).ok_or(StoreError::Unreadable("settlements.kind"))?,
        cumulative: amount(row, "cumulative")?,
    })
}

pub fn bytes(row: &SqliteRow, name: &'static str) -> Result<[u8; 32], StoreError> {
    row.try_get::<Vec<u8>, _>(name)?.try_into().map_err(|_| StoreError::Unreadable(name))
}

pub fn amount(row: &SqliteRow, name: &'static str) -> Result<Amount, StoreError> {
    row.try_get::<String, _>(name)?.parse().map_err(|_| StoreError::Unreadable(name))
}
