//! The pay socket over a real WebSocket: what is signed is stored before it is sent, a lost connection is made anew, and
//! who is turned away stays away.

#![allow(clippy::unwrap_used, reason = "a test says by panicking what went wrong")]

mod world;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use api::pay::{MeteredLine, PAY_SUBPROTOCOL, PaySocketText, SessionBegin, TOKEN_UNKNOWN};
use futures_util::{SinkExt, StreamExt};
use media::WallTime;
use pay::*;
use rtc::BoxFuture;
use tickcast_watch::{
    Admission, Admissions, Lane, Leaving, NotAdmitted, PayHandle, PaySocket, Rejoin, TabStore, Verdict,
};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use world::*;

const LIMIT: Duration = Duration::from_secs(30);
const TOKEN: &str = "a-viewer's-token";
/// A second at 30 pictures.
const PICTURES: i64 = 30;

/// Keeps the newest record; a full disk refuses.
#[derive(Default)]
struct Disk {
    record: Mutex<Vec<u8>>,
    is_full: bool,
}

impl TabStore for Disk {
    fn save(&self, record: &[u8]) -> io::Result<()> {
        if self.is_full {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the disk is full"));
        }
        *self.record.lock().unwrap() = record.to_vec();
        Ok(())
    }
}

impl Disk {
    fn spent(&self) -> u128 {
        let record = self.record.lock().unwrap();
        if record.is_empty() { 0 } else { Tab::from_bytes(&record).unwrap().spent().units() }
    }
}

fn wall() -> UnixMillis {
    WallTime::from_system(SystemTime::now()).into()
}

/// The node's end of a connection.
struct Door {
    listener: TcpListener,
    address: SocketAddr,
}

type Socket = WebSocketStream<TcpStream>;

impl Door {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    fn admission(&self, token: &str) -> Admission {
        Admission {
            whep_url: format!("http://{}/whep/x", self.address),
            pay_url: format!("ws://{}/api/stream/x/pay", self.address),
            viewer_token: token.to_owned(),
            offer: None,
        }
    }

    /// The next connection, with its first message heard.
    async fn next(&self) -> Socket {
        self.next_with(TOKEN).await
    }

