//! Files as sources: decoded ahead on a thread, shown and heard by media time, from the start again at the end.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use capture::{PictureSource, SoundSource, SourceStatus};
use codec::{FileError, FileOptions, FilePiece, FileReader, Need, Repeat};
use media::{AudioBlock, Picture, StopSignal, Timestamp, Worker};

/// Pieces decoded ahead: enough for a slow disk, little enough in memory (a 1080p picture is 3 MB). Full:
/// the decoder waits.
const AHEAD: usize = 6;

/// A decoder's thread and what it has decoded.
struct Decoder {
    pieces: Option<Receiver<FilePiece>>,
    status: Arc<Mutex<SourceStatus>>,
    name: String,
    worker: Option<Worker>,
}

impl Decoder {
    fn open(path: &Path, options: FileOptions) -> Self {
        let (sender, pieces) = sync_channel(AHEAD);
        let status = Arc::new(Mutex::new(SourceStatus::Opening));
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let (told, file) = (Arc::clone(&status), path.to_owned());
        let worker = Worker::spawn("file", move |_| {
            let ended = match decode(&file, options, &sender, &told) {
                Ok(()) | Err(FileError::Cancelled) => return,
                Err(err) => err,
            };
            let lost = SourceStatus::Lost { message: ended.to_string() };
            *told.lock().unwrap_or_else(PoisonError::into_inner) = lost;
        });
        let worker = worker.inspect_err(|err| tracing::error!("a file's thread did not start: {err}")).ok();
        Self { pieces: Some(pieces), status, name, worker }
    }

    fn next(&self) -> Option<FilePiece> {
        self.pieces.as_ref()?.try_recv().ok()
    }

    fn status(&self) -> SourceStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // The thread waits for room in the channel, or notices at its next piece.
        self.pieces = None;
        self.worker = None;
    }
}

fn decode(
    path: &Path,
    options: FileOptions,
    pieces: &SyncSender<FilePiece>,
    status: &Mutex<SourceStatus>,
) -> Result<(), FileError> {
    let mut reader = FileReader::open(path, options)?;
    *status.lock().unwrap_or_else(PoisonError::into_inner) = SourceStatus::Live;
    while let Some(piece) = reader.read()? {
        if pieces.send(piece).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn options(pictures: Need, sound: Need) -> FileOptions {
    FileOptions { pictures, sound, repeat: Repeat::Forever, stop: StopSignal::new() }
}

/// The pictures of a file. Its own time zero is the broadcast's, as for [`FileSound`], so both stay together.
pub struct FilePictures {
    decoder: Decoder,
    waiting: VecDeque<Picture>,
    shown: Option<Picture>,
}

impl FilePictures {
    pub fn open(path: &Path) -> Self {
        let decoder = Decoder::open(path, options(Need::Required, Need::Skip));
        Self { decoder, waiting: VecDeque::new(), shown: None }
    }
}

impl PictureSource for FilePictures {
    fn picture_at(&mut self, now: Timestamp) -> Option<Picture> {
        loop {
            if self.waiting.is_empty()
                && let Some(FilePiece::Picture(picture)) = self.decoder.next()
            {
                self.waiting.push_back(picture);
            }
            match self.waiting.front() {
                Some(front) if front.timestamp() <= now => self.shown = self.waiting.pop_front(),
                _ => return self.shown.clone(),
            }
        }
    }

    fn status(&self) -> SourceStatus {
        self.decoder.status()
    }

    fn name(&self) -> &str {
        &self.decoder.name
    }
}

/// The sound of a file.
pub struct FileSound {
    decoder: Decoder,
    waiting: Option<AudioBlock>,
}

impl FileSound {
    pub fn open(path: &Path) -> Self {
        Self { decoder: Decoder::open(path, options(Need::Skip, Need::Required)), waiting: None }
    }
}

impl SoundSource for FileSound {
    fn read(&mut self, until: Timestamp, out: &mut Vec<AudioBlock>) {
        loop {
            if self.waiting.is_none()
                && let Some(FilePiece::Sound(block)) = self.decoder.next()
            {
                self.waiting = Some(block);
            }
            match self.waiting.take() {
                Some(block) if block.timestamp < until => out.push(block),
                later => {
                    self.waiting = later;
                    return;
                }
            }
        }
    }

    fn status(&self) -> SourceStatus {
        self.decoder.status()
    }

    fn name(&self) -> &str {
        &self.decoder.name
    }
}
