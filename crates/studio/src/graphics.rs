//! What simulates and composes: the machine's graphics device, or the CPU where that is faster or alone.

use std::sync::Arc;

use compose::wgpu;
use compose::{ComposeError, Compositor, CompositorConfig, CpuCompositor, Fade, GpuCompositor, Scene};
use media::{Size, Timescale, Timestamp};
use serde::Deserialize;
use sim::{CpuBackend, GpuBackend, Isa, SimConfig, SimError, Simulation};

use crate::simulation::AnySimulation;

/// Which one is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// The graphics device, unless it is software: then our own CPU code does the same in less time.
    #[default]
    Auto,
    Cpu,
    /// The graphics device, software or not.
    Gpu,
}

/// A graphics device with everything that a window needs to share it.
#[derive(Clone, Debug)]
pub struct Device {
    pub instance: wgpu::Instance,
    pub adapter: wgpu::Adapter,
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
}

/// What was found. Clones share one device.
#[derive(Clone, Debug, Default)]
pub struct Graphics {
    device: Option<Arc<Device>>,
    name: Option<String>,
}

impl Graphics {
    /// Looks for a device, which takes a fraction of a second, and says in the log what was taken and why.
    pub fn find(choice: Choice) -> Self {
        if choice == Choice::Cpu {
            tracing::info!("the CPU simulates and composes, as the broadcast file wants it");
            return Self::default();
        }
        match Self::open(choice) {
            Ok(graphics) => {
                tracing::info!("{} simulates and composes", graphics.name().unwrap_or_default());
                graphics
            }
            Err(why) => {
                tracing::info!("the CPU simulates and composes: {why}");
                Self::default()
            }
        }
    }

    fn open(choice: Choice) -> Result<Self, String> {
        let mut described = wgpu::InstanceDescriptor::new_without_display_handle();
        // Without OpenGL, whose drivers complain on standard error where there is no display: what has no better
        // is slower than our CPU code.
        described.backends = wgpu::Backends::PRIMARY;
        let instance = wgpu::Instance::new(described);
        let wanted = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let found = pollster::block_on(instance.request_adapter(&wanted));
        let adapter = found.map_err(|err| format!("there is no graphics adapter ({err})"))?;
        let info = adapter.get_info();
        if sim::is_software(&info) && choice != Choice::Gpu {
            return Err(format!("{} is software", info.name));
        }
        let made = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default()));
        let (device, queue) = made.map_err(|err| format!("{} gave no device ({err})", info.name))?;
        // Otherwise a mistake in a command ends the whole process, and the broadcast with it.
        device.on_uncaptured_error(Arc::new(|err: wgpu::Error| tracing::error!("graphics: {err}")));
        let device = Some(Arc::new(Device { instance, adapter, device, queue }));
        Ok(Self { device, name: Some(info.name) })
    }

    /// `None` where the CPU does everything.
    pub fn device(&self) -> Option<&Device> {
        self.device.as_deref()
    }

    /// The adapter's.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// A compositor that has drawn and faded once: a graphics driver may compile for seconds at its first frame.
    pub(crate) fn compositor(&self, config: CompositorConfig) -> Result<Programme, ComposeError> {
        if let Some(Device { device, queue, .. }) = self.device() {
            match warm(device, queue, config.clone()) {
                Ok(compositor) => return Ok(Programme { compositor, backend: "gpu" }),
                Err(err) => tracing::warn!("the CPU composes, since the graphics device does not: {err}"),
            }
        }
        Ok(Programme { compositor: Box::new(CpuCompositor::new(config)?), backend: "cpu" })
    }

    /// As [`Graphics::compositor`].
    pub(crate) fn simulation(&self, config: SimConfig, size: Size) -> Result<AnySimulation, SimError> {
        if let Some(Device { device, queue, .. }) = self.device() {
            let backend: Box<dyn sim::Backend> = Box::new(GpuBackend::new(device.clone(), queue.clone()));
            let made = Simulation::with_backend(config, backend).and_then(|mut simulation| {
                simulation.render(size, Timestamp::zero(Timescale::VIDEO)).map(|_| simulation)
            });
            match made {
                Ok(simulation) => return Ok(simulation),
                Err(err) => tracing::warn!("the CPU simulates, since the graphics device does not: {err}"),
            }
        }
        let isa = config.isa.unwrap_or_else(Isa::best);
        let backend: Box<dyn sim::Backend> = Box::new(CpuBackend::new(config.threads, isa)?);
        Simulation::with_backend(config, backend)
    }
}

/// A compositor with what it runs on.
pub(crate) struct Programme {
    pub compositor: Box<dyn Compositor>,
    pub backend: &'static str,
}

fn warm(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    config: CompositorConfig,
) -> Result<Box<dyn Compositor>, ComposeError> {
    let mut compositor = GpuCompositor::new(device.clone(), queue.clone(), config)?;
    let (nothing, zero) = (Scene::new(Vec::new()), Timestamp::zero(Timescale::VIDEO));
    compositor.submit_fade(Fade { from: &nothing, to: &nothing, share: 0.5 }, &|_| None, zero)?;
    compositor.finish()?;
    // Without a fade, which lets go of what that takes.
    compositor.submit(&nothing, &|_| None, zero)?;
    compositor.finish()?;
    Ok(Box::new(compositor))
}
