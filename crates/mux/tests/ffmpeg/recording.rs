use std::io::{Cursor, ErrorKind, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::process::Command;

use media::{Packet, Timescale, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tempfile::TempDir;
use tickcast_mux::flv::TagKind;
use tickcast_mux::fmp4::{FragmentedWriter, Mp4Error, TrackConfig, Tracks, finalise};
use tickcast_mux::opus::{OpusHead, packet_samples};

use crate::source::{self, STUDIO, Source, WITH_B_FRAMES, complaints, probe};

/// A file whose writer is killed after so many bytes, wherever they went.
struct Killed {
    file: Cursor<Vec<u8>>,
    left: usize,
}

impl Write for Killed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let taken = bytes.len().min(self.left);
        if taken == 0 {
            return Err(ErrorKind::BrokenPipe.into());
        }
        self.left -= taken;
        self.file.write(&bytes[..taken])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seek for Killed {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}

/// What is in the file once `bytes` were written.
fn record_until(source: &Source, bytes: usize) -> Vec<u8> {
    let mut killed = Killed { file: Cursor::new(Vec::new()), left: bytes };
    if let Ok(mut writer) = FragmentedWriter::new(&mut killed, source.tracks()) {
        for (kind, packet) in &source.packets {
            let written = match kind {
                TagKind::Video => writer.write_video(packet),
                _ => writer.write_audio(packet),
            };
            if written.is_err() {
                break;
            }
        }
    }
    killed.file.into_inner()
}

fn record(source: &Source) -> Vec<u8> {
    let mut writer = FragmentedWriter::new(Cursor::new(Vec::new()), source.tracks()).unwrap();
    for (kind, packet) in &source.packets {
        match kind {
            TagKind::Video => writer.write_video(packet).unwrap(),
            _ => writer.write_audio(packet).unwrap(),
        }
    }
    let bytes_written = writer.bytes_written();
    let out = writer.finish().unwrap();
    assert!(out.position() > bytes_written);
    assert_eq!(out.position(), out.get_ref().len() as u64);
    out.into_inner()
}

fn written(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording.mp4");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn finalised(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    finalise(Cursor::new(bytes), &mut out).unwrap();
    out
}

#[test]
fn a_recording_holds_every_frame_before_and_after_finalising() {
    for recipe in [STUDIO, WITH_B_FRAMES] {
        let source = source::source(recipe);
        let sounds = source.count(TagKind::Audio);
        let recording = record(&source);
        for bytes in [recording.clone(), finalised(&recording)] {
            let (_folder, path) = written(&bytes);
            let (video, audio) = (probe(&path, "v:0"), probe(&path, "a:0"));
            assert_eq!((video.codec.as_str(), video.frames), ("h264", 180));
            assert_eq!((audio.codec.as_str(), audio.frames), ("aac", sounds));
            assert!((video.duration - 6.0).abs() < 0.04, "{video:?}");
            assert!((audio.duration - sounds as f64 * 1024.0 / 48_000.0).abs() < 0.03, "{audio:?}");
            // With B-frames the first picture is shown two frames after it is decoded.
            let first = source.packets.iter().find(|(kind, _)| *kind == TagKind::Video).unwrap();
            let shown = first.1.pts.as_secs_f64();
            assert!((video.start - audio.start - shown).abs() < 0.002, "{video:?} {audio:?} {shown}");
            assert_eq!(complaints(&path), "");
        }
    }
}

/// Where each fragment of a whole file begins, and how long its header is.
fn fragments(recording: &[u8]) -> Vec<(usize, usize)> {
    let (mut at, mut found) = (0, Vec::new());
    while let Some((length, kind)) = recording.get(at..at + 8).map(|header| header.split_at(4)) {
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        if kind == b"moof" {
            found.push((at, length));
        }
        at += length;
    }
    found
}

#[test]
fn a_recording_whose_writer_is_killed_anywhere_plays_up_to_its_last_whole_fragment() {
    let source = source::source(STUDIO);
    let recording = record(&source);
    let fragments = fragments(&recording);
    for (number, &(at, header)) in fragments.iter().enumerate().skip(2).step_by(3) {
        // Each fragment before took four bytes more, those that made it one.
        let before = at + 4 * number;
        let body = fragments.get(number + 1).map_or(recording.len(), |next| next.0) - at;
        for within in [1, 5, 9, header / 2, header - 1, header + 4, header + body / 2, body, body + 3] {
            let torn = record_until(&source, before + within);
            let what = format!("fragment {number}, {within} bytes of {body}");
            let mut plain = Vec::new();
            let summary = finalise(Cursor::new(&torn), &mut plain).unwrap();
            assert_eq!(summary.fragments as usize, number, "{what}");
            let (_folder, path) = written(&plain);
            let video = probe(&path, "v:0").frames;
            assert_eq!((video, complaints(&path).as_str()), (15 * number, ""), "{what}");
            // What the finalised file holds is what a player finds in the torn one too.
            let (_folder, path) = written(&torn);
            assert_eq!(probe(&path, "v:0").frames, video, "{what}");
        }
    }
}

#[test]
fn every_cut_is_finalised_or_refused() {
    let recording = record(&source::source(STUDIO));
    let mut last = 0;
    for cut in (0..recording.len()).step_by(997) {
        match finalise(Cursor::new(&recording[..cut]), Vec::new()) {
            Ok(summary) => {
                assert!(summary.samples >= last);
                last = summary.samples;
            }
            Err(Mp4Error::NotFragmented(_) | Mp4Error::Empty) => assert_eq!(last, 0),
            Err(Mp4Error::Io(err)) => panic!("{err}"),
        }
    }
    assert!(last > 0);
}

#[test]
fn opus_is_recorded_with_its_header() {
    let packets = source::opus_packets();
    let head = OpusHead::parse(&packets[0]).unwrap();
    let tracks = Tracks { video: None, audio: Some(TrackConfig::Opus(head)) };
    let mut writer = FragmentedWriter::new(Cursor::new(Vec::new()), tracks).unwrap();
    let mut at = Timestamp::zero(Timescale::AUDIO);
    // The second packet holds tags.
    for payload in &packets[2..] {
        let duration_ticks = packet_samples(payload).unwrap();
        let packet = Packet { pts: at, dts: at, duration_ticks, key: true, payload: payload.clone() };
        writer.write_audio(&packet).unwrap();
        at = at.plus(Timestamp::new(duration_ticks.into(), Timescale::AUDIO));
    }
    let recording = writer.finish().unwrap().into_inner();
    for bytes in [recording.clone(), finalised(&recording)] {
        let (_folder, path) = written(&bytes);
        let audio = probe(&path, "a:0");
        assert_eq!((audio.codec.as_str(), audio.frames), ("opus", packets.len() - 2));
        assert!((audio.duration - at.as_secs_f64()).abs() < 0.02, "{audio:?}");
        assert_eq!(complaints(&path), "");
    }
}

#[test]
fn a_fragmented_file_of_ffmpegs_is_finalised_too() {
    let folder = tempfile::tempdir().unwrap();
    let (flv, fragmented) = (folder.path().join("a.flv"), folder.path().join("a.mp4"));
    source::make_flv(WITH_B_FRAMES, &flv);
    for flags in ["frag_keyframe+empty_moov+default_base_moof", "frag_keyframe+empty_moov+omit_tfhd_offset"] {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-y", "-i"]).arg(&flv).args(["-c", "copy", "-movflags", flags]);
        source::run(command.arg(&fragmented));
        let expected = (probe(&fragmented, "v:0").frames, probe(&fragmented, "a:0").frames);
        assert_eq!(expected.0, 180);
        let (_folder, path) = written(&finalised(&std::fs::read(&fragmented).unwrap()));
        assert_eq!((probe(&path, "v:0").frames, probe(&path, "a:0").frames), expected);
        assert_eq!(complaints(&path), "");
    }
}

#[test]
fn a_finalised_recording_lists_its_key_frames() {
    let source = source::source(STUDIO);
    let plain = finalised(&record(&source));
    // ISO/IEC 14496-12 §8.6.2: type, version with flags, count. (ffprobe looks into the pictures instead.)
    let table = plain.windows(4).position(|four| four == b"stss").unwrap();
    let count = u32::from_be_bytes(plain[table + 8..table + 12].try_into().unwrap());
    let keys = source.packets.iter().filter(|(kind, packet)| *kind == TagKind::Video && packet.key).count();
    assert_eq!(count as usize, keys);
}

#[test]
fn a_fragment_that_points_outside_its_data_ends_the_recording_there() {
    let mut recording = record(&source::source(STUDIO));
    let whole = finalise(Cursor::new(&recording), Vec::new()).unwrap();
    // The data offset follows type, version with flags, and count.
    let run = recording.windows(4).rposition(|four| four == b"trun").unwrap();
    recording[run + 12..run + 16].copy_from_slice(&0u32.to_be_bytes());
    let summary = finalise(Cursor::new(&recording), Vec::new()).unwrap();
    assert_eq!(summary.fragments, whole.fragments - 1);
    assert!(summary.bytes_ignored > 0);
}

#[test]
fn a_finalised_recording_is_not_finalised_again() {
    let plain = finalised(&record(&source::source(STUDIO)));
    assert!(matches!(finalise(Cursor::new(plain), Vec::new()), Err(Mp4Error::NotFragmented(_))));
}

#[test]
fn a_mutated_recording_never_panics() {
    let recording = record(&source::source(STUDIO));
    let bytes = prop::collection::vec((0..recording.len(), any::<u8>()), 1..20);
    let mut runner = TestRunner::new(ProptestConfig { failure_persistence: None, ..Default::default() });
    runner
        .run(&bytes, |changes| {
            let mut damaged = recording.clone();
            // Half of the damage goes where the headers are.
            for (index, (at, value)) in changes.into_iter().enumerate() {
                damaged[if index % 2 == 0 { at % 1_500 } else { at }] = value;
            }
            let mut out = Vec::new();
            if let Ok(summary) = finalise(Cursor::new(&damaged), &mut out) {
                prop_assert!(summary.bytes_ignored <= damaged.len() as u64);
                prop_assert!(out.len() < 2 * damaged.len() + (1 << 20));
            }
            Ok(())
        })
        .unwrap();
}
