//! A child process that ends with its owner.

use std::io;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use thiserror::Error;

/// Why something that a test needs could not be had.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The machine lacks a program; `cargo xtask setup` installs it.
    #[error("{program} cannot be started ({source}); `cargo xtask setup` installs what the tests need")]
    Program { program: String, source: io::Error },
    #[error("{what} was not ready within {seconds} s")]
    Late { what: String, seconds: u64 },
    #[error("{what} ended at once: {output}")]
    Ended { what: String, output: String },
    #[error("{what}: {source}")]
    File { what: String, source: io::Error },
}

/// A running child, killed by its own process id when dropped.
#[derive(Debug)]
pub struct OwnedChild(Child);

impl OwnedChild {
    /// Starts `command` without input.
    pub fn spawn(command: &mut Command) -> Result<Self, SetupError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::null()).spawn();
        child.map(Self).map_err(|source| SetupError::Program { program, source })
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Whether it ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().is_ok_and(|status| status.is_some())
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for OwnedChild {
    fn drop(&mut self) {
        // Both fail only for a child that ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Looks at `condition` until it gives something, at most for `limit`.
pub fn wait_until<T>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> Result<T, SetupError> {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if Instant::now() >= end {
            return Err(SetupError::Late { what: what.to_owned(), seconds: limit.as_secs() });
        }
        // How often it is looked at, not how long it takes.
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
