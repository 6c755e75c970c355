//! The 720p ladder beside FFmpeg's command line at the same settings, from the same raw file, in turns: the whole
//! chain (compose to four sizes, encode each), and each rendition's encoder alone.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use compose::scene::Fit;
use compose::{CompositorConfig, CpuCompositor, Isa, Layer, Scene};
use media::{FrameRate, Ladder, Picture, Rendition, Size, Timescale};
use row::{Better, Row, median};
use tickcast_codec::{EncoderChoice, KeyRequest, Scaler, VideoEncoder, VideoEncoderConfig};

#[path = "../tests/codec/pattern.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod pattern;
#[path = "../../xtask/src/bench/row.rs"]
mod row;

const PROGRAMME: Size = Size::new(1280, 720);
const FRAMES: u64 = 240;
/// A key frame every two seconds.
const KEY_FRAMES: u64 = 60;
const ROUNDS: usize = 5;
/// As many as the studio's encoders have waiting.
const QUEUE: usize = 2;
const PEER: &str = "ffmpeg's command line";

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What a run took.
#[derive(Clone, Copy)]
struct Taken {
    seconds: f64,
    cpu_seconds: f64,
    bytes: u64,
}

fn main() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("tickcast-ladder-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let rows = measure(&folder);
    let _ = std::fs::remove_dir_all(&folder);
    rows?.iter().for_each(|row| println!("{}", row.to_line()));
    Ok(())
}

fn measure(folder: &Path) -> Result<Vec<Row>> {
    let ladder = Ladder::default_for(PROGRAMME);
    let source = folder.join("source.nv12");
    write_source(&source, PROGRAMME)?;
    let (ours, peer) =
        in_turns(|| chain(&source, ladder.renditions()), || ffmpeg(&source, PROGRAMME, ladder.renditions()))?;
    let mut rows = vec![
        row(Better::More, "whole ladder from 720p", "frames/s", &ours, &peer, |taken| {
            FRAMES as f64 / taken.seconds
        }),
        row(Better::Less, "whole ladder from 720p: processor time", "ms/frame", &ours, &peer, |taken| {
            taken.cpu_seconds * 1e3 / FRAMES as f64
        }),
    ];
    for rendition in ladder.renditions() {
        let raw = folder.join(format!("{}.nv12", rendition.name));
        write_source(&raw, rendition.size)?;
        let one = std::slice::from_ref(rendition);
        let (ours, peer) = in_turns(|| encode(&raw, rendition), || ffmpeg(&raw, rendition.size, one))?;
        let metric = format!("encoding {} alone", rendition.size);
        rows.push(row(Better::More, &metric, "frames/s", &ours, &peer, |taken| {
            FRAMES as f64 / taken.seconds
        }));
        std::fs::remove_file(&raw)?;
    }
    Ok(rows)
}

/// One after the other, so that what else runs here slows both.
fn in_turns(
    ours: impl Fn() -> Result<Taken>,
    peer: impl Fn() -> Result<Taken>,
) -> Result<(Vec<Taken>, Vec<Taken>)> {
    let (mut mine, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        mine.push(ours()?);
        theirs.push(peer()?);
    }
    Ok((mine, theirs))
}

fn row(
    better: Better,
    metric: &str,
    unit: &str,
    ours: &[Taken],
    peer: &[Taken],
    figure: impl Fn(&Taken) -> f64,
) -> Row {
    let kbps = |taken: &[Taken]| {
        let kbps = |taken: &Taken| taken.bytes as f64 * 8.0 / 1e3 / (FRAMES as f64 / 30.0);
        median(taken.iter().map(kbps).collect())
    };
    println!("{metric}: {:.0} kbps of ours, {:.0} kbps of {PEER}", kbps(ours), kbps(peer));
    let figures = |taken: &[Taken]| median(taken.iter().map(&figure).collect());
    Row::new(better, metric, unit, figures(ours)).against(PEER, figures(peer))
}

/// The same moving picture in any size.
fn write_source(path: &Path, size: Size) -> Result<()> {
    let mut file = File::create(path)?;
    let mut scaler = Scaler::new(size)?;
    for index in 0..FRAMES {
        let picture = scaler.scale(&pattern::moving(PROGRAMME, index, 3))?;
        for plane in 0..2 {
            let (bytes, plane) = picture.plane(plane);
            for row in 0..plane.rows {
                file.write_all(&bytes[row * plane.stride..][..plane.row_bytes])?;
            }
        }
    }
    Ok(())
}

fn read_picture(file: &mut impl Read, size: Size, index: u64) -> Result<Picture> {
    let mut data = vec![0; size.pixels() as usize * 3 / 2];
    file.read_exact(&mut data)?;
    Ok(Picture::nv12(size, data.into(), FrameRate::FPS_30.timestamp_of(index, Timescale::VIDEO))?)
}

fn encoder(rendition: &Rendition) -> Result<VideoEncoder> {
    let Rendition { name, size, bitrate_kbps } = *rendition;
    let config = VideoEncoderConfig::new(name, size, FrameRate::FPS_30, bitrate_kbps);
    Ok(VideoEncoder::open(&VideoEncoderConfig { choice: EncoderChoice::x264(), ..config })?)
}

fn key_at(index: u64) -> KeyRequest {
    if index.is_multiple_of(KEY_FRAMES) { KeyRequest::Yes } else { KeyRequest::No }
}

