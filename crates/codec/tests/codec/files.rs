use std::f64::consts::TAU;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use media::{FrameRate, PixelFormat, Size, StopSignal, Timestamp};
use proptest::prelude::*;
use tempfile::TempDir;
use tickcast_codec::{FileOptions, FilePiece, FileReader, Need, Repeat};

use crate::pattern::{chroma, luma};

/// Makes a file with the ffmpeg command line: an implementation other than ours of every container here.
fn make(folder: &Path, name: &str, arguments: &str) -> PathBuf {
    let path = folder.join(name);
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-bitexact"])
        .args(arguments.split_whitespace())
        .arg(&path)
        .status()
        .expect("the ffmpeg package is installed");
    assert!(status.success(), "{name}");
    path
}

const FILM: &str = "-f lavfi -i testsrc2=size=320x240:rate=25:duration=2 \
    -f lavfi -i sine=frequency=1000:sample_rate=44100:duration=2 -pix_fmt yuv420p -g 25 -shortest";

fn open(path: &Path) -> FileReader {
    FileReader::open(path, FileOptions::default()).unwrap()
}

#[derive(Default)]
struct Contents {
    pictures: Vec<Timestamp>,
    /// Each block's start and its left channel.
    sound: Vec<(i64, Vec<f64>)>,
}

fn read_pieces(reader: &mut FileReader, limit: usize) -> Contents {
    let mut contents = Contents::default();
    for _ in 0..limit {
        match reader.read().unwrap() {
            Some(FilePiece::Picture(picture)) => contents.pictures.push(picture.timestamp()),
            Some(FilePiece::Sound(block)) => {
                assert_eq!((block.rate, block.channels), (48_000, 2));
                let left = block.samples.iter().step_by(2).map(|&sample| f64::from(sample)).collect();
                contents.sound.push((block.timestamp.ticks(), left));
            }
            None => break,
        }
    }
    contents
}

fn ticks(times: &[Timestamp]) -> Vec<i64> {
    times.iter().map(|time| time.ticks()).collect()
}

#[test]
fn every_picture_and_sample_of_a_film_comes_out_at_its_time() {
    let folder = TempDir::new().unwrap();
    for (name, codecs) in [
        ("film.mp4", "-c:v libx264 -c:a aac -bf 2"),
        ("film.mkv", "-c:v libx264 -c:a libopus -ar 48000"),
        ("film.webm", "-c:v libvpx -deadline realtime -c:a libvorbis"),
        ("film.flv", "-c:v libx264 -c:a aac"),
        ("film.ts", "-c:v libx264 -c:a aac"),
        ("film.avi", "-c:v mjpeg -pix_fmt yuvj420p -c:a pcm_s16le"),
    ] {
        let path = make(folder.path(), name, &format!("{FILM} {codecs}"));
        let mut reader = open(&path);
        let info = reader.info().clone();
        let video = info.video.unwrap();
        assert_eq!((video.size, video.frame_rate), (Size::new(320, 240), FrameRate::new(25, 1)), "{name}");
        assert!(info.duration.is_none_or(|time| (time.as_secs_f64() - 2.0).abs() < 0.1), "{name}");
        assert!(info.sound.is_some() && !info.is_still);
        let contents = read_pieces(&mut reader, 1000);
        assert_eq!(contents.pictures.len(), 50, "{name}");
        // Containers with a clock of milliseconds round by up to 45 ticks; MPEG-TS and FLV start where sound does.
        let first = contents.pictures[0].ticks();
        assert!((0..90 * 50).contains(&first), "{name} begins at {first}");
        for (index, time) in contents.pictures.iter().enumerate() {
            let wanted = first + index as i64 * 3600;
            assert!(time.ticks().abs_diff(wanted) <= 90, "{name}: picture {index} at {time:?}");
        }
        let samples: usize = contents.sound.iter().map(|(_, left)| left.len()).sum();
        assert!(samples.abs_diff(96_000) < 3000, "{name} has {samples} samples");
        for pair in contents.sound.windows(2) {
            assert_eq!(pair[1].0, pair[0].0 + pair[0].1.len() as i64, "{name}: sound is gapless");
        }
        // The sine source has an amplitude of 1/8.
        let all: Vec<f64> = contents.sound.into_iter().flat_map(|(_, left)| left).collect();
        let middle = &all[24_000..72_000];
        let sum = |wave: fn(f64) -> f64| -> f64 {
            middle.iter().enumerate().map(|(n, s)| s * wave(TAU * n as f64 / 48.0)).sum()
        };
        let amplitude = f64::hypot(sum(f64::cos), sum(f64::sin)) * 2.0 / middle.len() as f64;
        assert!((amplitude - 0.125).abs() < 0.01, "{name}: {amplitude}");
        assert_eq!(reader.damaged(), 0, "{name}");
        assert!(reader.read().unwrap().is_none(), "it stays over");
    }
}

