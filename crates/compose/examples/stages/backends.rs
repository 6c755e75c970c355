//! Both backends behind one way to time a frame.

use std::time::Instant;

use compose::{Compositor, CompositorConfig, CpuCompositor, GpuCompositor, Isa, Scene, wgpu};
use media::{Picture, Size};
use tickcast_compose as compose;

use crate::row::median;
use crate::{PROGRAMME, ZERO};

const FRAMES: u32 = 60;
const GPU_FRAMES: usize = 20;

pub trait Timed {
    /// The milliseconds of a frame.
    fn measure(&mut self, scene: &Scene, renditions: &[Size], camera: &Picture, simulation: &Picture) -> f64;
}

pub struct Cpu(pub Isa);

impl Timed for Cpu {
    fn measure(&mut self, scene: &Scene, renditions: &[Size], camera: &Picture, simulation: &Picture) -> f64 {
        let config = CompositorConfig { programme: PROGRAMME, renditions: renditions.to_vec() };
        let mut compositor = CpuCompositor::with_isa(config, self.0).expect("these sizes are fine");
        let inputs = |name: &str| Some(if name == "camera" { camera.clone() } else { simulation.clone() });
        let frame = |compositor: &mut CpuCompositor| {
            let composed = compositor.compose(scene, &inputs, ZERO);
            assert_eq!(composed.renditions.len(), renditions.len());
        };
        (0..5).for_each(|_| frame(&mut compositor));
        let start = Instant::now();
        let before = thread_ms(start);
        (0..FRAMES).for_each(|_| frame(&mut compositor));
        (thread_ms(start) - before) / f64::from(FRAMES)
    }
}

/// Milliseconds that this thread ran. Linux keeps count, so that other programs' share does not; elsewhere it is the
/// time on the wall.
pub fn thread_ms(start: Instant) -> f64 {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|stat| stat.split(' ').next()?.parse::<f64>().ok())
        .map_or_else(|| start.elapsed().as_secs_f64() * 1e3, |nanos| nanos / 1e6)
}

/// Whatever adapter there is, lavapipe included.
pub struct Gpu {
    name: String,
    device: wgpu::Device,
    queue: wgpu::Queue,
}

impl Gpu {
    pub fn new() -> Result<Self, String> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let adapter = pollster::block_on(instance.request_adapter(&Default::default()));
        let adapter = adapter.map_err(|err| err.to_string())?;
        let (device, queue) =
            pollster::block_on(adapter.request_device(&Default::default())).map_err(|err| err.to_string())?;
        Ok(Self { name: adapter.get_info().name, device, queue })
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Timed for Gpu {
    fn measure(&mut self, scene: &Scene, renditions: &[Size], camera: &Picture, simulation: &Picture) -> f64 {
        let config = CompositorConfig { programme: PROGRAMME, renditions: renditions.to_vec() };
        let mut compositor = GpuCompositor::new(self.device.clone(), self.queue.clone(), config)
            .expect("these sizes are fine");
        let inputs = |name: &str| Some(if name == "camera" { camera.clone() } else { simulation.clone() });
        let mut frame = || {
            let start = Instant::now();
            compositor.submit(scene, &inputs, ZERO).expect("the device works");
            compositor.finish().expect("the device works").expect("it was submitted");
            start.elapsed().as_secs_f64() * 1e3
        };
        // The first ones compile and allocate.
        median((0..GPU_FRAMES + 3).map(|_| frame()).skip(3).collect())
    }
}
