//! What the tests run against: fake devices, real peers, sample media.

pub mod audio_server;
pub mod fake_camera;
pub mod process;
pub mod xvfb;

pub use audio_server::AudioServer;
pub use fake_camera::{CameraState, FakeCamera};
pub use process::{OwnedChild, SetupError, wait_until};
pub use xvfb::Xvfb;
