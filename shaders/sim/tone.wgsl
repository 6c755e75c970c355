// From light to sRGB codes. The twin of `tone.rs`.

@group(0) @binding(0) var<storage, read> light: array<u32>;
@group(0) @binding(1) var<storage, read> cells: array<vec4<f32>>;
@group(0) @binding(2) var picture: texture_storage_2d<rgba8unorm, write>;

const CELL: f32 = 4.0;
const WHITE: f32 = 2048.0;

fn srgb(x: f32) -> f32 {
    let root = sqrt(x);
    var curve = 0.8429065 - 0.30960676 * root;
    curve = 1.4479396 + root * (-0.94497526 + root * curve);
    curve = -0.037008606 + root * curve;
    return select(curve, 12.92 * x, x < 0.0031308);
}

fn cell(x: i32, y: i32, size: vec2<i32>) -> vec3<f32> {
    let at = clamp(vec2<i32>(x, y), vec2<i32>(0), size - 1);
    return cells[at.y * size.x + at.x].xyz;
}

@compute @workgroup_size(8, 8)
fn develop(@builtin(global_invocation_id) id: vec3<u32>) {
    let size = textureDimensions(picture);
    if any(id.xy >= size) {
        return;
    }
    let grid = vec2<i32>((size + 3u) / 4u);
    let place = (vec2<f32>(id.xy) + 0.5) / CELL - 0.5;
    let corner = floor(place);
    let part = place - corner;
    let c = vec2<i32>(corner);
    let upper = mix(cell(c.x, c.y, grid), cell(c.x + 1, c.y, grid), part.x);
    let lower = mix(cell(c.x, c.y + 1, grid), cell(c.x + 1, c.y + 1, grid), part.x);
    let start = (id.y * size.x + id.x) * 3u;
    let own = min(vec3<u32>(light[start], light[start + 1u], light[start + 2u]), vec3<u32>(65535u));
    let sum = vec3<f32>(own) * (1.0 / WHITE) + mix(upper, lower, part.y);

    let most = max(max(sum.x, sum.y), sum.z);
    let m = min(most, 1000.0);
    let rest = 1.0 + m * (0.5 + m * (1.0 / 6.0));
    let answer = rest / (1.0 + m * rest);
    let peak = most * answer;
    let peak2 = peak * peak;
    let peak4 = peak2 * peak2;
    let bleach = peak4 * peak4 * 0.92;
    let kept = sum * answer;
    let shown = kept + (vec3<f32>(peak) - kept) * bleach;

    let inner = 52.982918 * fract(0.06711056 * f32(id.x) + 0.00583715 * f32(id.y));
    let dither = fract(inner) - 0.5;
    let codes = vec3<f32>(srgb(shown.x), srgb(shown.y), srgb(shown.z)) * 255.0 + dither;
    let whole = round(clamp(codes, vec3<f32>(0.0), vec3<f32>(255.0)));
    textureStore(picture, id.xy, vec4<f32>(whole / 255.0, 1.0));
}
