//! The step on a GPU as a share of its memory's bandwidth, which is what bounds it.

use std::error::Error;
use std::time::Instant;

use sim::wgpu;
use sim::{Block, GpuBackend, LANES, SimConfig, Simulation, is_software};
use tickcast_sim as sim;

use crate::row::{Better, Row, median};

/// What a step reads and writes of a particle: eight numbers, each way.
const BYTES_A_PARTICLE: f64 = 64.0;
const COPY_BYTES: u64 = 256 << 20;
const COPIES: u32 = 20;
const STEPS: u64 = 80;
const ROUNDS: usize = 7;

/// No rows, and a line that says why, where there is no GPU.
pub fn rows() -> Result<Vec<Row>, Box<dyn Error>> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let options = wgpu::RequestAdapterOptions {
        power_preference: wgpu::PowerPreference::HighPerformance,
        ..Default::default()
    };
    let Ok(adapter) = pollster::block_on(instance.request_adapter(&options)) else {
        println!("there is no GPU here, so the share of its memory bandwidth was not measured");
        return Ok(Vec::new());
    };
    let info = adapter.get_info();
    if is_software(&info) && std::env::var_os("TICKCAST_BENCH_SOFTWARE_GPU").is_none() {
        println!(
            "there is no GPU here ({} computes on the CPU), so the share of its memory bandwidth was not measured",
            info.name
        );
        return Ok(Vec::new());
    }
    let limits = wgpu::Limits {
        max_buffer_size: adapter.limits().max_buffer_size,
        max_storage_buffer_binding_size: adapter.limits().max_storage_buffer_binding_size,
        ..Default::default()
    };
    let descriptor = wgpu::DeviceDescriptor { required_limits: limits.clone(), ..Default::default() };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))?;
    let copy = copy_bandwidth(&device, &queue)?;
    // As many as fit, since the caches of large GPUs hold half a million.
    let most =
        (limits.max_storage_buffer_binding_size.min(limits.max_buffer_size)) / size_of::<Block>() as u64;
    let most = most.min(u64::from(limits.max_compute_workgroups_per_dimension)) * LANES as u64;
    // A 32nd of them are guests' places.
    let count = u32::try_from(most / 33 * 32)?.min(sim::MAX_PARTICLES);
    let config = SimConfig { count, ..SimConfig::default() };
    let mut simulation = Simulation::with_backend(config, GpuBackend::new(device.clone(), queue))?;
    simulation.advance_to(60)?;
    device.poll(wgpu::PollType::wait_indefinitely())?;
    let mut seconds = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        simulation.advance_to(simulation.steps() + STEPS)?;
        device.poll(wgpu::PollType::wait_indefinitely())?;
        seconds.push(start.elapsed().as_secs_f64() / STEPS as f64);
    }
    let step = median(seconds);
    let bandwidth = f64::from(count) * BYTES_A_PARTICLE / step / 1e9;
    let name = info.name;
    Ok(vec![
        Row::new(Better::Less, format!("step of {count} particles on {name}"), "ms", step * 1e3),
        Row::new(Better::More, format!("memory that the step on {name} uses"), "GB/s", bandwidth)
            .against("buffer copies on the same GPU", copy),
    ])
}

/// Read and written, in GB/s.
fn copy_bandwidth(device: &wgpu::Device, queue: &wgpu::Queue) -> Result<f64, Box<dyn Error>> {
    use wgpu::BufferUsages as Use;
    let size = COPY_BYTES.min(device.limits().max_buffer_size);
    let buffer = |label| {
        let usage = Use::COPY_SRC | Use::COPY_DST;
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: false,
        })
    };
    let (from, to) = (buffer("from"), buffer("to"));
    let mut seconds = Vec::new();
    for _ in 0..=ROUNDS {
        let mut encoder = device.create_command_encoder(&Default::default());
        for _ in 0..COPIES {
            encoder.copy_buffer_to_buffer(&from, 0, &to, 0, size);
        }
        let start = Instant::now();
        queue.submit([encoder.finish()]);
        device.poll(wgpu::PollType::wait_indefinitely())?;
        seconds.push(start.elapsed().as_secs_f64() / f64::from(COPIES));
    }
    // The first one also touches the memory for the first time.
    seconds.remove(0);
    Ok(2.0 * size as f64 / median(seconds) / 1e9)
}
