//! The way in: starts a shard's thread and talks to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::time::{Duration, Instant, SystemTime};

use media::{RenditionName, WallTime, Worker};
use mio::Waker;
use thiserror::Error;
use tokio::sync::mpsc as events;

use crate::command::{Command, Order};
use crate::config::{Clock, SfuConfig, StartError};
use crate::endpoint::{Endpoint, Queues};
use crate::event::Event;
use crate::ids::{PeerId, StreamId};
use crate::layer_choice::{Layer, LayerChoice};
use crate::packet::{Lane, RtpPacket};
use crate::sdp::{SdpFragment, SdpRefused};
use crate::session::{Role, Session, SessionFactory};

/// An ICE restart takes the media thread a millisecond; longer means that it is stuck.
const RESTART_LIMIT: Duration = Duration::from_secs(2);

/// What a viewer is to get.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ViewerConfig {
    pub stream: StreamId,
    /// The best layer that its tier pays for.
    pub max_layer: RenditionName,
    pub choice: LayerChoice,
    /// Gets nothing but the seconds that [`SfuHandle::allow`] lets through. Costs a copy of each packet sent, to
    /// know which of them arrive: about a fifth more processor time a packet.
    pub metered: bool,
}

/// A peer that may now connect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accepted {
    pub peer: PeerId,
    pub answer_sdp: String,
    /// Our ICE credentials; an ETag of the session can be made of them.
    pub ufrag: String,
    pub pwd: String,
}

/// A peer that has its answer and that the media thread does not know yet, so that no event names it. Dropped, it never
/// was.
#[must_use = "without `admit` the peer cannot connect"]
pub struct Newcomer {
    accepted: Accepted,
    order: Order,
    room: Room,
}

impl Newcomer {
    pub fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    /// From here on it may connect, and [`Event::Closed`] will be its last event.
    ///
    /// # Errors
    /// [`Refused::Busy`] and [`Refused::Stopped`]: then there is no such peer, and no event of it.
    pub fn admit(self) -> Result<Accepted, Refused> {
        let Self { accepted, order, mut room } = self;
        if let Some(sfu) = &room.0 {
            sfu.order(order)?;
        }
        // It is the media thread's now, which gives it back.
        room.0 = None;
        Ok(accepted)
    }
}

/// A peer's room among all; free again when this is dropped.
struct Room(Option<SfuHandle>);

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(sfu) = &self.0 {
            sfu.0.shared.peers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Why a command was not taken.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Refused {
    #[error(transparent)]
    Sdp(#[from] SdpRefused),
    #[error("the server has as many peers as it takes")]
    Full,
    #[error("the media thread cannot take more commands now; try again")]
    Busy,
    #[error("the media thread has ended")]
    Stopped,
}

impl Refused {
    /// Stable, for machines.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Sdp(refused) => refused.code(),
            Self::Full => "sfu-full",
            Self::Busy => "sfu-busy",
            Self::Stopped => "sfu-stopped",
        }
    }
}

/// What the shard counted since it started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SfuCounters {
    /// Peers that are accepted and not yet closed.
    pub peers: usize,
    pub datagrams_in: u64,
    pub datagrams_out: u64,
    /// System calls that sent them.
    pub sends: u64,
    /// Datagrams that the system's send buffer had no room for.
    pub datagrams_dropped: u64,
    /// Batches of media that came while the queue was full.
    pub batches_dropped: u64,
    /// Events that nobody read in time.
    pub events_dropped: u64,
}

/// Shared between handles and the thread.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub peers: AtomicUsize,
    /// Events wait that must not be dropped: no more joins for now.
    pub backlog: AtomicBool,
    pub datagrams_in: AtomicU64,
    pub datagrams_out: AtomicU64,
    pub sends: AtomicU64,
    pub datagrams_dropped: AtomicU64,
    pub batches_dropped: AtomicU64,
    pub events_dropped: AtomicU64,
    /// The thread was woken and has not looked yet.
    pub woken: AtomicBool,
}

/// Packets of one stream.
pub(crate) type Batch = (StreamId, Vec<(Lane, RtpPacket)>);

/// A running shard. Dropping it closes all peers and joins the thread; handles that are left then answer
/// [`Refused::Stopped`].
pub struct Sfu {
    handle: SfuHandle,
    worker: Option<Worker>,
}

/// Talks to a shard. Cheap to clone, from any thread. Nothing here waits for the media thread but
/// [`SfuHandle::restart_ice`].
#[derive(Clone)]
pub struct SfuHandle(Arc<Inner>);

struct Inner {
    factory: SessionFactory,
    shared: Arc<Shared>,
    waker: Arc<Waker>,
    commands: SyncSender<Command>,
    media: SyncSender<Batch>,
    next_peer: AtomicU64,
    max_peers: usize,
    local: SocketAddr,
}

