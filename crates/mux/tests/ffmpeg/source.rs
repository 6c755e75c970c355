//! Test media made by the ffmpeg command line, and what ffprobe counts in ours.

use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use media::{Packet, Timescale, Timestamp};
use tickcast_mux::flv::{AudioBody, FlvReader, TagKind, VideoBody};
use tickcast_mux::fmp4::{TrackConfig, Tracks};
use tickcast_mux::h264::AvcConfig;

/// What ffmpeg was asked to make.
#[derive(Clone, Copy)]
pub struct Recipe {
    pub seconds: u32,
    /// Arguments for the video encoder, besides its name and size.
    pub video: &'static [&'static str],
}

/// Constrained Baseline with a key frame every second, as the studio's encoders make it.
pub const STUDIO: Recipe = Recipe {
    seconds: 6,
    video: &["-profile:v", "baseline", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30"],
};
/// High profile with B-frames, as others publish.
pub const WITH_B_FRAMES: Recipe =
    Recipe { seconds: 6, video: &["-profile:v", "high", "-preset", "veryfast", "-bf", "2", "-g", "60"] };

/// Video at 30 fps and AAC at 48 kHz, as packets in the order in which they would arrive.
pub struct Source {
    pub avc: AvcConfig,
    pub aac: Bytes,
    pub packets: Vec<(TagKind, Packet)>,
}

impl Source {
    pub fn tracks(&self) -> Tracks {
        Tracks {
            video: Some(TrackConfig::h264(self.avc.clone()).unwrap()),
            audio: Some(TrackConfig::aac(self.aac.clone()).unwrap()),
        }
    }

    pub fn count(&self, kind: TagKind) -> usize {
        self.packets.iter().filter(|(found, _)| *found == kind).count()
    }
}

pub fn run(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).output().expect("ffmpeg and ffprobe are installed");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

pub fn make_flv(recipe: Recipe, path: &Path) {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30"]);
    command.args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-ac", "2"]);
    command.args(["-pix_fmt", "yuv420p", "-c:v", "libx264"]).args(recipe.video);
    command.args(["-c:a", "aac", "-t", &recipe.seconds.to_string(), "-f", "flv"]).arg(path);
    run(&mut command);
}

/// Reads what ffmpeg made with our FLV reader; frame times are made exact, since FLV rounds them to
/// milliseconds.
pub fn source(recipe: Recipe) -> Source {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("source.flv");
    make_flv(recipe, &path);
    read_flv(&std::fs::read(&path).unwrap())
}

pub fn read_flv(bytes: &[u8]) -> Source {
    let mut reader = FlvReader::new();
    reader.push(bytes);
    let (mut avc, mut aac, mut packets) = (None, None, Vec::new());
    let (mut frames, mut sounds) = (0, 0);
    while let Some(tag) = reader.next_tag().unwrap() {
        match tag.kind {
            TagKind::Video => match VideoBody::parse(tag.body.clone()).unwrap() {
                VideoBody::SequenceHeader { config } => avc = Some(AvcConfig::parse(&config).unwrap()),
                body @ VideoBody::Frame { key, composition_ms, .. } => {
                    let dts = Timestamp::new(frames * 3000, Timescale::VIDEO);
                    let late = (f64::from(composition_ms) * 30.0 / 1000.0).round() as i64 * 3000;
                    let payload = body.annex_b(avc.as_ref().unwrap()).unwrap().unwrap();
                    let pts = dts.plus(Timestamp::new(late, Timescale::VIDEO));
                    packets.push((tag.kind, Packet { pts, dts, duration_ticks: 3000, key, payload }));
                    frames += 1;
                }
                VideoBody::EndOfSequence | VideoBody::Ignored => {}
            },
            TagKind::Audio => match AudioBody::parse(tag.body.clone()).unwrap() {
                AudioBody::SequenceHeader { config, .. } => aac = Some(config),
                AudioBody::Frame { frame: payload, .. } => {
                    let dts = Timestamp::new(sounds * 1024, Timescale::AUDIO);
                    packets
                        .push((tag.kind, Packet { pts: dts, dts, duration_ticks: 1024, key: true, payload }));
                    sounds += 1;
                }
                AudioBody::Ignored => {}
            },
            TagKind::Script => {}
        }
    }
    Source { avc: avc.unwrap(), aac: aac.unwrap(), packets }
}

/// What ffprobe decoded of one stream, counted frame by frame.
#[derive(Debug, PartialEq)]
pub struct Probed {
    pub codec: String,
    /// Frames that were decoded.
    pub frames: usize,
    pub start: f64,
    /// Of the container; 0 where it says none.
    pub duration: f64,
}

pub fn probe(path: &Path, stream: &str) -> Probed {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-count_frames", "-select_streams", stream]);
    command.args(["-show_entries", "stream=codec_name,nb_read_frames,start_time,duration"]);
    command.args(["-of", "default=noprint_wrappers=1"]).arg(path);
    let text = String::from_utf8(run(&mut command)).unwrap();
    let field = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or("0").to_owned()
    };
    Probed {
        codec: field("codec_name"),
        frames: field("nb_read_frames").parse().unwrap_or(0),
        start: field("start_time").parse().unwrap_or(0.0),
        duration: field("duration").parse().unwrap_or(0.0),
    }
}

/// Decodes everything and returns what ffmpeg complained about.
pub fn complaints(path: &Path) -> String {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "warning", "-i"]).arg(path).args(["-f", "null", "-"]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Two seconds of Opus, taken out of the Ogg pages that ffmpeg makes: header, tags, then sound (RFC 3533 §6).
pub fn opus_packets() -> Vec<Bytes> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-f", "lavfi", "-i", "sine=sample_rate=48000:duration=2", "-ac", "2"]);
    let ogg = run(command.args(["-c:a", "libopus", "-f", "ogg", "-"]));
    let (mut rest, mut packets, mut packet) = (ogg.as_slice(), Vec::new(), Vec::new());
    while let Some(page) = rest.strip_prefix(b"OggS") {
        let segments = usize::from(page[22]);
        let (lacing, mut data) = page[23..].split_at(segments);
        for &length in lacing {
            let (piece, tail) = data.split_at(length.into());
            packet.extend_from_slice(piece);
            data = tail;
            if length < 255 {
                packets.push(Bytes::from(std::mem::take(&mut packet)));
            }
        }
        rest = data;
    }
    packets
}
