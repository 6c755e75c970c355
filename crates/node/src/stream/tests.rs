use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::CreateStream;
use bytes::Bytes;
use media::{Codec, Packet, RenditionName, Timescale, Timestamp};
use mux::hls::ReloadRequest;
use sfu::{Sfu, SfuConfig};
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::actor::Actor;
use super::{
    Departure, Lane, Message, Offered, PublishGrant, PublishRefused, PublisherKind, StreamHandle, Unit,
};
use crate::store::Store;
use crate::transcode::{Hindrance, Job, TranscodeConfig, Transcoding};

/// Of a page that plays, as Chromium makes it.
const OFFER: &str = include_str!("../../../../fuzz/corpus/offer/chromium-watch.sdp");

/// A stream whose task does not run: messages are taken when a test gives them to it.
pub(crate) struct Bench {
    actor: Actor,
    pub(crate) handle: StreamHandle,
    pub(crate) mailbox: mpsc::Receiver<Message>,
    transcoding: Arc<Transcoding>,
    sfu: Sfu,
    _events: mpsc::Receiver<sfu::Event>,
    store: Store,
    folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        // Transcodes are wanted, and wait for room that there never is.
        let config = TranscodeConfig { max_children: 0, ..TranscodeConfig::default() };
        Self::with(&config, tempfile::tempdir().unwrap()).await
    }

    /// Its transcodes do not pause.
    async fn with(config: &TranscodeConfig, folder: tempfile::TempDir) -> Self {
        let store = Store::open(folder.path()).await.unwrap();
        let request = CreateStream { title: "bench".into(), ..CreateStream::default() };
        let row = store.create_stream("local", &request).await.unwrap();
        let (sfu, events) = Sfu::start(SfuConfig::default()).unwrap();
        let transcoding = Transcoding::new(config, SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        let transcoding = Arc::new(transcoding.unwrap().impatient());
        let (actor, handle, mailbox) =
            Actor::new(row, sfu::StreamId(1), sfu.handle(), store.clone(), Some(Arc::clone(&transcoding)));
        Self { actor, handle, mailbox, transcoding, sfu, _events: events, store, folder }
    }

    /// As if the publisher's first packet had come some seconds ago.
    fn settle(&mut self) {
        let publisher = self.actor.publisher.as_mut().unwrap();
        publisher.begun = publisher.begun.unwrap().checked_sub(Duration::from_secs(5));
    }

    /// Follows what hinders the ladder until it is this.
    async fn ladder_is(&mut self, hindrance: Option<Hindrance>) {
        let seen = async {
            while self.actor.transcoded.hindrance(Job::Ladder) != hindrance {
                self.actor.transcoded.changed().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), seen).await.expect("the ladder goes on");
        self.actor.review();
        self.actor.tell();
    }

    /// Takes one message.
    async fn take_news(&mut self) {
        let news = self.mailbox.try_recv().unwrap();
        self.actor.take(news).await;
    }

    fn viewer(&self) -> sfu::PeerId {
        let config = sfu::ViewerConfig {
            stream: self.handle.media_id,
            max_layer: media::RenditionName::Ultra,
            choice: sfu::LayerChoice::Auto,
            metered: false,
        };
        self.sfu.handle().accept_viewer(OFFER, config).unwrap().peer
    }

    async fn publish(&mut self) -> PublishGrant {
        self.try_publish(PublisherKind::Rtmp).await.unwrap()
    }

    async fn try_publish(&mut self, kind: PublisherKind) -> Result<PublishGrant, PublishRefused> {
        let (reply, granted) = oneshot::channel();
        self.actor.take(Message::Publish { kind, reply }).await;
        granted.await.unwrap().map(Offered::take)
    }

    /// A frame of sound at `pts` of the stream's time.
    async fn sound(&mut self, grant: PublishGrant, codec: Codec, pts: Timestamp) {
        let packet =
            Packet { pts, dts: pts, duration_ticks: 960, key: true, payload: Bytes::from_static(&[0xfc]) };
        let (publisher, lane) = (grant.publisher, Lane::Audio(codec));
        self.actor.take(Message::Packet { publisher, lane, packet }).await;
    }

    async fn transcoder(&mut self, job: Job, codec: Codec) -> PublishGrant {
        let (reply, granted) = oneshot::channel();
        self.actor.take(Message::Attach { job, lane: Lane::Audio(codec), reply }).await;
        granted.await.unwrap().map(Offered::take).unwrap()
    }

    fn jobs(&self) -> Vec<Job> {
        self.actor.transcoded.jobs.keys().copied().collect()
    }
}

