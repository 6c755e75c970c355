//! The GPU backends in a whole broadcast, on whatever adapter there is.

use testkit::tickcast::Engine;
use testkit::wait_until;

use crate::broadcasts::{LIMIT, TICKCAST, stamps};

#[test]
fn what_a_graphics_device_composes_reaches_the_recording_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, recording) = (folder.path().join("broadcast.toml"), folder.path().join("show.mp4"));
    let text = format!(
        "version = 1\nprogramme = {{ width = 640, height = 360 }}\ngraphics = \"gpu\"\n\
         sources = [\n    {{ kind = \"simulation\", name = \"particles\", preset = \"galaxy\", count = 20000 }},\n    \
         {{ kind = \"clock\", name = \"clock\" }},\n]\n\
         layers = [{{ source = \"particles\", blend = \"add\" }}, {{ source = \"clock\" }}]\n\
         ladder = [{{ name = \"medium\", width = 640, height = 360, kbps = 1500 }}]\n\
         recording = {{ path = {recording:?} }}\n"
    );
    std::fs::write(&file, text).expect("a broadcast file");
    let mut engine = Engine::start(TICKCAST, &file).expect("an engine");
    let bytes = || std::fs::metadata(&recording).map_or(0, |found| found.len());
    wait_until("a recording", LIMIT, || (bytes() > 300_000).then_some(()))
        .unwrap_or_else(|err| panic!("{err}: {}", engine.log()));
    let status = engine.stop().expect("it ends");
    let log = engine.log();
    assert!(status.success(), "{log}");
    assert!(log.contains("simulates and composes") && !log.contains("the CPU"), "{log}");
    let frames: Vec<u32> = stamps(&recording).iter().map(|stamp| stamp.frame).collect();
    // A software adapter may leave some out; none comes twice or out of order.
    assert!(frames.len() > 30 && frames.is_sorted_by(|a, b| a < b), "{frames:?}");
}
