//! Child processes and messages.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Why a command did not end well.
#[derive(Debug)]
pub struct Outcome {
    message: String,
    code: u8,
}

impl Outcome {
    pub fn refused(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 2 }
    }

    pub fn failed(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    /// A child's own exit status goes on to the caller: its last words were printed already.
    fn child(message: String, code: Option<i32>) -> Self {
        Self { message, code: code.and_then(|c| u8::try_from(c).ok()).filter(|c| *c != 0).unwrap_or(1) }
    }

    pub fn report(self) -> ExitCode {
        let _ = writeln!(std::io::stderr(), "xtask: {}", self.message);
        ExitCode::from(self.code)
    }
}

pub type Result = std::result::Result<(), Outcome>;

pub fn say(text: &str) {
    // A closed pipe on the other side is no failure of ours.
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
}

/// The repository's root: the directory two above this package.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

pub fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // What cargo told this executable about its own package would be news to build scripts that look for it: they would
    // run anew each time that cargo is called by hand and by turns by this.
    let about_package = |name: &OsStr| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| about_package(name)) {
        command.env_remove(name);
    }
    command
}

/// Becomes the command, so that Ctrl-C is its own to hear and the exit status its own to give.
#[cfg(unix)]
pub fn replace(command: &mut Command) -> Result {
    use std::os::unix::process::CommandExt as _;
    let err = command.exec();
    Err(Outcome::failed(format!("`{}` could not be started: {err}", shown(command))))
}

#[cfg(not(unix))]
pub fn replace(command: &mut Command) -> Result {
    run(command)
}

/// Runs to the end with our own input and output.
pub fn run(command: &mut Command) -> Result {
    let shown = shown(command);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Outcome::child(format!("`{shown}` ended with {status}"), status.code())),
        Err(err) => Err(Outcome::failed(format!("`{shown}` could not be started: {err}"))),
    }
}

/// Whether it could be started and ended with 0; its output is thrown away.
pub fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Standard output of a command that ended with 0.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|o| o.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program()];
    words.extend(command.get_args());
    words.join(OsStr::new(" ")).to_string_lossy().into_owned()
}
