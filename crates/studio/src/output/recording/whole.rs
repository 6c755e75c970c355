//! A fragmented recording is made whole: written anew as a plain file, which takes its place in one step that outlives a
//! power cut. What a killed process had begun is taken up by the next one that records into the same folder.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufReader, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use codec::{FileOptions, FilePiece, FileReader};
use mux::fmp4::{Mp4Error, finalise};

use super::{RecordingError, free_file};
use crate::snapshot::LeftoverFigures;

/// What the plain file is called until it is whole: the recording's name and this. No other program uses it, as browsers
/// and others do `.part`, so that what is found under it is ours.
const ENDING: &str = ".finalising";

fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ENDING);
    name.into()
}

pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes the plain file beside the fragmented one, then takes its place in one step.
pub fn make(path: &Path) -> Result<(), RecordingError> {
    let failed = |reason| RecordingError::Io { path: path.to_owned(), reason };
    let plain = beside(path);
    let output = File::options().write(true).create(true).truncate(false).open(&plain).map_err(failed)?;
    if !is_ours(&output) {
        return Err(failed(io::ErrorKind::ResourceBusy.into()));
    }
    make_into(path, &plain, output).inspect_err(|_| {
        // The fragmented file stays: it plays.
        let _ = fs::remove_file(&plain);
    })
}

/// Whether nobody else makes it whole: who does keeps it locked, and a killed process keeps nothing. Where the system
/// knows no locks nobody can tell.
fn is_ours(file: &File) -> bool {
    !matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

/// Over what `output` holds already: nothing of that is touched before the fragmented file was read through.
fn make_into(path: &Path, plain: &Path, output: File) -> Result<(), RecordingError> {
    let failed = |reason| RecordingError::Io { path: path.to_owned(), reason };
    let input = File::open(path).map_err(failed)?;
    let mut output = BufWriter::new(output);
    finalise(BufReader::new(input), &mut output)
        .map_err(|source| RecordingError::Finalise { path: path.to_owned(), source })?;
    take_place(output, plain, path).map_err(failed)
}

fn take_place(mut output: BufWriter<File>, plain: &Path, path: &Path) -> io::Result<()> {
    output.flush()?;
    let length = output.stream_position()?;
    output.get_ref().set_len(length)?;
    // Else a power cut could leave the new name with nothing behind it, and the old file gone.
    output.get_ref().sync_all()?;
    rename(plain, path)
}

/// So that it is still so after a power cut.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    // Elsewhere a folder is no file, and the system sees to it.
    #[cfg(unix)]
    File::open(folder_of(to))?.sync_all()?;
    Ok(())
}

/// Takes up what killed processes left in `folder`, and tells what became of each. Nothing is thrown away: a recording
/// that is still there is made whole; without it, what there is of the copy stays under a name that says so.
pub fn take_up_leftovers(folder: &Path, mut tell: impl FnMut(LeftoverFigures)) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let recording =
            name.to_str().and_then(|name| name.strip_suffix(ENDING)).filter(|name| !name.is_empty());
        let Some(path) = recording.map(|name| folder.join(name)) else { continue };
        match take_up(&entry.path(), &path) {
            Ok(Some(taken_up)) => tell(taken_up),
            Ok(None) => {}
            Err(err) => {
                tracing::warn!("{} was left by another process and stays as it is: {err}", name.display());
                let message = format!(
                    "{} was left when Tickcast ended in the middle of its work. It stays as it is, since it could not \
                     be made whole: {err}.",
                    name.display()
                );
                tell(LeftoverFigures { state: "left", message });
            }
        }
    }
}

/// Marks a recording for as long as its file is open. Where the system knows no locks, nobody can tell.
pub fn mark_in_the_making(file: &File) {
    let _ = file.try_lock();
}

