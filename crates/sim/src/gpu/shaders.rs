//! The compiled shaders. Their sources lie in `shaders/`, shared parts in `shaders/common/`.

/// Sources as they are compiled: shared parts in front.
pub const STEP: &str = concat!(
    include_str!("../../../../shaders/common/exact.wgsl"),
    include_str!("../../../../shaders/common/block.wgsl"),
    include_str!("../../../../shaders/sim/step.wgsl"),
);
pub const SPLAT: &str = concat!(
    include_str!("../../../../shaders/common/block.wgsl"),
    include_str!("../../../../shaders/sim/splat.wgsl"),
);
pub const GLOW: &str = include_str!("../../../../shaders/sim/glow.wgsl");
pub const TONE: &str = include_str!("../../../../shaders/sim/tone.wgsl");

pub struct Shaders {
    pub step: wgpu::ComputePipeline,
    pub splat: wgpu::ComputePipeline,
    pub shrink: wgpu::ComputePipeline,
    pub blur: wgpu::ComputePipeline,
    pub widen: wgpu::ComputePipeline,
    pub mix_far: wgpu::ComputePipeline,
    pub develop: wgpu::ComputePipeline,
}

impl Shaders {
    pub fn new(device: &wgpu::Device) -> Self {
        let module = |label, source: &'static str| {
            let source = wgpu::ShaderSource::Wgsl(source.into());
            device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some(label), source })
        };
        let pipeline = |module: &wgpu::ShaderModule, entry: &'static str| {
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(entry),
                layout: None,
                module,
                entry_point: Some(entry),
                compilation_options: Default::default(),
                cache: None,
            })
        };
        let (step, splat) = (module("sim step", STEP), module("sim splat", SPLAT));
        let (glow, tone) = (module("sim glow", GLOW), module("sim tone", TONE));
        Self {
            step: pipeline(&step, "step"),
            splat: pipeline(&splat, "splat"),
            shrink: pipeline(&glow, "shrink"),
            blur: pipeline(&glow, "blur"),
            widen: pipeline(&glow, "widen"),
            mix_far: pipeline(&glow, "mix_far"),
            develop: pipeline(&tone, "develop"),
        }
    }
}

#[cfg(test)]
mod tests {
    use naga::{Module, TypeInner};

    use super::*;
    use crate::gpu::FrameParams;
    use crate::gpu::canvas::PassParams;
    use crate::params::{RingParams, StepParams};

    fn validated(source: &str) -> Module {
        let module = naga::front::wgsl::parse_str(source).map_err(|e| e.emit_to_string(source)).unwrap();
        let mut validator = naga::valid::Validator::new(
            naga::valid::ValidationFlags::all(),
            naga::valid::Capabilities::empty(),
        );
        validator.validate(&module).map_err(|e| e.emit_to_string(source)).unwrap();
        module
    }

    /// Size of a shader's struct, and each member's name and offset.
    fn layout(module: &Module, name: &str) -> (usize, Vec<(String, usize)>) {
        let found = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(name)).unwrap().1;
        let TypeInner::Struct { members, span } = &found.inner else { panic!("{name} is no struct") };
        let member = |m: &naga::StructMember| (m.name.clone().unwrap(), m.offset as usize);
        (*span as usize, members.iter().map(member).collect())
    }

    macro_rules! assert_layout {
        ($module:expr, $name:literal, $ty:ty, [$($field:ident),*]) => {
            let (size, members) = layout($module, $name);
            assert_eq!(size, size_of::<$ty>(), "size of {}", $name);
            let ours = vec![$((stringify!($field).to_string(), std::mem::offset_of!($ty, $field))),*];
            assert_eq!(members, ours, "members of {}", $name);
        };
    }

    #[test]
    fn every_shader_is_valid_without_any_extension() {
        for source in [STEP, SPLAT, GLOW, TONE] {
            validated(source);
        }
    }

    #[test]
    fn the_shaders_structs_lie_as_ours_do() {
        let step = validated(STEP);
        assert_layout!(
            &step,
            "RingParams",
            RingParams,
            [ring, window, centre, a, b, axis, velocity, life, phase]
        );
        assert_layout!(
            &step,
            "StepParams",
            StepParams,
            [
                counts,
                counts2,
                gravity,
                air,
                vortex,
                vortex_axis,
                vortex_more,
                modes,
                amplitudes,
                attractors,
                softness,
                pushes,
                push_velocity,
                planes,
                plane_response,
                spheres,
                sphere_response,
                rings
            ]
        );
        let glow = validated(GLOW);
        assert_layout!(&glow, "Pass", PassParams, [size, step]);
        let (size, members) = layout(&validated(SPLAT), "Frame");
        assert_eq!(size, size_of::<FrameParams>());
        let view = ["eye", "right", "up", "forward"].map(|name| name.to_string());
        assert!(members.iter().zip(&view).enumerate().all(|(i, (m, name))| m.0 == *name && m.1 == i * 16));
        let offset = |name: &str| members.iter().find(|m| m.0 == name).unwrap().1;
        assert_eq!(offset("size"), std::mem::offset_of!(FrameParams, size));
        assert_eq!(offset("light"), std::mem::offset_of!(FrameParams, light));
        assert_eq!(offset("hiders"), std::mem::offset_of!(FrameParams, hiders));
    }

    #[test]
    fn the_shaders_constants_are_ours() {
        use crate::block::{Block, LANES};
        let module = validated(STEP);
        let constant = |name: &str| {
            let found = module.constants.iter().find(|(_, c)| c.name.as_deref() == Some(name)).unwrap().1;
            match module.global_expressions[found.init] {
                naga::Expression::Literal(naga::Literal::U32(value)) => value as usize,
                ref other => panic!("{name} is {other:?}"),
            }
        };
        assert_eq!(constant("LANES"), LANES);
        assert_eq!(constant("BLOCK_WORDS") * 4, size_of::<Block>());
        let fields = [
            ("PX", std::mem::offset_of!(Block, px)),
            ("PY", std::mem::offset_of!(Block, py)),
            ("PZ", std::mem::offset_of!(Block, pz)),
            ("VX", std::mem::offset_of!(Block, vx)),
            ("VY", std::mem::offset_of!(Block, vy)),
            ("VZ", std::mem::offset_of!(Block, vz)),
            ("PHASE", std::mem::offset_of!(Block, phase)),
            ("HASTE", std::mem::offset_of!(Block, haste)),
            ("LOOK", std::mem::offset_of!(Block, look)),
        ];
        for (name, offset) in fields {
            assert_eq!(constant(name) * 4, offset, "{name}");
        }
        assert_eq!(constant("RINGS"), crate::params::RINGS);
    }
}
