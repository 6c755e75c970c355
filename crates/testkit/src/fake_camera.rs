//! A V4L2 camera that is not there, for processes that are started with it preloaded.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::SetupError;

const SOURCE: &str = include_str!("fake_camera.c");
/// Far from the numbers that real cameras get.
const NUMBERS: std::ops::Range<u32> = 40..240;

/// How the camera behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CameraState {
    Working,
    /// Another program has it.
    Busy,
    /// The system does not allow access.
    Refused,
    /// It is open and delivers nothing.
    Silent,
}

/// A camera of 640×480 or 1280×720 YUYV at 30 frames a second, each with the burnt-in number and clock.
/// Its device node is a plain file that goes away when this is dropped.
#[derive(Debug)]
pub struct FakeCamera {
    node: PathBuf,
    directory: tempfile::TempDir,
}

impl FakeCamera {
    /// Compiles the camera with the system's C compiler, and plugs it in. Needs to write in `/dev`.
    pub fn plug_in() -> Result<Self, SetupError> {
        let file = |what: &str| {
            let what = what.to_owned();
            move |source| SetupError::File { what, source }
        };
        let directory = tempfile::tempdir().map_err(file("no directory for the fake camera"))?;
        let source = directory.path().join("fake_camera.c");
        fs::write(&source, SOURCE).map_err(file("the fake camera's source cannot be written"))?;
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o"])
            .args([&library_in(directory.path()), &source])
            .args(["-ldl", "-lpthread"])
            .output()
            .map_err(|source| SetupError::Program { program: "cc".into(), source })?;
        if !output.status.success() {
            let output = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(SetupError::Ended { what: "cc".into(), output });
        }
        let node = claim_node().map_err(file("no device node can be made in /dev (root only)"))?;
        Ok(Self { node, directory })
    }

    /// The device node, which is also its name where the system keeps no names of cameras.
    pub fn node(&self) -> &Path {
        &self.node
    }

    /// What a process needs in its environment to see the camera.
    pub fn environment(&self) -> [(OsString, OsString); 2] {
        [
            ("LD_PRELOAD".into(), library_in(self.directory.path()).into()),
            ("FAKE_CAMERA_PATH".into(), self.node.clone().into()),
        ]
    }

    /// Makes it behave so from now on; plugs it in again if it was unplugged.
    pub fn set(&self, state: CameraState) -> io::Result<()> {
        let letter = match state {
            CameraState::Working => "p",
            CameraState::Busy => "b",
            CameraState::Refused => "r",
            CameraState::Silent => "s",
        };
        fs::write(&self.node, letter)
    }

    pub fn unplug(&self) -> io::Result<()> {
        fs::remove_file(&self.node)
    }
}

impl Drop for FakeCamera {
    fn drop(&mut self) {
        // Gone already where a test left it unplugged.
        let _ = fs::remove_file(&self.node);
    }
}

fn library_in(directory: &Path) -> PathBuf {
    directory.join("fake_camera.so")
}

fn claim_node() -> io::Result<PathBuf> {
    for number in NUMBERS {
        let node = PathBuf::from(format!("/dev/video{number}"));
        match OpenOptions::new().write(true).create_new(true).open(&node) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            result => return result.map(|_| node),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}
