//! What comes out of the CPU compositor, against arithmetic and a plain f64 reference.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::{Duration, Instant};

use compose::scene::{Blend, Colour, Content, Crop, Fit, Text};
use compose::{Compositor, CompositorConfig, CpuCompositor, Fade, Isa, Layer, Problem, Scene};
use media::{ColorMatrix, ColorRange, Picture, PixelFormat, Size, Timescale, Timestamp};
use tickcast_compose as compose;

const ZERO: Timestamp = Timestamp::zero(Timescale::VIDEO);

fn config(programme: Size, renditions: &[Size]) -> CompositorConfig {
    CompositorConfig { programme, renditions: renditions.to_vec() }
}

fn colour(colour: Colour) -> Layer {
    Layer::new(Content::Colour(colour))
}

/// A deterministic byte sequence without pattern (xorshift).
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

/// The programme as RGBA.
fn preview(layers: Vec<Layer>, size: Size, input: Option<&Picture>) -> Vec<[u8; 4]> {
    let mut compositor = CpuCompositor::new(config(size, &[])).unwrap();
    compositor.request_preview(size);
    let composed = compositor.compose(&Scene::new(layers), &|_| input.cloned(), ZERO);
    composed.preview.unwrap().data().as_chunks::<4>().0.to_vec()
}

/// (Y, Cb, Cr) at a luma position.
fn yuv(picture: &Picture, x: usize, y: usize) -> [u8; 3] {
    let (luma, plane) = picture.plane(0);
    let (chroma, chroma_plane) = picture.plane(1);
    let at = y / 2 * chroma_plane.stride + x / 2 * 2;
    [luma[y * plane.stride + x], chroma[at], chroma[at + 1]]
}

fn exact_encode(x: f64) -> f64 {
    if x > 0.003_130_8 { 1.055 * x.powf(1.0 / 2.4) - 0.055 } else { 12.92 * x }
}

fn exact_decode(x: f64) -> f64 {
    if x > 0.040_45 { ((x + 0.055) / 1.055).powf(2.4) } else { x / 12.92 }
}

const SMALL: Size = Size::new(16, 8);

#[test]
fn half_of_white_over_black_is_188_since_light_adds_up_linearly() {
    // sRGB of half the light: 1.055·0.5^(1/2.4) − 0.055 = 0.7354, times 255.
    let half = Layer { opacity: 0.5, ..colour(Colour::WHITE) };
    let pixels = preview(vec![colour(Colour::BLACK), half], SMALL, None);
    assert!(pixels.iter().all(|p| *p == [188, 188, 188, 255]));
}

fn code(light: f64) -> u8 {
    (exact_encode(light) * 255.0).round() as u8
}

#[test]
fn a_fade_from_black_to_white_is_its_share_of_the_light_with_every_instruction_set() {
    let (black, white) = (Scene::new(vec![colour(Colour::BLACK)]), Scene::new(vec![colour(Colour::WHITE)]));
    for isa in Isa::available() {
        let mut compositor = CpuCompositor::with_isa(config(SMALL, &[SMALL]), isa).unwrap();
        // Half of the light is the code 188, and luma 16 + 219 · 0.7354 = 177.
        for share in [0.0, 0.03125, 0.25, 0.5, 0.75, 1.0] {
            compositor.request_preview(SMALL);
            let fade = Fade { from: &black, to: &white, share };
            let composed = compositor.compose_fade(fade, &|_| None, ZERO);
            let light = f64::from(share);
            let pixels = composed.preview.unwrap();
            assert!(
                pixels.data().as_chunks::<4>().0.iter().all(|p| p[..3] == [code(light); 3]),
                "{share} with {}",
                isa.name()
            );
            let luma = (16.0 + 219.0 * exact_encode(light)).round() as u8;
            assert_eq!(yuv(&composed.renditions[0], 3, 5), [luma, 128, 128], "{share} with {}", isa.name());
        }
    }
}

