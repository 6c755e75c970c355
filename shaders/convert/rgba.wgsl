// Linear light to opaque sRGB-encoded RGBA, a word a pixel. Twin: `crates/compose/src/cpu/encode.rs`.

@group(0) @binding(0) var picture: texture_2d<f32>;
@group(0) @binding(1) var<storage, read_write> pixels: array<u32>;

@compute @workgroup_size(8, 8)
fn rgba(@builtin(global_invocation_id) id: vec3<u32>) {
    let size = textureDimensions(picture);
    if id.x >= size.x || id.y >= size.y {
        return;
    }
    let code = vec3<u32>(encode3(textureLoad(picture, id.xy, 0).rgb) * 255.0 + 0.5);
    pixels[id.y * size.x + id.x] = code.r | code.g << 8u | code.b << 16u | 0xff000000u;
}
