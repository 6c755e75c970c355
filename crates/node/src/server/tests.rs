//! What strangers may take of a node, and what they leave to others.

use std::net::{IpAddr, Ipv4Addr};

use api::{ClientError, CreateStream, CreatedStream, SessionClient};
use tempfile::TempDir;

use super::*;
use crate::id::PlaybackId;
use crate::session::Role;
use crate::store::StreamRow;
use crate::stream::{Departure, Message, PublisherKind, StreamHandle};

/// Of pages, as Chromium makes them.
const WATCHES: &str = include_str!("../../../../fuzz/corpus/offer/chromium-watch.sdp");
const PUBLISHES: &str = include_str!("../../../../fuzz/corpus/offer/chromium-publish.sdp");

struct World {
    node: Node,
    client: api::Client,
    _folder: TempDir,
}

impl World {
    async fn new(max_peers: usize, max_streams: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = NodeConfig { max_peers, max_streams, ..NodeConfig::loopback(folder.path().to_owned()) };
        let node = Node::start(config).await.expect("a node");
        let client = api::Client::new(format!("http://{}", node.addresses().http)).expect("an address");
        Self { node, client, _folder: folder }
    }

    async fn create(&self, title: &str) -> CreatedStream {
        let request = CreateStream { title: title.to_owned(), ..CreateStream::default() };
        self.client.create_stream(&request).await.expect("a stream")
    }

    async fn row(&self, stream: &CreatedStream) -> StreamRow {
        let id = PlaybackId::parse(&stream.playback_id).expect("an id");
        self.node.app.store().stream_by_playback_id(&id).await.expect("a store").expect("a stream")
    }

    async fn live(&self, title: &str) -> (CreatedStream, StreamHandle) {
        let stream = self.create(title).await;
        let handle = self.node.app.stream(self.row(&stream).await).expect("there is room");
        handle.publish(PublisherKind::Rtmp).await.expect("nobody else publishes");
        handle.watch().wait_for(|live| live.epoch.is_some()).await.expect("it goes live");
        (stream, handle)
    }

    /// A viewer that does not connect.
    async fn watch(&self, stream: &CreatedStream) -> Result<sfu::PeerId, String> {
        let before = self.node.app.sessions().peers();
        let whep = SessionClient::new(&stream.whep_url, None).expect("an address");
        match whep.offer(WATCHES.to_owned()).await {
            Ok(_) => {
                let peers = self.node.app.sessions().peers().into_iter();
                Ok(peers.filter(|peer| !before.contains(peer)).max().expect("its peer"))
            }
            Err(ClientError::Refused(problem)) => Err(problem.code),
            Err(err) => panic!("{err}"),
        }
    }
}

#[tokio::test]
async fn whoever_asks_to_watch_and_never_connects_gives_way_to_who_comes_later() {
    let world = World::new(3, 10).await;
    let (stream, _handle) = world.live("crowded").await;
    let mut peers = Vec::new();
    for _ in 0..3 {
        peers.push(world.watch(&stream).await.unwrap());
    }
    // One of them is a viewer indeed.
    let sessions = world.node.app.sessions();
    sessions.connected(peers[0]);
    for _ in 0..20 {
        peers.push(world.watch(&stream).await.unwrap());
    }
    let token = |peer| sessions.by_peer(peer).map(|session: crate::session::Session| session.token);
    let is_there =
        |peer: &&sfu::PeerId| token(**peer).is_some_and(|token| sessions.by_token(&token).is_some());
    let there: Vec<_> = peers.iter().filter(is_there).copied().collect();
    assert_eq!(there, [peers[0], peers[21], peers[22]]);
    world.node.stop().await;
}