#[test]
fn what_both_scenes_show_stands_still_while_they_fade_and_the_rest_is_mixed() {
    let red_box =
        |x: f32| Layer { size: Some([4.0, 8.0]), position: [x, 0.0], ..colour(Colour::rgb(255, 0, 0)) };
    let half_white = || Layer { opacity: 0.5, ..colour(Colour::WHITE) };
    let from = Scene::new(vec![colour(Colour::WHITE), red_box(0.0)]);
    // Its background is black, and what is over it lets it through.
    let to = Scene::new(vec![half_white(), half_white(), red_box(12.0), red_box(0.0)]);
    let mut compositor = CpuCompositor::new(config(SMALL, &[])).unwrap();
    compositor.request_preview(SMALL);
    let fade = Fade { from: &from, to: &to, share: 0.25 };
    let pixels = compositor.compose_fade(fade, &|_| None, ZERO).preview.unwrap();
    let at = |x: usize| pixels.data().as_chunks::<4>().0[x];
    assert_eq!(at(0), [255, 0, 0, 255], "in both");
    // 3/4 of white and 1/4 of what two halves of white leave of black: 3/4.
    let middle = code(0.75 + 0.25 * 0.75);
    assert_eq!(at(8), [middle, middle, middle, 255]);
    assert_eq!(at(15), [255, code(0.75), code(0.75), 255], "red over white");
}

#[test]
fn after_a_fade_a_scene_is_drawn_as_before_it() {
    let picture = Picture::rgba(SMALL, noise(SMALL.pixels() as usize * 4, 7).into(), ZERO).unwrap();
    let scene = Scene::new(vec![Layer { opacity: 0.7, ..Layer::full_frame("a", Fit::Cover) }]);
    let other = Scene::new(vec![Layer::full_frame("b", Fit::Stretch), colour(Colour::WHITE)]);
    let inputs = |name: &str| (name == "a").then(|| picture.clone());
    let mut compositor = CpuCompositor::new(config(SMALL, &[SMALL])).unwrap();
    let before = compositor.compose(&scene, &inputs, ZERO).renditions[0].data().clone();
    let fade = Fade { from: &scene, to: &other, share: 0.5 };
    let during = compositor.compose_fade(fade, &inputs, ZERO).renditions[0].data().clone();
    assert_ne!(during, before);
    assert_eq!(
        compositor.problems(),
        [Problem::MissingSource { layer: 0, name: "b".into() }],
        "of the scene that comes"
    );
    let nothing = Fade { from: &scene, to: &other, share: f32::NAN };
    assert_eq!(compositor.compose_fade(nothing, &inputs, ZERO).renditions[0].data(), &before);
    assert_eq!(compositor.compose(&scene, &inputs, ZERO).renditions[0].data(), &before);
    assert_eq!(compositor.problems(), []);
}

#[test]
fn each_blend_follows_its_formula_in_linear_light() {
    let (below, above) = (0.25f64, 0.5f64);
    let code = |light: f64| (exact_encode(light.min(1.0)) * 255.0).round() as u8;
    let grey = |light: f64| Colour::rgb(code(light), code(light), code(light));
    // The colours' own codes are rounded: what they mean is read back exactly.
    let (d, s) = (exact_decode(f64::from(code(below)) / 255.0), exact_decode(f64::from(code(above)) / 255.0));
    let a = 0.5;
    for (blend, expected) in [
        (Blend::Normal, d * (1.0 - a) + s * a),
        (Blend::Add, d + s * a),
        (Blend::Screen, d + s * a * (1.0 - d)),
        (Blend::Multiply, d * (1.0 - a + s * a)),
    ] {
        let top = Layer { opacity: a as f32, blend, ..colour(grey(above)) };
        let pixels = preview(vec![colour(grey(below)), top.clone()], SMALL, None);
        assert_eq!(pixels[5][0], code(expected), "{blend:?} of a colour");
        // The same as a picture, opaque and with alpha.
        let c = code(above);
        for alpha in [255u8, 128] {
            let a = a * f64::from(alpha) / 255.0;
            let expected = match blend {
                Blend::Normal => d * (1.0 - a) + s * a,
                Blend::Add => d + s * a,
                Blend::Screen => d + s * a * (1.0 - d),
                Blend::Multiply => d * (1.0 - a + s * a),
            };
            let bytes = [c, c, c, alpha].repeat(SMALL.pixels() as usize);
            let picture = Picture::rgba(SMALL, bytes.into(), ZERO).unwrap();
            let layer = Layer { opacity: 0.5, blend, ..Layer::full_frame("a", Fit::Stretch) };
            let pixels = preview(vec![colour(grey(below)), layer], SMALL, Some(&picture));
            assert_eq!(pixels[5][0], code(expected), "{blend:?} of a picture with alpha {alpha}");
        }
    }
}