impl Sfu {
    /// Binds the port and starts the thread. Events come out of the receiver; see
    /// [`SfuConfig::event_queue`] for what happens when nobody reads it.
    pub fn start(config: SfuConfig) -> Result<(Self, events::Receiver<Event>), StartError> {
        let (commands, command_queue) = mpsc::sync_channel(config.command_queue);
        let (media, media_queue) = mpsc::sync_channel(config.media_queue);
        let (event_sender, event_queue) = events::channel(config.event_queue.max(1));
        let shared = Arc::new(Shared::default());
        let clock = Clock::new(Instant::now(), WallTime::from_system(SystemTime::now()));
        let queues = Queues { commands: command_queue, media: media_queue, events: event_sender };
        let endpoint = Endpoint::bind(&config, clock, queues, Arc::clone(&shared))?;

        let inner = Inner {
            factory: SessionFactory::new(&config, endpoint.candidates().to_vec())?,
            shared,
            waker: endpoint.waker(),
            commands,
            media,
            next_peer: AtomicU64::new(1),
            max_peers: config.max_peers,
            local: endpoint.local_addr(),
        };
        let worker = Worker::spawn("sfu", move |stop| endpoint.run(stop)).map_err(StartError::Thread)?;
        Ok((Self { handle: SfuHandle(Arc::new(inner)), worker: Some(worker) }, event_queue))
    }

    pub fn handle(&self) -> SfuHandle {
        self.handle.clone()
    }
}

impl Drop for Sfu {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.stop_signal().set();
            self.handle.wake();
            drop(worker);
        }
    }
}

impl SfuHandle {
    /// The bound port.
    pub fn local_addr(&self) -> SocketAddr {
        self.0.local
    }

    /// Answers a WHIP offer (RFC 9725). Every rid of a simulcast offer is in the answer. Costs one to two
    /// milliseconds on the caller's thread.
    pub fn accept_publisher(&self, offer_sdp: &str) -> Result<Accepted, Refused> {
        self.answer_publisher(offer_sdp)?.admit()
    }

    /// Answers a WHEP offer. The viewer gets packets from the next key frame after its DTLS handshake.
    pub fn accept_viewer(&self, offer_sdp: &str, config: ViewerConfig) -> Result<Accepted, Refused> {
        self.answer_viewer(offer_sdp, config)?.admit()
    }

    /// As [`SfuHandle::accept_publisher`], for whoever must know a peer before anything is said of it.
    pub fn answer_publisher(&self, offer_sdp: &str) -> Result<Newcomer, Refused> {
        self.answer(offer_sdp, Role::Publisher, |peer, session| Order::AddPublisher { peer, session })
    }

    /// As [`SfuHandle::accept_viewer`], for whoever must know a peer before anything is said of it.
    pub fn answer_viewer(&self, offer_sdp: &str, config: ViewerConfig) -> Result<Newcomer, Refused> {
        let role = if config.metered { Role::MeteredViewer } else { Role::Viewer };
        self.answer(offer_sdp, role, |peer, session| Order::AddViewer { peer, session, config })
    }

