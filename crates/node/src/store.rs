//! The database: streams, broadcasts and viewers. SQLite in WAL mode.

mod earnings;
mod endings;
mod keeping;
mod pricing;
mod records;

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use api::{CreateStream, StreamStatus};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow};
use sqlx::{AssertSqlSafe, Connection as _, Row};
use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::id::{PlaybackId, StreamKey};

use endings::Endings;

pub use keeping::ArchiveError;
pub use records::{Told, Untold};

#[derive(Debug, Error)]
pub enum StoreError {
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the database could not be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error("the database holds a row that cannot be read: {0}")]
    Unreadable(&'static str),
    #[error("the stream is archived")]
    Archived,
    #[error("the database's file could not be made: {0}")]
    File(#[from] std::io::Error),
}

/// A stream as stored.
#[derive(Clone, Debug)]
pub struct StreamRow {
    pub id: Uuid,
    pub playback_id: PlaybackId,
    pub key: StreamKey,
    pub title: String,
    pub description: String,
    pub category: String,
    pub status: StreamStatus,
    /// RFC 3339.
    pub started_at: Option<String>,
    /// An account as text, or `local`.
    pub creator: String,
    /// Made with prices: nobody watches it without paying, whatever becomes of the chain.
    pub is_paid: bool,
}

#[derive(Clone)]
pub struct Store {
    pool: SqlitePool,
    endings: Arc<Endings>,
}

impl Store {
    /// Opens `tickcast.db` in `dir`, made and migrated where needed.
    pub async fn open(dir: &Path) -> Result<Self, StoreError> {
        let options = options(dir)?.create_if_missing(true);
        keep_private(options.get_filename())?;
        Self::open_with(options).await
    }

    async fn open_with(options: SqliteConnectOptions) -> Result<Self, StoreError> {
        let pool = pool(4).connect_with(options).await?;
        sqlx::migrate!("./migrations/sqlite").run(&pool).await?;
        let store = Self { endings: Arc::new(Endings::start(pool.clone())), pool };
        // A node that was killed left its streams "live".
        let now = now_text();
        sqlx::query(
            "UPDATE streams SET status = 'ended', ended_at = ?1, updated_at = ?1 WHERE status = 'live'",
        )
        .bind(&now)
        .execute(&store.pool)
        .await?;
        sqlx::query("UPDATE stream_sessions SET ended_at = ?1 WHERE ended_at IS NULL")
            .bind(&now)
            .execute(&store.pool)
            .await?;
        Ok(store)
    }

    pub async fn create_stream(
        &self,
        creator: &str,
        request: &CreateStream,
    ) -> Result<StreamRow, StoreError> {
        let row = StreamRow {
            id: Uuid::new_v4(),
            playback_id: PlaybackId::random(),
            key: StreamKey::random(),
            title: request.title.clone(),
            description: request.description.clone(),
            category: request.category.clone(),
            status: StreamStatus::Pending,
            started_at: None,
            creator: creator.to_owned(),
            is_paid: !request.prices.is_empty(),
        };
        let mut tx = self.pool.begin().await?;
        sqlx::query(
            "INSERT INTO streams (id, playback_id, creator_id, title, description, category, stream_key, \
             created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)",
        )
        .bind(row.id.to_string())
        .bind(row.playback_id.as_str())
        .bind(creator)
        .bind(&row.title)
        .bind(&row.description)
        .bind(&row.category)
        .bind(row.key.expose())
        .bind(now_text())
        .execute(&mut *tx)
        .await?;
        pricing::insert_prices(&mut tx, row.id, &request.prices).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// The key of one that is archived opens nothing.
    pub async fn stream_by_key(&self, key: &StreamKey) -> Result<Option<StreamRow>, StoreError> {
        self.stream_where("stream_key = ?1 AND status <> 'archived'", key.expose()).await
    }

    pub async fn stream_by_playback_id(&self, id: &PlaybackId) -> Result<Option<StreamRow>, StoreError> {
        self.stream_where("playback_id = ?1", id.as_str()).await
    }

    /// The newest first, at most `limit`.
    pub async fn streams(&self, limit: u32) -> Result<Vec<StreamRow>, StoreError> {
        sqlx::query(AssertSqlSafe(format!("{SELECT} ORDER BY created_at DESC, id LIMIT ?1")))
            .bind(limit)
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(read_stream)
            .collect()
    }

    /// A broadcast begins: its session's id.
    pub async fn begin_broadcast(
        &self,
        stream: Uuid,
        sfu: &str,
        signaling: &str,
    ) -> Result<Uuid, StoreError> {
        let (session, now) = (Uuid::new_v4(), now_text());
        let mut tx = self.pool.begin().await?;
        let begun = sqlx::query(
            "UPDATE streams SET status = 'live', started_at = ?2, ended_at = NULL, updated_at = ?2 \
             WHERE id = ?1 AND status <> 'archived'",
        )
        .bind(stream.to_string())
        .bind(&now)
        .execute(&mut *tx)
        .await?;
        if begun.rows_affected() == 0 {
            return Err(StoreError::Archived);
        }
        sqlx::query(
            "INSERT INTO stream_sessions (id, stream_id, sfu_server, signaling_server, started_at) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .bind(session.to_string())
        .bind(stream.to_string())
        .bind(sfu)
        .bind(signaling)
        .bind(&now)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(session)
    }

    /// A broadcast is over. Never waits: its end is stored as soon as the database takes it, and before [`Store::close`]
    /// returns where that takes it at all.
    pub fn end_broadcast(&self, stream: Uuid, session: Uuid) {
        self.endings.push(stream, session);
    }

    pub async fn close(&self) {
        self.endings.finish().await;
        self.pool.close().await;
    }

    /// `condition` is one of ours; what comes from outside is bound.
    async fn stream_where(
        &self,
        condition: &'static str,
        value: &str,
    ) -> Result<Option<StreamRow>, StoreError> {
        sqlx::query(AssertSqlSafe(format!("{SELECT} WHERE {condition}")))
            .bind(value)
            .fetch_optional(&self.pool)
            .await?
            .as_ref()
            .map(read_stream)
            .transpose()
    }
}

const SELECT: &str = "SELECT id, playback_id, stream_key, title, description, category, status, started_at, creator_id, \
                      EXISTS (SELECT 1 FROM stream_prices WHERE stream_id = streams.id) AS is_paid FROM streams";

/// Connections to the database, of which none that is in a transaction is handed on. Where the disk is full, SQLite rolls
/// back by itself (its documentation of `BEGIN`, "Response To Errors Within A Transaction"), and what is done after it on
/// the same connection would be part of a transaction that nobody commits.
pub(crate) fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(connections).after_release(|connection, _| {
        Box::pin(async move {
            // After a rollback that is still on its way.
            connection.ping().await?;
            Ok(!connection.is_in_transaction())
        })
    })
}

/// How every connection to the database in `dir` is opened.
pub(crate) fn options(dir: &Path) -> Result<SqliteConnectOptions, StoreError> {
    Ok(SqliteConnectOptions::from_str("sqlite://")?
        .filename(dir.join("tickcast.db"))
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(std::time::Duration::from_secs(5)))
}

/// Stream keys lie in it: nobody but the node's own user reads it, nor what SQLite puts beside it, which has the same
/// permissions.
fn keep_private(file: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let made = options.open(file)?;
    #[cfg(unix)]
    made.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    drop(made);
    Ok(())
}

fn read_stream(row: &SqliteRow) -> Result<StreamRow, StoreError> {
    let text = |name: &str| row.try_get::<String, _>(name);
    Ok(StreamRow {
        id: text("id")?.parse().map_err(|_| StoreError::Unreadable("streams.id"))?,
        playback_id: PlaybackId::parse(&text("playback_id")?)
            .ok_or(StoreError::Unreadable("streams.playback_id"))?,
        key: StreamKey::presented(&text("stream_key")?),
        title: text("title")?,
        description: text("description")?,
        category: text("category")?,
        status: StreamStatus::parse(&text("status")?).ok_or(StoreError::Unreadable("streams.status"))?,
        started_at: row.try_get("started_at")?,
        creator: text("creator_id")?,
        is_paid: row.try_get("is_paid")?,
    })
}

pub(crate) fn now_text() -> String {
    OffsetDateTime::now_utc().format(&Rfc3339).expect("a date of this era has an RFC 3339 form")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(title: &str) -> CreateStream {
        CreateStream { title: title.into(), ..CreateStream::default() }
    }

    #[tokio::test]
    async fn a_stream_is_found_by_its_key_and_by_its_playback_id_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).await.unwrap();
        let made = store.create_stream("local", &request("one")).await.unwrap();
        store.close().await;
        let store = Store::open(dir.path()).await.unwrap();
        assert_eq!(store.stream_by_key(&made.key).await.unwrap().unwrap().id, made.id);
        assert_eq!(store.stream_by_playback_id(&made.playback_id).await.unwrap().unwrap().id, made.id);
        assert!(
            store.stream_by_key(&StreamKey::presented(made.playback_id.as_str())).await.unwrap().is_none()
        );
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn stream_keys_are_for_the_nodes_own_user_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        // As an earlier version left it.
        let file = dir.path().join("tickcast.db");
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let store = Store::open(dir.path()).await.unwrap();
        store.create_stream("local", &request("one")).await.unwrap();
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
        store.close().await;
    }

    #[tokio::test]
    async fn a_broadcast_that_a_kill_left_open_is_ended_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).await.unwrap();
        let made = store.create_stream("local", &request("one")).await.unwrap();
        store.begin_broadcast(made.id, "here", "here").await.unwrap();
        assert_eq!(store.stream_by_key(&made.key).await.unwrap().unwrap().status, StreamStatus::Live);
        store.close().await;
        let store = Store::open(dir.path()).await.unwrap();
        assert_eq!(store.stream_by_key(&made.key).await.unwrap().unwrap().status, StreamStatus::Ended);
    }

    /// A conflict that rolls back stands for a full disk: SQLite ends the transaction by itself, too.
    #[tokio::test]
    async fn what_is_written_after_sqlite_rolled_back_by_itself_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let options = options(dir.path()).unwrap().create_if_missing(true);
        let pool = pool(1).connect_with(options.clone()).await.unwrap();
        sqlx::query("CREATE TABLE kept (number INTEGER PRIMARY KEY)").execute(&pool).await.unwrap();
        let write = async |statement: &'static str| {
            let mut tx = pool.begin().await?;
            sqlx::query(statement).execute(&mut *tx).await?;
            tx.commit().await
        };
        write("INSERT OR ROLLBACK INTO kept VALUES (1), (1)").await.unwrap_err();
        write("INSERT INTO kept VALUES (1), (1)").await.unwrap_err();
        write("INSERT INTO kept VALUES (1)").await.unwrap();
        sqlx::query("INSERT INTO kept VALUES (2)").execute(&pool).await.unwrap();
        let mut other = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM kept").fetch_one(&mut other).await.unwrap();
        assert_eq!(rows, 2);
    }

    #[tokio::test]
    async fn the_database_itself_refuses_a_status_and_a_title_that_it_does_not_know() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).await.unwrap();
        assert!(store.create_stream("local", &request(&"x".repeat(256))).await.is_err());
        let made = store.create_stream("local", &request("one")).await.unwrap();
        let update = sqlx::query("UPDATE streams SET status = 'paused' WHERE id = ?1")
            .bind(made.id.to_string())
            .execute(&store.pool)
            .await;
        assert!(update.unwrap_err().to_string().contains("CHECK"));
    }
}
