//! An engine that is killed while it records leaves a recording that plays nearly to the kill.

use std::time::{Duration, Instant, SystemTime};

use media::WallTime;
use testkit::{Dice, ffmpeg, soak, wait_until};

use crate::broadcasts::{LIMIT, engine, stamps};

/// The kills of a usual run, and of a long one.
const KILLS: u64 = 3;
const KILLS_IN_SOAK: u64 = 20;
/// A recording may lack so much at its end.
const LOST_MAX_MS: f64 = 2000.0;

#[test]
fn a_recording_plays_to_within_two_seconds_of_a_kill() {
    let mut dice = Dice::of_run();
    for turn in 0..soak(KILLS, KILLS_IN_SOAK) {
        let folder = tempfile::tempdir().expect("a folder");
        let recording = folder.path().join("recording.mp4");
        let mut engine = engine(folder.path(), &format!("recording = {{ path = {recording:?} }}"));
        let begun = wait_until("the recording", LIMIT, || {
            recording.metadata().ok().filter(|file| file.len() > 0).map(|_| Instant::now())
        });
        let moment = Duration::from_millis(dice.between(2_000, 7_000));
        let kill_at = begun.unwrap_or_else(|err| panic!("{err}\n{}", engine.log())) + moment;
        // Not a wait for something: the moment itself is what is tried.
        wait_until("the moment of the kill", LIMIT, || (Instant::now() >= kill_at).then_some(()))
            .expect("time passes");
        assert!(!engine.has_ended(), "{}", engine.log());
        let killed = WallTime::from_system(SystemTime::now());
        engine.kill();

        let probed = ffmpeg::probe(&[], &recording.to_string_lossy()).expect("ffprobe accepts it");
        assert_eq!(ffmpeg::stream(&probed, "video")["codec_name"], "h264");
        assert_eq!(ffmpeg::stream(&probed, "audio")["codec_name"], "aac");
        let stamps = stamps(&recording);
        assert_eq!(
            stamps.len() as u64,
            ffmpeg::packets(&probed, "video"),
            "every picture decodes, turn {turn}"
        );
        let lost_ms = stamps.last().expect("pictures").age_ms(killed);
        println!("kill {turn}: {} pictures, {lost_ms:.0} ms lost", stamps.len());
        assert!(lost_ms < LOST_MAX_MS, "{lost_ms} ms before the kill are lost, turn {turn}");
        assert!(
            stamps.windows(2).all(|pair| pair[0].frame < pair[1].frame),
            "pictures in order, turn {turn}"
        );
    }
}
