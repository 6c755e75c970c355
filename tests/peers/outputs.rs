//! Each output has a fate of its own.

use std::time::{Duration, Instant};

use testkit::{RtmpServer, soak, wait_until};

use crate::broadcasts::{LIMIT, engine, stamps};

/// How often one server dies.
const DEATHS: u32 = 1;
const DEATHS_IN_SOAK: u32 = 10;
/// How long it is gone each time.
const GONE: Duration = Duration::from_secs(20);
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

    let recorded: Vec<u32> = stamps(&recording).iter().map(|stamp| stamp.frame).collect();
    let served: Vec<u32> = stamps(&steady.recording("two")).iter().map(|stamp| stamp.frame).collect();
    let (first, last) = (served[0], served[served.len() - 1]);
    assert!(f64::from(last - first) > (GONE * deaths).as_secs_f64() * 25.0, "{first} to {last}");
    // What an encoder had to leave out is in neither; everything else is in both.
    let common: Vec<u32> = recorded.into_iter().filter(|frame| (first..=last).contains(frame)).collect();
    assert_eq!(served, common);
    let left_out = (last - first) as usize + 1 - served.len();
    println!("{} frames in both, {left_out} left out by the encoder", served.len());
    // A dead output that held up the encoder would take the same frames from both.
    assert!(left_out * 20 <= served.len(), "{left_out} frames were left out, {} served", served.len());
}
