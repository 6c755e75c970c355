// Arithmetic in the order in which `crates/sim/src/exact.rs` does it.

fn sin_turns(turns: f32) -> f32 {
    var r = turns - round(turns);
    let mirror = select(0.5, -0.5, r < 0.0);
    r = select(r, mirror - r, abs(r) > 0.25);
    let r2 = r * r;
    var sum = -15.094643;
    sum = sum * r2 + 42.058693;
    sum = sum * r2 - 76.70586;
    sum = sum * r2 + 81.60525;
    sum = sum * r2 - 41.3417;
    sum = sum * r2 + 6.2831855;
    return sum * r;
}

fn cos_turns(turns: f32) -> f32 {
    return sin_turns(turns + 0.25);
}

fn rough_sin_turns(turns: f32) -> f32 {
    let r = turns - round(turns);
    let parabola = r * (8.0 - 16.0 * abs(r));
    return parabola * (0.775 + 0.225 * abs(parabola));
}

// Jarzynski and Olano, JCGT 9(3), 2020.
fn pcg4d(counter: vec4<u32>) -> vec4<u32> {
    var v = counter * 1664525u + 1013904223u;
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    v = v ^ (v >> vec4<u32>(16u));
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    return v;
}

fn unit(word: u32) -> f32 {
    return f32(word >> 8u) * (1.0 / 16777216.0);
}
