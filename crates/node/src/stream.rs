//! One live stream: everything about it is owned by one task, which others reach by messages.

mod actor;
mod continuity;
mod gop;
mod lane;
mod meter;
mod presence;
#[cfg(test)]
pub(crate) mod tests;
mod timeline;
mod transcoded;

use std::collections::BTreeMap;
use std::sync::Arc;

use api::RenditionInfo;
use bytes::Bytes;
use media::{Codec, Packet, RenditionName, StudioEpoch};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::hls::HlsStream;
use crate::store::StreamRow;
use crate::transcode::Job;

pub use actor::spawn;
pub use presence::{PlayerGuard, Presence};

/// Messages waiting for a stream's task. Full: senders of media drop and count, all others wait.
const MAILBOX: usize = 1024;
/// Packets that a reader inside the node may fall behind: some four seconds of a ladder with sound.
const READ_AHEAD: usize = 1024;

/// One source of media for a stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PublisherId(pub u64);

/// How a source takes part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PublisherKind {
    /// The creator's own, by WebRTC.
    Whip,
    /// The creator's own, by RTMP.
    Rtmp,
}

/// What a packet belongs to within its stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Lane {
    Video(RenditionName),
    Audio(Codec),
}

impl Lane {
    pub fn rendition(self) -> Option<RenditionName> {
        match self {
            Self::Video(name) => Some(name),
            Self::Audio(_) => None,
        }
    }
}

/// A packet on its way to readers inside the node.
#[derive(Clone, Debug)]
pub struct Unit {
    pub lane: Lane,
    pub packet: Packet,
}

/// Why nobody may publish now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PublishRefused {
    /// Another publisher is live: it might be an attempt to take the stream over.
    AlreadyLive,
    /// The stream's task has ended.
    Gone,
    /// The beginning of the broadcast could not be stored.
    NotStored,
}

/// What a publisher is told: the zero of the stream's media time.
#[derive(Clone, Copy, Debug)]
pub struct PublishGrant {
    pub publisher: PublisherId,
    pub epoch: StudioEpoch,
}

/// A grant on its way to whoever asked. Where nobody takes it, its publisher is gone again: a request that is
/// cancelled between question and answer would else keep everybody from publishing.
pub struct Offered {
    grant: PublishGrant,
    /// `None` once it was taken.
    stream: Option<mpsc::WeakSender<Message>>,
}

impl Offered {
    pub fn publisher(&self) -> PublisherId {
        self.grant.publisher
    }

    pub fn take(mut self) -> PublishGrant {
        self.stream = None;
        self.grant
    }
}

impl Drop for Offered {
    fn drop(&mut self) {
        let Some(stream) = self.stream.take().and_then(|stream| stream.upgrade()) else { return };
        let gone = Message::Unpublish { publisher: self.grant.publisher, departure: Departure::Lost };
        if let Err(TrySendError::Full(gone)) = stream.try_send(gone)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // A drop cannot wait for room. An error means that the stream's task has ended.
            runtime.spawn(async move { stream.send(gone).await });
        }
    }
}

/// The rendition that each rid of a publisher carries.
pub type Layers = BTreeMap<Arc<str>, RenditionName>;

/// How a publisher went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Departure {
    /// It said so: the broadcast is over.
    Ended,
    /// Its connection broke: it may come back.
    Lost,
}

