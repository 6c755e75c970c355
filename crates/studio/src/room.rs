//! How much room there is where a recording would go.

use std::io;
use std::path::Path;

/// Bytes that this program may still write below `path`, which need not be there yet. May wait for a disk or a network: not for
/// a window's thread.
///
/// # Errors
/// Where the system does not tell.
#[cfg(unix)]
pub fn room(path: &Path) -> io::Result<u64> {
    let existing = path.ancestors().find(|part| part.exists()).unwrap_or(Path::new("/"));
    let disk = rustix::fs::statvfs(existing)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
pub fn room(_: &Path) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_is_to_be_made_has_the_room_of_the_one_above_it() {
        let folder = tempfile::tempdir().unwrap();
        let told = room(&folder.path().join("not/yet/there.mp4")).unwrap();
        // As the system's own program has it, in blocks of 1024 bytes; others write meanwhile.
        let asked =
            std::process::Command::new("df").args(["-k", "--output=avail"]).arg(folder.path()).output();
        let said = String::from_utf8(asked.unwrap().stdout).unwrap();
        let kilobytes: u64 = said.lines().nth(1).unwrap().trim().parse().unwrap();
        let apart = told.abs_diff(kilobytes * 1_024);
        assert!(apart < told / 10 + (1 << 28), "{told} bytes, and {kilobytes} KiB");
    }
}
