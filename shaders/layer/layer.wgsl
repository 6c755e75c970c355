// One layer onto the programme: its content's pixels, brought to linear light and scaled, premultiplied.
// The blending itself is the pipeline's. Twin: `crates/compose/src/cpu/{read,scaler,blend}.rs`.

const COLOUR: u32 = 0u;
const RGBA: u32 = 1u;
const BGRA: u32 = 2u;
const NV12: u32 = 3u;
const I420: u32 = 4u;
const YUYV: u32 = 5u;

// Source pixels that one programme pixel reads at most along an axis; further reduction skips some.
const MAX_TAPS: u32 = 16u;

struct Layer {
    // x, y, width, height in programme pixels.
    dest: vec4<i32>,
    // The same in the content's pixels.
    source: vec4<i32>,
    // Premultiplied light of a plain colour.
    colour: vec4<f32>,
    // y_zero, y_scale, red_cr, green_cb.
    yuv: vec4<f32>,
    green_cr: f32,
    blue_cb: f32,
    opacity: f32,
    kind: u32,
    programme: vec2<u32>,
    // Columns and rows of the chroma planes.
    chroma: vec2<u32>,
}

@group(0) @binding(0) var<uniform> layer: Layer;
@group(0) @binding(1) var plane0: texture_2d<f32>;
@group(0) @binding(2) var plane1: texture_2d<f32>;
@group(0) @binding(3) var plane2: texture_2d<f32>;

@vertex
fn corner(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
    let at = vec2(f32(index & 1u), f32(index >> 1u));
    let pixel = vec2<f32>(layer.dest.xy) + at * vec2<f32>(layer.dest.zw);
    let place = pixel / vec2<f32>(layer.programme) * 2.0 - 1.0;
    return vec4(place.x, -place.y, 0.0, 1.0);
}

// Cb and Cr codes less 128 of one sample of the chroma planes.
fn chroma_sample(column: u32, row: u32) -> vec2<f32> {
    let at = vec2(min(column, layer.chroma.x - 1u), row);
    var codes = vec2(0.0);
    if layer.kind == YUYV {
        codes = textureLoad(plane0, at, 0).ga;
    } else if layer.kind == NV12 {
        codes = textureLoad(plane1, at, 0).rg;
    } else {
        codes = vec2(textureLoad(plane1, at, 0).r, textureLoad(plane2, at, 0).r);
    }
    return codes * 255.0 - 128.0;
}

// At full width of one chroma row: samples sit on the even columns.
fn chroma_across(x: u32, row: u32) -> vec2<f32> {
    let here = chroma_sample(x / 2u, row);
    if x % 2u == 0u {
        return here;
    }
    return (here + chroma_sample(x / 2u + 1u, row)) * 0.5;
}

fn chroma_at(x: u32, y: u32) -> vec2<f32> {
    if layer.kind == YUYV {
        return chroma_across(x, y);
    }
    // Between rows of 4:2:0 the samples sit midway.
    let near = y / 2u;
    var far = min(near + 1u, layer.chroma.y - 1u);
    if y % 2u == 0u {
        far = max(near, 1u) - 1u;
    }
    return chroma_across(x, near) * 0.75 + chroma_across(x, far) * 0.25;
}

// Premultiplied light of one pixel of the content.
fn pixel(x: u32, y: u32) -> vec4<f32> {
    if layer.kind == RGBA || layer.kind == BGRA {
        var p = textureLoad(plane0, vec2(x, y), 0);
        if layer.kind == BGRA {
            p = p.bgra;
        }
        return vec4(decode3(p.rgb) * p.a, p.a);
    }
    var code = 0.0;
    if layer.kind == YUYV {
        let pair = textureLoad(plane0, vec2(x / 2u, y), 0);
        code = select(pair.b, pair.r, x % 2u == 0u) * 255.0;
    } else {
        code = textureLoad(plane0, vec2(x, y), 0).r * 255.0;
    }
    let c = chroma_at(x, y);
    let bright = (code - layer.yuv.x) * layer.yuv.y;
    let rgb = vec3(
        bright + layer.yuv.z * c.y,
        bright + layer.yuv.w * c.x + layer.green_cr * c.y,
        bright + layer.blue_cb * c.x,
    );
    return vec4(decode3(clamp(rgb, vec3(0.0), vec3(1.0))), 1.0);
}

// What one programme pixel takes along one axis: the first source pixel, how many, and how far apart; and for
// enlarging the share of the second.
struct Span {
    first: u32,
    count: u32,
    step: u32,
    share: f32,
}

fn span(at: u32, source: u32, dest: u32) -> Span {
    if source >= dest {
        let first = at * source / dest;
        let last = ((at + 1u) * source - 1u) / dest;
        let step = (last - first) / MAX_TAPS + 1u;
        return Span(first, (last - first) / step + 1u, step, 0.0);
    }
    let centre = (f32(at) + 0.5) * f32(source) / f32(dest) - 0.5;
    if centre <= 0.0 {
        return Span(0u, 1u, 1u, 0.0);
    }
    let first = u32(centre);
    if first >= source - 1u {
        return Span(source - 1u, 1u, 1u, 0.0);
    }
    return Span(first, 2u, 1u, centre - f32(first));
}

fn weight(s: Span, tap: u32, at: u32, source: u32, dest: u32) -> f32 {
    if source < dest {
        if s.count == 1u {
            return 1.0;
        }
        return select(1.0 - s.share, s.share, tap == 1u);
    }
    if s.step > 1u {
        return 1.0 / f32(s.count);
    }
    // In units of a `dest`th of a source pixel.
    let place = s.first + tap;
    let covered = min((at + 1u) * source, (place + 1u) * dest) - max(at * source, place * dest);
    return f32(covered) / f32(source);
}

@fragment
fn shade(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    if layer.kind == COLOUR {
        return layer.colour * layer.opacity;
    }
    let at = vec2<u32>(vec2<i32>(position.xy) - layer.dest.xy);
    let source = vec2<u32>(layer.source.zw);
    let dest = vec2<u32>(layer.dest.zw);
    let origin = vec2<u32>(layer.source.xy);
    if all(source == dest) {
        return pixel(origin.x + at.x, origin.y + at.y) * layer.opacity;
    }
    let columns = span(at.x, source.x, dest.x);
    let rows = span(at.y, source.y, dest.y);
    var sum = vec4(0.0);
    for (var j = 0u; j < rows.count; j += 1u) {
        var line = vec4(0.0);
        for (var i = 0u; i < columns.count; i += 1u) {
            let x = origin.x + columns.first + i * columns.step;
            let y = origin.y + rows.first + j * rows.step;
            line += pixel(x, y) * weight(columns, i, at.x, source.x, dest.x);
        }
        sum += line * weight(rows, j, at.y, source.y, dest.y);
    }
    return sum * layer.opacity;
}
