//! What streams have earned, by what their viewers have signed for.

use std::collections::HashMap;

use api::StreamEarnings;
use futures_util::TryStreamExt;
use pay::Amount;
use sqlx::{AssertSqlSafe, Row};

use super::{Store, StoreError};

const UNREADABLE: StoreError = StoreError::Unreadable("stream_viewers.paid_amount");

impl Store {
    /// Of those streams that were paid for, by that creator's name where there is one: the latest paid first, at most
    /// `limit`.
    pub async fn earnings(
        &self,
        creator: Option<&str>,
        limit: u32,
    ) -> Result<Vec<StreamEarnings>, StoreError> {
        // Both read the same state.
        let mut tx = self.pool.begin().await?;
        let rows = sqlx::query(
            "SELECT s.id, s.playback_id, s.title, count(DISTINCT v.viewer_id) AS payers, sum(v.total_ticks) AS seconds, \
                    max(v.last_tick) AS last_paid_at \
             FROM streams s JOIN stream_viewers v ON v.stream_id = s.id AND v.total_ticks > 0 \
             WHERE ?1 IS NULL OR s.creator_id = ?1 GROUP BY s.id ORDER BY last_paid_at DESC, s.id LIMIT ?2",
        )
        .bind(creator)
        .bind(limit)
        .fetch_all(&mut *tx)
        .await?;
        let ids: Vec<String> = rows.iter().map(|row| row.try_get("id")).collect::<Result<_, _>>()?;
        let mut earned: HashMap<String, Amount> = HashMap::new();
        let places = vec!["?"; ids.len()].join(", ");
        let sql = format!(
            "SELECT stream_id, paid_amount FROM stream_viewers WHERE total_ticks > 0 AND stream_id IN ({places})"
        );
        let amounts = ids.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(id));
        // One by one: no number of viewers is held in memory. SQLite's own sums end at 64 bits.
        let mut amounts = amounts.fetch(&mut *tx);
        while let Some(row) = amounts.try_next().await? {
            let amount = row.try_get::<String, _>("paid_amount")?.parse().map_err(|_| UNREADABLE)?;
            let sum = earned.entry(row.try_get("stream_id")?).or_default();
            *sum = sum.checked_add(amount).ok_or(UNREADABLE)?;
        }
        let read = |row: &sqlx::sqlite::SqliteRow| {
            let id: String = row.try_get("id")?;
            let count = |name| row.try_get::<i64, _>(name).map(|count| u64::try_from(count).unwrap_or(0));
            Ok(StreamEarnings {
                playback_id: row.try_get("playback_id")?,
                title: row.try_get("title")?,
                payers: count("payers")?,
                seconds: count("seconds")?,
                earned: earned.get(&id).copied().unwrap_or_default(),
                last_paid_at: row.try_get("last_paid_at")?,
            })
        };
        rows.iter().map(read).collect()
    }
}
