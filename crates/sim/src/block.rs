//! How particles lie in memory: structures of arrays, 64 particles to a block.
//!
//! A block is small enough (2.3 kB) to stay in the first cache while it takes several steps, and its arrays
//! have a fixed length, so that loops over them need no bounds checks and become vector code.

use bytemuck::{Pod, Zeroable};

/// Particles in a block.
pub const LANES: usize = 64;

/// Sixty-four particles.
#[repr(C, align(64))]
#[derive(Clone, Copy, Pod, Zeroable, Debug, PartialEq)]
pub struct Block {
    /// Position in metres; y points up.
    pub px: [f32; LANES],
    pub py: [f32; LANES],
    pub pz: [f32; LANES],
    /// Velocity in metres a second.
    pub vx: [f32; LANES],
    pub vy: [f32; LANES],
    pub vz: [f32; LANES],
    /// How much of its life is over: 0 at birth, from 1 on it is dead.
    pub phase: [f32; LANES],
    /// Lives a second: the inverse of the lifetime.
    pub haste: [f32; LANES],
    /// The palette in the top four bits, random bits below.
    pub look: [u32; LANES],
}

impl Block {
    /// A block of dead particles.
    pub fn dead() -> Self {
        Self { phase: [1.0; LANES], ..Self::zeroed() }
    }

    /// Whether any particle in it lives.
    #[inline(always)]
    pub fn any_alive(&self) -> bool {
        let mut alive = false;
        for i in 0..LANES {
            alive |= self.phase[i] < 1.0;
        }
        alive
    }
}
