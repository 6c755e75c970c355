//! The connection over which a session is paid: a WebSocket to the node, made anew where it breaks. What is signed is
//! stored before it is sent.

use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use api::pay::{MeteredLine, PAY_SUBPROTOCOL, PaySocketHello, PaySocketText, TOKEN_UNKNOWN};
use futures_util::{SinkExt, StreamExt};
use media::WallTime;
use pay::message::MAX_MESSAGE_BYTES;
use pay::{Amount, OfferHash, Tick, ToViewer, Wire};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::admission::{Admission, Admissions, NotAdmitted};
use crate::pay_session::{Now, PaySession, PayStatus, Verdict};
use crate::playout::Lane;

const BACKOFF_FIRST: Duration = Duration::from_millis(500);
const BACKOFF_LAST: Duration = Duration::from_secs(8);
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const CLOSE_LIMIT: Duration = Duration::from_secs(1);
/// How often the session looks at the clock.
const TURN: Duration = Duration::from_millis(100);
/// A node that is this silent is asked whether it lives.
const PING_AFTER: Duration = Duration::from_secs(5);
/// And is lost after this.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// Longer than any message of the protocol, text or binary.
const INCOMING_MAX: usize = 2 * MAX_MESSAGE_BYTES;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Where a tab is kept. It is called before what is in the record is sent, from a thread that may wait.
pub trait TabStore: Send + Sync {
    /// Returns once the record, in place of the one before, would survive a crash.
    fn save(&self, record: &[u8]) -> io::Result<()>;
}

struct Shared {
    session: Mutex<PaySession>,
    /// Something may be there to send.
    wake: Notify,
}

/// A session as its player, its socket and its owner share it.
#[derive(Clone)]
pub struct PayHandle(Arc<Shared>);

impl PayHandle {
    pub fn status(&self) -> PayStatus {
        self.lock().status()
    }

    /// See [`PaySession::stop`].
    pub fn stop(&self) {
        self.with(PaySession::stop);
    }

    /// See [`PaySession::close`].
    pub fn close(&self) {
        self.with(PaySession::close);
    }

    /// See [`PaySession::pause`].
    pub fn pause(&self) {
        self.with(PaySession::pause);
    }

    pub fn resume(&self) {
        self.with(PaySession::resume);
    }

    /// See [`PaySession::consent`].
    pub fn consent(&self, offer: &OfferHash) -> bool {
        self.with(|session, _| session.consent(offer))
    }

    /// See [`PaySession::set_limit`].
    pub fn set_limit(&self, limit: Amount) {
        self.with(|session, _| session.set_limit(limit));
    }

    /// See [`PaySession::media_up`], as what follows: for whoever plays.
    pub fn media_up(&self) {
        self.with(PaySession::media_up);
    }

    pub fn media_lost(&self) {
        self.with(PaySession::media_lost);
    }

    pub fn came(&self, line: Lane, timestamp: i64, after_gap: bool) {
        self.with(|session, now| session.came(line, timestamp, after_gap, now));
    }

    pub fn showing(&self, line: Lane, timestamp: i64, late: Duration) -> Verdict {
        self.with(|session, now| session.showing(line, timestamp, late, now))
    }

