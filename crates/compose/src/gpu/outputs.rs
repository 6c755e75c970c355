//! From the programme texture to codes in a buffer: scaling down the ladder, then NV12, and RGBA for a preview.

use media::Size;
use wgpu::util::{BufferInitDescriptor, DeviceExt};
use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindingResource, Buffer, BufferDescriptor, BufferUsages,
    CommandEncoder, Device, TextureFormat, TextureUsages, TextureView,
};

use super::pipelines::{LEVEL_FORMAT, Pipelines};
use super::textures::texture_2d;
use crate::compositor::{CompositorConfig, feeder};
use crate::frame_format::Nv12Layout;

/// Where parts of a buffer may begin, for copies and for maps.
const PART_ALIGN: usize = 256;
/// Invocations of a workgroup along each axis.
const GROUP: u32 = 8;

/// What a part of the buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Nv12(Nv12Layout),
    Rgba(Size),
}

impl Format {
    pub fn bytes(self) -> usize {
        match self {
            Self::Nv12(layout) => layout.bytes,
            Self::Rgba(size) => size.pixels() as usize * 4,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub offset: usize,
    pub format: Format,
}

/// `Frame` of `shaders/convert/nv12.wgsl`.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct FrameUniform {
    pub width: u32,
    pub height: u32,
    pub stride: u32,
    pub chroma_offset: u32,
}

#[derive(Debug)]
struct Level {
    size: Size,
    view: TextureView,
    /// Draws it from the level that feeds it; the programme, and a level of its feeder's size, are there already.
    scale: Option<BindGroup>,
}

/// A level's picture as codes.
#[derive(Debug)]
struct Output {
    part: Part,
    buffer: Buffer,
    group: BindGroup,
}

#[derive(Debug)]
pub struct Outputs {
    /// The programme first, then largest first.
    levels: Vec<Level>,
    /// In the configuration's order.
    renditions: Vec<Output>,
    /// Level and output.
    preview: Option<(Level, Output)>,
    bytes: usize,
}

fn level(device: &Device, pipelines: &Pipelines, levels: &[Level], size: Size) -> Level {
    let sizes: Vec<Size> = levels.iter().map(|level| level.size).collect();
    let parent = &levels[feeder(&sizes, size)];
    if parent.size == size {
        return Level { size, view: parent.view.clone(), scale: None };
    }
    let usage = TextureUsages::TEXTURE_BINDING | TextureUsages::STORAGE_BINDING;
    let view = texture_2d(device, size, LEVEL_FORMAT, usage).create_view(&Default::default());
    let group = device.create_bind_group(&BindGroupDescriptor {
        label: Some("scale"),
        layout: &pipelines.scale_layout,
        entries: &[
            BindGroupEntry { binding: 0, resource: BindingResource::TextureView(&parent.view) },
            BindGroupEntry { binding: 1, resource: BindingResource::TextureView(&view) },
        ],
    });
    Level { size, view, scale: Some(group) }
}

fn output(device: &Device, pipelines: &Pipelines, view: &TextureView, part: Part) -> Output {
    let buffer = device.create_buffer(&BufferDescriptor {
        label: Some("codes"),
        size: part.format.bytes() as u64,
        usage: BufferUsages::STORAGE | BufferUsages::COPY_SRC,
        mapped_at_creation: false,
    });
    let picture = BindGroupEntry { binding: 0, resource: BindingResource::TextureView(view) };
    let codes = BindGroupEntry { binding: 1, resource: buffer.as_entire_binding() };
    let group = match part.format {
        Format::Rgba(_) => device.create_bind_group(&BindGroupDescriptor {
            label: Some("rgba"),
            layout: &pipelines.rgba_layout,
            entries: &[picture, codes],
        }),
        Format::Nv12(layout) => {
            let frame = FrameUniform {
                width: layout.size.width,
                height: layout.size.height,
                stride: (layout.stride / 4) as u32,
                chroma_offset: (layout.chroma_offset / 4) as u32,
            };
            let frame = device.create_buffer_init(&BufferInitDescriptor {
                label: Some("frame"),
                contents: bytemuck::bytes_of(&frame),
                usage: BufferUsages::UNIFORM,
            });
            let frame = BindGroupEntry { binding: 2, resource: frame.as_entire_binding() };
            device.create_bind_group(&BindGroupDescriptor {
                label: Some("nv12"),
                layout: &pipelines.nv12_layout,
                entries: &[picture, codes, frame],
            })
        }
    };
    Output { part, buffer, group }
}

impl Outputs {
    /// `format`: of the programme's texture.
    pub fn new(
        device: &Device,
        pipelines: &Pipelines,
        config: &CompositorConfig,
        format: TextureFormat,
    ) -> Self {
        let usage = TextureUsages::RENDER_ATTACHMENT | TextureUsages::TEXTURE_BINDING;
        let view = texture_2d(device, config.programme, format, usage).create_view(&Default::default());
        let mut levels = vec![Level { size: config.programme, view, scale: None }];
        let mut level_of = vec![0; config.renditions.len()];
        for index in config.largest_first() {
            level_of[index] = levels.len();
            let next = level(device, pipelines, &levels, config.renditions[index]);
            levels.push(next);
        }
        let mut bytes = 0;
        let renditions = config
            .renditions
            .iter()
            .zip(level_of)
            .map(|(&size, at)| {
                let part = Part { offset: bytes, format: Format::Nv12(Nv12Layout::new(size)) };
                bytes = (bytes + part.format.bytes()).next_multiple_of(PART_ALIGN);
                output(device, pipelines, &levels[at].view, part)
            })
            .collect();
        Self { levels, renditions, preview: None, bytes }
    }

