//! `tickcast demo`: the whole path at once, and a report that is complete and true.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use testkit::{LoggedChild, ffmpeg, soak};

/// What the demo's own broadcast file says.
const PRESET: &str = "galaxy";
const SEED: u64 = 20_261;
const PARTICLES: u32 = 500_000;
/// The step whose state the report holds as a hash.
const HASHED_STEP: u64 = 600;
/// Long enough for that step at 60 steps a second.
const SECONDS: u32 = 12;
const SECONDS_IN_SOAK: u32 = 600;
/// From its end on: it starts, and comes to its end.
const LIMIT: Duration = Duration::from_secs(140);

/// Every field that others read; extended, never renamed.
const FIELDS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "seconds",
            "version",
            "machine",
            "simulation",
            "programme",
            "renditions",
            "outputs",
            "viewers",
            "recording",
            "payment",
            "resources",
            "shortfalls",
        ],
    ),
    ("/machine", &["cpu", "cores", "gpu"]),
    (
        "/simulation",
        &["backend", "particles", "steps", "steps_per_second", "step_ms_p50", "hash_at_step_600", "replay"],
    ),
    ("/programme", &["width", "height", "fps", "frames", "dropped"]),
    (
        "/renditions/0",
        &["name", "width", "height", "target_kbps", "kbps", "frames", "dropped", "encode_ms_p50"],
    ),
    ("/outputs/0", &["kind", "url", "state", "reconnects", "bytes", "rtt_ms", "loss"]),
    (
        "/viewers/0",
        &["transport", "first_frame_ms", "decoded_fps", "frozen_ms", "delay_ms", "av_offset_ms", "rendition"],
    ),
    ("/viewers/0/delay_ms", &["p50", "p95"]),
    ("/recording", &["path", "seconds", "tracks"]),
    (
        "/payment",
        &[
            "ticks",
            "delivered_seconds",
            "unplayed",
            "price",
            "viewer_total",
            "ledger_total",
            "chain_total",
            "settlements",
        ],
    ),
    ("/resources/0", &["process", "cpu_seconds", "peak_rss_mib"]),
];

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

fn real(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn the_demo_ends_well_and_its_report_is_complete_and_true() {
    let data = tempfile::tempdir().expect("a folder");
    let path = data.path().join("report.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickcast"));
    let seconds = soak(SECONDS, SECONDS_IN_SOAK);
    command
        .args(["demo", "--seconds", &seconds.to_string(), "--report"])
        .arg(&path)
        .arg("--data")
        .arg(data.path());
    let mut demo = LoggedChild::spawn("the demo", &mut command).expect("the demo starts");
    let status = demo.wait(LIMIT + Duration::from_secs(seconds.into())).expect("the demo ends");
    assert!(status.success(), "{}\n{}", demo.output().join("\n"), demo.errors());
    let text = std::fs::read_to_string(&path).expect("a report");
    println!("{text}");
    let report: Value = serde_json::from_str(&text).expect("the report is JSON");

    complete(&report);
    simulation(&report["simulation"]);
    renditions(&report);
    outputs(&report["outputs"]);
    viewer(&report["viewers"][0]);
    recording(&report);
    payment(&report["payment"]);
    assert!(!text.contains("live/"), "an address with a stream key is in the report");
}

fn complete(report: &Value) {
    for (place, fields) in FIELDS {
        let object = report.pointer(place).and_then(Value::as_object);
        let object = object.unwrap_or_else(|| panic!("the report has nothing at \"{place}\""));
        for field in *fields {
            assert!(object.contains_key(*field), "the report lacks {field} at \"{place}\"");
        }
    }
    let short = report["shortfalls"].as_array().expect("a list");
    assert!(short.iter().all(|sentence| sentence.as_str().is_some_and(|s| s.ends_with('.'))), "{short:?}");
    assert!(real(&report["seconds"]) >= f64::from(soak(SECONDS, SECONDS_IN_SOAK)));
}