    fn with<T>(&self, change: impl FnOnce(&mut PaySession, Now) -> T) -> T {
        let mut session = self.lock();
        let result = change(&mut session, now());
        let has_output = session.has_output();
        drop(session);
        if has_output {
            self.0.wake.notify_one();
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, PaySession> {
        self.0.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> Now {
    Now { instant: Instant::now(), wall: WallTime::from_system(SystemTime::now()).into() }
}

/// The socket's task; the socket is closed when the session is over, or this is dropped.
pub struct PaySocket {
    handle: PayHandle,
    task: JoinHandle<()>,
}

impl PaySocket {
    /// Starts on `runtime` and returns at once.
    pub fn connect(
        admissions: Arc<Admissions>,
        session: PaySession,
        store: Arc<dyn TabStore>,
        runtime: &Handle,
    ) -> Self {
        let handle = PayHandle(Arc::new(Shared { session: Mutex::new(session), wake: Notify::new() }));
        let task = runtime.spawn(keep_connected(admissions, handle.clone(), store));
        Self { handle, task }
    }

    pub fn handle(&self) -> PayHandle {
        self.handle.clone()
    }

    /// Waits until the session is over: the viewer left, and what it owed is acknowledged, or waiting longer is in vain.
    pub async fn over(mut self) -> PayStatus {
        // Its panic was already printed by the hook.
        let _ = (&mut self.task).await;
        self.handle.status()
    }
}

impl Drop for PaySocket {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Why a connection ended.
enum End {
    Over,
    Lost,
    /// The node does not know the viewer token.
    NotKnown(String),
    TurnedAway(String),
}

async fn keep_connected(admissions: Arc<Admissions>, handle: PayHandle, store: Arc<dyn TabStore>) {
    let mut backoff = BACKOFF_FIRST;
    let mut admission = admissions.newest();
    while !handle.lock().is_over(now()) {
        let end = match while_watched(&handle, timeout(CONNECT_LIMIT, dial(&admission))).await {
            Some(Ok(Ok(socket))) => talk(socket, &handle, &store, &mut backoff).await,
            Some(Ok(Err(err))) => refusal(&err),
            Some(Err(_)) => End::Lost,
            None => End::Over,
        };
        handle.lock().disconnected();
        match end {
            End::Over => continue,
            End::Lost => {}
            End::NotKnown(reason) => {
                match while_watched(&handle, admissions.instead_of(&admission, &reason)).await {
                    Some(Ok(renewed)) => admission = renewed,
                    Some(Err(NotAdmitted::Refused(reason))) => handle.lock().turned_away(reason, now()),
                    Some(Err(NotAdmitted::Later(_))) | None => {}
                }
                if let Some(offer) = admission.offer {
                    handle.lock().offered(offer);
                }
            }
            End::TurnedAway(reason) => handle.lock().turned_away(reason, now()),
        }
        while_watched(&handle, sleep(backoff)).await;
        backoff = (backoff * 2).min(BACKOFF_LAST);
    }
    // What is left to store is stored, though nobody hears of it.
    let left = handle.lock().take();
    if let Some(record) = left.and_then(|batch| batch.record) {
        let _ = save(&store, record).await;
    }
}

/// What the future gives; `None` where the session is over before that.
async fn while_watched<T>(handle: &PayHandle, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut turns = interval(TURN);
    loop {
        tokio::select! {
            result = &mut future => return Some(result),
            _ = turns.tick() => {
                let mut session = handle.lock();
                if session.is_over(now()) {
                    return None;
                }
                session.turn(now());
            }
        }
    }
}

async fn dial(admission: &Admission) -> Result<Socket, Error> {
    // Two TLS libraries are in the executable; that one is chosen already is no error.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut request = admission.pay_url.as_str().into_client_request()?;
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PAY_SUBPROTOCOL));
    let limits = WebSocketConfig::default()
        .read_buffer_size(2 * INCOMING_MAX)
        .max_message_size(Some(INCOMING_MAX))
        .max_frame_size(Some(INCOMING_MAX));
    // A voucher is worth its own packet.
    let (mut socket, _) = connect_async_with_config(request, Some(limits), true).await?;
    let hello = PaySocketHello { viewer_token: admission.viewer_token.clone() };
    let hello = serde_json::to_string(&hello).map_err(io::Error::from)?;
    socket.send(Message::text(hello)).await?;
    Ok(socket)
}

/// Whether asking again is in vain.
fn refusal(err: &Error) -> End {
    match err {
        Error::Http(response) => {
            let status = response.status().as_u16();
            let is_final = (400..500).contains(&status) && !matches!(status, 404 | 408 | 409 | 425 | 429);
            if is_final { End::TurnedAway(format!("it answers with status {status}")) } else { End::Lost }
        }
        Error::Url(_) | Error::HttpFormat(_) => {
            End::TurnedAway("the pay socket's address cannot be used".to_owned())
        }
        // One that broke meanwhile says nothing of that.
        Error::Protocol(ProtocolError::HandshakeIncomplete) => End::Lost,
        Error::Protocol(err) => End::TurnedAway(format!("it does not speak {PAY_SUBPROTOCOL}: {err}")),
        _ => End::Lost,
    }
}

/// Sets `backoff` back once the node has said something.
async fn talk(
    mut socket: Socket,
    handle: &PayHandle,
    store: &Arc<dyn TabStore>,
    backoff: &mut Duration,
) -> End {
    handle.lock().connected(now());
    let mut turns = interval(TURN);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut heard_at, mut has_asked) = (Instant::now(), false);
    loop {
        if send_waiting(&mut socket, handle, store).await.is_err() {
            return End::Lost;
        }
        if handle.lock().is_over(now()) {
            // The node notices anyway; a farewell must not hold us up.
            let _ = timeout(CLOSE_LIMIT, socket.close(None)).await;
            return End::Over;
        }
        tokio::select! {
            () = handle.0.wake.notified() => {}
            _ = turns.tick() => {
                handle.lock().turn(now());
                let silence = heard_at.elapsed();
                if silence >= SILENCE_MAX {
                    return End::Lost;
                }
                if silence >= PING_AFTER && !std::mem::replace(&mut has_asked, true)
                    && socket.send(Message::Ping(bytes::Bytes::new())).await.is_err()
                {
                    return End::Lost;
                }
            }
            message = socket.next() => {
                let Some(Ok(message)) = message else { return End::Lost };
                (heard_at, has_asked) = (Instant::now(), false);
                if let Some(end) = hear(&message, handle) {
                    return end;
                }
                *backoff = BACKOFF_FIRST;
            }
        }
    }
}

/// Stores, and only then sends.
async fn send_waiting(
    socket: &mut Socket,
    handle: &PayHandle,
    store: &Arc<dyn TabStore>,
) -> Result<(), Error> {
    let Some(batch) = handle.lock().take() else { return Ok(()) };
    if let Some(record) = batch.record
        && let Err(err) = save(store, record).await
    {
        handle.lock().not_stored(err.to_string(), now());
        return Ok(());
    }
    for message in batch.messages {
        socket.feed(Message::binary(message.to_bytes())).await?;
    }
    socket.flush().await
}

async fn save(store: &Arc<dyn TabStore>, record: Vec<u8>) -> io::Result<()> {
    let store = Arc::clone(store);
    let saved = tokio::task::spawn_blocking(move || store.save(&record)).await;
    saved.unwrap_or_else(|err| Err(io::Error::other(err)))
}

fn hear(message: &Message, handle: &PayHandle) -> Option<End> {
    let babble = || Some(End::TurnedAway("it says what is not in the protocol".to_owned()));
    match message {
        Message::Binary(bytes) => match ToViewer::from_bytes(bytes) {
            Ok(message) => handle.lock().received(message, now()),
            Err(_) => return babble(),
        },
        Message::Text(text) => match serde_json::from_str(text) {
            Ok(PaySocketText::Begin(begin)) => {
                let line = match begin.line {
                    MeteredLine::Video => Lane::Video,
                    MeteredLine::Audio => Lane::Audio,
                };
                handle.lock().began(line, Tick(begin.tick), begin.rtp_timestamp);
            }
            Err(_) => return babble(),
        },
        Message::Close(Some(frame)) if u16::from(frame.code) == TOKEN_UNKNOWN => {
            return Some(End::NotKnown(frame.reason.to_string()));
        }
        // RFC 6455 §7.4.1: a message that is against the other side's rules.
        Message::Close(Some(frame)) if frame.code == CloseCode::Policy => {
            return Some(End::TurnedAway(frame.reason.to_string()));
        }
        Message::Close(_) => return Some(End::Lost),
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
    }
    None
}
