//! Rows of many payers in few statements: most of what a statement costs is its way to the database and back.

use std::collections::BTreeMap;

use pay::{Amount, Signed, Voucher, Wire};
use sqlx::{AssertSqlSafe, Row, SqliteConnection};
use uuid::Uuid;

use super::{LedgerRow, Watched, integer};
use crate::store::{StoreError, now_text};

/// Rows of one statement. Few different ones, since the database keeps those prepared.
const SIZES: [usize; 4] = [128, 32, 8, 1];

const UNREADABLE: StoreError = StoreError::Unreadable("stream_viewers.paid_amount");

/// Parts of `rows`, each of one of the sizes.
fn parts<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|size| *size <= rows.len())?;
        let (part, rest) = rows.split_at(size);
        rows = rest;
        Some(part)
    })
}

/// `(?, ?), (?, ?)`.
fn places(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    vec![row; rows].join(", ")
}

pub(super) async fn write_ledgers(
    connection: &mut SqliteConnection,
    rows: &[&LedgerRow],
) -> Result<(), StoreError> {
    for part in parts(rows) {
        let sql = format!(
            "INSERT INTO ledgers (payer, payee, channel, record, accepted) VALUES {} \
             ON CONFLICT (payer, payee) DO UPDATE SET \
             channel = excluded.channel, record = excluded.record, accepted = excluded.accepted",
            places(part.len(), 5)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for row in part {
            query = query
                .bind(row.payer.0.to_vec())
                .bind(row.payee.0.to_vec())
                .bind(row.channel.0.to_vec())
                .bind(&row.record)
                .bind(row.accepted.to_string());
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) async fn write_vouchers(
    connection: &mut SqliteConnection,
    rows: &[&Signed<Voucher>],
) -> Result<(), StoreError> {
    for part in parts(rows) {
        let sql = format!(
            "INSERT INTO vouchers (channel, tick, cumulative, offer, signed) VALUES {}",
            places(part.len(), 5)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for signed in part {
            let voucher = &signed.body;
            query = query
                .bind(voucher.channel.0.to_vec())
                .bind(integer(voucher.tick.0)?)
                .bind(voucher.cumulative.to_string())
                .bind(voucher.offer.0.to_vec())
                .bind(signed.to_bytes());
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Sums of 128 bits are more than the database can add.
pub(super) async fn write_watched(
    connection: &mut SqliteConnection,
    rows: impl Iterator<Item = &Watched>,
) -> Result<(), StoreError> {
    let mut viewers: BTreeMap<Uuid, (u64, Amount)> = BTreeMap::new();
    let mut streams: BTreeMap<Uuid, u64> = BTreeMap::new();
    for watched in rows {
        let (ticks, amount) = viewers.entry(watched.viewer).or_default();
        *ticks += watched.ticks;
        *amount = amount.checked_add(watched.amount).ok_or(UNREADABLE)?;
        *streams.entry(watched.stream).or_default() += watched.ticks;
    }
    let viewers: Vec<_> = viewers.into_iter().collect();
    for part in parts(&viewers) {
        let paid = paid_by(connection, part).await?;
        let sql = format!(
            "WITH new (id, ticks, paid) AS (VALUES {}) UPDATE stream_viewers \
             SET total_ticks = total_ticks + new.ticks, paid_amount = new.paid, last_tick = ? \
             FROM new WHERE stream_viewers.id = new.id",
            places(part.len(), 3)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (viewer, (ticks, amount)) in part {
            let id = viewer.to_string();
            let before = paid.get(&id).ok_or(UNREADABLE)?;
            let paid = before.checked_add(*amount).ok_or(UNREADABLE)?;
            query = query.bind(id).bind(integer(*ticks)?).bind(paid.to_string());
        }
        query.bind(now_text()).execute(&mut *connection).await?;
    }
    for (stream, ticks) in streams {
        sqlx::query("UPDATE streams SET total_ticks = total_ticks + ?2 WHERE id = ?1")
            .bind(stream.to_string())
            .bind(integer(ticks)?)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// What viewers had paid before.
async fn paid_by(
    connection: &mut SqliteConnection,
    viewers: &[(Uuid, (u64, Amount))],
) -> Result<BTreeMap<String, Amount>, StoreError> {
    let ids = vec!["?"; viewers.len()].join(", ");
    let sql = format!("SELECT id, paid_amount FROM stream_viewers WHERE id IN ({ids})");
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for (viewer, _) in viewers {
        query = query.bind(viewer.to_string());
    }
    let rows = query.fetch_all(connection).await?;
    let read = |row: &sqlx::sqlite::SqliteRow| {
        let paid = row.try_get::<String, _>("paid_amount")?.parse().map_err(|_| UNREADABLE)?;
        Ok((row.try_get("id")?, paid))
    };
    rows.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_in_parts_of_few_sizes_and_in_order() {
        let rows: Vec<u32> = (0..305).collect();
        let sizes: Vec<_> = parts(&rows).map(<[u32]>::len).collect();
        assert_eq!(sizes, [128, 128, 32, 8, 8, 1]);
        assert_eq!(parts(&rows).flatten().copied().collect::<Vec<_>>(), rows);
        assert_eq!(parts::<u32>(&[]).count(), 0);
        assert_eq!(places(2, 3), "(?, ?, ?), (?, ?, ?)");
    }
}
