//! Shaders and pipelines, made once.

use wgpu::{
    BindGroupLayout, BindGroupLayoutDescriptor, BindGroupLayoutEntry, BindingType, BlendComponent,
    BlendFactor, BlendOperation, BlendState, BufferBindingType, ColorTargetState, ColorWrites,
    ComputePipeline, ComputePipelineDescriptor, Device, FragmentState, PipelineLayoutDescriptor,
    PrimitiveState, PrimitiveTopology, RenderPipeline, RenderPipelineDescriptor, ShaderModule,
    ShaderModuleDescriptor, ShaderSource, ShaderStages, StorageTextureAccess, TextureFormat,
    TextureSampleType, TextureViewDimension, VertexState,
};

use crate::scene::Blend;

macro_rules! shader {
    ($path:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shaders/", $path))
    };
}

const COLOR: &str = shader!("common/color.wgsl");
/// The programme in linear light. Half floats hold a 2048th of any brightness, a 20th of a code.
pub const PROGRAMME_FORMAT: TextureFormat = TextureFormat::Rgba16Float;
/// Smaller sizes, which no hardware blends: full floats, so that errors do not add up down the ladder.
pub const LEVEL_FORMAT: TextureFormat = TextureFormat::Rgba32Float;

/// Name and text of each shader, its common parts in front.
pub fn sources() -> [(&'static str, String); 5] {
    [
        ("layer", [COLOR, shader!("layer/layer.wgsl")].concat()),
        ("scale", shader!("convert/scale.wgsl").to_owned()),
        ("nv12", [COLOR, shader!("convert/nv12.wgsl")].concat()),
        ("rgba", [COLOR, shader!("convert/rgba.wgsl")].concat()),
        ("fade", shader!("layer/fade.wgsl").to_owned()),
    ]
}

#[derive(Debug)]
pub struct Pipelines {
    /// In the order of [`blend_index`].
    blends: [RenderPipeline; 4],
    pub layer_layout: BindGroupLayout,
    pub fade: RenderPipeline,
    pub fade_layout: BindGroupLayout,
    pub scale: ComputePipeline,
    pub scale_layout: BindGroupLayout,
    pub nv12: ComputePipeline,
    pub nv12_layout: BindGroupLayout,
    pub rgba: ComputePipeline,
    pub rgba_layout: BindGroupLayout,
}

const fn blend_index(blend: Blend) -> usize {
    match blend {
        Blend::Normal => 0,
        Blend::Add => 1,
        Blend::Screen => 2,
        Blend::Multiply => 3,
    }
}

/// Factors of the premultiplied source and of the destination: the formulas of [`Blend`].
const fn factors(blend: Blend) -> (BlendFactor, BlendFactor) {
    match blend {
        Blend::Normal => (BlendFactor::One, BlendFactor::OneMinusSrcAlpha),
        Blend::Add => (BlendFactor::One, BlendFactor::One),
        Blend::Screen => (BlendFactor::OneMinusDst, BlendFactor::One),
        Blend::Multiply => (BlendFactor::Dst, BlendFactor::OneMinusSrcAlpha),
    }
}

fn entry(binding: u32, visibility: ShaderStages, ty: BindingType) -> BindGroupLayoutEntry {
    BindGroupLayoutEntry { binding, visibility, ty, count: None }
}

fn texture() -> BindingType {
    BindingType::Texture {
        sample_type: TextureSampleType::Float { filterable: false },
        view_dimension: TextureViewDimension::D2,
        multisampled: false,
    }
}

fn buffer(ty: BufferBindingType) -> BindingType {
    BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None }
}

