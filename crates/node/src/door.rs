//! Where the connections of one TCP port come in: those that have a place.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use crate::places::{Place, Places};

/// Until a connection is accepted again after one could not be.
const PAUSE: Duration = Duration::from_millis(200);

pub struct Door {
    listener: TcpListener,
    places: Arc<Places>,
    /// Since the last connection that was accepted.
    failures: u64,
}

impl Door {
    pub fn new(listener: TcpListener, places: Arc<Places>) -> Self {
        Self { listener, places, failures: 0 }
    }

    /// The next connection. One for which there is no place is closed at once: its peer learns it sooner than it would
    /// in the system's backlog.
    pub async fn next(&mut self) -> (TcpStream, SocketAddr, Place) {
        loop {
            match self.listener.accept().await {
                Ok((socket, peer)) => {
                    self.failures = 0;
                    if let Ok(place) = self.places.enter(peer.ip()) {
                        return (socket, peer, place);
                    }
                }
                Err(err) => {
                    // Out of file descriptors, usually: others must end first. The listener stays ready meanwhile, so
                    // that without a pause this would spin.
                    self.failures += 1;
                    if self.failures.is_power_of_two() {
                        let (failures, what) = (self.failures, self.places.what());
                        tracing::warn!(failures, "{what} connections cannot be accepted: {err}");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}
