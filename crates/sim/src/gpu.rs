//! The GPU backend: particles never leave the device, and are splatted there with whole-number atomics.
//!
//! It is the CPU backend's twin, within rounding: one step from equal particles gives equal particles, and
//! equal particles give the same light. Chaos makes any longer comparison of single particles meaningless.

mod canvas;
mod readback;
mod shaders;

use std::borrow::Cow;

use media::{Picture, Size, Timestamp};

use self::canvas::Canvas;
use self::readback::{LateNumber, read_buffer};
use self::shaders::Shaders;
use crate::block::Block;
use crate::look::PALETTE_LEN;
use crate::params::StepParams;
use crate::pool::PicturePool;
use crate::simulation::{Backend, SimError};
use crate::splat::{Frame, PALETTES};

/// Steps that one submission takes.
const STEPS: usize = 8;

/// Whether an adapter computes on the CPU (lavapipe, llvmpipe, WARP): there the CPU backend is faster.
pub fn is_software(info: &wgpu::AdapterInfo) -> bool {
    info.device_type == wgpu::DeviceType::Cpu
}

/// Particles in a GPU's memory, on a device that the caller made and shares.
pub struct GpuBackend {
    device: wgpu::Device,
    queue: wgpu::Queue,
    shaders: Shaders,
    /// One step's numbers each.
    params: Vec<wgpu::Buffer>,
    frame: wgpu::Buffer,
    palettes: wgpu::Buffer,
    living: wgpu::Buffer,
    alive: LateNumber,
    store: Option<Store>,
    canvas: Option<Canvas>,
    pictures: PicturePool,
}

/// The particles' memory and the bindings that hold it.
struct Store {
    particles: wgpu::Buffer,
    blocks: u32,
    steps: Vec<wgpu::BindGroup>,
}

/// What the splatting shader reads besides particles and palettes.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct FrameParams {
    view: crate::camera::View,
    size: [u32; 4],
    light: [f32; 4],
    hiders: [[f32; 4]; crate::scene::MAX_COLLIDERS],
}

impl FrameParams {
    fn new(frame: &Frame) -> Self {
        let mut hiders = [[0.0; 4]; crate::scene::MAX_COLLIDERS];
        let count = frame.hiders.len().min(hiders.len());
        hiders[..count].copy_from_slice(&frame.hiders[..count]);
        let [height, share] = frame.mirror.unwrap_or_default();
        Self {
            view: frame.view,
            size: [frame.width, frame.height, count as u32, u32::from(frame.mirror.is_some())],
            light: [frame.gain, frame.sparkle, height, 2.0 * share * frame.gain],
            hiders,
        }
    }
}

pub(crate) fn buffer(
    device: &wgpu::Device,
    label: &str,
    size: usize,
    usage: wgpu::BufferUsages,
) -> wgpu::Buffer {
    let descriptor =
        wgpu::BufferDescriptor { label: Some(label), size: size as u64, usage, mapped_at_creation: false };
    device.create_buffer(&descriptor)
}

/// Buffers bound to a pipeline's first group, in order of binding number.
pub(crate) fn bind(
    device: &wgpu::Device,
    pipeline: &wgpu::ComputePipeline,
    entries: &[(u32, wgpu::BindingResource<'_>)],
) -> wgpu::BindGroup {
    let entries: Vec<_> = entries
        .iter()
        .map(|(binding, resource)| wgpu::BindGroupEntry { binding: *binding, resource: resource.clone() })
        .collect();
    let layout = pipeline.get_bind_group_layout(0);
    device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries })
}

impl GpuBackend {
    /// Compiles the shaders, which may take a second on a new driver: before going live.
    pub fn new(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        use wgpu::BufferUsages as Use;
        let uniform = |label, size| buffer(&device, label, size, Use::UNIFORM | Use::COPY_DST);
        Self {
            shaders: Shaders::new(&device),
            params: (0..STEPS).map(|_| uniform("sim step", size_of::<StepParams>())).collect(),
            frame: uniform("sim frame", size_of::<FrameParams>()),
            palettes: buffer(
                &device,
                "sim palettes",
                PALETTES * PALETTE_LEN * 16,
                Use::STORAGE | Use::COPY_DST,
            ),
            living: buffer(&device, "sim living", 4, Use::STORAGE | Use::COPY_DST | Use::COPY_SRC),
            alive: LateNumber::new(&device),
            store: None,
            canvas: None,
            pictures: PicturePool::default(),
            device,
            queue,
        }
    }

    pub fn device(&self) -> &wgpu::Device {
        &self.device
    }

    pub fn queue(&self) -> &wgpu::Queue {
        &self.queue
    }

    /// Draws into a texture on the device and returns it: `Rgba8Unorm` holding sRGB codes, opaque black
    /// where there is no light, with `Rgba8UnormSrgb` allowed for views that decode. It is drawn over by the
    /// next call. Nothing is waited for.
    pub fn draw(&mut self, frame: &Frame) -> Result<&wgpu::Texture, SimError> {
        self.submit_drawing(frame, false)?;
        self.canvas.as_ref().map(Canvas::texture).ok_or_else(nothing_stored)
    }