#[test]
fn a_film_on_repeat_goes_on_without_a_jump_in_time() {
    let folder = TempDir::new().unwrap();
    for (name, codecs) in [("film.mp4", "-c:v libx264 -c:a aac"), ("film.mkv", "-c:v libx264 -an")] {
        let path = make(folder.path(), name, &format!("{FILM} {codecs}"));
        let options = FileOptions { repeat: Repeat::Forever, sound: Need::Skip, ..Default::default() };
        let mut reader = FileReader::open(&path, options).unwrap();
        let times = ticks(&read_pieces(&mut reader, 170).pictures);
        assert_eq!(times.len(), 170, "three rounds of 50 and a part of the fourth");
        for pair in times.windows(2) {
            let step = pair[1] - pair[0];
            assert!(step.abs_diff(3600) <= 90, "{name}: {pair:?}");
        }
    }
}

#[test]
fn a_still_is_one_picture_in_its_own_colours_even_on_repeat() {
    let folder = TempDir::new().unwrap();
    for (name, colour) in
        [("red.png", "red@0.5"), ("red.jpg", "red"), ("red.bmp", "red"), ("red.webp", "red")]
    {
        let source = format!("-f lavfi -i color={colour}:size=60x40,format=rgba -frames:v 1");
        let path = make(folder.path(), name, &source);
        let options = FileOptions { repeat: Repeat::Forever, ..Default::default() };
        let mut reader = FileReader::open(&path, options).unwrap();
        assert!(reader.info().is_still && reader.info().duration.is_none(), "{name}");
        let Some(FilePiece::Picture(picture)) = reader.read().unwrap() else { panic!("{name}: no picture") };
        assert_eq!((picture.size(), picture.timestamp().ticks()), (Size::new(60, 40), 0));
        if let PixelFormat::Rgba8 | PixelFormat::Bgra8 = picture.format() {
            let alpha = if name == "red.png" { 127..=128 } else { 255..=255 };
            let mut pixel = picture.plane(0).0[..4].to_vec();
            if picture.format() == PixelFormat::Bgra8 {
                pixel.swap(0, 2);
            }
            assert!(pixel[0] >= 253 && pixel[1] <= 1 && pixel[2] <= 1, "{name}: {pixel:?}");
            assert!(alpha.contains(&pixel[3]), "{name}: {pixel:?}");
        } else {
            // JPEG: BT.601 in full range (JFIF), where red is 76, 85, 255.
            let (blue, red) = chroma(&picture);
            let near = |found: u8, wanted: u8| found.abs_diff(wanted) <= 3;
            let found = (luma(&picture)[0], blue[0], red[0]);
            let ok = match picture.range() {
                media::ColorRange::Full => near(found.0, 76) && near(found.1, 85) && near(found.2, 255),
                media::ColorRange::Limited => near(found.0, 81) && near(found.1, 90) && near(found.2, 240),
            };
            assert!(ok, "{name}: {found:?} {:?}", picture.range());
        }
        assert!(reader.read().unwrap().is_none(), "{name}");
    }
}

#[test]
fn a_song_has_sound_alone() {
    let folder = TempDir::new().unwrap();
    let path = make(folder.path(), "song.wav", "-f lavfi -i sine=sample_rate=44100:duration=1 -ac 1");
    let mut reader = open(&path);
    let sound = reader.info().sound.clone().unwrap();
    assert_eq!((sound.rate, sound.channels, reader.info().video.is_none()), (44_100, 1, true));
    let samples: usize = read_pieces(&mut reader, 1000).sound.iter().map(|(_, left)| left.len()).sum();
    assert!((47_900..=48_000).contains(&samples), "{samples}");
    let options = FileOptions { pictures: Need::Required, ..Default::default() };
    let err = FileReader::open(&path, options).unwrap_err();
    assert_eq!((err.code(), err.to_string().as_str()), ("file_no_stream", "the file contains no video"));
}

#[test]
fn what_is_no_film_is_refused_with_the_reason() {
    let folder = TempDir::new().unwrap();
    let code = |path: &Path| FileReader::open(path, FileOptions::default()).unwrap_err().code();
    assert_eq!(code(&folder.path().join("none.mp4")), "file_not_found");
    assert_eq!(code(folder.path()), "file_not_a_file");
    // To open a pipe without a writer would wait for ever.
    let pipe = folder.path().join("pipe.mp4");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_eq!(code(&pipe), "file_not_a_file");
    for (name, text) in
        [("empty.mp4", ""), ("text.mp4", "This is no film."), ("zeros.mp4", "\0\0\0\0\0\0\0\0")]
    {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        assert_eq!(code(&path), "file_unknown_format", "{name}");
    }
    // A playlist may name any file or address: it is not followed.
    let part = make(folder.path(), "part.ts", &format!("{FILM} -c:v libx264"));
    let playlist = folder.path().join("list.m3u8");
    let list = format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n", part.display());
    std::fs::write(&playlist, list).unwrap();
    assert_eq!(code(&playlist), "file_unknown_format");
    // Nor is a description of a session, which would open sockets.
    let session = folder.path().join("session.sdp");
    let text = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n\
        m=video 50000 RTP/AVP 96\na=rtpmap:96 H264/90000\n";
    std::fs::write(&session, text).unwrap();
    assert_eq!(code(&session), "file_unknown_format");
}