pub enum Message {
    Publish {
        kind: PublisherKind,
        reply: oneshot::Sender<Result<Offered, PublishRefused>>,
    },
    /// A transcoder adds a lane to the broadcast. One that is the creator's goes on to be so.
    Attach {
        job: Job,
        lane: Lane,
        reply: oneshot::Sender<Result<Offered, PublishRefused>>,
    },
    /// A transcoder wants a lane, from its last key frame on.
    Feed {
        lane: Lane,
        reply: oneshot::Sender<Feed>,
    },
    /// Somebody asked for LL-HLS: answered once the stream knows what has to be made for it.
    HlsAsked {
        known: oneshot::Sender<()>,
    },
    Unpublish {
        publisher: PublisherId,
        departure: Departure,
    },
    /// RTP from a WebRTC publisher.
    Rtp {
        publisher: PublisherId,
        lane: Lane,
        packet: sfu::RtpPacket,
    },
    /// A whole packet from any other.
    Packet {
        publisher: PublisherId,
        lane: Lane,
        packet: Packet,
    },
    /// The AudioSpecificConfig of a publisher's AAC.
    AacConfig {
        publisher: PublisherId,
        config: Bytes,
    },
    /// Of whom key frames are asked.
    Connected {
        publisher: PublisherId,
        peer: sfu::PeerId,
        layers: Arc<Layers>,
    },
    /// Whoever publishes as the creator has no right to it any more: its connection ends now, and another may go on with
    /// the broadcast. Says when that is done.
    Oust {
        done: oneshot::Sender<()>,
    },
    /// Ends the broadcast now, and says when that is done.
    End {
        done: oneshot::Sender<()>,
    },
    KeyframeNeeded {
        layer: RenditionName,
    },
    /// Other WebRTC viewers are present. Where there is no room for this, the task sees it by itself within half a second.
    ViewersChanged,
}

/// What a transcoder is fed with.
pub struct Feed {
    /// The lane since its last key frame.
    pub begun: Vec<Arc<Unit>>,
    /// Every packet of the stream after those.
    pub units: broadcast::Receiver<Arc<Unit>>,
}

/// What others may read of a stream at any time.
#[derive(Clone, Debug, Default)]
pub struct Live {
    pub viewers: u32,
    pub renditions: Vec<RenditionInfo>,
    /// The lanes that have carried a packet in this broadcast.
    pub lanes: Vec<Lane>,
    /// The zero of media time; `None` while nobody publishes.
    pub epoch: Option<StudioEpoch>,
    /// The AudioSpecificConfig of the AAC lane.
    pub aac_config: Option<Bytes>,
    /// What subscribers lack, and why, in words for people.
    pub notices: Vec<String>,
    /// The creator's publishers up to this one lost their right to publish.
    pub ousted: Option<PublisherId>,
}

impl Live {
    /// The best of the renditions that have carried a packet.
    pub fn best_rendition(&self) -> Option<RenditionName> {
        self.lanes.iter().filter_map(|lane| lane.rendition()).max()
    }
}

/// A stream's task, from outside. Cheap to clone.
#[derive(Clone)]
pub struct StreamHandle {
    pub row: Arc<StreamRow>,
    /// The stream's name in the media plane.
    pub media_id: sfu::StreamId,
    pub hls: Arc<HlsStream>,
    pub presence: Arc<Presence>,
    messages: mpsc::Sender<Message>,
    units: broadcast::Sender<Arc<Unit>>,
    live: watch::Receiver<Live>,
}

impl StreamHandle {
    #[cfg(test)]
    pub async fn publish(&self, kind: PublisherKind) -> Result<PublishGrant, PublishRefused> {
        self.offer_grant(kind).await.map(Offered::take)
    }

    /// A grant for a creator's publisher, which may still fail before it takes it.
    pub async fn offer_grant(&self, kind: PublisherKind) -> Result<Offered, PublishRefused> {
        let (reply, answer) = oneshot::channel();
        let sent = self.messages.send(Message::Publish { kind, reply }).await;
        sent.map_err(|_| PublishRefused::Gone)?;
        answer.await.map_err(|_| PublishRefused::Gone)?
    }

    /// Adds a transcoder's lane to the broadcast.
    pub async fn attach(&self, job: Job, lane: Lane) -> Result<PublishGrant, PublishRefused> {
        let (reply, answer) = oneshot::channel();
        let sent = self.messages.send(Message::Attach { job, lane, reply }).await;
        sent.map_err(|_| PublishRefused::Gone)?;
        answer.await.map_err(|_| PublishRefused::Gone)?.map(Offered::take)
    }

    /// A lane for a transcoder; `None` once the stream's task has ended.
    pub async fn feed(&self, lane: Lane) -> Option<Feed> {
        let (reply, answer) = oneshot::channel();
        self.messages.send(Message::Feed { lane, reply }).await.ok()?;
        answer.await.ok()
    }

    /// Notes that somebody plays LL-HLS, and returns when it is known what has to be made for it.
    pub async fn ask_hls(&self) {
        let (known, answer) = oneshot::channel();
        self.tell(Message::HlsAsked { known }).await;
        // An error means that the task has ended: there is nothing to wait for.
        let _ = answer.await;
    }