#[test]
fn light_added_beyond_white_is_white_and_comes_back_when_multiplied() {
    let white = || Layer { blend: Blend::Add, ..colour(Colour::WHITE) };
    let half = Layer { blend: Blend::Multiply, ..colour(Colour::rgb(188, 188, 188)) };
    let pixels = preview(vec![white(), white(), half], SMALL, None);
    assert_eq!(pixels[0], [255, 255, 255, 255]);
}

#[test]
fn black_white_and_primaries_have_the_codes_of_bt709() {
    // Y = 16 + 219·Y′, Cb = 128 + 224·(B′−Y′)/1.8556, Cr = 128 + 224·(R′−Y′)/1.5748 (BT.709-6 §3).
    for (rgb, expected) in [
        ([0, 0, 0], [16, 128, 128]),
        ([255, 255, 255], [235, 128, 128]),
        ([255, 0, 0], [63, 102, 240]),
        ([0, 255, 0], [173, 42, 26]),
        ([0, 0, 255], [32, 240, 118]),
        ([255, 255, 0], [219, 16, 138]),
    ] {
        let mut compositor = CpuCompositor::new(config(SMALL, &[SMALL])).unwrap();
        let scene = Scene::new(vec![colour(Colour::rgb(rgb[0], rgb[1], rgb[2]))]);
        let composed = compositor.compose(&scene, &|_| None, ZERO);
        for y in 0..8 {
            for x in 0..16 {
                assert_eq!(yuv(&composed.renditions[0], x, y), expected, "{rgb:?} at {x}, {y}");
            }
        }
    }
}

/// Every rendition of `layers` over the programme, computed plainly in f64 from linear programme rows.
fn reference_nv12(light: &[[f64; 3]], from: Size, to: Size) -> (Vec<f64>, Vec<[f64; 2]>) {
    let (fw, fh, tw, th) = (from.width as usize, from.height as usize, to.width as usize, to.height as usize);
    let shares = |from: usize, to: usize, at: usize| {
        let (start, end) = (at as f64 * from as f64 / to as f64, (at + 1) as f64 * from as f64 / to as f64);
        (0..from)
            .map(move |i| ((end.min((i + 1) as f64) - start.max(i as f64)).max(0.0)) / (end - start))
            .collect::<Vec<_>>()
    };
    let mut encoded = vec![[0.0; 3]; tw * th];
    for y in 0..th {
        let wy = shares(fh, th, y);
        for x in 0..tw {
            let wx = shares(fw, tw, x);
            let mut sum = [0.0; 3];
            for (j, wy) in wy.iter().enumerate().filter(|(_, w)| **w > 0.0) {
                for (i, wx) in wx.iter().enumerate().filter(|(_, w)| **w > 0.0) {
                    for c in 0..3 {
                        sum[c] += light[j * fw + i][c] * wx * wy;
                    }
                }
            }
            encoded[y * tw + x] = sum.map(exact_encode);
        }
    }
    let luma = |p: [f64; 3]| 0.2126 * p[0] + 0.7152 * p[1] + 0.0722 * p[2];
    let luma_codes = encoded.iter().map(|p| 16.0 + 219.0 * luma(*p)).collect();
    let mut chroma = Vec::new();
    for cy in 0..th.div_ceil(2) {
        for cx in 0..tw.div_ceil(2) {
            let (mut cb, mut cr) = (0.0, 0.0);
            for (row, _) in [(2 * cy, 0), ((2 * cy + 1).min(th - 1), 1)] {
                for (column, weight) in
                    [((2 * cx).saturating_sub(1), 0.25), (2 * cx, 0.5), ((2 * cx + 1).min(tw - 1), 0.25)]
                {
                    let p = encoded[row * tw + column];
                    cb += weight / 2.0 * (p[2] - luma(p)) / 1.8556;
                    cr += weight / 2.0 * (p[0] - luma(p)) / 1.5748;
                }
            }
            chroma.push([128.0 + 224.0 * cb, 128.0 + 224.0 * cr]);
        }
    }
    (luma_codes, chroma)
}

