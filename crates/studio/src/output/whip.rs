//! Every rendition as a layer to a WHIP endpoint.

use std::sync::Arc;

use media::{AudioTrack, StudioEpoch, VideoTrack};
use rtc::{LinkState, Network, PublishEvent, Signalling, WhipConfig, WhipPublisher};
use tokio::sync::watch;

use super::Status;
use crate::hub::{Hub, Lane, Subscription};

/// What is published.
pub struct WhipParts {
    pub renditions: Vec<VideoTrack>,
    pub sound: Option<AudioTrack>,
    pub epoch: StudioEpoch,
    pub network: Network,
    pub signalling: Arc<dyn Signalling>,
}

/// Publishes until the hub closes or `stop` says so. `want_key` is called for each key frame that is needed.
pub async fn run(
    parts: WhipParts,
    hub: Hub,
    status: Status,
    mut stop: watch::Receiver<bool>,
    want_key: impl Fn() + Send + 'static,
) {
    let packets = hub.subscribe(|lane| matches!(lane, Lane::Video(_) | Lane::Opus));
    let WhipParts { renditions, sound, epoch, network, signalling } = parts;
    let config = WhipConfig { renditions, audio: sound, epoch, network };
    let (publisher, mut events) = match WhipPublisher::connect(config, signalling) {
        Ok(started) => started,
        Err(err) => {
            status.change(|figures| {
                figures.state = "closed";
                figures.message = Some(err.to_string());
            });
            return;
        }
    };
    // Frames made before the first connection were nobody's loss; its first statistics have them all.
    let mut before: Option<u64> = None;
    let lost = |before: Option<u64>| before.map_or(0, |before| dropped(&publisher, &packets) - before);
    loop {
        tokio::select! {
            packet = packets.next() => match packet {
                Some((Lane::Video(rendition), packet)) => {
                    publisher.send_video(rendition, &packet);
                }
                Some((_, packet)) => {
                    publisher.send_audio(&packet);
                }
                None => break,
            },
            event = events.recv() => match event {
                Some(PublishEvent::KeyframeRequested { .. }) => want_key(),
                Some(news) => {
                    match news {
                        // The server and its viewers start on one.
                        PublishEvent::State(LinkState::Up) => want_key(),
                        PublishEvent::Stats(_) if publisher.state() == LinkState::Up => {
                            before.get_or_insert_with(|| dropped(&publisher, &packets));
                        }
                        _ => {}
                    }
                    show(&status, &publisher, lost(before));
                }
                None => break,
            },
            changed = stop.changed() => if changed.is_err() || *stop.borrow() { break },
        }
    }
    show(&status, &publisher, lost(before));
    publisher.close().await;
    status.change(|figures| figures.state = "closed");
}

/// Frames that did not go out, since the publisher was made.
fn dropped(publisher: &WhipPublisher, packets: &Subscription) -> u64 {
    packets.dropped() + publisher.stats().layers.iter().map(|layer| layer.dropped_frames).sum::<u64>()
}

fn show(status: &Status, publisher: &WhipPublisher, lost: u64) {
    let stats = publisher.stats();
    let state = publisher.state();
    status.change(|figures| {
        (figures.state, figures.message) = match state {
            LinkState::Connecting => ("connecting", None),
            LinkState::Up => ("up", None),
            LinkState::Lost { reason } => ("lost", Some(reason)),
            LinkState::Closed { reason } => ("closed", Some(reason)),
        };
        figures.reconnects = u64::from(stats.reconnects);
        figures.bytes = stats.bytes;
        figures.dropped = lost;
        figures.rtt_ms = stats.rtt_ms;
        figures.loss = stats.loss;
    });
}
