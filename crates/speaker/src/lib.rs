//! Sound devices: listing, capture and playback streams.
//!
//! Between a device's callback and its owner lies a lock-free ring; the callback never allocates, locks or
//! waits. Knows nothing of mixing or of the studio's time: chunks carry the `Instant` of their capture.

mod device;
mod input;
mod output;

pub use device::{DeviceError, DeviceInfo, default_input, inputs, outputs};
pub use input::{Chunk, InputStream};
pub use output::OutputStream;
