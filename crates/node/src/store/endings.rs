//! Ends of broadcasts on their way into the database: what it does not take now is tried again until it does, while
//! nobody waits.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::sqlite::SqlitePool;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::now_text;

/// Ends that wait. Full: of a further one the next start takes care, which ends what it finds live.
const WAITING: usize = 1024;
/// Between two attempts: the first pause, each further one twice as long, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// The node's own end waits so long for the last attempts. One lasts as long as the database waits for a lock.
const LAST_ATTEMPTS: Duration = Duration::from_secs(8);

/// The way in. The task that stores ends when this is dropped, after one more attempt at each that waits.
pub(super) struct Endings(Mutex<Option<Open>>);

struct Open {
    queue: mpsc::Sender<Ended>,
    /// Dropped, no attempt is followed by another.
    goes_on: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Endings {
    pub fn start(pool: SqlitePool) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING);
        let (goes_on, still) = watch::channel(());
        let task = tokio::spawn(store_all(pool, waiting, still));
        Self(Mutex::new(Some(Open { queue, goes_on, task })))
    }

    /// Never waits.
    pub fn push(&self, stream: Uuid, session: Uuid) {
        let ended = Ended { stream, session, at: now_text() };
        let open = self.open();
        if open.as_ref().is_none_or(|open| open.queue.try_send(ended).is_err()) {
            tracing::error!(%stream, "a broadcast's end is left to the next start, which ends what it finds live");
        }
    }

    /// One more attempt at each that waits.
    pub async fn finish(&self) {
        let Some(Open { queue, goes_on, mut task }) = self.open().take() else { return };
        drop((queue, goes_on));
        if tokio::time::timeout(LAST_ATTEMPTS, &mut task).await.is_err() {
            tracing::error!("not every broadcast's end is stored: the next start ends what it finds live");
            task.abort();
        }
    }

    fn open(&self) -> MutexGuard<'_, Option<Open>> {
        // It is whole between any two of its operations, also when a holder panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Ended {
    stream: Uuid,
    session: Uuid,
    /// RFC 3339.
    at: String,
}

impl Ended {
    /// Where the stream is on air again, only the session ends.
    async fn store(&self, pool: &SqlitePool) -> Result<(), sqlx::Error> {
        let mut tx = pool.begin().await?;
        sqlx::query("UPDATE stream_sessions SET ended_at = ?2 WHERE id = ?1")
            .bind(self.session.to_string())
            .bind(&self.at)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "UPDATE streams SET status = 'ended', viewer_count = 0, ended_at = ?2, updated_at = ?3 \
             WHERE id = ?1 AND status = 'live' AND NOT EXISTS \
             (SELECT 1 FROM stream_sessions WHERE stream_id = ?1 AND ended_at IS NULL)",
        )
        .bind(self.stream.to_string())
        .bind(&self.at)
        .bind(now_text())
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }
}

