//! Opens a page in the person's own browser, since the system's web view on Linux has no WebRTC; and a film in its player.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// What opens an address, where the platform has it.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
/// An opener that fails does so at once; one that is the browser itself runs on.
const FAILURE_LIMIT: Duration = Duration::from_secs(2);

/// `address` must come from this program: what it names is opened.
pub async fn open(address: &str) -> Result<(), String> {
    opened(OsStr::new(address))
        .await
        .map_err(|why| format!("No browser could be opened ({why}). The page is at {address}."))
}

/// A file or a folder of the person's, in what the system opens it with.
pub async fn open_path(path: &Path) -> Result<(), String> {
    opened(path.as_os_str()).await.map_err(|why| format!("{} could not be opened ({why}).", path.display()))
}

async fn opened(what: &OsStr) -> Result<(), String> {
    let mut command = Command::new(OPENER);
    command.arg(what).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|err| format!("{OPENER}: {err}"))?;
    match tokio::time::timeout(FAILURE_LIMIT, child.wait()).await {
        Ok(Ok(status)) if !status.success() => Err(format!("{OPENER}: {status}")),
        // The runtime collects it when it ends.
        _ => Ok(()),
    }
}
