//! What a publisher does not send is made by child processes, for as long as somebody plays it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use api::CreatedStream;
use media::Size;
use testkit::tickcast::Node;
use testkit::{LoggedChild, ffmpeg, soak, wait_until};
use tokio::runtime::Runtime;

use crate::broadcasts::{
    LIMIT, create, engine, info, node, rtmp_play_url, stamps, wait_for_renditions, wait_for_segment,
    whip_output,
};
use crate::viewer::Viewer;

/// How much of the test broadcast is recorded, to be published by ffmpeg.
const RECORDED: Duration = Duration::from_secs(30);
/// The offset of sound against picture that nobody notices.
const AV_OFFSET_MAX_MS: f64 = 25.0;
const SAMPLE_SECONDS: u32 = 60;
/// How often both transcoders of a stream are killed.
const KILLS: u32 = 1;
const KILLS_IN_SOAK: u32 = 4;

/// The test broadcast with burnt-in numbers, flashes and beeps, as a file.
fn recording(folder: &Path) -> PathBuf {
    let path = folder.join("recording.mp4");
    let mut engine = engine(folder, &format!("recording = {{ path = {path:?} }}"));
    let end = Instant::now() + RECORDED;
    // Not a wait for something: so much is wanted.
    wait_until("the recording's length", LIMIT, || (Instant::now() >= end).then_some(()))
        .expect("time passes");
    assert!(engine.stop().expect("the engine ends").success(), "{}", engine.log());
    path
}

/// A node with a stream that ffmpeg publishes a file to.
struct Published {
    node: Node,
    stream: CreatedStream,
    _publisher: LoggedChild,
}

fn publish(file: &Path) -> Published {
    let node = node();
    let stream = create(&node, "ffmpeg");
    let publisher = ffmpeg::publish(file, &stream.rtmp_url, 0).expect("ffmpeg publishes");
    wait_for_renditions(&node, &stream, 1);
    Published { node, stream, _publisher: publisher }
}

/// The burnt-in numbers of a file's key frames.
fn key_frames(file: &Path) -> Vec<u32> {
    let options = ["-select_streams", "v", "-show_entries", "packet=flags"];
    let probed = ffmpeg::probe(&options, &file.to_string_lossy()).expect("a file");
    let packets = probed["packets"].as_array().expect("packets");
    let is_key = |flags: &serde_json::Value| flags["flags"].as_str().is_some_and(|f| f.starts_with('K'));
    let stamped = packets.iter().zip(stamps(file));
    stamped.filter(|(packet, _)| is_key(packet)).map(|(_, stamp)| stamp.frame).collect()
}

fn runtime() -> Runtime {
    Runtime::new().expect("a runtime")
}

/// The node's transcoders, by their process ids.
fn transcoders(node: u32) -> BTreeSet<u32> {
    let parent = format!("PPid:\t{node}\n");
    let processes = std::fs::read_dir("/proc").expect("the processes").flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| {
        let read = |what: &str| std::fs::read_to_string(format!("/proc/{id}/{what}")).unwrap_or_default();
        read("status").contains(&parent) && read("cmdline").contains("--transcode")
    })
    .collect()
}

fn send(process: u32, signal: &str) {
    let sent = std::process::Command::new("kill").args(["-s", signal, &process.to_string()]).status();
    assert!(sent.expect("kill runs").success(), "{process} has gone");
}

fn wait_for_transcoders(node: &Node, what: &str, enough: impl Fn(&BTreeSet<u32>) -> bool) -> BTreeSet<u32> {
    let found = wait_until(what, LIMIT, || Some(transcoders(node.id())).filter(&enough));
    found.unwrap_or_else(|err| panic!("{err}: {:?}\nthe node: {}", transcoders(node.id()), node.log()))
}

