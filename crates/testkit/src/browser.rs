//! Chromium, driven by a short Node.js script with playwright-core.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::logged_child::LoggedChild;
use crate::process::SetupError;

const LIMIT: Duration = Duration::from_secs(150);

/// A running script.
#[derive(Debug)]
pub struct Script(LoggedChild);

impl Script {
    /// Starts `tests/browser/NAME` of the repository at `root`. The script finds playwright-core where the
    /// pages' packages lie.
    pub fn start<A: AsRef<OsStr>>(
        root: &Path,
        name: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Self, SetupError> {
        let mut command = Command::new("node");
        command.arg(root.join("tests/browser").join(name)).args(arguments);
        LoggedChild::spawn(name, &mut command).map(Self)
    }

    /// Waits for a line that begins with `prefix`, and gives the rest as JSON.
    pub fn wait_for(&mut self, prefix: &str) -> Result<Value, SetupError> {
        let text = self.0.wait_for_line(prefix, LIMIT)?;
        serde_json::from_str(&text).map_err(|err| SetupError::Ended {
            what: "the script".into(),
            output: format!("{err} in {text}"),
        })
    }

    /// Waits for its end, and gives its last line as JSON.
    pub fn result(mut self) -> Result<Value, SetupError> {
        let status = self.0.wait(LIMIT)?;
        let last = self.0.output().pop().unwrap_or_default();
        match serde_json::from_str(&last) {
            Ok(value) if status.success() => Ok(value),
            _ => Err(SetupError::Ended { what: "the script".into(), output: self.0.errors() + &last }),
        }
    }
}
