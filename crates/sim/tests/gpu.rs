//! The GPU backend is held to the CPU one, on whatever adapter the machine has (lavapipe without a GPU).
#![cfg(feature = "gpu")]
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, Ordering};

use media::{Size, Timescale, Timestamp};
use sim::wgpu;
use sim::{Action, Backend, Block, GpuBackend, LANES, Preset, SimConfig, Simulation};
use tickcast_sim as sim;

const NOW: Timestamp = Timestamp::zero(Timescale::VIDEO);
/// How far one step on the GPU may be from the CPU's, in units in the last place of the larger number or of
/// 1: divisions may be off by 2.5, square roots by 2 to 3 (WGSL, "Accuracy of Built-in Functions"), and a
/// multiplication may be fused with an addition.
const ULPS: f32 = 16.0;

fn adapter() -> wgpu::Adapter {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()))
        .expect("a Vulkan driver: mesa-vulkan-drivers has lavapipe")
}

fn gpu() -> GpuBackend {
    let (device, queue) = pollster::block_on(adapter().request_device(&Default::default())).unwrap();
    GpuBackend::new(device, queue)
}

fn pair(preset: Preset, count: u32) -> (Simulation, Simulation<GpuBackend>) {
    let config = SimConfig { seed: 5, count, preset, threads: 1, ..SimConfig::default() };
    (Simulation::new(config).unwrap(), Simulation::with_backend(config, gpu()).unwrap())
}

fn numbers(block: &Block, lane: usize) -> [f32; 8] {
    let b = block;
    [b.px[lane], b.py[lane], b.pz[lane], b.vx[lane], b.vy[lane], b.vz[lane], b.phase[lane], b.haste[lane]]
}

/// Particles of which a number differs by more than [`ULPS`], and all that were compared.
fn strays(a: &[Block], b: &[Block]) -> (usize, usize) {
    assert_eq!(a.len(), b.len());
    let mut strays = 0;
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            assert_eq!(a.look[lane], b.look[lane]);
            let apart = |(x, y): (f32, f32)| {
                let ulp = x.abs().max(y.abs()).max(1.0) * f32::EPSILON;
                let near = (x - y).abs() <= ULPS * ulp;
                // What is no number is near nothing, and a stray too.
                !near
            };
            strays += usize::from(numbers(a, lane).into_iter().zip(numbers(b, lane)).any(apart));
        }
    }
    (strays, a.len() * LANES)
}

#[test]
fn one_step_from_equal_particles_gives_equal_particles() {
    for preset in Preset::ALL {
        let (mut cpu, mut gpu) = pair(preset, 20_000);
        for at in [0, 1, 45, 200, 331] {
            cpu.advance_to(at).unwrap();
            if at == 200 {
                cpu.act(Action::Push { at: [0.0, 1.0, 0.0], radius: 2.0, velocity: [1.0, 2.0, 3.0] })
                    .unwrap();
                cpu.act(Action::Attract { at: [1.0; 3], strength: 4.0, steps: 9 }).unwrap();
                cpu.act(Action::Spawn { at: [1.0; 3], velocity: [0.0; 3], count: 500, colour: [1.0; 3] })
                    .unwrap();
                cpu.set_active_count(9_000).unwrap();
            }
            gpu.restore(&cpu.save().unwrap()).unwrap();
            for command in cpu.log().commands().iter().filter(|command| command.step >= at) {
                gpu.push_command(*command).unwrap();
            }
            cpu.step().unwrap();
            gpu.step().unwrap();
            let theirs = gpu.backend_mut().blocks().unwrap().into_owned();
            let (strays, all) = strays(&cpu.backend_mut().blocks().unwrap(), &theirs);
            // Rounding may decide whether a particle touches a surface: one in ten thousand.
            assert!(strays * 10_000 <= all, "{preset:?} at step {at}: {strays} of {all}");
        }
    }
}

/// Mean distance between two grids of how many particles are where, as a share of all.
fn grid_distance(a: &[Block], b: &[Block]) -> f64 {
    const EDGE: usize = 12;
    let grid = |blocks: &[Block]| {
        let mut counts = vec![0f64; EDGE * EDGE * EDGE];
        let mut all = 0.0;
        for block in blocks {
            for lane in (0..LANES).filter(|&lane| block.phase[lane] < 1.0) {
                // A metre a cell, six each way.
                let cell = |v: f32| ((v + 6.0).clamp(0.0, 11.9)) as usize;
                let [x, y, z] = [block.px[lane], block.py[lane], block.pz[lane]].map(cell);
                counts[(x * EDGE + y) * EDGE + z] += 1.0;
                all += 1.0;
            }
        }
        counts.into_iter().map(|count| count / all).collect::<Vec<_>>()
    };
    grid(a).iter().zip(grid(b)).map(|(a, b)| (a - b).abs()).sum::<f64>() / 2.0
}

