// Linear light to NV12 codes, four columns and two rows an invocation. Twin: `crates/compose/src/cpu/encode.rs`.

struct Frame {
    width: u32,
    height: u32,
    // In words of four codes.
    stride: u32,
    chroma_offset: u32,
}

@group(0) @binding(0) var picture: texture_2d<f32>;
@group(0) @binding(1) var<storage, read_write> codes: array<u32>;
@group(0) @binding(2) var<uniform> frame: Frame;

fn encoded(x: i32, y: u32) -> vec3<f32> {
    let column = u32(clamp(x, 0, i32(frame.width) - 1));
    return encode3(textureLoad(picture, vec2(column, min(y, frame.height - 1u)), 0).rgb);
}

@compute @workgroup_size(8, 8)
fn nv12(@builtin(global_invocation_id) id: vec3<u32>) {
    let top = id.y * 2u;
    if id.x >= frame.stride || top >= frame.height {
        return;
    }
    let left = i32(id.x * 4u);
    // (B′ − Y′, R′ − Y′) summed over both rows, from one column before the four on.
    var color: array<vec2<f32>, 5>;
    for (var row = 0u; row < 2u; row += 1u) {
        let y = top + row;
        var word = 0u;
        for (var column = 0; column < 5; column += 1) {
            let rgb = encoded(left + column - 1, y);
            let bright = luma(rgb);
            color[column] += vec2(rgb.b - bright, rgb.r - bright);
            if column > 0 {
                word |= luma_code(bright) << u32(8 * (column - 1));
            }
        }
        if y < frame.height {
            codes[y * frame.stride + id.x] = word;
        }
    }
    // Siting left: one, two and one quarters around the even columns.
    let first = chroma_code((color[0] + 2.0 * color[1] + color[2]) / 8.0);
    let second = chroma_code((color[2] + 2.0 * color[3] + color[4]) / 8.0);
    let word = first.x | first.y << 8u | second.x << 16u | second.y << 24u;
    codes[frame.chroma_offset + id.y * frame.stride + id.x] = word;
}