#[test]
fn viewers_of_an_rtmp_stream_get_a_ladder_and_sound_that_is_with_the_picture() {
    let folder = tempfile::tempdir().expect("a folder");
    let published = publish(&recording(folder.path()));
    let (node, stream) = (&published.node, &published.stream);
    assert_eq!(info(node, stream).renditions.len(), 1);
    runtime().block_on(async {
        let mut first = Viewer::join(stream);
        let watched = first.watch(|received| received.av_offsets_ms().len() >= 5).await;
        let (pictures, sounds) = (first.received.pictures.len(), first.received.sounds);
        assert!(watched, "{pictures} pictures, {sounds} sounds\n{}", node.log());
        let mut offsets = first.received.av_offsets_ms();
        println!("sound against picture: {offsets:?} ms");
        println!("beeps: {:?}", first.received.beeps);
        // The median: a machine that is too busy to record loses single flashes and beeps.
        offsets.sort_by(f64::total_cmp);
        let median = offsets[offsets.len() / 2];
        assert!(median.abs() <= AV_OFFSET_MAX_MS, "{offsets:?}");
        // The first took what there was; a second begins in the middle of the ladder that is there now.
        let shown = wait_for_renditions(node, stream, 4);
        let names: Vec<_> = shown.renditions.iter().map(|rendition| rendition.name.as_str()).collect();
        assert_eq!(names, ["very_low", "low", "medium", "high"], "{shown:?}");
        let mut second = Viewer::join(stream);
        assert!(second.watch(|received| received.pictures.len() >= 30).await, "{}", node.log());
        // Which is the first's depends on what was there when it came; the second is not given the best at once.
        let size = |viewer: &Viewer| viewer.received.pictures[0].size;
        println!("the first began with {}, the second with {}", size(&first), size(&second));
        assert_eq!(size(&second), Size::new(426, 240));
        first.leave().await;
        second.leave().await;
    });
}

#[test]
fn a_tone_that_comes_as_aac_is_heard_as_opus() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sample.mp4");
    ffmpeg::sample(&file, SAMPLE_SECONDS).expect("a sample");
    let published = publish(&file);
    runtime().block_on(async {
        let mut viewer = Viewer::join(&published.stream);
        let heard = viewer.watch(|received| received.samples.len() >= 2 * 48_000).await;
        assert!(heard, "{} packets\n{}", viewer.received.sounds, published.node.log());
        let share = viewer.received.tone(440.0);
        println!("{share:.3} of the sound's power is at 440 Hz");
        assert!(share > 0.9, "{share}");
        viewer.leave().await;
    });
}

#[test]
fn pictures_that_come_out_of_order_are_seen_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let plain = recording(folder.path());
    let file = folder.path().join("reordered.mp4");
    let coding = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "60"];
    let arguments = ["-i".as_ref(), plain.as_os_str()].into_iter().chain(coding.map(AsRef::as_ref));
    // Each picture once: a busy machine leaves some out, and ffmpeg would show others twice.
    let arguments = arguments.chain(["-vsync", "passthrough", "-c:a", "copy"].map(AsRef::as_ref));
    ffmpeg::run(arguments.chain([file.as_os_str()])).expect("ffmpeg encodes");
    let probed = ffmpeg::probe(&[], &file.to_string_lossy()).expect("a file");
    assert!(ffmpeg::stream(&probed, "video")["has_b_frames"].as_u64() > Some(0), "{probed}");

    let published = publish(&file);
    runtime().block_on(async {
        let mut viewer = Viewer::join(&published.stream);
        let enough =
            |count: usize| move |received: &crate::viewer::Received| received.numbers().len() >= count;
        let watched = viewer.watch(enough(90)).await;
        assert!(watched, "{} pictures\n{}", viewer.received.pictures.len(), published.node.log());
        let pictures = viewer.received.pictures.iter();
        let numbers: Vec<_> =
            pictures.filter_map(|seen| Some((seen.stamp?.frame, seen.size.height))).collect();
        // A layer begins with its key frame, though another layer showed that picture already.
        let follows = |before: (u32, u32), after: (u32, u32)| {
            before.0 < after.0 || (before.0 == after.0 && before.1 != after.1)
        };
        assert!(numbers.windows(2).all(|pair| follows(pair[0], pair[1])), "{numbers:?}");
        viewer.leave().await;
    });
}