fn simulation(simulation: &Value) {
    let steps = count(&simulation["steps"]);
    assert!(steps > 0);
    assert_eq!(simulation["preset"], PRESET);
    let hash = &simulation["hash_at_step_600"];
    if steps < HASHED_STEP {
        assert!(hash.is_null(), "a hash of a step that was not taken: {hash}");
        return;
    }
    assert!(count(&simulation["particles"]) <= u64::from(PARTICLES));
    // A machine that is too slow for real time sheds particles, which changes the state. Each time stands in the log,
    // so a twin that obeys it comes to the same state.
    let replay = &simulation["replay"];
    assert_eq!(count(&replay["step"]), HASHED_STEP);
    let commands: Vec<sim::Command> =
        serde_json::from_value(replay["commands"].clone()).expect("the commands before it");
    assert_eq!(hash.is_null(), !commands.is_empty(), "it is the seed's alone where nothing acted");
    let config = sim::SimConfig {
        seed: SEED,
        count: PARTICLES,
        preset: sim::Preset::from_name(PRESET).expect("a preset"),
        ..sim::SimConfig::default()
    };
    let mut twin = sim::Simulation::new(config).expect("a simulation");
    let mut log = sim::CommandLog::new();
    commands.into_iter().for_each(|command| log.push(command).expect("in order"));
    twin.set_log(log).expect("before the first step");
    twin.advance_to(HASHED_STEP).expect("it steps");
    let expected = twin.hash_hex().expect("a hash");
    assert_eq!(expected.len(), 64);
    assert_eq!(replay["hash"], expected.as_str());
    assert!(hash.is_null() || *hash == expected.as_str());
}

fn renditions(report: &Value) {
    let renditions = report["renditions"].as_array().expect("a list");
    let shown: Vec<_> = renditions
        .iter()
        .map(|r| {
            (
                r["name"].as_str().unwrap_or_default(),
                count(&r["width"]),
                count(&r["height"]),
                count(&r["target_kbps"]),
            )
        })
        .collect();
    let ladder = [
        ("very_low", 320, 180, 500),
        ("low", 640, 360, 1000),
        ("medium", 854, 480, 2000),
        ("high", 1280, 720, 4000),
    ];
    assert_eq!(shown, ladder);
    let programme = &report["programme"];
    assert_eq!((count(&programme["width"]), count(&programme["height"])), (1280, 720));
    for rendition in renditions {
        // Every composed picture was encoded or counted as dropped; the two counts are not read at one moment.
        let told = count(&rendition["frames"]) + count(&rendition["dropped"]);
        assert!(count(&rendition["frames"]) > 0, "{rendition}");
        assert!(count(&programme["frames"]).abs_diff(told) <= 30, "{rendition} of {programme}");
    }
}

fn outputs(outputs: &Value) {
    let kinds: Vec<_> = outputs.as_array().expect("a list").iter().map(|output| &output["kind"]).collect();
    assert_eq!(kinds, ["whip", "rtmp"]);
    for output in outputs.as_array().into_iter().flatten() {
        assert_eq!(output["state"], "up", "{output}");
        assert!(count(&output["bytes"]) > 0, "{output}");
    }
}

fn viewer(viewer: &Value) {
    assert_eq!(viewer["transport"], "webrtc");
    assert!(count(&viewer["frames_decoded"]) > 0, "{viewer}");
    assert!(real(&viewer["decoded_fps"]) > 0.0);
    let (p50, p95) = (real(&viewer["delay_ms"]["p50"]), real(&viewer["delay_ms"]["p95"]));
    assert!(0.0 < p50 && p50 <= p95, "{viewer}");
    assert!(
        ["very_low", "low", "medium", "high"].contains(&viewer["rendition"].as_str().unwrap_or_default())
    );
}

/// The three books agree to the unit, and the seconds in them are those that were shown.
fn payment(payment: &Value) {
    let amount = |name: &str| -> u128 {
        let text = payment[name].as_str().unwrap_or_else(|| panic!("{name} of {payment} is no text"));
        text.parse().unwrap_or_else(|_| panic!("{name} of {payment} is no amount"))
    };
    let (ticks, unplayed) = (count(&payment["ticks"]), count(&payment["unplayed"]));
    let total = u128::from(ticks) * amount("price");
    assert!(total > 0, "{payment}");
    assert_eq!(["viewer_total", "ledger_total", "chain_total"].map(amount), [total; 3], "{payment}");
    assert!(
        count(&payment["settlements"]) > 0 && payment["findings"] == Value::Array(Vec::new()),
        "{payment}"
    );
    // Counted by pictures, of which a busy machine leaves out some. One second is paid in advance; the first that is
    // shown in part may be, too.
    let (shown, slack) = (real(&payment["delivered_seconds"]), 1.0);
    let paid = ticks as f64;
    assert!(paid >= shown - slack, "more was shown than paid: {payment}");
    assert!(paid <= shown * 1.1 + 1.0 + unplayed as f64 + slack, "more was paid than shown: {payment}");
}