#[test]
fn a_codec_that_nobody_knows_is_named() {
    let folder = TempDir::new().unwrap();
    let path = make(folder.path(), "film.mkv", &format!("{FILM} -c:v libx264 -an"));
    let mut bytes = std::fs::read(&path).unwrap();
    let id = b"V_MPEG4/ISO/AVC";
    let at = bytes.windows(id.len()).position(|window| window == id).unwrap();
    bytes[at..at + id.len()].copy_from_slice(b"V_MAGIC/ISO/XYZ");
    let err = FileReader::from_reader(Cursor::new(bytes), FileOptions::default()).unwrap_err();
    assert_eq!(err.code(), "file_unsupported_codec", "{err}");
}

/// Sets the signal after some reads, and would go on for ever.
struct Endless {
    film: Cursor<Vec<u8>>,
    reads_left: u32,
    stop: StopSignal,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.reads_left.checked_sub(1) {
            Some(left) => self.reads_left = left,
            None => self.stop.set(),
        }
        match self.film.read(buffer)? {
            0 => {
                self.film.set_position(0);
                self.film.read(buffer)
            }
            read => Ok(read),
        }
    }
}

impl Seek for Endless {
    fn seek(&mut self, _: SeekFrom) -> std::io::Result<u64> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

#[test]
fn a_file_without_an_end_can_be_given_up() {
    let folder = TempDir::new().unwrap();
    let path = make(folder.path(), "film.ts", &format!("{FILM} -c:v libx264 -c:a aac"));
    let bytes = std::fs::read(&path).unwrap();
    for reads_left in [0, 1, 3, 40] {
        let stop = StopSignal::new();
        let film = Cursor::new(bytes.clone());
        let input = Endless { film, reads_left, stop: stop.clone() };
        let options = FileOptions { stop, ..Default::default() };
        let err = match FileReader::from_reader(input, options) {
            Err(err) => err,
            Ok(mut reader) => loop {
                if let Err(err) = reader.read() {
                    break err;
                }
            },
        };
        assert_eq!(err.code(), "file_cancelled", "after {reads_left} reads");
    }
}

#[test]
fn a_film_whose_header_never_ends_can_be_given_up() {
    // ISO/IEC 14496-12 §4.2: boxes of a length and a type; "free" ones are skipped, however many there are.
    let mut header = b"\0\0\0\x10ftypisom\0\0\x02\0".to_vec();
    header.extend(b"\0\0\0\x08free".repeat(1000));
    let stop = StopSignal::new();
    let input = Endless { film: Cursor::new(header), reads_left: 2000, stop: stop.clone() };
    let options = FileOptions { stop, ..Default::default() };
    assert_eq!(FileReader::from_reader(input, options).unwrap_err().code(), "file_cancelled");
}

/// Small films of one container each, to be damaged.
static FILMS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder = TempDir::new().unwrap();
    let source = "-f lavfi -i testsrc2=size=64x48:rate=25:duration=0.4 -f lavfi -i sine=duration=0.4 \
        -pix_fmt yuv420p";
    [
        ("a.mp4", "-c:v libx264 -c:a aac"),
        ("a.mkv", "-c:v libx264 -c:a libopus"),
        ("a.flv", "-c:v libx264 -c:a aac -ar 44100"),
        ("a.ts", "-c:v libx264 -c:a aac"),
        ("a.wav", "-vn"),
        ("a.png", "-an -frames:v 1"),
        ("a.gif", "-an -pix_fmt rgb8"),
    ]
    .map(|(name, codecs)| std::fs::read(make(folder.path(), name, &format!("{source} {codecs}"))).unwrap())
    .to_vec()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_damaged_film_ends_in_pieces_or_an_error_and_never_in_a_panic(
        film in 0usize..7,
        flips in prop::collection::vec((0.0..1.0f64, 1u8..), 0..40),
        keep in 0.05..=1.0f64,
        forever: bool,
    ) {
        let whole = &FILMS[film];
        let mut bytes = whole[..(whole.len() as f64 * keep) as usize].to_vec();
        for (place, mask) in flips {
            let index = (place * bytes.len() as f64) as usize;
            bytes[index] ^= mask;
        }
        let repeat = if forever { Repeat::Forever } else { Repeat::Once };
        let options = FileOptions { repeat, ..Default::default() };
        if let Ok(mut reader) = FileReader::from_reader(Cursor::new(bytes), options) {
            // The whole film has fewer than a hundred pieces; on repeat it may go on.
            for _ in 0..300 {
                if !matches!(reader.read(), Ok(Some(_))) {
                    break;
                }
            }
        }
    }
}
