//! Opens a source and prints what it delivers as JSON lines until its input ends:
//! `grab camera|microphone|screen [NAME]` or `grab window TITLE`. `grab tone [NAME]` plays 440 Hz instead.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use media::{FrameRate, Picture, Size, StudioEpoch, Timescale, Timestamp, burn_in};
use serde_json::{Value, json};
use speaker::OutputStream;
use tickcast_capture::{
    Camera, CameraRequest, Microphone, PictureSource, Screen, ScreenTarget, SoundSource, SourceStatus,
    cameras, microphones, screens, system_wall_clock,
};

/// Far below a frame or a block.
const PERIOD: Duration = Duration::from_millis(4);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (what, name) = (arguments.next().unwrap_or_default(), arguments.next());
    let epoch = StudioEpoch::new(Instant::now(), system_wall_clock());
    match what.as_str() {
        "camera" => {
            print(&json!({ "cameras": cameras().into_iter().map(|camera| camera.name).collect::<Vec<_>>() }));
            let request = CameraRequest { name, size: Size::new(640, 480), frame_rate: FrameRate::FPS_30 };
            watch(Camera::open(request, epoch), epoch);
        }
        "microphone" => {
            let names =
                microphones().map(|list| list.into_iter().map(|device| device.name).collect::<Vec<_>>());
            print(&json!({ "microphones": names.unwrap_or_default() }));
            listen(Microphone::open(name, epoch), epoch);
        }
        "screen" => watch(Screen::open(ScreenTarget::Screen(name), FrameRate::FPS_30, epoch), epoch),
        "window" => {
            print(&json!({ "listed": screens().iter().map(ScreenTarget::name).collect::<Vec<_>>() }));
            let target = ScreenTarget::Window { program: String::new(), title: name.unwrap_or_default() };
            watch(Screen::open(target, FrameRate::FPS_30, epoch), epoch);
        }
        "tone" => play(name.as_deref()),
        _ => print(&json!({ "error": "camera, microphone, screen, window or tone" })),
    }
}

fn print(line: &Value) {
    let mut out = std::io::stdout().lock();
    // Whoever started us is gone: the next look at the input ends us.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn status_line(status: &SourceStatus) -> Value {
    match status {
        SourceStatus::Opening => json!({ "status": "opening" }),
        SourceStatus::Live => json!({ "status": "live" }),
        SourceStatus::StandIn { message } => json!({ "status": "stand_in", "message": message }),
        SourceStatus::Lost { message } => json!({ "status": "lost", "message": message }),
    }
}

/// Set once the standard input ends.
fn end_of_input() -> Arc<AtomicBool> {
    let ended = Arc::new(AtomicBool::new(false));
    let setter = Arc::clone(&ended);
    thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        setter.store(true, Ordering::Release);
    });
    ended
}

fn watch(mut source: impl PictureSource, epoch: StudioEpoch) {
    let ended = end_of_input();
    let (mut status, mut last) = (None, None);
    while !ended.load(Ordering::Acquire) {
        let now = epoch.stamp(Instant::now(), Timescale::VIDEO);
        let picture = source.picture_at(now);
        let new_status = source.status();
        if status.as_ref() != Some(&new_status) {
            print(&status_line(&new_status));
            status = Some(new_status);
        }
        if let Some(picture) = picture
            && last != Some(picture.timestamp())
        {
            last = Some(picture.timestamp());
            print(&picture_line(&picture, now, epoch));
        }
        thread::park_timeout(PERIOD);
    }
}

fn picture_line(picture: &Picture, now: Timestamp, epoch: StudioEpoch) -> Value {
    let size = picture.size();
    let (bytes, plane) = picture.plane(0);
    let per_pixel = plane.row_bytes / size.width as usize;
    // The first channel is luma, or red, which is the same in a strip of black and white.
    let luma: Vec<u8> = (0..plane.rows)
        .flat_map(|row| bytes[row * plane.stride..][..plane.row_bytes].iter().step_by(per_pixel).copied())
        .collect();
    let stamp = burn_in::read_luma(&luma, size.width as usize, size);
    let middle = plane.rows / 2 * plane.stride + plane.row_bytes / per_pixel / 2 * per_pixel;
    let made_ago_ms = stamp.map(|stamp| stamp.age_ms(epoch.wall_of(picture.timestamp())));
    json!({
        "picture": picture.timestamp().ticks(),
        "width": size.width,
        "height": size.height,
        "age_ms": now.minus(picture.timestamp()).as_millis_f64(),
        "frame": stamp.map(|stamp| stamp.frame),
        "made_ago_ms": made_ago_ms,
        "middle": &bytes[middle..middle + per_pixel],
    })
}

fn listen(mut source: impl SoundSource, epoch: StudioEpoch) {
    let ended = end_of_input();
    let mut status = None;
    let mut blocks = Vec::new();
    while !ended.load(Ordering::Acquire) {
        let now = epoch.stamp(Instant::now(), Timescale::AUDIO);
        let new_status = source.status();
        if status.as_ref() != Some(&new_status) {
            print(&status_line(&new_status));
            status = Some(new_status);
        }
        source.read(now, &mut blocks);
        for block in blocks.drain(..) {
            let left: Vec<f32> = block.samples.iter().step_by(block.channels).copied().collect();
            print(&json!({
                "sound": block.timestamp.ticks(),
                "rate": block.rate,
                "channels": block.channels,
                "age_ms": now.minus(block.timestamp).as_millis_f64(),
                "left": left,
            }));
        }
        thread::park_timeout(PERIOD);
    }
}

fn play(name: Option<&str>) {
    const BUFFER: Duration = Duration::from_millis(200);
    let ended = end_of_input();
    let mut stream = match OutputStream::open(name, 48_000, BUFFER) {
        Ok(stream) => stream,
        Err(error) => return print(&json!({ "error": error.to_string() })),
    };
    let mut next = 0_u32;
    let mut waiting: Vec<f32> = Vec::new();
    while !ended.load(Ordering::Acquire) {
        if waiting.is_empty() {
            // 440 Hz repeats every 1 200 frames.
            waiting.extend((0..1_200).flat_map(|n| {
                let phase = n as f32 * std::f32::consts::TAU * 440.0 / 48_000.0;
                [0.25 * phase.sin(); 2]
            }));
            next += 1;
            if next.is_multiple_of(40) {
                let delay_ms = stream.delay().as_secs_f64() * 1e3;
                print(&json!({ "played": next, "missing": stream.missing_frames(), "delay_ms": delay_ms }));
            }
        }
        let taken = stream.push(&waiting);
        waiting.drain(..taken);
        if let Some(error) = stream.error() {
            return print(&json!({ "error": error.to_string() }));
        }
        thread::park_timeout(PERIOD);
    }
}
