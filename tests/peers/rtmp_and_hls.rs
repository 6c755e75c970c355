//! ffmpeg publishes by RTMP; ffmpeg reads back by RTMP and by LL-HLS, and every picture is compared.

use std::ffi::OsStr;
use std::path::PathBuf;

use api::CreatedStream;
use testkit::ffmpeg::{self, Decoded};
use testkit::tickcast::Node;
use testkit::{LoggedChild, wait_until};

use crate::broadcasts::{LIMIT, create, node, rtmp_play_url, wait_for_renditions, wait_for_segment};

/// Longer than any of these tests reads.
const SAMPLE_SECONDS: u32 = 40;
const READ_SECONDS: u32 = 6;
/// What so many seconds of the sample hold.
const PICTURES: usize = 30 * READ_SECONDS as usize;
const SAMPLES: u64 = 48_000 * READ_SECONDS as u64;

/// A node with a stream that ffmpeg publishes to.
struct Published {
    node: Node,
    stream: CreatedStream,
    publisher: LoggedChild,
    source: Decoded,
    folder: tempfile::TempDir,
}

fn publish(offset_seconds: u32) -> Published {
    let folder = tempfile::tempdir().expect("a folder");
    let file: PathBuf = folder.path().join("sample.mp4");
    ffmpeg::sample(&file, SAMPLE_SECONDS).expect("a sample");
    let source = ffmpeg::decode(&[], &file.to_string_lossy(), None).expect("the sample decodes");
    assert_eq!(source.pictures.len(), 30 * SAMPLE_SECONDS as usize);
    let node = node();
    let stream = create(&node, "ffmpeg");
    let publisher = ffmpeg::publish(&file, &stream.rtmp_url, offset_seconds).expect("ffmpeg publishes");
    Published { node, stream, publisher, source, folder }
}

/// Both tracks for so long, and the very pictures that were published.
fn assert_is_what_was_published(read: &Decoded, published: &Published) {
    let shown = || published.node.log();
    assert!(
        read.is_run_of(&published.source),
        "{} pictures are no run of the source's\n{}",
        read.pictures.len(),
        shown()
    );
    // Sound begins at once and pictures with the next key frame, at most 2 s later.
    assert!(read.pictures.len() >= PICTURES - 65, "{} pictures\n{}", read.pictures.len(), shown());
    assert!(read.samples >= SAMPLES - 24_000, "{} samples\n{}", read.samples, shown());
}

#[test]
fn what_ffmpeg_publishes_by_rtmp_is_read_back_by_rtmp_picture_by_picture() {
    let published = publish(0);
    wait_for_renditions(&published.node, &published.stream, 1);
    let url = rtmp_play_url(&published.node, &published.stream);
    let read =
        ffmpeg::decode(&["-rw_timeout", "30000000"], &url, Some(READ_SECONDS)).expect("it plays by RTMP");
    assert_is_what_was_published(&read, &published);
}

#[test]
fn what_ffmpeg_publishes_by_rtmp_plays_by_hls_picture_by_picture() {
    let published = publish(0);
    wait_for_segment(&published.node, &published.stream, "high");
    let read = ffmpeg::decode(&[], &published.stream.hls_url, Some(READ_SECONDS)).expect("it plays by HLS");
    assert_is_what_was_published(&read, &published);
    // The HLS port serves it too, under the path that is documented.
    let port = format!("http://{}/live/{}.m3u8", published.node.hls(), published.stream.playback_id);
    let probed = ffmpeg::probe(&["-read_intervals", "%+2"], &port).expect("the HLS port serves it");
    assert_eq!(ffmpeg::stream(&probed, "video")["codec_name"], "h264");
    assert_eq!(ffmpeg::stream(&probed, "audio")["codec_name"], "aac");
}

#[test]
fn a_stream_whose_timestamps_need_more_than_24_bits_plays_by_hls() {
    // 16 790 s are 16 790 000 ms, above the 16 777 215 that a chunk's own field holds.
    let published = publish(16_790);
    wait_for_segment(&published.node, &published.stream, "high");
    let read = ffmpeg::decode(&[], &published.stream.hls_url, Some(READ_SECONDS)).expect("it plays by HLS");
    assert_is_what_was_published(&read, &published);
}

#[test]
fn a_stream_ends_for_its_viewers_when_its_publisher_ends() {
    let mut published = publish(0);
    wait_for_renditions(&published.node, &published.stream, 1);
    // It has no time limit of its own: only the node can tell it of the end.
    let (url, played) =
        (rtmp_play_url(&published.node, &published.stream), published.folder.path().join("played.ts"));
    let copy = ["-c", "copy", "-flush_packets", "1", "-f", "mpegts"].map(OsStr::new);
    let arguments = ["-i".as_ref(), url.as_ref()].into_iter().chain(copy).chain([played.as_os_str()]);
    let mut player = ffmpeg::ffmpeg(arguments).expect("ffmpeg plays");
    let playing = wait_until("a player's first bytes", LIMIT, || {
        played.metadata().ok().filter(|file| file.len() > 0).map(drop)
    });
    playing.unwrap_or_else(|err| panic!("{err}\n{}", player.errors()));
    published.publisher.terminate(LIMIT).expect("ffmpeg ends");
    let ended = wait_until("the end of the stream", LIMIT, || {
        let info = crate::broadcasts::info(&published.node, &published.stream);
        (info.status == api::StreamStatus::Ended).then_some(())
    });
    ended.unwrap_or_else(|err| panic!("{err}\n{}", published.node.log()));
    let status = player.wait(LIMIT).unwrap_or_else(|err| panic!("{err}\n{}", published.node.log()));
    assert!(status.success(), "{status}: {}", player.errors());
}

#[test]
fn a_new_stream_key_cuts_the_publisher_off_that_has_the_old_one_and_the_new_goes_on() {
    let mut published = publish(0);
    let began = wait_for_renditions(&published.node, &published.stream, 1).started_at;
    let path = format!("/api/v1/streams/{}/key", published.stream.playback_id);
    let answer = published.node.post(&path, &[], &[]).expect("the node answers");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let rotated: CreatedStream = serde_json::from_slice(&answer.body).expect("the stream and its new key");
    let status =
        published.publisher.wait(LIMIT).unwrap_or_else(|err| panic!("{err}\n{}", published.node.log()));
    assert!(!status.success(), "{status}: {}", published.publisher.errors());

    let file = published.folder.path().join("sample.mp4");
    let mut again = ffmpeg::publish(&file, &published.stream.rtmp_url, 0).expect("ffmpeg begins");
    assert!(!again.wait(LIMIT).expect("it is refused").success(), "{}", published.node.log());
    let _publisher = ffmpeg::publish(&file, &rotated.rtmp_url, 0).expect("ffmpeg publishes");
    let goes_on = wait_for_renditions(&published.node, &published.stream, 1);
    assert_eq!((goes_on.status, goes_on.started_at), (api::StreamStatus::Live, began));
}
