//! RTMP in and out: one task per connection drives the sans-IO session and its socket.

mod connection;
mod player;
mod publisher;

use std::sync::Arc;

use crate::app::App;
use crate::door::Door;

/// Connections from one remote network. Behind one address are a creator's few encoders, or a relay that pulls some
/// streams; this machine itself has no such limit, since transcoders come from it.
pub const PER_NETWORK: usize = 32;

/// Accepts until the task is aborted.
pub async fn serve(app: Arc<App>, mut door: Door) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        // What has ended is forgotten, so that the set holds only what runs.
        while connections.try_join_next().is_some() {}
        let (socket, peer, place) = door.next().await;
        let app = Arc::clone(&app);
        connections.spawn(async move {
            if let Err(err) = connection::run(app, socket, place).await {
                tracing::info!(%peer, "RTMP connection closed: {err}");
            }
        });
    }
}