#[tokio::test]
async fn a_viewer_that_never_connected_leaves_those_that_did() {
    let mut bench = Bench::new().await;
    let grant = bench.publish().await;
    let now = grant.epoch.stamp(Instant::now(), Timescale::AUDIO);
    bench.sound(grant, Codec::Aac, now).await;
    let (watching, gone) = (bench.viewer(), bench.viewer());
    bench.handle.viewer_joined(watching);
    bench.take_news().await;
    assert_eq!(bench.jobs(), [Job::Opus]);
    bench.handle.viewer_left(gone);
    bench.take_news().await;
    bench.actor.tell();
    assert_eq!(bench.handle.live().viewers, 1);
    assert_eq!(bench.jobs(), [Job::Opus]);
    bench.handle.viewer_left(watching);
    bench.take_news().await;
    assert_eq!(bench.jobs(), []);
}

/// Reads the lane and the time of each packet that readers inside the node got.
fn read(units: &mut broadcast::Receiver<Arc<Unit>>) -> Vec<(Lane, i64)> {
    let unit = || units.try_recv().ok().map(|unit| (unit.lane, unit.packet.pts.ticks()));
    std::iter::from_fn(unit).collect()
}

#[tokio::test]
async fn what_is_made_of_a_source_whose_clock_is_off_by_an_hour_is_handed_on() {
    let mut bench = Bench::new().await;
    let source = bench.publish().await;
    let hour = 3_600 * 48_000;
    bench.sound(source, Codec::Aac, Timestamp::new(hour, Timescale::AUDIO)).await;
    let transcoder = bench.transcoder(Job::Opus, Codec::Opus).await;
    let mut units = bench.handle.read();
    bench.sound(transcoder, Codec::Opus, Timestamp::new(hour - 960, Timescale::AUDIO)).await;
    assert_eq!(read(&mut units), [(Lane::Audio(Codec::Opus), hour - 960)]);
}

#[tokio::test]
async fn a_transcoders_packet_that_is_over_a_minute_off_its_source_is_dropped() {
    let mut bench = Bench::new().await;
    let source = bench.publish().await;
    let at = |seconds: i64| Timestamp::new(seconds * 48_000, Timescale::AUDIO);
    bench.sound(source, Codec::Aac, at(100)).await;
    let transcoder = bench.transcoder(Job::Opus, Codec::Opus).await;
    let mut units = bench.handle.read();
    for seconds in [39, 40, 160, 161] {
        bench.sound(transcoder, Codec::Opus, at(seconds)).await;
    }
    let opus = Lane::Audio(Codec::Opus);
    assert_eq!(read(&mut units), [(opus, at(40).ticks()), (opus, at(160).ticks())]);
}

#[tokio::test]
async fn a_publisher_by_webrtc_that_fell_silent_gives_way_to_who_has_its_key_and_to_nobody_before() {
    let mut bench = Bench::new().await;
    let publish = async |bench: &mut Bench| bench.try_publish(PublisherKind::Whip).await;
    let first = publish(&mut bench).await.unwrap();
    assert_eq!(publish(&mut bench).await.unwrap_err(), PublishRefused::AlreadyLive);
    let silent = bench.actor.publisher.as_mut().unwrap();
    silent.heard = silent.heard.checked_sub(std::time::Duration::from_secs(6)).unwrap();
    let second = publish(&mut bench).await.unwrap();
    assert_ne!(second.publisher, first.publisher);
    assert_eq!(second.epoch, first.epoch, "the broadcast goes on");
    // Its late goodbye ends nothing.
    let (publisher, departure) = (first.publisher, Departure::Ended);
    bench.actor.take(Message::Unpublish { publisher, departure }).await;
    assert_eq!(publish(&mut bench).await.unwrap_err(), PublishRefused::AlreadyLive);
}

