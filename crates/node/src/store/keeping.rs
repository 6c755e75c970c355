//! What their keepers do with streams: new keys, and an end for good with what was recorded; and the log of it.

use api::stream::RECORDINGS_MAX;
use api::{AuditedAct, Cid};
use pay::UnixMillis;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use thiserror::Error;
use uuid::Uuid;

use super::{Store, StoreError, now_text};
use crate::billing::log::{self, Act};
use crate::id::StreamKey;

#[derive(Debug, Error)]
pub enum ArchiveError {
    #[error("the stream is on air")]
    Live,
    #[error("a stream has at most {RECORDINGS_MAX} recordings")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for ArchiveError {
    fn from(err: sqlx::Error) -> Self {
        Self::Store(err.into())
    }
}

impl Store {
    /// Over for good, with these recordings besides those that it was archived with before. Said again, it changes
    /// nothing.
    pub async fn archive(
        &self,
        stream: Uuid,
        recordings: &[Cid],
        (act, now): (Act, UnixMillis),
    ) -> Result<(), ArchiveError> {
        let id = stream.to_string();
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let archived =
            "UPDATE streams SET status = 'archived' WHERE id = ?1 AND status IN ('pending', 'ended')";
        let mut changes = sqlx::query(archived).bind(&id).execute(&mut *tx).await?.rows_affected();
        let live = "SELECT EXISTS (SELECT 1 FROM streams WHERE id = ?1 AND status = 'live')";
        if sqlx::query_scalar(live).bind(&id).fetch_one(&mut *tx).await? {
            return Err(ArchiveError::Live);
        }
        for recording in recordings {
            let added =
                "INSERT INTO stream_recordings (stream_id, cid) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
            let added = sqlx::query(added).bind(&id).bind(recording.to_string());
            changes += added.execute(&mut *tx).await?.rows_affected();
        }
        let count = "SELECT count(*) FROM stream_recordings WHERE stream_id = ?1";
        let count: i64 = sqlx::query_scalar(count).bind(&id).fetch_one(&mut *tx).await?;
        if usize::try_from(count).is_ok_and(|count| count > RECORDINGS_MAX) {
            return Err(ArchiveError::TooMany);
        }
        if changes > 0 {
            let changed = sqlx::query("UPDATE streams SET updated_at = ?2 WHERE id = ?1");
            changed.bind(&id).bind(now_text()).execute(&mut *tx).await?;
            log::append(&mut tx, &act, now).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// A new stream key, in place of the one before.
    pub async fn rotate_key(
        &self,
        stream: Uuid,
        (act, now): (Act, UnixMillis),
    ) -> Result<StreamKey, StoreError> {
        let key = StreamKey::random();
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("UPDATE streams SET stream_key = ?2 WHERE id = ?1")
            .bind(stream.to_string())
            .bind(key.expose())
            .execute(&mut *tx)
            .await?;
        log::append(&mut tx, &act, now).await?;
        tx.commit().await?;
        Ok(key)
    }

    /// The content ids of what was recorded, in their own order.
    pub async fn recordings(&self, stream: Uuid) -> Result<Vec<String>, StoreError> {
        let query = "SELECT cid FROM stream_recordings WHERE stream_id = ?1 ORDER BY cid";
        Ok(sqlx::query_scalar(query).bind(stream.to_string()).fetch_all(&self.pool).await?)
    }

    /// The audit log after that row, the oldest first.
    pub async fn acts(&self, after: u64, limit: u32) -> Result<Vec<AuditedAct>, StoreError> {
        let query =
            "SELECT seq, at, act, detail, hash FROM pay_audit_log WHERE seq > ?1 ORDER BY seq LIMIT ?2";
        let query = sqlx::query(query).bind(i64::try_from(after).unwrap_or(i64::MAX)).bind(limit);
        query.fetch_all(&self.pool).await?.iter().map(read_act).collect()
    }
}

fn read_act(row: &SqliteRow) -> Result<AuditedAct, StoreError> {
    let number = |name: &str| {
        row.try_get::<i64, _>(name)?.try_into().map_err(|_| StoreError::Unreadable("pay_audit_log"))
    };
    Ok(AuditedAct {
        number: number("seq")?,
        at: UnixMillis(number("at")?),
        act: row.try_get("act")?,
        detail: row.try_get("detail")?,
        hash: data_encoding::HEXLOWER.encode(row.try_get("hash")?),
    })
}
