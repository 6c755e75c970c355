//! A film, a song or a still as pictures and sound with timestamps.
//! Does not pace: it gives the next piece whenever it is asked, and the caller decides when that is.

mod track;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};

use ffmpeg_next::ffi::{self, AVMediaType};
use media::{AudioBlock, FrameRate, Picture, Size, StopSignal, Timescale, Timestamp};
use thiserror::Error;

use crate::demuxer::{Demuxer, ReadSeek};
use crate::error::CodecError;
use crate::raw::{self, Frame};
use track::{SoundStream, VideoStream, find};

/// Damaged packets in a row after which a file is given up.
const MAX_DAMAGED_IN_A_ROW: u32 = 500;

/// Why a file cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FileError {
    #[error("there is no file {0}")]
    NotFound(PathBuf),
    #[error("{0} is not a file: folders, pipes and devices cannot be opened as one")]
    NotAFile(PathBuf),
    #[error("{path} cannot be opened: {reason}")]
    Unreadable { path: PathBuf, reason: String },
    #[error("the file is of no kind that can be opened here: {reason}")]
    UnknownFormat { reason: String },
    #[error("the file contains no {0}")]
    NoStream(&'static str),
    #[error("the file's {kind} is {codec}, which the linked FFmpeg cannot decode")]
    UnsupportedCodec { kind: &'static str, codec: String },
    #[error("the file is damaged: {reason}")]
    Damaged { reason: String },
    #[error("the file cannot be played again from its start: {reason}")]
    NotRepeatable { reason: String },
    #[error("reading was cancelled")]
    Cancelled,
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl FileError {
    /// A name for this error that does not change between versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "file_not_found",
            Self::NotAFile(_) => "file_not_a_file",
            Self::Unreadable { .. } => "file_unreadable",
            Self::UnknownFormat { .. } => "file_unknown_format",
            Self::NoStream(_) => "file_no_stream",
            Self::UnsupportedCodec { .. } => "file_unsupported_codec",
            Self::Damaged { .. } => "file_damaged",
            Self::NotRepeatable { .. } => "file_not_repeatable",
            Self::Cancelled => "file_cancelled",
            Self::Codec(err) => err.code(),
        }
    }
}

/// Whether a file has to contain a kind of stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Need {
    Required,
    #[default]
    IfThere,
    /// It is not decoded even if it is there.
    Skip,
}

/// What happens at the end of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Repeat {
    #[default]
    Once,
    /// It begins again, and timestamps go on rising. A still ends all the same: it has no length to repeat.
    Forever,
}

#[derive(Clone, Debug, Default)]
pub struct FileOptions {
    pub pictures: Need,
    pub sound: Need,
    pub repeat: Repeat,
    /// When set, the call in progress and all later ones return [`FileError::Cancelled`].
    pub stop: StopSignal,
}

/// What a file contains, as its container states it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileInfo {
    /// FFmpeg's name of the format.
    pub format: String,
    /// `None` where the container does not say, and for stills.
    pub duration: Option<Timestamp>,
    /// One picture without a length.
    pub is_still: bool,
    pub video: Option<FileVideo>,
    pub sound: Option<FileSound>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileVideo {
    pub codec: String,
    pub size: Size,
    /// The mean; `None` where the container does not say.
    pub frame_rate: Option<FrameRate>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileSound {
    pub codec: String,
    pub rate: u32,
    pub channels: u32,
}

/// The next piece of a file.
#[derive(Clone, Debug)]
pub enum FilePiece {
    /// In the file's size and in whichever of our formats is nearest to the file's own (I420 for most films, RGBA
    /// or BGRA for stills with alpha), its time at 90 kHz from the file's start.
    Picture(Picture),
    /// In the programme's format: 48 kHz, stereo.
    Sound(AudioBlock),
}

/// An open file. Pieces come in the file's order, pictures and sound each in order of their times.
pub struct FileReader {
    demuxer: Demuxer,
    info: FileInfo,
    options: FileOptions,
    video: Option<VideoStream>,
    sound: Option<SoundStream>,
    packet: raw::Packet,
    frame: Frame,
    /// What one packet gave: at most a decoder's reorder buffer, when the end drains it.
    ready: VecDeque<FilePiece>,
    /// What the repeats so far add to the file's own times.
    offset: Timestamp,
    /// The latest end of a piece.
    end: Timestamp,
    is_over: bool,
    damaged_in_a_row: u32,
    damaged: u64,
}

impl std::fmt::Debug for FileReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileReader").field("info", &self.info).finish_non_exhaustive()
    }
}

