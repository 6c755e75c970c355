//! Times the simulation: a table for people, a JSON line for each row, for `bench [THREADS]`.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use media::{Size, Timescale, Timestamp};
use sim::{Isa, Preset, SimConfig, Simulation};
use tickcast_sim as sim;

const SIZE: Size = Size::new(1280, 720);
const WARM_UP: u64 = 600;
const FRAMES: u64 = 90;
/// 60 steps a second in 30 frames a second.
const STEPS_A_FRAME: u64 = 2;

/// Milliseconds, sorted; the middle one.
fn median(mut spans: Vec<f64>) -> f64 {
    spans.sort_by(f64::total_cmp);
    spans.get(spans.len() / 2).copied().unwrap_or(f64::NAN)
}

fn timed<T>(spans: &mut Vec<f64>, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    spans.push(start.elapsed().as_secs_f64() * 1e3);
    result
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::env::args().nth(1).map_or(Ok(0), |text| text.parse())?;
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
            let (name, isa) = (preset.name(), format!("{isa:?}").to_lowercase());
            println!(
                "{name:7} {isa:9} {threads:7}  {pair:10.2}  {single:9.2}  {splat:8.2}  {picture:10.2}  {rate:13.0}"
            );
            println!(
                "{{\"preset\":\"{name}\",\"isa\":\"{isa}\",\"threads\":{threads},\"alive\":{alive},\
                 \"two_steps_ms_p50\":{pair:.3},\"step_ms_p50\":{single:.3},\"splat_ms_p50\":{splat:.3},\
                 \"picture_ms_p50\":{picture:.3},\"particles_per_second\":{:.0}}}",
                rate * 1e6
            );
        }
    }
    Ok(())
}
