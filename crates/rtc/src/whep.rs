//! The player's network side: takes a stream from a WHEP endpoint and gives out whole access units and Opus
//! packets in order, with the wall time of their capture.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use media::{Timestamp, WallTime};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::connection::LinkState;
use crate::engine::Network;
use crate::signalling::Signalling;

mod receiver;
mod session;

/// A second of 60 pictures and 50 sound packets, and a little news.
const EVENTS_MAX: usize = 128;
const BACKOFF_FIRST: Duration = Duration::from_millis(250);
const BACKOFF_LAST: Duration = Duration::from_secs(8);

#[derive(Clone, Copy, Debug, Default)]
pub struct WhepConfig {
    pub network: Network,
}

/// One whole access unit (Annex B) or Opus packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReceivedUnit {
    /// The RTP timestamp, continued over its 32 bits from an arbitrary start: 90 kHz for pictures, 48 kHz
    /// for sound. It starts anew with every connection. Its low 32 bits are those of the packets.
    pub timestamp: Timestamp,
    /// Whether anything between the unit before and this one is missing: packets that never came, or units that
    /// were not given out.
    pub after_gap: bool,
    /// When it was captured by the publisher's clock; `None` before the first sender report.
    pub captured: Option<WallTime>,
    /// Whether decoding can start here. True for sound.
    pub key: bool,
    pub payload: Bytes,
    /// When its last packet arrived.
    pub arrived: Instant,
}

/// What a player tells, in the order of its happening.
#[derive(Clone, PartialEq, Debug)]
pub enum PlayEvent {
    State(LinkState),
    Video(ReceivedUnit),
    Audio(ReceivedUnit),
}

/// Counted since the player was made.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct ReceiveStats {
    /// RTP packets of both media, with those that came twice.
    pub packets: u64,
    pub bytes: u64,
    /// Packets that never came, also not when asked for again.
    pub lost: u64,
    /// Packets that were asked for again.
    pub nacked: u64,
    /// Key frames that were asked for.
    pub plis: u64,
    /// Access units that were not given out: broken by a loss, waiting for a key frame, or not fetched.
    pub dropped_units: u64,
    pub reconnects: u32,
}

/// What the caller's side and the receiving task share.
struct Shared {
    config: WhepConfig,
    events: mpsc::Sender<PlayEvent>,
    state: watch::Sender<LinkState>,
    stats: watch::Sender<ReceiveStats>,
    closing: watch::Sender<bool>,
}

impl Shared {
    /// Whether the reader took it: `false` when it is too slow.
    fn tell(&self, event: PlayEvent) -> bool {
        self.events.try_send(event).is_ok()
    }

    fn set_state(&self, state: LinkState) {
        self.state.send_replace(state.clone());
        self.tell(PlayEvent::State(state));
    }

    async fn closed(&self) {
        // An error means that the sender is gone, and with it whoever could still watch.
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }
}

/// Plays until it is closed or dropped; reconnects by itself.
pub struct WhepPlayer {
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

impl WhepPlayer {
    /// Starts on the current tokio runtime and returns at once.
    ///
    /// The receiver must be read: when it is full, pictures are dropped to the next key frame and sound is
    /// lost, both counted.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn connect(config: WhepConfig, signalling: Arc<dyn Signalling>) -> (Self, mpsc::Receiver<PlayEvent>) {
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let shared = Arc::new(Shared {
            config,
            events,
            state: watch::Sender::new(LinkState::Connecting),
            stats: watch::Sender::new(ReceiveStats::default()),
            closing: watch::Sender::new(false),
        });
        let task = tokio::spawn(supervise(Arc::clone(&shared), signalling));
        (Self { shared, task: Some(task) }, receiver)
    }

    pub fn state(&self) -> LinkState {
        self.shared.state.borrow().clone()
    }

    pub fn stats(&self) -> ReceiveStats {
        *self.shared.stats.borrow()
    }

    /// Ends the session at the server and waits until that is done, seconds at most.
    pub async fn close(mut self) {
        self.shared.closing.send_replace(true);
        if let Some(task) = self.task.take() {
            // Its panic was already printed by the hook; there is nothing left to close.
            let _ = task.await;
        }
    }
}

/// Closing goes on in the background.
impl Drop for WhepPlayer {
    fn drop(&mut self) {
        self.shared.closing.send_replace(true);
    }
}

/// Connects again and again until it is told to stop or refused for good.
async fn supervise(shared: Arc<Shared>, signalling: Arc<dyn Signalling>) {
    let mut backoff = BACKOFF_FIRST;
    let mut ice_servers = Vec::new();
    loop {
        shared.set_state(LinkState::Connecting);
        let reason = match session::run(&shared, signalling.as_ref(), &mut ice_servers).await {
            session::End::Closed => "closed".to_owned(),
            session::End::Refused(reason) => reason,
            session::End::Lost { reason, was_up } => {
                shared.set_state(LinkState::Lost { reason });
                backoff = if was_up { BACKOFF_FIRST } else { (backoff * 2).min(BACKOFF_LAST) };
                shared.stats.send_modify(|stats| stats.reconnects += 1);
                tokio::select! {
                    () = tokio::time::sleep(backoff) => continue,
                    () = shared.closed() => "closed".to_owned(),
                }
            }
        };
        shared.set_state(LinkState::Closed { reason });
        return;
    }
}
