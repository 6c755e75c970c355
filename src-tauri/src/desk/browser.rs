//! Opens a page in the person's own browser: the system's web view on Linux has no WebRTC.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// What opens an address, where the platform has it.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
/// An opener that fails does so at once; one that is the browser itself runs on.
const FAILURE_LIMIT: Duration = Duration::from_secs(2);

/// `address` must come from this program: what it names is opened.
pub async fn open(address: &str) -> Result<(), String> {
    let trouble = |why: String| format!("No browser could be opened ({why}). The page is at {address}.");
    let mut command = Command::new(OPENER);
    command.arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|err| trouble(format!("{OPENER}: {err}")))?;
    match tokio::time::timeout(FAILURE_LIMIT, child.wait()).await {
        Ok(Ok(status)) if !status.success() => Err(trouble(format!("{OPENER}: {status}"))),
        // The runtime collects it when it ends.
        _ => Ok(()),
    }
}
