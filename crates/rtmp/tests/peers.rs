//! Our sessions against programs that others wrote: FFmpeg publishing and playing, nginx taking a stream.
#![allow(clippy::unwrap_used, reason = "a test and its builders may panic")]

#[path = "peers/driver.rs"]
mod driver;

use std::io::{Read, Write};

use driver::{Frame, Hub, Listener, Nginx, ffmpeg, frames_of, make_source, run, run_client};
use media::{Timescale, Timestamp};
use tickcast_rtmp::chunk::ChunkReader;
use tickcast_rtmp::handshake::{Handshake, Opening, PACKET};
use tickcast_rtmp::{ClientConfig, ClientEvent, Error, Limits, Metadata, Role, RtmpUrl, Tag, TagContent};

fn publish(source: &std::path::Path, url: &str, more: &[&str]) {
    let mut command = ffmpeg(&["-i"]);
    command.arg(source).args(["-c", "copy"]).args(more).args(["-f", "flv", url]);
    run(command);
}

fn is_picture(tag: &Tag) -> bool {
    matches!(tag.content, TagContent::KeyFrame | TagContent::InterFrame)
}

#[test]
fn ffmpeg_publishes_and_every_tag_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.flv");
    make_source(&source, 2, 0);
    let listener = Listener::serve(&Hub::new(), 1);
    publish(&source, &listener.url("live/a-key?token=1"), &[]);
    let hub = listener.join();
    hub.look(|stream| {
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
    });
}

#[test]
fn ffmpeg_plays_from_us_exactly_what_ffmpeg_published() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.flv");
    make_source(&source, 2, 0);
    let listener = Listener::serve(&Hub::new(), 2);
    publish(&source, &listener.url("live/k"), &[]);
    let played = frames_of(&listener.url("live/k"));
    assert_eq!(played, frames_of(source.to_str().unwrap()));
    listener.join();
}

/// Publishes four seconds of FFmpeg's with `offset_ms` added, plays them back, and compares with the source.
fn relays_exactly_from(offset_ms: i64) -> Vec<u32> {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.flv");
    make_source(&source, 4, 0);
    let listener = Listener::serve(&Hub::new(), 2);
    publish(&source, &listener.url("live/k"), &["-output_ts_offset", &format!("{offset_ms}ms")]);
    let original = frames_of(source.to_str().unwrap());
    let played = frames_of(&listener.url("live/k"));
    let expected: Vec<Frame> = original
        .into_iter()
        .map(|(stream, decode, present, hash)| (stream, decode + offset_ms, present + offset_ms, hash))
        .collect();
    assert_eq!(played.len(), expected.len());
    for (played, expected) in played.iter().zip(&expected) {
        assert_eq!(played, expected);
    }
    listener.join().look(|stream| wire_times(&stream.capture))
}

/// The times of FFmpeg's frames as they were on the wire.
fn wire_times(capture: &[u8]) -> Vec<u32> {
    let mut input = &capture[1 + 2 * 1536..];
    let mut reader = ChunkReader::new(Limits::default());
    let mut times = Vec::new();
    // The player's bytes follow the publisher's: they begin with a handshake, which is no chunk of media.
    while let Ok(Some(message)) = reader.read(&mut input) {
        if matches!(message.type_id, 8 | 9) && message.timestamp > 0 {
            times.push(message.timestamp);
        }
    }
    times
}

#[test]
fn a_stream_across_16_777_215_ms_is_relayed_exactly() {
    let wire = relays_exactly_from(16_777_215 - 2_000);
    assert!(wire.contains(&16_777_215) || wire.iter().any(|&time| time > 16_777_215));
}

#[test]
fn a_stream_across_2_to_the_31_ms_where_ffmpeg_wraps_is_relayed_exactly() {
    let wire = relays_exactly_from((1 << 31) - 2_000);
    let wraps = wire.windows(2).filter(|pair| pair[0] > 1 << 30 && pair[1] < 1 << 30).count();
    assert_eq!(wraps, 1, "FFmpeg wraps here; if it stops doing so, time goes on without our help");
}

/// What FFmpeg publishes of `source`, as tags.
fn tags_of(source: &std::path::Path) -> Vec<Tag> {
    let listener = Listener::serve(&Hub::new(), 1);
    publish(source, &listener.url("live/k"), &[]);
    listener.join().look(|stream| stream.tags.clone())
}

fn client(url: &str, role: Role) -> ClientConfig {
    ClientConfig::new(RtmpUrl::parse(url).unwrap(), role)
}

#[test]
fn a_stream_of_our_client_across_2_to_the_32_ms_plays_in_ffmpeg_and_in_our_client() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.flv");
    make_source(&source, 4, 0);
    let start = (1i64 << 32) - 2_000;
    let mut tags = tags_of(&source);
    for tag in tags.iter_mut().filter(|tag| !tag.content.is_header()) {
        tag.timestamp = Timestamp::new(tag.timestamp.ticks() + start, Timescale::MILLIS);
    }
    let listener = Listener::serve(&Hub::new(), 3);
    run_client(client(&listener.url("live/k"), Role::Publish), &tags).unwrap();
    let steps = |frames: &[Frame]| -> Vec<_> {
        let first = frames[0].1;
        frames.iter().map(|frame| (frame.0, frame.1 - first, frame.3.clone())).collect()
    };
    let played = frames_of(&listener.url("live/k"));
    assert_eq!(steps(&played), steps(&frames_of(source.to_str().unwrap())));
    let events = run_client(client(&listener.url("live/k"), Role::Play), &[]).unwrap();
    let played = events.into_iter().filter_map(|event| match event {
        ClientEvent::Media(tag) if !tag.content.is_header() => Some(tag),
        _ => None,
    });
    // A stream that begins anew for its player knows nothing of what was before 2^32.
    let sent = tags.into_iter().filter(|tag| !tag.content.is_header());
    for (played, sent) in played.zip(sent) {
        assert_eq!(played, sent);
    }
    listener.join();
}

