//! Milliseconds a frame of the compositors, by stage, beside swscale doing the conversions alone.
//!
//! A stage's cost is the difference between two set-ups that differ by it. The CPU backend is timed by its thread's
//! own clock, a GPU by the clock on the wall, frame by frame with a wait for each.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

mod backends;
#[path = "../../../xtask/src/bench/row.rs"]
mod row;
mod swscale;

use compose::scene::{Anchor, Blend, Colour, Content, Fit, Panel, Text, Weight};
use compose::{Isa, Layer, Scene};
use media::{ColorMatrix, ColorRange, Picture, PixelFormat, Size, Timescale, Timestamp};
use tickcast_compose as compose;

use backends::{Cpu, Gpu, Timed};
use row::{Better, Row, median};

const ZERO: Timestamp = Timestamp::zero(Timescale::VIDEO);
const PROGRAMME: Size = Size::new(1280, 720);
const LADDER: [Size; 4] = [PROGRAMME, Size::new(854, 480), Size::new(640, 360), Size::new(320, 180)];
const ROUNDS: usize = 9;

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

fn full(name: &str) -> Layer {
    Layer::full_frame(name, Fit::Cover)
}

fn particles() -> Layer {
    Layer { blend: Blend::Add, ..full("simulation") }
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

/// The milliseconds of each stage on one backend, with its name; the sum of a whole frame comes last.
fn stages(backend: &mut dyn Timed) -> Vec<(String, f64)> {
    let simulation = picture(PixelFormat::Rgba8, PROGRAMME);
    let yuyv = picture(PixelFormat::Yuyv, PROGRAMME);
    let mut ms = |layers: &[Layer], renditions: &[Size], camera: &Picture| {
        backend.measure(&Scene::new(layers.to_vec()), renditions, camera, &simulation)
    };
    let mut out = Vec::new();
    let empty = ms(&[], &[], &yuyv);
    out.push(("black programme".to_owned(), empty));
    for format in [PixelFormat::Rgba8, PixelFormat::Nv12, PixelFormat::I420, PixelFormat::Yuyv] {
        let camera = picture(format, PROGRAMME);
        out.push((format!("{format:?} full frame"), ms(&[full("camera")], &[], &camera) - empty));
    }
    for size in [Size::new(1920, 1080), Size::new(640, 360)] {
        let camera = picture(PixelFormat::Nv12, size);
        out.push((format!("Nv12 of {size} scaled to full"), ms(&[full("camera")], &[], &camera) - empty));
    }
    let one = ms(&[full("camera")], &[], &yuyv);
    let two = ms(&[full("camera"), particles()], &[], &yuyv);
    out.push(("simulation added".into(), two - one));
    let three = ms(&[full("camera"), particles(), lower_third()], &[], &yuyv);
    out.push(("text".into(), three - two));
    let mut before = empty;
    for count in 1..=LADDER.len() {
        let with = ms(&[], &LADDER[..count], &yuyv);
        out.push((format!("rendition {}", LADDER[count - 1]), with - before));
        before = with;
    }
    out.push(("conversions: four renditions".into(), before - empty));
    let whole = ms(&[full("camera"), particles(), lower_third()], &LADDER, &yuyv);
    out.push(("all: three layers, four renditions".into(), whole));
    out
}

fn rows_of(name: &str, backend: &mut dyn Timed) -> Vec<Row> {
    println!("{name}");
    let row = |(stage, ms): (String, f64)| {
        println!("  {stage:<36} {ms:6.2}");
        Row::new(Better::Less, format!("{name}: {stage}"), "ms/frame", ms)
    };
    stages(backend).into_iter().map(row).collect()
}

/// The whole composition beside the conversions alone, in turns.
fn beside_swscale(isa: Isa) -> Result<Vec<Row>, Box<dyn std::error::Error>> {
    let simulation = picture(PixelFormat::Rgba8, PROGRAMME);
    let camera = picture(PixelFormat::Yuyv, PROGRAMME);
    let scene = Scene::new(vec![full("camera"), particles(), lower_third()]);
    let mut fast = swscale::Ladder::new(PROGRAMME, &LADDER, swscale::Care::None)?;
    let mut accurate = swscale::Ladder::new(PROGRAMME, &LADDER, swscale::Care::Full)?;
    let mut cpu = Cpu(isa);
    let (mut whole, mut conversions) = (Vec::new(), Vec::new());
    let (mut fastest, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        whole.push(cpu.measure(&scene, &LADDER, &camera, &simulation));
        let empty = Scene::new(Vec::new());
        let with = cpu.measure(&empty, &LADDER, &camera, &simulation);
        conversions.push(with - cpu.measure(&empty, &[], &camera, &simulation));
        fastest.push(fast.measure()?);
        theirs.push(accurate.measure()?);
    }
    let (isa, whole, conversions) = (isa.name(), median(whole), median(conversions));
    let peers = [
        ("swscale's four conversions, rounded", median(theirs)),
        ("swscale's four conversions at its fastest", median(fastest)),
    ];
    let row = |what: &str, ours, (name, peer): (&str, f64)| {
        Row::new(Better::Less, format!("cpu {isa}: {what}"), "ms/frame", ours).against(name, peer)
    };
    let all = peers.map(|peer| row("three layers, four renditions", whole, peer));
    Ok(all.into_iter().chain(peers.map(|peer| row("the four conversions", conversions, peer))).collect())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("ms a frame at {PROGRAMME}; stages after the first are what they add");
    let mut rows = Vec::new();
    for isa in Isa::available() {
        rows.extend(rows_of(&format!("cpu {}", isa.name()), &mut Cpu(isa)));
    }
    match Gpu::new() {
        Ok(mut gpu) => rows.extend(rows_of(&format!("gpu {}", gpu.name()), &mut gpu)),
        Err(reason) => println!("the GPU backend was not timed: {reason}"),
    }
    for isa in Isa::available() {
        rows.extend(beside_swscale(isa)?);
    }
    rows.iter().for_each(|row| println!("{}", row.to_line()));
    Ok(())
}
