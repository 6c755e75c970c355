//! Publisher and player against an answering side made of the same WebRTC library, over real sockets on the
//! loopback address.

#![allow(clippy::unwrap_used, reason = "a test says by panicking what went wrong")]

#[path = "loopback/server.rs"]
mod server;

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use media::{
    AudioTrack, Codec, FrameRate, Packet, RenditionName, Size, StudioEpoch, Timescale, Timestamp, VideoTrack,
    WallTime,
};
use server::{Seen, Server};
use tickcast_rtc::{
    LinkState, Network, PlayEvent, PublishEvent, WhepConfig, WhepPlayer, WhipConfig, WhipPublisher,
};
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};

/// Longer than any step takes on a busy machine: what fails here hangs, it is not slow.
const LIMIT: Duration = Duration::from_secs(60);

fn epoch() -> StudioEpoch {
    StudioEpoch::new(Instant::now(), WallTime::from_system(SystemTime::now()))
}

fn rendition(name: RenditionName, height: u32) -> VideoTrack {
    VideoTrack {
        codec: Codec::H264,
        rendition: name,
        size: Size::new(height * 16 / 9, height),
        frame_rate: FrameRate::FPS_30,
        bitrate_kbps: name.default_kbps(),
    }
}

fn config(epoch: StudioEpoch, renditions: &[RenditionName]) -> WhipConfig {
    WhipConfig {
        renditions: renditions.iter().map(|name| rendition(*name, 180)).collect(),
        audio: Some(AudioTrack {
            codec: Codec::Opus,
            rate: 48_000,
            channels: 2,
            bitrate_kbps: 128,
            config: Bytes::new(),
        }),
        epoch,
        network: Network::Loopback,
    }
}

/// An access unit that names its frame, large enough for three packets when it is a key frame.
fn frame(epoch: StudioEpoch, number: u32, key: bool) -> Packet {
    let mut unit = Vec::new();
    if key {
        unit.extend_from_slice(&[0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 0, 0, 0, 1, 0x68, 0xce]);
    }
    unit.extend_from_slice(&[0, 0, 0, 1, if key { 0x65 } else { 0x41 }]);
    // Never a zero byte, so never a start code.
    unit.extend(number.to_be_bytes().map(|byte| byte | 0x80));
    unit.resize(unit.len() + if key { 3000 } else { 200 }, 0xaa);
    let pts = epoch.stamp(Instant::now(), Timescale::VIDEO);
    Packet { pts, dts: pts, duration_ticks: 3000, key, payload: unit.into() }
}

fn sound(epoch: StudioEpoch) -> Packet {
    let pts = epoch.stamp(Instant::now(), Timescale::AUDIO);
    Packet { pts, dts: pts, duration_ticks: 960, key: true, payload: Bytes::from_static(&[0xfc, 1, 2, 3]) }
}

/// Sends frames and sound of all renditions until `done` says so.
async fn publish_until(
    publisher: &WhipPublisher,
    epoch: StudioEpoch,
    renditions: &[RenditionName],
    mut done: impl AsyncFnMut() -> bool,
) {
    let mut ticks = interval(Duration::from_millis(20));
    for number in 0u32.. {
        ticks.tick().await;
        for name in renditions {
            publisher.send_video(*name, &frame(epoch, number, number.is_multiple_of(25)));
        }
        publisher.send_audio(&sound(epoch));
        if done().await {
            return;
        }
    }
}

async fn wait_for(
    events: &mut mpsc::Receiver<PublishEvent>,
    mut wanted: impl FnMut(&PublishEvent) -> bool,
) -> PublishEvent {
    timeout(LIMIT, async {
        loop {
            let event = events.recv().await.expect("the publisher still runs");
            if wanted(&event) {
                return event;
            }
        }
    })
    .await
    .expect("the event came")
}

fn is_up(event: &PublishEvent) -> bool {
    *event == PublishEvent::State(LinkState::Up)
}

