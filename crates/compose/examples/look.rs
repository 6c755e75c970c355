//! Draws sample scenes to PNG files, to be looked at: `cargo run -p tickcast-compose --example look -- FOLDER`.

#![allow(clippy::print_stdout, reason = "it says what it wrote")]

use std::path::PathBuf;

use compose::scene::{Align, Anchor, Blend, Colour, Content, Fit, Panel, Text, Weight};
use compose::{Compositor, CompositorConfig, CpuCompositor, Layer, Scene};
use media::{Picture, Size, Timescale, Timestamp};
use tickcast_compose as compose;

const ZERO: Timestamp = Timestamp::zero(Timescale::VIDEO);
const PROGRAMME: Size = Size::new(1280, 720);

/// Rings that grow finer outwards: what scales badly shows as false rings.
fn zone_plate(size: Size) -> Picture {
    let (w, h) = (size.width as f32, size.height as f32);
    let mut bytes = Vec::new();
    for y in 0..size.height {
        for x in 0..size.width {
            let (dx, dy) = (x as f32 - w / 2.0, y as f32 - h / 2.0);
            let wave = 0.5 + 0.5 * ((dx * dx + dy * dy) * std::f32::consts::PI / w * 0.9).cos();
            bytes.extend([wave, wave * 0.8 + 0.1, wave * 0.5 + 0.2].map(|v| (v * 255.0) as u8));
            bytes.push(255);
        }
    }
    Picture::rgba(size, bytes.into(), ZERO).expect("every pixel was pushed")
}

/// Soft coloured lights on opaque black.
fn lights(size: Size) -> Picture {
    let mut bytes = Vec::new();
    for y in 0..size.height {
        for x in 0..size.width {
            let glow = |cx: f32, cy: f32, r: f32| {
                let (dx, dy) = (x as f32 - cx, y as f32 - cy);
                (-(dx * dx + dy * dy) / (r * r)).exp()
            };
            let (red, green, blue) =
                (glow(520.0, 300.0, 180.0), glow(640.0, 440.0, 180.0), glow(760.0, 300.0, 180.0));
            bytes.extend([red, green, blue].map(|v| (v * 255.0) as u8));
            bytes.push(255);
        }
    }
    Picture::rgba(size, bytes.into(), ZERO).expect("every pixel was pushed")
}

fn text(content: &str, size: f32) -> Text {
    Text { size, ..Text::new(content) }
}

fn texts() -> Vec<Layer> {
    let place = |anchor, position, text| Layer { anchor, position, ..Layer::new(Content::Text(text)) };
    let panel = Some(Panel { colour: Colour::rgba(10, 12, 20, 200), padding: 18.0, radius: 14.0 });
    vec![
        Layer { size: Some([640.0, 720.0]), ..Layer::new(Content::Colour(Colour::rgb(240, 240, 235))) },
        place(
            Anchor::TopLeft,
            [30.0, 20.0],
            Text { colour: Colour::BLACK, ..text("Black on white, 16 px 0123456789", 16.0) },
        ),
        place(
            Anchor::TopLeft,
            [30.0, 50.0],
            Text { colour: Colour::BLACK, weight: Weight::SemiBold, ..text("Semi-bold 28", 28.0) },
        ),
        place(Anchor::TopLeft, [680.0, 20.0], text("White on black, 16 px 0123456789", 16.0)),
        place(
            Anchor::TopLeft,
            [680.0, 50.0],
            Text { weight: Weight::SemiBold, ..text("Semi-bold 28", 28.0) },
        ),
        place(
            Anchor::TopLeft,
            [30.0, 120.0],
            Text { shadow: Some(Colour::rgba(0, 0, 0, 220)), ..text("Shadow keeps it legible", 48.0) },
        ),
        place(
            Anchor::TopLeft,
            [680.0, 120.0],
            Text {
                width: Some(300.0),
                max_lines: Some(1),
                panel,
                ..text("A very long name that does not fit in its box", 30.0)
            },
        ),
        place(
            Anchor::TopLeft,
            [680.0, 240.0],
            Text {
                width: Some(420.0),
                max_lines: Some(3),
                align: Align::Center,
                panel,
                ..text(
                    "Centred in its box, wrapped at words, and after three lines an ellipsis ends what is too much to be shown here",
                    26.0,
                )
            },
        ),
        place(
            Anchor::TopLeft,
            [30.0, 240.0],
            Text { colour: Colour::BLACK, align: Align::Right, ..text("11:11:11\n00:00:00\n18:45:27", 40.0) },
        ),
        Layer {
            scale: 3.0,
            ..place(
                Anchor::BottomLeft,
                [30.0, -30.0],
                Text { colour: Colour::rgb(180, 30, 60), ..text("Scaled ×3: äöü é ñ", 24.0) },
            )
        },
        place(
            Anchor::BottomRight,
            [-30.0, -30.0],
            Text { panel, weight: Weight::SemiBold, ..text("LIVE  €0.0042/s", 44.0) },
        ),
    ]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".into()));
    std::fs::create_dir_all(&folder)?;
    let plate = zone_plate(Size::new(1920, 1080));
    let lights = lights(PROGRAMME);
    let inputs = |name: &str| match name {
        "plate" => Some(plate.clone()),
        "lights" => Some(lights.clone()),
        _ => None,
    };
    let source = |name: &str| Layer::new(Content::Source(name.into()));
    let part = |name: &str, blend, x: f32, y: f32| Layer {
        blend,
        position: [x, y],
        size: Some([640.0, 360.0]),
        ..source(name)
    };
    let mut blends = vec![Layer { fit: Some(Fit::Cover), opacity: 0.5, ..source("plate") }];
    for (blend, x, y) in [
        (Blend::Normal, 0.0, 0.0),
        (Blend::Add, 640.0, 0.0),
        (Blend::Screen, 0.0, 360.0),
        (Blend::Multiply, 640.0, 360.0),
    ] {
        blends.push(Layer { opacity: 0.8, ..part("lights", blend, x, y) });
    }
    let scaling = vec![
        Layer::full_frame("plate", Fit::Cover),
        Layer { position: [20.0, 20.0], size: Some([400.0, 225.0]), ..source("plate") },
        Layer {
            anchor: Anchor::BottomRight,
            position: [-20.0, -20.0],
            size: Some([320.0, 180.0]),
            ..source("camera")
        },
        Layer { anchor: Anchor::TopRight, position: [-20.0, 20.0], scale: 0.1, ..source("plate") },
    ];
    for (name, layers) in [("text", texts()), ("blends", blends), ("scaling", scaling)] {
        for size in [PROGRAMME, Size::new(427, 240)] {
            let config = CompositorConfig { programme: PROGRAMME, renditions: Vec::new() };
            let mut compositor = CpuCompositor::new(config)?;
            compositor.request_preview(size);
            let composed = compositor.compose(&Scene::new(layers.clone()), &inputs, ZERO);
            let Some(picture) = composed.preview else { continue };
            let path = folder.join(format!("{name}-{}.png", size.width));
            image::save_buffer(&path, picture.data(), size.width, size.height, image::ColorType::Rgba8)?;
            println!("{}", path.display());
        }
    }
    Ok(())
}
