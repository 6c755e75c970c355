//! The whole way of a picture: drawn with its stamp, encoded, published, forwarded, received, decoded,
//! presented, measured.

#![allow(clippy::unwrap_used, reason = "a test says by panicking what went wrong")]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use codec::{
    AudioEncoder, AudioEncoderConfig, EncoderChoice, KeyRequest, SpeedPreset, VideoEncoder,
    VideoEncoderConfig,
};
use media::burn_in::{self, Stamp};
use media::{
    AudioBlock, Codec, FrameRate, Picture, RenditionName, Size, StudioEpoch, Timescale, Timestamp, WallTime,
};
use rtc::{
    Answer, BoxFuture, LinkState, Network, Signalling, SignallingError, SignallingSession, WhipConfig,
    WhipPublisher,
};
use sfu::{
    Event, Lane, Layer, LayerChoice, PeerId, Sfu, SfuConfig, SfuHandle, Source, StreamId, ViewerConfig,
};
use tickcast_watch::{Player, PlayerConfig, RenditionText};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};

const LIMIT: Duration = Duration::from_secs(120);
const STREAM: StreamId = StreamId(1);
const LAYER: RenditionName = RenditionName::VeryLow;
const SIZE: Size = Size::new(320, 180);

/// Signalling without HTTP.
struct Door {
    handle: SfuHandle,
    publish: bool,
}

struct Session(SfuHandle, PeerId);