#[tokio::test]
async fn a_broadcast_whose_beginning_cannot_be_stored_is_refused_until_it_can() {
    let mut bench = Bench::new().await;
    let publish = async |bench: &mut Bench| {
        let granted = bench.try_publish(PublisherKind::Rtmp).await;
        bench.actor.tell();
        granted
    };
    let options = crate::store::options(bench.folder.path()).unwrap();
    let mut database = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    let rename = async |database: &mut sqlx::SqliteConnection, from, to| {
        let sql = format!("ALTER TABLE {from} RENAME TO {to}");
        sqlx::query(AssertSqlSafe(sql)).execute(database).await.unwrap();
    };
    rename(&mut database, "stream_sessions", "elsewhere").await;
    assert_eq!(publish(&mut bench).await.unwrap_err(), PublishRefused::NotStored);
    assert!(bench.handle.live().epoch.is_none() && !bench.handle.hls.has_begun());
    rename(&mut database, "elsewhere", "stream_sessions").await;
    publish(&mut bench).await.unwrap();
    assert!(bench.handle.live().epoch.is_some());
    let stored = bench.store.stream_by_playback_id(&bench.handle.row.playback_id).await.unwrap().unwrap();
    assert_eq!(stored.status, api::StreamStatus::Live);
}

#[tokio::test]
async fn a_publisher_that_went_before_it_read_its_grant_does_not_keep_others_out() {
    let mut bench = Bench::new().await;
    let (reply, granted) = oneshot::channel();
    bench.actor.take(Message::Publish { kind: PublisherKind::Whip, reply }).await;
    drop(granted);
    let news = bench.mailbox.try_recv().unwrap();
    bench.actor.take(news).await;
    bench.publish().await;
}

#[tokio::test]
async fn what_a_publisher_no_longer_sends_when_it_comes_back_is_taken_from_hls() {
    let mut bench = Bench::new().await;
    let there = |bench: &Bench| bench.handle.hls.playlist("audio.m3u8", &ReloadRequest::default()).is_some();
    let first = bench.publish().await;
    // AAC-LC, 48 kHz, stereo (ISO/IEC 14496-3 §1.6.2.1).
    let config = Bytes::from_static(&[0x11, 0x90]);
    bench.actor.take(Message::AacConfig { publisher: first.publisher, config }).await;
    bench.sound(first, Codec::Aac, Timestamp::zero(Timescale::AUDIO)).await;
    assert!(there(&bench));
    let (publisher, departure) = (first.publisher, Departure::Lost);
    bench.actor.take(Message::Unpublish { publisher, departure }).await;
    let second = bench.publish().await;
    bench.sound(second, Codec::Opus, Timestamp::new(48_000, Timescale::AUDIO)).await;
    let later = |seconds| Instant::now() + Duration::from_secs(seconds);
    bench.actor.forget_absent(later(5));
    assert!(there(&bench), "it may still come");
    bench.actor.forget_absent(later(11));
    assert!(!there(&bench));
}

/// Sends frames of sound that say `times`, in samples, and returns what the playlist then says.
async fn play_aac(bench: &mut Bench, grant: PublishGrant, times: impl IntoIterator<Item = i64>) -> String {
    for time in times {
        let pts = Timestamp::new(time, Timescale::AUDIO);
        let packet =
            Packet { pts, dts: pts, duration_ticks: 1024, key: true, payload: Bytes::from_static(&[7; 9]) };
        let (publisher, lane) = (grant.publisher, Lane::Audio(Codec::Aac));
        bench.actor.take(Message::Packet { publisher, lane, packet }).await;
    }
    match bench.handle.hls.playlist("audio.m3u8", &ReloadRequest::default()) {
        Some(mux::hls::Answer::Ready(text)) => text,
        other => panic!("{other:?}"),
    }
}

