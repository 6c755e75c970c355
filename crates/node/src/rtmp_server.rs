//! RTMP in and out: one task per connection drives the sans-IO session and its socket.

mod connection;
mod player;
mod publisher;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::app::App;

/// Connections at once. A further one waits in the system's backlog.
const CONNECTIONS: usize = 500;
/// Until a connection is accepted again after one could not be.
const PAUSE: Duration = Duration::from_millis(200);

/// Accepts until the task is aborted.
pub async fn serve(app: Arc<App>, listener: TcpListener) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = tokio::task::JoinSet::new();
    // Since the last connection that was accepted.
    let mut failures: u64 = 0;
    loop {
        // What has ended is forgotten, so that the set holds only what runs.
        while connections.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((socket, peer)) => {
                failures = 0;
                let app = Arc::clone(&app);
                connections.spawn(async move {
                    if let Err(err) = connection::run(app, socket).await {
                        tracing::info!(%peer, "RTMP connection closed: {err}");
                    }
                    drop(permit);
                });
            }
            Err(err) => {
                // Out of file descriptors, usually: others must end first. The listener stays ready meanwhile, so
                // that without a pause this would spin.
                failures += 1;
                if failures.is_power_of_two() {
                    tracing::warn!(failures, "an RTMP connection could not be accepted: {err}");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
