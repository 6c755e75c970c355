//! Image files, read and decoded on a thread of their own: no frame waits for a file.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use media::Picture;

use crate::image_file::{self, ImageError};

/// Files that wait to be read; for more there is another frame.
const WAITING: usize = 16;

/// What became of a file.
pub type Read = (PathBuf, Result<Picture, ImageError>);

/// The thread begins with the first file, and ends by itself once this is dropped: nobody waits for it, since a file on
/// a network may take for ever.
#[derive(Debug, Default)]
pub struct ImageReader {
    thread: Option<(SyncSender<PathBuf>, Receiver<Read>)>,
}

impl ImageReader {
    /// Asks for a file. `false`: there is no room, or no thread to be had; ask again in a later frame.
    pub fn ask(&mut self, path: PathBuf) -> bool {
        if self.thread.is_none() {
            self.thread = start();
        }
        let Some((asked, _)) = &self.thread else { return false };
        asked.try_send(path).is_ok()
    }

    /// What was read meanwhile.
    pub fn take(&self) -> Option<Read> {
        self.thread.as_ref().and_then(|(_, read)| read.try_recv().ok())
    }
}

fn start() -> Option<(SyncSender<PathBuf>, Receiver<Read>)> {
    let (asked, paths) = sync_channel::<PathBuf>(WAITING);
    // One picture at a time: they may be large.
    let (read, taken) = sync_channel(1);
    let reads = move || {
        for path in paths {
            let image = image_file::load(&path);
            if read.send((path, image)).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("compose-images".into()).spawn(reads).ok()?;
    Some((asked, taken))
}
