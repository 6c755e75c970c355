//! The render pass: one quad a layer, back to front.

use bytemuck::{Pod, Zeroable};
use media::{Picture, PixelFormat, Size};
use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindingResource, Buffer, BufferBinding, BufferDescriptor,
    BufferUsages, Color, CommandEncoder, Device, LoadOp, Operations, Queue, RenderPassColorAttachment,
    RenderPassDescriptor, StoreOp, TextureView,
};

use super::pipelines::Pipelines;
use super::textures::PlaneTextures;
use crate::color::FromYuv;
use crate::compositor::ComposeError;
use crate::draw_list::{Draw, What};
use crate::geometry::Rect;
use crate::scene::MAX_LAYERS;

/// `Layer` of `shaders/layer/layer.wgsl`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct LayerUniform {
    pub dest: [i32; 4],
    pub source: [i32; 4],
    pub colour: [f32; 4],
    pub yuv: [f32; 4],
    pub green_cr: f32,
    pub blue_cb: f32,
    pub opacity: f32,
    pub kind: u32,
    pub programme: [u32; 2],
    pub chroma: [u32; 2],
}

/// Bytes from one layer's uniforms to the next: WebGPU's alignment of dynamic offsets.
const UNIFORM_STRIDE: usize = 256;
/// Frames after which the textures of a layer that is not drawn any more are dropped.
const KEPT_FRAMES: u64 = 150;

const fn kind_of(format: PixelFormat) -> u32 {
    match format {
        PixelFormat::Rgba8 => 1,
        PixelFormat::Bgra8 => 2,
        PixelFormat::Nv12 => 3,
        PixelFormat::I420 => 4,
        PixelFormat::Yuyv => 5,
    }
}

/// A layer's textures: of the source that stands at its place in the list, or of one still.
#[derive(Debug)]
struct Bound {
    place: Option<usize>,
    textures: PlaneTextures,
    group: BindGroup,
    last_used: u64,
}

#[derive(Debug)]
pub struct Layers {
    programme: Size,
    uniforms: Buffer,
    /// Stands for planes that a format does not have, and for the textures of a plain colour.
    nothing: PlaneTextures,
    plain: BindGroup,
    bound: Vec<Bound>,
    /// For each draw of the frame an index into `bound`; `None` is `plain`.
    frame: Vec<Option<usize>>,
    frames: u64,
}

fn bind(
    device: &Device,
    pipelines: &Pipelines,
    uniforms: &Buffer,
    views: &[TextureView],
    nothing: &TextureView,
) -> BindGroup {
    let view = |plane: usize| BindingResource::TextureView(views.get(plane).unwrap_or(nothing));
    let size = std::num::NonZeroU64::new(size_of::<LayerUniform>() as u64);
    let uniform = BindingResource::Buffer(BufferBinding { buffer: uniforms, offset: 0, size });
    device.create_bind_group(&BindGroupDescriptor {
        label: Some("layer"),
        layout: &pipelines.layer_layout,
        entries: &[
            BindGroupEntry { binding: 0, resource: uniform },
            BindGroupEntry { binding: 1, resource: view(0) },
            BindGroupEntry { binding: 2, resource: view(1) },
            BindGroupEntry { binding: 3, resource: view(2) },
        ],
    })
}

