// Particles as `crates/sim/src/block.rs` lays them out: nine arrays of 64 words to a block. They are words
// here too, since a float load may change the bits of what is not a float.

const LANES: u32 = 64u;
const BLOCK_WORDS: u32 = 576u;
const PX: u32 = 0u;
const PY: u32 = 64u;
const PZ: u32 = 128u;
const VX: u32 = 192u;
const VY: u32 = 256u;
const VZ: u32 = 320u;
const PHASE: u32 = 384u;
const HASTE: u32 = 448u;
const LOOK: u32 = 512u;
