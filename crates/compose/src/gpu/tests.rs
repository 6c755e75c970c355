//! Shaders are valid and laid out as the Rust side fills them, and the GPU draws what the CPU draws.

use std::mem::offset_of;

use media::{ColorMatrix, ColorRange, PixelFormat, Timescale};

use super::fade::FadeUniform;
use super::layers::LayerUniform;
use super::outputs::FrameUniform;
use super::pipelines::sources;
use super::*;
use crate::color;
use crate::cpu::CpuCompositor;
use crate::scene::{Anchor, Blend, Colour, Content, Fit, Layer, Panel, Text};

fn at(ticks: i64) -> Timestamp {
    Timestamp::new(ticks, Timescale::VIDEO)
}

/// Any adapter: Mesa's lavapipe where there is no GPU.
fn device() -> (Device, Queue) {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    pollster::block_on(async {
        let adapter = instance
            .request_adapter(&Default::default())
            .await
            .expect("these tests need a Vulkan adapter: install mesa-vulkan-drivers");
        adapter.request_device(&Default::default()).await.unwrap()
    })
}

fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 11) as u8
        })
        .collect()
}

fn picture(format: PixelFormat, matrix: ColorMatrix, range: ColorRange, size: Size) -> Picture {
    let (_, bytes) = format.packed_layout(size);
    Picture::packed(size, format, matrix, range, noise(bytes, size.width).into(), at(0)).unwrap()
}

fn modules() -> Vec<(&'static str, naga::Module)> {
    sources()
        .into_iter()
        .map(|(name, text)| {
            let module = naga::front::wgsl::parse_str(&text)
                .unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(&text)));
            (name, module)
        })
        .collect()
}

#[test]
fn every_shader_is_valid() {
    for (name, module) in modules() {
        let mut validator = naga::valid::Validator::new(
            naga::valid::ValidationFlags::all(),
            naga::valid::Capabilities::empty(),
        );
        validator.validate(&module).unwrap_or_else(|e| panic!("{name}: {e:?}"));
    }
}

/// Size and member offsets of a struct in a shader.
fn shader_struct(shader: &str, name: &str) -> (u32, Vec<(String, u32)>) {
    let modules = modules();
    let (_, module) = modules.iter().find(|(known, _)| *known == shader).unwrap();
    let (_, found) = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(name)).unwrap();
    let naga::TypeInner::Struct { members, span } = &found.inner else { panic!("{name} is a struct") };
    (*span, members.iter().map(|m| (m.name.clone().unwrap(), m.offset)).collect())
}

macro_rules! members {
    ($ty:ident: $($member:ident),*) => {
        vec![$((stringify!($member).to_owned(), offset_of!($ty, $member) as u32)),*]
    };
}

#[test]
fn uniforms_lie_in_memory_as_the_shaders_read_them() {
    let layer = members!(LayerUniform: dest, source, colour, yuv, green_cr, blue_cb, opacity, kind, programme, chroma);
    assert_eq!(shader_struct("layer", "Layer"), (size_of::<LayerUniform>() as u32, layer));
    let frame = members!(FrameUniform: width, height, stride, chroma_offset);
    assert_eq!(shader_struct("nv12", "Frame"), (size_of::<FrameUniform>() as u32, frame));
    let fade = members!(FadeUniform: share);
    assert_eq!(shader_struct("fade", "Fade"), (size_of::<FadeUniform>() as u32, fade));
}

#[test]
fn shaders_use_the_same_curves_as_the_cpu() {
    let [_, _, (_, text), ..] = sources();
    for constant in color::ENCODE.iter().chain(&color::DECODE).chain(&[color::TOE_LINEAR, color::TOE_ENCODED])
    {
        assert!(
            text.contains(&format!("{constant};")) || text.contains(&format!("{constant})")),
            "{constant}"
        );
    }
}

/// Composes on both and compares every plane: at most 2 codes apart, and less than 0.05 in the mean.
fn assert_same(config: &CompositorConfig, scene: &Scene, inputs: Inputs<'_>) {
    let (device, queue) = device();
    let mut gpu = GpuCompositor::new(device, queue, config.clone()).unwrap();
    let mut cpu = CpuCompositor::new(config.clone()).unwrap();
    let preview = Size::new(config.programme.width.min(90), config.programme.height.min(50));
    gpu.request_preview(preview);
    cpu.request_preview(preview);
    gpu.submit(scene, inputs, at(7)).unwrap();
    let ours = gpu.finish().unwrap().unwrap();
    assert_like(&ours, &cpu.compose(scene, inputs, at(7)));
}

