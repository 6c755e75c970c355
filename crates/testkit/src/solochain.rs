//! A real Substrate node with the development chain's runtime, for tests that can do without what only the development
//! chain can: blocks by hand, a clock that is stepped, forks.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::logged_child::LoggedChild;
use crate::process::SetupError;

/// Names the folder that `cargo xtask solochain` fills: tests of the chain's protocol run against the node that lies
/// there.
pub const FOLDER: &str = "TICKCAST_SOLOCHAIN";
/// It compiles the runtime first.
const START_LIMIT: Duration = Duration::from_secs(120);

/// Longer than it takes to close its database.
const END_LIMIT: Duration = Duration::from_secs(30);

/// How a node is to run.
#[derive(Clone, Debug)]
pub struct SolochainSettings {
    /// What `cargo xtask solochain` filled.
    pub built: PathBuf,
    /// The chain's specification.
    pub spec: String,
    pub block_period: Duration,
    /// How many blocks are above one that is final.
    pub finality_blocks: u32,
    /// On the loopback address; 0 for any that is free.
    pub port: u16,
    /// Where blocks are kept over restarts; nowhere otherwise.
    pub data: Option<PathBuf>,
}

/// Ends when it is dropped.
#[derive(Debug)]
pub struct Solochain {
    url: String,
    child: LoggedChild,
    _folder: tempfile::TempDir,
}

impl Solochain {
    /// Where the node lies, if tests are to run against it.
    pub fn wanted() -> Option<PathBuf> {
        std::env::var_os(FOLDER).map(PathBuf::from)
    }

    /// The runtime as WebAssembly.
    pub fn runtime(built: &Path) -> Result<Vec<u8>, SetupError> {
        let path = built.join("runtime.wasm");
        std::fs::read(&path)
            .map_err(|source| SetupError::File { what: format!("no runtime at {}", path.display()), source })
    }

    /// Starts the node, and waits until it serves.
    pub fn start(settings: &SolochainSettings) -> Result<Self, SetupError> {
        let SolochainSettings { built, spec, block_period, finality_blocks, port, data } = settings;
        let failed = |source| SetupError::File { what: "no folder for the node".into(), source };
        let folder = tempfile::tempdir().map_err(failed)?;
        let file = folder.path().join("spec.json");
        std::fs::write(&file, spec).map_err(failed)?;
        let data = data.clone().unwrap_or_else(|| folder.path().join("blocks"));
        let mut command = Command::new(built.join("tickcast-solochain"));
        command.args(["--port", &port.to_string(), "--block-ms", &block_period.as_millis().to_string()]);
        command.args(["--finality-blocks", &finality_blocks.to_string()]);
        command.arg("--spec").arg(&file).arg("--data").arg(data);
        let mut child = LoggedChild::spawn("the Substrate node", &mut command)?;
        let url = child.wait_for_line("ready ", START_LIMIT)?;
        Ok(Self { url, child, _folder: folder })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it as an operator does.
    pub fn stop(mut self) -> Result<(), SetupError> {
        self.child.terminate(END_LIMIT).map(drop)
    }
}
