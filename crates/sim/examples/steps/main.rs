//! Times the simulation: `bench [THREADS]`. A table of every preset and instruction set, then the figures that
//! `cargo xtask bench` collects: the step beside Taichi's, and on a GPU as a share of its memory's bandwidth.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

mod gpu;
mod peer;
#[path = "../../../xtask/src/bench/row.rs"]
mod row;

use std::time::Instant;

use media::{Size, Timescale, Timestamp};
use sim::{Isa, Preset, SimConfig, Simulation};
use tickcast_sim as sim;

use row::{Better, Row, median};

const SIZE: Size = Size::new(1280, 720);
const WARM_UP: u64 = 600;
const FRAMES: u64 = 90;
/// 60 steps a second in 30 frames a second.
const STEPS_A_FRAME: u64 = 2;

fn timed<T>(spans: &mut Vec<f64>, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    spans.push(start.elapsed().as_secs_f64() * 1e3);
    result
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::env::args().nth(1).map_or(Ok(0), |text| text.parse())?;
    let mut rows = Vec::new();
    println!("preset  isa       threads  2 steps ms  1 step ms  splat ms  picture ms  M particles/s");
    for preset in Preset::ALL {
        for isa in Isa::available() {
            let config = SimConfig { preset, threads, isa: Some(isa), ..SimConfig::default() };
            let mut simulation = Simulation::new(config)?;
            simulation.advance_to(WARM_UP)?;
            let (mut pair, mut single, mut splat, mut picture) = (vec![], vec![], vec![], vec![]);
            for _ in 0..FRAMES {
                let next = simulation.steps() + STEPS_A_FRAME;
                timed(&mut pair, || simulation.advance_to(next))?;
                let frame = simulation.frame(SIZE)?;
                timed(&mut splat, || simulation.backend_mut().splat(&frame));
                timed(&mut picture, || simulation.render(SIZE, Timestamp::zero(Timescale::VIDEO)))?;
            }
            for _ in 0..FRAMES {
                timed(&mut single, || simulation.step())?;
            }
            let alive = simulation.stats()?.alive;
            let threads = simulation.backend().threads();
            let [pair, single, splat, picture] = [pair, single, splat, picture].map(median);
            let rate = f64::from(alive) * STEPS_A_FRAME as f64 / pair / 1e3;
            let (name, isa_name) = (preset.name(), format!("{isa:?}").to_lowercase());
            println!(
                "{name:7} {isa_name:9} {threads:7}  {pair:10.2}  {single:9.2}  {splat:8.2}  {picture:10.2}  {rate:13.0}"
            );
            if Some(isa) == Isa::available().last().copied() {
                let row = |what: &str, ms| {
                    Row::new(Better::Less, format!("{name}: {what}, threads: {threads}"), "ms", ms)
                };
                rows.push(row("two steps", pair));
                rows.push(row("picture of 1280×720", picture));
            }
        }
    }
    let python = std::env::var("TICKCAST_BENCH_PYTHON").ok();
    rows.extend(peer::rows(python.as_deref())?);
    rows.extend(gpu::rows()?);
    rows.iter().for_each(|row| println!("{}", row.to_line()));
    Ok(())
}
