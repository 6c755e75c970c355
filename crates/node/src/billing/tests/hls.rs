//! Paid streams by LL-HLS, fetched over HTTP as a player does it.

use std::net::SocketAddr;

use bytes::Bytes;
use media::{Packet, RenditionName, Timescale, Timestamp};
use pay::Amount;
use pay::message::{Ending, ToViewer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::audit;
use super::world::{CHARLIE, DAVE, DEPOSIT, PRICE, Socket, Viewer, World};
use crate::id::PlaybackId;
use crate::stream::{Lane, Message, PublisherKind};

/// Baseline, 1280 × 720, no VUI (ITU-T H.264 §7.3.2.1.1), a PPS and the front of an IDR picture.
const KEY: &[u8] = &[
    0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xe4, 0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80, 0,
    0, 0, 1, 0x65, 0x88, 0x84,
];
const DELTA: &[u8] = &[0, 0, 0, 1, 0x41, 0x9a, 0x24];
/// Parts are thirds of a second.
const PARTS: u64 = 3;

/// So many seconds of two renditions at 30 pictures a second, with a key frame each two.
async fn show(world: &World, seconds: i64) {
    let app = world.node().app();
    let id = PlaybackId::parse(&world.stream.playback_id).unwrap();
    let row = app.store().stream_by_playback_id(&id).await.unwrap().unwrap();
    let handle = app.stream(row).unwrap();
    let publisher = handle.publish(PublisherKind::Rtmp).await.unwrap().publisher;
    // With the picture that ends the last part.
    for index in 0..=30 * seconds {
        let (pts, key) = (Timestamp::new(index * 3000, Timescale::VIDEO), index % 60 == 0);
        let payload = Bytes::from_static(if key { KEY } else { DELTA });
        let packet = Packet { pts, dts: pts, duration_ticks: 3000, key, payload };
        for name in [RenditionName::Low, RenditionName::High] {
            let packet = packet.clone();
            handle.tell(Message::Packet { publisher, lane: Lane::Video(name), packet }).await;
        }
    }
    handle.watch().wait_for(|live| live.lanes.len() == 2).await.unwrap();
}

struct Fetched {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Fetched {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The code of a refusal.
    fn code(&self) -> String {
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }
}

async fn fetch(to: SocketAddr, path: &str) -> Fetched {
    ask(to, "GET", path).await
}

async fn ask(to: SocketAddr, method: &str, path: &str) -> Fetched {
    let mut socket = TcpStream::connect(to).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    assert!(status == 405 || head.contains("cache-control: private, no-store"), "{head}");
    Fetched { status, head, body: answer.split_off(end + 4) }
}

/// A player that pays by one socket.
struct Player {
    http: SocketAddr,
    socket: Socket,
    token: String,
    /// Of all that it plays.
    folder: String,
    /// In front of each file's name.
    tag: String,
}

impl Player {
    async fn join(world: &World, viewer: &mut Viewer) -> Self {
        let joined = viewer.join(world, Some(viewer.terms.id())).await.unwrap();
        let (token, pay_url) = (joined.viewer_token.unwrap(), joined.pay_url.unwrap());
        let socket = viewer.connect(&pay_url, &token).await;
        let http = world.node().addresses().http;
        let (folder, tag) = (String::new(), String::new());
        let mut player = Self { http, socket, token, folder, tag };
        player.begin(world, viewer).await;
        player
    }

    /// The multivariant playlist is answered once the session has started.
    async fn begin(&mut self, world: &World, viewer: &mut Viewer) {
        let path = format!("/live/{}.m3u8?token={}", world.stream.playback_id, self.token);
        let (master, _) = tokio::join!(fetch(self.http, &path), viewer.start(&mut self.socket));
        assert_eq!(master.status, 200, "{}", master.text());
        let text = master.text();
        let variants: Vec<_> = text.lines().filter(|line| line.ends_with(".m3u8")).collect();
        let [low] = variants[..] else { panic!("the tier pays for one rendition: {text}") };
        self.folder = format!("/live/{}", low.strip_suffix("low.m3u8").unwrap());
        let playlist = fetch(self.http, &format!("{}low.m3u8", self.folder)).await.text();
        let header = playlist.split("URI=\"").nth(1).unwrap().split('"').next().unwrap();
        self.tag = header.strip_suffix("-low-init0.mp4").unwrap().to_owned();
        assert_eq!(self.get(header).await.status, 200);
    }

    async fn get(&self, name: &str) -> Fetched {
        fetch(self.http, &format!("{}{name}", self.folder)).await
    }

    /// Part number `part` from the stream's beginning on.
    fn part(&self, rendition: &str, part: u64) -> String {
        format!("{}-{rendition}-{}.{}.m4s", self.tag, part / (2 * PARTS), part % (2 * PARTS))
    }

    async fn second(&self, second: u64) {
        for part in 0..PARTS {
            let fetched = self.get(&self.part("low", second * PARTS + part)).await;
            assert_eq!(fetched.status, 200, "{}", fetched.text());
            assert!(fetched.body.windows(4).any(|bytes| bytes == b"moof"), "{}", fetched.head);
        }
    }
}

#[tokio::test]
async fn a_player_of_hls_pays_for_what_it_fetched_and_played_and_the_books_agree() {
    let world = World::start().await;
    let mut viewer = Viewer::new(&world, CHARLIE).await;
    viewer.open(&world, DEPOSIT).await;
    show(&world, 8).await;
    let mut player = Player::join(&world, &mut viewer).await;
    for second in 0..8 {
        player.second(second).await;
        viewer.play(&mut player.socket, second).await;
    }
    assert_eq!(viewer.tab.spent(), Amount::new(8 * PRICE));
    // What was paid for may be fetched again, as parts or whole; what is better was not paid for.
    assert_eq!(player.get(&format!("{}-low-1.m4s", player.tag)).await.status, 200);
    let better = player.get(&player.part("high", 5)).await;
    assert_eq!((better.status, better.code()), (403, "above_tier".to_owned()));
    drop(player);
    world.settled(&viewer, 8 * PRICE).await;
    let report = audit(world.folder(), world.asked()).await.unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!((report.ticks, report.accepted), (8, Amount::new(8 * PRICE)));
}

#[tokio::test]
async fn a_player_of_hls_that_pays_in_advance_alone_gets_the_grace_and_no_more_in_whichever_way_it_asks() {
    let world = World::start().await;
    let mut viewer = Viewer::new(&world, CHARLIE).await;
    viewer.open(&world, DEPOSIT).await;
    show(&world, 8).await;
    let mut player = Player::join(&world, &mut viewer).await;
    // The one that is paid, and the grace of five.
    for second in 0..6 {
        player.second(second).await;
    }
    // The rest as parts, as a whole segment, and over two connections; each waits as long as it may.
    let (part, again, whole) =
        (player.part("low", 18), player.part("low", 20), format!("{}-low-3.m4s", player.tag));
    let asked = tokio::join!(player.get(&part), player.get(&again), player.get(&whole));
    for refused in [asked.0, asked.1, asked.2] {
        assert_eq!((refused.status, refused.code()), (402, "not_paid".to_owned()));
    }
    let told = player.socket.read().await;
    assert_eq!(told, Some(ToViewer::Ended(viewer.terms.id(), Ending::GraceSpent)));
    assert_eq!(viewer.tab.spent(), Amount::new(PRICE));
}

#[tokio::test]
async fn nobody_is_sent_anything_by_hls_without_a_token_of_this_stream_and_a_place_of_its_own() {
    let world = World::start().await;
    let mut viewer = Viewer::new(&world, CHARLIE).await;
    viewer.open(&world, DEPOSIT).await;
    show(&world, 8).await;
    let player = Player::join(&world, &mut viewer).await;
    player.second(2).await;
    let id = &world.stream.playback_id;
    let other = world.create("another", PRICE).await;
    world.go_live(&other).await;
    let (token, file) = (&player.token, player.part("low", 6));
    for path in [
        format!("/live/{id}.m3u8"),
        format!("/live/{id}.m3u8?token=nonsense"),
        // One of another stream.
        format!("/live/{}.m3u8?token={token}", other.playback_id),
        format!("/live/{id}/low.m3u8"),
        format!("/live/{id}/{file}"),
        format!("/live/{id}/{file}?token={token}"),
    ] {
        let refused = fetch(player.http, &path).await;
        assert_eq!((refused.status, refused.code()), (402, "join_required".to_owned()), "{path}");
    }
    for folder in [format!("/live/{id}/nobody/"), player.folder.replace(id, &other.playback_id)] {
        let refused = fetch(player.http, &format!("{folder}{file}")).await;
        assert_eq!((refused.status, refused.code()), (410, "viewer_gone".to_owned()), "{folder}");
    }
    // Asked for twice before anything was sent, a playlist is the same player's.
    let untouched = Player::join(&world, &mut viewer).await;
    let path = format!("/live/{id}.m3u8?token={}", untouched.token);
    assert!(fetch(player.http, &path).await.text().contains(&untouched.folder["/live/".len()..]));
    let asked = ask(player.http, "HEAD", &format!("{}{file}", untouched.folder)).await;
    assert_eq!(asked.status, 405);
    let mut player = untouched;
    player.second(2).await;
    // From before its beginning.
    let older = player.get(&player.part("low", 5)).await;
    assert_eq!((older.status, older.code()), (410, "passed_over".to_owned()));
    // A further player by the same token takes the place of the first.
    let before = player.folder.clone();
    player.begin(&world, &mut viewer).await;
    let refused = fetch(player.http, &format!("{before}{file}")).await;
    assert_eq!((refused.status, refused.code()), (410, "viewer_gone".to_owned()));
    // Nor is it another account's.
    let mut foreign = Viewer::new(&world, DAVE).await;
    foreign.open(&world, DEPOSIT).await;
    let theirs = Player::join(&world, &mut foreign).await;
    assert!(theirs.folder != player.folder && theirs.token != player.token);
}
