//! Files as sources: decoded ahead on a thread, shown and heard by media time, from the start again at the end.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use capture::{PictureSource, SoundSource, SourceStatus};
use codec::{FileError, FileOptions, FilePiece, FileReader, Need, Repeat};
use media::{AudioBlock, Picture, Timestamp, Worker};

/// Pieces decoded ahead: enough for a slow disk, little enough in memory (a 1080p picture is 3 MB). Full:
/// the decoder waits.
const AHEAD: usize = 6;

/// A source that is closed waits for its thread for so long. A read that hangs in the system, as on a network drive that
/// is gone, cannot be ended: that thread ends when the system answers.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// A decoder's thread and what it has decoded.
struct Decoder {
    pieces: Option<Receiver<FilePiece>>,
    status: Arc<Mutex<SourceStatus>>,
    name: String,
    worker: Option<Worker>,
    /// Nothing ever comes; it closes as the thread ends.
    ended: Receiver<()>,
}

impl Decoder {
    fn open(path: &Path, pictures: Need, sound: Need) -> Self {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let path = path.to_owned();
        Self::start(name, pictures, sound, move |options| FileReader::open(&path, options))
    }

    /// `open` is called on the new thread.
    fn start(
        name: String,
        pictures: Need,
        sound: Need,
        open: impl FnOnce(FileOptions) -> Result<FileReader, FileError> + Send + 'static,
    ) -> Self {
        let (sender, pieces) = sync_channel(AHEAD);
        let (end, ended) = sync_channel::<()>(0);
        let status = Arc::new(Mutex::new(SourceStatus::Opening));
        let told = Arc::clone(&status);
        let worker = Worker::spawn("file", move |stop| {
            let _end = end;
            let options = FileOptions { pictures, sound, repeat: Repeat::Forever, stop: stop.clone() };
            let ended = match open(options).and_then(|reader| decode(reader, &sender, &told)) {
                Ok(()) | Err(FileError::Cancelled) => return,
                Err(err) => err,
            };
            let lost = SourceStatus::Lost { message: ended.to_string() };
            *told.lock().unwrap_or_else(PoisonError::into_inner) = lost;
        });
        let worker = worker.inspect_err(|err| tracing::error!("a file's thread did not start: {err}")).ok();
        Self { pieces: Some(pieces), status, name, worker, ended }
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
        // The thread waits for room in the channel, or reads, where it looks at the signal.
        self.pieces = None;
        let Some(worker) = self.worker.take() else { return };
        worker.stop_signal().set();
        if self.ended.recv_timeout(CLOSE_LIMIT) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("{} does not answer; its thread is left behind", self.name);
            worker.abandon();
        }
    }
}