/// What ffprobe says of the file, beside what the report says of it.
fn recording(report: &Value) {
    let told = &report["recording"];
    assert_eq!(count(&told["tracks"]), 2);
    let path = told["path"].as_str().expect("a path");
    assert!(Path::new(path).is_file());
    let probed = ffmpeg::probe(&[], path).expect("ffprobe accepts the recording");
    let (video, audio) = (ffmpeg::stream(&probed, "video"), ffmpeg::stream(&probed, "audio"));
    assert_eq!((&video["codec_name"], &audio["codec_name"]), (&"h264".into(), &"aac".into()));
    assert_eq!((count(&video["width"]), count(&video["height"])), (1280, 720));
    let seconds: f64 =
        probed["format"]["duration"].as_str().and_then(|text| text.parse().ok()).expect("a duration");
    assert!((real(&told["seconds"]) - seconds).abs() <= 0.2, "{told} and {seconds} s by ffprobe");
    // The best rendition is what is recorded: the file's own bitrate is the one that is told.
    let kbps: f64 = video["bit_rate"].as_str().and_then(|text| text.parse().ok()).expect("a bitrate");
    let best = report["renditions"].as_array().and_then(|list| list.last()).expect("a rendition");
    let ratio = real(&best["kbps"]) * 1e3 / kbps;
    assert!((0.9..1.1).contains(&ratio), "{best}, and {kbps} bit/s by ffprobe");
    // No more pictures than its frame rate allows, and all that the best rendition had encoded since the
    // recording's first key frame; the last snapshot is older than the last pictures.
    let packets = ffmpeg::packets(&probed, "video");
    assert!(packets as f64 <= seconds * 30.0 + 1.5, "{packets} pictures in {seconds} s");
    assert!(packets.abs_diff(count(&best["frames"])) <= 15, "{packets} recorded of {best}");
}

#[test]
fn a_demo_whose_recording_is_cut_short_fails_and_says_why() {
    let data = tempfile::tempdir().expect("a folder");
    // No file may be longer than 1 MiB: the system refuses more as it does on a full disk.
    let script = "ulimit -f 1024; exec \"$0\" demo --free --seconds 8 --data \"$1\"";
    let mut command = Command::new("bash");
    command.args(["-c", script, env!("CARGO_BIN_EXE_tickcast")]).arg(data.path());
    let mut demo = LoggedChild::spawn("the demo", &mut command).expect("it starts");
    let status = demo.wait(LIMIT).expect("it ends");
    let said = demo.errors();
    assert!(!status.success() && said.contains("the recording was cut short: "), "{said}");
}

#[test]
fn a_demo_without_a_folder_leaves_its_recording_alone_until_the_next_one() {
    let temporary = tempfile::tempdir().expect("a folder");
    let run = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickcast"));
        command.args(["demo", "--free", "--seconds", "3"]).env("TMPDIR", temporary.path());
        let mut demo = LoggedChild::spawn("the demo", &mut command).expect("it starts");
        let status = demo.wait(LIMIT).expect("it ends");
        assert!(status.success(), "{}", demo.errors());
        let said =
            demo.output().iter().find_map(|line| line.trim().strip_prefix("recording ").map(str::to_owned));
        said.unwrap_or_else(|| panic!("it does not say where it recorded: {:?}", demo.output()))
    };
    let left = || {
        let all = walk(temporary.path());
        all.into_iter().filter(|path| path.is_file()).collect::<Vec<_>>()
    };
    let first = run();
    assert_eq!(left(), [Path::new(&first)]);
    let second = run();
    assert_eq!(left(), [Path::new(&second)]);
    assert_eq!(std::fs::read_dir(temporary.path()).expect("it is read").count(), 1);
}

/// Everything under a folder.
fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.flat_map(|entry| [vec![entry.path()], walk(&entry.path())].concat()).collect()
}
