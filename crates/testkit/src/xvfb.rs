//! A private X display without a screen.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::process::{OwnedChild, SetupError};

/// The display; ends when dropped, and everything shown on it.
#[derive(Debug)]
pub struct Xvfb {
    _server: OwnedChild,
    display: String,
}

impl Xvfb {
    /// Starts one on a number that nobody uses, and waits until it takes clients.
    pub fn start(width: u32, height: u32) -> Result<Self, SetupError> {
        let mut command = Command::new("Xvfb");
        command
            // It chooses a free number and writes it once it is ready.
            .args(["-displayfd", "1", "-noreset", "-nolisten", "tcp", "-screen", "0"])
            .arg(format!("{width}x{height}x24"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut server = OwnedChild::spawn(&mut command)?;
        let mut line = String::new();
        let read = server.child().stdout.take().map(|out| BufReader::new(out).read_line(&mut line));
        match (read, line.trim().parse::<u32>()) {
            (Some(Ok(_)), Ok(number)) => Ok(Self { _server: server, display: format!(":{number}") }),
            _ => Err(SetupError::Ended { what: "Xvfb".into(), output: line }),
        }
    }

    /// As in `DISPLAY`.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// What a process needs in its environment to show itself here.
    pub fn environment(&self) -> [(OsString, OsString); 3] {
        [
            ("DISPLAY".into(), self.display.clone().into()),
            // Else a toolkit would choose the session's Wayland display.
            ("WAYLAND_DISPLAY".into(), "".into()),
            ("XDG_SESSION_TYPE".into(), "x11".into()),
        ]
    }

    /// Fills the screen with a colour, `#rrggbb`.
    pub fn fill(&self, color: &str) -> Result<(), SetupError> {
        let failed = |source| SetupError::Program { program: "xsetroot".into(), source };
        let status = Command::new("xsetroot")
            .args(["-solid", color])
            .envs(self.environment())
            .status()
            .map_err(failed)?;
        if status.success() {
            return Ok(());
        }
        Err(SetupError::Ended { what: "xsetroot".into(), output: status.to_string() })
    }
}
