//! Each output has a fate of its own.

use std::time::{Duration, Instant};

use media::WallTime;
use media::burn_in::Stamp;
use testkit::{RtmpServer, soak, wait_until};

use crate::broadcasts::{LIMIT, engine, stamps};

/// How often one server dies.
const DEATHS: u32 = 1;
const DEATHS_IN_SOAK: u32 = 10;
/// How long it is gone each time.
const GONE: Duration = Duration::from_secs(20);
/// The shortest time that an output waits before it connects again.
const FIRST_WAIT_MS: f64 = 500.0;
/// Some four seconds of both tracks at the test broadcast's bitrates.
const ENOUGH_BYTES: u64 = 250_000;

fn wait_for_bytes(server: &RtmpServer, name: &str) {
    let path = server.recording(name);
    let grown = wait_until("a server's recording", LIMIT, || {
        path.metadata().ok().filter(|file| file.len() > ENOUGH_BYTES)
    });
    grown.unwrap_or_else(|err| panic!("{err}\nnginx: {}", server.log()));
}

#[test]
fn an_output_that_dies_and_returns_takes_no_frame_from_the_other_nor_from_the_recording() {
    let (mut dying, steady) = (RtmpServer::start().expect("nginx"), RtmpServer::start().expect("nginx"));
    let folder = tempfile::tempdir().expect("a folder");
    let recording = folder.path().join("recording.mp4");
    let text = format!(
        "outputs = [{{ kind = \"rtmp\", url = {:?} }}, {{ kind = \"rtmp\", url = {:?} }}]\n\
         recording = {{ path = {recording:?} }}",
        dying.url("one"),
        steady.url("two")
    );
    let mut engine = engine(folder.path(), &text);
    wait_for_bytes(&dying, "one");
    wait_for_bytes(&steady, "two");

    let deaths = soak(DEATHS, DEATHS_IN_SOAK);
    for _ in 0..deaths {
        dying.kill();
        std::fs::remove_file(dying.recording("one")).expect("the first recording");
        let back_at = Instant::now() + GONE;
        // Not a wait for something: the time that it is gone is what is tried.
        wait_until("the server's return", LIMIT, || (Instant::now() >= back_at).then_some(()))
            .expect("time passes");
        dying.restart().expect("nginx again");
        wait_for_bytes(&dying, "one");
    }
    assert!(engine.stop().expect("the engine ends").success(), "{}", engine.log());

    let (recorded, served) = (stamps(&recording), stamps(&steady.recording("two")));
    let (first, last) = (served[0], served[served.len() - 1]);
    // What an encoder had to leave out is in neither; everything else is in both.
    let common: Vec<Stamp> =
        recorded.into_iter().filter(|stamp| (first.frame..=last.frame).contains(&stamp.frame)).collect();
    assert_eq!(served, common);
    // By the clock in the pictures: their numbers show nothing of a picture that was never made.
    let ms = |earlier: Stamp, later: Stamp| earlier.age_ms(WallTime::from_unix_micros(later.clock_micros));
    let seconds = ms(first, last) / 1e3;
    assert!(seconds > (GONE * deaths).as_secs_f64(), "{seconds} s were served");
    let left_out = (seconds * 30.0).round() as i64 + 1 - served.len() as i64;
    let pause_ms = served.windows(2).map(|pair| ms(pair[0], pair[1])).fold(0.0, f64::max);
    println!("{} pictures in both, {left_out} left out, {pause_ms:.0} ms between two at most", served.len());
    // Whatever lacks was counted by the engine itself, as not composed in time or refused by a busy encoder. The first
    // and the last may each have been made up to a picture's time late.
    let counted = engine.said("rendition medium lacks ").expect("it says what it left out");
    let counted: i64 = counted.parse().expect("a count");
    assert!(left_out <= counted + 1, "{left_out} pictures are left out, {counted} counted");
    // And the dead output has no part in it: whoever waited for it would stand still for at least its first wait.
    assert!(pause_ms < FIRST_WAIT_MS, "{pause_ms} ms without a picture");
}
