//! The change from one scene to another: both are drawn whole, and a pass mixes them.
//!
//! Nothing is blended onto the mix, so it is in full floats: rounded to halves a third time, it would be further from the
//! CPU's than a scene is.

use bytemuck::{Pod, Zeroable};
use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindingResource, Buffer, BufferDescriptor, BufferUsages,
    Color, CommandEncoder, Device, LoadOp, Operations, Queue, RenderPassColorAttachment,
    RenderPassDescriptor, StoreOp, TextureUsages, TextureView,
};

use super::layers::Layers;
use super::outputs::Outputs;
use super::pipelines::{LEVEL_FORMAT, PROGRAMME_FORMAT, Pipelines};
use super::textures::texture_2d;
use crate::compositor::{ComposeError, CompositorConfig};
use crate::draw_list::Draw;

/// `Fade` of `shaders/layer/fade.wgsl`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct FadeUniform {
    /// Of the scene that comes.
    pub share: f32,
}

/// What a fade needs beside the scene that comes; kept while it runs.
#[derive(Debug)]
pub struct FadePass {
    /// Of the scene that goes.
    layers: Layers,
    from: TextureView,
    to: TextureView,
    uniform: Buffer,
    group: BindGroup,
    /// Of the mix.
    pub outputs: Outputs,
}

impl FadePass {
    pub fn new(device: &Device, pipelines: &Pipelines, config: &CompositorConfig) -> Self {
        let usage = TextureUsages::RENDER_ATTACHMENT | TextureUsages::TEXTURE_BINDING;
        let target =
            || texture_2d(device, config.programme, PROGRAMME_FORMAT, usage).create_view(&Default::default());
        let (from, to) = (target(), target());
        let uniform = device.create_buffer(&BufferDescriptor {
            label: Some("fade"),
            size: size_of::<FadeUniform>() as u64,
            usage: BufferUsages::UNIFORM | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let group = device.create_bind_group(&BindGroupDescriptor {
            label: Some("fade"),
            layout: &pipelines.fade_layout,
            entries: &[
                BindGroupEntry { binding: 0, resource: uniform.as_entire_binding() },
                BindGroupEntry { binding: 1, resource: BindingResource::TextureView(&from) },
                BindGroupEntry { binding: 2, resource: BindingResource::TextureView(&to) },
            ],
        });
        let layers = Layers::new(device, pipelines, config.programme);
        let outputs = Outputs::new(device, pipelines, config, LEVEL_FORMAT);
        Self { layers, from, to, uniform, group, outputs }
    }

    /// What the scene that comes is drawn on.
    pub fn incoming(&self) -> &TextureView {
        &self.to
    }

    /// Uploads what the scene that goes needs.
    pub fn prepare(
        &mut self,
        device: &Device,
        queue: &Queue,
        pipelines: &Pipelines,
        outgoing: &[Draw],
        share: f32,
    ) -> Result<(), ComposeError> {
        queue.write_buffer(&self.uniform, 0, bytemuck::bytes_of(&FadeUniform { share }));
        self.layers.prepare(device, queue, pipelines, outgoing)
    }

    /// Draws the scene that goes, and the mix. The scene that comes was drawn.
    pub fn draw(&self, encoder: &mut CommandEncoder, pipelines: &Pipelines, outgoing: &[Draw]) {
        self.layers.draw(encoder, pipelines, outgoing, &self.from);
        let ops = Operations { load: LoadOp::Clear(Color::BLACK), store: StoreOp::Store };
        let view = self.outputs.programme();
        let target = RenderPassColorAttachment { view, depth_slice: None, resolve_target: None, ops };
        let mut pass = encoder.begin_render_pass(&RenderPassDescriptor {
            label: Some("fade"),
            color_attachments: &[Some(target)],
            ..Default::default()
        });
        pass.set_pipeline(&pipelines.fade);
        pass.set_bind_group(0, &self.group, &[]);
        pass.draw(0..3, 0..1);
    }
}
