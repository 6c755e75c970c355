//! The publisher: simulcast video and one Opus track, sent to a WHIP endpoint (RFC 9725), for as long as its
//! owner keeps it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use media::{AudioTrack, Codec, Packet, RenditionName, StudioEpoch, VideoTrack};
use thiserror::Error;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use crate::connection::LinkState;
use crate::engine::Network;
use crate::send_queue::{Pushed, SendQueue};
use crate::signalling::Signalling;

mod session;

/// State changes, key frame requests and a snapshot each second fit many times over.
const EVENTS_MAX: usize = 64;
/// The first retry comes at once after this, each further one after twice as long, up to the last.
const BACKOFF_FIRST: Duration = Duration::from_millis(250);
const BACKOFF_LAST: Duration = Duration::from_secs(8);

/// What is published.
#[derive(Clone, Debug)]
pub struct WhipConfig {
    /// One simulcast layer each, in the order in which they are offered.
    pub renditions: Vec<VideoTrack>,
    pub audio: Option<AudioTrack>,
    /// What the packets' timestamps count from: sender reports come from it.
    pub epoch: StudioEpoch,
    pub network: Network,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum WhipConfigError {
    #[error("there is nothing to publish: name at least one rendition or a sound track")]
    Empty,
    #[error("WebRTC carries H.264 and Opus here, not {0:?}")]
    Codec(Codec),
    #[error("the rendition {0} stands twice")]
    Twice(RenditionName),
}

/// What a publisher tells. A reader that is slow loses the oldest news, never the newest state: see
/// [`WhipPublisher::state`] and [`WhipPublisher::stats`].
#[derive(Clone, PartialEq, Debug)]
pub enum PublishEvent {
    State(LinkState),
    /// A viewer or the server needs a key frame; `None` asks for one in all renditions.
    KeyframeRequested {
        rendition: Option<RenditionName>,
    },
    Stats(PublishStats),
}

/// Counted since the publisher was made; rates are of the last second.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct PublishStats {
    /// Payload bytes of RTP, with retransmissions.
    pub bytes: u64,
    pub packets: u64,
    pub retransmitted: u64,
    /// Connections that were made again after one that stood.
    pub reconnects: u32,
    /// None before the server reported.
    pub rtt_ms: Option<f64>,
    /// The worst of all streams' shares of lost packets in the last report, 0 to 1.
    pub loss: Option<f64>,
    pub audio_dropped: u64,
    pub layers: Vec<LayerStats>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct LayerStats {
    pub rendition: RenditionName,
    pub kbps: f64,
    pub packets: u64,
    /// Frames that were not sent: the queue was full, or a key frame was awaited.
    pub dropped_frames: u64,
}

/// What the caller's side and the sending task share.
struct Shared {
    config: WhipConfig,
    queue: Mutex<SendQueue>,
    /// Told when the queue got something.
    ready: Notify,
    state: watch::Sender<LinkState>,
    stats: watch::Sender<PublishStats>,
    events: mpsc::Sender<PublishEvent>,
    closing: watch::Sender<bool>,
    /// Whether a connection stood already.
    stood: AtomicBool,
}

impl Shared {
    fn queue(&self) -> std::sync::MutexGuard<'_, SendQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never waits: what a full channel loses can be read from the publisher itself.
    fn tell(&self, event: PublishEvent) {
        let _ = self.events.try_send(event);
    }

    fn set_state(&self, state: LinkState) {
        self.state.send_replace(state.clone());
        self.tell(PublishEvent::State(state));
    }

    /// A connection stands; after another that did, it was made again.
    fn stands(&self) {
        if self.stood.swap(true, Ordering::Relaxed) {
            self.stats.send_modify(|stats| stats.reconnects += 1);
        }
        self.set_state(LinkState::Up);
    }

    async fn closed(&self) {
        // An error means that the sender is gone, and with it whoever could still publish.
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }
}

/// Publishes until it is closed or dropped; reconnects by itself.
pub struct WhipPublisher {
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

impl WhipPublisher {
    /// Starts publishing on the current tokio runtime and returns at once; the state tells how it goes.
    ///
    /// # Errors
    /// When the configuration holds nothing that WebRTC could carry.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn connect(
        config: WhipConfig,
        signalling: Arc<dyn Signalling>,
    ) -> Result<(Self, mpsc::Receiver<PublishEvent>), WhipConfigError> {
        check(&config)?;
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let shared = Arc::new(Shared {
            queue: Mutex::new(SendQueue::new(config.renditions.len())),
            config,
            ready: Notify::new(),
            state: watch::Sender::new(LinkState::Connecting),
            stats: watch::Sender::new(PublishStats::default()),
            events,
            closing: watch::Sender::new(false),
            stood: AtomicBool::new(false),
        });
        let task = tokio::spawn(supervise(Arc::clone(&shared), signalling));
        Ok((Self { shared, task: Some(task) }, receiver))
    }

