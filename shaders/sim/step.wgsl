// One step of all particles: a workgroup is a block. The twin of `kernel.rs` and `emission.rs`.

struct RingParams {
    ring: vec4<u32>,
    window: vec4<u32>,
    centre: vec4<f32>,
    a: vec4<f32>,
    b: vec4<f32>,
    axis: vec4<f32>,
    velocity: vec4<f32>,
    life: vec4<f32>,
    phase: vec4<f32>,
}

struct StepParams {
    counts: vec4<u32>,
    counts2: vec4<u32>,
    gravity: vec4<f32>,
    air: vec4<f32>,
    vortex: vec4<f32>,
    vortex_axis: vec4<f32>,
    vortex_more: vec4<f32>,
    modes: array<vec4<f32>, 8>,
    amplitudes: array<vec4<f32>, 8>,
    attractors: array<vec4<f32>, 8>,
    softness: array<vec4<f32>, 8>,
    pushes: array<vec4<f32>, 4>,
    push_velocity: array<vec4<f32>, 4>,
    planes: array<vec4<f32>, 4>,
    plane_response: array<vec4<f32>, 4>,
    spheres: array<vec4<f32>, 4>,
    sphere_response: array<vec4<f32>, 4>,
    rings: array<RingParams, 8>,
}

@group(0) @binding(0) var<uniform> p: StepParams;
@group(0) @binding(1) var<storage, read_write> particles: array<u32>;
@group(0) @binding(2) var<storage, read_write> living: atomic<u32>;

const SHED_HASTE: f32 = 2.0;
const RINGS: u32 = 8u;

struct Particle {
    at: vec3<f32>,
    v: vec3<f32>,
    phase: f32,
    haste: f32,
    look: u32,
}

fn read(base: u32) -> Particle {
    return Particle(
        vec3<f32>(
            bitcast<f32>(particles[base + PX]),
            bitcast<f32>(particles[base + PY]),
            bitcast<f32>(particles[base + PZ]),
        ),
        vec3<f32>(
            bitcast<f32>(particles[base + VX]),
            bitcast<f32>(particles[base + VY]),
            bitcast<f32>(particles[base + VZ]),
        ),
        bitcast<f32>(particles[base + PHASE]),
        bitcast<f32>(particles[base + HASTE]),
        particles[base + LOOK],
    );
}

fn write(base: u32, q: Particle) {
    particles[base + PX] = bitcast<u32>(q.at.x);
    particles[base + PY] = bitcast<u32>(q.at.y);
    particles[base + PZ] = bitcast<u32>(q.at.z);
    particles[base + VX] = bitcast<u32>(q.v.x);
    particles[base + VY] = bitcast<u32>(q.v.y);
    particles[base + VZ] = bitcast<u32>(q.v.z);
    particles[base + PHASE] = bitcast<u32>(q.phase);
    particles[base + HASTE] = bitcast<u32>(q.haste);
    particles[base + LOOK] = q.look;
}

fn sum3(v: vec3<f32>) -> f32 {
    return v.x + v.y + v.z;
}

fn air_at(at: vec3<f32>) -> vec3<f32> {
    var air = p.air.xyz;
    if p.counts2.z != 0u {
        let axis = p.vortex_axis.xyz;
        let d = at - p.vortex.xyz;
        let r = d - axis * sum3(d * axis);
        let r2 = sum3(r * r);
        let fade = 1.0 / (1.0 + r2 * p.vortex_more.x);
        let near = fade / sqrt(r2 + p.vortex_axis.w);
        let turned = axis.yzx * r.zxy - axis.zxy * r.yzx;
        air += turned * (p.vortex.w * near) - r * (p.vortex_more.y * near) + axis * (p.vortex_more.z * fade);
    }
    for (var i = 0u; i < min(p.counts2.x, 8u); i++) {
        let mode = p.modes[i];
        let turns = at.x * mode.x + at.y * mode.y + at.z * mode.z + mode.w;
        air += p.amplitudes[i].xyz * rough_sin_turns(turns);
    }
    return air;
}

fn forces(at: vec3<f32>, speed: vec3<f32>) -> vec3<f32> {
    var v = speed;
    for (var i = 0u; i < min(p.counts.x, 8u); i++) {
        let d = p.attractors[i].xyz - at;
        let r2 = sum3(d * d) + p.softness[i].x;
        v += d * (p.attractors[i].w / (r2 * sqrt(r2)));
    }
    for (var i = 0u; i < min(p.counts.y, 4u); i++) {
        let d = at - p.pushes[i].xyz;
        var near = max(1.0 - sum3(d * d) * p.pushes[i].w, 0.0);
        near = near * near;
        v += p.push_velocity[i].xyz * near;
    }
    return v;
}

fn bounce(q: Particle, n: vec3<f32>, depth: f32, response: vec4<f32>) -> Particle {
    var out = q;
    let inside = select(0.0, depth, depth < 0.0);
    out.at -= n * inside;
    let into = sum3(q.v * n);
    let strikes = inside < 0.0 && into < 0.0;
    let back = select(0.0, into * response.x, strikes);
    let hold = select(0.0, response.y, strikes);
    let along = q.v - n * into;
    out.v = q.v - n * back - along * hold;
    return out;
}

fn collide(particle: Particle) -> Particle {
    var q = particle;
    for (var i = 0u; i < min(p.counts.z, 4u); i++) {
        let n = p.planes[i].xyz;
        q = bounce(q, n, sum3(q.at * n) - p.planes[i].w, p.plane_response[i]);
    }
    for (var i = 0u; i < min(p.counts.w, 4u); i++) {
        let d = q.at - p.spheres[i].xyz;
        let r = sqrt(sum3(d * d) + 1e-12);
        q = bounce(q, d * (1.0 / r), r - p.spheres[i].w, p.sphere_response[i]);
    }
    return q;
}