impl FileReader {
    /// Opens a film, a sound file or a still.
    ///
    /// # Errors
    /// Each variant of [`FileError`] but [`FileError::NotRepeatable`]: it is not there, of no known kind, lacks a
    /// stream that is required, or has one that cannot be decoded.
    pub fn open(path: &Path, options: FileOptions) -> Result<Self, FileError> {
        let unreadable = |err: std::io::Error| match err.kind() {
            ErrorKind::NotFound => FileError::NotFound(path.to_owned()),
            _ => FileError::Unreadable { path: path.to_owned(), reason: err.to_string() },
        };
        // Asked before opening: to open a pipe waits for its writer, and nothing can end that.
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(FileError::NotAFile(path.to_owned()));
        }
        Self::from_input(Box::new(File::open(path).map_err(unreadable)?), options)
    }

    /// The same from bytes anywhere.
    pub fn from_reader(
        input: impl Read + Seek + Send + 'static,
        options: FileOptions,
    ) -> Result<Self, FileError> {
        Self::from_input(Box::new(input), options)
    }

    fn from_input(input: Box<dyn ReadSeek>, options: FileOptions) -> Result<Self, FileError> {
        // A demuxer that was given up may call it the end, or damage.
        let stopped = options.stop.clone();
        let mut demuxer = Demuxer::open(input, options.stop.clone()).map_err(|code| match code {
            _ if stopped.is_set() => FileError::Cancelled,
            code => FileError::UnknownFormat { reason: raw::reason(code) },
        })?;
        let format = demuxer.format_name();
        let is_still = format.ends_with("_pipe");
        let video = find(&demuxer, AVMediaType::AVMEDIA_TYPE_VIDEO, "video", options.pictures)?;
        let sound = find(&demuxer, AVMediaType::AVMEDIA_TYPE_AUDIO, "sound", options.sound)?;
        let kept: Vec<usize> =
            [&video, &sound].into_iter().flatten().map(|(stream, _)| stream.index).collect();
        if kept.is_empty() {
            return Err(FileError::NoStream("video or sound"));
        }
        demuxer.keep_only(&kept);
        let video = video.map(|(stream, decoder)| VideoStream::new(stream, decoder));
        let sound = sound.map(|(stream, decoder)| SoundStream::new(stream, decoder));
        let micros = |micros| Timestamp::new(micros, Timescale::MICROS);
        let info = FileInfo {
            duration: demuxer.duration().filter(|_| !is_still).map(micros),
            format,
            is_still,
            video: video.as_ref().map(VideoStream::info),
            sound: sound.as_ref().map(SoundStream::info),
        };
        Ok(Self {
            demuxer,
            info,
            options,
            video,
            sound,
            packet: raw::Packet::new()?,
            frame: Frame::new()?,
            ready: VecDeque::new(),
            offset: Timestamp::zero(Timescale::VIDEO),
            end: Timestamp::zero(Timescale::VIDEO),
            is_over: false,
            damaged_in_a_row: 0,
            damaged: 0,
        })
    }

    pub fn info(&self) -> &FileInfo {
        &self.info
    }

    /// Packets that could not be decoded and were left out.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// The next picture or block of sound; `None` after the last.
    ///
    /// # Errors
    /// [`FileError::Cancelled`], [`FileError::Damaged`] when nothing of a long stretch can be decoded, or
    /// [`FileError::NotRepeatable`].
    pub fn read(&mut self) -> Result<Option<FilePiece>, FileError> {
        loop {
            if self.options.stop.is_set() {
                return Err(FileError::Cancelled);
            }
            if let Some(piece) = self.ready.pop_front() {
                return Ok(Some(piece));
            }
            if self.is_over {
                return Ok(None);
            }
            match self.demuxer.read(&mut self.packet) {
                Ok(index) => self.decode(Some(index))?,
                Err(_) if self.options.stop.is_set() => return Err(FileError::Cancelled),
                Err(ffi::AVERROR_EOF) => self.finish()?,
                // A damaged place in the container: demuxers find the next packet behind it, or the end.
                Err(code) => self.count_damage(raw::reason(code))?,
            }
        }
    }

    fn count_damage(&mut self, reason: String) -> Result<(), FileError> {
        self.damaged += 1;
        self.damaged_in_a_row += 1;
        if self.damaged_in_a_row > MAX_DAMAGED_IN_A_ROW {
            return Err(FileError::Damaged { reason });
        }
        Ok(())
    }

    /// Decodes the packet of stream `index`, or with `None` what the decoders still hold.
    fn decode(&mut self, index: Option<usize>) -> Result<(), FileError> {
        let start = Timestamp::new(self.demuxer.start(), Timescale::MICROS);
        let base = self.offset.minus(start);
        let is_for = |stream: usize| index.is_none_or(|index| index == stream);
        let packet = index.map(|_| &self.packet);
        let (frame, ready) = (&mut self.frame, &mut self.ready);
        let mut damage = None;
        if let Some(video) = self.video.as_mut().filter(|video| is_for(video.index())) {
            damage = damage.or(video.decode(packet, base, frame, ready).err());
        }
        if let Some(sound) = self.sound.as_mut().filter(|sound| is_for(sound.index())) {
            damage = damage.or(sound.decode(packet, base, frame, ready).err());
        }
        for piece in ready {
            let end = match (piece, &self.video) {
                (FilePiece::Picture(picture), Some(video)) => {
                    picture.timestamp().plus(video.frame_duration())
                }
                (FilePiece::Picture(picture), None) => picture.timestamp(),
                (FilePiece::Sound(block), _) => block.end(),
            };
            self.end = self.end.max(end);
        }
        match damage {
            Some(err) => self.count_damage(err.to_string()),
            None => {
                self.damaged_in_a_row = 0;
                Ok(())
            }
        }
    }

    /// At the container's end: the rest out of the decoders, then over or from the start.
    fn finish(&mut self) -> Result<(), FileError> {
        self.decode(None)?;
        // A file that gave nothing since its start would be repeated for ever without a piece.
        let is_empty = self.end <= self.offset;
        if self.options.repeat == Repeat::Once || self.info.is_still || is_empty {
            self.is_over = true;
            return Ok(());
        }
        self.demuxer.rewind().map_err(|code| FileError::NotRepeatable { reason: raw::reason(code) })?;
        self.offset = self.end;
        if let Some(video) = &mut self.video {
            video.flush();
        }
        if let Some(sound) = &mut self.sound {
            sound.flush();
        }
        Ok(())
    }
}
