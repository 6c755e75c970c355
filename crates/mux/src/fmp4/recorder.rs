//! A recording that is playable up to its last whole fragment, whenever its writer is killed.

use std::collections::VecDeque;
use std::io::{self, Seek, SeekFrom, Write};

use media::{Packet, Timescale, Timestamp};

use super::boxes::Kind;
use super::fragment::put_fragment;
use super::movie::{Trak, put_ftyp, put_moov};
use super::sample::{Sample, SampleQueue, TrackConfig};

/// A fragment is written when a key frame comes, and after this long at the latest: what a kill costs.
const MAX_FRAGMENT_MS: i64 = 500;
/// Sound held until video begins, about 2.7 s of AAC: encoders and networks deliver sound first. When full
/// the oldest goes, which would lie before the zero of the recording anyway.
const MAX_EARLY_SOUNDS: usize = 128;

/// Where a box has its type: behind its length (ISO/IEC 14496-12 §4.2).
const KIND_AT: usize = 4;

/// What a recording holds; the timeline begins with the first key frame, or with the first sound where
/// there is no video.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tracks {
    pub video: Option<TrackConfig>,
    pub audio: Option<TrackConfig>,
}

#[derive(Debug)]
struct Lane {
    id: u32,
    config: TrackConfig,
    /// Made when the recording's zero is known.
    queue: Option<SampleQueue>,
    /// At most a fragment's worth.
    ready: Vec<Sample>,
}

impl Lane {
    /// Passes over what begins before the recording does.
    fn take(&mut self, packet: &Packet) {
        if let Some(queue) = self.queue.as_mut().filter(|queue| !queue.starts_before_origin(packet)) {
            self.ready.extend(queue.push(packet));
        }
    }

    fn span_ms(&self) -> i64 {
        let (Some(first), Some(last)) = (self.ready.first(), self.ready.last()) else { return 0 };
        Timestamp::new(last.end() - first.dts, self.config.timescale()).rescale(Timescale::MILLIS).ticks()
    }
}

/// Writes a fragmented MP4 as packets come.
///
/// A fragment's header is written as a `free` box, which players pass over, and becomes a `moof` with the four bytes
/// that are written last: FFmpeg opens no file that ends within a `moof`.
#[derive(Debug)]
pub struct FragmentedWriter<W> {
    out: W,
    video: Option<Lane>,
    audio: Option<Lane>,
    early: VecDeque<Packet>,
    fragments: u32,
    bytes: u64,
}

impl<W: Write + Seek> FragmentedWriter<W> {
    /// Writes the headers; `out` is empty.
    ///
    /// # Errors
    /// What `out` returns.
    pub fn new(mut out: W, tracks: Tracks) -> io::Result<Self> {
        let mut ids = 1..;
        let mut lane = |config: Option<TrackConfig>| {
            let (config, id) = config.zip(ids.next())?;
            Some(Lane { id, config, queue: None, ready: Vec::new() })
        };
        let (video, audio) = (lane(tracks.video), lane(tracks.audio));
        let mut header = Vec::new();
        put_ftyp(&mut header, b"iso5", &[b"iso5", b"iso6", b"mp41"]);
        let traks: Vec<_> = [&video, &audio]
            .into_iter()
            .flatten()
            .map(|lane| Trak::fragmented(lane.id, &lane.config))
            .collect();
        put_moov(&mut header, &traks);
        out.write_all(&header)?;
        out.flush()?;
        Ok(Self { out, video, audio, early: VecDeque::new(), fragments: 0, bytes: header.len() as u64 })
    }

    /// Takes a packet of the video track; those before the first key frame are passed over.
    ///
    /// # Errors
    /// What the writer returns. The fragment is then lost, but the next can be tried: it takes its place.
    pub fn write_video(&mut self, packet: &Packet) -> io::Result<()> {
        let Some(video) = &mut self.video else { return Ok(()) };
        if video.queue.is_none() {
            if !packet.key {
                return Ok(());
            }
            video.queue = Some(SampleQueue::new(video.config.clone(), packet.dts));
            if let Some(audio) = &mut self.audio {
                audio.queue = Some(SampleQueue::new(audio.config.clone(), packet.dts));
                for sound in std::mem::take(&mut self.early) {
                    audio.take(&sound);
                }
            }
        }
        let Some(queue) = &mut video.queue else { return Ok(()) };
        video.ready.extend(queue.push(packet));
        if (packet.key && !video.ready.is_empty()) || video.span_ms() >= MAX_FRAGMENT_MS {
            self.flush_fragment()?;
        }
        Ok(())
    }

    /// Takes a packet of the sound track; where there is video, sound from before its start is passed over.
    ///
    /// # Errors
    /// As [`FragmentedWriter::write_video`].
    pub fn write_audio(&mut self, packet: &Packet) -> io::Result<()> {
        let Some(audio) = &mut self.audio else { return Ok(()) };
        if audio.queue.is_none() && self.video.is_none() {
            audio.queue = Some(SampleQueue::new(audio.config.clone(), packet.dts));
        }
        if audio.queue.is_none() {
            if self.early.len() == MAX_EARLY_SOUNDS {
                self.early.pop_front();
            }
            self.early.push_back(packet.clone());
            return Ok(());
        }
        audio.take(packet);
        // Twice as long as video's: sound cuts fragments only where no video does.
        let limit = if self.video.is_some() { 2 * MAX_FRAGMENT_MS } else { MAX_FRAGMENT_MS };
        if audio.span_ms() >= limit { self.flush_fragment() } else { Ok(()) }
    }

    /// Bytes written so far.
    pub fn bytes_written(&self) -> u64 {
        self.bytes
    }

    /// Writes what is held back and returns the writer, at its end.
    ///
    /// # Errors
    /// What the writer returns.
    pub fn finish(mut self) -> io::Result<W> {
        for lane in [&mut self.video, &mut self.audio].into_iter().flatten() {
            lane.ready.extend(lane.queue.as_mut().and_then(SampleQueue::finish));
        }
        self.flush_fragment()?;
        self.out.seek(SeekFrom::Start(self.bytes))?;
        Ok(self.out)
    }

    fn flush_fragment(&mut self) -> io::Result<()> {
        let lanes = [&self.video, &self.audio];
        let runs: Vec<_> = lanes.into_iter().flatten().map(|lane| (lane.id, lane.ready.as_slice())).collect();
        if runs.iter().all(|(_, samples)| samples.is_empty()) {
            return Ok(());
        }
        self.fragments += 1;
        let mut fragment = Vec::new();
        put_fragment(&mut fragment, self.fragments, &runs);
        for lane in [&mut self.video, &mut self.audio].into_iter().flatten() {
            lane.ready.clear();
        }
        let kind = KIND_AT..KIND_AT + 4;
        let moof: Kind = std::array::from_fn(|byte| fragment[KIND_AT + byte]);
        fragment[kind].copy_from_slice(b"free");
        self.out.seek(SeekFrom::Start(self.bytes))?;
        self.out.write_all(&fragment)?;
        self.out.flush()?;
        self.out.seek(SeekFrom::Start(self.bytes + KIND_AT as u64))?;
        self.out.write_all(&moof)?;
        self.bytes += fragment.len() as u64;
        self.out.flush()
    }
}