#[tokio::test(flavor = "multi_thread")]
async fn four_renditions_and_sound_arrive_each_under_its_rid() {
    let names = [RenditionName::VeryLow, RenditionName::Low, RenditionName::Medium, RenditionName::High];
    let (server, mut seen) = Server::receiving();
    let epoch = epoch();
    let (publisher, mut events) = WhipPublisher::connect(config(epoch, &names), server.signalling()).unwrap();
    wait_for(&mut events, is_up).await;
    let mut rids = std::collections::BTreeMap::<String, u32>::new();
    let all = publish_until(&publisher, epoch, &names, async || {
        while let Ok(Seen { rid, .. }) = seen.try_recv() {
            *rids.entry(rid).or_default() += 1;
        }
        rids.len() == 5 && rids.values().all(|count| *count > 20)
    });
    timeout(LIMIT, all).await.expect("all streams arrive");
    assert_eq!(rids.into_keys().collect::<Vec<_>>(), ["", "h", "l", "m", "vl"]);
    publisher.close().await;
    assert_eq!(server.deleted(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_loss_reaches_the_publisher_with_the_name_of_its_rendition() {
    let names = [RenditionName::Low, RenditionName::High];
    let (server, mut seen) = Server::receiving();
    let epoch = epoch();
    let (publisher, mut events) = WhipPublisher::connect(config(epoch, &names), server.signalling()).unwrap();
    wait_for(&mut events, is_up).await;
    // The request at start is for all; the one to come is for the layer that the server names.
    let mut requested = None;
    let all = publish_until(&publisher, epoch, &names, async || {
        while let Ok(seen) = seen.try_recv() {
            if seen.rid == "h" {
                server.request_key_frame(seen.ssrc).await;
            }
        }
        while let Ok(event) = events.try_recv() {
            if let PublishEvent::KeyframeRequested { rendition: Some(name) } = event {
                requested = Some(name);
            }
        }
        requested.is_some()
    });
    timeout(LIMIT, all).await.expect("the request arrives");
    assert_eq!(requested, Some(RenditionName::High));
    publisher.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_gets_whole_units_with_their_capture_time() {
    let server = Server::sending();
    let (player, mut events) =
        WhepPlayer::connect(WhepConfig { network: Network::Loopback }, server.signalling());
    let mut video = Vec::new();
    let mut audio = 0;
    let played = async {
        while video.len() < 50 || audio < 50 {
            match events.recv().await.expect("the player still runs") {
                PlayEvent::Video(unit) => video.push(unit),
                PlayEvent::Audio(_) => audio += 1,
                PlayEvent::State(_) => {}
            }
        }
    };
    timeout(LIMIT, played).await.expect("pictures and sound arrive");
    assert!(video[0].key, "the first picture can be decoded");
    assert!(video.windows(2).all(|pair| pair[0].timestamp < pair[1].timestamp));
    let last = video.last().unwrap();
    // The server's report says that RTP time 0 was 1 000 s after 1970.
    let captured = last.captured.expect("a sender report came");
    let expected = WallTime::from_unix_micros(1_000_000_000).plus(last.timestamp);
    assert!(captured.millis_since(expected).abs() < 0.001, "{captured:?} {expected:?}");
    assert_eq!(player.stats().lost, 0);
    player.close().await;
    assert_eq!(server.deleted(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_asks_again_for_a_lost_packet_and_gets_every_picture() {
    let server = Server::sending_with_loss();
    let (player, mut events) =
        WhepPlayer::connect(WhepConfig { network: Network::Loopback }, server.signalling());
    let mut timestamps: Vec<Timestamp> = Vec::new();
    let played = async {
        while timestamps.len() < 100 {
            if let PlayEvent::Video(unit) = events.recv().await.expect("the player still runs") {
                timestamps.push(unit.timestamp);
            }
        }
    };
    timeout(LIMIT, played).await.expect("pictures arrive");
    let gaps = timestamps.windows(2).filter(|pair| pair[1].ticks() - pair[0].ticks() != 3000).count();
    assert_eq!(gaps, 0);
    let stats = player.stats();
    assert!(stats.nacked > 0 && stats.lost == 0, "{stats:?}");
    player.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_ends_the_publisher_and_a_bad_answer_is_tried_again() {
    let names = [RenditionName::High];
    let server = Server::refusing(401);
    let (publisher, mut events) =
        WhipPublisher::connect(config(epoch(), &names), server.signalling()).unwrap();
    let closed = wait_for(
        &mut events,
        |event| matches!(event, PublishEvent::State(LinkState::Closed { reason }) if reason.contains("401")),
    );
    closed.await;
    publisher.close().await;

    let server = Server::babbling();
    let (publisher, mut events) =
        WhipPublisher::connect(config(epoch(), &names), server.signalling()).unwrap();
    for _ in 0..2 {
        wait_for(&mut events, |event| matches!(event, PublishEvent::State(LinkState::Lost { .. }))).await;
    }
    assert_eq!(publisher.stats().reconnects, 0, "no connection stood that another could follow");
    publisher.close().await;
    assert!(server.deleted() >= 2, "each session that was begun is ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_comes_back_by_itself_after_the_server_is_gone() {
    let names = [RenditionName::Low, RenditionName::High];
    let (server, mut seen) = Server::receiving();
    let epoch = epoch();
    let (publisher, mut events) = WhipPublisher::connect(config(epoch, &names), server.signalling()).unwrap();
    wait_for(&mut events, is_up).await;
    publish_until(&publisher, epoch, &names, async || seen.try_recv().is_ok()).await;
    server.vanish().await;
    wait_for(&mut events, |event| matches!(event, PublishEvent::State(LinkState::Lost { .. }))).await;
    assert!(!publisher.send_video(RenditionName::High, &frame(epoch, 0, true)), "nothing queues meanwhile");
    wait_for(&mut events, is_up).await;
    wait_for(&mut events, |event| *event == PublishEvent::KeyframeRequested { rendition: None }).await;
    while seen.try_recv().is_ok() {}
    let again = publish_until(&publisher, epoch, &names, async || seen.try_recv().is_ok());
    timeout(LIMIT, again).await.expect("media flows again");
    assert_eq!(publisher.stats().reconnects, 1);
    publisher.close().await;
}
