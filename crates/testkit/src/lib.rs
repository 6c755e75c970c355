//! What the tests run against: fake devices, real peers, sample media, and the executable itself.

pub mod audio_server;
pub mod browser;
pub mod fake_camera;
pub mod ffmpeg;
pub mod http;
pub mod logged_child;
pub mod process;
pub mod processes;
pub mod rtmp_server;
pub mod tickcast;
pub mod webdriver;
pub mod xvfb;

pub use audio_server::AudioServer;
pub use fake_camera::{CameraState, FakeCamera};
pub use logged_child::LoggedChild;
pub use process::{OwnedChild, SetupError, wait_until};
pub use rtmp_server::RtmpServer;
pub use webdriver::WebDriver;
pub use xvfb::Xvfb;