impl Signalling for Door {
    fn offer(&self, sdp: String) -> BoxFuture<'_, Result<Answer, SignallingError>> {
        let choice = LayerChoice::Fixed(LAYER);
        let viewer = ViewerConfig { stream: STREAM, max_layer: LAYER, choice, metered: false };
        let accepted = match self.publish {
            true => self.handle.accept_publisher(&sdp),
            false => self.handle.accept_viewer(&sdp, viewer),
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

/// What the node's stream actor does: forwards what comes in.
async fn forward(handle: SfuHandle, mut events: mpsc::Receiver<Event>) {
    while let Some(event) = events.recv().await {
        if let Event::PublisherMedia { source, packet, .. } = event {
            let lane = match source {
                Source::Audio => Lane::Audio,
                Source::Video(_) => Lane::Video(LAYER),
            };
            handle.forward(STREAM, vec![(lane, packet)]);
        }
    }
}

/// A grey picture with its stamp; the first of every second flashes.
fn picture(number: u32, pts: Timestamp) -> Picture {
    let mut rgba = vec![90; SIZE.pixels() as usize * 4];
    let wall = WallTime::from_system(SystemTime::now());
    burn_in::draw_rgba(&mut rgba, SIZE, Stamp::new(number, wall, number.is_multiple_of(25)));
    let mut nv12: Vec<u8> = rgba.chunks_exact(4).map(|p| 16 + (u32::from(p[0]) * 219 / 255) as u8).collect();
    nv12.resize(nv12.len() * 3 / 2, 128);
    Picture::nv12(SIZE, Bytes::from(nv12), pts).unwrap()
}

/// Forty milliseconds of sound; the first of every second beeps.
fn sound(number: u32, timestamp: Timestamp) -> AudioBlock {
    let level = if number.is_multiple_of(25) { 0.25 } else { 0.0 };
    let wave = |n: u32| level * (std::f32::consts::TAU * n as f32 / 48.0).sin();
    let samples = (0..1920).flat_map(|n| [wave(n); 2]).collect();
    AudioBlock { rate: 48_000, channels: 2, samples, timestamp }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_measures_what_a_publisher_sends() {
    let (sfu, events) = Sfu::start(SfuConfig::default()).unwrap();
    let handle = sfu.handle();
    handle.set_layers(STREAM, vec![Layer { name: LAYER, kbps: 500 }]).unwrap();
    let forwarding = tokio::spawn(forward(handle.clone(), events));
    let door = |publish| Arc::new(Door { handle: handle.clone(), publish }) as Arc<dyn Signalling>;

    let rate = FrameRate::new(25, 1).unwrap();
    let mut video = VideoEncoder::open(&VideoEncoderConfig {
        choice: EncoderChoice::x264(),
        preset: SpeedPreset::Ultrafast,
        ..VideoEncoderConfig::new(LAYER, SIZE, rate, 500)
    })
    .unwrap();
    let mut audio = AudioEncoder::open(AudioEncoderConfig::new(Codec::Opus, 96)).unwrap();
    let epoch = StudioEpoch::new(Instant::now(), WallTime::from_system(SystemTime::now()));
    let config = WhipConfig {
        renditions: vec![video.track()],
        audio: Some(audio.track()),
        epoch,
        network: Network::Loopback,
    };
    let (publisher, _events) = WhipPublisher::connect(config, door(true)).unwrap();
    let player = Player::start(
        PlayerConfig { network: Network::Loopback, ..PlayerConfig::default() },
        door(false),
        &Handle::current(),
    )
    .unwrap();

    let run = async {
        let mut ticks = interval(Duration::from_millis(40));
        let first = epoch.stamp(Instant::now(), Timescale::VIDEO);
        for number in 0u32.. {
            ticks.tick().await;
            // Sound and picture of one number are of one instant.
            let pts = first.plus(rate.timestamp_of(u64::from(number), Timescale::VIDEO));
            let key = if number.is_multiple_of(25) { KeyRequest::Yes } else { KeyRequest::No };
            for packet in video.encode(&picture(number, pts), key).unwrap() {
                publisher.send_video(LAYER, &packet);
            }
            for packet in audio.encode(&sound(number, pts.rescale(Timescale::AUDIO))).unwrap() {
                publisher.send_audio(&packet);
            }
            let report = player.snapshot().report;
            if report.frames_presented >= 100 && report.av_offset_ms.is_some() {
                return;
            }
        }
    };
    timeout(LIMIT, run).await.expect("pictures and sound are presented");

    assert_eq!(player.snapshot().state, LinkState::Up);
    assert!(player.pictures().latest().is_some_and(|shown| shown.picture.size() == SIZE));
    let snapshot = player.close().await;
    let report = snapshot.report;
    eprintln!("{report:?} {:?} jitter {:?} ms", snapshot.network, snapshot.jitter_delay_ms);
    assert_eq!((report.transport, report.rendition), ("webrtc", Some(RenditionText(LAYER))));
    assert_eq!(report.frames_missing, Some(0));
    assert!(report.first_frame_ms.is_some() && report.decoded_fps.is_some() && report.frozen_ms.is_some());
    assert!(report.delay_ms.p50 <= report.delay_ms.p95 && report.delay_ms.p50.is_some_and(|ms| ms > 0.0));
    assert_eq!(snapshot.network.lost, 0);
    publisher.close().await;
    drop(sfu);
    forwarding.await.unwrap();
}

/// One that never answers.
struct Unanswered;

impl Signalling for Unanswered {
    fn offer(&self, _: String) -> BoxFuture<'_, Result<Answer, SignallingError>> {
        Box::pin(std::future::pending())
    }
}

#[test]
fn a_player_that_its_runtime_drops_at_its_end_is_not_waited_for_by_a_clock_that_stands_still() {
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let config = PlayerConfig { network: Network::Loopback, ..PlayerConfig::default() };
            let player = Player::start(config, Arc::new(Unanswered), &Handle::current()).unwrap();
            tokio::spawn(async move {
                let _held = player;
                std::future::pending::<()>().await;
            });
            tokio::task::yield_now().await;
        });
        // Whatever it still holds is dropped on this thread, by which its timers would be driven.
        drop(runtime);
        done.send(()).unwrap();
    });
    ended.recv_timeout(LIMIT).expect("it ends");
}
