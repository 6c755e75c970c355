//! Files of one folder that a kill at any instant leaves whole: written beside, made durable, and moved into place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{}: {cause}", path.display())]
    Io { path: PathBuf, cause: io::Error },
    #[error("{} is longer than {most} bytes: it is not what the wallet wrote", path.display())]
    TooLong { path: PathBuf, most: u64 },
    #[error("{} cannot be read: {why}. Put it back from a backup, or move it away", path.display())]
    Damaged { path: PathBuf, why: String },
    #[error("this system names no folder for a person's data: name one with --folder")]
    NoFolder,
}

/// Where a name ends that is being written.
const UNFINISHED: &str = ".new";

/// The wallet's folder. Only its owner reads it.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// Held while the folder changes; the system lets it go with the process.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not read")] File);

impl Folder {
    /// In the person's data folder.
    pub fn default_path() -> Result<PathBuf, StoreError> {
        Ok(dirs::data_dir().ok_or(StoreError::NoFolder)?.join("tickcast").join("wallet"))
    }

    /// Made where it is not there, and closed to others where it is open to them.
    pub fn open(path: PathBuf) -> Result<Self, StoreError> {
        let folder = Self { path };
        folder.make(Path::new(""))?;
        let closed = fs::set_permissions(&folder.path, fs::Permissions::from_mode(0o700));
        closed.map_err(|cause| failed(&folder.path, cause))?;
        Ok(folder)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn make(&self, name: &Path) -> Result<(), StoreError> {
        let path = self.path.join(name);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(|cause| failed(&path, cause))
    }

    /// Waits for another process that is writing, which takes moments.
    pub(crate) fn lock(&self) -> Result<Lock, StoreError> {
        let (path, file) = self.lock_file(Path::new("lock"))?;
        file.lock().map_err(|cause| failed(&path, cause))?;
        Ok(Lock(file))
    }

    /// `None` where another holds it.
    pub(crate) fn try_lock(&self, name: &Path) -> Result<Option<Lock>, StoreError> {
        let (path, file) = self.lock_file(name)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(file))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(cause)) => Err(failed(&path, cause)),
        }
    }

    fn lock_file(&self, name: &Path) -> Result<(PathBuf, File), StoreError> {
        let path = self.path.join(name);
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        file.map(|file| (path.clone(), file)).map_err(|cause| failed(&path, cause))
    }

    /// `None` where there is no such file.
    pub fn read(&self, name: &Path, most: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path.join(name);
        let file = match File::open(&path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|cause| failed(&path, cause))?,
        };
        let mut bytes = Vec::new();
        file.take(most + 1).read_to_end(&mut bytes).map_err(|cause| failed(&path, cause))?;
        if bytes.len() as u64 > most { Err(StoreError::TooLong { path, most }) } else { Ok(Some(bytes)) }
    }

    /// All of it or nothing, and durable once this returns. One writer at a time: the caller holds a lock.
    pub fn write(&self, name: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path.join(name);
        let mut unfinished = path.clone().into_os_string();
        unfinished.push(UNFINISHED);
        let unfinished = PathBuf::from(unfinished);
        let written = || -> io::Result<()> {
            let mut file =
                OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&unfinished)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            sync_folder(&path)
        };
        written().map_err(|cause| failed(&path, cause))
    }

    pub(crate) fn remove(&self, name: &Path) -> Result<(), StoreError> {
        let path = self.path.join(name);
        fs::remove_file(&path).and_then(|()| sync_folder(&path)).map_err(|cause| failed(&path, cause))
    }

    /// Adds a line that is durable once this returns. One that a kill cut off is ended first, and left to the reader.
    pub(crate) fn append_line(&self, name: &Path, line: &str) -> Result<(), StoreError> {
        let path = self.path.join(name);
        let written = || -> io::Result<()> {
            let mut file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(&path)?;
            let mut last = [b'\n'];
            if file.seek(SeekFrom::End(0))? > 0 {
                file.seek(SeekFrom::End(-1))?;
                file.read_exact(&mut last)?;
            }
            let start = if last == *b"\n" { "" } else { "\n" };
            file.write_all(format!("{start}{line}\n").as_bytes())?;
            file.sync_all()?;
            sync_folder(&path)
        };
        written().map_err(|cause| failed(&path, cause))
    }

    /// The names in a folder, in order, without those that a kill left unfinished.
    pub(crate) fn names(&self, name: &Path) -> Result<Vec<String>, StoreError> {
        let path = self.path.join(name);
        let entries = match fs::read_dir(&path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|cause| failed(&path, cause))?,
        };
        let names: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.file_name())).collect();
        let names = names.map_err(|cause| failed(&path, cause))?.into_iter();
        let mut names: Vec<_> = names
            .filter_map(|name| name.into_string().ok())
            .filter(|name| !name.ends_with(UNFINISHED))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    pub(crate) fn damaged(&self, name: &Path, why: impl ToString) -> StoreError {
        StoreError::Damaged { path: self.path.join(name), why: why.to_string() }
    }
}

fn failed(path: &Path, cause: io::Error) -> StoreError {
    StoreError::Io { path: path.to_owned(), cause }
}

/// So that a name which was changed is still so after a power cut.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kill_left_unfinished_is_neither_read_nor_in_the_way() {
        let data = tempfile::tempdir().unwrap();
        let folder = Folder::open(data.path().join("wallet")).unwrap();
        let name = Path::new("book.json");
        folder.write(name, b"old").unwrap();
        // As much of the next one as had been written.
        fs::write(folder.path().join("book.json.new"), b"ne").unwrap();
        assert_eq!(folder.read(name, 10).unwrap().as_deref(), Some(&b"old"[..]));
        assert_eq!(folder.names(Path::new("")).unwrap(), ["book.json"]);
        folder.write(name, b"new").unwrap();
        assert_eq!(folder.read(name, 10).unwrap().as_deref(), Some(&b"new"[..]));
        assert!(matches!(folder.read(name, 2), Err(StoreError::TooLong { .. })));
    }

    #[test]
    fn nobody_else_reads_the_files() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("wallet");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let folder = Folder::open(path.clone()).unwrap();
        folder.write(Path::new("one"), b"1").unwrap();
        folder.append_line(Path::new("lines"), "1").unwrap();
        drop(folder.lock().unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        for name in ["one", "lines", "lock"] {
            assert_eq!(mode(&path.join(name)), 0o600, "{name}");
        }
    }

    #[test]
    fn a_line_after_one_that_was_cut_off_stands_alone() {
        let data = tempfile::tempdir().unwrap();
        let folder = Folder::open(data.path().to_owned()).unwrap();
        let name = Path::new("lines");
        folder.append_line(name, "one").unwrap();
        let mut file = OpenOptions::new().append(true).open(data.path().join("lines")).unwrap();
        file.write_all(b"tw").unwrap();
        folder.append_line(name, "three").unwrap();
        assert_eq!(folder.read(name, 99).unwrap().unwrap(), b"one\ntw\nthree\n");
    }

    #[test]
    fn a_lock_that_another_holds_is_not_given_twice() {
        let data = tempfile::tempdir().unwrap();
        let folder = Folder::open(data.path().to_owned()).unwrap();
        let name = Path::new("session");
        let held = folder.try_lock(name).unwrap();
        assert!(held.is_some() && folder.try_lock(name).unwrap().is_none());
        drop(held);
        assert!(folder.try_lock(name).unwrap().is_some());
    }
}