impl Layers {
    pub fn new(device: &Device, pipelines: &Pipelines, programme: Size) -> Self {
        let uniforms = device.create_buffer(&BufferDescriptor {
            label: Some("layers"),
            size: (UNIFORM_STRIDE * MAX_LAYERS) as u64,
            usage: BufferUsages::UNIFORM | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let zero = media::Timestamp::zero(media::Timescale::VIDEO);
        let pixel = Picture::rgba(Size::new(1, 1), vec![0; 4].into(), zero).expect("one pixel is four bytes");
        let nothing = PlaneTextures::new(device, &pixel).expect("one pixel is a texture");
        let plain = bind(device, pipelines, &uniforms, &[], &nothing.views[0]);
        Self { programme, uniforms, nothing, plain, bound: Vec::new(), frame: Vec::new(), frames: 0 }
    }

    /// Uploads what changed.
    pub fn prepare(
        &mut self,
        device: &Device,
        queue: &Queue,
        pipelines: &Pipelines,
        draws: &[Draw],
    ) -> Result<(), ComposeError> {
        self.frames += 1;
        let now = self.frames;
        self.bound.retain(|bound| now - bound.last_used <= KEPT_FRAMES);
        self.frame.clear();
        let mut bytes = vec![0; draws.len().min(MAX_LAYERS) * UNIFORM_STRIDE];
        for (number, draw) in draws.iter().take(MAX_LAYERS).enumerate() {
            let uniform = self.uniform(draw);
            bytes[number * UNIFORM_STRIDE..][..size_of::<LayerUniform>()]
                .copy_from_slice(bytemuck::bytes_of(&uniform));
            let bound = match &draw.what {
                What::Colour(_) => None,
                What::Live(picture) => Some(self.find(device, queue, pipelines, Some(number), picture)?),
                What::Still(still) => Some(self.find(device, queue, pipelines, None, still.picture())?),
            };
            self.frame.push(bound);
        }
        if !bytes.is_empty() {
            queue.write_buffer(&self.uniforms, 0, &bytes);
        }
        Ok(())
    }

    /// Live pictures replace the one before them at their place; stills keep their textures.
    fn find(
        &mut self,
        device: &Device,
        queue: &Queue,
        pipelines: &Pipelines,
        place: Option<usize>,
        picture: &Picture,
    ) -> Result<usize, ComposeError> {
        let known = self.bound.iter().position(|bound| {
            bound.place == place
                && bound.textures.fits(picture)
                && (place.is_some() || bound.textures.holds(picture))
        });
        let at = match known {
            Some(at) => at,
            None => {
                let textures = PlaneTextures::new(device, picture)?;
                let nothing = &self.nothing.views[0];
                let group = bind(device, pipelines, &self.uniforms, &textures.views, nothing);
                self.bound.push(Bound { place, textures, group, last_used: 0 });
                self.bound.len() - 1
            }
        };
        let bound = &mut self.bound[at];
        bound.last_used = self.frames;
        bound.textures.upload(queue, picture);
        Ok(at)
    }

    fn uniform(&self, draw: &Draw) -> LayerUniform {
        let rect = |r: Rect| [r.x, r.y, r.width as i32, r.height as i32];
        let mut uniform = LayerUniform {
            dest: rect(draw.placement.dest),
            source: rect(draw.placement.source),
            opacity: draw.opacity,
            programme: [self.programme.width, self.programme.height],
            ..Zeroable::zeroed()
        };
        let picture = match &draw.what {
            What::Colour(light) => {
                uniform.colour = *light;
                return uniform;
            }
            What::Live(picture) => picture,
            What::Still(still) => still.picture(),
        };
        let m = FromYuv::new(picture.matrix(), picture.range());
        uniform.yuv = [m.y_zero, m.y_scale, m.red_cr, m.green_cb];
        (uniform.green_cr, uniform.blue_cb) = (m.green_cr, m.blue_cb);
        uniform.kind = kind_of(picture.format());
        let size = picture.size();
        uniform.chroma = [size.width.div_ceil(2), size.height.div_ceil(2)];
        uniform
    }

    pub fn draw(
        &self,
        encoder: &mut CommandEncoder,
        pipelines: &Pipelines,
        draws: &[Draw],
        programme: &TextureView,
    ) {
        let ops = Operations { load: LoadOp::Clear(Color::BLACK), store: StoreOp::Store };
        let target =
            RenderPassColorAttachment { view: programme, depth_slice: None, resolve_target: None, ops };
        let mut pass = encoder.begin_render_pass(&RenderPassDescriptor {
            label: Some("layers"),
            color_attachments: &[Some(target)],
            ..Default::default()
        });
        for (number, (draw, bound)) in draws.iter().zip(&self.frame).enumerate() {
            let group = bound.map_or(&self.plain, |at| &self.bound[at].group);
            pass.set_pipeline(pipelines.blend(draw.blend));
            pass.set_bind_group(0, group, &[(number * UNIFORM_STRIDE) as u32]);
            pass.draw(0..4, 0..1);
        }
    }
}