#[test]
fn an_unpaced_publisher_keeps_its_tail() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.flv");
    make_source(&source, 20, 60);
    assert!(source.metadata().unwrap().len() > 5_000_000, "larger than any window that peers are used to");
    let expected = frames_of(source.to_str().unwrap()).len();
    for _ in 0..3 {
        let tags = tags_of(&source);
        let frames = tags.iter().filter(|tag| is_picture(tag) || tag.content == TagContent::AudioFrame);
        assert_eq!(frames.count(), expected);
    }
}

#[test]
fn nginx_takes_our_stream_and_records_what_we_sent() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source.flv");
    make_source(&source, 2, 0);
    let tags = tags_of(&source);
    let original = frames_of(source.to_str().unwrap());
    for opening in [Opening::Simple, Opening::Digest] {
        let mut nginx = Nginx::start();
        let config = ClientConfig { opening, ..client(&nginx.url("key?token=1"), Role::Publish) };
        let events = run_client(config, &tags).unwrap();
        assert_eq!(events[0], ClientEvent::Started);
        let recording = nginx.finish();
        let probe = ffprobe(&recording);
        assert!(probe.contains("codec_name=h264") && probe.contains("codec_name=aac"), "{probe}");
        let recorded = frames_of(recording.to_str().unwrap());
        let video = |frames: &[Frame]| -> Vec<_> {
            frames.iter().filter(|frame| frame.0 == 0).map(|frame| (frame.1, frame.3.clone())).collect()
        };
        assert_eq!(video(&recorded), video(&original));
    }
}

fn ffprobe(path: &std::path::Path) -> String {
    let mut command = std::process::Command::new("ffprobe");
    command.args(["-v", "error", "-show_streams"]).arg(path);
    let output = run(command);
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

#[test]
fn our_client_plays_from_nginx_what_ffmpeg_publishes_there() {
    let nginx = Nginx::start();
    let video = "testsrc=size=320x180:rate=30";
    let mut command = ffmpeg(&["-re", "-f", "lavfi", "-i", video, "-c:v", "libx264", "-preset", "ultrafast"]);
    command.args([
        "-profile:v",
        "baseline",
        "-pix_fmt",
        "yuv420p",
        "-g",
        "15",
        "-f",
        "flv",
        &nginx.url("key"),
    ]);
    let mut publisher = None;
    let mut frames = 0;
    let events = driver::watch_client(client(&nginx.url("key"), Role::Play), |event| {
        match event {
            // nginx lets players wait for a stream; so it is there from its first frame.
            ClientEvent::Started => publisher = Some(driver::Process(command.spawn().unwrap())),
            ClientEvent::Media(tag) => frames += i32::from(is_picture(tag)),
            ClientEvent::Ended(_) => {}
        }
        frames == 40
    });
    drop(publisher);
    let tags: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            ClientEvent::Media(tag) => Some(tag),
            _ => None,
        })
        .collect();
    let contents: Vec<_> = tags.iter().map(|tag| (tag.content, tag.timestamp, tag.body.len())).collect();
    assert!(contents.iter().any(|content| content.0 == TagContent::VideoHeader), "{contents:?}");
    let times: Vec<_> = tags.iter().filter(|tag| is_picture(tag)).map(|tag| tag.timestamp.ticks()).collect();
    assert!(times.windows(2).all(|pair| (30..=40).contains(&(pair[1] - pair[0]))), "{contents:?}");
}

#[test]
fn ffmpeg_with_another_codec_is_refused() {
    let listener = Listener::serve(&Hub::new(), 1);
    let mut command = ffmpeg(&["-f", "lavfi", "-i", "testsrc=size=160x90:rate=5:duration=1", "-c:v", "flv1"]);
    command.args(["-f", "flv", &listener.url("live/k")]);
    // FFmpeg may have sent all of it before it reads of its refusal, so its exit status says nothing.
    command.output().unwrap();
    let error = listener.join().look(|stream| stream.error.clone());
    assert_eq!(error.as_ref().map(Error::code), Some("rtmp.codec"));
}

#[test]
fn nginx_and_our_client_know_each_others_digests() {
    let nginx = Nginx::start();
    let mut socket = std::net::TcpStream::connect(("127.0.0.1", nginx.port)).unwrap();
    let (mut handshake, hello) = Handshake::client(Opening::Digest, 3);
    socket.write_all(&hello).unwrap();
    let mut answer = vec![0; 1 + 2 * PACKET];
    socket.read_exact(&mut answer).unwrap();
    let mut out = Vec::new();
    assert_eq!(handshake.read(&mut &answer[..], &mut out), Ok(true));
    // nginx signs its S1 only for a client whose digest it found; we echo what we do not find signed.
    assert_ne!(out, answer[1..=PACKET]);
}