    async fn next_with(&self, token: &str) -> Socket {
        let (stream, _) = timeout(LIMIT, self.listener.accept()).await.unwrap().unwrap();
        #[expect(clippy::result_large_err, reason = "the library's own shape")]
        let answer = |request: &Request, mut response: Response| {
            assert_eq!(request.headers()["sec-websocket-protocol"], PAY_SUBPROTOCOL);
            let protocol = HeaderValue::from_static(PAY_SUBPROTOCOL);
            response.headers_mut().insert("sec-websocket-protocol", protocol);
            Ok(response)
        };
        let mut socket = tokio_tungstenite::accept_hdr_async(stream, answer).await.unwrap();
        let hello = heard(&mut socket).await.unwrap();
        assert_eq!(hello.into_text().unwrap().as_str(), format!(r#"{{"viewer_token":"{token}"}}"#));
        socket
    }

    async fn refuse(&self) {
        let (stream, _) = timeout(LIMIT, self.listener.accept()).await.unwrap().unwrap();
        #[expect(clippy::result_large_err, reason = "the library's own shape")]
        let answer = |_: &Request, _: Response| {
            let mut refusal = ErrorResponse::new(None);
            *refusal.status_mut() = StatusCode::UNAUTHORIZED;
            Err(refusal)
        };
        tokio_tungstenite::accept_hdr_async(stream, answer).await.unwrap_err();
    }
}

async fn heard(socket: &mut Socket) -> Option<Message> {
    loop {
        match timeout(LIMIT, socket.next()).await.expect("the viewer says something")? {
            Ok(Message::Ping(_) | Message::Pong(_)) => {}
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(message) => return Some(message),
        }
    }
}

/// Hears messages and answers them until one is `last`.
async fn answer_until(socket: &mut Socket, node: &mut Node, disk: &Disk, last: impl Fn(&ToNode) -> bool) {
    loop {
        let message = heard(socket).await.expect("the viewer is there").into_data();
        let message = ToNode::from_bytes(&message).unwrap();
        if let ToNode::Pay(pay) = &message {
            assert!(disk.spent() >= pay.voucher.body.cumulative.units(), "sent before it was stored");
        }
        let is_last = last(&message);
        for answer in node.hears(message) {
            socket.send(Message::binary(answer.to_bytes())).await.unwrap();
        }
        if is_last {
            return;
        }
    }
}

fn pays(tick: u64) -> impl Fn(&ToNode) -> bool {
    move |message| matches!(message, ToNode::Pay(pay) if pay.voucher.body.tick == Tick(tick))
}

async fn begin(socket: &mut Socket, tick: Tick) {
    let begin = SessionBegin { tick: tick.0, rtp_timestamp: 0, line: MeteredLine::Video, wall_ms: None };
    socket.send(Message::text(serde_json::to_string(&PaySocketText::Begin(begin)).unwrap())).await.unwrap();
}

/// The node sends a second, and the viewer's player shows it: the second of the session with this number.
fn show(node: &mut Node, handle: &PayHandle, number: i64) -> Tick {
    let tick = node.sends().expect("the gate is open");
    for n in 0..PICTURES {
        let timestamp = number * 90_000 + n * 90_000 / PICTURES;
        handle.came(Lane::Video, timestamp, false);
        assert_eq!(handle.showing(Lane::Video, timestamp, Duration::ZERO), Verdict::Show);
    }
    tick
}

fn start(door: &Door, node: &Node, disk: &Arc<Disk>) -> PaySocket {
    start_with(Admissions::once(door.admission(TOKEN)), node, disk)
}

fn start_with(admissions: Arc<Admissions>, node: &Node, disk: &Arc<Disk>) -> PaySocket {
    let session = node.session(DEPOSIT, false);
    let store = Arc::clone(disk) as Arc<dyn TabStore>;
    let socket = PaySocket::connect(admissions, session, store, &Handle::current());
    socket.handle().media_up();
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn each_voucher_is_stored_before_it_is_sent_and_a_lost_connection_is_made_anew() {
    let (door, disk) = (Door::open().await, Arc::new(Disk::default()));
    let mut node = Node::at(wall());
    let viewer = start(&door, &node, &disk);
    let handle = viewer.handle();
    let mut socket = door.next().await;
    answer_until(&mut socket, &mut node, &disk, pays(0)).await;
    // Two bursts of a second each are within what a network may do.
    begin(&mut socket, Tick(0)).await;
    show(&mut node, &handle, 0);
    show(&mut node, &handle, 1);
    drop(socket);
    // Second 1 is decided when the viewer goes on over the next connection.
    let mut socket = door.next().await;
    answer_until(&mut socket, &mut node, &disk, pays(1)).await;
    handle.close();
    answer_until(&mut socket, &mut node, &disk, |message| matches!(message, ToNode::Close(_))).await;
    assert!(heard(&mut socket).await.is_none());
    let status = timeout(LIMIT, viewer.over()).await.unwrap();
    assert_eq!(status.left_because, Some(Leaving::Stopped));
    assert_eq!((status.spent.units(), node.ledger.accepted().units()), (2 * PRICE, 2 * PRICE));
    assert!(status.closed.is_some());
    assert_eq!(disk.spent(), 2 * PRICE);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_stored_is_not_sent() {
    let (door, disk) = (Door::open().await, Arc::new(Disk { is_full: true, ..Disk::default() }));
    let mut node = Node::at(wall());
    let viewer = start(&door, &node, &disk);
    let mut socket = door.next().await;
    answer_until(&mut socket, &mut node, &disk, |message| matches!(message, ToNode::Start(_))).await;
    assert!(heard(&mut socket).await.is_none(), "a voucher was sent");
    let status = timeout(LIMIT, viewer.over()).await.unwrap();
    assert_eq!(status.left_because, Some(Leaving::NotStored("the disk is full".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_turned_away_does_not_ask_again() {
    let (door, disk) = (Door::open().await, Arc::new(Disk::default()));
    let viewer = start(&door, &Node::at(wall()), &disk);
    door.refuse().await;
    let status = timeout(LIMIT, viewer.over()).await.unwrap();
    assert!(matches!(status.left_because, Some(Leaving::TurnedAway(_))), "{:?}", status.left_because);
    assert_eq!(disk.spent(), 0);
}

/// Lets a viewer in again, as often as it is asked; the first time it is too early.
struct Back {
    admission: Admission,
    asked: AtomicU32,
    refusal: Option<NotAdmitted>,
}

impl Rejoin for Back {
    fn rejoin(&self) -> BoxFuture<'_, Result<Admission, NotAdmitted>> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let early = (asked == 0).then(|| NotAdmitted::Later("it reads the chain".into()));
        let refusal = early.or_else(|| self.refusal.clone());
        Box::pin(async move { refusal.map_or_else(|| Ok(self.admission.clone()), Err) })
    }
}

async fn forget(socket: &mut Socket) {
    let frame = CloseFrame { code: TOKEN_UNKNOWN.into(), reason: "it is not known".into() };
    socket.send(Message::Close(Some(frame))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_node_has_forgotten_the_token_it_is_joined_again_until_that_works() {
    let (door, disk) = (Door::open().await, Arc::new(Disk::default()));
    let mut node = Node::at(wall());
    let dearer = node.offers(|offer| offer.price = price(PRICE + 1));
    let cheaper = node.offers(|offer| offer.price = price(PRICE - 1));
    let [dearer, cheaper] = [dearer, cheaper].map(|offer| offer.verify(&GENESIS, node.now).unwrap());
    let admission = Admission { offer: Some(cheaper), ..door.admission("another") };
    let back = Arc::new(Back { admission, asked: AtomicU32::new(0), refusal: None });
    let stale = Admission { offer: Some(dearer), ..door.admission(TOKEN) };
    let viewer = start_with(Admissions::renewed_by(stale, Arc::clone(&back) as _), &node, &disk);
    forget(&mut door.next().await).await;
    forget(&mut door.next().await).await;
    let mut socket = door.next_with("another").await;
    // At the price that it was told, which is no higher.
    answer_until(&mut socket, &mut node, &disk, pays(0)).await;
    viewer.handle().stop();
    let status = timeout(LIMIT, viewer.over()).await.unwrap();
    assert_eq!((status.left_because, status.spent.units()), (Some(Leaving::Stopped), PRICE - 1));
    assert_eq!(back.asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_again_is_told_why() {
    let (door, disk) = (Door::open().await, Arc::new(Disk::default()));
    let refusal = Some(NotAdmitted::Refused("the channel is closed".into()));
    let back = Back { admission: door.admission(TOKEN), asked: AtomicU32::new(1), refusal };
    let admissions = Admissions::renewed_by(door.admission(TOKEN), Arc::new(back));
    let viewer = start_with(admissions, &Node::at(wall()), &disk);
    forget(&mut door.next().await).await;
    let status = timeout(LIMIT, viewer.over()).await.unwrap();
    assert_eq!(status.left_because, Some(Leaving::TurnedAway("the channel is closed".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_while_it_says_hello_is_asked_again() {
    let (door, disk) = (Door::open().await, Arc::new(Disk::default()));
    let viewer = start(&door, &Node::at(wall()), &disk);
    let (mut stream, _) = timeout(LIMIT, door.listener.accept()).await.unwrap().unwrap();
    // All of the request: what is left unread would reset the connection instead of ending it.
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    drop(stream);
    door.next().await;
    viewer.handle().stop();
    let status = timeout(LIMIT, viewer.over()).await.unwrap();
    assert_eq!(status.left_because, Some(Leaving::Stopped));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_babbles_is_left() {
    for babble in [Message::binary(vec![1, 9, 9]), Message::text("{}"), Message::binary(vec![0; 4_096])] {
        let (door, disk) = (Door::open().await, Arc::new(Disk::default()));
        let viewer = start(&door, &Node::at(wall()), &disk);
        let mut socket = door.next().await;
        let is_too_long = babble.len() > 2_048;
        socket.send(babble).await.unwrap();
        if is_too_long {
            // As a broken connection: it is made anew.
            door.next().await;
            viewer.handle().stop();
        }
        let status = timeout(LIMIT, viewer.over()).await.unwrap();
        let is_away = matches!(status.left_because, Some(Leaving::TurnedAway(_)));
        assert_eq!(is_away, !is_too_long, "{:?}", status.left_because);
    }
}

#[tokio::test]
async fn the_token_is_in_no_debug_output() {
    let door = Door::open().await;
    assert!(!format!("{:?}", door.admission(TOKEN)).contains(TOKEN));
}
