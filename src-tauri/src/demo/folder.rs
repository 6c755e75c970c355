//! Where a demo's files lie. A folder of its own making is taken away again: at the end all but the recording, which the
//! report names, and the recording by the next demo.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// What the folders are called that demos make for themselves, before a number.
const NAME: &str = "tickcast-demo-";
/// Names that are tried.
const NAMES_MAX: u32 = 100;

/// A folder, and what becomes of it when the demo is over.
pub struct Folder {
    path: PathBuf,
    /// Of a folder that the demo made: held locked while it runs, so that no other takes it for one that has ended.
    own: Option<File>,
}

impl Folder {
    /// One that somebody named. Everything in it stays.
    pub fn given(path: PathBuf) -> Self {
        Self { path, own: None }
    }

    /// A new one in `parent`, which nobody else may read. Takes away those of demos that have ended.
    pub fn temporary(parent: &Path) -> io::Result<Self> {
        let own = Self::make(parent)?;
        own.take_away_ended(parent);
        Ok(own)
    }

    fn make(parent: &Path) -> io::Result<Self> {
        for number in 0..NAMES_MAX {
            let path = parent.join(format!("{NAME}{}-{number}", std::process::id()));
            match make_private(&path) {
                Ok(()) => {}
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(err) => return Err(err),
            }
            // Another demo may have taken it away before it was locked.
            let Ok(held) = File::open(&path) else { continue };
            // Where the system knows no locks, no folder is taken for one that has ended.
            let _ = held.lock();
            if path.is_dir() {
                return Ok(Self { path, own: Some(held) });
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn recording(&self) -> PathBuf {
        self.path.join("recording.mp4")
    }

    /// Whether the next demo will take away what this one leaves.
    pub fn is_temporary(&self) -> bool {
        self.own.is_some()
    }

    fn take_away_ended(&self, parent: &Path) {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(NAME));
            let is_named = number.is_some_and(|number| {
                !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
            });
            // A link leads to somebody else's.
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if !is_named || !is_folder || !self.is_of_the_same_owner(&entry.path()) {
                continue;
            }
            // Locked while its demo runs.
            let has_ended = File::open(entry.path()).is_ok_and(|folder| folder.try_lock().is_ok());
            if has_ended && let Err(err) = fs::remove_dir_all(entry.path()) {
                tracing::debug!("{} stays: {err}", entry.path().display());
            }
        }
    }

    #[cfg(unix)]
    fn is_of_the_same_owner(&self, other: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        let owner = |path: &Path| path.symlink_metadata().map(|found| found.uid());
        matches!((owner(&self.path), owner(other)), (Ok(own), Ok(other)) if own == other)
    }

    /// Elsewhere each person's temporary folder is its own.
    #[cfg(not(unix))]
    fn is_of_the_same_owner(&self, _: &Path) -> bool {
        true
    }

    fn clear(&self) -> io::Result<()> {
        let recording = self.recording();
        // One that no picture came to is empty.
        if !recording.metadata().is_ok_and(|file| file.len() > 0) {
            return fs::remove_dir_all(&self.path);
        }
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let path = entry.path();
            match entry.file_type()?.is_dir() {
                true => fs::remove_dir_all(path)?,
                false if path == recording => {}
                false => fs::remove_file(path)?,
            }
        }
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.own.is_some()
            && let Err(err) = self.clear()
        {
            tracing::warn!("{} was not cleared: {err}", self.path.display());
        }
    }
}

fn make_private(path: &Path) -> io::Result<()> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has modes"))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn write_all(folder: &Folder, recording: &[u8]) {
        fs::create_dir(folder.path().join("node")).unwrap();
        fs::write(folder.path().join("node/tickcast.db"), b"rows").unwrap();
        fs::write(folder.path().join("tab"), b"vouchers").unwrap();
        fs::write(folder.recording(), recording).unwrap();
    }

    #[test]
    fn a_demo_leaves_its_recording_alone_and_the_next_one_takes_that_away() {
        let parent = tempfile::tempdir().unwrap();
        let first = Folder::temporary(parent.path()).unwrap();
        let (path, recording) = (first.path().to_owned(), first.recording());
        write_all(&first, b"pictures");
        drop(first);
        assert_eq!(names(&path), ["recording.mp4"]);
        let second = Folder::temporary(parent.path()).unwrap();
        assert!(!recording.exists() && !path.exists());
        write_all(&second, b"");
        drop(second);
        assert!(names(parent.path()).is_empty(), "nothing was recorded");
    }

    #[test]
    fn the_folder_of_a_demo_that_runs_stays_and_so_does_one_that_was_named() {
        let parent = tempfile::tempdir().unwrap();
        let running = Folder::temporary(parent.path()).unwrap();
        write_all(&running, b"pictures");
        let beside = Folder::temporary(parent.path()).unwrap();
        assert_ne!(running.path(), beside.path());
        assert_eq!(names(running.path()), ["node", "recording.mp4", "tab"]);
        let named = tempfile::tempdir().unwrap();
        let given = Folder::given(named.path().to_owned());
        write_all(&given, b"pictures");
        drop(given);
        assert_eq!(names(named.path()), ["node", "recording.mp4", "tab"]);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_folder_of_a_demo_is_not_touched() {
        use std::os::unix::fs::PermissionsExt;
        let (parent, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(theirs.path().join("kept"), b"theirs").unwrap();
        std::os::unix::fs::symlink(theirs.path(), parent.path().join("tickcast-demo-1")).unwrap();
        fs::write(parent.path().join("tickcast-demo-2"), b"theirs").unwrap();
        for name in ["tickcast-demo-", "tickcast-demo-notes", "tickcast-demo"] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        let before = names(parent.path());
        let own = Folder::temporary(parent.path()).unwrap();
        assert_eq!(own.path().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        drop(own);
        assert_eq!(names(parent.path()), before);
        assert_eq!(names(theirs.path()), ["kept"]);
    }
}
