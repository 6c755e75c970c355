//! What streams cost, who may ask for it, what was offered, and who joined.

use api::PriceTier;
use pay::{AccountId, Delegation, OfferHash, PublishedOffer, Signed, UnixMillis, Wire};
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use super::{Store, StoreError, now_text};
use crate::billing::log::{self, Act};

impl Store {
    /// In place of those before; the stream must have some.
    pub async fn set_prices(
        &self,
        stream: Uuid,
        prices: &[PriceTier],
        (act, now): (Act, UnixMillis),
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("DELETE FROM stream_prices WHERE stream_id = ?1")
            .bind(stream.to_string())
            .execute(&mut *tx)
            .await?;
        insert_prices(&mut tx, stream, prices).await?;
        sqlx::query("UPDATE streams SET updated_at = ?2 WHERE id = ?1")
            .bind(stream.to_string())
            .bind(now_text())
            .execute(&mut *tx)
            .await?;
        log::append(&mut tx, &act, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The lowest tier first.
    pub async fn prices(&self, stream: Uuid) -> Result<Vec<PriceTier>, StoreError> {
        let rows = sqlx::query(
            "SELECT tier, price, grace_ticks, max_lines, max_kbps FROM stream_prices \
             WHERE stream_id = ?1 ORDER BY tier",
        )
        .bind(stream.to_string())
        .fetch_all(&self.pool)
        .await?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            let price = row.try_get::<String, _>("price")?.parse().ok().and_then(pay::Price::new);
            Ok(PriceTier {
                tier: row.try_get("tier")?,
                price: price.ok_or(StoreError::Unreadable("stream_prices.price"))?,
                grace_ticks: row.try_get("grace_ticks")?,
                max_lines: row.try_get("max_lines")?,
                max_kbps: row.try_get("max_kbps")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// A creator names this node's key, in place of what it said before.
    pub async fn set_delegation(
        &self,
        delegation: &Signed<Delegation>,
        (act, now): (Act, UnixMillis),
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query(
            "INSERT INTO creators (account, delegation, valid_until, updated_at) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (account) DO UPDATE SET delegation = ?2, valid_until = ?3, updated_at = ?4",
        )
        .bind(delegation.body.payee.account().0.to_vec())
        .bind(delegation.to_bytes())
        .bind(integer(delegation.body.until.0))
        .bind(now_text())
        .execute(&mut *tx)
        .await?;
        log::append(&mut tx, &act, now).await?;
        tx.commit().await?;
        Ok(())
    }

    pub async fn delegation(&self, creator: AccountId) -> Result<Option<Signed<Delegation>>, StoreError> {
        let found = sqlx::query("SELECT delegation FROM creators WHERE account = ?1")
            .bind(creator.0.to_vec())
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = found else { return Ok(None) };
        let bytes = row.try_get::<Vec<u8>, _>("delegation")?;
        Signed::from_bytes(&bytes).map(Some).map_err(|_| StoreError::Unreadable("creators.delegation"))
    }

    /// Before they are shown to anybody: a voucher may name each of them.
    pub async fn keep_offers(&self, stream: Uuid, offers: &[PublishedOffer]) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for published in offers {
            let OfferHash(hash) = published.offer.body.hash();
            sqlx::query(
                "INSERT INTO offers (hash, stream_id, published, valid_until, made_at) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (hash) DO NOTHING",
            )
            .bind(hash.to_vec())
            .bind(stream.to_string())
            .bind(published.to_bytes())
            .bind(integer(published.offer.body.until.0))
            .bind(now_text())
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Those of a stream that are in force, the newest last.
    pub async fn offers_in_force(
        &self,
        stream: Uuid,
        now: UnixMillis,
    ) -> Result<Vec<PublishedOffer>, StoreError> {
        let rows = sqlx::query(
            "SELECT published FROM offers WHERE stream_id = ?1 AND valid_until > ?2 ORDER BY valid_until LIMIT 256",
        )
        .bind(stream.to_string())
        .bind(integer(now.0))
        .fetch_all(&self.pool)
        .await?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            let bytes = row.try_get::<Vec<u8>, _>("published")?;
            PublishedOffer::from_bytes(&bytes).map_err(|_| StoreError::Unreadable("offers.published"))
        };
        rows.iter().map(read).collect()
    }

    /// Somebody joins: the viewer's row.
    pub async fn join(&self, stream: Uuid, viewer: &str) -> Result<Uuid, StoreError> {
        let id = Uuid::new_v4();
        sqlx::query(
            "INSERT INTO stream_viewers (id, stream_id, viewer_id, joined_at) VALUES (?1, ?2, ?3, ?4)",
        )
        .bind(id.to_string())
        .bind(stream.to_string())
        .bind(viewer)
        .bind(now_text())
        .execute(&self.pool)
        .await?;
        Ok(id)
    }
}

pub(super) async fn insert_prices(
    connection: &mut SqliteConnection,
    stream: Uuid,
    prices: &[PriceTier],
) -> Result<(), StoreError> {
    for tier in prices {
        sqlx::query(
            "INSERT INTO stream_prices (stream_id, tier, price, grace_ticks, max_lines, max_kbps) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(stream.to_string())
        .bind(tier.tier)
        .bind(tier.price.per_tick().to_string())
        .bind(tier.grace_ticks)
        .bind(tier.max_lines)
        .bind(tier.max_kbps)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// SQLite's integers are signed; everything that is stored as one ends at 2^53.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
