//! A simulation's state as bytes: a magic word, the world as JSON, the particles as they lie in memory.
//!
//! ```text
//! "TCSIM1\n\0" | u32 length of the world | the world (JSON) | u32 blocks | the blocks, little-endian
//! ```

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::MAX_PARTICLES;
use crate::block::Block;
use crate::world::World;

const MAGIC: &[u8; 8] = b"TCSIM1\n\0";
/// A world's JSON is some kilobytes; a file that says more is not one.
const MAX_WORLD: usize = 64 * 1024;

/// Why bytes are not a saved state.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum StateError {
    #[error("this is not a saved simulation: it does not begin with its mark")]
    NotAState,
    #[error("the saved simulation is cut short: {needed} bytes are needed, {got} are there")]
    Short { needed: usize, got: usize },
    #[error("the saved simulation's settings cannot be used: {reason}")]
    World { reason: String },
    #[error("the saved simulation has {blocks} blocks of particles where its count needs {needed}")]
    Blocks { blocks: usize, needed: usize },
}

pub fn write(world: &World, blocks: &[Block]) -> Vec<u8> {
    let json = serde_json::to_vec(world).expect("a world is numbers, names and lists");
    let mut out = Vec::with_capacity(MAGIC.len() + 8 + json.len() + size_of_val(blocks));
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&(json.len() as u32).to_le_bytes());
    out.extend_from_slice(&json);
    out.extend_from_slice(&(blocks.len() as u32).to_le_bytes());
    for block in blocks {
        push_words(block, &mut out);
    }
    out
}

/// Reads what [`write`] made; a pure function of untrusted bytes.
pub fn read(bytes: &[u8]) -> Result<(World, Vec<Block>), StateError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(StateError::NotAState)?;
    let (length, rest) = take_u32(rest)?;
    let length = length as usize;
    if length > MAX_WORLD || length > rest.len() {
        return Err(StateError::Short { needed: length, got: rest.len() });
    }
    let (json, rest) = rest.split_at(length);
    let world: World =
        serde_json::from_slice(json).map_err(|err| StateError::World { reason: err.to_string() })?;
    // The count comes first: what is sound about the rest depends on it.
    if world.count == 0 || world.count > MAX_PARTICLES || !world.is_sound() {
        return Err(StateError::World { reason: "a number is outside its range".into() });
    }
    let (count, rest) = take_u32(rest)?;
    let (blocks, needed) = (count as usize, World::blocks_for(world.count));
    if blocks != needed {
        return Err(StateError::Blocks { blocks, needed });
    }
    let needed = blocks * size_of::<Block>();
    if rest.len() != needed {
        return Err(StateError::Short { needed, got: rest.len() });
    }
    let blocks = rest.chunks_exact(size_of::<Block>()).map(block_of).collect();
    Ok((world, blocks))
}

fn take_u32(bytes: &[u8]) -> Result<(u32, &[u8]), StateError> {
    match bytes.split_first_chunk::<4>() {
        Some((word, rest)) => Ok((u32::from_le_bytes(*word), rest)),
        None => Err(StateError::Short { needed: 4, got: bytes.len() }),
    }
}

fn push_words(block: &Block, out: &mut Vec<u8>) {
    if cfg!(target_endian = "little") {
        out.extend_from_slice(bytemuck::bytes_of(block));
    } else {
        let words: &[u32] = bytemuck::cast_slice(std::slice::from_ref(block));
        words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    }
}

fn block_of(bytes: &[u8]) -> Block {
    let mut block = Block::dead();
    let words: &mut [u32] = bytemuck::cast_slice_mut(std::slice::from_mut(&mut block));
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    block
}

/// SHA-256 of what [`write`] makes.
pub fn hash(world: &World, blocks: &[Block]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    // The world and the counts, then the particles piece by piece instead of in one large copy.
    hasher.update(write(world, &[]).split_last_chunk::<4>().map_or(&[][..], |(head, _)| head));
    hasher.update((blocks.len() as u32).to_le_bytes());
    let mut words = Vec::with_capacity(size_of::<Block>());
    for block in blocks {
        words.clear();
        push_words(block, &mut words);
        hasher.update(&words);
    }
    hasher.finalize().into()
}
