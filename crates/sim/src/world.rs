//! Everything that evolves besides the particles: rings of births, sliders, passing forces, the camera.
//! From the seed and the commands alone it makes each step's [`StepParams`].

use std::collections::VecDeque;

use bytemuck::Zeroable;
use serde::{Deserialize, Serialize};

use crate::block::LANES;
use crate::command::{Action, Parameter};
use crate::exact::{cos_turns, cross, dot, frame_of, normalized, pcg4d, scaled, turned_about_y, unit};
use crate::params::{RINGS, RingParams, StepParams, shape};
use crate::preset::Preset;
use crate::scene::{
    Emitter, MAX_ATTRACTORS, MAX_COLLIDERS, MAX_EMITTERS, MAX_MODES, MAX_PUSHES, Scene, Shape,
};
use crate::{STEP_SECONDS, STEPS_PER_SECOND};

/// Steps that a prefilled ring takes to fill.
const PREFILL_STEPS: u32 = 30;
/// Guests that wait for their step; a spawn beyond that takes the place of the last one waiting.
const MAX_GUESTS: usize = 16;
/// What is left of a preset is gone in 0.7 s.
const CHANGE_HASTE: f32 = 1.0 / 0.7;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ring {
    first: u32,
    blocks: u32,
    inverse: u32,
    /// Particle of the ring that is born next.
    cursor: u32,
    /// Births so far, wrapping.
    serial: u32,
    /// Births due but not whole, in 65 536ths.
    carry: u32,
    /// Births left of the first filling.
    prefill: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Passing {
    at: [f32; 3],
    strength: f32,
    steps: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Guest {
    at: [f32; 3],
    velocity: [f32; 3],
    count: u32,
}

/// The part of a simulation's state that is not particles; all of it is saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    pub seed: u32,
    pub count: u32,
    pub active: u32,
    pub step: u64,
    pub preset: Preset,
    pub previous: Preset,
    /// Which half of the palettes the present preset uses.
    pub bank: u32,
    began: u64,
    changed: bool,
    controls: Vec<f32>,
    rings: Vec<Ring>,
    passing: Vec<Passing>,
    pushes: Vec<([f32; 3], f32, [f32; 3])>,
    guests: VecDeque<Guest>,
    pub guest_colour: [f32; 3],
    /// Way of the camera round its target in 2^-64 turns: a whole number wraps without rounding.
    camera: u64,
}

impl World {
    pub fn new(seed: u64, count: u32, preset: Preset) -> Self {
        let mut world = Self {
            seed: (seed ^ (seed >> 32)) as u32,
            count,
            active: count,
            step: 0,
            preset,
            previous: preset,
            bank: 0,
            began: 0,
            changed: false,
            controls: Parameter::ALL.iter().map(|p| p.range().1).collect(),
            rings: Vec::new(),
            passing: Vec::new(),
            pushes: Vec::new(),
            guests: VecDeque::new(),
            guest_colour: [1.0; 3],
            camera: 0,
        };
        let scene = preset.scene();
        world.rings = lay_out(&scene, count);
        world.camera = turn_fraction(f64::from(scene.look.camera.start));
        world
    }

    /// Blocks of particles for `count`, the guests' included.
    pub fn blocks_for(count: u32) -> usize {
        (emitted_blocks(count) + guest_blocks(count)) as usize
    }

    pub fn control(&self, parameter: Parameter) -> f32 {
        self.controls[parameter as usize]
    }

    /// The camera's way round its target in turns.
    pub fn camera_turns(&self) -> f32 {
        (self.camera >> 40) as f32 / (1u32 << 24) as f32
    }

    /// Whether a world read from a file holds together: everything that later code indexes or divides by.
    pub fn is_sound(&self) -> bool {
        let fresh = lay_out(&self.preset.scene(), self.count);
        let same = |(a, b): (&Ring, &Ring)| {
            let capacity = b.blocks * LANES as u32;
            let ring = (a.first, a.blocks, a.inverse) == (b.first, b.blocks, b.inverse);
            ring && (a.cursor < capacity || capacity == 0) && a.carry < 1 << 16 && a.prefill <= capacity
        };
        let finite = |v: &[f32]| v.iter().all(|x| x.is_finite() && x.abs() <= 1e6);
        self.rings.len() == fresh.len()
            && self.rings.iter().zip(&fresh).all(same)
            && self.active <= self.count
            && self.bank <= 1
            && self.began <= self.step
            && self.step < 1 << 48
            && self.controls.len() == Parameter::ALL.len()
            && Parameter::ALL.iter().all(|p| {
                let (least, _, most) = p.range();
                (least..=most).contains(&self.control(*p))
            })
            && self.passing.len() <= MAX_ATTRACTORS
            && self.passing.iter().all(|p| finite(&p.at) && finite(&[p.strength]))
            && self.pushes.len() <= MAX_PUSHES
            && self.pushes.iter().all(|(at, radius, v)| finite(at) && *radius > 1e-3 && finite(v))
            && self.guests.len() <= MAX_GUESTS
            && self.guests.iter().all(|g| finite(&g.at) && finite(&g.velocity))
            && self.guest_colour.iter().all(|c| (0.0..=64.0).contains(c))
    }

    pub fn apply(&mut self, action: Action) {
        match action {
            Action::Set { parameter, value } => self.controls[parameter as usize] = value,
            Action::Push { at, radius, velocity } => {
                if self.pushes.len() == MAX_PUSHES {
                    self.pushes.remove(0);
                }
                self.pushes.push((at, radius, velocity));
            }
            Action::Attract { at, strength, steps } => {
                if self.passing.len() == MAX_ATTRACTORS / 2 {
                    self.passing.remove(0);
                }
                self.passing.push(Passing { at, strength, steps });
            }
            Action::Spawn { at, velocity, count, colour } => {
                if self.guests.len() == MAX_GUESTS {
                    self.guests.pop_back();
                }
                self.guests.push_back(Guest { at, velocity, count });
                self.guest_colour = colour;
            }
            Action::Preset { preset } => self.change(preset),
            Action::Active { count } => self.active = count.min(self.count),
        }
    }

    fn change(&mut self, preset: Preset) {
        self.previous = self.preset;
        self.preset = preset;
        self.bank ^= 1;
        self.began = self.step;
        self.changed = true;
        let old = std::mem::replace(&mut self.rings, lay_out(&preset.scene(), self.count));
        // Serial numbers go on, so that no particle's random numbers come twice.
        for (ring, old) in self.rings.iter_mut().zip(old) {
            ring.serial = old.serial;
        }
    }

    /// The numbers for the step that comes, and the world after it.
    pub fn plan(&mut self, scene: &Scene) -> StepParams {
        let mut p = StepParams::zeroed();
        p.counts2[1] = self.seed;
        p.counts2[3] = RINGS as u32;
        let dt = STEP_SECONDS;
        let [gx, gy, gz] = scaled(scene.gravity, dt * self.control(Parameter::Gravity));
        p.gravity = [gx, gy, gz, dt];
        let drag = scene.drag * self.control(Parameter::Drag) * dt;
        let wind = [Parameter::WindX, Parameter::WindY, Parameter::WindZ].map(|w| self.control(w));
        p.air =
            [scene.wind[0] + wind[0], scene.wind[1] + wind[1], scene.wind[2] + wind[2], drag / (1.0 + drag)];
        self.plan_vortex(scene, &mut p);
        self.plan_curl(scene, &mut p);
        self.plan_attractors(scene, &mut p);
        self.plan_colliders(scene, &mut p);
        if std::mem::take(&mut self.changed) {
            p.vortex_more[3] = CHANGE_HASTE;
        }
        for (index, emitter) in scene.emitters.iter().enumerate().take(MAX_EMITTERS) {
            p.rings[index] = self.plan_emitter(index, emitter);
        }
        p.rings[RINGS - 1] = self.plan_guests();
        let orbit = scene.look.camera.orbit * self.control(Parameter::Orbit);
        let moved = turn_fraction(f64::from(orbit) / f64::from(STEPS_PER_SECOND));
        self.camera = self.camera.wrapping_add(moved);
        self.step += 1;
        p
    }

    fn plan_vortex(&self, scene: &Scene, p: &mut StepParams) {
        let Some(vortex) = scene.vortex else { return };
        let by = self.control(Parameter::Vortex);
        let [ax, ay, az] = normalized(vortex.axis);
        p.counts2[2] = 1;
        p.vortex = [vortex.centre[0], vortex.centre[1], vortex.centre[2], vortex.strength * by];
        p.vortex_axis = [ax, ay, az, vortex.core * vortex.core];
        p.vortex_more = [1.0 / (vortex.reach * vortex.reach), vortex.inflow, vortex.lift, 0.0];
    }

    fn plan_curl(&self, scene: &Scene, p: &mut StepParams) {
        let noise = &scene.curl;
        let mut strength = noise.strength * self.control(Parameter::Curl);
        if strength == 0.0 {
            return;
        }
        let mut waves = noise.scale * self.control(Parameter::CurlScale);
        let mut pace = f64::from(noise.pace);
        let seconds = self.step as f64 / f64::from(STEPS_PER_SECOND);
        let modes = noise.modes.min(MAX_MODES);
        p.counts2[0] = modes as u32;
        for mode in 0..modes {
            let r = pcg4d([mode as u32, 0x6375_726c, self.seed, 0]);
            let q = pcg4d([mode as u32, 0x6375_726c, self.seed, 1]);
            let centred = |word: u32| 2.0 * unit(word) - 1.0;
            let along = normalized([centred(r[0]), centred(r[1]), centred(r[2])]);
            // Across the wave vector: so no wave has sources or sinks.
            let across = normalized(cross(along, [centred(q[0]), centred(q[1]), centred(q[2])]));
            let turns = pace * seconds + f64::from(unit(r[3]));
            let [kx, ky, kz] = scaled(along, waves);
            let [ax, ay, az] = scaled(across, strength);
            p.modes[mode] = [kx, ky, kz, (turns - turns.floor()) as f32];
            p.amplitudes[mode] = [ax, ay, az, 0.0];
            waves *= noise.lacunarity;
            strength *= noise.gain;
            pace *= f64::from(noise.lacunarity);
        }
    }

    fn plan_attractors(&mut self, scene: &Scene, p: &mut StepParams) {
        let by = self.control(Parameter::Attraction);
        let fixed = scene.attractors.iter().map(|a| (a.at, a.strength * by, a.softness));
        let passing = self.passing.iter().map(|a| (a.at, a.strength, 0.5));
        let mut count = 0;
        for (at, strength, softness) in fixed.chain(passing).take(MAX_ATTRACTORS) {
            p.attractors[count] = [at[0], at[1], at[2], strength * STEP_SECONDS];
            p.softness[count][0] = softness * softness;
            count += 1;
        }
        p.counts[0] = count as u32;
        for (i, (at, radius, velocity)) in self.pushes.drain(..).enumerate().take(MAX_PUSHES) {
            p.pushes[i] = [at[0], at[1], at[2], 1.0 / (radius * radius)];
            p.push_velocity[i] = [velocity[0], velocity[1], velocity[2], 0.0];
            p.counts[1] = i as u32 + 1;
        }
        for passing in &mut self.passing {
            passing.steps = passing.steps.saturating_sub(1);
        }
        self.passing.retain(|passing| passing.steps > 0);
    }

    fn plan_colliders(&self, scene: &Scene, p: &mut StepParams) {
        let by = self.control(Parameter::Bounce);
        for (i, plane) in scene.planes.iter().enumerate().take(MAX_COLLIDERS) {
            let [nx, ny, nz] = normalized(plane.normal);
            p.planes[i] = [nx, ny, nz, plane.offset];
            p.plane_response[i] = [1.0 + plane.bounce * by, plane.friction, 0.0, 0.0];
            p.counts[2] = i as u32 + 1;
        }
        for (i, sphere) in scene.spheres.iter().enumerate().take(MAX_COLLIDERS) {
            p.spheres[i] = [sphere.centre[0], sphere.centre[1], sphere.centre[2], sphere.radius];
            p.sphere_response[i] = [1.0 + sphere.bounce * by, sphere.friction, 0.0, 0.0];
            p.counts[3] = i as u32 + 1;
        }
    }

    fn plan_emitter(&mut self, index: usize, emitter: &Emitter) -> RingParams {
        let (flow, life) = (self.control(Parameter::Emission), self.control(Parameter::Lifetime));
        let (speed, spread) = (self.control(Parameter::Speed), self.control(Parameter::Spread));
        let mut out = shaped(emitter, (self.step - self.began) as f64 / f64::from(STEPS_PER_SECOND));
        let angle = (emitter.spread * spread).min(0.5);
        out.velocity = [
            emitter.speed[0] * speed,
            (emitter.speed[1] - emitter.speed[0]) * speed,
            1.0 - cos_turns(angle),
            emitter.outward * speed,
        ];
        // More births than there is room for would cut lives short: they are lived faster instead.
        let haste = if flow > 1.0 { flow } else { 1.0 } / life;
        let (slow, fast) = (haste / emitter.life[1], haste / emitter.life[0]);
        out.life = [emitter.swirl * speed, slow, fast - slow, 0.0];

        let ring = &mut self.rings[index];
        let capacity = ring.blocks * LANES as u32;
        let since = self.step - self.began;
        if since == 0 && emitter.prefilled {
            ring.prefill = capacity;
        }
        let mut born;
        if ring.prefill > 0 {
            born = capacity.div_ceil(PREFILL_STEPS).min(ring.prefill);
            // As old as though they had come one by one: the first born is the first to give way, which is
            // when the filling is over.
            let filling = PREFILL_STEPS as f32 / STEPS_PER_SECOND as f32;
            let round = (1.0 / emitter.rate).min(emitter.life[1]);
            let slope = (round - filling) * haste / emitter.life[1] / capacity as f32;
            let before = (capacity - ring.prefill) as f32;
            out.phase[0] = (round - filling) * haste / emitter.life[1] - slope * before;
            out.phase[1] = -slope;
            ring.prefill -= born;
        } else {
            let due = f64::from(emitter.rate * flow / life) * f64::from(capacity)
                / f64::from(STEPS_PER_SECOND)
                * 65_536.0
                + f64::from(ring.carry);
            let due = due as u64;
            ring.carry = (due & 0xffff) as u32;
            born = u32::try_from(due >> 16).unwrap_or(u32::MAX);
            if let Some(burst) = emitter.burst
                && since.is_multiple_of(u64::from(burst.every_steps.max(1)))
            {
                born = born.saturating_add((burst.portion * flow * capacity as f32) as u32);
            }
        }
        out.window[3] = (self.bank * RINGS as u32 + index as u32) << 28;
        ring.open_window(&mut out, born, u64::from(self.active), u64::from(self.count));
        out
    }

    fn plan_guests(&mut self) -> RingParams {
        let index = RINGS - 1;
        let mut out = RingParams::default();
        let mut born = 0;
        if let Some(guest) = self.guests.pop_front() {
            let speed = dot(guest.velocity, guest.velocity).sqrt();
            let axis = normalized(guest.velocity);
            let (a, b) = frame_of(axis);
            out.centre = [guest.at[0], guest.at[1], guest.at[2], shape::SPHERE];
            out.a = [a[0], a[1], a[2], 0.15];
            out.b = [b[0], b[1], b[2], 0.5];
            out.axis = [axis[0], axis[1], axis[2], 0.0];
            // A throw keeps together; a spawn at rest opens to all sides.
            let angle = if speed > 0.1 { 0.08 } else { 0.5 };
            out.velocity = [speed * 0.5, speed * 0.5 + 0.6, 1.0 - cos_turns(angle), 0.1];
            out.life = [0.0, 0.25, 0.2, 0.0];
            born = guest.count;
        }
        out.window[3] = (self.bank * RINGS as u32 + index as u32) << 28;
        self.rings[index].open_window(&mut out, born, 1, 1);
        out
    }
}

impl Ring {
    /// Moves the ring on by `born` births, at most once round; `active` of `count` blocks are in use.
    fn open_window(&mut self, out: &mut RingParams, born: u32, active: u64, count: u64) {
        let capacity = self.blocks * LANES as u32;
        let born = born.min(capacity);
        let in_use = (u64::from(self.blocks) * active).div_ceil(count.max(1)) as u32;
        out.ring = [self.first, self.blocks, in_use, self.inverse];
        let stream = out.window[3];
        out.window = [self.cursor, born, self.serial, stream];
        if capacity > 0 {
            self.cursor = (self.cursor + born) % capacity;
        }
        self.serial = self.serial.wrapping_add(born);
    }
}

/// Turns as 2^-64ths, whole turns dropped.
fn turn_fraction(turns: f64) -> u64 {
    let part = turns - turns.floor();
    (part * 18_446_744_073_709_551_616.0) as u64
}

fn emitted_blocks(count: u32) -> u32 {
    count.div_ceil(LANES as u32).max(1)
}

fn guest_blocks(count: u32) -> u32 {
    (emitted_blocks(count) / 32).max(1)
}

fn lay_out(scene: &Scene, count: u32) -> Vec<Ring> {
    let total = emitted_blocks(count);
    let used = scene.emitters.len().min(MAX_EMITTERS);
    let mut first = 0;
    let mut rings: Vec<Ring> = (0..MAX_EMITTERS)
        .map(|index| {
            let blocks = match scene.emitters.get(index) {
                Some(_) if index + 1 == used => total - first,
                Some(emitter) => ((f64::from(emitter.share) * f64::from(total)) as u32).min(total - first),
                None => 0,
            };
            let ring = empty_ring(first, blocks);
            first += blocks;
            ring
        })
        .collect();
    rings.push(empty_ring(total, guest_blocks(count)));
    rings
}

fn empty_ring(first: u32, blocks: u32) -> Ring {
    let (_, inverse) = stride_of(blocks);
    Ring { first, blocks, inverse, cursor: 0, serial: 0, carry: 0, prefill: 0 }
}

/// A stride without a common divisor with `blocks`, near the golden section of it, so that neighbours in
/// age are far apart in memory; and its inverse modulo `blocks`.
fn stride_of(blocks: u32) -> (u32, u32) {
    if blocks < 2 {
        return (0, 0);
    }
    let gcd = |mut a: u32, mut b: u32| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let mut stride = ((f64::from(blocks) * 0.618_034) as u32).max(1);
    while gcd(stride, blocks) != 1 {
        stride += 1;
    }
    // Extended Euclid.
    let (mut r, mut next_r) = (i64::from(blocks), i64::from(stride));
    let (mut t, mut next_t) = (0i64, 1i64);
    while next_r != 0 {
        let quotient = r / next_r;
        (r, next_r) = (next_r, r - quotient * next_r);
        (t, next_t) = (next_t, t - quotient * next_t);
    }
    (stride, t.rem_euclid(i64::from(blocks)) as u32)
}

/// Position and frame of an emitter `seconds` after its preset began.
fn shaped(emitter: &Emitter, seconds: f64) -> RingParams {
    let turns = f64::from(emitter.spin) * seconds;
    let turns = (turns - turns.floor()) as f32;
    let turn = |v| turned_about_y(v, turns);
    let axis = normalized(emitter.axis);
    let (kind, size, form, thickness) = match emitter.shape {
        Shape::Point => (shape::POINT, 0.0, 0.0, 0.0),
        Shape::Disc { radius, focus, thickness } => (shape::DISC, radius, focus, thickness),
        Shape::Ring { radius, width, thickness } => (shape::RING, radius, width, thickness),
        Shape::Spiral { radius, twist, thickness, .. } => (shape::SPIRAL, radius, twist, thickness),
        Shape::Sphere { radius, focus } => (shape::SPHERE, radius, focus, 0.0),
        Shape::Line { half, thickness } => (shape::LINE, dot(half, half).sqrt(), 0.0, thickness),
    };
    let (a, b) = match emitter.shape {
        // A line lies along the frame's first vector; the axis stays the direction of emission.
        Shape::Line { half, .. } => {
            let along = normalized(half);
            (along, normalized(cross(axis, along)))
        }
        _ => frame_of(axis),
    };
    let arms = match emitter.shape {
        Shape::Spiral { arms, width, .. } => [arms as f32, width],
        _ => [0.0; 2],
    };
    let (centre, a, b, axis) = (turn(emitter.centre), turn(a), turn(b), turn(axis));
    RingParams {
        centre: [centre[0], centre[1], centre[2], kind],
        a: [a[0], a[1], a[2], size],
        b: [b[0], b[1], b[2], form],
        axis: [axis[0], axis[1], axis[2], thickness],
        phase: [0.0, 0.0, arms[0], arms[1]],
        ..RingParams::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_has_one_place_in_its_ring() {
        for blocks in [1u32, 2, 3, 64, 100, 2_343, 7_813] {
            let (stride, inverse) = stride_of(blocks);
            let mut seen = vec![false; blocks as usize];
            for place in 0..u64::from(blocks) {
                let block = place * u64::from(stride) % u64::from(blocks);
                assert_eq!(block * u64::from(inverse) % u64::from(blocks), place);
                assert!(!std::mem::replace(&mut seen[block as usize], true));
            }
        }
    }

    #[test]
    fn rings_follow_each_other_and_hold_every_block() {
        for preset in Preset::ALL {
            for count in [1, 64, 1_000, 500_000] {
                let rings = lay_out(&preset.scene(), count);
                let mut next = 0;
                for ring in &rings {
                    assert_eq!(ring.first, next);
                    next += ring.blocks;
                }
                assert_eq!(next as usize, World::blocks_for(count));
            }
        }
    }

    #[test]
    fn curl_noise_has_neither_sources_nor_sinks() {
        let mut world = World::new(7, 64, Preset::Silk);
        let params = world.plan(&Preset::Silk.scene());
        assert!(params.counts2[0] > 0);
        for (mode, amplitude) in params.modes.iter().zip(&params.amplitudes) {
            let across = mode[0] * amplitude[0] + mode[1] * amplitude[1] + mode[2] * amplitude[2];
            assert!(across.abs() < 1e-6, "{mode:?} {amplitude:?}");
        }
    }

    #[test]
    fn births_over_a_life_fill_the_ring_once() {
        let mut world = World::new(7, 6_400, Preset::Silk);
        let scene = Preset::Silk.scene();
        let emitter = &scene.emitters[0];
        let steps = (1.0 / emitter.rate * STEPS_PER_SECOND as f32).round() as u32;
        let born: u32 = (0..steps).map(|_| world.plan(&scene).rings[0].window[1]).sum();
        let capacity = world.rings[0].blocks * LANES as u32;
        assert!(born.abs_diff(capacity) <= 1, "{born} of {capacity}");
    }
}