fn light_of_rgba(bytes: &[u8]) -> Vec<[f64; 3]> {
    let (pixels, _) = bytes.as_chunks::<4>();
    pixels.iter().map(|p| [p[0], p[1], p[2]].map(|c| exact_decode(f64::from(c) / 255.0))).collect()
}

fn assert_nv12(picture: &Picture, luma: &[f64], chroma: &[[f64; 2]], tolerance: f64) {
    let size = picture.size();
    let (width, half) = (size.width as usize, (size.width as usize).div_ceil(2));
    for (at, expected) in luma.iter().enumerate() {
        let code = f64::from(yuv(picture, at % width, at / width)[0]);
        assert!((code - expected).abs() <= tolerance, "Y {at}: {code} for {expected}");
    }
    for (at, expected) in chroma.iter().enumerate() {
        let [_, cb, cr] = yuv(picture, at % half * 2, at / half * 2);
        assert!((f64::from(cb) - expected[0]).abs() <= tolerance, "Cb {at}: {cb} for {expected:?}");
        assert!((f64::from(cr) - expected[1]).abs() <= tolerance, "Cr {at}: {cr} for {expected:?}");
    }
}

#[test]
fn renditions_of_even_and_odd_sizes_match_the_reference() {
    let programme = Size::new(61, 47);
    let bytes: Vec<u8> =
        noise(programme.pixels() as usize * 4, 7).chunks(4).flat_map(|p| [p[0], p[1], p[2], 255]).collect();
    let light = light_of_rgba(&bytes);
    let picture = Picture::rgba(programme, bytes.into(), ZERO).unwrap();
    // Each is fed by the programme, so that the reference needs one step only.
    for size in [programme, Size::new(60, 46), Size::new(41, 47), Size::new(61, 31), Size::new(7, 5)] {
        let mut compositor = CpuCompositor::new(config(programme, &[size])).unwrap();
        let scene = Scene::new(vec![Layer::full_frame("a", Fit::Stretch)]);
        let composed = compositor.compose(&scene, &|_| Some(picture.clone()), ZERO);
        let (luma, chroma) = reference_nv12(&light, programme, size);
        // Half a code of rounding and a fiftieth of the curve's.
        assert_nv12(&composed.renditions[0], &luma, &chroma, 0.54);
    }
}

#[test]
fn renditions_come_in_the_order_they_were_asked_for_and_keep_a_plain_colour() {
    let sizes = [Size::new(320, 180), Size::new(1280, 720), Size::new(854, 480), Size::new(640, 360)];
    let mut compositor = CpuCompositor::new(config(Size::new(1280, 720), &sizes)).unwrap();
    let scene = Scene::new(vec![colour(Colour::rgb(200, 100, 50))]);
    let composed = compositor.compose(&scene, &|_| None, ZERO);
    let expected = yuv(&composed.renditions[1], 0, 0);
    for (picture, size) in composed.renditions.iter().zip(sizes) {
        assert_eq!(picture.size(), size);
        assert_eq!(picture.format(), PixelFormat::Nv12);
        for (x, y) in [(0, 0), (size.width as usize - 1, size.height as usize - 1), (100, 77)] {
            assert_eq!(yuv(picture, x, y), expected);
        }
    }
}

