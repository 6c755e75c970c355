//! RTMP in and out: one task per connection drives the sans-IO session and its socket.

mod connection;
mod player;
mod publisher;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::app::App;

/// Connections at once. A further one waits in the system's backlog.
const CONNECTIONS: usize = 500;

/// Accepts until the task is aborted.
pub async fn serve(app: Arc<App>, listener: TcpListener) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        // What has ended is forgotten, so that the set holds only what runs.
        while connections.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((socket, peer)) => {
                let app = Arc::clone(&app);
                connections.spawn(async move {
                    if let Err(err) = connection::run(app, socket).await {
                        tracing::info!(%peer, "RTMP connection closed: {err}");
                    }
                    drop(permit);
                });
            }
            Err(err) => {
                // Out of file descriptors, usually: others must end first.
                tracing::warn!("an RTMP connection could not be accepted: {err}");
                tokio::task::yield_now().await;
            }
        }
    }
}