    fn answer(
        &self,
        offer: &str,
        role: Role,
        order: impl FnOnce(PeerId, Box<Session>) -> Order,
    ) -> Result<Newcomer, Refused> {
        let inner = &self.0;
        if inner.shared.backlog.load(Ordering::Relaxed) {
            return Err(Refused::Busy);
        }
        let reserved = inner.shared.peers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |peers| {
            (peers < inner.max_peers).then_some(peers + 1)
        });
        reserved.map_err(|_| Refused::Full)?;
        let room = Room(Some(self.clone()));
        let mut session = inner.factory.make(Instant::now(), offer, role)?;
        let peer = PeerId(inner.next_peer.fetch_add(1, Ordering::Relaxed));
        let accepted = Accepted {
            peer,
            answer_sdp: std::mem::take(&mut session.answer),
            ufrag: session.creds.ufrag.clone(),
            pwd: session.creds.pass.clone(),
        };
        Ok(Newcomer { accepted, order: order(peer, Box::new(session)), room })
    }

    /// Takes trickled candidates (RFC 8840). One with credentials that differ is an ICE restart: see
    /// [`SfuHandle::restart_ice`].
    pub fn add_remote_candidates(&self, peer: PeerId, sdpfrag: &str) -> Result<(), Refused> {
        let fragment = SdpFragment::parse(sdpfrag)?;
        if fragment.candidates.is_empty() {
            return Ok(());
        }
        self.order(Order::Trickle { peer, candidates: fragment.candidates })
    }

    /// Restarts ICE with the credentials in `sdpfrag` (RFC 9725 §4.3.3) and returns the fragment that
    /// answers it. Waits for the media thread: not for an async task.
    pub fn restart_ice(&self, peer: PeerId, sdpfrag: &str) -> Result<String, Refused> {
        let fragment = SdpFragment::parse(sdpfrag)?;
        let (Some(ufrag), Some(pwd)) = (fragment.ufrag, fragment.pwd) else {
            let reason = "an ICE restart carries ice-ufrag and ice-pwd".to_owned();
            return Err(SdpRefused::Malformed(reason).into());
        };
        let (reply, answer) = mpsc::sync_channel(1);
        self.order(Order::Restart { peer, ufrag, pwd, reply })?;
        let creds = answer.recv_timeout(RESTART_LIMIT).map_err(|_| Refused::Busy)??;
        let mut text = format!("a=ice-lite\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", creds.ufrag, creds.pass);
        text.push_str("a=end-of-candidates\r\n");
        Ok(text)
    }

    /// Ends a peer; [`Event::Closed`] follows.
    pub fn close(&self, peer: PeerId) -> Result<(), Refused> {
        self.order(Order::Close { peer })
    }

    /// Sends a PLI to a publisher for the layer of `rid` (`None` without simulcast).
    pub fn request_keyframe(&self, peer: PeerId, rid: Option<&str>) -> Result<(), Refused> {
        self.order(Order::RequestKeyframe { peer, rid: rid.map(str::to_owned) })
    }

    /// A viewer's own choice.
    pub fn set_layer(&self, peer: PeerId, choice: LayerChoice) -> Result<(), Refused> {
        self.order(Order::SetLayer { peer, choice })
    }

    /// The best layer that a viewer's tier pays for from now on.
    pub fn set_max_layer(&self, peer: PeerId, cap: RenditionName) -> Result<(), Refused> {
        self.order(Order::SetCap { peer, cap })
    }

    /// Begins a session of a metered viewer: what was allowed before no longer is, and once seconds are allowed
    /// the next key frame begins second 0. The session before ends, with [`crate::Metering::Over`] for what it
    /// had open. Ignored for viewers that are not metered.
    pub fn meter(&self, peer: PeerId, session: u32) -> Result<(), Refused> {
        self.order(Order::Meter { peer, session })
    }

    /// Lets the seconds [0, `until`) of this session through. It only rises: less than before is ignored, and so
    /// is another session. Seconds go by with the stream's media whether they are allowed or not.
    pub fn allow(&self, peer: PeerId, session: u32, until: u64) -> Result<(), Refused> {
        self.order(Order::Allow { peer, session, until })
    }

    /// Opens a stream, or changes what it has. Viewers may be accepted before.
    pub fn set_layers(&self, stream: StreamId, layers: Vec<Layer>) -> Result<(), Refused> {
        self.order(Order::SetLayers { stream, layers })
    }

    /// The stream's packets come from a new source, with numbers and timestamps of its own: viewers go on
    /// from its next key frames.
    pub fn restart_stream(&self, stream: StreamId) -> Result<(), Refused> {
        self.order(Order::RestartStream { stream })
    }

    /// Closes a stream and its viewers.
    pub fn close_stream(&self, stream: StreamId) -> Result<(), Refused> {
        self.order(Order::CloseStream { stream })
    }

    /// Forwards packets, in the order of each lane, to the stream's viewers. Never waits: when the queue is
    /// full the batch is dropped and counted, and a key frame is asked for.
    pub fn forward(&self, stream: StreamId, packets: Vec<(Lane, RtpPacket)>) {
        if self.0.media.try_send((stream, packets)).is_err() {
            self.0.shared.batches_dropped.fetch_add(1, Ordering::Relaxed);
        }
        self.wake();
    }

    pub fn counters(&self) -> SfuCounters {
        let shared = &self.0.shared;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SfuCounters {
            peers: shared.peers.load(Ordering::Relaxed),
            datagrams_in: get(&shared.datagrams_in),
            datagrams_out: get(&shared.datagrams_out),
            sends: get(&shared.sends),
            datagrams_dropped: get(&shared.datagrams_dropped),
            batches_dropped: get(&shared.batches_dropped),
            events_dropped: get(&shared.events_dropped),
        }
    }

    fn order(&self, order: Order) -> Result<(), Refused> {
        let sent = self.0.commands.try_send(Command(order)).map_err(|err| match err {
            TrySendError::Full(_) => Refused::Busy,
            TrySendError::Disconnected(_) => Refused::Stopped,
        });
        self.wake();
        sent
    }

    fn wake(&self) {
        // One system call a sleep of the thread, however much is queued meanwhile.
        if !self.0.shared.woken.swap(true, Ordering::AcqRel) {
            // It fails only where the thread is gone.
            let _ = self.0.waker.wake();
        }
    }
}
