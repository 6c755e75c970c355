//! Documents that streams publish of themselves, and which of them the chain has.

use serde::Serialize;
use serde_json::json;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::{Store, StoreError, now_text};
use crate::billing::log::{self, Act};

/// Taken at once.
const SOME: u32 = 16;

/// What is told of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    #[serde(rename = "stream")]
    pub id: String,
    pub playback_id: String,
    pub creator: String,
    pub title: String,
    pub description: String,
    pub category: String,
    pub status: String,
    /// RFC 3339, as all times.
    pub created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
}

/// A paid stream that has changed since its last document, or has none.
#[derive(Clone, Debug)]
pub struct Untold {
    pub stream: Uuid,
    pub told: Told,
    /// When it was changed last.
    pub updated_at: String,
    /// The content id of its last document.
    pub previous: Option<String>,
}

impl Store {
    /// Paid streams that have more to tell than their documents say, some of them.
    pub async fn untold(&self) -> Result<Vec<Untold>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, playback_id, creator_id, title, description, category, status, created_at, started_at, ended_at, \
             updated_at, cid FROM streams LEFT JOIN stream_records ON stream_id = id \
             WHERE (told IS NULL OR told <> updated_at) \
             AND EXISTS (SELECT 1 FROM stream_prices WHERE stream_prices.stream_id = streams.id) LIMIT ?1",
        )
        .bind(SOME)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read_untold).collect()
    }

    /// The stream's newest document; the chain does not have it yet.
    pub async fn keep_document(&self, untold: &Untold, cid: &str, body: &[u8]) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query(
            "INSERT INTO documents (cid, body, made_at) VALUES (?1, ?2, ?3) ON CONFLICT (cid) DO NOTHING",
        )
        .bind(cid)
        .bind(body)
        .bind(now_text())
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO stream_records (stream_id, cid, told) VALUES (?1, ?2, ?3) \
             ON CONFLICT (stream_id) DO UPDATE SET cid = ?2, told = ?3, block = NULL",
        )
        .bind(untold.stream.to_string())
        .bind(cid)
        .bind(&untold.updated_at)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    pub async fn document(&self, cid: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let row = sqlx::query("SELECT body FROM documents WHERE cid = ?1").bind(cid);
        let row = row.fetch_optional(&self.pool).await?;
        Ok(row.map(|row| row.try_get("body")).transpose()?)
    }

    /// The content id of what a stream says of itself.
    pub async fn record_of(&self, stream: Uuid) -> Result<Option<String>, StoreError> {
        let row = sqlx::query("SELECT cid FROM stream_records WHERE stream_id = ?1").bind(stream.to_string());
        let row = row.fetch_optional(&self.pool).await?;
        Ok(row.map(|row| row.try_get("cid")).transpose()?)
    }

    /// Streams and documents that are not on chain, some of them.
    pub async fn unrecorded(&self) -> Result<Vec<(Uuid, Vec<u8>, String)>, StoreError> {
        let rows = sqlx::query(
            "SELECT stream_id, body, cid FROM stream_records JOIN documents USING (cid) WHERE block IS NULL LIMIT ?1",
        )
        .bind(SOME)
        .fetch_all(&self.pool)
        .await?;
        let read = |row: &SqliteRow| {
            let id = row.try_get::<String, _>("stream_id")?.parse();
            let id = id.map_err(|_| StoreError::Unreadable("stream_records.stream_id"))?;
            Ok((id, row.try_get("body")?, row.try_get("cid")?))
        };
        rows.iter().map(read).collect()
    }

    /// A final block names the stream's document. What it cost is logged.
    pub async fn recorded(
        &self,
        stream: Uuid,
        cid: &str,
        (block, fee): (u32, pay::Amount),
        now: pay::UnixMillis,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        // Another may be its newest by now.
        sqlx::query("UPDATE stream_records SET block = ?3 WHERE stream_id = ?1 AND cid = ?2")
            .bind(stream.to_string())
            .bind(cid)
            .bind(block)
            .execute(&mut *tx)
            .await?;
        let told = json!({ "stream": stream.to_string(), "cid": cid, "block": block, "fee": fee });
        log::append(&mut tx, &Act::new("stream.recorded", told), now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Documents that no IPFS node was handed yet, some of them.
    pub async fn kept_here(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let query = "SELECT cid, body FROM documents WHERE handed_on = 0 ORDER BY made_at LIMIT ?1";
        let rows = sqlx::query(query).bind(SOME).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((row.try_get("cid")?, row.try_get("body")?))).collect()
    }

    pub async fn handed_on(&self, cid: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE documents SET handed_on = 1 WHERE cid = ?1")
            .bind(cid)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

fn read_untold(row: &SqliteRow) -> Result<Untold, StoreError> {
    let text = |name: &str| row.try_get::<String, _>(name);
    let told = Told {
        id: text("id")?,
        playback_id: text("playback_id")?,
        creator: text("creator_id")?,
        title: text("title")?,
        description: text("description")?,
        category: text("category")?,
        status: text("status")?,
        created_at: text("created_at")?,
        started_at: row.try_get("started_at")?,
        ended_at: row.try_get("ended_at")?,
    };
    let stream = told.id.parse().map_err(|_| StoreError::Unreadable("streams.id"))?;
    Ok(Untold { stream, told, updated_at: text("updated_at")?, previous: row.try_get("cid")? })
}
