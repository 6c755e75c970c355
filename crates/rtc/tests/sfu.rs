//! Publisher and player against the node's own WebRTC server, which stands on another library: two
//! implementations test each other.

#![allow(clippy::unwrap_used, reason = "a test says by panicking what went wrong")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use media::{
    AudioTrack, Codec, FrameRate, Packet, RenditionName, Size, StudioEpoch, Timescale, VideoTrack, WallTime,
};
use sfu::{
    Event, Lane, Layer, LayerChoice, PeerId, Sfu, SfuConfig, SfuHandle, Source, StreamId, ViewerConfig,
};
use tickcast_rtc::{
    Answer, BoxFuture, LinkState, Network, PlayEvent, PublishEvent, ReceivedUnit, Signalling,
    SignallingError, SignallingSession, WhepConfig, WhepPlayer, WhipConfig, WhipPublisher,
};
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};

const LIMIT: Duration = Duration::from_secs(60);
const STREAM: StreamId = StreamId(7);
const NAMES: [RenditionName; 4] =
    [RenditionName::VeryLow, RenditionName::Low, RenditionName::Medium, RenditionName::High];

/// Signalling without HTTP.
struct Door {
    handle: SfuHandle,
    viewer: Option<RenditionName>,
}

struct Session(SfuHandle, PeerId);

impl Signalling for Door {
    fn offer(&self, sdp: String) -> BoxFuture<'_, Result<Answer, SignallingError>> {
        let accepted = match self.viewer {
            None => self.handle.accept_publisher(&sdp),
            Some(layer) => self.handle.accept_viewer(
                &sdp,
                ViewerConfig {
                    stream: STREAM,
                    max_layer: layer,
                    choice: LayerChoice::Fixed(layer),
                    metered: false,
                },
            ),
        };
        Box::pin(async move {
            let accepted = accepted.map_err(|err| SignallingError::BadAnswer(err.to_string()))?;
            let session = Box::new(Session(self.handle.clone(), accepted.peer));
            Ok(Answer { sdp: accepted.answer_sdp, session, ice_servers: Vec::new() })
        })
    }
}

impl SignallingSession for Session {
    fn patch(&self, _fragment: String) -> BoxFuture<'_, Result<Option<String>, SignallingError>> {
        Box::pin(async { Ok(None) })
    }

    fn delete(&self) -> BoxFuture<'_, Result<(), SignallingError>> {
        let _ = self.0.close(self.1);
        Box::pin(async { Ok(()) })
    }
}

fn config(epoch: StudioEpoch) -> WhipConfig {
    let track = |rendition: RenditionName| VideoTrack {
        codec: Codec::H264,
        rendition,
        size: Size::new(320, 180),
        frame_rate: FrameRate::FPS_30,
        bitrate_kbps: rendition.default_kbps(),
    };
    let audio =
        AudioTrack { codec: Codec::Opus, rate: 48_000, channels: 2, bitrate_kbps: 128, config: Bytes::new() };
    let renditions = NAMES.map(track).to_vec();
    WhipConfig { renditions, audio: Some(audio), epoch, network: Network::Loopback }
}

/// A frame that carries its own timestamp, after its rendition's number.
fn frame(epoch: StudioEpoch, layer: usize, key: bool) -> Packet {
    let pts = epoch.stamp(Instant::now(), Timescale::VIDEO);
    let mut unit = Vec::new();
    if key {
        unit.extend_from_slice(&[0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 0xda, 0, 0, 0, 1, 0x68, 0xce, 0x3c]);
    }
    unit.extend_from_slice(&[0, 0, 0, 1, if key { 0x65 } else { 0x41 }, 0x88, layer as u8 + 1]);
    // Seven bits a byte and one set: never a start code.
    unit.extend((0..6).map(|n| 0x80 | (pts.ticks() >> (7 * n)) as u8));
    unit.resize(unit.len() + if key { 3000 } else { 200 }, 0xaa);
    Packet { pts, dts: pts, duration_ticks: 3000, key, payload: unit.into() }
}

fn stamp_of(unit: &ReceivedUnit) -> (usize, i64) {
    let at = unit.payload.windows(3).rposition(|w| w[..2] == [0x65, 0x88] || w[..2] == [0x41, 0x88]).unwrap();
    let body = &unit.payload[at + 2..];
    let ticks = (0..6).map(|n| i64::from(body[1 + n] & 0x7f) << (7 * n)).sum();
    (usize::from(body[0]) - 1, ticks)
}

