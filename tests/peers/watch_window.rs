//! The viewer's window, opened on a display with a loudspeaker: what it shows and what is heard belong together.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use media::Size;
use media::burn_in::{Stamp, read_luma};
use testkit::{AudioServer, LoggedChild, Xvfb, ffmpeg, wait_until};

use crate::asking_window::{BUTTON, SELECT, pixels, shows};
use crate::broadcasts::{LIMIT, TICKCAST, create, engine, node, wait_for_renditions, whip_output};

/// The window is as large as the broadcast, so that each of its pixels is one of the picture's.
const SIZE: Size = Size::new(640, 360);
const SECONDS: &str = "6";
/// Pictures of the screen a second: twice the broadcast's, so that each of those is on one of these.
const RATE: usize = 60;
const SOUND_RATE: f64 = 48_000.0;
const BEEP: f32 = 0.05;
/// After so many seconds a stamp's clock begins anew.
const TURN: f64 = (1_u64 << 48) as f64 / 1e6;
/// A person takes what is nearer than this for together (ITU-R BT.1359: 45 ms early, 125 ms late). What stands between
/// the window and this test has its own delay, the screen's pictures and the sound server's blocks.
const TOGETHER: f64 = 0.12;

fn watch(display: &Xvfb, speaker: &AudioServer, url: &str) -> LoggedChild {
    let mut command = Command::new(TICKCAST);
    command.args(["--log", "info", "watch", "--theme", "dark"]);
    command.args(["--size", &format!("{}x{}", SIZE.width, SIZE.height)]).arg(url);
    command.envs(display.environment()).envs(speaker.environment());
    LoggedChild::spawn("the viewer's window", &mut command).expect("it starts")
}

/// The screen and the loudspeaker for some seconds, each with the machine's time.
fn record(display: &Xvfb, speaker: &AudioServer, to: &Path) {
    let (rate, size) = (RATE.to_string(), format!("{}x{}", SIZE.width, SIZE.height));
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-nostdin", "-v", "error", "-y", "-copyts"]);
    command.args([
        "-t",
        SECONDS,
        "-f",
        "x11grab",
        "-draw_mouse",
        "0",
        "-framerate",
        &rate,
        "-video_size",
        &size,
    ]);
    command.args(["-i", display.display(), "-t", SECONDS, "-f", "pulse", "-i", "studio.monitor"]);
    command.args(["-map", "0:v", "-map", "1:a", "-c:v", "ffv1", "-pix_fmt", "yuv444p", "-c:a", "pcm_s16le"]);
    command.args(["-ac", "1", "-ar", "48000"]).arg(to);
    command.envs(display.environment()).envs(speaker.environment());
    let mut recorder = LoggedChild::spawn("the recorder", &mut command).expect("ffmpeg");
    let status = recorder.wait(LIMIT).expect("it ends");
    assert!(status.success(), "{}", recorder.errors());
}

/// When each packet of a kind begins, by the machine's clock.
fn times(recording: &Path, kind: &str) -> Vec<f64> {
    let mut command = Command::new("ffprobe");
    command.args([
        "-v",
        "error",
        "-select_streams",
        kind,
        "-show_entries",
        "packet=pts_time",
        "-of",
        "csv=p=0",
    ]);
    let output = command.arg(recording).output().expect("ffprobe");
    let text = String::from_utf8(output.stdout).expect("a list");
    text.lines().filter_map(|line| line.trim_end_matches(',').parse().ok()).collect()
}

fn sound(recording: &Path) -> Vec<f32> {
    let raw = recording.with_extension("raw");
    let arguments = ["-i".as_ref(), recording.as_os_str(), "-map".as_ref(), "0:a".as_ref(), "-f".as_ref()];
    ffmpeg::run(arguments.into_iter().chain(["f32le".as_ref(), raw.as_os_str()])).expect("the sound decodes");
    let bytes = std::fs::read(&raw).expect("the sound");
    bytes.as_chunks().0.iter().map(|sample| f32::from_le_bytes(*sample)).collect()
}

/// Where something begins that was not there for `quiet` seconds.
fn onsets(at: impl Iterator<Item = (f64, bool)>, quiet: f64) -> Vec<f64> {
    let (mut begun, mut last) = (Vec::new(), None);
    for (time, is_there) in at {
        if is_there {
            if last.is_some_and(|last| time - last > quiet) {
                begun.push(time);
            }
            last = Some(time);
        } else {
            // What is there from the beginning on has begun before.
            last = last.or(Some(time));
        }
    }
    begun
}

/// Nobody touches it, so its bars go, and the burnt-in numbers are seen.
fn wait_for_picture(display: &Xvfb, window: &mut LoggedChild) -> Stamp {
    let seen = wait_until("the picture alone", LIMIT, || {
        assert!(!window.has_ended(), "{}", window.errors());
        let screen = display.screenshot().expect("a picture of the screen");
        let all = screen.part(0, 0, SIZE.width as usize, SIZE.height as usize);
        let luma: Vec<u8> = all.into_iter().map(|[_, green, _]| green).collect();
        read_luma(&luma, SIZE.width as usize, SIZE)
    });
    seen.unwrap_or_else(|err| panic!("{err}\n{}", window.errors()))
}

