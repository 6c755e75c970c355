//! One step of one block. Every loop runs over a block's 64 lanes without a branch, so that the compiler
//! makes vector code of it for whichever instruction set the caller was compiled for.

use crate::block::{Block, LANES};
use crate::emission::emit;
use crate::exact::rough_sin_turns;
use crate::params::{SHED_HASTE, StepParams};

type Lanes = [f32; LANES];

/// Takes the block at `index` through `steps`; returns how many of its particles then live.
#[inline(always)]
pub fn advance_block(block: &mut Block, index: u32, steps: &[StepParams]) -> u32 {
    for params in steps {
        let Some((ring, place)) = params.ring_of(index) else { continue };
        let shed = place >= ring.ring[2];
        if block.any_alive() {
            step(block, params, shed);
        }
        if !shed {
            emit(block, ring, place, params);
        }
    }
    let mut alive = 0u32;
    for i in 0..LANES {
        // Wraps by name: a check for overflow would keep the loop from becoming vector code.
        alive = alive.wrapping_add(u32::from(block.phase[i] < 1.0));
    }
    alive
}

#[inline(always)]
fn step(b: &mut Block, p: &StepParams, shed: bool) {
    let (mut ux, mut uy, mut uz) = ([p.air[0]; LANES], [p.air[1]; LANES], [p.air[2]; LANES]);
    if p.counts2[2] != 0 {
        vortex(b, p, &mut ux, &mut uy, &mut uz);
    }
    curl(b, p, &mut ux, &mut uy, &mut uz);
    let share = p.air[3];
    for i in 0..LANES {
        let vx = b.vx[i] + p.gravity[0];
        let vy = b.vy[i] + p.gravity[1];
        let vz = b.vz[i] + p.gravity[2];
        b.vx[i] = vx + (ux[i] - vx) * share;
        b.vy[i] = vy + (uy[i] - vy) * share;
        b.vz[i] = vz + (uz[i] - vz) * share;
    }
    attract(b, p);
    push(b, p);
    let dt = p.gravity[3];
    for i in 0..LANES {
        // The dead stand still: otherwise they would fall until their numbers overflow.
        let alive = b.phase[i] < 1.0;
        b.vx[i] = if alive { b.vx[i] } else { 0.0 };
        b.vy[i] = if alive { b.vy[i] } else { 0.0 };
        b.vz[i] = if alive { b.vz[i] } else { 0.0 };
        b.px[i] += b.vx[i] * dt;
        b.py[i] += b.vy[i] * dt;
        b.pz[i] += b.vz[i] * dt;
    }
    collide_planes(b, p);
    collide_spheres(b, p);
    age(b, p, shed);
}

#[inline(always)]
fn vortex(b: &Block, p: &StepParams, ux: &mut Lanes, uy: &mut Lanes, uz: &mut Lanes) {
    let [cx, cy, cz, strength] = p.vortex;
    let [ax, ay, az, core2] = p.vortex_axis;
    let [inverse_reach2, inflow, lift, _] = p.vortex_more;
    for i in 0..LANES {
        let (dx, dy, dz) = (b.px[i] - cx, b.py[i] - cy, b.pz[i] - cz);
        let along = dx * ax + dy * ay + dz * az;
        let (rx, ry, rz) = (dx - ax * along, dy - ay * along, dz - az * along);
        let r2 = rx * rx + ry * ry + rz * rz;
        let fade = 1.0 / (1.0 + r2 * inverse_reach2);
        let near = fade / (r2 + core2).sqrt();
        let (round, inward) = (strength * near, inflow * near);
        let up = lift * fade;
        ux[i] += (ay * rz - az * ry) * round - rx * inward + ax * up;
        uy[i] += (az * rx - ax * rz) * round - ry * inward + ay * up;
        uz[i] += (ax * ry - ay * rx) * round - rz * inward + az * up;
    }
}