/// What the node's stream actor does: forwards what comes in.
async fn forward(handle: SfuHandle, mut events: mpsc::Receiver<Event>, sources: mpsc::Sender<Source>) {
    while let Some(event) = events.recv().await {
        if let Event::PublisherMedia { source, packet, .. } = event {
            let lane = match &source {
                Source::Audio => Lane::Audio,
                Source::Video(rid) => Lane::Video(RenditionName::from_rid(rid.as_deref().unwrap()).unwrap()),
            };
            let _ = sources.try_send(source);
            handle.forward(STREAM, vec![(lane, packet)]);
        }
    }
}

async fn up(events: &mut mpsc::Receiver<PublishEvent>) {
    let wait = async {
        while events.recv().await.expect("the publisher runs") != PublishEvent::State(LinkState::Up) {}
    };
    timeout(LIMIT, wait).await.expect("it comes up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_behind_the_server_gets_each_rendition_with_its_capture_time() {
    let (sfu, events) = Sfu::start(SfuConfig::default()).unwrap();
    let handle = sfu.handle();
    let layers = NAMES.map(|name| Layer { name, kbps: name.default_kbps() });
    handle.set_layers(STREAM, layers.to_vec()).unwrap();
    let (sources_tx, mut sources) = mpsc::channel(1024);
    let forwarding = tokio::spawn(forward(handle.clone(), events, sources_tx));
    let epoch = StudioEpoch::new(Instant::now(), WallTime::from_system(SystemTime::now()));
    let door = |viewer| Arc::new(Door { handle: handle.clone(), viewer }) as Arc<dyn Signalling>;
    let (publisher, mut publisher_events) = WhipPublisher::connect(config(epoch), door(None)).unwrap();
    up(&mut publisher_events).await;
    let (player, mut played) =
        WhepPlayer::connect(WhepConfig { network: Network::Loopback }, door(Some(RenditionName::Medium)));

    let (mut seen, mut units, mut sounds) = (BTreeSet::new(), Vec::new(), 0);
    let run = async {
        let mut ticks = interval(Duration::from_millis(20));
        let mut count = 0u32;
        let mapped = |units: &[ReceivedUnit]| units.iter().filter(|unit| unit.captured.is_some()).count();
        // The media server's first report may state RTP time 0, which is no capture time; others follow each second.
        while units.len() < 50 || sounds < 20 || seen.len() < 5 || mapped(&units) <= 10 {
            ticks.tick().await;
            count += 1;
            for (layer, name) in NAMES.into_iter().enumerate() {
                publisher.send_video(name, &frame(epoch, layer, count.is_multiple_of(25)));
            }
            let pts = epoch.stamp(Instant::now(), Timescale::AUDIO);
            let payload = Bytes::from_static(&[0xfc, 0xff, 0xfe]);
            publisher.send_audio(&Packet { pts, dts: pts, duration_ticks: 960, key: true, payload });
            while let Ok(source) = sources.try_recv() {
                seen.insert(format!("{source:?}"));
            }
            while let Ok(event) = played.try_recv() {
                match event {
                    PlayEvent::Video(unit) => units.push(unit),
                    PlayEvent::Audio(_) => sounds += 1,
                    PlayEvent::State(_) => {}
                }
            }
        }
    };
    timeout(LIMIT, run).await.expect("pictures and sound reach the viewer");

    assert!(units[0].key);
    let mapped: Vec<_> = units.iter().filter(|unit| unit.captured.is_some()).collect();
    assert!(mapped.len() > 10, "capture times are known: {} of {}", mapped.len(), units.len());
    for unit in mapped {
        let (layer, ticks) = stamp_of(unit);
        assert_eq!(NAMES[layer], RenditionName::Medium);
        let truth = epoch.wall_of(media::Timestamp::new(ticks, Timescale::VIDEO));
        let error_ms = unit.captured.unwrap().millis_since(truth);
        // Two clocks of one machine, each read as a pair: microseconds apart.
        assert!(error_ms.abs() < 2.0, "{error_ms} ms");
    }
    publisher.close().await;
    player.close().await;
    drop(sfu);
    forwarding.await.unwrap();
}