fn assert_like(ours: &Composed, theirs: &Composed) {
    assert_eq!(ours.timestamp, theirs.timestamp);
    assert_eq!(ours.renditions.len(), theirs.renditions.len());
    assert_eq!(ours.preview.is_some(), theirs.preview.is_some());
    let pairs =
        ours.renditions.iter().chain(&ours.preview).zip(theirs.renditions.iter().chain(&theirs.preview));
    for (ours, theirs) in pairs {
        assert_eq!((ours.size(), ours.planes()), (theirs.size(), theirs.planes()));
        for index in 0..ours.planes().len() {
            let ((a, plane), (b, _)) = (ours.plane(index), theirs.plane(index));
            let (mut total, mut most) = (0u64, 0u8);
            for row in 0..plane.rows {
                let range = row * plane.stride..row * plane.stride + plane.row_bytes;
                for (a, b) in a[range.clone()].iter().zip(&b[range]) {
                    most = most.max(a.abs_diff(*b));
                    total += u64::from(a.abs_diff(*b));
                }
            }
            let mean = total as f64 / (plane.rows * plane.row_bytes) as f64;
            let what = format!("{} plane {index}: most {most}, mean {mean:.4}", ours.size());
            assert!(most <= 2 && mean < 0.05, "{what}");
        }
    }
}

fn small() -> CompositorConfig {
    let renditions = vec![Size::new(160, 90), Size::new(107, 60), Size::new(80, 45), Size::new(39, 23)];
    CompositorConfig { programme: Size::new(160, 90), renditions }
}

#[test]
fn the_gpu_reads_every_format_as_the_cpu_does() {
    use ColorMatrix::{Bt601, Bt709, Identity};
    for (format, matrix, range) in [
        (PixelFormat::Rgba8, Identity, ColorRange::Full),
        (PixelFormat::Bgra8, Identity, ColorRange::Full),
        (PixelFormat::Nv12, Bt709, ColorRange::Limited),
        (PixelFormat::I420, Bt601, ColorRange::Full),
        (PixelFormat::Yuyv, Bt601, ColorRange::Limited),
    ] {
        // At its own size, and of an odd one that is cut and enlarged.
        for size in [Size::new(160, 90), Size::new(57, 41)] {
            let camera = picture(format, matrix, range, size);
            let scene = Scene::new(vec![Layer::full_frame("camera", Fit::Cover)]);
            assert_same(&small(), &scene, &|_| Some(camera.clone()));
        }
    }
}

/// Every blend, formats in both sizes, text, and a source that is not there; and its inputs.
fn crowded() -> (Scene, impl Fn(&str) -> Option<Picture>) {
    let camera = picture(PixelFormat::Nv12, ColorMatrix::Bt709, ColorRange::Limited, Size::new(320, 200));
    let simulation = picture(PixelFormat::Rgba8, ColorMatrix::Identity, ColorRange::Full, Size::new(160, 90));
    let inputs = move |name: &str| match name {
        "camera" => Some(camera.clone()),
        "simulation" => Some(simulation.clone()),
        _ => None,
    };
    let source = |name: &str| Layer::new(Content::Source(name.into()));
    let text = Text {
        size: 14.0,
        shadow: Some(Colour::BLACK),
        panel: Some(Panel { colour: Colour::rgba(20, 30, 90, 180), padding: 5.0, radius: 4.0 }),
        ..Text::new("Half a million")
    };
    let scene = Scene::new(vec![
        Layer { fit: Some(Fit::Contain), ..source("camera") },
        Layer { blend: Blend::Add, opacity: 0.6, ..source("simulation") },
        Layer { blend: Blend::Screen, size: Some([70.0, 33.0]), position: [-9.0, 40.0], ..source("camera") },
        Layer { blend: Blend::Multiply, size: Some([40.0, 90.0]), opacity: 0.9, ..source("simulation") },
        Layer {
            blend: Blend::Multiply,
            opacity: 0.5,
            ..Layer::new(Content::Colour(Colour::rgba(200, 255, 90, 128)))
        },
        Layer { size: Some([60.0, 30.0]), anchor: Anchor::TopRight, ..source("missing") },
        Layer { anchor: Anchor::BottomLeft, position: [6.0, -6.0], ..Layer::new(Content::Text(text)) },
    ]);
    (scene, inputs)
}

