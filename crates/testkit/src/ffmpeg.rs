//! ffmpeg and ffprobe as peers: sample media, publishers, readers, and what they say of a file.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::logged_child::LoggedChild;
use crate::process::SetupError;

/// A command that ends by itself gets this long.
const LIMIT: Duration = Duration::from_secs(120);

/// Starts ffmpeg with errors alone on its standard error.
pub fn ffmpeg<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Result<LoggedChild, SetupError> {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-nostdin", "-v", "error", "-y"]).args(arguments);
    LoggedChild::spawn("ffmpeg", &mut command)
}

/// Runs ffmpeg to its end; its complaint where it ends with another status than 0.
pub fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Result<(), SetupError> {
    let mut child = ffmpeg(arguments)?;
    if child.wait(LIMIT)?.success() {
        return Ok(());
    }
    Err(SetupError::Ended { what: "ffmpeg".into(), output: child.errors() })
}

/// A moving picture of 640×360 at 30 frames a second with a tone, for so many seconds: H.264 Constrained
/// Baseline with a key frame each 2 s, AAC at 48 kHz in stereo.
pub fn sample(path: &Path, seconds: u32) -> Result<(), SetupError> {
    let seconds = seconds.to_string();
    let arguments = [
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=640x360:rate=30",
        "-f",
        "lavfi",
        "-i",
        "sine=frequency=440:sample_rate=48000",
        "-t",
        &seconds,
        "-c:v",
        "libx264",
        "-profile:v",
        "baseline",
        "-pix_fmt",
        "yuv420p",
        "-preset",
        "ultrafast",
        "-tune",
        "zerolatency",
        "-b:v",
        "600k",
        "-g",
        "60",
        "-keyint_min",
        "60",
        "-sc_threshold",
        "0",
        "-c:a",
        "aac",
        "-b:a",
        "96k",
        "-ac",
        "2",
    ];
    run(arguments.iter().map(OsStr::new).chain([path.as_os_str()]))
}

/// Publishes a file to an RTMP address as it is, in real time, with its times moved by `offset_seconds`.
pub fn publish(file: &Path, url: &str, offset_seconds: u32) -> Result<LoggedChild, SetupError> {
    let offset = offset_seconds.to_string();
    let file = file.to_string_lossy();
    ffmpeg(["-readrate", "1", "-i", &*file, "-c", "copy", "-output_ts_offset", &offset, "-f", "flv", url])
}

/// What was decoded of an address or a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// A hash of each picture, in order.
    pub pictures: Vec<String>,
    /// Samples of sound, of one channel.
    pub samples: u64,
}

impl Decoded {
    /// Whether its pictures are a run of `source`'s, without a gap, a repetition or a changed pixel.
    pub fn is_run_of(&self, source: &Self) -> bool {
        !self.pictures.is_empty()
            && source.pictures.windows(self.pictures.len()).any(|window| window == self.pictures)
    }
}

/// Decodes `input` and hashes every picture; at most `seconds` of it where given. `options` stand before
/// the input.
pub fn decode(options: &[&str], input: &str, seconds: Option<u32>) -> Result<Decoded, SetupError> {
    let folder = tempfile::tempdir()
        .map_err(|source| SetupError::File { what: "no folder for the hashes".into(), source })?;
    let list = folder.path().join("hashes");
    let seconds = seconds.map(|seconds| seconds.to_string());
    let limit = seconds.iter().flat_map(|seconds| ["-t", seconds]);
    let streams = ["-map", "0:v:0", "-map", "0:a:0", "-pix_fmt", "yuv420p", "-c:a", "pcm_s16le", "-vsync"];
    let arguments = options.iter().copied().chain(["-i", input]).chain(limit).chain(streams);
    let arguments = arguments.chain(["passthrough", "-f", "framemd5"]);
    run(arguments.map(OsStr::new).chain([list.as_os_str()]))?;
    let text = std::fs::read_to_string(&list)
        .map_err(|source| SetupError::File { what: "the hashes".into(), source })?;
    Ok(hashes(&text))
}

/// Lines of the framemd5 muxer: stream, dts, pts, duration, size, hash.
fn hashes(text: &str) -> Decoded {
    let mut decoded = Decoded::default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        match fields[..] {
            ["0", .., hash] => decoded.pictures.push(hash.to_owned()),
            ["1", _, _, duration, ..] => decoded.samples += duration.parse::<u64>().unwrap_or(0),
            _ => {}
        }
    }
    decoded
}

/// The luma planes of every picture of `input`, scaled to nothing: `width × height` bytes each.
pub fn luma(input: &Path) -> Result<Vec<u8>, SetupError> {
    let folder = tempfile::tempdir()
        .map_err(|source| SetupError::File { what: "no folder for the pictures".into(), source })?;
    let raw = folder.path().join("luma");
    let arguments = ["-i".as_ref(), input.as_os_str(), "-map".as_ref(), "0:v:0".as_ref()];
    let format = ["-vsync", "passthrough", "-pix_fmt", "gray", "-f", "rawvideo"].map(OsStr::new);
    run(arguments.into_iter().chain(format).chain([raw.as_os_str()]))?;
    std::fs::read(&raw).map_err(|source| SetupError::File { what: "the pictures".into(), source })
}

/// What ffprobe says of `input` as JSON: `streams` with packets counted, and `format`. Its complaints are an
/// error, also where it ends with 0.
pub fn probe(options: &[&str], input: &str) -> Result<Value, SetupError> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-count_packets", "-show_streams", "-show_format", "-of", "json"]);
    let output = command.args(options).arg(input).output();
    let output = output.map_err(|source| SetupError::Program { program: "ffprobe".into(), source })?;
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    match serde_json::from_slice(&output.stdout) {
        Ok(value) if output.status.success() && complaints.trim().is_empty() => Ok(value),
        _ => Err(SetupError::Ended { what: format!("ffprobe of {input}"), output: complaints }),
    }
}

/// The stream of a kind (`video`, `audio`) in what [`probe`] gave; null where there is none.
pub fn stream<'a>(probed: &'a Value, kind: &str) -> &'a Value {
    let streams = probed["streams"].as_array().map(Vec::as_slice).unwrap_or_default();
    streams.iter().find(|stream| stream["codec_type"] == kind).unwrap_or(&Value::Null)
}

/// How many packets [`probe`] counted in the stream of a kind.
pub fn packets(probed: &Value, kind: &str) -> u64 {
    stream(probed, kind)["nb_read_packets"].as_str().and_then(|count| count.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pictures(names: &[&str]) -> Decoded {
        Decoded { pictures: names.iter().map(|name| (*name).to_owned()).collect(), samples: 0 }
    }

    #[test]
    fn hashes_and_samples_are_read_from_the_muxers_lines() {
        let text = "#format: frame checksums\n0, 0, 0, 1, 345600, aa\n1, 0, 0, 1024, 4096, bb\n\
                    0, 1, 1, 1, 345600, cc\n1, 1024, 1024, 960, 3840, dd\n";
        assert_eq!(hashes(text), Decoded { samples: 1984, ..pictures(&["aa", "cc"]) });
    }

    #[test]
    fn a_gap_is_no_run() {
        let source = pictures(&["a", "b", "c", "d"]);
        assert!(pictures(&["b", "c"]).is_run_of(&source));
        assert!(!pictures(&["b", "d"]).is_run_of(&source));
        assert!(!pictures(&[]).is_run_of(&source));
    }
}
