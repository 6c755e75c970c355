//! Hands what the media plane reports to the streams it concerns. Waits for none of them: one that is stuck would hold up
//! all others.

use std::sync::Arc;

use media::{Codec, RenditionName};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::app::App;
use crate::session::{Role, Session};
use crate::stream::{Departure, Lane, Message, StreamHandle};

/// What a stream must be told, of the life of a publisher.
type News = (StreamHandle, Message);

/// Runs until the media plane ends.
pub async fn pump(app: Arc<App>, mut events: mpsc::Receiver<sfu::Event>) {
    // News that wait for room at their streams. A publisher has two, and a stream that takes none grants no other.
    let mut waiting = JoinSet::new();
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => {
                    if let Some((stream, news)) = take(&app, event)
                        && let Err(news) = stream.try_tell(news)
                    {
                        // Those of one publisher may come in any order: a stream passes over what is said of one that
                        // is gone.
                        waiting.spawn(async move { stream.tell(news).await });
                    }
                }
                None => return,
            },
            Some(_) = waiting.join_next() => {}
        }
    }
}

/// Returns what may have to wait.
fn take(app: &App, event: sfu::Event) -> Option<News> {
    match event {
        sfu::Event::PublisherMedia { peer, source, packet, .. } => media(app, peer, &source, packet),
        sfu::Event::Connected { peer, .. } => {
            app.sessions().connected(peer);
            return connected(app.sessions().by_peer(peer)?);
        }
        sfu::Event::Closed { peer, reason } => {
            let session = app.sessions().leave(peer)?;
            tracing::debug!(stream = %session.stream.row.playback_id, ?peer, ?reason, "peer left");
            if let (Role::Viewer, Some(paid)) = (&session.role, app.billing().paid()) {
                paid.cashier.meters.gone(peer, reason == sfu::CloseReason::StreamEnded);
            }
            let said_so = matches!(reason, sfu::CloseReason::Requested | sfu::CloseReason::ByPeer);
            return left(session, if said_so { Departure::Ended } else { Departure::Lost });
        }
        sfu::Event::KeyframeNeeded { stream, layer } => {
            if let Some(stream) = app.by_media_id(stream) {
                // Full: the media plane asks again until it comes.
                stream.offer(Message::KeyframeNeeded { layer });
            }
        }
        sfu::Event::Metered { peer, session, what } => {
            if let Some(paid) = app.billing().paid() {
                paid.cashier.meters.put(peer, session, what);
            }
        }
        sfu::Event::LayerChanged { .. } | sfu::Event::ViewerStats { .. } => {}
    }
    None
}

fn media(app: &App, peer: sfu::PeerId, source: &sfu::Source, packet: sfu::RtpPacket) {
    let Some(Session { stream, role: Role::Publisher { publisher, layers }, .. }) =
        app.sessions().by_peer(peer)
    else {
        return;
    };
    let lane = match source {
        sfu::Source::Audio => Lane::Audio(Codec::Opus),
        // A publisher without simulcast has one rendition, which is the best there is.
        sfu::Source::Video(None) => Lane::Video(RenditionName::High),
        sfu::Source::Video(Some(rid)) => match layers.get(rid) {
            Some(name) => Lane::Video(*name),
            None => return,
        },
    };
    stream.offer_rtp(publisher, lane, packet);
}

fn connected(session: Session) -> Option<News> {
    let Session { stream, role, peer, .. } = session;
    match role {
        Role::Publisher { publisher, layers } => {
            Some((stream, Message::Connected { publisher, peer, layers }))
        }
        Role::Viewer => {
            stream.viewer_joined(peer);
            None
        }
    }
}

fn left(session: Session, departure: Departure) -> Option<News> {
    let Session { stream, role, peer, .. } = session;
    match role {
        Role::Publisher { publisher, .. } => Some((stream, Message::Unpublish { publisher, departure })),
        Role::Viewer => {
            stream.viewer_left(peer);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::*;
    use crate::config::NodeConfig;
    use crate::server::Node;
    use crate::stream::tests::Bench;
    use crate::stream::{Layers, PublisherId, PublisherKind};

    /// Of pages, as Chromium makes them.
    const WATCHES: &str = include_str!("../../../fuzz/corpus/offer/chromium-watch.sdp");
    const PUBLISHES: &str = include_str!("../../../fuzz/corpus/offer/chromium-publish.sdp");

    fn watches(app: &App, stream: &StreamHandle) -> sfu::PeerId {
        let config = sfu::ViewerConfig {
            stream: stream.media_id,
            max_layer: RenditionName::Ultra,
            choice: sfu::LayerChoice::Auto,
            metered: false,
        };
        let newcomer = app.sfu().answer_viewer(WATCHES, config).unwrap();
        let entered = app.sessions().enter(newcomer, stream.clone(), Role::Viewer, String::new(), None);
        entered.unwrap().0.peer
    }

    fn publishes(app: &App, stream: &StreamHandle, publisher: PublisherId) -> sfu::PeerId {
        let newcomer = app.sfu().answer_publisher(PUBLISHES).unwrap();
        let role = Role::Publisher { publisher, layers: Arc::new(Layers::new()) };
        app.sessions().enter(newcomer, stream.clone(), role, String::new(), None).unwrap().0.peer
    }

    #[tokio::test]
    async fn a_stream_that_takes_no_news_holds_up_no_others_and_loses_none() {
        let folder = tempfile::tempdir().unwrap();
        let node = Node::start(NodeConfig::loopback(folder.path().to_owned())).await.unwrap();
        let app = Arc::clone(node.app());
        let request = api::CreateStream { title: "goes on".into(), ..api::CreateStream::default() };
        let other = app.stream(app.store().create_stream("local", &request).await.unwrap()).unwrap();
        other.publish(PublisherKind::Rtmp).await.unwrap();
        // Its task does not run.
        let mut stuck = Bench::new().await;
        while stuck.handle.offer(Message::ViewersChanged) {}
        let publisher = publishes(&app, &stuck.handle, PublisherId(7));
        let (stays, goes, elsewhere) =
            (watches(&app, &stuck.handle), watches(&app, &stuck.handle), watches(&app, &other));
        let (tell, events) = mpsc::channel(16);
        let pumping = tokio::spawn(pump(Arc::clone(&app), events));
        let remote = SocketAddr::from(([127, 0, 0, 1], 9));
        let comes = |peer| sfu::Event::Connected { peer, remote };
        let ends = |peer| sfu::Event::Closed { peer, reason: sfu::CloseReason::TimedOut };
        for event in
            [comes(publisher), comes(goes), comes(stays), ends(goes), ends(publisher), comes(elsewhere)]
        {
            tell.send(event).await.unwrap();
        }
        let mut live = other.watch();
        let seen = live.wait_for(|live| live.viewers == 1);
        tokio::time::timeout(Duration::from_secs(20), seen).await.expect("the other goes on").unwrap();
        assert!(!stuck.handle.offer(Message::ViewersChanged), "it is stuck still");
        assert_eq!(stuck.handle.presence.viewers(), 1);
        // What it must know is there once it goes on.
        let (mut came, mut went) = (false, false);
        while !(came && went) {
            match stuck.mailbox.recv().await.unwrap() {
                Message::Connected { publisher: PublisherId(7), .. } => came = true,
                Message::Unpublish { publisher: PublisherId(7), .. } => went = true,
                _ => {}
            }
        }
        pumping.abort();
        node.stop().await;
    }
}