#[test]
fn every_instruction_set_gives_the_same_bytes() {
    let programme = Size::new(333, 211);
    let renditions = [Size::new(333, 211), Size::new(222, 140), Size::new(111, 70), Size::new(50, 31)];
    let rgba = Picture::rgba(programme, noise(programme.pixels() as usize * 4, 3).into(), ZERO).unwrap();
    let camera_size = Size::new(127, 95);
    let camera = Picture::packed(
        camera_size,
        PixelFormat::Nv12,
        ColorMatrix::Bt601,
        ColorRange::Limited,
        noise(127 * 95 + 128 * 48, 9).into(),
        ZERO,
    )
    .unwrap();
    let scene = Scene::new(vec![
        Layer::full_frame("camera", Fit::Cover),
        Layer { blend: Blend::Add, opacity: 0.7, ..Layer::full_frame("rgba", Fit::Stretch) },
        Layer {
            blend: Blend::Screen,
            size: Some([100.0, 90.0]),
            ..Layer::new(Content::Source("rgba".into()))
        },
        Layer::new(Content::Text(Text::new("The same everywhere"))),
        Layer { blend: Blend::Multiply, opacity: 0.5, ..colour(Colour::rgb(250, 180, 20)) },
    ]);
    let all: Vec<_> = Isa::available()
        .into_iter()
        .map(|isa| {
            let mut compositor = CpuCompositor::with_isa(config(programme, &renditions), isa).unwrap();
            compositor.request_preview(Size::new(200, 100));
            let inputs = |name: &str| Some(if name == "camera" { camera.clone() } else { rgba.clone() });
            let composed = compositor.compose(&scene, &inputs, ZERO);
            let mut pictures = composed.renditions;
            pictures.extend(composed.preview);
            (isa.name(), pictures)
        })
        .collect();
    for (name, pictures) in &all[1..] {
        for (ours, baseline) in pictures.iter().zip(&all[0].1) {
            assert!(ours.data() == baseline.data(), "{name} differs at {}", ours.size());
        }
    }
}

/// A picture of `format` whose codes are `noise`, and what its pixels mean as R′G′B′, plainly.
fn formatted(
    format: PixelFormat,
    matrix: ColorMatrix,
    range: ColorRange,
    size: Size,
) -> (Picture, Vec<[f64; 3]>) {
    let (planes, bytes) = format.packed_layout(size);
    let mut data = noise(bytes, 77);
    if matches!(format, PixelFormat::Rgba8 | PixelFormat::Bgra8) {
        data.chunks_mut(4).for_each(|p| p[3] = 255);
    }
    let (w, h) = (size.width as usize, size.height as usize);
    let half = w.div_ceil(2);
    // One plane of chroma at (column of a half, row of the picture).
    let chroma = |data: &[u8], which: usize, cx: usize, y: usize| -> f64 {
        let cx = cx.min(half - 1);
        let at = |row: usize| match format {
            PixelFormat::Yuyv => data[y * planes[0].stride + cx * 4 + 1 + 2 * which],
            PixelFormat::Nv12 => data[planes[1].offset + row * planes[1].stride + cx * 2 + which],
            _ => data[planes[1 + which].offset + row * planes[1].stride + cx],
        };
        if format == PixelFormat::Yuyv {
            return f64::from(at(0));
        }
        // Chroma row r lies at luma height 2r + 0.5.
        let last = h.div_ceil(2) as f64 - 1.0;
        let position = ((y as f64 - 0.5) / 2.0).clamp(0.0, last);
        let (low, share) = (position.floor(), position - position.floor());
        let high = (low + 1.0).min(last);
        f64::from(at(low as usize)) * (1.0 - share) + f64::from(at(high as usize)) * share
    };
    let mut pixels = Vec::new();
    for y in 0..h {
        for x in 0..w {
            let p = &data[y * planes[0].stride..];
            pixels.push(match format {
                PixelFormat::Rgba8 => [p[x * 4], p[x * 4 + 1], p[x * 4 + 2]].map(|c| f64::from(c) / 255.0),
                PixelFormat::Bgra8 => [p[x * 4 + 2], p[x * 4 + 1], p[x * 4]].map(|c| f64::from(c) / 255.0),
                _ => {
                    let luma = f64::from(if format == PixelFormat::Yuyv { p[x * 2] } else { p[x] });
                    let [cb, cr] = [0, 1].map(|which| {
                        let here = chroma(&data, which, x / 2, y);
                        let next = chroma(&data, which, x / 2 + 1, y);
                        (if x % 2 == 0 { here } else { (here + next) / 2.0 }) - 128.0
                    });
                    let (kr, kb) =
                        if matrix == ColorMatrix::Bt601 { (0.299, 0.114) } else { (0.2126, 0.0722) };
                    let (luma, cb, cr) = if range == ColorRange::Limited {
                        ((luma - 16.0) / 219.0, cb / 224.0, cr / 224.0)
                    } else {
                        (luma / 255.0, cb / 255.0, cr / 255.0)
                    };
                    let r = luma + 2.0 * (1.0 - kr) * cr;
                    let b = luma + 2.0 * (1.0 - kb) * cb;
                    let g = (luma - kr * r - kb * b) / (1.0 - kr - kb);
                    [r, g, b].map(|c| c.clamp(0.0, 1.0))
                }
            });
        }
    }
    (Picture::packed(size, format, matrix, range, data.into(), ZERO).unwrap(), pixels)
}

