use std::path::Path;

use media::{
    AudioTrack, Codec, FrameRate, Packet, RenditionName, Size, Timescale, Timestamp, VideoTrack, WallTime,
};
use tickcast_mux::flv::TagKind;
use tickcast_mux::hls::{Answer, File, Origin, OriginConfig, Output, ReloadRequest, TrackName};

use crate::source::{self, Recipe, STUDIO, Source, complaints, probe};

const VIDEO: TrackName = TrackName::Video(RenditionName::High);

/// Key frames every two seconds, as the studio places them.
const ON_THE_GRID: Recipe = Recipe {
    seconds: 9,
    video: &[
        "-profile:v",
        "baseline",
        "-preset",
        "ultrafast",
        "-tune",
        "zerolatency",
        "-g",
        "60",
        "-sc_threshold",
        "0",
    ],
};

fn origin(source: &Source) -> Origin {
    let mut origin = Origin::new(OriginConfig::live("t".into(), WallTime::from_unix_micros(0)));
    let (size, frame_rate) = (Size::new(320, 180), FrameRate::FPS_30);
    let video = VideoTrack {
        codec: Codec::H264,
        rendition: RenditionName::High,
        size,
        frame_rate,
        bitrate_kbps: 500,
    };
    origin.set_video(video, source.avc.clone()).unwrap();
    let config = source.aac.clone();
    let audio = AudioTrack { codec: Codec::Aac, rate: 48_000, channels: 2, bitrate_kbps: 128, config };
    origin.set_audio(audio).unwrap();
    origin
}

fn feed(origin: &mut Origin, source: &Source) -> Vec<Output> {
    let mut outputs = Vec::new();
    for (kind, packet) in &source.packets {
        let track = if *kind == TagKind::Video { VIDEO } else { TrackName::Audio };
        outputs.extend(origin.push(track, packet));
    }
    outputs.extend(origin.finish());
    outputs
}

fn text(answer: Option<Answer>) -> String {
    match answer {
        Some(Answer::Ready(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn bytes(origin: &Origin, name: &str) -> Vec<u8> {
    match origin.file(name) {
        File::Ready(pieces) => pieces.concat(),
        other => panic!("{name}: {other:?}"),
    }
}

/// Writes every file that the playlists name, and the playlists.
fn publish(origin: &Origin, folder: &Path) {
    std::fs::write(folder.join("master.m3u8"), origin.master("").unwrap()).unwrap();
    for track in [VIDEO, TrackName::Audio] {
        let playlist = text(origin.playlist(track, &ReloadRequest::default()));
        let maps =
            playlist.lines().filter_map(|line| line.strip_prefix("#EXT-X-MAP:URI=\"")?.strip_suffix('"'));
        let segments = playlist.lines().filter(|line| !line.starts_with('#'));
        for name in maps.chain(segments) {
            std::fs::write(folder.join(name), bytes(origin, name)).unwrap();
        }
        std::fs::write(folder.join(Origin::playlist_name(track)), playlist).unwrap();
    }
}

#[test]
fn ffmpeg_plays_every_frame_of_a_finished_stream_through_its_playlists() {
    let source = source::source(ON_THE_GRID);
    let mut origin = origin(&source);
    feed(&mut origin, &source);
    let folder = tempfile::tempdir().unwrap();
    publish(&origin, folder.path());
    let master = folder.path().join("master.m3u8");
    let video = probe(&master, "v:0");
    assert_eq!((video.codec.as_str(), video.frames), ("h264", 270));
    let sounds = source.count(TagKind::Audio);
    // The stream may begin with sound from before the first picture.
    assert!((sounds - 1..=sounds).contains(&probe(&master, "a:0").frames));
}

#[test]
fn a_header_and_its_parts_are_a_file_that_plays() {
    for recipe in [STUDIO, ON_THE_GRID] {
        let source = source::source(recipe);
        let mut origin = origin(&source);
        let outputs = feed(&mut origin, &source);
        for (track, stream, init) in
            [(VIDEO, "v:0", "t-high-init0.mp4"), (TrackName::Audio, "a:0", "t-audio-init0.mp4")]
        {
            let mut file = bytes(&origin, init);
            let mut ticks = Timestamp::zero(Timescale::VIDEO);
            for output in &outputs {
                if let Output::Part { track: of, part, .. } = output
                    && *of == track
                {
                    file.extend_from_slice(&part.bytes);
                    ticks = ticks.plus(part.duration);
                }
            }
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("parts.mp4");
            std::fs::write(&path, file).unwrap();
            let probed = probe(&path, stream);
            let kind = if track == VIDEO { TagKind::Video } else { TagKind::Audio };
            assert!(source.count(kind) - probed.frames <= usize::from(kind == TagKind::Audio));
            let frame: f64 = if track == VIDEO { 1.0 / 30.0 } else { 1024.0 / 48_000.0 };
            assert!((ticks.as_secs_f64() - probed.frames as f64 * frame).abs() < 1e-3);
            assert_eq!(complaints(&path), "");
        }
    }
}

#[test]
fn a_part_of_a_picture_that_never_arrived_leaves_time_whole() {
    let mut source = source::source(ON_THE_GRID);
    // The encoder dropped frame 100: nothing before or after it moves.
    let is_dropped = |packet: &Packet| packet.dts == Timestamp::new(300_000, Timescale::VIDEO);
    source.packets.retain(|(kind, packet)| *kind != TagKind::Video || !is_dropped(packet));
    let mut origin = origin(&source);
    feed(&mut origin, &source);
    let playlist = text(origin.playlist(VIDEO, &ReloadRequest::default()));
    let total: f64 = playlist
        .lines()
        .filter_map(|line| line.strip_prefix("#EXTINF:")?.strip_suffix(',')?.parse::<f64>().ok())
        .sum();
    assert!((total - 9.0).abs() < 1e-4, "{total}");
}
