// Light that spills: means over cells, and blurs of them. The twin of `glow.rs`.

struct Pass {
    // Width and height of what is read, then of what is written.
    size: vec4<u32>,
    // Direction of a blur; shares of the near and the far spill.
    step: vec4<f32>,
}

@group(0) @binding(0) var<uniform> params: Pass;
@group(0) @binding(1) var<storage, read> light: array<u32>;
@group(0) @binding(2) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> target_cells: array<vec4<f32>>;

const CELL: u32 = 4u;
const WHITE: f32 = 2048.0;

@compute @workgroup_size(8, 8)
fn shrink(@builtin(global_invocation_id) id: vec3<u32>) {
    if any(id.xy >= params.size.zw) {
        return;
    }
    var sum = vec3<u32>(0u);
    for (var v = 0u; v < CELL; v++) {
        for (var u = 0u; u < CELL; u++) {
            let at = id.xy * CELL + vec2<u32>(u, v);
            if all(at < params.size.xy) {
                let start = (at.y * params.size.x + at.x) * 3u;
                // One pixel holds 16 bits on the CPU.
                sum += min(vec3<u32>(light[start], light[start + 1u], light[start + 2u]), vec3<u32>(65535u));
            }
        }
    }
    let mean = vec3<f32>(sum) * (1.0 / (WHITE * f32(CELL * CELL)));
    target_cells[id.y * params.size.z + id.x] = vec4<f32>(mean, 0.0);
}

fn at(x: i32, y: i32) -> vec4<f32> {
    let size = vec2<i32>(params.size.xy);
    let place = clamp(vec2<i32>(x, y), vec2<i32>(0), size - 1);
    return source[place.y * size.x + place.x];
}

@compute @workgroup_size(8, 8)
fn blur(@builtin(global_invocation_id) id: vec3<u32>) {
    if any(id.xy >= params.size.zw) {
        return;
    }
    let c = vec2<i32>(id.xy);
    let d = vec2<i32>(params.step.xy);
    let outer = at(c.x - 2 * d.x, c.y - 2 * d.y) + at(c.x + 2 * d.x, c.y + 2 * d.y);
    let inner = at(c.x - d.x, c.y - d.y) + at(c.x + d.x, c.y + d.y);
    let sum = outer * (1.0 / 16.0) + inner * 0.25 + at(c.x, c.y) * 0.375;
    target_cells[id.y * params.size.z + id.x] = sum;
}

// Cells of cells.
@compute @workgroup_size(8, 8)
fn widen(@builtin(global_invocation_id) id: vec3<u32>) {
    if any(id.xy >= params.size.zw) {
        return;
    }
    var sum = vec4<f32>(0.0);
    for (var v = 0u; v < CELL; v++) {
        for (var u = 0u; u < CELL; u++) {
            sum += at(i32(id.x * CELL + u), i32(id.y * CELL + v));
        }
    }
    target_cells[id.y * params.size.z + id.x] = sum * (1.0 / f32(CELL * CELL));
}

// What is there times the near share, and the far spill on top.
@compute @workgroup_size(8, 8)
fn mix_far(@builtin(global_invocation_id) id: vec3<u32>) {
    if any(id.xy >= params.size.zw) {
        return;
    }
    let place = (vec2<f32>(id.xy) + 0.5) / f32(CELL) - 0.5;
    let corner = floor(place);
    let part = place - corner;
    let c = vec2<i32>(corner);
    let upper = mix(at(c.x, c.y), at(c.x + 1, c.y), part.x);
    let lower = mix(at(c.x, c.y + 1), at(c.x + 1, c.y + 1), part.x);
    let index = id.y * params.size.z + id.x;
    target_cells[index] = target_cells[index] * params.step.z + mix(upper, lower, part.y) * params.step.w;
}
