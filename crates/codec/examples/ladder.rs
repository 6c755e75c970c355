//! How long each rendition of the 720p ladder takes to encode here, as the median of a moving picture's frames.
//!
//! `cargo run -p tickcast-codec --example ladder [ultrafast|superfast|veryfast|medium]`

use std::time::Instant;

use media::{FrameRate, Ladder, Size};
use tickcast_codec::{EncoderChoice, KeyRequest, SpeedPreset, VideoEncoder, VideoEncoderConfig};

#[path = "../tests/codec/pattern.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod pattern;

const PICTURES: u64 = 150;

#[allow(clippy::print_stdout, reason = "a table is what it is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let preset = match std::env::args().nth(1).as_deref() {
        Some("ultrafast") => SpeedPreset::Ultrafast,
        None | Some("superfast") => SpeedPreset::Superfast,
        Some("veryfast") => SpeedPreset::Veryfast,
        Some("medium") => SpeedPreset::Medium,
        Some(other) => return Err(format!("there is no preset {other}").into()),
    };
    println!(
        "{:<10}{:>12}{:>10}{:>10}{:>10}{:>10}",
        "rendition", "size", "target", "kbps", "p50 ms", "p95 ms"
    );
    for rendition in Ladder::default_for(Size::new(1280, 720)).renditions() {
        let mut encoder = VideoEncoder::open(&VideoEncoderConfig {
            choice: EncoderChoice::x264(),
            preset,
            ..VideoEncoderConfig::new(
                rendition.name,
                rendition.size,
                FrameRate::FPS_30,
                rendition.bitrate_kbps,
            )
        })?;
        let (mut times, mut bytes) = (Vec::new(), 0);
        for index in 0..PICTURES {
            let picture = pattern::moving(rendition.size, index, 3);
            let key = if index % 60 == 0 { KeyRequest::Yes } else { KeyRequest::No };
            let start = Instant::now();
            let packets = encoder.encode(&picture, key)?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
            bytes += packets.iter().map(|packet| packet.payload.len()).sum::<usize>();
        }
        times.sort_by(f64::total_cmp);
        println!(
            "{:<10}{:>12}{:>10}{:>10.0}{:>10.2}{:>10.2}",
            rendition.name,
            rendition.size.to_string(),
            rendition.bitrate_kbps,
            bytes as f64 * 8.0 / 1e3 / (PICTURES as f64 / 30.0),
            times[times.len() / 2],
            times[times.len() * 95 / 100],
        );
    }
    Ok(())
}
