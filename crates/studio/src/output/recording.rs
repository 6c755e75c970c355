//! The recording: a fragmented MP4 as it comes, which a kill leaves playable, and a plain one at the end.

mod whole;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use media::{AudioTrack, Packet, RenditionName, Worker};
use mux::fmp4::{FragmentedWriter, Mp4Error, TrackConfig, Tracks};
use mux::h264::AvcConfig;
use thiserror::Error;

use crate::hub::{Hub, Lane, Subscription};
use crate::snapshot::{LeftoverFigures, RecordingFigures};

/// How long the thread sleeps at most when no packet comes, so that it notices its end.
const WAIT: Duration = Duration::from_millis(200);

#[derive(Debug, Error)]
pub enum RecordingError {
    #[error("the recording {path} cannot be written: its folder cannot be made ({}). {TO_DO}", plain(.reason))]
    Folder { path: PathBuf, reason: std::io::Error },
    #[error("the recording {path} cannot be written: {}. {TO_DO}", plain(.reason))]
    Place { path: PathBuf, reason: std::io::Error },
    /// After it began, or on a thread that could not be started.
    #[error("the recording {path} cannot be written: {}", plain(.reason))]
    Io { path: PathBuf, reason: std::io::Error },
    #[error("the recording {path} cannot be finalised: {source}")]
    Finalise { path: PathBuf, source: Mp4Error },
    #[error("the recording's sound cannot be described: {0}")]
    Sound(#[from] mux::aac::AacError),
    #[error("no key frame came, so there is nothing to record")]
    Nothing,
}

/// More than these nobody reads.
const LEFTOVERS_TOLD: usize = 4;

/// Names that are tried for a recording.
const NAMES_MAX: u32 = 10_000;

/// Makes `path`, or the first of `path 2`, `path 3` … that is not there: no recording takes another's place.
fn free_file(path: &Path) -> std::io::Result<(File, PathBuf)> {
    let (stem, ending) = (path.file_stem().unwrap_or_default(), path.extension().unwrap_or_default());
    let named = |number: u32| {
        let name = format!("{} {number}.{}", stem.to_string_lossy(), ending.to_string_lossy());
        path.with_file_name(name.trim_end_matches('.'))
    };
    let there = path.metadata();
    // It would be waited for, and a recording is read again to be made whole.
    #[cfg(unix)]
    if there.as_ref().is_ok_and(|there| std::os::unix::fs::FileTypeExt::is_fifo(&there.file_type())) {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is a pipe"));
    }
    // A device is meant as it is, and takes what it takes.
    if there.is_ok_and(|there| !there.is_file()) {
        return Ok((File::options().write(true).open(path)?, path.to_owned()));
    }
    for candidate in std::iter::once(path.to_owned()).chain((2..NAMES_MAX).map(named)) {
        match File::options().write(true).create_new(true).open(&candidate) {
            Ok(file) => return Ok((file, candidate)),
            Err(err) if err.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(err) => return Err(err),
        }
    }
    Err(std::io::ErrorKind::AlreadyExists.into())
}

const TO_DO: &str = "Under recording in the broadcast file, name a path that you may write to";

/// The system's words without its number, which helps nobody here.
fn plain(err: &std::io::Error) -> String {
    let text = err.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// A recording in progress; dropping it ends it and waits until the file is whole, which takes time for a long one.
pub struct Recording {
    figures: Told,
    hub: Hub,
    _worker: Worker,
}

/// What a recording tells, also after its end.
#[derive(Clone)]
pub struct Told(Arc<Mutex<RecordingFigures>>);

impl Told {
    pub fn get(&self) -> RecordingFigures {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut RecordingFigures)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What there is beyond what is told is in the log.
    fn leftover(&self, leftover: LeftoverFigures) {
        self.change(|figures| {
            if figures.leftovers.len() < LEFTOVERS_TOLD {
                figures.leftovers.push(leftover);
            }
        });
    }
}

impl Recording {
    /// Records `rendition` with AAC into `path`, or beside what is there: see [`free_file`].
    pub fn start(
        path: &Path,
        rendition: RenditionName,
        sound: AudioTrack,
        hub: &Hub,
    ) -> Result<Self, RecordingError> {
        let failed = |reason| RecordingError::Io { path: path.to_owned(), reason };
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            let folder = |reason| RecordingError::Folder { path: path.to_owned(), reason };
            fs::create_dir_all(dir).map_err(folder)?;
        }
        // Opened here, so that a place that cannot be written is known before going live.
        let place = |reason| RecordingError::Place { path: path.to_owned(), reason };
        let (file, path) = free_file(path).map_err(place)?;
        whole::mark_in_the_making(&file);
        let is_file = file.metadata().is_ok_and(|there| there.is_file());
        let figures = RecordingFigures {
            path: path.display().to_string(),
            state: "recording",
            ..RecordingFigures::default()
        };
        let figures = Told(Arc::new(Mutex::new(figures)));
        let (folder, told) = (whole::folder_of(&path).to_owned(), figures.clone());
        // A recording goes on without it.
        let leftovers = Worker::spawn("leftovers", move |_| {
            whole::take_up_leftovers(&folder, |left| told.leftover(left))
        });
        let hub = hub.branch();
        let packets = hub.subscribe(move |lane| lane == Lane::Video(rendition) || lane == Lane::Aac);
        let told = figures.clone();
        let worker = Worker::spawn("record", move |_| {
            let made = record(&path, file, sound, &packets, &told).and_then(|()| {
                // Nothing looks for leftovers while this one is in the making.
                drop(leftovers);
                if is_file { whole::make(&path) } else { Ok(()) }
            });
            match made {
                Ok(()) => told.change(|figures| figures.state = "finished"),
                Err(err) => {
                    tracing::error!("{err}");
                    told.change(|figures| {
                        figures.state = "failed";
                        figures.message = Some(err.to_string());
                    });
                }
            }
        })
        .map_err(failed)?;
        Ok(Self { figures, hub, _worker: worker })
    }

    /// Whether it ended by itself.
    pub fn has_failed(&self) -> bool {
        self.figures.get().state == "failed"
    }

    pub fn told(&self) -> Told {
        self.figures.clone()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.hub.close();
    }
}

fn record(
    path: &Path,
    file: File,
    sound: AudioTrack,
    packets: &Subscription,
    told: &Told,
) -> Result<(), RecordingError> {
    let failed = |reason| RecordingError::Io { path: path.to_owned(), reason };
    let first = wait_for_key(packets).ok_or(RecordingError::Nothing)?;
    let config = AvcConfig::from_annex_b(&first.payload).and_then(TrackConfig::h264);
    let video = config.map_err(|err| failed(std::io::Error::other(err)))?;
    let tracks = Tracks { video: Some(video), audio: Some(TrackConfig::aac(sound.config)?) };
    let mut writer = FragmentedWriter::new(Unbuffered(file), tracks).map_err(failed)?;
    writer.write_video(&first).map_err(failed)?;
    while let Ok(next) = packets.next_within(WAIT) {
        if let Some((lane, packet)) = next {
            match lane {
                Lane::Video(_) => writer.write_video(&packet).map_err(failed)?,
                Lane::Aac => writer.write_audio(&packet).map_err(failed)?,
                Lane::Opus => {}
            }
        }
        told.change(|figures| {
            figures.bytes = writer.bytes_written();
            figures.dropped = packets.dropped();
        });
    }
    told.change(|figures| figures.state = "finalising");
    writer.finish().map(drop).map_err(failed)
}

/// The writer hands over whole fragments: each goes to the system at once, so that a kill loses none.
struct Unbuffered(File);

impl std::io::Seek for Unbuffered {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

impl std::io::Write for Unbuffered {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

fn wait_for_key(packets: &Subscription) -> Option<Packet> {
    loop {
        match packets.next_within(WAIT) {
            Ok(Some((Lane::Video(_), packet))) if packet.key => return Some(packet),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_never_takes_the_place_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = folder.path().join("show.mp4");
        let made = || free_file(&wanted).unwrap().1;
        let names = ["show.mp4", "show 2.mp4", "show 3.mp4"].map(|name| folder.path().join(name));
        assert_eq!([made(), made(), made()], names);
        fs::remove_file(&names[1]).unwrap();
        assert_eq!(made(), names[1]);
    }

    fn start(path: &Path) -> Result<Recording, RecordingError> {
        let sound = AudioTrack {
            codec: media::Codec::Aac,
            rate: 48_000,
            channels: 2,
            bitrate_kbps: 128,
            config: Default::default(),
        };
        Recording::start(path, RenditionName::Low, sound, &Hub::default())
    }

    #[test]
    fn what_was_taken_up_is_told_beside_the_recording_that_found_it() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..LEFTOVERS_TOLD + 2 {
            fs::write(folder.path().join(format!("{number}.mp4.finalising")), b"torn").unwrap();
        }
        let recording = start(&folder.path().join("show.mp4")).unwrap();
        let told = recording.told();
        // Ends with the thread that looks for them.
        drop(recording);
        let leftovers = told.get().leftovers;
        assert_eq!(leftovers.len(), LEFTOVERS_TOLD, "as many as somebody reads");
        assert!(leftovers.iter().all(|left| left.state == "damaged"), "{leftovers:?}");
        assert!(
            folder.path().join(format!("{} damaged.mp4", LEFTOVERS_TOLD + 1)).is_file(),
            "all are taken up"
        );
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, b"").unwrap();
        // A file where a folder should be refuses even those whom no permission stops.
        let told = start(&file.join("show.mp4")).err().expect("no place").to_string();
        assert!(told.contains("file/show.mp4 cannot be written: its folder cannot be made"), "{told}");
        assert!(told.contains("name a path that you may write to") && !told.contains("os error"), "{told}");
        drop(start(&folder.path().join("a/b/show.mp4")).expect("missing folders are made"));
        assert!(folder.path().join("a/b").is_dir());
    }
}