async fn publish_aac(bench: &mut Bench) -> PublishGrant {
    let grant = bench.publish().await;
    let config = Bytes::from_static(&[0x11, 0x90]);
    bench.actor.take(Message::AacConfig { publisher: grant.publisher, config }).await;
    grant
}

#[tokio::test]
async fn times_that_go_back_and_ahead_leave_the_playlist_going_on() {
    let mut bench = Bench::new().await;
    let grant = publish_aac(&mut bench).await;
    let mut units = bench.handle.read();
    let (mut text, mut fed) = (String::new(), Vec::new());
    // Ten seconds from the second hour on, ten from zero on, ten from the next day on.
    for from in [7200, 0, 86_400] {
        let times = (0..470).map(|index| from * 48_000 + index * 1024);
        text = play_aac(&mut bench, grant, times).await;
        fed.extend(read(&mut units).into_iter().map(|(_, time)| time));
    }
    // The first of them has left the playlist.
    assert!(text.contains("#EXT-X-DISCONTINUITY-SEQUENCE:1\n"), "{text}");
    assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{text}");
    let listed: f64 = text
        .lines()
        .filter_map(|line| line.strip_prefix("#EXTINF:")?.strip_suffix(",")?.parse::<f64>().ok())
        .sum();
    assert!(listed > 12.0, "{text}");
    // What a transcoder is fed with never goes back.
    assert!(fed.len() == 3 * 470 && fed.windows(2).all(|pair| pair[0] < pair[1]));
}

#[tokio::test]
async fn times_that_stand_still_give_a_playlist_all_the_same() {
    let mut bench = Bench::new().await;
    let grant = publish_aac(&mut bench).await;
    let text = play_aac(&mut bench, grant, std::iter::repeat_n(0, 100)).await;
    assert!(text.contains("#EXTINF:"), "{text}");
}

#[tokio::test]
async fn what_an_ended_broadcast_left_is_kept_for_a_minute_and_not_into_the_next() {
    let mut bench = Bench::new().await;
    let grant = publish_aac(&mut bench).await;
    play_aac(&mut bench, grant, (0..470).map(|index| index * 1024)).await;
    let end = |publisher| Message::Unpublish { publisher, departure: Departure::Ended };
    bench.actor.take(end(grant.publisher)).await;
    let later = |seconds| Instant::now() + Duration::from_secs(seconds);
    bench.actor.forget_ended(later(59));
    let kept = bench.handle.hls.playlist("audio.m3u8", &ReloadRequest::default());
    assert!(bench.handle.hls.has_begun() && kept.is_some(), "players are behind");
    bench.actor.forget_ended(later(61));
    assert!(!bench.handle.hls.has_begun());
    // What begins meanwhile is not the old one's to end.
    let first = bench.publish().await;
    bench.actor.take(end(first.publisher)).await;
    publish_aac(&mut bench).await;
    bench.actor.forget_ended(later(61));
    assert!(bench.handle.hls.has_begun());
}

/// Baseline, 1280 × 720, no VUI (ITU-T H.264 §7.3.2.1.1), a PPS and the front of an IDR picture.
const KEY: &[u8] = &[
    0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xe4, 0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80, 0,
    0, 0, 1, 0x65, 0x88, 0x84,
];

/// As KEY, in 4:4:4: what x264 makes of it (High 4:4:4 Predictive).
const KEY_IN_444: &[u8] = &[
    0, 0, 0, 1, 0x67, 0xf4, 0x00, 0x1f, 0x91, 0x9b, 0x28, 0x0a, 0x00, 0xb7, 0x60, 0x22, 0x00, 0x00, 0x03,
    0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x78, 0x1e, 0x30, 0x63, 0x2c, 0, 0, 0, 1, 0x68, 0xeb, 0xe3, 0xc4,
    0x48, 0x44, 0, 0, 0, 1, 0x65, 0x88, 0x84,
];

