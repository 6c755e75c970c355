//! Every rendition as a layer to a WHIP endpoint.

use std::sync::Arc;

use media::{AudioTrack, StudioEpoch, VideoTrack};
use rtc::{LinkState, Network, PublishEvent, Signalling, WhipConfig, WhipPublisher};
use tokio::sync::watch;

use super::Status;
use crate::hub::{Hub, Lane};

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
                Some(PublishEvent::State(LinkState::Up)) => {
                    show(&status, &publisher, packets.dropped());
                    // The server and its viewers start on one.
                    want_key();
                }
                Some(PublishEvent::State(_) | PublishEvent::Stats(_)) => {
                    show(&status, &publisher, packets.dropped());
                }
                None => break,
            },
            changed = stop.changed() => if changed.is_err() || *stop.borrow() { break },
        }
    }
    show(&status, &publisher, packets.dropped());
    publisher.close().await;
    status.change(|figures| figures.state = "closed");
}

fn show(status: &Status, publisher: &WhipPublisher, behind: u64) {
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
        figures.dropped = behind + stats.layers.iter().map(|layer| layer.dropped_frames).sum::<u64>();
        figures.rtt_ms = stats.rtt_ms;
        figures.loss = stats.loss;
    });
}