#[test]
fn after_six_hundred_steps_the_particles_are_as_dense_in_the_same_places() {
    for preset in Preset::ALL {
        let (mut cpu, mut gpu) = pair(preset, 12_000);
        cpu.advance_to(600).unwrap();
        gpu.advance_to(600).unwrap();
        let (ours, theirs) = (cpu.backend_mut().blocks().unwrap(), gpu.backend_mut().blocks().unwrap());
        let apart = grid_distance(&ours, &theirs);
        // Another seed is apart by far more than the two backends.
        assert!(apart < 0.02, "{preset:?}: {apart}");
        let mut other =
            Simulation::new(SimConfig { seed: 6, count: 12_000, preset, ..SimConfig::default() }).unwrap();
        other.advance_to(600).unwrap();
        let control = grid_distance(&ours, &other.backend_mut().blocks().unwrap());
        assert!(apart * 2.0 < control, "{preset:?}: {apart} against {control} for another seed");
    }
}

#[test]
fn equal_particles_give_the_same_picture() {
    // Not a multiple of the cells, the bands, or the rows that a device copies.
    let size = Size::new(654, 358);
    for preset in Preset::ALL {
        let (mut cpu, mut gpu) = pair(preset, 50_000);
        cpu.advance_to(150).unwrap();
        gpu.restore(&cpu.save().unwrap()).unwrap();
        let (ours, theirs) = (cpu.render(size, NOW).unwrap(), gpu.render(size, NOW).unwrap());
        let pairs = || ours.data().iter().zip(theirs.data().iter());
        let worst = pairs().map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        let mean = pairs().map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / ours.data().len() as f64;
        let lit = ours.data().chunks_exact(4).filter(|p| p[0].max(p[1]).max(p[2]) > 16).count();
        assert!(lit * 20 > ours.data().len() / 4, "{preset:?} lights {lit} pixels");
        // A place rounded the other way moves a thirty-second of one particle's light.
        assert!(mean < 0.1, "{preset:?}: mean {mean}, worst {worst}");
        assert!(pairs().filter(|(a, b)| a.abs_diff(**b) > 2).count() * 1_000 < ours.data().len());
    }
}

#[test]
fn the_count_of_the_living_comes_without_waiting() {
    let (mut cpu, mut gpu) = pair(Preset::Galaxy, 6_400);
    cpu.advance_to(40).unwrap();
    gpu.advance_to(40).unwrap();
    // Reading particles back waits for everything before it.
    gpu.backend_mut().blocks().unwrap();
    gpu.stats().unwrap();
    gpu.step().unwrap();
    gpu.backend_mut().blocks().unwrap();
    cpu.step().unwrap();
    let (ours, theirs) = (cpu.stats().unwrap().alive, gpu.stats().unwrap().alive);
    assert!(ours.abs_diff(theirs) <= 2, "{ours} and {theirs}");
}

#[test]
fn a_lavapipe_adapter_is_known_as_software() {
    let info = adapter().get_info();
    let soft = ["llvmpipe", "lavapipe", "WARP"].iter().any(|name| info.name.contains(name));
    assert_eq!(sim::is_software(&info), soft, "{}", info.name);
}

#[test]
fn another_thread_that_polls_the_device_keeps_no_answer_back() {
    let (_, mut gpu) = pair(Preset::ALL[0], 1_000);
    let device = gpu.backend_mut().device().clone();
    let all = gpu.backend_mut().blocks().unwrap().len();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // As the compositor does: whoever polls first calls back for both.
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    device.poll(wgpu::PollType::Poll).unwrap();
                }
            });
        }
        let answers: Vec<_> =
            (0..500).map(|_| gpu.backend_mut().blocks().map(|blocks| blocks.len())).collect();
        is_over.store(true, Ordering::Relaxed);
        for answer in answers {
            assert_eq!(answer.unwrap(), all);
        }
    });
}