#[test]
fn viewers_begin_between_key_frames_that_are_ten_seconds_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let plain = recording(folder.path());
    let file = folder.path().join("sparse.mp4");
    let coding = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-g", "300", "-keyint_min", "300"];
    let rest = ["-sc_threshold", "0", "-vsync", "passthrough", "-c:a", "copy"];
    let arguments = ["-i".as_ref(), plain.as_os_str()].into_iter().chain(coding.map(AsRef::as_ref));
    ffmpeg::run(arguments.chain(rest.map(AsRef::as_ref)).chain([file.as_os_str()])).expect("ffmpeg encodes");
    let keys = key_frames(&file);
    let published = publish(&file);
    runtime().block_on(async {
        // The first has the transcoder made; whoever comes then gets a key frame when it asks for one.
        let mut first = Viewer::join(&published.stream);
        assert!(first.watch(|received| received.pictures.len() >= 150).await, "{}", published.node.log());
        wait_for_renditions(&published.node, &published.stream, 4);
        let mut began_at = Vec::new();
        for _ in 0..3 {
            let mut viewer = Viewer::join(&published.stream);
            assert!(viewer.watch(|received| received.pictures.len() >= 2).await, "{}", published.node.log());
            assert_eq!(viewer.received.pictures[0].size.width, 426);
            began_at.push(viewer.received.numbers()[0]);
            viewer.leave().await;
        }
        first.leave().await;
        println!("the source's key frames are {keys:?}, viewers began at {began_at:?}");
        // Two of three may have begun at key frames of the source by chance.
        assert!(began_at.iter().any(|number| !keys.contains(number)), "{began_at:?} of {keys:?}");
        let between = |number: &u32| keys.iter().filter(|key| *key <= number).count();
        let gops: BTreeSet<_> = began_at.iter().map(between).collect();
        assert!(gops.len() < began_at.len(), "{began_at:?} waited for {keys:?}");
    });
}

#[test]
fn what_the_studio_publishes_by_whip_plays_by_hls_with_aac() {
    let (node, folder) = (node(), tempfile::tempdir().expect("a folder"));
    let stream = create(&node, "Studio");
    let mut engine = engine(folder.path(), &whip_output(&stream));
    wait_for_renditions(&node, &stream, 2);
    let path = format!("/live/{}.m3u8", stream.playback_id);
    let master =
        wait_until("the playlist", LIMIT, || node.get(&path).ok().filter(|answer| answer.status == 200));
    let master = master.unwrap_or_else(|err| panic!("{err}\n{}", node.log())).text();
    // The first that is given is whole already.
    assert_eq!(master.matches("#EXT-X-STREAM-INF").count(), 2, "{master}");
    assert_eq!(master.matches("mp4a.40.2").count(), 2, "{master}");
    assert!(master.contains("TYPE=AUDIO") && !master.contains("opus"), "{master}");
    wait_for_segment(&node, &stream, "medium");
    wait_for_segment(&node, &stream, "audio");
    let read = ffmpeg::decode(&[], &stream.hls_url, Some(6)).expect("it plays by HLS");
    assert!(read.pictures.len() >= 115, "{} pictures", read.pictures.len());
    assert!(read.samples >= 48_000 * 4, "{} samples", read.samples);
    let probed = ffmpeg::probe(&["-read_intervals", "%+2"], &stream.hls_url).expect("ffprobe accepts it");
    assert_eq!(ffmpeg::stream(&probed, "audio")["codec_name"], "aac");
    assert_eq!(transcoders(node.id()).len(), 1, "{}", node.log());
    assert!(engine.stop().expect("the engine ends").success(), "{}", engine.log());
}

/// A viewer that gets what a ladder's transcoder and a sound's make, and these two.
async fn watch_what_two_make(published: &Published) -> (Viewer, BTreeSet<u32>) {
    let (node, stream) = (&published.node, &published.stream);
    let mut viewer = Viewer::join(stream);
    assert!(viewer.watch(|received| received.sounds > 0).await, "{}", node.log());
    wait_for_renditions(node, stream, 4);
    (viewer, wait_for_transcoders(node, "two transcoders", |ids| ids.len() == 2))
}

