//! Image files, read and decoded on threads of their own: no frame waits for a file, and no file for another one that
//! does not answer.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use media::Picture;

use crate::image_file::{self, ImageError};

/// Files that are read at once; for more there is another frame.
const READERS: usize = 4;

/// What became of a file.
type Read = (PathBuf, Result<Picture, ImageError>);

/// Each file has a thread, which ends with it. Nobody waits for one: a file on a network may take for ever.
#[derive(Debug)]
pub struct ImageReader {
    reading: Vec<PathBuf>,
    read: SyncSender<Read>,
    taken: Receiver<Read>,
}

impl ImageReader {
    pub fn new() -> Self {
        let (read, taken) = sync_channel(READERS);
        Self { reading: Vec::with_capacity(READERS), read, taken }
    }

    /// Asks for a file, where it is not being read already. `false`: there is no room, or no thread to be had; ask again
    /// in a later frame.
    pub fn ask(&mut self, path: &Path) -> bool {
        if self.reading.iter().any(|other| other == path) {
            return true;
        }
        if self.reading.len() >= READERS {
            return false;
        }
        let (read, file) = (self.read.clone(), path.to_owned());
        let reads = move || {
            let image = image_file::load(&file);
            // There is room for each reader's answer; nobody takes it once the compositor is gone.
            let _ = read.send((file, image));
        };
        if thread::Builder::new().name("compose-image".into()).spawn(reads).is_err() {
            return false;
        }
        self.reading.push(path.to_owned());
        true
    }

    /// What was read meanwhile.
    pub fn take(&mut self) -> Option<Read> {
        let read = self.taken.try_recv().ok()?;
        self.reading.retain(|path| *path != read.0);
        Some(read)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn files_that_do_not_answer_hold_up_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dot.png");
        image::RgbaImage::new(2, 2).save(&path).expect("a picture");
        let mut reader = ImageReader::new();
        // What a dead network leaves behind, one fewer than there are readers.
        reader.reading.extend((1..READERS).map(|number| PathBuf::from(format!("hung {number}"))));
        assert!(reader.ask(&path) && reader.ask(&path), "asked twice, read once");
        assert!(!reader.ask(Path::new("one too many")));
        let (read, picture) = reader.taken.recv_timeout(Duration::from_secs(60)).expect("it is read");
        assert_eq!((read, picture.expect("a picture").size().width), (path, 2));
    }

    #[test]
    fn what_was_read_makes_room() {
        let mut reader = ImageReader::new();
        let missing: Vec<_> = (0..READERS).map(|number| PathBuf::from(format!("missing {number}"))).collect();
        assert!(missing.iter().all(|path| reader.ask(path)));
        let begun = std::time::Instant::now();
        let (path, read) = loop {
            assert!(begun.elapsed().as_secs() < 60, "it is never read");
            if let Some(read) = reader.take() {
                break read;
            }
            std::thread::yield_now();
        };
        assert!(missing.contains(&path) && matches!(read, Err(ImageError::Io(_))));
        assert!(reader.ask(Path::new("another")));
    }
}
