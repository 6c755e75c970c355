// Two scenes, each drawn whole, mixed in linear light. Twin: `fade` of `crates/compose/src/cpu/blend.rs`.

struct Fade {
    // Of the scene that comes, 0 to 1.
    share: f32,
}

@group(0) @binding(0) var<uniform> fade: Fade;
@group(0) @binding(1) var outgoing: texture_2d<f32>;
@group(0) @binding(2) var incoming: texture_2d<f32>;

// One triangle over everything.
@vertex
fn corner(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
    let at = vec2(f32(index & 1u), f32(index >> 1u));
    return vec4(at * 4.0 - 1.0, 0.0, 1.0);
}

@fragment
fn shade(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    let at = vec2<u32>(position.xy);
    let gone = textureLoad(outgoing, at, 0) * (1.0 - fade.share);
    return gone + textureLoad(incoming, at, 0) * fade.share;
}
