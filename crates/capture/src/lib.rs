//! Sources of pictures and sound: cameras, microphones, screens and synthetic ones.
//!
//! Pull-based: a caller asks each source for what belongs to a time and never waits for a device. Knows
//! nothing of composition, mixing, encoding or scenes.

#[cfg(feature = "camera")]
mod camera;
mod device;
mod glyphs;
mod lookout;
mod microphone;
mod pattern;
#[cfg(feature = "screen")]
mod screen;
mod source;
mod stand_in;
mod synthetic_picture;
mod synthetic_sound;

#[cfg(feature = "camera")]
pub use camera::{Camera, CameraInfo, CameraRequest, cameras};
pub use lookout::{Found, Lookout};
pub use microphone::{Microphone, SoundLosses, microphones};
#[cfg(feature = "screen")]
pub use screen::{Screen, ScreenTarget, screens};
pub use source::{PictureSource, SoundSource, SourceStatus};
pub use speaker::{DeviceError as SoundDeviceError, DeviceInfo as SoundDeviceInfo};
pub use stand_in::{Instead, PictureStandIn, SoundStandIn};
pub use synthetic_picture::{Strip, StripOnly, TestPattern, WallClock, system_wall_clock};
pub use synthetic_sound::{BEEP_DBFS, BEEP_FRAMES, BEEP_HERTZ, Bed, TestTone};