    /// A handle that does not keep the stream's task running.
    pub fn downgrade(&self) -> WeakStream {
        let Self { row, media_id, hls, presence, messages, units, live } = self.clone();
        WeakStream { row, media_id, hls, presence, messages: messages.downgrade(), units, live }
    }

    /// Whether anybody else has a handle.
    pub fn is_held(&self) -> bool {
        self.messages.strong_count() > 1
    }

    /// Ends the broadcast, if there is one.
    pub async fn end(&self) {
        let (done, ended) = oneshot::channel();
        self.tell(Message::End { done }).await;
        // An error means that the task has ended, and with it the broadcast.
        let _ = ended.await;
    }

    /// Ends the connection of whoever publishes as the creator, if anybody does. The broadcast waits for its return as
    /// after any broken connection.
    pub async fn oust(&self) {
        let (done, ousted) = oneshot::channel();
        self.tell(Message::Oust { done }).await;
        // An error means that the task has ended: nobody publishes.
        let _ = ousted.await;
    }

    /// Returns once that publisher, a creator's, lost its right to publish.
    pub async fn ousted(&self, publisher: PublisherId) {
        // An error means that the stream's task has ended, which nobody publishes to.
        let _ = self.watch().wait_for(|live| live.ousted >= Some(publisher)).await;
    }

    /// Waits for room: for what must not get lost.
    pub async fn tell(&self, message: Message) {
        // A task that has ended needs no news.
        let _ = self.messages.send(message).await;
    }

    /// Never waits: for media. `false` where there was no room.
    pub fn offer(&self, message: Message) -> bool {
        self.messages.try_send(message).is_ok()
    }

    /// Never waits: what must not get lost comes back where there is no room.
    pub fn try_tell(&self, message: Message) -> Result<(), Message> {
        match self.messages.try_send(message) {
            Err(TrySendError::Full(message)) => Err(message),
            // A task that has ended needs no news.
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(()),
        }
    }

    /// A packet of a WebRTC publisher. A task that is too slow loses it, as on a network: the sequence number tells, and a
    /// key frame is asked for.
    pub fn offer_rtp(&self, publisher: PublisherId, lane: Lane, packet: sfu::RtpPacket) {
        if self.offer(Message::Rtp { publisher, lane, packet }) {
            return;
        }
        let count = self.presence.lose();
        if count.is_power_of_two() {
            tracing::warn!(stream = %self.row.playback_id, count, "packets of a publisher are dropped: its stream is stuck");
        }
    }

    /// A WebRTC viewer is connected. Never waits.
    pub fn viewer_joined(&self, peer: sfu::PeerId) {
        self.presence.viewer_joined(peer);
        self.offer(Message::ViewersChanged);
    }

    /// A WebRTC viewer is gone, which perhaps never was connected. Never waits.
    pub fn viewer_left(&self, peer: sfu::PeerId) {
        self.presence.viewer_left(peer);
        self.offer(Message::ViewersChanged);
    }

    pub fn live(&self) -> Live {
        self.live.borrow().clone()
    }

    /// For those that wait for a change.
    pub fn watch(&self) -> watch::Receiver<Live> {
        self.live.clone()
    }

    /// Every packet from now on; a reader that falls behind is told how many it missed.
    pub fn read(&self) -> broadcast::Receiver<Arc<Unit>> {
        self.units.subscribe()
    }
}

/// A stream's task, from its own supervisor.
#[derive(Clone)]
pub struct WeakStream {
    row: Arc<StreamRow>,
    media_id: sfu::StreamId,
    hls: Arc<HlsStream>,
    presence: Arc<Presence>,
    messages: mpsc::WeakSender<Message>,
    units: broadcast::Sender<Arc<Unit>>,
    live: watch::Receiver<Live>,
}

impl WeakStream {
    /// `None` once everybody else has let go of the stream.
    pub fn upgrade(&self) -> Option<StreamHandle> {
        let Self { row, media_id, hls, presence, messages, units, live } = self.clone();
        Some(StreamHandle { row, media_id, hls, presence, messages: messages.upgrade()?, units, live })
    }
}