/// Sends both transcoders `signal`, and waits until two others do their work for the viewer.
async fn wait_for_two_others(
    published: &Published,
    viewer: &mut Viewer,
    before: &BTreeSet<u32>,
    signal: &str,
) -> BTreeSet<u32> {
    let (node, stream) = (&published.node, &published.stream);
    for id in before {
        send(*id, signal);
    }
    let others = |ids: &BTreeSet<u32>| ids.len() == 2 && ids.is_disjoint(before);
    let others = wait_for_transcoders(node, "two others", others);
    let sounds = viewer.received.sounds;
    assert!(viewer.watch(|received| received.sounds >= sounds + 100).await, "{}", node.log());
    wait_for_renditions(node, stream, 4);
    others
}

#[test]
fn a_transcoder_that_is_killed_costs_the_others_nothing_and_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sample.mp4");
    let (kills, read_seconds) = (soak(KILLS, KILLS_IN_SOAK), soak(8, 60));
    ffmpeg::sample(&file, SAMPLE_SECONDS * kills).expect("a sample");
    let source = ffmpeg::decode(&[], &file.to_string_lossy(), None).expect("the sample decodes");
    let published = publish(&file);
    let (node, stream) = (&published.node, &published.stream);
    runtime().block_on(async {
        let (mut viewer, mut before) = watch_what_two_make(&published).await;
        let url = rtmp_play_url(node, stream);
        let reader = std::thread::spawn(move || {
            let read = ffmpeg::decode(&["-rw_timeout", "30000000"], &url, Some(read_seconds));
            read.expect("it plays by RTMP")
        });
        for _ in 0..kills {
            // Both are killed, at once and as a crash would.
            before = wait_for_two_others(&published, &mut viewer, &before, "KILL").await;
        }
        let read = reader.join().expect("the reader");
        assert!(read.is_run_of(&source), "{} pictures are no run of the source's", read.pictures.len());
        viewer.leave().await;
    });
}

#[test]
fn a_transcoder_that_hangs_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sample.mp4");
    ffmpeg::sample(&file, SAMPLE_SECONDS).expect("a sample");
    let published = publish(&file);
    runtime().block_on(async {
        let (mut viewer, before) = watch_what_two_make(&published).await;
        wait_for_two_others(&published, &mut viewer, &before, "STOP").await;
        viewer.leave().await;
    });
}

#[test]
fn transcoders_run_while_somebody_watches_and_end_with_the_node() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sample.mp4");
    ffmpeg::sample(&file, SAMPLE_SECONDS).expect("a sample");
    let mut published = publish(&file);
    let stream = published.stream.clone();
    wait_for_segment_of_source(&published);
    assert_eq!(transcoders(published.node.id()), BTreeSet::new(), "nobody watches");
    let runtime = runtime();
    runtime.block_on(async {
        let mut viewer = Viewer::join(&stream);
        assert!(viewer.watch(|received| received.sounds > 0).await, "{}", published.node.log());
        wait_for_transcoders(&published.node, "two transcoders", |ids| ids.len() == 2);
        viewer.leave().await;
        wait_for_transcoders(&published.node, "the transcoders' end", BTreeSet::is_empty);
        assert_eq!(info(&published.node, &stream).renditions.len(), 1);
        // Once more, and now the node is what goes.
        let mut viewer = Viewer::join(&stream);
        assert!(viewer.watch(|received| received.sounds > 0).await, "{}", published.node.log());
        let last = wait_for_transcoders(&published.node, "two transcoders", |ids| ids.len() == 2);
        published.node.kill();
        let gone = wait_until("the children's end", LIMIT, || {
            let running = |id: &u32| Path::new(&format!("/proc/{id}/exe")).read_link().is_ok();
            (!last.iter().any(running)).then_some(())
        });
        gone.expect("a killed node's children end");
    });
}

/// Waits until some seconds were published, without asking for LL-HLS: that would be watching.
fn wait_for_segment_of_source(published: &Published) {
    let known = wait_until("a bitrate", LIMIT, || {
        let shown = info(&published.node, &published.stream);
        shown.renditions.first().filter(|rendition| rendition.kbps > 100.0).map(|_| ())
    });
    known.unwrap_or_else(|err| panic!("{err}\n{}", published.node.log()));
    let end = Instant::now() + Duration::from_secs(4);
    // Not a wait for something: that nothing happens meanwhile is what is tried.
    wait_until("seconds of nobody", LIMIT, || (Instant::now() >= end).then_some(())).expect("time passes");
}
