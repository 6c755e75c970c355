//! How every panel looks.

use snapshots::Looks;
use studio::snapshot::Snapshot;
use studio::{BroadcastFile, Collection, DeviceKind, Devices, FoundDevice};

use widgets::egui::{Rect, Vec2, pos2};

use super::*;
use crate::autosave::Saving;
use crate::view::Looked;

const SIZE: Vec2 = vec2(1120.0, 680.0);

/// Where the panels are in it; without the notice the middle ones begin higher.
const STRIP: Rect = part(8.0, 8.0, 1112.0, 97.0);
const LEFT: Rect = part(8.0, 97.0, 228.0, 508.0);
const MIDDLE: Rect = part(228.0, 97.0, 840.0, 508.0);
const RIGHT: Rect = part(840.0, 97.0, 1112.0, 508.0);
const BOTTOM: Rect = part(8.0, 508.0, 1112.0, 672.0);
/// What is asked stands here.
const CARD: Rect = part(340.0, 120.0, 780.0, 560.0);

const fn part(left: f32, top: f32, right: f32, bottom: f32) -> Rect {
    Rect { min: pos2(left, top), max: pos2(right, bottom) }
}

const FILE: &str = r##"
version = 2
sources = [
    { kind = "camera", name = "Camera" },
    { kind = "screen", name = "The screen on the left, with a rather long name" },
    { kind = "simulation", name = "Particles", preset = "galaxy" },
]
[[scenes]]
name = "Main"
[[scenes.layers]]
source = "Particles"
[[scenes.layers]]
source = "The screen on the left, with a rather long name"
visible = false
[[scenes.layers]]
source = "Camera"
position = [840.0, 420.0]
size = [400.0, 240.0]
locked = true
[[scenes]]
name = "Break"
[[scenes]]
name = "An interval with a rather long name"
"##;

fn show() -> View {
    let collection = Collection::of(&BroadcastFile::parse(FILE).expect("a broadcast file"));
    let mut view = View {
        title: "An evening with particles".into(),
        editing: Some((0, collection)),
        saving: Saving::Saved,
        ..live()
    };
    view.watch_url = Some("http://127.0.0.1:8080/watch/4k2m9s7d1x".into());
    let earned = Some(Earned { a_second: Some("0.42 DEV".into()), total: "51.2 DEV".into() });
    view.heard = Heard { audience: Some(Audience { viewers: 128, earned }), ..Heard::default() };
    let Snapshot { sound, outputs, .. } = &mut view.snapshot;
    let level = LevelFigures { peak_dbfs: [Some(-0.1), Some(-3.0)], rms_dbfs: [Some(-6.0); 2] };
    let (name, muted) = ("The guests at the long table".to_owned(), true);
    sound.sources.push(SoundSourceFigures { name, level, muted, ..Default::default() });
    outputs[0].rtt_ms = Some(31.4);
    let message = Some("the server closed the connection".to_owned());
    let url = "whip://media.example.org/whip/a-rather-long-path-to-a-stream".to_owned();
    outputs.push(OutputFigures {
        kind: "whip",
        url,
        state: "lost",
        reconnects: 3,
        message,
        ..Default::default()
    });
    view
}

fn asking(found: Vec<String>) -> View {
    View { found: Some((0, found)), ..preview() }
}

#[test]
fn a_broadcast_with_all_that_it_may_have() {
    let parts = [
        ("stage-strip", STRIP),
        ("stage-scenes-and-sources", LEFT),
        ("stage-preview", MIDDLE),
        ("stage-particles", RIGHT),
        ("stage-mixer-and-outputs", BOTTOM),
    ];
    Looks::default().compare(&parts, SIZE, |builder| window_by(builder, show()));
}

#[test]
fn what_is_selected_and_its_properties() {
    let parts = [("stage-selected", MIDDLE), ("stage-properties", RIGHT)];
    Looks::default().compare(&parts, SIZE, |builder| {
        let mut window = window_by(builder, show());
        window.get_by_label("Source Camera").click();
        window.run_steps(3);
        window
    });
}

#[test]
fn what_engineers_read() {
    Looks::default().compare(&[("stage-statistics", MIDDLE)], SIZE, |builder| {
        let mut window = window_by(builder, show());
        window.state_mut().panels.own.opened_in = Some(std::time::Duration::from_millis(1_240));
        window.key_press_modifiers(Modifiers::COMMAND, Key::I);
        window.run_steps(3);
        window
    });
}

#[test]
fn which_keys_do_what() {
    Looks::default().compare(&[("stage-keys", part(340.0, 40.0, 780.0, 640.0))], SIZE, |builder| {
        let mut window = window_by(builder, show());
        window.get_by_label("Keys").click();
        // A dialog finds its size, and then its place.
        window.run_steps(10);
        window.get_by_label("Change: Record, or stop").click();
        window.run_steps(3);
        window
    });
}

#[test]
fn nothing_but_an_empty_scene() {
    let empty = "version = 2\nsources = []\n[[scenes]]\nname = \"Main\"\n";
    let collection = Collection::of(&BroadcastFile::parse(empty).expect("a broadcast file"));
    let view = View { title: "show.toml".into(), phase: Phase::Running, ..View::default() };
    let view = View { editing: Some((0, collection)), ..view };
    let parts = [("stage-empty-left", LEFT), ("stage-empty-bottom", BOTTOM)];
    Looks::default().compare(&parts, SIZE, |builder| window_by(builder, view.clone()));
}

#[test]
fn what_may_be_added() {
    let device = |kind, words: &str| FoundDevice { kind, id: words.into(), words: words.into() };
    let found = vec![
        device(DeviceKind::Camera, "Side"),
        device(DeviceKind::Screen, "The right screen"),
        device(DeviceKind::Microphone, "Desk microphone"),
    ];
    let devices = Looked::Found(Devices { found, silent: vec![DeviceKind::Window] });
    Looks::default().compare(&[("stage-adding", part(8.0, 8.0, 560.0, 508.0))], SIZE, |builder| {
        let mut window = window_by(builder, View { devices: devices.clone(), ..show() });
        window.get_by_label("Add source").click();
        window.run_steps(3);
        window
    });
}

#[test]
fn what_was_found_before_going_live() {
    let found = vec![
        "Camera is not there: viewers see a test pattern in its place.".to_owned(),
        "media.example.org:443 does not answer: it gets no picture.".to_owned(),
        "There is room for 12 minutes of recording.".to_owned(),
    ];
    Looks::default()
        .compare(&[("stage-found", CARD)], SIZE, |builder| window_by(builder, asking(found.clone())));
}

#[test]
fn how_it_went() {
    let summary = Summary {
        seconds: 4_361.0,
        bytes: 2_500_000_000,
        dropped: 14,
        most_viewers: Some(311),
        earned: Some("5.2 DEV".into()),
        recording: Some("/films/An evening with particles 2026-11-23 20.15.mp4".into()),
    };
    let view = View { summary: Some((0, summary)), ..preview() };
    Looks::default().compare(&[("stage-summary", CARD)], SIZE, |builder| window_by(builder, view.clone()));
}

#[test]
fn why_it_could_not_start() {
    let why = "No encoder could be opened: h264_vaapi says \"no device\", and libx264 is not in this build.";
    let view = View { phase: Phase::Failed(why.into()), ..View::default() };
    Looks::default().compare(&[("stage-failed", CARD)], SIZE, |builder| window_by(builder, view.clone()));
}

#[test]
fn a_window_without_room_for_all_of_it() {
    Looks::default().compare_whole("stage-small", vec2(700.0, 480.0), |builder| window_by(builder, show()));
}