#[inline(always)]
fn curl(b: &Block, p: &StepParams, ux: &mut Lanes, uy: &mut Lanes, uz: &mut Lanes) {
    let modes = p.counts2[0] as usize;
    for (mode, amplitude) in p.modes.iter().zip(&p.amplitudes).take(modes) {
        for i in 0..LANES {
            let turns = b.px[i] * mode[0] + b.py[i] * mode[1] + b.pz[i] * mode[2] + mode[3];
            let wave = rough_sin_turns(turns);
            ux[i] += amplitude[0] * wave;
            uy[i] += amplitude[1] * wave;
            uz[i] += amplitude[2] * wave;
        }
    }
}

#[inline(always)]
fn attract(b: &mut Block, p: &StepParams) {
    for (attractor, soft) in p.attractors.iter().zip(&p.softness).take(p.counts[0] as usize) {
        for i in 0..LANES {
            let dx = attractor[0] - b.px[i];
            let dy = attractor[1] - b.py[i];
            let dz = attractor[2] - b.pz[i];
            let r2 = dx * dx + dy * dy + dz * dz + soft[0];
            let pull = attractor[3] / (r2 * r2.sqrt());
            b.vx[i] += dx * pull;
            b.vy[i] += dy * pull;
            b.vz[i] += dz * pull;
        }
    }
}

#[inline(always)]
fn push(b: &mut Block, p: &StepParams) {
    for (push, velocity) in p.pushes.iter().zip(&p.push_velocity).take(p.counts[1] as usize) {
        for i in 0..LANES {
            let dx = b.px[i] - push[0];
            let dy = b.py[i] - push[1];
            let dz = b.pz[i] - push[2];
            let near = 1.0 - (dx * dx + dy * dy + dz * dz) * push[3];
            let near = if near > 0.0 { near } else { 0.0 };
            let near = near * near;
            b.vx[i] += velocity[0] * near;
            b.vy[i] += velocity[1] * near;
            b.vz[i] += velocity[2] * near;
        }
    }
}

#[inline(always)]
fn collide_planes(b: &mut Block, p: &StepParams) {
    for (plane, response) in p.planes.iter().zip(&p.plane_response).take(p.counts[2] as usize) {
        let [nx, ny, nz, offset] = *plane;
        for i in 0..LANES {
            let depth = b.px[i] * nx + b.py[i] * ny + b.pz[i] * nz - offset;
            let inside = if depth < 0.0 { depth } else { 0.0 };
            bounce(b, i, [nx, ny, nz], inside, response);
        }
    }
}

#[inline(always)]
fn collide_spheres(b: &mut Block, p: &StepParams) {
    for (sphere, response) in p.spheres.iter().zip(&p.sphere_response).take(p.counts[3] as usize) {
        for i in 0..LANES {
            let dx = b.px[i] - sphere[0];
            let dy = b.py[i] - sphere[1];
            let dz = b.pz[i] - sphere[2];
            let r2 = dx * dx + dy * dy + dz * dz + 1e-12;
            let r = r2.sqrt();
            let inverse = 1.0 / r;
            let depth = r - sphere[3];
            let inside = if depth < 0.0 { depth } else { 0.0 };
            bounce(b, i, [dx * inverse, dy * inverse, dz * inverse], inside, response);
        }
    }
}