/// Whether it is a recording that goes on: one that took the name of an earlier one.
fn is_in_the_making(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// `None` where somebody else does.
fn take_up(leftover: &Path, path: &Path) -> Result<Option<LeftoverFigures>, RecordingError> {
    let failed = |reason| RecordingError::Io { path: leftover.to_owned(), reason };
    let file = File::options().write(true).open(leftover).map_err(failed)?;
    // Locked by who makes it whole now; gone where that was done a moment ago.
    if !is_ours(&file) || !leftover.is_file() {
        return Ok(None);
    }
    let name = path.file_name().unwrap_or_default().display();
    if path.is_file() && !is_in_the_making(path) {
        match make_into(path, leftover, file) {
            Ok(()) => {
                tracing::info!("{} was left unfinished by another process, and is whole now", path.display());
                let message =
                    format!("{name} was left unfinished when Tickcast ended early. It is whole now.");
                return Ok(Some(LeftoverFigures { state: "whole", message }));
            }
            // What has that name is not what the copy was made of.
            Err(RecordingError::Finalise {
                source: Mp4Error::NotFragmented(_) | Mp4Error::Empty, ..
            }) => {}
            Err(err) => return Err(err),
        }
    }
    let (state, plays) = match plays(leftover) {
        true => ("recovered", "plays"),
        false => ("damaged", "does not play"),
    };
    let (stem, ending) = (path.file_stem().unwrap_or_default(), path.extension().unwrap_or_default());
    let wanted = format!("{} {state}.{}", stem.display(), ending.display());
    // Made empty first, so that two processes cannot choose one name.
    let (_, kept) = free_file(&path.with_file_name(wanted.trim_end_matches('.'))).map_err(failed)?;
    rename(leftover, &kept).map_err(failed)?;
    tracing::warn!("{} lost its recording; what there is of it is {}", leftover.display(), kept.display());
    let message = format!(
        "The recording {name} is gone, and Tickcast ended while it made a copy of it. What there is of the copy {plays}; \
         it is kept as {}.",
        kept.file_name().unwrap_or_default().display()
    );
    Ok(Some(LeftoverFigures { state, message }))
}

/// Whether there is a picture in it.
fn plays(path: &Path) -> bool {
    let Ok(mut reader) = FileReader::open(path, FileOptions::default()) else { return false };
    std::iter::from_fn(|| reader.read().ok().flatten()).any(|piece| matches!(piece, FilePiece::Picture(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_process_makes_whole_now_is_left_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let leftover = folder.path().join("show.mp4.finalising");
        let held = File::create(&leftover).unwrap();
        held.lock().unwrap();
        take_up_leftovers(folder.path(), |told| panic!("{told:?}"));
        assert!(leftover.is_file());
        drop(held);
        let mut told = Vec::new();
        take_up_leftovers(folder.path(), |taken_up| told.push(taken_up));
        assert!(!leftover.exists() && folder.path().join("show damaged.mp4").is_file());
        assert_eq!(told.iter().map(|told| told.state).collect::<Vec<_>>(), ["damaged"]);
        let said = &told[0].message;
        assert!(said.contains("show.mp4 is gone") && said.contains("show damaged.mp4"), "{said}");
    }

    #[test]
    fn a_recording_that_goes_on_is_not_made_whole_for_having_an_earlier_ones_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("show.mp4");
        let fragmented = "-v error -f lavfi -i testsrc2=s=64x36:r=30 -t 1 -c:v libx264 -g 15 -movflags \
                          frag_keyframe+empty_moov+default_base_moof";
        let mut ffmpeg = std::process::Command::new("ffmpeg");
        assert!(ffmpeg.args(fragmented.split_whitespace()).arg(&path).status().unwrap().success());
        let recorded = fs::read(&path).unwrap();
        let leave = || fs::write(folder.path().join("show.mp4.finalising"), b"torn").unwrap();
        leave();
        let live = File::options().write(true).open(&path).unwrap();
        mark_in_the_making(&live);
        take_up_leftovers(folder.path(), |told| assert_eq!(told.state, "damaged"));
        assert!(fs::read(&path).unwrap() == recorded && folder.path().join("show damaged.mp4").is_file());
        // Once nobody records into it, it is what was left unfinished.
        drop(live);
        leave();
        take_up_leftovers(folder.path(), |told| assert_eq!(told.state, "whole"));
        assert!(fs::read(&path).unwrap() != recorded);
    }

    #[test]
    fn files_of_other_programs_are_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let theirs = ["film.mp4.part", "film.mp4", "finalising"].map(|name| folder.path().join(name));
        theirs.iter().for_each(|path| fs::write(path, b"theirs").unwrap());
        take_up_leftovers(folder.path(), |told| panic!("{told:?}"));
        assert!(theirs.iter().all(|path| fs::read(path).unwrap() == b"theirs"));
    }
}