    /// Queues a frame; never waits. `false` when it was dropped: no connection, no such rendition, a full
    /// queue, or no key frame since.
    pub fn send_video(&self, rendition: RenditionName, packet: &Packet) -> bool {
        let layer = self.shared.config.renditions.iter().position(|track| track.rendition == rendition);
        let Some(layer) = layer.filter(|_| self.is_up()) else { return false };
        let pushed = self.shared.queue().push_video(layer, packet);
        match pushed {
            Pushed::Queued => self.shared.ready.notify_one(),
            Pushed::Overflowed => {
                self.shared.tell(PublishEvent::KeyframeRequested { rendition: Some(rendition) });
            }
            Pushed::Skipped => {}
        }
        pushed == Pushed::Queued
    }

    /// Queues sound; never waits. `false` when there is no connection or no sound track.
    pub fn send_audio(&self, packet: &Packet) -> bool {
        if self.shared.config.audio.is_none() || !self.is_up() {
            return false;
        }
        self.shared.queue().push_audio(packet);
        self.shared.ready.notify_one();
        true
    }

    pub fn state(&self) -> LinkState {
        self.shared.state.borrow().clone()
    }

    pub fn stats(&self) -> PublishStats {
        self.shared.stats.borrow().clone()
    }

    /// Ends the session at the server and waits until that is done, seconds at most.
    pub async fn close(mut self) {
        self.shared.closing.send_replace(true);
        if let Some(task) = self.task.take() {
            // Its panic was already printed by the hook; there is nothing left to close.
            let _ = task.await;
        }
    }

    fn is_up(&self) -> bool {
        *self.shared.state.borrow() == LinkState::Up
    }
}

/// Closing goes on in the background.
impl Drop for WhipPublisher {
    fn drop(&mut self) {
        self.shared.closing.send_replace(true);
    }
}

fn check(config: &WhipConfig) -> Result<(), WhipConfigError> {
    if config.renditions.is_empty() && config.audio.is_none() {
        return Err(WhipConfigError::Empty);
    }
    for (index, track) in config.renditions.iter().enumerate() {
        if track.codec != Codec::H264 {
            return Err(WhipConfigError::Codec(track.codec));
        }
        if config.renditions[..index].iter().any(|other| other.rendition == track.rendition) {
            return Err(WhipConfigError::Twice(track.rendition));
        }
    }
    match &config.audio {
        Some(track) if track.codec != Codec::Opus => Err(WhipConfigError::Codec(track.codec)),
        _ => Ok(()),
    }
}

/// Connects again and again until it is told to stop or refused for good.
async fn supervise(shared: Arc<Shared>, signalling: Arc<dyn Signalling>) {
    let mut backoff = BACKOFF_FIRST;
    let mut ice_servers = Vec::new();
    loop {
        shared.set_state(LinkState::Connecting);
        let end = session::run(&shared, signalling.as_ref(), &mut ice_servers).await;
        let reason = match end {
            session::End::Closed => "closed".to_owned(),
            session::End::Refused(reason) => reason,
            session::End::Lost { reason, was_up } => {
                shared.set_state(LinkState::Lost { reason });
                backoff = if was_up { BACKOFF_FIRST } else { (backoff * 2).min(BACKOFF_LAST) };
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

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use media::{FrameRate, Size, WallTime};

    fn track(rendition: RenditionName) -> VideoTrack {
        let size = Size::new(320, 180);
        VideoTrack { codec: Codec::H264, rendition, size, frame_rate: FrameRate::FPS_30, bitrate_kbps: 500 }
    }

    fn config(renditions: Vec<VideoTrack>, audio: Option<Codec>) -> WhipConfig {
        let audio = audio.map(|codec| AudioTrack {
            codec,
            rate: 48_000,
            channels: 2,
            bitrate_kbps: 128,
            config: Bytes::new(),
        });
        let epoch = StudioEpoch::new(std::time::Instant::now(), WallTime::from_unix_micros(0));
        WhipConfig { renditions, audio, epoch, network: Network::Loopback }
    }

    #[test]
    fn what_webrtc_cannot_carry_is_refused() {
        let high = track(RenditionName::High);
        assert_eq!(check(&config(vec![high.clone()], Some(Codec::Opus))), Ok(()));
        assert_eq!(check(&config(vec![], None)), Err(WhipConfigError::Empty));
        assert_eq!(check(&config(vec![], Some(Codec::Aac))), Err(WhipConfigError::Codec(Codec::Aac)));
        let twice = vec![high.clone(), high];
        assert_eq!(check(&config(twice, None)), Err(WhipConfigError::Twice(RenditionName::High)));
    }
}
