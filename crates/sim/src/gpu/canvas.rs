//! What drawing at one size needs: light, cells of glow, the texture, and the passes between them.

use bytemuck::{Pod, Zeroable};
use media::Size;

use super::readback::read_mapped;
use super::shaders::Shaders;
use super::{bind, buffer};
use crate::glow::CELL;
use crate::simulation::SimError;

/// Distance of passes' numbers in their buffer: WebGPU's least alignment of an offset.
const PASS_STRIDE: usize = 256;

/// Numbers of one pass over cells.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub(crate) struct PassParams {
    /// Width and height of what is read, then of what is written.
    pub size: [u32; 4],
    /// Direction of a blur; shares of the near and the far spill.
    pub step: [f32; 4],
}

#[derive(Clone, Copy)]
enum Kind {
    Shrink,
    Blur,
    Widen,
    MixFar,
}

struct Pass {
    kind: Kind,
    group: wgpu::BindGroup,
    width: u32,
    height: u32,
}

pub struct Canvas {
    size: Size,
    light: wgpu::Buffer,
    splat: wgpu::BindGroup,
    passes: Vec<Pass>,
    pass_params: wgpu::Buffer,
    mix: PassParams,
    develop: wgpu::BindGroup,
    texture: wgpu::Texture,
    copy: wgpu::Buffer,
}

/// Cells near, their scratch, cells of cells, and theirs: where a pass reads and writes.
struct Cells {
    light: wgpu::Buffer,
    near: [wgpu::Buffer; 2],
    far: [wgpu::Buffer; 2],
}

impl Canvas {
    /// `inputs` are the frame's numbers, the particles and the palettes.
    pub fn new(
        device: &wgpu::Device,
        shaders: &Shaders,
        inputs: [&wgpu::Buffer; 3],
        size: Size,
    ) -> Result<Self, SimError> {
        use wgpu::BufferUsages as Use;
        let limits = device.limits();
        let light_bytes = size.pixels() * 3 * 4;
        let edge = size.width.max(size.height);
        if light_bytes > limits.max_storage_buffer_binding_size || edge > limits.max_texture_dimension_2d {
            return Err(SimError::Gpu { reason: format!("a picture of {size} is larger than it can hold") });
        }
        let grid = (size.width.div_ceil(CELL as u32), size.height.div_ceil(CELL as u32));
        let wide = (grid.0.div_ceil(CELL as u32), grid.1.div_ceil(CELL as u32));
        let cells = |(w, h): (u32, u32)| {
            [0, 1].map(|_| buffer(device, "sim cells", w as usize * h as usize * 16, Use::STORAGE))
        };
        let cells = Cells {
            light: buffer(device, "sim light", light_bytes as usize, Use::STORAGE | Use::COPY_DST),
            near: cells(grid),
            far: cells(wide),
        };
        let (passes, pass_params, mix) = glow_passes(device, shaders, &cells, size, grid, wide);
        let texture = device.create_texture(&wgpu::TextureDescriptor {
            label: Some("sim picture"),
            size: wgpu::Extent3d { width: size.width, height: size.height, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: wgpu::TextureUsages::STORAGE_BINDING
                | wgpu::TextureUsages::TEXTURE_BINDING
                | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[wgpu::TextureFormat::Rgba8UnormSrgb],
        });
        let view = texture.create_view(&wgpu::TextureViewDescriptor {
            format: Some(wgpu::TextureFormat::Rgba8Unorm),
            ..Default::default()
        });
        let splat_entries = [
            (0, inputs[0].as_entire_binding()),
            (1, inputs[1].as_entire_binding()),
            (2, inputs[2].as_entire_binding()),
            (3, cells.light.as_entire_binding()),
        ];
        let develop_entries = [
            (0, cells.light.as_entire_binding()),
            (1, cells.near[0].as_entire_binding()),
            (2, wgpu::BindingResource::TextureView(&view)),
        ];
        let copy_bytes = padded_row(size) * size.height as usize;
        Ok(Self {
            size,
            splat: bind(device, &shaders.splat, &splat_entries),
            develop: bind(device, &shaders.develop, &develop_entries),
            copy: buffer(device, "sim picture copy", copy_bytes, Use::COPY_DST | Use::MAP_READ),
            light: cells.light,
            passes,
            pass_params,
            mix,
            texture,
        })
    }

    pub fn size(&self) -> Size {
        self.size
    }

    pub fn texture(&self) -> &wgpu::Texture {
        &self.texture
    }

    /// Sets the shares of the near and the far spill for the next drawing.
    pub fn set_glow(&self, queue: &wgpu::Queue, [near, far]: [f32; 2]) {
        let mut mix = self.mix;
        mix.step = [0.0, 0.0, near, far];
        let last = (self.passes.len() - 1) * PASS_STRIDE;
        queue.write_buffer(&self.pass_params, last as u64, bytemuck::bytes_of(&mix));
    }

    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder, shaders: &Shaders, blocks: u32) {
        encoder.clear_buffer(&self.light, 0, None);
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&shaders.splat);
        pass.set_bind_group(0, &self.splat, &[]);
        pass.dispatch_workgroups(blocks, 1, 1);
        for step in &self.passes {
            pass.set_pipeline(match step.kind {
                Kind::Shrink => &shaders.shrink,
                Kind::Blur => &shaders.blur,
                Kind::Widen => &shaders.widen,
                Kind::MixFar => &shaders.mix_far,
            });
            pass.set_bind_group(0, &step.group, &[]);
            pass.dispatch_workgroups(step.width.div_ceil(8), step.height.div_ceil(8), 1);
        }
        pass.set_pipeline(&shaders.develop);
        pass.set_bind_group(0, &self.develop, &[]);
        pass.dispatch_workgroups(self.size.width.div_ceil(8), self.size.height.div_ceil(8), 1);
    }

    pub fn encode_copy(&self, encoder: &mut wgpu::CommandEncoder) {
        let layout = wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(padded_row(self.size) as u32),
            rows_per_image: None,
        };
        encoder.copy_texture_to_buffer(
            self.texture.as_image_copy(),
            wgpu::TexelCopyBufferInfo { buffer: &self.copy, layout },
            self.texture.size(),
        );
    }

    /// Rows of the copied picture without their padding. Waits for the device.
    pub fn read_into(&self, device: &wgpu::Device, rgba: &mut [u8]) -> Result<(), SimError> {
        let (row, padded) = (self.size.width as usize * 4, padded_row(self.size));
        read_mapped(device, &self.copy, |bytes| {
            for (to, from) in rgba.chunks_exact_mut(row).zip(bytes.chunks_exact(padded)) {
                to.copy_from_slice(&from[..row]);
            }
        })
    }
}