/// Nine seconds at 30 fps, with a key frame each two.
async fn show(bench: &mut Bench, grant: PublishGrant, name: RenditionName) {
    show_with(bench, grant, name, KEY).await;
}

async fn show_with(bench: &mut Bench, grant: PublishGrant, name: RenditionName, key_frame: &'static [u8]) {
    for index in 0..270 {
        let (pts, key) = (Timestamp::new(index * 3000, Timescale::VIDEO), index % 60 == 0);
        let payload = Bytes::from_static(if key { key_frame } else { &[0, 0, 0, 1, 0x41, 0x9a, 0x24] });
        let packet = Packet { pts, dts: pts, duration_ticks: 3000, key, payload };
        let (publisher, lane) = (grant.publisher, Lane::Video(name));
        bench.actor.take(Message::Packet { publisher, lane, packet }).await;
    }
}

/// Five seconds of a rendition, from so far ahead on: ten packets a second, each so long.
fn measured(bench: &mut Bench, name: RenditionName, from_s: u64, bytes: usize) {
    let meter = &mut bench.actor.lanes.get_mut(&Lane::Video(name)).unwrap().meter;
    let (start, at) = (Instant::now() + Duration::from_secs(from_s), Timestamp::zero(Timescale::VIDEO));
    let packet = Packet { pts: at, dts: at, duration_ticks: 0, key: false, payload: vec![0; bytes].into() };
    for tenth in 0..50 {
        meter.push(start + Duration::from_millis(100 * tenth), &packet);
    }
    bench.actor.measure();
}

#[tokio::test]
async fn players_are_told_what_a_rendition_takes_in_fact_once_it_was_measured() {
    let mut bench = Bench::new().await;
    let grant = bench.publish().await;
    show(&mut bench, grant, RenditionName::High).await;
    let told = |bench: &Bench| {
        let text = bench.handle.hls.master_of_playable("").unwrap();
        let said = text.split_once("AVERAGE-BANDWIDTH=").unwrap().1.split(',').next().unwrap();
        said.parse::<u32>().unwrap()
    };
    let target = RenditionName::High.default_kbps();
    bench.actor.measure();
    assert_eq!(told(&bench), target * 1000, "nothing was measured for long enough");
    // 10 000 bytes each tenth of a second are 800 kbit/s.
    measured(&mut bench, RenditionName::High, 10, 10_000);
    assert_eq!(told(&bench), 800_000);
    // Nobody chooses anew for a little more.
    measured(&mut bench, RenditionName::High, 20, 10_500);
    assert_eq!(told(&bench), 800_000);
    measured(&mut bench, RenditionName::High, 30, 0);
    assert_eq!(told(&bench), 1_000, "a rate is never nothing");
}

