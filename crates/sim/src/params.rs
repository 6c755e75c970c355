//! One step's numbers, in the layout that both backends read: plain four-float rows, as WGSL aligns them.

use bytemuck::{Pod, Zeroable};

use crate::scene::{MAX_ATTRACTORS, MAX_COLLIDERS, MAX_EMITTERS, MAX_MODES, MAX_PUSHES};

/// Rings of particles: one for each emitter, and the guests' ring last.
pub const RINGS: usize = MAX_EMITTERS + 1;

/// What one ring does in one step. A ring is a run of blocks in memory; position k of the ring is block
/// `first + (k · stride) mod blocks`, so that any number of leading *blocks* is an even sample of all ages.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable, Default)]
pub struct RingParams {
    /// First block, blocks, blocks in use (the others are shed), inverse of the stride modulo blocks.
    pub ring: [u32; 4],
    /// First particle of the ring born now, how many, serial number of the first, palette shifted to its
    /// place in `Block::look`.
    pub window: [u32; 4],
    /// Position; then the shape's number.
    pub centre: [f32; 4],
    /// First vector of the frame; then the shape's size.
    pub a: [f32; 4],
    /// Second; then its focus or width.
    pub b: [f32; 4],
    /// The axis; then its thickness.
    pub axis: [f32; 4],
    /// Slowest speed, speed range, 1 − cosine of the cone's half angle, outward.
    pub velocity: [f32; 4],
    /// Swirl, lowest haste, haste range, unused.
    pub life: [f32; 4],
    /// Phase of the first particle born now, what each next adds, a spiral's arms and their width.
    pub phase: [f32; 4],
}

/// Numbers of shapes in [`RingParams::centre`].
pub mod shape {
    pub const POINT: f32 = 0.0;
    pub const DISC: f32 = 1.0;
    pub const RING: f32 = 2.0;
    pub const SPHERE: f32 = 3.0;
    pub const LINE: f32 = 4.0;
    pub const SPIRAL: f32 = 5.0;
}

/// Everything that a step needs besides the particles.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct StepParams {
    /// Attractors, pushes, planes, spheres.
    pub counts: [u32; 4],
    /// Curl modes, seed, whether there is a vortex, rings.
    pub counts2: [u32; 4],
    /// Speed that gravity adds in a step; then the step in seconds.
    pub gravity: [f32; 4],
    /// Speed of the air; then the share of the difference that a particle takes on in a step.
    pub air: [f32; 4],
    /// Centre; then strength.
    pub vortex: [f32; 4],
    /// Axis; then core².
    pub vortex_axis: [f32; 4],
    /// 1/reach², inflow, lift, and the least haste of every particle.
    pub vortex_more: [f32; 4],
    /// Wave vector in turns a metre; then phase in turns.
    pub modes: [[f32; 4]; MAX_MODES],
    /// Speed, across the wave vector.
    pub amplitudes: [[f32; 4]; MAX_MODES],
    /// Position; then strength times the step.
    pub attractors: [[f32; 4]; MAX_ATTRACTORS],
    /// Softness².
    pub softness: [[f32; 4]; MAX_ATTRACTORS],
    /// Position; then 1/radius².
    pub pushes: [[f32; 4]; MAX_PUSHES],
    /// Speed that a push gives at its middle.
    pub push_velocity: [[f32; 4]; MAX_PUSHES],
    /// Normal; then offset.
    pub planes: [[f32; 4]; MAX_COLLIDERS],
    /// 1 + bounce, friction.
    pub plane_response: [[f32; 4]; MAX_COLLIDERS],
    /// Centre; then radius.
    pub spheres: [[f32; 4]; MAX_COLLIDERS],
    /// 1 + bounce, friction.
    pub sphere_response: [[f32; 4]; MAX_COLLIDERS],
    pub rings: [RingParams; RINGS],
}

/// Half a second to fade for particles that are shed.
pub const SHED_HASTE: f32 = 2.0;

impl StepParams {
    /// The ring that owns block `index`, and the block's place in it.
    #[inline(always)]
    pub fn ring_of(&self, index: u32) -> Option<(&RingParams, u32)> {
        for ring in &self.rings {
            let [first, blocks, _, inverse] = ring.ring;
            let within = index.wrapping_sub(first);
            if within < blocks {
                return Some((ring, (u64::from(within) * u64::from(inverse) % u64::from(blocks)) as u32));
            }
        }
        None
    }
}