/// Puts lane `i` back onto a surface that it is `inside` below (zero or negative) and turns its speed.
#[inline(always)]
fn bounce(b: &mut Block, i: usize, n: [f32; 3], inside: f32, response: &[f32; 4]) {
    let touches = inside < 0.0;
    b.px[i] -= n[0] * inside;
    b.py[i] -= n[1] * inside;
    b.pz[i] -= n[2] * inside;
    let into = b.vx[i] * n[0] + b.vy[i] * n[1] + b.vz[i] * n[2];
    // Both sides at once: a short cut would be a branch, and the loop would not become vector code.
    let strikes = touches & (into < 0.0);
    let back = if strikes { into * response[0] } else { 0.0 };
    let hold = if strikes { response[1] } else { 0.0 };
    // Friction takes from the speed along the surface only.
    let (tx, ty, tz) = (b.vx[i] - n[0] * into, b.vy[i] - n[1] * into, b.vz[i] - n[2] * into);
    b.vx[i] = b.vx[i] - n[0] * back - tx * hold;
    b.vy[i] = b.vy[i] - n[1] * back - ty * hold;
    b.vz[i] = b.vz[i] - n[2] * back - tz * hold;
}

#[inline(always)]
fn age(b: &mut Block, p: &StepParams, shed: bool) {
    let dt = p.gravity[3];
    let least = if shed { SHED_HASTE } else { 0.0 };
    let least = if p.vortex_more[3] > least { p.vortex_more[3] } else { least };
    for i in 0..LANES {
        // Who must go sooner keeps the haste of the first time it was told so: a straight fade.
        let wanted = (1.0 - b.phase[i]) * least;
        b.haste[i] = if wanted > b.haste[i] { wanted } else { b.haste[i] };
        let phase = b.phase[i] + b.haste[i] * dt;
        let alive = phase < 1.0;
        b.phase[i] = if alive { phase } else { 1.0 };
        // So that a block of the dead alone can be passed over: a step changes nothing in it.
        b.vx[i] = if alive { b.vx[i] } else { 0.0 };
        b.vy[i] = if alive { b.vy[i] } else { 0.0 };
        b.vz[i] = if alive { b.vz[i] } else { 0.0 };
    }
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;

    use super::*;
    use crate::STEP_SECONDS;

    /// Nothing but time, and one ring that holds the block and gives birth to none.
    fn still() -> StepParams {
        let mut params = StepParams::zeroed();
        params.gravity[3] = STEP_SECONDS;
        params.rings[0].ring = [0, 1, 1, 0];
        params
    }

    fn one_at(position: [f32; 3], velocity: [f32; 3]) -> Block {
        let mut block = Block::dead();
        block.phase = [0.0; LANES];
        block.px = [position[0]; LANES];
        block.py = [position[1]; LANES];
        block.pz = [position[2]; LANES];
        block.vx = [velocity[0]; LANES];
        block.vy = [velocity[1]; LANES];
        block.vz = [velocity[2]; LANES];
        block
    }

    #[test]
    fn a_falling_particle_falls_as_far_as_the_sum_of_its_steps() {
        let mut params = still();
        params.gravity[1] = -9.81 * STEP_SECONDS;
        let mut block = one_at([0.0, 100.0, 0.0], [2.0, 0.0, 0.0]);
        assert_eq!(advance_block(&mut block, 0, &[params; 60]), LANES as u32);
        // Speeds are updated before places: g·dt²·(1 + 2 + … + 60).
        let fallen = 9.81 / 3_600.0 * (60.0 * 61.0 / 2.0);
        assert!((100.0 - block.py[5] - fallen).abs() < 1e-3, "{}", block.py[5]);
        assert!((block.px[5] - 2.0).abs() < 1e-5);
    }

    #[test]
    fn drag_takes_the_airs_speed_as_an_implicit_step_does() {
        let mut params = still();
        let drag = 3.0 * STEP_SECONDS;
        params.air = [1.0, 0.0, 0.0, drag / (1.0 + drag)];
        let mut block = one_at([0.0; 3], [0.0; 3]);
        advance_block(&mut block, 0, &[params; 60]);
        let left = (1.0 / (1.0 + f64::from(drag))).powi(60);
        assert!((f64::from(block.vx[0]) - (1.0 - left)).abs() < 1e-5);
    }

    #[test]
    fn a_particle_bounces_off_a_plane_with_its_share_of_speed() {
        let mut params = still();
        params.counts[2] = 1;
        params.planes[0] = [0.0, 1.0, 0.0, 0.0];
        params.plane_response[0] = [1.5, 0.25, 0.0, 0.0];
        let mut block = one_at([0.0, 0.01, 0.0], [4.0, -6.0, 0.0]);
        advance_block(&mut block, 0, &[params]);
        assert_eq!(block.py[0], 0.0);
        assert_eq!((block.vx[0], block.vy[0]), (3.0, 3.0));
    }

    #[test]
    fn a_particle_inside_a_sphere_is_put_on_its_surface_and_sent_out() {
        let mut params = still();
        params.counts[3] = 1;
        params.spheres[0] = [1.0, 0.0, 0.0, 2.0];
        params.sphere_response[0] = [1.5, 0.0, 0.0, 0.0];
        let mut block = one_at([-0.5, 0.0, 0.0], [1.0, 0.0, 0.0]);
        advance_block(&mut block, 0, &[params]);
        assert!((block.px[0] + 1.0).abs() < 1e-5, "{}", block.px[0]);
        assert!((block.vx[0] + 0.5).abs() < 1e-5, "{}", block.vx[0]);
    }

    #[test]
    fn an_attractor_pulls_by_the_inverse_square() {
        let mut params = still();
        params.counts[0] = 1;
        params.attractors[0] = [0.0, 3.0, 0.0, 18.0 * STEP_SECONDS];
        let mut block = one_at([0.0; 3], [0.0; 3]);
        advance_block(&mut block, 0, &[params]);
        // 18/3² = 2 m/s² for a sixtieth of a second.
        assert!((block.vy[0] - 2.0 / 60.0).abs() < 1e-6, "{}", block.vy[0]);
    }

    #[test]
    fn a_vortex_carries_a_particle_round_its_axis() {
        let mut params = still();
        params.counts2[2] = 1;
        params.air[3] = 1.0;
        params.vortex = [0.0, 0.0, 0.0, 3.0];
        params.vortex_axis = [0.0, 1.0, 0.0, 0.0];
        let mut block = one_at([2.0, 0.0, 0.0], [0.0; 3]);
        (block.px[1], block.pz[1]) = (0.0, 2.0);
        advance_block(&mut block, 0, &[params]);
        // And axis y times arm z is x.
        assert!((block.vx[1] - 3.0).abs() < 1e-5 && block.vz[1].abs() < 1e-6, "{}", block.vx[1]);
        // Axis y times arm x is −z, at the full speed of 3.
        assert!((block.vz[0] + 3.0).abs() < 1e-5 && block.vx[0].abs() < 1e-6, "{}", block.vz[0]);
    }

    #[test]
    fn a_push_reaches_its_radius_and_no_further() {
        let mut params = still();
        params.counts[1] = 1;
        params.pushes[0] = [0.0, 0.0, 0.0, 1.0 / 4.0];
        params.push_velocity[0] = [0.0, 5.0, 0.0, 0.0];
        let mut block = one_at([0.0; 3], [0.0; 3]);
        (block.px[1], block.px[2]) = (2.0, 1.0);
        advance_block(&mut block, 0, &[params]);
        // Half way it is (1 − ¼)² of the whole.
        assert_eq!((block.vy[0], block.vy[1], block.vy[2]), (5.0, 0.0, 5.0 * 0.5625));
    }

    #[test]
    fn a_particle_dies_at_the_end_of_its_life_and_then_rests() {
        let mut params = still();
        params.gravity[1] = -1.0;
        let mut block = one_at([0.0; 3], [0.0; 3]);
        block.haste = [2.0; LANES];
        assert_eq!(advance_block(&mut block, 0, &[params; 28]), LANES as u32);
        assert_eq!(advance_block(&mut block, 0, &[params; 4]), 0);
        let rested = block;
        advance_block(&mut block, 0, &[params; 10]);
        assert_eq!(block, rested);
    }
}
