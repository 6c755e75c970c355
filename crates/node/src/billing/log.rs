//! The audit log: every act that moves money or needs a right, each row hashed over the one before, so that none can be
//! changed or left out unnoticed.

use pay::UnixMillis;
use pay::id::blake2_256;
use serde_json::Value;
use sqlx::{Row, SqliteConnection};

use crate::store::StoreError;

/// One row: what was done, and with what. No secret, and no address of a peer.
#[derive(Clone, PartialEq, Debug)]
pub struct Act {
    pub name: &'static str,
    pub detail: Value,
}

impl Act {
    pub fn new(name: &'static str, detail: Value) -> Self {
        Self { name, detail }
    }
}

/// In the transaction of what it tells of, which holds the database's write lock.
pub async fn append(connection: &mut SqliteConnection, act: &Act, now: UnixMillis) -> Result<(), StoreError> {
    let last = sqlx::query("SELECT seq, hash FROM pay_audit_log ORDER BY seq DESC LIMIT 1")
        .fetch_optional(&mut *connection)
        .await?;
    let (seq, previous) = match &last {
        Some(row) => (row.try_get::<i64, _>("seq")? + 1, row.try_get::<Vec<u8>, _>("hash")?),
        None => (1, Vec::new()),
    };
    let at = i64::try_from(now.0).unwrap_or(i64::MAX);
    let detail = act.detail.to_string();
    sqlx::query("INSERT INTO pay_audit_log (seq, at, act, detail, hash) VALUES (?1, ?2, ?3, ?4, ?5)")
        .bind(seq)
        .bind(at)
        .bind(act.name)
        .bind(&detail)
        .bind(row_hash(&previous, seq, at, act.name, &detail).to_vec())
        .execute(&mut *connection)
        .await?;
    Ok(())
}

/// Of a row, over the hash of the one before; the first has none before it.
pub fn row_hash(previous: &[u8], seq: i64, at: i64, name: &str, detail: &str) -> [u8; 32] {
    let mut bytes = b"tickcast/audit\0\0".to_vec();
    bytes.extend(previous);
    bytes.extend(seq.to_le_bytes());
    bytes.extend(at.to_le_bytes());
    // With its length, so that no name runs into its detail.
    bytes.extend((name.len() as u64).to_le_bytes());
    bytes.extend(name.as_bytes());
    bytes.extend(detail.as_bytes());
    blake2_256(&bytes)
}