/// One after the other: what keeps the database from taking one keeps it from taking the next.
async fn store_all(pool: SqlitePool, mut waiting: mpsc::Receiver<Ended>, mut still: watch::Receiver<()>) {
    while let Some(ended) = waiting.recv().await {
        let mut pause = FIRST_PAUSE;
        loop {
            // Asked before the attempt: what may have changed meanwhile deserves another.
            let is_last = still.has_changed().is_err();
            let Err(err) = ended.store(&pool).await else { break };
            if is_last {
                tracing::error!(stream = %ended.stream, "a broadcast's end is not stored: {err}");
                break;
            }
            tracing::warn!(stream = %ended.stream, ?pause, "a broadcast's end is not stored yet: {err}");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = still.changed() => {}
            }
            pause = (2 * pause).min(LAST_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use api::{CreateStream, StreamStatus};
    use sqlx::{Connection as _, Row as _, SqliteConnection};
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    use super::super::{Store, StreamRow, options};
    use super::*;

    /// A store that gives a lock up at once, and a stream.
    async fn live(folder: &Path) -> (Store, StreamRow, Uuid) {
        let options = options(folder).unwrap().busy_timeout(Duration::from_millis(10));
        let store = Store::open_with(options.create_if_missing(true)).await.unwrap();
        let stream = store.create_stream("local", &request()).await.unwrap();
        let session = store.begin_broadcast(stream.id, "here", "here").await.unwrap();
        (store, stream, session)
    }

    fn request() -> CreateStream {
        CreateStream { title: "one".into(), ..CreateStream::default() }
    }

    /// Somebody else who has the database for himself.
    async fn lock(folder: &Path) -> SqliteConnection {
        let mut other = SqliteConnection::connect_with(&options(folder).unwrap()).await.unwrap();
        sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
        other
    }

    async fn unlock(mut other: SqliteConnection) {
        sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
        other.close().await.unwrap();
    }

    /// Others find as often that nothing can be written.
    async fn fails(store: &Store, times: usize) {
        for _ in 0..times {
            store.create_stream("local", &request()).await.unwrap_err();
        }
    }

    async fn status(store: &Store, stream: &StreamRow) -> StreamStatus {
        store.stream_by_playback_id(&stream.playback_id).await.unwrap().unwrap().status
    }

    /// When the session's end was, once it is stored.
    async fn end_of(store: &Store, session: Uuid) -> OffsetDateTime {
        let stored = async {
            loop {
                let row = sqlx::query("SELECT ended_at FROM stream_sessions WHERE id = ?1")
                    .bind(session.to_string())
                    .fetch_one(&store.pool)
                    .await
                    .unwrap();
                if let Some(at) = row.get::<Option<String>, _>("ended_at") {
                    return OffsetDateTime::parse(&at, &Rfc3339).unwrap();
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), stored).await.expect("the end is stored")
    }

    #[tokio::test]
    async fn a_broadcasts_end_that_could_not_be_stored_for_a_while_is_stored_with_the_time_at_which_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (store, stream, session) = live(folder.path()).await;
        let other = lock(folder.path()).await;
        store.end_broadcast(stream.id, session);
        let ended = OffsetDateTime::now_utc();
        fails(&store, 5).await;
        assert_eq!(status(&store, &stream).await, StreamStatus::Live);
        unlock(other).await;
        assert!(end_of(&store, session).await <= ended);
        assert_eq!(status(&store, &stream).await, StreamStatus::Ended);
        store.close().await;
    }

    #[tokio::test]
    async fn a_broadcast_that_began_before_the_last_ones_end_was_stored_stays_live() {
        let folder = tempfile::tempdir().unwrap();
        let (store, stream, first) = live(folder.path()).await;
        let second = store.begin_broadcast(stream.id, "here", "here").await.unwrap();
        store.end_broadcast(stream.id, first);
        end_of(&store, first).await;
        assert_eq!(status(&store, &stream).await, StreamStatus::Live);
        store.end_broadcast(stream.id, second);
        end_of(&store, second).await;
        assert_eq!(status(&store, &stream).await, StreamStatus::Ended);
        store.close().await;
    }

    #[tokio::test]
    async fn a_node_that_ends_tries_once_more_to_store_what_it_could_not() {
        let folder = tempfile::tempdir().unwrap();
        let (store, stream, session) = live(folder.path()).await;
        let other = lock(folder.path()).await;
        store.end_broadcast(stream.id, session);
        fails(&store, 5).await;
        unlock(other).await;
        store.close().await;
        // Not by a store's start, which ends what it finds live.
        let mut database = SqliteConnection::connect_with(&options(folder.path()).unwrap()).await.unwrap();
        let row = sqlx::query("SELECT status FROM streams").fetch_one(&mut database).await.unwrap();
        assert_eq!(row.get::<String, _>("status"), "ended");
    }

    #[tokio::test]
    async fn a_node_that_ends_does_not_wait_for_a_database_that_takes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (store, stream, session) = live(folder.path()).await;
        let other = lock(folder.path()).await;
        store.end_broadcast(stream.id, session);
        tokio::time::timeout(Duration::from_secs(20), store.close()).await.expect("it ends");
        unlock(other).await;
        let store = Store::open(folder.path()).await.unwrap();
        assert_eq!(status(&store, &stream).await, StreamStatus::Ended);
    }
}