    fn submit_drawing(&mut self, frame: &Frame, read_back: bool) -> Result<(), SimError> {
        let Some(store) = &self.store else { return Err(nothing_stored()) };
        let size = Size::new(frame.width, frame.height);
        if self.canvas.as_ref().is_none_or(|canvas| canvas.size() != size) {
            let inputs = [&self.frame, &store.particles, &self.palettes];
            self.canvas = Some(Canvas::new(&self.device, &self.shaders, inputs, size)?);
        }
        let Some(canvas) = &self.canvas else { return Err(nothing_stored()) };
        let words: Vec<[u32; 4]> =
            frame.palette_words().map(|[r, g, b]| [r.into(), g.into(), b.into(), 0]).collect();
        self.queue.write_buffer(&self.palettes, 0, bytemuck::cast_slice(&words));
        self.queue.write_buffer(&self.frame, 0, bytemuck::bytes_of(&FrameParams::new(frame)));
        canvas.set_glow(&self.queue, frame.glow);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        canvas.encode(&mut encoder, &self.shaders, store.blocks);
        if read_back {
            canvas.encode_copy(&mut encoder);
        }
        self.queue.submit([encoder.finish()]);
        Ok(())
    }

    fn submit_steps(&mut self, steps: &[StepParams]) -> Result<(), SimError> {
        let Some(store) = &self.store else { return Err(nothing_stored()) };
        let mut encoder = self.device.create_command_encoder(&Default::default());
        for ((params, buffer), group) in steps.iter().zip(&self.params).zip(&store.steps) {
            self.queue.write_buffer(buffer, 0, bytemuck::bytes_of(params));
            encoder.clear_buffer(&self.living, 0, None);
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&self.shaders.step);
            pass.set_bind_group(0, group, &[]);
            pass.dispatch_workgroups(store.blocks, 1, 1);
        }
        self.alive.encode(&mut encoder, &self.living);
        self.queue.submit([encoder.finish()]);
        self.alive.submitted();
        Ok(())
    }
}

fn nothing_stored() -> SimError {
    SimError::Gpu { reason: "no particles were put on it yet".into() }
}

impl Backend for GpuBackend {
    fn name(&self) -> &'static str {
        "gpu"
    }

    fn advance(&mut self, steps: &[StepParams]) -> Result<(), SimError> {
        steps.chunks(STEPS).try_for_each(|steps| self.submit_steps(steps))
    }

    /// As of the newest steps that the device has already reported: it is never waited for.
    fn alive(&mut self) -> Result<u32, SimError> {
        self.alive.newest(&self.device)
    }

    fn blocks(&mut self) -> Result<Cow<'_, [Block]>, SimError> {
        let Some(store) = &self.store else { return Ok(Cow::Owned(Vec::new())) };
        let bytes = read_buffer(&self.device, &self.queue, &store.particles)?;
        Ok(Cow::Owned(bytemuck::pod_collect_to_vec(&bytes)))
    }

    fn set_blocks(&mut self, blocks: Vec<Block>) -> Result<(), SimError> {
        use wgpu::BufferUsages as Use;
        let size = size_of_val(&blocks[..]);
        let limits = self.device.limits();
        let most = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size);
        if size as u64 > most || blocks.len() > limits.max_compute_workgroups_per_dimension as usize {
            let reason = format!("{size} bytes of particles are more than the {most} it can bind");
            return Err(SimError::Gpu { reason });
        }
        let usage = Use::STORAGE | Use::COPY_DST | Use::COPY_SRC;
        let particles = buffer(&self.device, "sim particles", size.max(4), usage);
        self.queue.write_buffer(&particles, 0, bytemuck::cast_slice(&blocks));
        let group = |params: &wgpu::Buffer| {
            let entries = [
                (0, params.as_entire_binding()),
                (1, particles.as_entire_binding()),
                (2, self.living.as_entire_binding()),
            ];
            bind(&self.device, &self.shaders.step, &entries)
        };
        let steps = self.params.iter().map(group).collect();
        self.store = Some(Store { particles, blocks: blocks.len() as u32, steps });
        self.canvas = None;
        Ok(())
    }

    /// Waits for the device: for callers without a compositor on the same device, and for tests.
    fn render(&mut self, frame: &Frame, timestamp: Timestamp) -> Result<Picture, SimError> {
        self.submit_drawing(frame, true)?;
        let Some(canvas) = &self.canvas else { return Err(nothing_stored()) };
        let mut rgba = self.pictures.take(frame.width as usize * frame.height as usize * 4);
        canvas.read_into(&self.device, &mut rgba)?;
        let size = Size::new(frame.width, frame.height);
        Ok(Picture::rgba(size, self.pictures.share(rgba), timestamp)?)
    }
}
