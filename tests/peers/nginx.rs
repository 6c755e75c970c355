//! The engine publishes to an RTMP server that is not ours.

use testkit::{RtmpServer, ffmpeg, wait_until};

use crate::broadcasts::{LIMIT, engine};

/// Some four seconds of both tracks at the test broadcast's bitrates.
const ENOUGH_BYTES: u64 = 250_000;

#[test]
fn nginx_records_what_the_engine_publishes_and_ffprobe_accepts_it() {
    let server = RtmpServer::start().expect("nginx");
    let folder = tempfile::tempdir().expect("a folder");
    let output = format!("outputs = [{{ kind = \"rtmp\", url = {:?} }}]", server.url("programme"));
    let mut engine = engine(folder.path(), &output);
    let recording = server.recording("programme");
    let grown = wait_until("nginx's recording", LIMIT, || {
        recording.metadata().ok().filter(|file| file.len() > ENOUGH_BYTES)
    });
    grown.unwrap_or_else(|err| panic!("{err}\nthe engine: {}\nnginx: {}", engine.log(), server.log()));
    assert!(engine.stop().expect("the engine ends").success(), "{}", engine.log());
    let probed = ffmpeg::probe(&[], &recording.to_string_lossy()).expect("ffprobe accepts it");
    let video = ffmpeg::stream(&probed, "video");
    assert_eq!(
        (&video["codec_name"], &video["width"], &video["height"]),
        (&"h264".into(), &640.into(), &360.into())
    );
    assert_eq!(ffmpeg::stream(&probed, "audio")["codec_name"], "aac");
    let decoded = ffmpeg::decode(&[], &recording.to_string_lossy(), None).expect("it decodes");
    assert_eq!(decoded.pictures.len() as u64, ffmpeg::packets(&probed, "video"));
    assert!(decoded.pictures.len() > 30, "{} pictures", decoded.pictures.len());
    assert!(decoded.samples > 48_000, "{} samples", decoded.samples);
}
