//! The step without births beside the same step in Taichi: same particles, same numbers, same threads, in turns.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use bytemuck::Zeroable;
use sim::{Backend, Block, CpuBackend, Isa, LANES, StepParams};
use tickcast_sim as sim;

use crate::row::{Better, Row, median};

const PARTICLES: usize = 500_000;
/// Steps after which both are compared: before chaos tells them apart by their rounding.
const COMPARED_STEPS: usize = 10;
/// How far apart a particle may then be, in metres and metres a second, and how many may be further: those whose
/// rounding decided whether they touch a surface.
const NEAR: f32 = 1e-3;
const STRAYS_MAX: f64 = 1e-3;
const ROUNDS: usize = 9;
const STEPS_A_ROUND: usize = 30;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Everything that a step can meet at once: gravity, drag, vortex, five modes of noise, an attractor, a plane and
/// three spheres.
fn params(blocks: u32) -> StepParams {
    let dt = sim::STEP_SECONDS;
    let mut p = StepParams::zeroed();
    p.counts = [1, 0, 1, 3];
    p.counts2 = [5, 1, 1, 0];
    p.gravity = [0.0, -2.0 * dt, 0.0, dt];
    p.air = [0.1, 0.0, 0.0, 0.01];
    p.vortex = [0.0, 0.0, 0.0, 0.95];
    p.vortex_axis = [0.0, 1.0, 0.0, 0.81];
    p.vortex_more = [1.0 / 196.0, 0.07, 0.1, 0.0];
    for mode in 0..5 {
        let (k, turn) = (0.16 * 1.7f32.powi(mode as i32), mode as f32 * 0.37);
        p.modes[mode] = [k * turn.cos(), k * turn.sin(), k * 0.3, turn.fract()];
        p.amplitudes[mode] = [-turn.sin() * 0.5, turn.cos() * 0.5, 0.1, 0.0];
    }
    p.attractors[0] = [0.5, 2.0, 0.0, 3.0 * dt];
    p.softness[0][0] = 0.25;
    p.planes[0] = [0.0, 1.0, 0.0, 0.0];
    p.plane_response[0] = [1.42, 0.05, 0.0, 0.0];
    for (at, sphere) in
        [[1.5, 0.75, 0.5, 0.75], [-1.1, 0.5, 1.2, 0.5], [-0.9, 1.0, -1.5, 1.0]].iter().enumerate()
    {
        p.spheres[at] = *sphere;
        p.sphere_response[at] = [1.45, 0.04, 0.0, 0.0];
    }
    p.rings[0].ring = [0, blocks, blocks, 1];
    p
}

/// A cloud about the obstacles, none of it inside one for long, that lives beyond the end of the bench.
fn particles() -> Vec<Block> {
    let mut state = 1u32;
    let mut random = |low: f32, high: f32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        low + (high - low) * (state >> 8) as f32 / 16_777_216.0
    };
    let mut blocks = vec![Block::dead(); PARTICLES.div_ceil(LANES)];
    for block in &mut blocks {
        for lane in 0..LANES {
            (block.px[lane], block.py[lane], block.pz[lane]) =
                (random(-4.0, 4.0), random(0.1, 5.0), random(-4.0, 4.0));
            (block.vx[lane], block.vy[lane], block.vz[lane]) =
                (random(-1.0, 1.0), random(-1.0, 1.0), random(-1.0, 1.0));
            (block.phase[lane], block.haste[lane]) = (random(0.0, 0.3), random(0.01, 0.02));
        }
    }
    blocks
}

fn lanes(block: &Block) -> [&[f32; LANES]; 8] {
    let b = block;
    [&b.px, &b.py, &b.pz, &b.vx, &b.vy, &b.vz, &b.phase, &b.haste]
}

/// All numbers of one name after each other, as the peer keeps them.
fn flat(blocks: &[Block]) -> Vec<f32> {
    (0..8).flat_map(|name| blocks.iter().flat_map(move |block| lanes(block)[name].iter().copied())).collect()
}

fn write_state(path: &Path, blocks: &[Block], p: &StepParams) -> Result<()> {
    std::fs::write(path, bytemuck::cast_slice::<f32, u8>(&flat(blocks)))?;
    let mut text = String::new();
    let mut put = |name: &str, values: &[f32]| {
        let values: Vec<_> = values.iter().map(f32::to_string).collect();
        text += &format!("{name} {}\n", values.join(" "));
    };
    put("gravity", &p.gravity);
    put("air", &p.air);
    put("vortex", &p.vortex);
    put("vortex_axis", &p.vortex_axis);
    put("vortex_more", &p.vortex_more);
    for mode in 0..p.counts2[0] as usize {
        put("mode", &p.modes[mode]);
        put("amplitude", &p.amplitudes[mode]);
    }
    let [x, y, z, pull] = p.attractors[0];
    put("attractor", &[x, y, z, pull, p.softness[0][0]]);
    put("plane", &p.planes[0]);
    put("plane_response", &p.plane_response[0]);
    for sphere in 0..p.counts[3] as usize {
        put("sphere", &p.spheres[sphere]);
        put("sphere_response", &p.sphere_response[sphere]);
    }
    std::fs::write(path.with_extension("bin.txt"), text)?;
    Ok(())
}

