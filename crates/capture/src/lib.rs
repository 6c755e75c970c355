//! Sources of pictures and sound: cameras, microphones, screens and synthetic ones.
//!
//! Pull-based: a caller asks each source for what belongs to a time and never waits for a device. Knows
//! nothing of composition, mixing, encoding or scenes.

mod glyphs;
mod pattern;
mod source;
mod synthetic_picture;
mod synthetic_sound;

pub use source::{PictureSource, SoundSource, SourceStatus};
pub use synthetic_picture::{Strip, StripOnly, TestPattern, WallClock, system_wall_clock};
pub use synthetic_sound::{BEEP_DBFS, BEEP_FRAMES, BEEP_HERTZ, Bed, TestTone};
