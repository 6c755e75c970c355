//! What leaves the studio begins and ends while the programme goes on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rtc::{Network, SignallingError};
use testkit::{RtmpServer, wait_until};
use tickcast_studio as studio;
use tickcast_studio::snapshot::OnAir;
use tickcast_studio::{BroadcastFile, Command, Engine, EngineError, Graphics, SignallingFactory};
use tokio::runtime::Runtime;

const LIMIT: Duration = Duration::from_secs(60);

/// A small programme with an output to a server that nobody runs.
const FILE: &str = r#"
version = 1
programme = { width = 320, height = 180 }
sources = [{ kind = "synthetic", name = "pattern" }]
sounds = [{ kind = "synthetic", name = "beep", gain_db = -6.0 }]
layers = [{ source = "pattern" }]
ladder = [{ name = "low", width = 320, height = 180, kbps = 300 }]
outputs = [{ kind = "rtmp", url = "rtmp://127.0.0.1:9/live/secret" }]
"#;

fn open(runtime: &Runtime) -> Engine {
    open_file(runtime, FILE)
}

fn open_file(runtime: &Runtime, file: &str) -> Engine {
    let file = BroadcastFile::parse(file).expect("a broadcast file");
    let none: SignallingFactory = Arc::new(|_, _| Err(SignallingError::BadAnswer("no WHIP here".into())));
    let engine = Engine::open(&file, &Graphics::default(), Network::Loopback, &none, runtime.handle());
    engine.expect("the engine opens")
}

fn until<T>(engine: &Engine, what: &str, condition: impl Fn(&studio::Snapshot) -> Option<T>) -> T {
    wait_until(what, LIMIT, || condition(&engine.snapshot()))
        .unwrap_or_else(|err| panic!("{err}: {:?}", engine.snapshot()))
}

#[test]
fn a_broadcast_begins_and_ends_while_the_programme_goes_on() {
    let runtime = Runtime::new().unwrap();
    let engine = open(&runtime);
    let first = until(&engine, "a first picture", |s| (s.programme.frames > 0).then(|| s.clone()));
    assert_eq!((first.on_air, first.live_seconds), (OnAir::Preview, None));
    assert_eq!(first.outputs[0].state, "idle");
    assert!(!first.outputs[0].url.contains("secret"));

    engine.go_live().unwrap();
    let lost = until(&engine, "the output's failure", |s| (s.outputs[0].state == "lost").then(|| s.clone()));
    assert_eq!(lost.on_air, OnAir::Live);
    assert!(lost.outputs[0].message.is_some() && lost.live_seconds.is_some());

    engine.end_live();
    let after = until(&engine, "the end", |s| (s.on_air == OnAir::Preview).then(|| s.clone()));
    assert_eq!(after.outputs[0].state, "idle");
    until(&engine, "more pictures", |s| (s.programme.frames > after.programme.frames + 5).then_some(()));
    engine.go_live().unwrap();
    assert_eq!(engine.snapshot().on_air, OnAir::Live);
    runtime.block_on(engine.stop());
}

