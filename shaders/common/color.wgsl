// Colour arithmetic in the order in which `crates/compose/src/color.rs` does it.

fn unit(x: f32) -> f32 {
    return clamp(x, 0.0, 1.0);
}

// Linear light to sRGB.
fn encode(light: f32) -> f32 {
    let x = unit(light);
    let s = sqrt(x);
    var curve = 1.843908;
    curve = curve * s + -7.557302;
    curve = curve * s + 12.843184;
    curve = curve * s + -11.812204;
    curve = curve * s + 6.528085;
    curve = curve * s + -2.425736;
    curve = curve * s + 1.6239194;
    curve = curve * s + -0.04378277;
    return select(12.92 * x, curve, x > 0.0031308);
}

fn encode3(light: vec3<f32>) -> vec3<f32> {
    return vec3(encode(light.r), encode(light.g), encode(light.b));
}

// sRGB to linear light.
fn decode(x: f32) -> f32 {
    var curve = 0.08728244;
    curve = curve * x + -0.30737773;
    curve = curve * x + 0.6671607;
    curve = curve * x + 0.51938194;
    curve = curve * x + 0.03274608;
    curve = curve * x + 0.0009168907;
    return select(x / 12.92, curve, x > 0.04045);
}

fn decode3(encoded: vec3<f32>) -> vec3<f32> {
    return vec3(decode(encoded.r), decode(encoded.g), decode(encoded.b));
}

// BT.709, limited range: Y′ from R′G′B′, and the codes.
fn luma(rgb: vec3<f32>) -> f32 {
    return dot(rgb, vec3(0.2126, 0.7152, 0.0722));
}

fn luma_code(y: f32) -> u32 {
    return u32(16.5 + 219.0 * y);
}

// `color` is (B′ − Y′, R′ − Y′).
fn chroma_code(color: vec2<f32>) -> vec2<u32> {
    return vec2<u32>(vec2(128.5) + color * vec2(224.0 / 1.8556, 224.0 / 1.5748));
}