#[tokio::test]
async fn a_publisher_with_a_key_finds_room_where_viewers_have_all_of_theirs() {
    let world = World::new(2, 10).await;
    let (stream, _handle) = world.live("full").await;
    for _ in 0..2 {
        let peer = world.watch(&stream).await.unwrap();
        world.node.app.sessions().connected(peer);
    }
    assert_eq!(world.watch(&stream).await, Err("node_full".to_owned()));
    let mine = world.create("mine").await;
    let whip = SessionClient::new(&mine.whip_url, Some(mine.stream_key.clone())).unwrap();
    whip.offer(PUBLISHES.to_owned()).await.unwrap();
    assert_eq!(world.node.sessions(), 3);
    world.node.stop().await;
}

#[tokio::test]
async fn a_network_has_an_eighth_of_the_room_for_those_that_do_not_connect() {
    let world = World::new(16, 10).await;
    let (stream, _handle) = world.live("far").await;
    let at = |last| IpAddr::from(Ipv4Addr::new(203, 0, 113, last));
    let sessions = world.node.app.sessions();
    let mut peers = Vec::new();
    for _ in 0..2 {
        let peer = world.watch(&stream).await.unwrap();
        sessions.expect(peer, at(1));
        peers.push(peer);
    }
    let lost = |address| {
        let mut lost = None;
        let close = |peer| {
            lost = Some(peer);
            Ok(())
        };
        sessions.make_room(address, 16, close).map(|()| lost)
    };
    assert_eq!(lost(at(2)), Ok(None));
    assert_eq!(lost(IpAddr::from(Ipv4Addr::LOCALHOST)), Ok(None));
    assert_eq!(lost(at(1)), Ok(Some(peers[0])));
    // It has one place fewer now, which the next takes.
    assert_eq!(lost(at(1)), Ok(None));
    world.node.stop().await;
}

/// Waits until `done`; a test that would wait for ever fails.
async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let seen = async {
        while !done() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), seen).await.expect(what);
}

#[tokio::test]
async fn a_viewer_whose_stream_closes_while_it_is_let_in_leaves_no_session_behind() {
    let world = World::new(10, 10).await;
    let (app, sfu) = (&world.node.app, world.node.app.sfu());
    let (_stream, handle) = world.live("closes").await;
    let viewer = |stream| sfu::ViewerConfig {
        stream,
        max_layer: media::RenditionName::Ultra,
        choice: sfu::LayerChoice::Auto,
        metered: false,
    };
    let enter = |newcomer: sfu::Newcomer, handle| {
        app.sessions().enter(newcomer, handle, Role::Viewer, String::new(), None).unwrap().0.peer
    };
    let newcomer = sfu.answer_viewer(WATCHES, viewer(handle.media_id)).unwrap();
    sfu.close_stream(handle.media_id).unwrap();
    // Its end is heard after what there is to hear of the other.
    let (other, elsewhere) = world.live("goes on").await;
    let heard = world.watch(&other).await.unwrap();
    sfu.close(heard).unwrap();
    until("the end of a viewer", || app.sessions().by_peer(heard).is_none()).await;
    drop(elsewhere);
    let peer = enter(newcomer, handle);
    assert_eq!(app.sessions().peers(), [peer]);
    sfu.close(peer).unwrap();
    until("the viewer's end", || app.sessions().peers().is_empty()).await;
    world.node.stop().await;
}

#[tokio::test]
async fn a_publisher_that_the_media_plane_cannot_take_leaves_neither_session_nor_broadcast() {
    let world = World::new(10, 10).await;
    let row = world.row(&world.create("refused").await).await;
    let Node { app, _sfu: media_plane, .. } = world.node;
    let handle = app.stream(row).unwrap();
    let newcomer = app.sfu().answer_publisher(PUBLISHES).unwrap();
    let offered = handle.offer_grant(PublisherKind::Whip).await.unwrap();
    drop(media_plane);
    let role = Role::Publisher { publisher: offered.publisher(), layers: Arc::default() };
    let entered = app.sessions().enter(newcomer, handle.clone(), role, String::new(), None);
    assert_eq!(entered.err(), Some(sfu::Refused::Stopped));
    assert_eq!((app.sessions().len(), app.sfu().counters().peers), (0, 0));
    drop(offered);
    assert!(handle.publish(PublisherKind::Rtmp).await.is_ok(), "nobody else publishes");
}