impl Pipelines {
    pub fn new(device: &Device) -> Self {
        let [layer, scale, nv12, rgba, fade] = sources().map(|(name, text)| {
            let source = ShaderSource::Wgsl(text.into());
            device.create_shader_module(ShaderModuleDescriptor { label: Some(name), source })
        });
        let layout = |name: &'static str, entries: &[BindGroupLayoutEntry]| {
            device.create_bind_group_layout(&BindGroupLayoutDescriptor { label: Some(name), entries })
        };
        let (draw, compute) = (ShaderStages::VERTEX_FRAGMENT, ShaderStages::COMPUTE);
        let layer_uniform = BindingType::Buffer {
            ty: BufferBindingType::Uniform,
            has_dynamic_offset: true,
            min_binding_size: None,
        };
        let layer_layout = layout(
            "layer",
            &[
                entry(0, draw, layer_uniform),
                entry(1, draw, texture()),
                entry(2, draw, texture()),
                entry(3, draw, texture()),
            ],
        );
        let shade = ShaderStages::FRAGMENT;
        let fade_layout = layout(
            "fade",
            &[
                entry(0, shade, buffer(BufferBindingType::Uniform)),
                entry(1, shade, texture()),
                entry(2, shade, texture()),
            ],
        );
        let small = BindingType::StorageTexture {
            access: StorageTextureAccess::WriteOnly,
            format: LEVEL_FORMAT,
            view_dimension: TextureViewDimension::D2,
        };
        let storage = buffer(BufferBindingType::Storage { read_only: false });
        let picture = entry(0, compute, texture());
        let scale_layout = layout("scale", &[picture, entry(1, compute, small)]);
        let frame = entry(2, compute, buffer(BufferBindingType::Uniform));
        let nv12_layout = layout("nv12", &[picture, entry(1, compute, storage), frame]);
        let rgba_layout = layout("rgba", &[picture, entry(1, compute, storage)]);
        let blends = [Blend::Normal, Blend::Add, Blend::Screen, Blend::Multiply]
            .map(|blend| render_pipeline(device, &layer, &layer_layout, "layer", Some(blend)));
        Self {
            blends,
            fade: render_pipeline(device, &fade, &fade_layout, "fade", None),
            scale: compute_pipeline(device, &scale, &scale_layout, "scale"),
            nv12: compute_pipeline(device, &nv12, &nv12_layout, "nv12"),
            rgba: compute_pipeline(device, &rgba, &rgba_layout, "rgba"),
            layer_layout,
            fade_layout,
            scale_layout,
            nv12_layout,
            rgba_layout,
        }
    }

    pub fn blend(&self, blend: Blend) -> &RenderPipeline {
        &self.blends[blend_index(blend)]
    }
}

fn compute_pipeline(
    device: &Device,
    module: &ShaderModule,
    layout: &BindGroupLayout,
    name: &'static str,
) -> ComputePipeline {
    let layout = device.create_pipeline_layout(&PipelineLayoutDescriptor {
        label: Some(name),
        bind_group_layouts: &[Some(layout)],
        immediate_size: 0,
    });
    device.create_compute_pipeline(&ComputePipelineDescriptor {
        label: Some(name),
        layout: Some(&layout),
        module,
        entry_point: Some(name),
        compilation_options: Default::default(),
        cache: None,
    })
}

/// Draws onto a programme of half floats with `blend`, or without it in place of what is on one of full floats.
fn render_pipeline(
    device: &Device,
    module: &ShaderModule,
    layout: &BindGroupLayout,
    name: &'static str,
    blend: Option<Blend>,
) -> RenderPipeline {
    let layout = device.create_pipeline_layout(&PipelineLayoutDescriptor {
        label: Some(name),
        bind_group_layouts: &[Some(layout)],
        immediate_size: 0,
    });
    let color = blend.map(|blend| {
        let (src_factor, dst_factor) = factors(blend);
        BlendComponent { src_factor, dst_factor, operation: BlendOperation::Add }
    });
    // The programme is opaque.
    let alpha = BlendComponent {
        src_factor: BlendFactor::Zero,
        dst_factor: BlendFactor::One,
        operation: BlendOperation::Add,
    };
    let target = ColorTargetState {
        format: if blend.is_some() { PROGRAMME_FORMAT } else { LEVEL_FORMAT },
        blend: color.map(|color| BlendState { color, alpha }),
        write_mask: ColorWrites::ALL,
    };
    device.create_render_pipeline(&RenderPipelineDescriptor {
        label: Some(name),
        layout: Some(&layout),
        vertex: VertexState {
            module,
            entry_point: Some("corner"),
            compilation_options: Default::default(),
            buffers: &[],
        },
        primitive: PrimitiveState { topology: PrimitiveTopology::TriangleStrip, ..Default::default() },
        depth_stencil: None,
        multisample: Default::default(),
        fragment: Some(FragmentState {
            module,
            entry_point: Some("shade"),
            compilation_options: Default::default(),
            targets: &[Some(target)],
        }),
        multiview_mask: None,
        cache: None,
    })
}
