//! The creator's window, opened on a display and used by mouse and keyboard.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use testkit::xvfb::Screenshot;
use testkit::{LoggedChild, Xvfb, wait_until};

use crate::broadcasts::{LIMIT, TICKCAST, create, file, node, stamps, wait_for_renditions, whip_output};

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 800;
/// The middle of the button that the strip ends with.
const GO_LIVE: (u32, u32) = (WIDTH - 12 - 36, 24);
/// The middle of the red button in the question whether to end, from the window's middle.
const END: (u32, u32) = (107, 40);
/// What the strip above takes.
const STRIP: usize = 48;
/// The ground of what goes live, dark and light.
const LIVE: [[u8; 3]; 2] = [[0xff, 0x4d, 0x4f], [0xcc, 0x20, 0x24]];
/// Fewer pixels than a question's red button has, and more than any sign.
const BUTTON: usize = 1_000;

fn open(display: &Xvfb, arguments: &[&str], file: &Path, input: &Path) -> LoggedChild {
    let mut command = Command::new("sh");
    // Its standard input is a pipe that the test holds the other end of.
    command.args(["-c", "input=$1; shift; exec \"$@\" < \"$input\"", "sh"]).arg(input).arg(TICKCAST);
    command.args(["--log", "info", "stage", "--loopback"]).args(arguments).arg(file);
    // Recordings without a name of their own would lie in the home.
    command.envs(display.environment()).env("HOME", file.parent().expect("the file lies in a folder"));
    LoggedChild::spawn("the Stage", &mut command).expect("the Stage starts")
}

/// A part of the preview's middle, away from its edges whatever its exact size.
fn preview(screen: &Screenshot) -> Vec<[u8; 3]> {
    screen.part(500, 200, 480, 240)
}

/// Ends what is live in a Stage that fills a display of this size: asks for it by its key, and answers the question.
pub fn end_broadcast(display: &Xvfb, window: &str, size: (u32, u32)) {
    let (x, y) = (size.0 / 2 + END.0, size.1 / 2 + END.1);
    display.keys(window, &["ctrl+l"]).expect("a key");
    // A click before the button is there would go to what is behind the question.
    let asked = || {
        let screen = display.screenshot().ok()?;
        let button = screen.part(x as usize - 65, y as usize - 10, 6, 20);
        button.iter().all(|[red, green, _]| *red >= 200 && *green <= 100).then_some(())
    };
    wait_until("the question", LIMIT, asked).expect("it asks");
    display.click(x, y).expect("a click");
}

/// The middle of the red button of a question, if one is asked. Only the strip above has red besides.
fn red_button(display: &Xvfb, size: (u32, u32)) -> Option<(u32, u32)> {
    let (width, height) = (size.0 as usize, size.1 as usize - STRIP);
    let screen = display.screenshot().ok()?.part(0, STRIP, width, height);
    // The tokens of either theme: the pattern has reds of its own.
    let is_red = |pixel: &[u8; 3]| {
        LIVE.iter().any(|live| live.iter().zip(pixel).all(|(live, seen)| live.abs_diff(*seen) <= 4))
    };
    let lit = screen
        .iter()
        .enumerate()
        .filter(|(_, pixel)| is_red(pixel))
        .map(|(index, _)| (index % width, index / width));
    let (xs, ys): (Vec<_>, Vec<_>) = lit.filter(|(x, _)| x.abs_diff(width / 2) < 190).unzip();
    if xs.len() < BUTTON {
        return None;
    }
    let middle = |all: Vec<usize>| u32::try_from(all.iter().sum::<usize>() / all.len()).ok();
    Some((middle(xs)?, middle(ys)? + STRIP as u32))
}

/// Waits until it is live, and says yes where the look before it found something, as it does on a busy machine. Whether it
/// was asked.
pub fn take_off(display: &Xvfb, size: (u32, u32), is_live: impl Fn() -> bool) -> bool {
    let asked = std::cell::Cell::new(false);
    wait_until("it is live", LIMIT, || {
        if let Some((x, y)) = red_button(display, size) {
            asked.set(true);
            display.click(x, y).expect("a click");
        }
        is_live().then_some(())
    })
    .expect("it goes live");
    asked.get()
}

fn colours(part: &[[u8; 3]]) -> usize {
    part.iter().collect::<std::collections::BTreeSet<_>>().len()
}