/// The peer's process; it ends with its input.
struct Peer {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Peer {
    fn start(python: &str, state: &Path, threads: usize) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/steps/peer_taichi.py");
        let mut command = Command::new(python);
        command.arg(script).arg(state).arg(threads.to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (to, from) = (child.stdin.take(), child.stdout.take());
        let (Some(to), Some(from)) = (to, from) else { return Err("the peer has no pipes".into()) };
        let mut peer = Self { child, to, from: BufReader::new(from) };
        // Libraries greet on standard output.
        while peer.line()? != "ready" {}
        Ok(peer)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.from.read_line(&mut line)? == 0 {
            return Err("the peer ended early".into());
        }
        Ok(line.trim().to_owned())
    }

    fn ask(&mut self, request: &str) -> Result<String> {
        writeln!(self.to, "{request}")?;
        self.line()
    }

    /// Milliseconds a step.
    fn run(&mut self, steps: usize) -> Result<f64> {
        Ok(self.ask(&format!("run {steps}"))?.parse::<f64>()? * 1e3 / steps as f64)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Particles of which a number differs, and the largest difference of the means of position and speed.
fn compare(ours: &[f32], theirs: &[f32]) -> Result<(f64, f64)> {
    if ours.len() != theirs.len() {
        return Err("the peer saved another number of particles".into());
    }
    let count = ours.len() / 8;
    let apart =
        |i: usize| (0..6).any(|name| (ours[name * count + i] - theirs[name * count + i]).abs() > NEAR);
    let strays = (0..count).filter(|&i| apart(i)).count() as f64 / count as f64;
    let mean = |all: &[f32], name: usize| {
        all[name * count..(name + 1) * count].iter().map(|&v| f64::from(v)).sum::<f64>() / count as f64
    };
    let off = (0..6).map(|name| (mean(ours, name) - mean(theirs, name)).abs()).fold(0.0, f64::max);
    Ok((strays, off))
}

fn ours(backend: &mut CpuBackend, p: &StepParams, steps: usize) -> Result<f64> {
    let start = Instant::now();
    for _ in 0..steps {
        backend.advance(std::slice::from_ref(p))?;
    }
    Ok(start.elapsed().as_secs_f64() * 1e3 / steps as f64)
}

/// Rows for one thread and for all that the machine has. Without `python` ours alone.
pub fn rows(python: Option<&str>) -> Result<Vec<Row>> {
    let folder = std::env::temp_dir().join(format!("tickcast-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let measured = measured(python, &folder.join("particles.bin"));
    let _ = std::fs::remove_dir_all(&folder);
    measured
}

fn measured(python: Option<&str>, state: &PathBuf) -> Result<Vec<Row>> {
    let cores = std::thread::available_parallelism()?.get();
    let mut rows = Vec::new();
    let mut counts = vec![1, cores];
    counts.dedup();
    for threads in counts {
        let start = particles();
        let p = params(start.len() as u32);
        write_state(state, &start, &p)?;
        let mut backend = CpuBackend::new(threads, Isa::best())?;
        backend.set_blocks(start)?;
        let mut peer = python.map(|python| Peer::start(python, state, threads)).transpose()?;
        ours(&mut backend, &p, COMPARED_STEPS)?;
        if let Some(peer) = &mut peer {
            peer.run(COMPARED_STEPS)?;
            peer.ask("save")?;
            let theirs: Vec<f32> = bytemuck::pod_collect_to_vec(&std::fs::read(state)?);
            let (strays, off) = compare(&flat(&backend.blocks()?), &theirs)?;
            println!(
                "after {COMPARED_STEPS} equal steps on {threads} threads: {:.3} % of the particles differ by more \
                 than {NEAR}, means by {off:.1e}",
                strays * 100.0
            );
            if strays > STRAYS_MAX || off > f64::from(NEAR) {
                return Err("the two do not compute the same step".into());
            }
        }
        // In turns, so that what else runs here slows both.
        let (mut mine, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            mine.push(ours(&mut backend, &p, STEPS_A_ROUND)?);
            if let Some(peer) = &mut peer {
                theirs.push(peer.run(STEPS_A_ROUND)?);
            }
        }
        let metric = format!("step of {PARTICLES} particles, threads: {threads}");
        let row = Row::new(Better::Less, metric, "ms", median(mine));
        rows.push(if peer.is_some() { row.against("Taichi 1.7 on the CPU", median(theirs)) } else { row });
    }
    Ok(rows)
}