#[tokio::test]
async fn a_publisher_that_connects_after_another_took_its_place_is_sent_away() {
    let world = World::new(10, 10).await;
    let slow = world.create("slow").await;
    let app = &world.node.app;
    let handle = app.stream(world.row(&slow).await).unwrap();
    let whip = SessionClient::new(&slow.whip_url, Some(slow.stream_key.clone())).unwrap();
    whip.offer(PUBLISHES.to_owned()).await.unwrap();
    let peer = app.sessions().peers()[0];
    let Some(Role::Publisher { publisher, layers }) =
        app.sessions().by_peer(peer).map(|session| session.role)
    else {
        panic!("it publishes")
    };
    handle.tell(Message::Unpublish { publisher, departure: Departure::Lost }).await;
    handle.publish(PublisherKind::Rtmp).await.unwrap();
    handle.tell(Message::Connected { publisher, peer, layers }).await;
    until("the first one's end", || app.sessions().peers().is_empty()).await;
    world.node.stop().await;
}

#[tokio::test]
async fn a_new_stream_key_sends_the_old_ones_publisher_away_and_another_goes_on() {
    let world = World::new(10, 10).await;
    let (stream, app) = (world.create("mine").await, &world.node.app);
    let whip = |key: &str| SessionClient::new(&stream.whip_url, Some(key.to_owned())).unwrap();
    whip(&stream.stream_key).offer(PUBLISHES.to_owned()).await.unwrap();
    let handle = app.stream(world.row(&stream).await).unwrap();
    let stranger = app.sessions().peers()[0];
    let Some(Role::Publisher { publisher, layers }) =
        app.sessions().by_peer(stranger).map(|session| session.role)
    else {
        panic!("it publishes")
    };
    handle.tell(Message::Connected { publisher, peer: stranger, layers }).await;
    let rotated = world.client.rotate_key(None, &stream.playback_id).await.unwrap();
    until("the stranger's end", || app.sessions().peers().is_empty()).await;
    handle.ousted(publisher).await;
    let Err(ClientError::Refused(refused)) = whip(&stream.stream_key).offer(PUBLISHES.to_owned()).await
    else {
        panic!("the old key opens it")
    };
    assert_eq!(refused.code, "bad_stream_key");
    let broadcast = handle.live().epoch;
    assert!(broadcast.is_some());
    whip(&rotated.stream_key).offer(PUBLISHES.to_owned()).await.unwrap();
    assert_eq!(handle.live().epoch, broadcast);
    world.node.stop().await;
}

#[tokio::test]
async fn a_stream_that_somebody_is_about_to_publish_to_is_not_put_away() {
    let world = World::new(10, 1).await;
    let (first, second) = (world.create("first").await, world.create("second").await);
    let (first, second) = (world.row(&first).await, world.row(&second).await);
    let app = &world.node.app;
    let held = app.stream(first.clone()).unwrap();
    assert!(app.stream(second.clone()).is_err());
    assert_eq!(app.stream(first).map(|handle| handle.media_id).ok(), Some(held.media_id));
    drop(held);
    assert!(app.stream(second).is_ok(), "nobody is there any more");
    world.node.stop().await;
}

#[tokio::test]
async fn a_node_whose_media_plane_has_died_says_so() {
    let mut world = World::new(4, 4).await;
    let any = std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let other = sfu::Sfu::start(sfu::SfuConfig { bind: any, ..sfu::SfuConfig::default() });
    // The thread of the one that is dropped ends, as it does where its socket cannot be waited for any more.
    drop(std::mem::replace(&mut world.node._sfu, other.expect("a port").0));
    let broken = world.node.broken().await;
    assert!(matches!(broken, NodeError::Broken("the media plane")), "{broken}");
    world.node.stop().await;
}
