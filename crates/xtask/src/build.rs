//! Builds: the web pages, then the executable.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::command::{Result, cargo, root, run, say, target_dir};

/// Builds `ui/dist` where a source is newer than it.
pub fn pages() -> Result {
    let ui = root().join("ui");
    let built = modified(&ui.join("dist/index.html"));
    if built.is_some() && built >= newest(&ui) {
        return Ok(());
    }
    packages(&ui)?;
    say("build: the web pages");
    run(npm(&ui).args(["run", "--silent", "build"]))
}

/// Installs what a folder's lock file names, where that is newer than what is there.
pub fn packages(folder: &Path) -> Result {
    if modified(&folder.join("node_modules/.package-lock.json"))
        >= modified(&folder.join("package-lock.json"))
    {
        return Ok(());
    }
    say(&format!("build: npm's packages of {}", folder.display()));
    // Not `npm ci`: it refuses a lock file that leaves out the native parts of other platforms, and such a
    // file is what npm writes where a registry does not carry them all. `install` keeps to the same versions.
    run(npm(folder).args(["install", "--no-save", "--no-audit", "--no-fund", "--loglevel", "error"]))
}

pub fn npm(folder: &Path) -> Command {
    let mut npm = Command::new("npm");
    npm.current_dir(folder);
    npm
}

/// Builds the executable and says where it lies.
pub fn tickcast() -> std::result::Result<PathBuf, crate::command::Outcome> {
    pages()?;
    say("build: tickcast");
    // With the features that the tests have: otherwise either would compile what the other has compiled already.
    run(cargo().args(["build", "--workspace", "--bin", "tickcast"]))?;
    Ok(target_dir().join("debug/tickcast"))
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|m| m.modified()).ok()
}

/// The newest change under `ui`, but for what is installed and what is built.
fn newest(dir: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(dir).ok()?;
    entries
        .flatten()
        .filter(|entry| !matches!(entry.file_name().to_str(), Some("node_modules" | "dist")))
        .filter_map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => newest(&entry.path()),
            _ => modified(&entry.path()),
        })
        .max()
}