#[test]
fn what_ended_in_a_window_is_watched_again_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let display = Xvfb::start(SIZE.width, SIZE.height).expect("a display");
    let speaker = AudioServer::start().expect("an audio server");
    let node = node();
    let stream = create(&node, "In a window");
    let mut first = engine(folder.path(), &whip_output(&stream));
    wait_for_renditions(&node, &stream, 2);
    let mut window = watch(&display, &speaker, &stream.watch_url);
    let id = display.window("In a window", LIMIT).expect("the window");
    wait_for_picture(&display, &mut window);
    assert!(first.stop().expect("the engine ends").success(), "{}", first.log());
    shows(&display, &mut window, "the button", |display| pixels(display, SIZE, SELECT) > BUTTON);

    let mut second = engine(folder.path(), &whip_output(&stream));
    wait_for_renditions(&node, &stream, 2);
    display.keys(&id, &["Return"]).expect("a key");
    wait_for_picture(&display, &mut window);
    let status = window.terminate(LIMIT).expect("it ends");
    let told = window.output();
    assert!(status.success() && told.len() == 2, "{told:?}\n{}", window.errors());
    assert!(told[0].contains("the stream is over"), "{told:?}");
    assert!(second.stop().expect("the engine ends").success(), "{}", second.log());
}

#[test]
fn a_window_shows_a_broadcast_and_lets_it_be_heard_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let display = Xvfb::start(SIZE.width, SIZE.height).expect("a display");
    let speaker = AudioServer::start().expect("an audio server");
    let node = node();
    let stream = create(&node, "In a window");
    let mut engine = engine(folder.path(), &whip_output(&stream));
    wait_for_renditions(&node, &stream, 2);

    let mut window = watch(&display, &speaker, &stream.watch_url);
    display.window("In a window", LIMIT).expect("the window");
    wait_for_picture(&display, &mut window);

    let recording = folder.path().join("seen.mkv");
    record(&display, &speaker, &recording);
    let (luma, shown) = (ffmpeg::luma(&recording).expect("the pictures"), times(&recording, "v"));
    let pictures: Vec<_> = luma.chunks_exact((SIZE.width * SIZE.height) as usize).collect();
    let stamps = pictures.iter().map(|picture| read_luma(picture, SIZE.width as usize, SIZE));
    // A picture of the screen may be half old and half new.
    let stamps: Vec<_> = stamps.zip(&shown).filter_map(|(stamp, at)| Some((stamp?, *at))).collect();
    assert!(stamps.len() * 10 >= pictures.len() * 9, "{} of {} can be read", stamps.len(), pictures.len());
    assert!(stamps.windows(2).all(|pair| pair[0].0.frame <= pair[1].0.frame), "pictures step back");
    let mut first = BTreeMap::new();
    for (stamp, at) in &stamps {
        first.entry(stamp.frame).or_insert((stamp, *at));
    }
    let mut behind: Vec<_> =
        first.values().map(|(stamp, at)| at.rem_euclid(TURN) - stamp.clock_micros as f64 / 1e6).collect();
    behind.sort_by(f64::total_cmp);
    let broadcast = stamps[stamps.len() - 1].0.frame - stamps[0].0.frame + 1;
    println!(
        "{} of {broadcast} pictures seen on {} of the screen's; {:.3} s behind in the middle",
        first.len(),
        pictures.len(),
        behind[behind.len() / 2]
    );
    assert!(first.len() > 30, "{} pictures seen", first.len());

    let flashes: Vec<f64> = first.values().filter(|(stamp, _)| stamp.flash).map(|(_, at)| *at).collect();
    let (samples, from) = (sound(&recording), times(&recording, "a")[0]);
    let heard =
        samples.iter().enumerate().map(|(at, sample)| (from + at as f64 / SOUND_RATE, sample.abs() > BEEP));
    let beeps = onsets(heard, 0.2);
    let nearest =
        |flash: &f64| beeps.iter().map(|beep| beep - flash).min_by(|a, b| a.abs().total_cmp(&b.abs()));
    let mut apart: Vec<f64> = flashes.iter().filter_map(nearest).collect();
    apart.sort_by(f64::total_cmp);
    println!("sound after picture, in seconds: {apart:?}");
    assert!(apart.len() >= 4, "{flashes:?} and {beeps:?}: {}", window.errors());
    let median = apart[apart.len() / 2];
    assert!(median.abs() < TOGETHER, "sound is {median} s after the picture");

    let status = window.terminate(LIMIT).expect("it ends");
    assert!(status.success(), "{}", window.errors());
    assert!(engine.stop().expect("the engine ends").success(), "{}", engine.log());
}
