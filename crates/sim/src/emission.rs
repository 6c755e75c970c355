//! Birth: where a new particle is and how it moves, from its serial number alone.

use crate::block::{Block, LANES};
use crate::exact::{cos_turns, nearest, pcg4d, sin_turns, unit};
use crate::params::{RingParams, StepParams, shape};

/// Writes the particles of block `index`, at `place` in its ring, that are born in this step.
#[inline(always)]
pub fn emit(block: &mut Block, ring: &RingParams, place: u32, params: &StepParams) {
    let capacity = ring.ring[1] * LANES as u32;
    let [start, born, ..] = ring.window;
    let base = place * LANES as u32;
    // Where the block begins, counted round the ring from the first that is born.
    let offset = if base >= start { base - start } else { base + capacity - start };
    // The window may begin inside this block, in which case the block's end comes first.
    if offset >= born && offset + (LANES as u32) <= capacity {
        return;
    }
    for lane in 0..LANES {
        let k = offset + lane as u32;
        let k = if k >= capacity { k - capacity } else { k };
        if k < born {
            birth(block, lane, k, ring, params);
        }
    }
}

/// The `k`-th particle of the step's window, written into `lane`.
#[inline(always)]
fn birth(block: &mut Block, lane: usize, k: u32, ring: &RingParams, params: &StepParams) {
    let serial = ring.window[2].wrapping_add(k);
    let stream = ring.window[3];
    let seed = params.counts2[1];
    let r = pcg4d([serial, stream, seed, 1]);
    let q = pcg4d([serial, stream, seed, 2]);
    let s = pcg4d([serial, stream, seed, 3]);

    let (size, form) = (ring.a[3], ring.b[3]);
    let thickness = ring.axis[3];
    let (sin, cos) = (sin_turns(unit(r[0])), cos_turns(unit(r[0])));
    // A triangular spread about zero.
    let blur = (unit(r[1]) + unit(r[2]) - 1.0) * thickness;
    let kind = ring.centre[3];
    // Place in the emitter's frame, and the direction away from its axis.
    let mut local = [0.0, 0.0, 0.0];
    let mut away = [cos, sin];
    if kind == shape::DISC {
        let even = unit(r[3]).sqrt();
        let radius = size * (even + (unit(r[3]) - even) * form);
        local = [cos * radius, sin * radius, blur];
    } else if kind == shape::RING {
        let radius = size + (unit(q[0]) + unit(q[1]) - 1.0) * form;
        local = [cos * radius, sin * radius, blur];
    } else if kind == shape::SPHERE {
        let up = 2.0 * unit(r[1]) - 1.0;
        let flat = (1.0 - up * up).sqrt();
        // The largest of three even numbers is spread like a ball's radius.
        let (x, y, z) = (unit(r[2]), unit(r[3]), unit(q[0]));
        let most = if x > y { x } else { y };
        let ball = if most > z { most } else { z };
        let radius = size * (ball + (x * y - ball) * form);
        local = [cos * flat * radius, sin * flat * radius, up * radius];
    } else if kind == shape::SPIRAL {
        let even = unit(r[3]).sqrt();
        let part = even + (unit(r[3]) - even) * 0.6;
        let arm = nearest(unit(r[0]) * ring.phase[2] - 0.5);
        let turns = arm / ring.phase[2] + part * form + (unit(q[0]) + unit(q[1]) - 1.0) * ring.phase[3];
        away = [cos_turns(turns), sin_turns(turns)];
        local = [away[0] * part * size, away[1] * part * size, blur];
    } else if kind == shape::LINE {
        let other = (unit(q[0]) + unit(q[1]) - 1.0) * thickness;
        local = [(2.0 * unit(r[3]) - 1.0) * size, other, blur];
        away = [0.0, 0.0];
    }

    let tilt = 1.0 - unit(q[2]) * ring.velocity[2];
    let lean = 1.0 - tilt * tilt;
    let lean = if lean > 0.0 { lean.sqrt() } else { 0.0 };
    let (turn_sin, turn_cos) = (sin_turns(unit(q[3])), cos_turns(unit(q[3])));
    let speed = ring.velocity[0] + unit(s[0]) * ring.velocity[1];
    let (outward, swirl) = (ring.velocity[3], ring.life[0]);
    let motion = [
        lean * turn_cos * speed + away[0] * outward - away[1] * swirl,
        lean * turn_sin * speed + away[1] * outward + away[0] * swirl,
        tilt * speed,
    ];
    let world = |v: [f32; 3], axis: usize| ring.a[axis] * v[0] + ring.b[axis] * v[1] + ring.axis[axis] * v[2];
    let velocity = [world(motion, 0), world(motion, 1), world(motion, 2)];
    // Born at some moment of the step, or jets would come in sixty shells a second.
    let earlier = unit(s[1]) * params.gravity[3];
    block.px[lane] = ring.centre[0] + world(local, 0) + velocity[0] * earlier;
    block.py[lane] = ring.centre[1] + world(local, 1) + velocity[1] * earlier;
    block.pz[lane] = ring.centre[2] + world(local, 2) + velocity[2] * earlier;
    block.vx[lane] = velocity[0];
    block.vy[lane] = velocity[1];
    block.vz[lane] = velocity[2];
    let haste = ring.life[1] + unit(s[2]) * ring.life[2];
    block.haste[lane] = haste;
    block.phase[lane] = ring.phase[0] + k as f32 * ring.phase[1] + haste * earlier;
    block.look[lane] = stream | (s[3] >> 4);
}