/// Bytes of a row as the device copies it (wgpu::COPY_BYTES_PER_ROW_ALIGNMENT).
fn padded_row(size: Size) -> usize {
    (size.width as usize * 4).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT as usize)
}

/// The passes from light to spill, their numbers' buffer, and the last one's numbers, which carry the shares.
fn glow_passes(
    device: &wgpu::Device,
    shaders: &Shaders,
    cells: &Cells,
    size: Size,
    grid: (u32, u32),
    wide: (u32, u32),
) -> (Vec<Pass>, wgpu::Buffer, PassParams) {
    let [near, near_scratch] = &cells.near;
    let [far, far_scratch] = &cells.far;
    let params = |from: (u32, u32), to: (u32, u32), x: f32, y: f32| PassParams {
        size: [from.0, from.1, to.0, to.1],
        step: [x, y, 0.0, 0.0],
    };
    let across = |cells| params(cells, cells, 1.0, 0.0);
    let down = |cells| params(cells, cells, 0.0, 1.0);
    // As `glow.rs`: two blurs of the cells, three of the cells of cells.
    let mut plan = vec![(Kind::Shrink, params((size.width, size.height), grid, 0.0, 0.0), far, near)];
    for _ in 0..2 {
        plan.push((Kind::Blur, across(grid), near, near_scratch));
        plan.push((Kind::Blur, down(grid), near_scratch, near));
    }
    plan.push((Kind::Widen, params(grid, wide, 0.0, 0.0), near, far));
    for _ in 0..3 {
        plan.push((Kind::Blur, across(wide), far, far_scratch));
        plan.push((Kind::Blur, down(wide), far_scratch, far));
    }
    let mix = params(wide, grid, 0.0, 0.0);
    plan.push((Kind::MixFar, mix, far, near));

    let mut numbers = vec![0; plan.len() * PASS_STRIDE];
    for ((_, params, ..), slot) in plan.iter().zip(numbers.chunks_exact_mut(PASS_STRIDE)) {
        slot[..size_of::<PassParams>()].copy_from_slice(bytemuck::bytes_of(params));
    }
    let pass_params = wgpu::util::DeviceExt::create_buffer_init(
        device,
        &wgpu::util::BufferInitDescriptor {
            label: Some("sim passes"),
            contents: &numbers,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        },
    );
    let passes = plan.into_iter().enumerate().map(|(index, (kind, params, from, to))| {
        let uniform = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &pass_params,
            offset: (index * PASS_STRIDE) as u64,
            size: std::num::NonZeroU64::new(size_of::<PassParams>() as u64),
        });
        let written = (3, to.as_entire_binding());
        let group = match kind {
            Kind::Shrink => {
                let read = (1, cells.light.as_entire_binding());
                bind(device, &shaders.shrink, &[(0, uniform), read, written])
            }
            _ => {
                let pipeline = match kind {
                    Kind::Blur => &shaders.blur,
                    Kind::Widen => &shaders.widen,
                    Kind::Shrink | Kind::MixFar => &shaders.mix_far,
                };
                bind(device, pipeline, &[(0, uniform), (2, from.as_entire_binding()), written])
            }
        };
        Pass { kind, group, width: params.size[2], height: params.size[3] }
    });
    let passes = passes.collect();
    (passes, pass_params, mix)
}
