//! Milliseconds a frame of the CPU compositor, by stage: `cargo run --release -p tickcast-compose --example bench`.
//!
//! A stage's cost is the difference between two set-ups that differ by it, each the mean of many frames.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::time::Instant;

use compose::scene::{Anchor, Blend, Colour, Content, Fit, Panel, Text, Weight};
use compose::{CompositorConfig, CpuCompositor, Isa, Layer, Scene};
use media::{ColorMatrix, ColorRange, Picture, PixelFormat, Size, Timescale, Timestamp};
use tickcast_compose as compose;

const ZERO: Timestamp = Timestamp::zero(Timescale::VIDEO);
const FRAMES: u32 = 200;
const PROGRAMME: Size = Size::new(1280, 720);
const LADDER: [Size; 4] = [PROGRAMME, Size::new(854, 480), Size::new(640, 360), Size::new(320, 180)];

fn picture(format: PixelFormat, size: Size) -> Picture {
    let (_, bytes) = format.packed_layout(size);
    // Noise, since a plain colour could flatter branches.
    let mut state = 1u32;
    let data: Vec<u8> = (0..bytes)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    Picture::packed(size, format, ColorMatrix::Bt709, ColorRange::Limited, data.into(), ZERO)
        .expect("the layout's own length")
}

fn lower_third() -> Layer {
    let text = Text {
        size: 40.0,
        weight: Weight::SemiBold,
        panel: Some(Panel { colour: Colour::rgba(0, 0, 0, 160), padding: 16.0, radius: 12.0 }),
        ..Text::new("Half a million particles, live")
    };
    let (anchor, position) = (Anchor::BottomLeft, [32.0, -32.0]);
    Layer { anchor, position, ..Layer::new(Content::Text(text)) }
}

/// Milliseconds that this thread ran. Linux keeps count, so that other programs' share does not; elsewhere it is the
/// time on the wall.
fn thread_ms(start: Instant) -> f64 {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|stat| stat.split(' ').next()?.parse::<f64>().ok())
        .map_or_else(|| start.elapsed().as_secs_f64() * 1e3, |nanos| nanos / 1e6)
}

/// The milliseconds of a frame.
fn measure(isa: Isa, scene: &Scene, renditions: &[Size], camera: &Picture, simulation: &Picture) -> f64 {
    let config = CompositorConfig { programme: PROGRAMME, renditions: renditions.to_vec() };
    let mut compositor = CpuCompositor::with_isa(config, isa).expect("these sizes are fine");
    let inputs = |name: &str| Some(if name == "camera" { camera.clone() } else { simulation.clone() });
    let frame = |compositor: &mut CpuCompositor| {
        let composed = compositor.compose(scene, &inputs, ZERO);
        assert_eq!(composed.renditions.len(), renditions.len());
    };
    (0..10).for_each(|_| frame(&mut compositor));
    let start = Instant::now();
    let before = thread_ms(start);
    (0..FRAMES).for_each(|_| frame(&mut compositor));
    (thread_ms(start) - before) / f64::from(FRAMES)
}

fn main() {
    let simulation = picture(PixelFormat::Rgba8, PROGRAMME);
    let full = |name: &str| Layer::full_frame(name, Fit::Cover);
    let particles = || Layer { blend: Blend::Add, ..full("simulation") };
    let scene = |layers: &[Layer]| Scene::new(layers.to_vec());
    println!("ms a frame at {PROGRAMME}, four renditions\n");
    for isa in Isa::available() {
        let yuyv = picture(PixelFormat::Yuyv, PROGRAMME);
        let ms = |layers: &[Layer], renditions: &[Size], camera: &Picture| {
            measure(isa, &scene(layers), renditions, camera, &simulation)
        };
        println!("{}", isa.name());
        let empty = ms(&[], &[], &yuyv);
        println!("  black programme                    {empty:6.2}");
        for format in [PixelFormat::Rgba8, PixelFormat::Nv12, PixelFormat::I420, PixelFormat::Yuyv] {
            let camera = picture(format, PROGRAMME);
            println!(
                "  + {format:5?} full frame               {:6.2}",
                ms(&[full("camera")], &[], &camera) - empty
            );
        }
        for (name, size) in [("1920x1080", Size::new(1920, 1080)), ("640x360", Size::new(640, 360))] {
            let camera = picture(PixelFormat::Nv12, size);
            println!(
                "  + Nv12 {name:9} scaled to full     {:6.2}",
                ms(&[full("camera")], &[], &camera) - empty
            );
        }
        let one = ms(&[full("camera")], &[], &yuyv);
        let two = ms(&[full("camera"), particles()], &[], &yuyv);
        println!("  + simulation added                 {:6.2}", two - one);
        let three = ms(&[full("camera"), particles(), lower_third()], &[], &yuyv);
        println!("  + text                             {:6.2}", three - two);
        let mut before = empty;
        for count in 1..=LADDER.len() {
            let with = ms(&[], &LADDER[..count], &yuyv);
            println!("  + rendition {:9}            {:6.2}", LADDER[count - 1].to_string(), with - before);
            before = with;
        }
        let all = ms(&[full("camera"), particles(), lower_third()], &LADDER, &yuyv);
        println!("  three layers, four renditions      {all:6.2}\n");
    }
}