#[test]
fn every_format_matrix_and_range_is_read_as_the_reference_reads_it() {
    use ColorMatrix::{Bt601, Bt709, Identity};
    let yuv = [PixelFormat::Nv12, PixelFormat::I420, PixelFormat::Yuyv];
    let mut kinds = vec![
        (PixelFormat::Rgba8, Identity, ColorRange::Full),
        (PixelFormat::Bgra8, Identity, ColorRange::Full),
    ];
    for format in yuv {
        for matrix in [Bt601, Bt709] {
            kinds.extend([(format, matrix, ColorRange::Limited), (format, matrix, ColorRange::Full)]);
        }
    }
    for (format, matrix, range) in kinds {
        for size in [Size::new(32, 18), Size::new(21, 13)] {
            let (picture, expected) = formatted(format, matrix, range, size);
            let pixels = preview(vec![Layer::full_frame("a", Fit::Stretch)], size, Some(&picture));
            for (at, (got, want)) in pixels.iter().zip(&expected).enumerate() {
                for c in 0..3 {
                    let error = (f64::from(got[c]) - want[c] * 255.0).abs();
                    assert!(error <= 0.54, "{format:?} {matrix:?} {range:?} at {at}: {got:?} for {want:?}");
                }
            }
        }
    }
}

#[test]
fn shrinking_a_layer_keeps_its_mean_light() {
    let from = Size::new(64, 64);
    let bytes: Vec<u8> = noise(64 * 64 * 4, 5).chunks(4).flat_map(|p| [p[0], p[1], p[2], 255]).collect();
    let mean = |light: &[[f64; 3]]| light.iter().map(|p| p[1]).sum::<f64>() / light.len() as f64;
    let before = mean(&light_of_rgba(&bytes));
    let picture = Picture::rgba(from, bytes.into(), ZERO).unwrap();
    for size in [Size::new(32, 32), Size::new(23, 17), Size::new(9, 40)] {
        let pixels = preview(vec![Layer::full_frame("a", Fit::Stretch)], size, Some(&picture));
        let after = mean(&light_of_rgba(pixels.as_flattened()));
        // Eight bits round each pixel by at most half a code, and the errors cancel.
        assert!((after - before).abs() < 0.002, "{size}: {after} for {before}");
    }
}

#[test]
fn enlarging_interpolates_light_between_the_middles_of_pixels() {
    let bytes = [[0, 0, 0, 255], [255, 255, 255, 255]].concat();
    let picture = Picture::rgba(Size::new(2, 1), bytes.into(), ZERO).unwrap();
    let pixels = preview(vec![Layer::full_frame("a", Fit::Stretch)], Size::new(4, 2), Some(&picture));
    let code = |light: f64| (exact_encode(light) * 255.0).round() as u8;
    let row: Vec<u8> = pixels[..4].iter().map(|p| p[0]).collect();
    assert_eq!(row, [0, code(0.25), code(0.75), 255]);
}