#[test]
fn one_output_is_stopped_and_started_again_while_the_other_goes_on() {
    let server = RtmpServer::start().unwrap();
    let [one, other] = ["one", "other"].map(|name| server.url(name));
    let outputs = format!(r#"[{{ kind = "rtmp", url = "{one}" }}, {{ kind = "rtmp", url = "{other}" }}]"#);
    let (before, _) = FILE.split_once("outputs = ").unwrap();
    let runtime = Runtime::new().unwrap();
    let engine = open_file(&runtime, &format!("{before}outputs = {outputs}"));
    let state = |at: usize, wanted: &str| {
        until(&engine, wanted, |s| (s.outputs[at].state == wanted).then(|| s.outputs[at].clone()))
    };
    let sends = |at: usize| {
        let then = engine.snapshot().outputs[at].bytes;
        until(&engine, "more of it", |s| (s.outputs[at].bytes > then).then_some(()));
    };
    engine.stop_output(0);
    engine.start_output(0).unwrap();
    assert_eq!(engine.snapshot().on_air, OnAir::Preview, "neither means anything before it is live");
    engine.go_live().unwrap();
    state(0, "up");
    state(1, "up");
    engine.stop_output(0);
    let stopped = state(0, "stopped");
    assert!(stopped.bytes > 0, "what it sent is told still");
    engine.stop_output(0);
    sends(1);
    assert_eq!(engine.snapshot().outputs[0].state, "stopped");
    engine.start_output(0).unwrap();
    engine.start_output(7).unwrap();
    state(0, "up");
    sends(0);
    // More than sound makes in the time: there are pictures among it.
    until(&engine, "pictures", |s| (s.outputs[1].bytes > 60_000).then_some(()));
    engine.stop_output(1);
    state(1, "stopped");
    assert_eq!(engine.snapshot().outputs[1].reconnects, 0);
    engine.end_live();
    until(&engine, "the end", |s| (s.on_air == OnAir::Preview).then_some(()));
    let last = runtime.block_on(engine.stop());
    assert!(last.outputs.iter().all(|output| output.state == "idle"), "{:?}", last.outputs);
    // What nginx took of the one that went on.
    assert_eq!(probe(&server.recording("other")).1, 2);
}

#[test]
fn two_recordings_of_one_programme_are_each_whole() {
    let runtime = Runtime::new().unwrap();
    let engine = open(&runtime);
    let folder = tempfile::tempdir().unwrap();
    let record = |name: &str| {
        let path = folder.path().join(name);
        engine.start_recording(&path).unwrap();
        until(&engine, "a fragment", |s| s.recording.as_ref().filter(|r| r.bytes > 20_000).map(|_| ()));
        engine.end_recording();
        until(&engine, "a whole file", |s| {
            s.recording.as_ref().filter(|r| r.state == "finished").map(|_| ())
        });
        path
    };
    let (first, second) = (record("first.mp4"), record("second.mp4"));
    assert!(engine.failures().is_empty(), "{:?}", engine.failures());
    runtime.block_on(engine.stop());
    for path in [first, second] {
        let (seconds, tracks) = probe(&path);
        assert!((0.2..30.0).contains(&seconds), "{}: {seconds} s", path.display());
        assert_eq!(tracks, 2);
    }
}

/// Length in seconds and number of tracks.
fn probe(path: &Path) -> (f64, usize) {
    let reader = codec::FileReader::open(path, codec::FileOptions::default());
    let reader = reader.expect("a file that can be read");
    let info = reader.info();
    let seconds = info.duration.map_or(0.0, |duration| duration.as_secs_f64());
    (seconds, usize::from(info.video.is_some()) + usize::from(info.sound.is_some()))
}

#[test]
fn levels_and_faders_are_those_of_each_source() {
    let runtime = Runtime::new().unwrap();
    let engine = open(&runtime);
    // The synthetic source beeps once a second.
    let heard = |s: &studio::Snapshot| s.sound.sources.first()?.level.peak_dbfs[0];
    until(&engine, "a beep", heard);
    let muted = Command::MuteSource { name: "beep".into(), muted: true };
    assert!(engine.command(muted));
    until(&engine, "the mute", |s| s.sound.sources[0].muted.then_some(()));
    assert!(engine.command(Command::Gain { name: "beep".into(), gain_db: -20.0 }));
    until(&engine, "the gain", |s| (s.sound.sources[0].gain_db == -20.0).then_some(()));
    // The gain is faded in, and figures are of the blocks before them.
    let then = engine.snapshot().sound.blocks;
    until(&engine, "a tenth of a second more", |s| (s.sound.blocks > then + 10).then_some(()));
    // A muted source is metered still, at its gain; the programme is silent.
    let level = until(&engine, "a beep that is metered", heard);
    assert!(level < -19.0, "{level}");
    until(&engine, "a silent programme", |s| {
        s.sound.level.peak_dbfs.iter().all(Option::is_none).then_some(())
    });
    assert!(!engine.command(Command::MuteSource { name: "drum".into(), muted: true }));
    assert!(!engine.command(Command::Gain { name: "beep".into(), gain_db: f32::NAN }));
    runtime.block_on(engine.stop());
}

#[test]
fn dropping_an_engine_that_records_ends_it() {
    let runtime = Runtime::new().unwrap();
    let engine = open(&runtime);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("show.mp4");
    engine.start_recording(&path).unwrap();
    until(&engine, "a fragment", |s| s.recording.as_ref().filter(|r| r.bytes > 20_000).map(|_| ()));
    drop(engine);
    assert_eq!(probe(&path).1, 2);
}

#[test]
fn a_recording_that_has_no_place_is_refused_and_the_programme_goes_on() {
    let runtime = Runtime::new().unwrap();
    let engine = open(&runtime);
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for place in [Path::new("/dev/null/show.mp4"), &pipe] {
        let refused = engine.start_recording(place);
        assert!(matches!(refused, Err(EngineError::Recording(_))), "{refused:?}");
    }
    until(&engine, "a picture", |s| (s.programme.frames > 0).then_some(()));
    runtime.block_on(engine.stop());
}

#[test]
fn after_a_recording_failed_another_can_be_made() {
    let runtime = Runtime::new().expect("a runtime");
    let engine = open(&runtime);
    let folder = tempfile::tempdir().expect("a folder");
    // Every write to it fails as on a full disk.
    engine.start_recording(Path::new("/dev/full")).expect("it can be opened");
    let state = |wanted| {
        move |snapshot: &studio::Snapshot| {
            snapshot.recording.as_ref().filter(|told| told.state == wanted).map(|_| ())
        }
    };
    until(&engine, "the failure", state("failed"));
    assert!(engine.failures().is_empty(), "the programme goes on");
    let path = folder.path().join("second.mp4");
    engine.start_recording(&path).expect("a second one");
    until(&engine, "a second recording", |snapshot| {
        snapshot.recording.as_ref().filter(|told| told.state == "recording" && told.bytes > 0).map(|_| ())
    });
    runtime.block_on(engine.stop());
    assert!(probe(&path).0 > 0.0, "it holds pictures");
}
