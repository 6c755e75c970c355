// Adds every particle's light to the four pixels round it. The twin of `splat.rs`: whole numbers, so that
// the order of the additions does not matter.

struct Frame {
    eye: vec4<f32>,
    right: vec4<f32>,
    up: vec4<f32>,
    forward: vec4<f32>,
    // Width, height, how many hiders, whether there is a mirror.
    size: vec4<u32>,
    // Gain, sparkle, height of the mirror, its gain.
    light: vec4<f32>,
    hiders: array<vec4<f32>, 4>,
}

@group(0) @binding(0) var<uniform> frame: Frame;
@group(0) @binding(1) var<storage, read> particles: array<u32>;
@group(0) @binding(2) var<storage, read> palettes: array<vec4<u32>>;
// Red, green and blue of a pixel follow each other.
@group(0) @binding(3) var<storage, read_write> light: array<atomic<u32>>;

const SUB: u32 = 32u;
const PALETTE_LEN: u32 = 64u;
const INTENSITY_ONE: f32 = 16384.0;

fn hidden(d: vec3<f32>) -> bool {
    let far = d.x * d.x + d.y * d.y + d.z * d.z;
    for (var i = 0u; i < min(frame.size.z, 4u); i++) {
        let o = frame.hiders[i].xyz - frame.eye.xyz;
        let way = min((o.x * d.x + o.y * d.y + o.z * d.z) / far, 1.0);
        let m = o - d * way;
        if m.x * m.x + m.y * m.y + m.z * m.z < frame.hiders[i].w * frame.hiders[i].w * 0.98 {
            return true;
        }
    }
    return false;
}

fn deposit(x: u32, y: u32, weight: u32, entry: vec3<u32>, intensity: u32, chance: u32) {
    let share = (intensity * weight) >> 10u;
    let amount = (entry * share + chance) >> vec3<u32>(16u);
    let start = (y * frame.size.x + x) * 3u;
    if amount.x > 0u { atomicAdd(&light[start], amount.x); }
    if amount.y > 0u { atomicAdd(&light[start + 1u], amount.y); }
    if amount.z > 0u { atomicAdd(&light[start + 2u], amount.z); }
}

fn add(at: vec3<f32>, phase: f32, look: u32, gain: f32) {
    let d = at - frame.eye.xyz;
    let depth = frame.forward.x * d.x + frame.forward.y * d.y + frame.forward.z * d.z;
    if !(depth > frame.forward.w) {
        return;
    }
    let inverse = 1.0 / depth;
    let x = (frame.right.x * d.x + frame.right.y * d.y + frame.right.z * d.z) * inverse + (frame.right.w - 0.5);
    let y = (frame.up.w - 0.5) - (frame.up.x * d.x + frame.up.y * d.y + frame.up.z * d.z) * inverse;
    let inside = x >= 0.0 && x < f32(frame.size.x - 1u) && y >= 0.0 && y < f32(frame.size.y - 1u);
    if !inside || hidden(d) {
        return;
    }
    let u = f32(look & 0xffffu) * (1.0 / 65536.0);
    let u2 = u * u;
    let u4 = u2 * u2;
    let own = (1.0 - frame.light.y) + frame.light.y * 9.0 * u4 * u4;
    let brightness = gain * frame.eye.w * INTENSITY_ONE * own * inverse * inverse;
    let intensity = u32(round(min(brightness, 65535.0)));
    let column = u32(round(x * f32(SUB)));
    let row = u32(round(y * f32(SUB)));
    let step = u32(round(clamp(phase, 0.0, 1.0) * f32(PALETTE_LEN - 1u)));
    let entry = palettes[(look >> 28u) * PALETTE_LEN + step].xyz;
    let chance = ((look >> 16u) & 63u) << 10u;
    let px = column / SUB;
    let py = row / SUB;
    let fx = column % SUB;
    let fy = row % SUB;
    deposit(px, py, (SUB - fx) * (SUB - fy), entry, intensity, chance);
    if fx > 0u { deposit(px + 1u, py, fx * (SUB - fy), entry, intensity, chance); }
    if fy > 0u { deposit(px, py + 1u, (SUB - fx) * fy, entry, intensity, chance); }
    if fx > 0u && fy > 0u { deposit(px + 1u, py + 1u, fx * fy, entry, intensity, chance); }
}

@compute @workgroup_size(64)
fn splat(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let base = group.x * BLOCK_WORDS + lane;
    let phase = bitcast<f32>(particles[base + PHASE]);
    if !(phase < 1.0) {
        return;
    }
    let at = vec3<f32>(
        bitcast<f32>(particles[base + PX]),
        bitcast<f32>(particles[base + PY]),
        bitcast<f32>(particles[base + PZ]),
    );
    let look = particles[base + LOOK];
    add(at, phase, look, frame.light.x);
    // Every second block stands for its neighbour in the mirror too.
    if frame.size.w != 0u && group.x % 2u == 0u {
        add(vec3<f32>(at.x, 2.0 * frame.light.z - at.y, at.z), phase, look, frame.light.w);
    }
}