fn bytes_of(encoder: &mut VideoEncoder, picture: &Picture, index: u64) -> Result<u64> {
    let packets = encoder.encode(picture, key_at(index))?;
    Ok(packets.iter().map(|packet| packet.payload.len() as u64).sum())
}

/// Compositor on this thread, each encoder on one of its own, as in the studio; but a full queue waits.
fn chain(source: &Path, renditions: &[Rendition]) -> Result<Taken> {
    let config = CompositorConfig {
        programme: PROGRAMME,
        renditions: renditions.iter().map(|rendition| rendition.size).collect(),
    };
    let mut compositor = CpuCompositor::with_isa(config, Isa::best())?;
    let scene = Scene::new(vec![Layer::full_frame("file", Fit::Cover)]);
    let mut file = BufReader::with_capacity(1 << 20, File::open(source)?);
    let clock = Clock::start();
    let bytes = std::thread::scope(|scope| -> Result<u64> {
        let mut queues = Vec::new();
        let mut threads = Vec::new();
        for rendition in renditions {
            let (queue, pictures) = sync_channel::<(u64, Picture)>(QUEUE);
            queues.push(queue);
            threads.push(scope.spawn(move || -> Result<u64> {
                let mut encoder = encoder(rendition)?;
                pictures.iter().map(|(index, picture)| bytes_of(&mut encoder, &picture, index)).sum()
            }));
        }
        for index in 0..FRAMES {
            let picture = read_picture(&mut file, PROGRAMME, index)?;
            let time = picture.timestamp();
            let composed = compositor.compose(&scene, &|_| Some(picture.clone()), time);
            for (queue, picture) in queues.iter().zip(composed.renditions) {
                queue.send((index, picture)).map_err(|_| "an encoder ended early")?;
            }
        }
        drop(queues);
        threads.into_iter().map(|thread| thread.join().map_err(|_| "an encoder panicked")?).sum()
    })?;
    Ok(clock.taken(bytes))
}

fn encode(raw: &Path, rendition: &Rendition) -> Result<Taken> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(raw)?);
    let clock = Clock::start();
    let mut encoder = encoder(rendition)?;
    let mut bytes = 0;
    for index in 0..FRAMES {
        let picture = read_picture(&mut file, rendition.size, index)?;
        bytes += bytes_of(&mut encoder, &picture, index)?;
    }
    Ok(clock.taken(bytes))
}

/// Time on the wall and of this process's threads.
struct Clock(Instant, f64);

impl Clock {
    fn start() -> Self {
        Self(Instant::now(), cpu_seconds())
    }

    fn taken(&self, bytes: u64) -> Taken {
        Taken { seconds: self.0.elapsed().as_secs_f64(), cpu_seconds: cpu_seconds() - self.1, bytes }
    }
}

/// Of this process so far; 0 where there is no proc(5).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // utime and stime are fields 14 and 15, in ticks of 10 ms; the first here is field 3.
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// All `renditions` out of one raw file, with the settings that [`VideoEncoder`] gives x264.
fn ffmpeg(raw: &PathBuf, size: Size, renditions: &[Rendition]) -> Result<Taken> {
    let mut command = Command::new("ffmpeg");
    command.args([
        "-hide_banner",
        "-nostdin",
        "-benchmark",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "nv12",
        "-framerate",
        "30",
    ]);
    command.args(["-video_size", &size.to_string().replace('×', "x"), "-i"]).arg(raw);
    let mut graph = format!("split={}", renditions.len());
    graph += &(0..renditions.len()).map(|at| format!("[s{at}]")).collect::<String>();
    for (at, rendition) in renditions.iter().enumerate() {
        let Size { width, height } = rendition.size;
        let scale =
            if rendition.size == size { "null".into() } else { format!("scale={width}:{height}:flags=area") };
        graph += &format!(";[s{at}]{scale}[o{at}]");
    }
    command.args(["-filter_complex", &graph]);
    for (at, rendition) in renditions.iter().enumerate() {
        let rate = format!("{}k", rendition.bitrate_kbps);
        // Half a second of stream in the buffer.
        let buffer = format!("{}k", rendition.bitrate_kbps / 2);
        command.args([
            "-map",
            &format!("[o{at}]"),
            "-c:v",
            "libx264",
            "-preset",
            "superfast",
            "-tune",
            "zerolatency",
        ]);
        command.args(["-profile:v", "baseline", "-threads", "1", "-bf", "0", "-refs", "1"]);
        command.args(["-x264-params", "scenecut=0:sliced-threads=0", "-g", &KEY_FRAMES.to_string()]);
        command.args(["-b:v", &rate, "-maxrate", &rate, "-bufsize", &buffer, "-f", "null", "-"]);
    }
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("ffmpeg: {said}").into());
    }
    // "bench: utime=1.2s stime=0.1s rtime=1.3s", without the time that starting it took.
    let field = |name: &str| -> Result<f64> {
        let text = said.rsplit(name).next().and_then(|rest| rest.split('s').next()).unwrap_or_default();
        Ok(text.parse().map_err(|_| format!("ffmpeg did not say {name}: {said}"))?)
    };
    let kibibytes = said.rsplit("video:").next().and_then(|rest| rest.split('k').next());
    Ok(Taken {
        seconds: field("rtime=")?,
        cpu_seconds: field("utime=")? + field("stime=")?,
        bytes: kibibytes.and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(0) * 1024,
    })
}
