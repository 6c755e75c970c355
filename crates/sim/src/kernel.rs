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
    let mut alive = 0;
    for i in 0..LANES {
        alive += u32::from(block.phase[i] < 1.0);
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
    let strikes = touches && into < 0.0;
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
        b.phase[i] = if phase < 1.0 { phase } else { 1.0 };
    }
}