#[test]
fn a_layer_reaching_outside_is_cut_whether_scaled_or_not() {
    let picture = Picture::rgba(Size::new(4, 4), [255u8; 64].to_vec().into(), ZERO).unwrap();
    for (size, edge) in [(None, 4.0), (Some([8.0, 8.0]), 8.0)] {
        for (x, y) in [(-2.0, -2.0), (14.0, 6.0), (-2.0, 6.0), (14.0, -2.0)] {
            let layer = Layer { position: [x, y], size, ..Layer::new(Content::Source("a".into())) };
            let pixels = preview(vec![layer], SMALL, Some(&picture));
            for (at, pixel) in pixels.iter().enumerate() {
                let (px, py) = ((at % 16) as f32, (at / 16) as f32);
                let inside = px >= x && px < x + edge && py >= y && py < y + edge;
                assert_eq!(pixel[0], if inside { 255 } else { 0 }, "{px}, {py} of a layer at {x}, {y}");
            }
        }
    }
}

#[test]
fn a_crop_shows_only_what_it_leaves() {
    let mut bytes = vec![0u8; 8 * 8 * 4];
    bytes.chunks_mut(4).enumerate().for_each(|(i, p)| p.copy_from_slice(&[(i % 8 * 30) as u8, 0, 0, 255]));
    let picture = Picture::rgba(Size::new(8, 8), bytes.into(), ZERO).unwrap();
    let crop = Crop { left: 0.25, top: 0.5, right: 0.25, bottom: 0.0 };
    let layer = Layer { crop, ..Layer::new(Content::Source("a".into())) };
    let pixels = preview(vec![layer], SMALL, Some(&picture));
    let row: Vec<u8> = pixels[..6].iter().map(|p| p[0]).collect();
    assert_eq!(row, [60, 90, 120, 150, 0, 0]);
    assert_eq!(pixels[16 * 4], [0, 0, 0, 255]);
}

#[test]
fn a_plain_colour_fills_its_box_whatever_the_shape() {
    let layer = Layer { size: Some([8.0, 8.0]), ..colour(Colour::WHITE) };
    let pixels = preview(vec![layer], SMALL, None);
    assert!(pixels.iter().enumerate().all(|(at, p)| p[0] == if at % 16 < 8 { 255 } else { 0 }));
}

#[test]
fn a_source_that_is_missing_is_named_and_drawn_as_a_slate() {
    let size = Size::new(640, 360);
    let mut compositor = CpuCompositor::new(config(size, &[])).unwrap();
    compositor.request_preview(size);
    let layer = Layer {
        size: Some([320.0, 180.0]),
        position: [100.0, 50.0],
        ..Layer::new(Content::Source("camera".into()))
    };
    let composed = compositor.compose(&Scene::new(vec![layer]), &|_| None, ZERO);
    assert_eq!(compositor.problems(), [Problem::MissingSource { layer: 0, name: "camera".into() }]);
    let preview = composed.preview.unwrap();
    let (pixels, _) = preview.data().as_chunks::<4>();
    let at = |x: usize, y: usize| pixels[y * 640 + x];
    assert_eq!(at(99, 50), [0, 0, 0, 255]);
    assert_eq!(at(100, 50), [0x1a, 0x1d, 0x23, 255]);
    assert_eq!(at(419, 229), [0x1a, 0x1d, 0x23, 255]);
    assert_eq!(at(420, 230), [0, 0, 0, 255]);
    // Its name stands in the middle.
    let brightest = (60..460).flat_map(|x| (130..150).map(move |y| (x, y))).map(|(x, y)| at(x, y)[0]).max();
    assert!(brightest > Some(150));
}