    pub fn programme(&self) -> &TextureView {
        &self.levels[0].view
    }

    pub fn rendition_bytes(&self) -> impl Iterator<Item = usize> {
        self.renditions.iter().map(|output| output.part.format.bytes())
    }

    pub fn set_preview(&mut self, device: &Device, pipelines: &Pipelines, size: Size) {
        if self.preview.as_ref().is_some_and(|(level, _)| level.size == size) {
            return;
        }
        let level = level(device, pipelines, &self.levels, size);
        let part = Part { offset: self.bytes, format: Format::Rgba(size) };
        let output = output(device, pipelines, &level.view, part);
        self.preview = Some((level, output));
    }

    fn used(&self, with_preview: bool) -> impl Iterator<Item = &Output> {
        let preview = self.preview.as_ref().filter(|_| with_preview).map(|(_, output)| output);
        self.renditions.iter().chain(preview)
    }

    /// What the read back buffer holds.
    pub fn parts(&self, with_preview: bool) -> Vec<Part> {
        self.used(with_preview).map(|output| output.part).collect()
    }

    /// How long the read back buffer is.
    pub fn bytes(&self, with_preview: bool) -> u64 {
        let end = |output: &Output| output.part.offset + output.part.format.bytes();
        self.used(with_preview).map(end).max().unwrap_or(0).next_multiple_of(PART_ALIGN).max(PART_ALIGN)
            as u64
    }

    pub fn convert(&self, encoder: &mut CommandEncoder, pipelines: &Pipelines, with_preview: bool) {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        let preview_level = self.preview.as_ref().filter(|_| with_preview).map(|(level, _)| level);
        pass.set_pipeline(&pipelines.scale);
        for level in self.levels.iter().chain(preview_level) {
            if let Some(group) = &level.scale {
                pass.set_bind_group(0, group, &[]);
                let Size { width, height } = level.size;
                pass.dispatch_workgroups(width.div_ceil(GROUP), height.div_ceil(GROUP), 1);
            }
        }
        for output in self.used(with_preview) {
            let (pipeline, columns, rows) = match output.part.format {
                Format::Nv12(layout) => {
                    (&pipelines.nv12, layout.stride as u32 / 4, layout.size.height.div_ceil(2))
                }
                Format::Rgba(size) => (&pipelines.rgba, size.width, size.height),
            };
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, &output.group, &[]);
            pass.dispatch_workgroups(columns.div_ceil(GROUP), rows.div_ceil(GROUP), 1);
        }
    }

    pub fn copy_to(&self, encoder: &mut CommandEncoder, target: &Buffer, with_preview: bool) {
        for Output { part, buffer, .. } in self.used(with_preview) {
            encoder.copy_buffer_to_buffer(buffer, 0, target, part.offset as u64, part.format.bytes() as u64);
        }
    }
}
