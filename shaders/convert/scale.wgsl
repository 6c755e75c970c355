// A picture in linear light to a smaller one, by area. Twin: `crates/compose/src/filter.rs`.

@group(0) @binding(0) var large: texture_2d<f32>;
@group(0) @binding(1) var small: texture_storage_2d<rgba32float, write>;

// Source pixels `first..=last` of destination pixel `at`.
fn covered_by(at: u32, source: u32, dest: u32) -> vec2<u32> {
    return vec2(at * source / dest, ((at + 1u) * source - 1u) / dest);
}

// In units of a `dest`th of a source pixel.
fn share(place: u32, at: u32, source: u32, dest: u32) -> f32 {
    let covered = min((at + 1u) * source, (place + 1u) * dest) - max(at * source, place * dest);
    return f32(covered) / f32(source);
}

@compute @workgroup_size(8, 8)
fn scale(@builtin(global_invocation_id) id: vec3<u32>) {
    let dest = textureDimensions(small);
    if id.x >= dest.x || id.y >= dest.y {
        return;
    }
    let source = textureDimensions(large);
    let columns = covered_by(id.x, source.x, dest.x);
    let rows = covered_by(id.y, source.y, dest.y);
    var sum = vec3(0.0);
    for (var y = rows.x; y <= rows.y; y += 1u) {
        var line = vec3(0.0);
        for (var x = columns.x; x <= columns.y; x += 1u) {
            line += textureLoad(large, vec2(x, y), 0).rgb * share(x, id.x, source.x, dest.x);
        }
        sum += line * share(y, id.y, source.y, dest.y);
    }
    textureStore(small, id.xy, vec4(sum, 1.0));
}