#[test]
fn an_image_that_cannot_be_read_is_named_and_drawn_as_a_slate() {
    for (path, why) in [("/no/such/file.png", "read"), ("/dev/zero", "no file"), ("/", "no file")] {
        let mut compositor = CpuCompositor::new(config(SMALL, &[SMALL])).unwrap();
        let scene = Scene::new(vec![Layer::new(Content::Image(path.into()))]);
        let said = read_meanwhile(|| {
            compositor.compose(&scene, &|_| None, ZERO);
            // Frames come faster here than a disk answers, which is said meanwhile.
            let is_awaited = |problem: &Problem| format!("{problem:?}").contains("does not answer");
            compositor.problems().first().filter(|problem| !is_awaited(problem)).cloned()
        });
        assert!(
            matches!(&said, Problem::Image { layer: 0, message, .. } if message.contains(why)),
            "{said:?}"
        );
    }
}

/// Frames go on while a file is read: the first that shows what became of it.
fn read_meanwhile<T>(mut frame: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = frame() {
            return found;
        }
        assert!(Instant::now() < end, "it is never read");
        std::thread::yield_now();
    }
}

#[test]
fn an_image_with_alpha_lets_through_what_is_below() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.png");
    let bytes: Vec<u8> = (0..4u8).flat_map(|i| [255, 255, 255, if i < 2 { 0 } else { 255 }]).collect();
    image::save_buffer(&path, &bytes, 4, 1, image::ColorType::Rgba8).unwrap();
    let layer = Layer { position: [1.0, 1.0], ..Layer::new(Content::Image(path)) };
    let scene = Scene::new(vec![colour(Colour::rgb(10, 20, 30)), layer]);
    let mut compositor = CpuCompositor::new(config(SMALL, &[])).unwrap();
    let row = read_meanwhile(|| {
        compositor.request_preview(SMALL);
        let pixels = compositor.compose(&scene, &|_| None, ZERO).preview.unwrap();
        assert_eq!(compositor.problems(), []);
        let row: Vec<_> = pixels.data().as_chunks::<4>().0[16..22].iter().map(|p| p[0]).collect();
        (row != [10; 6]).then_some(row)
    });
    assert_eq!(row, [10, 10, 10, 255, 255, 10]);
}

#[test]
fn a_preview_is_delivered_only_for_the_frame_that_asked_and_of_the_size_it_asked() {
    let renditions = [Size::new(64, 36), Size::new(32, 18)];
    let mut compositor = CpuCompositor::new(config(Size::new(64, 36), &renditions)).unwrap();
    let scene = Scene::new(vec![colour(Colour::rgb(9, 99, 199))]);
    for size in
        [Size::new(64, 36), Size::new(20, 11), Size::new(20, 11), Size::new(32, 18), Size::new(9999, 7)]
    {
        compositor.request_preview(size);
        let composed = compositor.compose(&scene, &|_| None, ZERO);
        let preview = composed.preview.unwrap();
        assert_eq!(preview.size(), Size::new(size.width.min(64), size.height));
        assert!(preview.data().as_chunks::<4>().0.iter().all(|p| *p == [9, 99, 199, 255]));
        assert_eq!(composed.renditions.len(), 2);
        assert!(compositor.compose(&scene, &|_| None, ZERO).preview.is_none());
    }
}

#[test]
fn buffers_of_finished_pictures_are_used_again() {
    let mut compositor = CpuCompositor::new(config(SMALL, &[SMALL])).unwrap();
    let scene = Scene::new(vec![colour(Colour::WHITE)]);
    let addresses: std::collections::HashSet<_> =
        (0..10).map(|_| compositor.compose(&scene, &|_| None, ZERO).renditions[0].data().as_ptr()).collect();
    assert_eq!(addresses.len(), 1);
}

#[test]
fn a_rendition_larger_than_the_programme_is_refused() {
    assert!(CpuCompositor::new(config(SMALL, &[Size::new(17, 8)])).is_err());
    assert!(CpuCompositor::new(config(Size::new(1, 8), &[])).is_err());
    assert!(CpuCompositor::new(config(Size::new(99_999, 8), &[])).is_err());
    assert!(CpuCompositor::new(config(SMALL, &[SMALL; 17])).is_err());
}
