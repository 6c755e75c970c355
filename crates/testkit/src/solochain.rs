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

/// Ends when it is dropped.
#[derive(Debug)]
pub struct Solochain {
    url: String,
    _child: LoggedChild,
    _folder: tempfile::TempDir,
}

impl Solochain {
    /// Where the node lies, if tests are to run against it.
    pub fn wanted() -> Option<PathBuf> {
        std::env::var_os(FOLDER).map(PathBuf::from)
    }

    /// The runtime as WebAssembly.
    pub fn runtime(folder: &Path) -> Result<Vec<u8>, SetupError> {
        let path = folder.join("runtime.wasm");
        std::fs::read(&path)
            .map_err(|source| SetupError::File { what: format!("no runtime at {}", path.display()), source })
    }

    /// Starts the node of `folder` on a chain's specification, and waits until it serves.
    pub fn start(
        folder: &Path,
        spec: &str,
        block_ms: u128,
        finality_blocks: u32,
    ) -> Result<Self, SetupError> {
        let failed = |source| SetupError::File { what: "no folder for the node".into(), source };
        let data = tempfile::tempdir().map_err(failed)?;
        let file = data.path().join("spec.json");
        std::fs::write(&file, spec).map_err(failed)?;
        let mut command = Command::new(folder.join("tickcast-solochain"));
        command.args(["--port", "0", "--block-ms", &block_ms.to_string()]);
        command.args(["--finality-blocks", &finality_blocks.to_string(), "--spec"]).arg(&file);
        command.arg("--data").arg(data.path().join("blocks"));
        let mut child = LoggedChild::spawn("the Substrate node", &mut command)?;
        let url = child.wait_for_line("ready ", START_LIMIT)?;
        Ok(Self { url, _child: child, _folder: data })
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}
