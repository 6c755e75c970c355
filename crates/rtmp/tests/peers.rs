//! Our sessions against programs that others wrote: FFmpeg publishing and playing, nginx taking a stream.

#[path = "peers/driver.rs"]
mod driver;

use driver::{Hub, Listener, ffmpeg, frames_of, make_source, run};
use tickcast_rtmp::{Metadata, TagContent};

fn publish(source: &std::path::Path, url: &str, more: &[&str]) {
    let mut command = ffmpeg(&["-i"]);
    command.arg(source).args(["-c", "copy"]).args(more).args(["-f", "flv", url]);
    run(command);
}

#[test]
fn ffmpeg_publishes_and_every_tag_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.flv");
    make_source(&source, 2);
    let listener = Listener::serve(&Hub::new(), 1);
    publish(&source, &listener.url("live/a-key?token=1"), &[]);
    let hub = listener.join();
    hub.wait(|stream| {
        assert_eq!(stream.error, None);
        assert_eq!((stream.app.as_str(), stream.key.as_str()), ("live", "a-key?token=1"));
        let count = |content| stream.tags.iter().filter(|tag| tag.content == content).count();
        assert_eq!(count(TagContent::VideoHeader), 1);
        assert_eq!(count(TagContent::AudioHeader), 1);
        // Two seconds at 30 fps with a key frame each second.
        assert_eq!((count(TagContent::KeyFrame), count(TagContent::InterFrame)), (2, 58));
        let metadata = stream.tags.iter().find(|tag| tag.content == TagContent::Metadata).unwrap();
        let metadata = Metadata::parse(&metadata.body).unwrap();
        assert_eq!(
            (metadata.width, metadata.height, metadata.frame_rate),
            (Some(320.0), Some(180.0), Some(30.0))
        );
        let pictures = stream
            .tags
            .iter()
            .filter(|tag| matches!(tag.content, TagContent::KeyFrame | TagContent::InterFrame));
        let times: Vec<_> = pictures.map(|tag| tag.timestamp.ticks()).collect();
        // 59 frames of 1/30 s.
        assert_eq!(times[59] - times[0], 1_967);
        Some(())
    });
}

#[test]
fn ffmpeg_plays_from_us_exactly_what_ffmpeg_published() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.flv");
    make_source(&source, 2);
    let listener = Listener::serve(&Hub::new(), 2);
    publish(&source, &listener.url("live/k"), &[]);
    let played = frames_of(&listener.url("live/k"));
    assert_eq!(played, frames_of(source.to_str().unwrap()));
    listener.join();
}

/// Publishes two seconds of FFmpeg's with `offset_s` added, plays them back, and compares with the source.
fn relays_exactly_from(offset_s: i64, expected_wire_wrap_ms: i64) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.flv");
    make_source(&source, 4);
    let listener = Listener::serve(&Hub::new(), 2);
    publish(&source, &listener.url("live/k"), &["-output_ts_offset", &offset_s.to_string()]);
    let original = frames_of(source.to_str().unwrap());
    // Within us time never jumps, whatever the wire did.
    listener.wait_for_stream(|stream| {
        let frames = stream.tags.iter().filter(|tag| !tag.content.is_header());
        let times: Vec<_> = frames.map(|tag| tag.timestamp.ticks()).collect();
        let (first, last) = (times[0], times[times.len() - 1]);
        assert!((offset_s * 1000..offset_s * 1000 + 100).contains(&first), "{first}");
        assert!((3_900..4_100).contains(&(last - first)), "{first} to {last}");
    });
    let played = frames_of(&listener.url("live/k"));
    let hashes = |frames: &[Frame]| frames.iter().map(|frame| (frame.0, frame.3.clone())).collect::<Vec<_>>();
    assert_eq!(hashes(&played), hashes(&original));
    for (played, original) in played.iter().zip(&original) {
        let shifted = original.1 + offset_s * 1000;
        let expected = if shifted >= expected_wire_wrap_ms { shifted - 2 * expected_wire_wrap_ms } else { shifted };
        assert_eq!((played.0, played.1, played.2 - played.1), (original.0, expected, original.2 - original.1));
    }
    listener.join();
}