#[test]
fn the_stage_shows_the_programme_and_goes_live_at_a_click() {
    let display = Xvfb::start(WIDTH, HEIGHT).expect("a display");
    let (node, folder) = (node(), tempfile::tempdir().expect("a folder"));
    let stream = create(&node, "From the Stage");
    let recording = folder.path().join("show.mp4");
    let rest = format!("{}\nrecording = {{ path = {recording:?} }}", whip_output(&stream));
    let broadcast = file(folder.path(), &rest);
    let pipe = folder.path().join("input");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    // Opened for both, so that neither end waits for the other.
    let supervisor = File::options().read(true).write(true).open(&pipe).expect("the pipe");
    let begun = std::time::Instant::now();
    let mut stage = open(&display, &["--supervised"], &broadcast, &pipe);
    stage.wait_for_line("ready", LIMIT).expect("the studio runs");
    println!("ready after {:.1} s", begun.elapsed().as_secs_f64());
    let window = display.window("Tickcast", LIMIT).expect("a window");

    // The pattern moves: two pictures of many colours that differ.
    let shown = || display.screenshot().ok().map(|screen| preview(&screen));
    let first = wait_until("a picture in the preview", LIMIT, || shown().filter(|part| colours(part) > 200));
    let first = first.unwrap_or_else(|err| panic!("{err}: {}", stage.errors()));
    wait_until("a moving preview", LIMIT, || shown().filter(|part| *part != first))
        .expect("a moving preview");
    assert!(!recording.exists(), "nothing is recorded before it goes live");

    display.click(GO_LIVE.0, GO_LIVE.1).expect("a click");
    take_off(&display, (WIDTH, HEIGHT), || stage.output().iter().any(|line| line == "broadcast live"));
    wait_for_renditions(&node, &stream, 2);

    // The supervisor is gone, the broadcast goes on: the recording grows by more than was under way.
    drop(supervisor);
    let bytes = || std::fs::metadata(&recording).map_or(0, |found| found.len());
    let before = bytes();
    wait_until("a longer recording", LIMIT, || (bytes() > before + 150_000).then_some(())).expect("it grows");
    assert!(!stage.has_ended(), "{}", stage.errors());

    end_broadcast(&display, &window, (WIDTH, HEIGHT));
    let status = stage.wait(LIMIT).expect("it ends with the broadcast");
    assert!(status.success(), "{}", stage.errors());
    let frames: Vec<u32> = stamps(&recording).iter().map(|stamp| stamp.frame).collect();
    assert!(frames.len() > 30, "{} frames", frames.len());
    assert!(frames.is_sorted_by(|a, b| a < b), "{frames:?}");
    let due = frames[frames.len() - 1] - frames[0] + 1;
    println!("{} of {due} pictures are missing", due as usize - frames.len());
    let told = stage.errors();
    let told = told.lines().find(|line| line.contains("the window has closed"));
    println!("{}", told.expect("the window says how it was"));
}

#[test]
fn a_supervised_stage_that_is_idle_ends_with_its_supervisor() {
    let display = Xvfb::start(WIDTH, HEIGHT).expect("a display");
    let folder = tempfile::tempdir().expect("a folder");
    let mut stage = open(&display, &["--supervised"], &file(folder.path(), ""), Path::new("/dev/null"));
    let status = stage.wait(LIMIT).expect("it ends");
    assert!(status.success(), "{}", stage.errors());
}

#[test]
fn a_broadcast_file_with_a_mistake_is_told_in_the_window_and_tried_again() {
    let display = Xvfb::start(WIDTH, HEIGHT).expect("a display");
    let folder = tempfile::tempdir().expect("a folder");
    let broadcast = file(folder.path(), "colour = 3");
    let mut stage = open(&display, &[], &broadcast, Path::new("/dev/null"));
    let window = display.window("Tickcast", LIMIT).expect("a window");
    let told = wait_until("the reason in the log", LIMIT, || stage.errors().contains("colour").then_some(()));
    told.unwrap_or_else(|err| panic!("{err}: {}", stage.errors()));
    file(folder.path(), "");
    // The only control of that view.
    wait_until("the studio to run", LIMIT, || {
        display.keys(&window, &["Tab", "Return"]).expect("keys");
        stage.output().iter().any(|line| line == "ready").then_some(())
    })
    .unwrap_or_else(|err| panic!("{err}: {}", stage.errors()));
    let status = stage.terminate(LIMIT).expect("it ends");
    assert!(status.success(), "{}", stage.errors());
}