fn decode(
    mut reader: FileReader,
    pieces: &SyncSender<FilePiece>,
    status: &Mutex<SourceStatus>,
) -> Result<(), FileError> {
    *status.lock().unwrap_or_else(PoisonError::into_inner) = SourceStatus::Live;
    while let Some(piece) = reader.read()? {
        if pieces.send(piece).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// The pictures of a file. Its own time zero is where it was opened for, as for [`FileSound`], so both stay together.
pub struct FilePictures {
    decoder: Decoder,
    start: Timestamp,
    waiting: VecDeque<Picture>,
    shown: Option<Picture>,
}

impl FilePictures {
    /// `start` is the broadcast's time at which the file begins.
    pub fn open(path: &Path, start: Timestamp) -> Self {
        let decoder = Decoder::open(path, Need::Required, Need::Skip);
        Self { decoder, start, waiting: VecDeque::new(), shown: None }
    }
}

impl PictureSource for FilePictures {
    fn picture_at(&mut self, now: Timestamp) -> Option<Picture> {
        loop {
            if self.waiting.is_empty()
                && let Some(FilePiece::Picture(picture)) = self.decoder.next()
            {
                let at = picture.timestamp().plus(self.start);
                self.waiting.push_back(picture.at(at));
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
    start: Timestamp,
    waiting: Option<AudioBlock>,
}

impl FileSound {
    /// As [`FilePictures::open`].
    pub fn open(path: &Path, start: Timestamp) -> Self {
        Self { decoder: Decoder::open(path, Need::Skip, Need::Required), start, waiting: None }
    }
}

impl SoundSource for FileSound {
    fn read(&mut self, until: Timestamp, out: &mut Vec<AudioBlock>) {
        loop {
            if self.waiting.is_none()
                && let Some(FilePiece::Sound(block)) = self.decoder.next()
            {
                self.waiting = Some(AudioBlock { timestamp: block.timestamp.plus(self.start), ..block });
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

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Seek, SeekFrom};

    use media::Timescale;

    use super::*;

    /// A drive that says when it is read, and answers when it is let.
    struct SlowDrive {
        asked: SyncSender<()>,
        let_go: Receiver<()>,
    }

    impl Read for SlowDrive {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let _ = self.asked.send(());
            let _ = self.let_go.recv();
            Ok(buffer.len())
        }
    }

    impl Seek for SlowDrive {
        fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
            Ok(0)
        }
    }

    #[test]
    fn a_file_that_is_closed_is_read_no_further_and_one_that_hangs_holds_nobody_up() {
        let (asked, asks) = sync_channel(0);
        let (let_it, let_go) = sync_channel(0);
        let open = |options| FileReader::from_reader(SlowDrive { asked, let_go }, options);
        let source = Decoder::start("film.mp4".into(), Need::Required, Need::Skip, open);
        asks.recv().expect("it is read");
        // Returns, though the drive does not answer.
        drop(source);
        let_it.send(()).expect("the read goes on");
        assert_eq!(asks.recv(), Err(std::sync::mpsc::RecvError), "the thread ends, and reads nothing more");
    }

    #[test]
    fn a_film_that_is_closed_while_it_waits_for_room_ends_its_thread() {
        let folder = tempfile::tempdir().unwrap();
        let film = folder.path().join("film.mp4");
        testkit::ffmpeg::sample(&film, 2).unwrap();
        let decoder = Decoder::open(&film, Need::Required, Need::Skip);
        let mut pieces = decoder.pieces.as_ref().expect("it is open").iter();
        assert!(pieces.by_ref().take(2 * AHEAD).count() == 2 * AHEAD, "it plays: {:?}", decoder.status());
        let status = Arc::downgrade(&decoder.status);
        drop(decoder);
        assert!(status.upgrade().is_none(), "the thread has let go of what it told");
    }

    #[test]
    fn a_film_that_is_opened_later_begins_then_and_its_sound_with_it() {
        const LIMIT: Duration = Duration::from_secs(60);
        let folder = tempfile::tempdir().unwrap();
        let film = folder.path().join("film.mp4");
        testkit::ffmpeg::sample(&film, 2).unwrap();
        let hour = Timestamp::new(3_600 * 90_000, Timescale::VIDEO);
        let later = |ms| hour.plus(Timestamp::new(ms, Timescale::MILLIS));
        let mut pictures = FilePictures::open(&film, hour);
        let first = testkit::wait_until("a picture", LIMIT, || pictures.picture_at(hour)).unwrap();
        assert_eq!(first.timestamp(), hour);
        // Pictures are 33⅓ ms apart, and one second is at the 30th.
        let at_second = testkit::wait_until("the next ones", LIMIT, || {
            pictures.picture_at(later(1_000)).filter(|picture| picture.timestamp() >= later(1_000))
        });
        assert_eq!(at_second.unwrap().timestamp(), later(1_000));
        let mut sound = FileSound::open(&film, hour);
        let mut blocks = Vec::new();
        let heard = testkit::wait_until("sound", LIMIT, || {
            sound.read(later(100), &mut blocks);
            blocks.first().map(|block| block.timestamp)
        });
        let heard = heard.unwrap().minus(hour).as_secs_f64();
        assert!(heard.abs() < 0.05, "{heard}");
    }
}