/// An executable that is run as a transcoder, and does this.
#[cfg(unix)]
fn script(folder: &std::path::Path, does: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join("transcoder");
    std::fs::write(&path, format!("#!/bin/sh\n{does}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}

#[cfg(unix)]
#[tokio::test]
async fn players_do_not_wait_for_a_transcode_that_waits_for_room_and_do_once_it_has_some() {
    let folder = tempfile::tempdir().unwrap();
    // Runs, and brings nothing yet.
    let executable = script(folder.path(), "exec cat > /dev/null");
    let config = TranscodeConfig { enabled: true, executable, max_children: 0 };
    let mut bench = Bench::with(&config, folder).await;
    let grant = bench.publish().await;
    show(&mut bench, grant, RenditionName::High).await;
    bench.settle();
    bench.handle.presence.hls_asked();
    bench.actor.review();
    assert_eq!(bench.jobs(), [Job::Ladder]);
    bench.ladder_is(Some(Hindrance::Queued)).await;
    let text = bench.handle.hls.master("").expect("what there is can be played");
    assert_eq!(text.matches("#EXT-X-STREAM-INF").count(), 1, "{text}");
    let notices = bench.handle.live().notices;
    assert!(notices.len() == 1 && notices[0].contains("when it has room"), "{notices:?}");
    bench.transcoding.make_room();
    bench.ladder_is(None).await;
    assert_eq!(bench.handle.hls.master(""), None);
    assert!(bench.handle.live().notices.is_empty());
}

#[cfg(unix)]
#[tokio::test]
async fn a_transcode_whose_children_all_fail_is_given_up_and_tried_again_for_another_publisher() {
    let folder = tempfile::tempdir().unwrap();
    let count = folder.path().join("children");
    let executable = script(folder.path(), &format!("echo >> '{}'; exit 1", count.display()));
    let mut bench = Bench::with(&TranscodeConfig { executable, ..TranscodeConfig::default() }, folder).await;
    let children = || std::fs::read_to_string(&count).unwrap_or_default().len();
    let viewer = bench.viewer();
    for publisher in 1..=2 {
        let grant = bench.publish().await;
        show(&mut bench, grant, RenditionName::High).await;
        bench.settle();
        // The second comes when the first's ladder was given up.
        bench.handle.viewer_joined(viewer);
        bench.take_news().await;
        assert_eq!(bench.jobs(), [Job::Ladder]);
        if publisher > 1 {
            bench.ladder_is(None).await;
        }
        bench.ladder_is(Some(Hindrance::GivenUp)).await;
        assert_eq!(children(), 10 * publisher);
        let notices = bench.handle.live().notices;
        assert!(notices.len() == 1 && notices[0].contains("failed too often"), "{notices:?}");
        // Viewers that go and come again change nothing.
        bench.handle.viewer_left(viewer);
        bench.take_news().await;
        assert!(bench.jobs().is_empty());
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        bench.handle.viewer_joined(viewer);
        bench.take_news().await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(bench.actor.transcoded.hindrance(Job::Ladder), Some(Hindrance::GivenUp));
        let (publisher, departure) = (grant.publisher, Departure::Lost);
        bench.actor.take(Message::Unpublish { publisher, departure }).await;
    }
}

/// Waits until `done`; a test that would wait for ever fails.
#[cfg(target_os = "linux")]
async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let seen = async {
        while !done() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), seen).await.expect(what);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_transcoder_that_never_connects_is_killed_and_counts_as_one_that_failed() {
    let folder = tempfile::tempdir().unwrap();
    let started = folder.path().join("children");
    // It does nothing, not even at the end of its input.
    let executable = script(folder.path(), &format!("echo $$ >> '{}'; exec sleep 1000", started.display()));
    let mut bench = Bench::with(&TranscodeConfig { executable, ..TranscodeConfig::default() }, folder).await;
    let children = || {
        let text = std::fs::read_to_string(&started).unwrap_or_default();
        text.lines().map(|process| std::path::Path::new("/proc").join(process)).collect::<Vec<_>>()
    };
    let grant = bench.publish().await;
    show(&mut bench, grant, RenditionName::High).await;
    bench.settle();
    let viewer = bench.viewer();
    bench.handle.viewer_joined(viewer);
    bench.take_news().await;
    assert_eq!(bench.jobs(), [Job::Ladder]);
    for child in 1..=2 {
        until("a child", || children().len() == child).await;
        assert!(children()[child - 1].exists());
        show(&mut bench, grant, RenditionName::High).await;
        bench.actor.restart_hung(Instant::now());
    }
    bench.ladder_is(Some(Hindrance::Failing)).await;
    assert!(children()[..2].iter().all(|process| !process.exists()));
}

#[tokio::test]
async fn pictures_that_no_transcoder_takes_start_none_and_the_stream_says_why() {
    let mut bench = Bench::new().await;
    let grant = bench.publish().await;
    show_with(&mut bench, grant, RenditionName::High, KEY_IN_444).await;
    bench.settle();
    let viewer = bench.viewer();
    bench.handle.viewer_joined(viewer);
    bench.take_news().await;
    bench.actor.tell();
    assert_eq!(bench.jobs(), []);
    let notices = bench.handle.live().notices;
    assert!(notices.len() == 1 && notices[0].contains("4:2:0"), "{notices:?}");
}