fn stepped(particle: Particle, shed: bool) -> Particle {
    var q = particle;
    let dt = p.gravity.w;
    let pulled = q.v + p.gravity.xyz;
    let carried = pulled + (air_at(q.at) - pulled) * p.air.w;
    q.v = select(vec3<f32>(0.0), forces(q.at, carried), q.phase < 1.0);
    q.at += q.v * dt;
    q = collide(q);
    let least = max(p.vortex_more.w, select(0.0, SHED_HASTE, shed));
    q.haste = max((1.0 - q.phase) * least, q.haste);
    let phase = q.phase + q.haste * dt;
    q.phase = select(1.0, phase, phase < 1.0);
    q.v = select(vec3<f32>(0.0), q.v, phase < 1.0);
    return q;
}

// The k-th particle of the window of ring `i`.
fn born(i: u32, k: u32) -> Particle {
    let ring = p.rings[i];
    let serial = ring.window.z + k;
    let stream = ring.window.w;
    let seed = p.counts2.y;
    let r = pcg4d(vec4<u32>(serial, stream, seed, 1u));
    let q = pcg4d(vec4<u32>(serial, stream, seed, 2u));
    let s = pcg4d(vec4<u32>(serial, stream, seed, 3u));

    let size = ring.a.w;
    let form = ring.b.w;
    let thickness = ring.axis.w;
    let around = vec2<f32>(cos_turns(unit(r.x)), sin_turns(unit(r.x)));
    let blur = (unit(r.y) + unit(r.z) - 1.0) * thickness;
    let kind = ring.centre.w;
    var local = vec3<f32>(0.0);
    var away = around;
    if kind == 1.0 {
        let even = sqrt(unit(r.w));
        let radius = size * (even + (unit(r.w) - even) * form);
        local = vec3<f32>(around * radius, blur);
    } else if kind == 2.0 {
        let radius = size + (unit(q.x) + unit(q.y) - 1.0) * form;
        local = vec3<f32>(around * radius, blur);
    } else if kind == 3.0 {
        let up = 2.0 * unit(r.y) - 1.0;
        let flat_part = sqrt(1.0 - up * up);
        let x = unit(r.z);
        let y = unit(r.w);
        let ball = max(max(x, y), unit(q.x));
        let radius = size * (ball + (x * y - ball) * form);
        local = vec3<f32>(around * flat_part * radius, up * radius);
    } else if kind == 5.0 {
        let even = sqrt(unit(r.w));
        let part = even + (unit(r.w) - even) * 0.6;
        let arm = round(unit(r.x) * ring.phase.z - 0.5);
        let turns = arm / ring.phase.z + part * form + (unit(q.x) + unit(q.y) - 1.0) * ring.phase.w;
        away = vec2<f32>(cos_turns(turns), sin_turns(turns));
        local = vec3<f32>(away * part * size, blur);
    } else if kind == 4.0 {
        let other = (unit(q.x) + unit(q.y) - 1.0) * thickness;
        local = vec3<f32>((2.0 * unit(r.w) - 1.0) * size, other, blur);
        away = vec2<f32>(0.0);
    }

    let tilt = 1.0 - unit(q.z) * ring.velocity.z;
    let lean = sqrt(max(1.0 - tilt * tilt, 0.0));
    let speed = ring.velocity.x + unit(s.x) * ring.velocity.y;
    let outward = ring.velocity.w;
    let swirl = ring.life.x;
    let motion = vec3<f32>(
        lean * cos_turns(unit(q.w)) * speed + away.x * outward - away.y * swirl,
        lean * sin_turns(unit(q.w)) * speed + away.y * outward + away.x * swirl,
        tilt * speed,
    );
    let velocity = ring.a.xyz * motion.x + ring.b.xyz * motion.y + ring.axis.xyz * motion.z;
    let place = ring.a.xyz * local.x + ring.b.xyz * local.y + ring.axis.xyz * local.z;
    let earlier = unit(s.y) * p.gravity.w;
    let haste = ring.life.y + unit(s.z) * ring.life.z;
    let phase = ring.phase.x + f32(k) * ring.phase.y + haste * earlier;
    return Particle(ring.centre.xyz + place + velocity * earlier, velocity, phase, haste, stream | (s.w >> 4u));
}

var<workgroup> living_here: atomic<u32>;

@compute @workgroup_size(64)
fn step(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let block = group.x;
    let base = block * BLOCK_WORDS + lane;
    var q = read(base);
    for (var i = 0u; i < RINGS; i++) {
        let ring = p.rings[i].ring;
        let within = block - ring.x;
        if within >= ring.y {
            continue;
        }
        // At most 31 250 blocks: the product fits.
        let place = (within * ring.w) % ring.y;
        let shed = place >= ring.z;
        q = stepped(q, shed);
        let capacity = ring.y * LANES;
        let slot = place * LANES + lane;
        let start = p.rings[i].window.x;
        let k = select(slot + capacity - start, slot - start, slot >= start);
        if !shed && k < p.rings[i].window.y {
            q = born(i, k);
        }
        write(base, q);
        break;
    }
    if q.phase < 1.0 {
        atomicAdd(&living_here, 1u);
    }
    workgroupBarrier();
    if lane == 0u {
        atomicAdd(&living, atomicLoad(&living_here));
    }
}
