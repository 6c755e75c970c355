//! Hands what the media plane reports to the streams it concerns.

use std::sync::Arc;

use media::{Codec, RenditionName};
use tokio::sync::mpsc;

use crate::app::App;
use crate::session::{Role, Session};
use crate::stream::{Departure, Lane, Message};

/// Runs until the media plane ends.
pub async fn pump(app: Arc<App>, mut events: mpsc::Receiver<sfu::Event>) {
    while let Some(event) = events.recv().await {
        match event {
            sfu::Event::PublisherMedia { peer, source, packet, .. } => media(&app, peer, &source, packet),
            sfu::Event::Connected { peer, .. } => {
                app.sessions().connected(peer);
                if let Some(session) = app.sessions().by_peer(peer) {
                    connected(session).await;
                }
            }
            sfu::Event::Closed { peer, reason } => {
                if let Some(session) = app.sessions().leave(peer) {
                    tracing::debug!(stream = %session.stream.row.playback_id, ?peer, ?reason, "peer left");
                    if let (Role::Viewer, Some(paid)) = (&session.role, app.billing().paid()) {
                        paid.cashier.meters.gone(peer, reason == sfu::CloseReason::StreamEnded);
                    }
                    let said_so = matches!(reason, sfu::CloseReason::Requested | sfu::CloseReason::ByPeer);
                    left(session, if said_so { Departure::Ended } else { Departure::Lost }).await;
                }
            }
            sfu::Event::KeyframeNeeded { stream, layer } => {
                if let Some(stream) = app.by_media_id(stream) {
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
    }
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
    // A stream that is too slow loses this packet, as on a network; the sequence number tells.
    stream.offer(Message::Rtp { publisher, lane, packet });
}

async fn connected(session: Session) {
    let Session { stream, role, peer, .. } = session;
    match role {
        Role::Publisher { publisher, layers } => {
            stream.tell(Message::Connected { publisher, peer, layers }).await;
        }
        Role::Viewer => stream.tell(Message::ViewerJoined { peer }).await,
    }
}

/// Tells a stream that a peer is gone.
pub async fn left(session: Session, departure: Departure) {
    match session.role {
        Role::Publisher { publisher, .. } => {
            session.stream.tell(Message::Unpublish { publisher, departure }).await;
        }
        Role::Viewer => session.stream.tell(Message::ViewerLeft { peer: session.peer }).await,
    }
}
