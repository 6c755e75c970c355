//! Scenes of layers composed in linear light, on the CPU and the GPU.
//!
//! Knows no device, codec or network: pictures come in by name and leave as NV12 for encoders and RGBA for screens.

mod color;
mod compositor;
mod cpu;
mod draw_list;
mod filter;
mod frame_format;
mod geometry;
#[cfg(feature = "gpu")]
mod gpu;
mod image_file;
mod image_reader;
mod pool;
pub mod scene;
mod still;
mod still_cache;
mod text;

pub use compositor::{
    ComposeError, Composed, Compositor, CompositorConfig, Fade, Inputs, MAX_PROGRAMME_EDGE, MAX_RENDITIONS,
    Problem,
};
pub use cpu::{CpuCompositor, Isa};
#[cfg(feature = "gpu")]
pub use gpu::GpuCompositor;
pub use image_file::{ImageError, MAX_IMAGE_BYTES, MAX_IMAGE_EDGE, decode as decode_image};
pub use scene::{Layer, Scene, SceneError};
#[cfg(feature = "gpu")]
pub use wgpu;
