//! Settings, and the clock that ties scheduling to wall time.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use media::{StudioEpoch, Timescale, WallTime};
use thiserror::Error;

#[derive(Clone, Debug)]
pub struct SfuConfig {
    /// The UDP port of all peers; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Addresses that answers name as ICE candidates, with the bound port. Must not be empty where `bind`
    /// is a wildcard; otherwise empty means the bound address.
    pub advertised: Vec<IpAddr>,
    /// A join beyond this is refused.
    pub max_peers: usize,
    /// A connected peer that is silent for this long is dropped. WebRTC peers check consent every 5 s at
    /// most (RFC 7675 §5.1), so 10 s outlasts one lost check.
    pub idle_timeout: Duration,
    /// An accepted peer that has not finished ICE and DTLS by then is dropped.
    pub connect_timeout: Duration,
    /// The shortest time between two key-frame requests for one layer.
    pub keyframe_interval: Duration,
    /// How long a publisher's packets wait for one that is missing before it counts as lost.
    pub reorder_wait: Duration,
    /// Packets of history for each viewer's retransmissions.
    pub rtx_history: usize,
    /// Whether to estimate each viewer's bandwidth from its transport-wide feedback. Without it viewers
    /// in automatic choice follow losses alone.
    pub estimate_bandwidth: bool,
    /// Events waiting to be read. When full, media and statistics are dropped and counted; the life of
    /// peers waits in a second queue, and joins are refused while that is long.
    pub event_queue: usize,
    /// Batches of media waiting for the shard. When full, the batch is dropped and counted.
    pub media_queue: usize,
    /// Commands waiting for the shard. When full, the caller is told [`crate::Refused::Busy`].
    pub command_queue: usize,
}

impl Default for SfuConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            advertised: Vec::new(),
            max_peers: 2_000,
            idle_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(15),
            keyframe_interval: Duration::from_millis(500),
            reorder_wait: Duration::from_millis(120),
            rtx_history: 256,
            estimate_bandwidth: true,
            event_queue: 4_096,
            media_queue: 4_096,
            command_queue: 1_024,
        }
    }
}

#[derive(Debug, Error)]
pub enum StartError {
    #[error("the media port {0} cannot be bound: {1}")]
    Bind(SocketAddr, std::io::Error),
    #[error("the media port is bound to a wildcard address, so at least one advertised address is needed")]
    NothingAdvertised,
    #[error("the media thread cannot be started: {0}")]
    Thread(std::io::Error),
    #[error("no DTLS certificate could be made")]
    Certificate,
}

/// Maps between scheduling time and wall time by one pair that was read together.
#[derive(Clone, Copy, Debug)]
pub struct Clock(StudioEpoch);

impl Clock {
    pub const fn new(instant: Instant, wall: WallTime) -> Self {
        Self(StudioEpoch::new(instant, wall))
    }

    pub fn wall_of(self, instant: Instant) -> WallTime {
        self.0.wall_of(self.0.stamp(instant, Timescale::NANOS))
    }

    /// The instant that `wall` means; at most `now`, at least a minute before it.
    pub fn instant_of(self, wall: WallTime, now: Instant) -> Instant {
        const OLDEST: Duration = Duration::from_secs(60);
        let age = self.wall_of(now).to_system().duration_since(wall.to_system()).unwrap_or_default();
        now.checked_sub(age.min(OLDEST)).unwrap_or(now)
    }
}
