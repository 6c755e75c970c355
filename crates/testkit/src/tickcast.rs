//! The built executable as node or engine, found by the path that the test was compiled with.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use crate::http::{self, Answer};
use crate::logged_child::LoggedChild;
use crate::process::SetupError;

/// A start is bounded by this: programs are started together on machines with two cores.
const START_LIMIT: Duration = Duration::from_secs(60);
const END_LIMIT: Duration = Duration::from_secs(60);

/// A media node of its own ports and its own folder; ends when dropped.
#[derive(Debug)]
pub struct Node {
    child: LoggedChild,
    http: SocketAddr,
    hls: SocketAddr,
    rtmp: SocketAddr,
    media: SocketAddr,
    data: PathBuf,
    /// Goes with the node, where it was made for it.
    _folder: Option<tempfile::TempDir>,
}

impl Node {
    /// Starts `executable node` on loopback and waits until it serves.
    pub fn start(executable: &str) -> Result<Self, SetupError> {
        let folder = tempfile::tempdir()
            .map_err(|source| SetupError::File { what: "no folder for the node".into(), source })?;
        let mut command = Command::new(executable);
        command.args(["--log", "info", "node", "--loopback"]).arg(folder.path());
        let data = folder.path().to_owned();
        Self::spawn(&mut command, data, Some(folder))
    }

    /// The same with the settings of a file, which name the folder `data`: that stays, for the next one.
    pub fn start_with(executable: &str, settings: &Path, data: &Path) -> Result<Self, SetupError> {
        let mut command = Command::new(executable);
        command.args(["--log", "info", "node", "--config"]).arg(settings);
        Self::spawn(&mut command, data.to_owned(), None)
    }

    /// Starts what `command` says, a node's command line at its end, and waits until it serves.
    fn spawn(
        command: &mut Command,
        data: PathBuf,
        folder: Option<tempfile::TempDir>,
    ) -> Result<Self, SetupError> {
        let mut child = LoggedChild::spawn("the node", command)?;
        child.wait_for_line("ready", START_LIMIT)?;
        let mut address = |name: &str| {
            let text = child.wait_for_line(name, START_LIMIT)?;
            text.parse().map_err(|_| SetupError::Ended {
                what: "the node".into(),
                output: format!("it names no address after \"{name}\": {text}"),
            })
        };
        let (http, hls) = (address("http ")?, address("hls ")?);
        let (rtmp, media) = (address("rtmp ")?, address("media ")?);
        Ok(Self { child, http, hls, rtmp, media, data, _folder: folder })
    }

    /// API, pages, WHIP and WHEP.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// LL-HLS alone.
    pub fn hls(&self) -> SocketAddr {
        self.hls
    }

    pub fn rtmp(&self) -> SocketAddr {
        self.rtmp
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The UDP port of all WebRTC peers.
    pub fn media(&self) -> SocketAddr {
        self.media
    }

    /// What it logged, for failures.
    pub fn log(&self) -> String {
        self.child.errors()
    }

    pub fn get(&self, path: &str) -> Result<Answer, SetupError> {
        http::request(self.http, "GET", path, &[], b"")
    }

    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer, SetupError> {
        http::request(self.http, "POST", path, headers, body)
    }

    /// Asks it to end and waits for it.
    pub fn stop(&mut self) -> Result<ExitStatus, SetupError> {
        self.child.terminate(END_LIMIT)
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        self.child.kill();
    }
}

/// A studio engine without a window; ends when dropped.
#[derive(Debug)]
pub struct Engine(LoggedChild);

impl Engine {
    /// Starts `executable engine FILE` on loopback and waits until its media time runs.
    pub fn start(executable: &str, file: &Path) -> Result<Self, SetupError> {
        let mut command = Command::new(executable);
        command.args(["--log", "info", "engine", "--loopback"]).arg(file);
        let mut child = LoggedChild::spawn("the engine", &mut command)?;
        child.wait_for_line("live", START_LIMIT)?;
        Ok(Self(child))
    }

    /// What it logged, for failures.
    pub fn log(&self) -> String {
        self.0.errors()
    }

    /// The rest of the line that begins so; waits for it.
    pub fn said(&mut self, prefix: &str) -> Result<String, SetupError> {
        self.0.wait_for_line(prefix, START_LIMIT)
    }

    pub fn has_ended(&mut self) -> bool {
        self.0.has_ended()
    }

    /// Stops it where it is, until [`Engine::thaw`]: nothing comes of it, and nothing is said.
    pub fn freeze(&self) -> Result<(), SetupError> {
        self.0.freeze()
    }

    pub fn thaw(&self) -> Result<(), SetupError> {
        self.0.thaw()
    }

    /// Asks it to end, which finalises the recording, and waits for it.
    pub fn stop(&mut self) -> Result<ExitStatus, SetupError> {
        self.0.terminate(END_LIMIT)
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        self.0.kill();
    }
}