#[test]
fn the_gpu_blends_scales_and_sets_text_as_the_cpu_does() {
    let (scene, inputs) = crowded();
    assert_same(&small(), &scene, &inputs);
}

#[test]
fn the_gpu_fades_as_the_cpu_does_and_each_frame_by_its_own_share() {
    let (crowded, inputs) = crowded();
    let plain = Scene::new(vec![
        Layer::full_frame("simulation", Fit::Cover),
        Layer {
            size: Some([50.0, 40.0]),
            anchor: Anchor::Right,
            ..Layer::full_frame("camera", Fit::Contain)
        },
    ]);
    let (device, queue) = device();
    let mut gpu = GpuCompositor::new(device, queue, small()).unwrap();
    let mut cpu = CpuCompositor::new(small()).unwrap();
    let mut theirs = Vec::new();
    // All of them are on the GPU before the first is read.
    for (tick, share) in [(1, 0.0), (2, 0.37), (3, 0.875)] {
        let fade = Fade { from: &crowded, to: &plain, share };
        gpu.submit_fade(fade, &inputs, at(tick)).unwrap();
        theirs.push(cpu.compose_fade(fade, &inputs, at(tick)));
    }
    for theirs in theirs {
        assert_like(&gpu.finish().unwrap().unwrap(), &theirs);
    }
    // Afterwards the scene that came is alone.
    gpu.submit(&plain, &inputs, at(4)).unwrap();
    assert_like(&gpu.finish().unwrap().unwrap(), &cpu.compose(&plain, &inputs, at(4)));
}

#[test]
fn half_way_from_black_to_white_the_gpu_makes_half_of_the_light() {
    let scene = |colour| Scene::new(vec![Layer::new(Content::Colour(colour))]);
    let (device, queue) = device();
    let mut gpu = GpuCompositor::new(device, queue, small()).unwrap();
    let fade = Fade { from: &scene(Colour::BLACK), to: &scene(Colour::WHITE), share: 0.5 };
    gpu.submit_fade(fade, &|_| None, at(0)).unwrap();
    let composed = gpu.finish().unwrap().unwrap();
    for picture in &composed.renditions {
        // 16 + 219 · (1.055 · 0.5^(1/2.4) − 0.055) = 177.05, in every corner.
        let (luma, plane) = picture.plane(0);
        let last = plane.rows - 1;
        for (x, y) in [(0, 0), (plane.row_bytes - 1, 0), (0, last), (plane.row_bytes - 1, last)] {
            assert_eq!(luma[y * plane.stride + x], 177, "{} at {x}, {y}", picture.size());
        }
    }
}

#[test]
fn frames_come_in_order_and_what_the_ring_has_no_room_for_is_dropped_and_counted() {
    let (device, queue) = device();
    let mut gpu = GpuCompositor::new(device, queue, small()).unwrap();
    let scene = Scene::new(vec![Layer::new(Content::Colour(Colour::WHITE))]);
    for tick in 0..5 {
        gpu.submit(&scene, &|_| None, at(tick)).unwrap();
    }
    assert_eq!(gpu.dropped(), 2);
    let mut seen = Vec::new();
    while let Some(composed) = gpu.finish().unwrap() {
        assert_eq!(composed.renditions[3].plane(0).0[0], 235);
        seen.push(composed.timestamp.ticks());
    }
    assert_eq!(seen, [0, 1, 2]);
    gpu.submit(&scene, &|_| None, at(9)).unwrap();
    assert_eq!(gpu.finish().unwrap().unwrap().timestamp, at(9));
    assert!(gpu.poll().unwrap().is_none());
}

#[test]
fn a_source_that_changes_is_uploaded_and_one_that_does_not_stays() {
    let (device, queue) = device();
    let mut gpu = GpuCompositor::new(device, queue, small()).unwrap();
    let scene = Scene::new(vec![Layer::full_frame("a", Fit::Stretch)]);
    let plain = |code: u8| Picture::rgba(Size::new(8, 8), vec![code; 256].into(), at(0)).unwrap();
    let (white, black) =
        (plain(255), Picture::rgba(Size::new(8, 8), [0, 0, 0, 255].repeat(64).into(), at(0)).unwrap());
    for (picture, expected) in [(&white, 235), (&white, 235), (&black, 16), (&white, 235)] {
        gpu.submit(&scene, &|_| Some(picture.clone()), at(0)).unwrap();
        let composed = gpu.finish().unwrap().unwrap();
        assert_eq!(composed.renditions[0].plane(0).0[0], expected);
    }
}
