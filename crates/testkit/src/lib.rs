//! What the tests run against: fake devices, real peers, sample media, and the executable itself.

pub mod audio_server;
pub mod browser;
pub mod dice;
pub mod fake_camera;
pub mod ffmpeg;
pub mod http;
pub mod logged_child;
pub mod memory;
pub mod process;
pub mod processes;
pub mod rtmp_server;
pub mod solochain;
pub mod tickcast;
pub mod webdriver;
pub mod xvfb;

pub use audio_server::AudioServer;
pub use dice::Dice;
pub use fake_camera::{CameraState, FakeCamera};
pub use logged_child::LoggedChild;
pub use process::{OwnedChild, SetupError, wait_until};
pub use rtmp_server::RtmpServer;
pub use solochain::{Solochain, SolochainSettings};
pub use webdriver::WebDriver;
pub use xvfb::Xvfb;

/// Set: tests run their long and many-fold forms.
pub const SOAK: &str = "TICKCAST_SOAK";

/// `usual`, or `long` where the tests' long forms are wanted.
pub fn soak<T>(usual: T, long: T) -> T {
    if std::env::var_os(SOAK).is_some() { long } else { usual }
}
