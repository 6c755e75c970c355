//! One stream as an HLS origin serves it: playlists, and the files that they name, for as long as the RFC
//! wants them to be there.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use media::{AudioTrack, Codec, Packet, RenditionName, Timescale, Timestamp, VideoTrack, WallTime};
use thiserror::Error;

use super::master::{MasterPlaylist, Sound, Variant};
use super::playlist::{MediaPlaylist, PartEntry, PlaylistConfig, RenditionReport, SegmentStart};
use super::reload::{Answer, ReloadRequest};
use super::segmenter::{Output, Segmenter, SegmenterConfig, TrackName};
use crate::aac::AacError;
use crate::fmp4::TrackConfig;
use crate::h264::{AvcConfig, H264Error};
use crate::opus::OpusHead;

/// Headers kept of a rendition: each change of them is a discontinuity.
const MAX_INITS: usize = 8;
/// Segments kept of a rendition, and bytes of them, whatever their times: enough for the shortest playlist at the
/// highest rate that a segment may have.
const MAX_STORED: usize = 128;
const MAX_STORED_BYTES: usize = 128 << 20;
/// What a header may exceed its average by, until a worse segment was measured: in percent.
const ASSUMED_PEAK_PERCENT: u64 = 120;

/// How a stream is cut and kept.
#[derive(Clone, PartialEq, Debug)]
pub struct OriginConfig {
    /// In front of every file name, and different for each broadcast, so that files never change under
    /// their name and any cache may keep them.
    pub tag: String,
    pub grid: Timestamp,
    pub target_seconds: u32,
    pub part_target: Timestamp,
    /// How long a file is kept. A segment must stay for as long as the longest playlist that names it
    /// after leaving it (RFC 8216 §6.2.2), so nearly half of this is listed.
    pub retention: Timestamp,
    /// The wall time of media time zero.
    pub epoch: WallTime,
}

impl OriginConfig {
    /// Segments of 2 s on the key frame grid, parts of a third of a second, kept for 30 s.
    pub fn live(tag: String, epoch: WallTime) -> Self {
        Self {
            tag,
            grid: Timestamp::new(2, Timescale::of(1)),
            target_seconds: 2,
            part_target: Timestamp::new(1, Timescale::of(3)),
            retention: Timestamp::new(30, Timescale::of(1)),
            epoch,
        }
    }

    fn window(&self) -> Timestamp {
        let target = Timestamp::new(self.target_seconds.into(), Timescale::of(1));
        let rest = self.retention.rescale(Timescale::MILLIS).minus(target);
        // Fewer than three segments no player may be given (RFC 8216 §6.2.2).
        let least = Timestamp::new(i64::from(self.target_seconds) * 3, Timescale::of(1));
        Timestamp::new(rest.ticks() / 2, rest.timescale()).max(least)
    }
}

/// Why a track cannot be served.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TrackError {
    #[error(transparent)]
    H264(#[from] H264Error),
    #[error(transparent)]
    Aac(#[from] AacError),
    #[error("HLS carries H.264 video with AAC or Opus sound, not {0:?}")]
    Codec(Codec),
}

/// A file that was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum File {
    /// Its bytes, in pieces that follow each other. It never changes.
    Ready(Vec<Bytes>),
    /// It was announced and is being made: ask again after the next change.
    Wait,
    /// There is no such file, or no longer.
    Missing,
}

/// Which time of the stream a file of media holds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Extent {
    pub track: TrackName,
    /// Of the segment that it is, or is a part of.
    pub segment: SegmentStart,
    /// On the segment's timeline: where it begins, and where what follows it does.
    pub start: Timestamp,
    pub end: Timestamp,
}

#[derive(Debug)]
enum About {
    Video(VideoTrack),
    Audio(AudioTrack),
}

#[derive(Debug)]
struct Stored {
    at: SegmentStart,
    parts: Vec<Bytes>,
    /// Where each part ends, from the segment's start on.
    ends: Vec<Timestamp>,
    duration: Timestamp,
    whole: bool,
}

impl Stored {
    /// Of a part, or of the whole segment.
    fn span(&self, part: Option<usize>) -> Option<(Timestamp, Timestamp)> {
        let start = self.at.start;
        let Some(part) = part else { return Some((start, start.plus(self.duration))) };
        let end = start.plus(*self.ends.get(part)?);
        let before = part.checked_sub(1).and_then(|before| self.ends.get(before));
        Some((before.map_or(start, |before| start.plus(*before)), end))
    }

    fn bytes(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }
}

#[derive(Debug)]
struct Rendition {
    about: About,
    codec: String,
    playlist: MediaPlaylist,
    config: TrackConfig,
    inits: VecDeque<(u32, Bytes)>,
    stored: VecDeque<Stored>,
    /// Of the worst whole segment so far.
    peak_bits_per_second: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Origin {
    config: OriginConfig,
    segmenter: Segmenter,
    renditions: BTreeMap<TrackName, Rendition>,
}

impl Origin {
    pub fn new(config: OriginConfig) -> Self {
        let segmenter = Segmenter::new(SegmenterConfig {
            grid: config.grid,
            target_seconds: config.target_seconds,
            part_target: config.part_target,
            epoch: config.epoch,
        });
        Self { config, segmenter, renditions: BTreeMap::new() }
    }

    /// Adds a video rendition. For one that is there, other headers mean a discontinuity, the same none.
    ///
    /// # Errors
    /// [`TrackError`] when its SPS cannot be read.
    pub fn set_video(&mut self, track: VideoTrack, config: AvcConfig) -> Result<(), TrackError> {
        let name = TrackName::Video(track.rendition);
        self.set_track(name, About::Video(track), TrackConfig::h264(config)?);
        Ok(())
    }

    /// Adds the sound; what is there is treated as by [`Origin::set_video`].
    ///
    /// # Errors
    /// [`TrackError`] when it is neither AAC with a readable config nor Opus.
    pub fn set_audio(&mut self, track: AudioTrack) -> Result<(), TrackError> {
        let config = match track.codec {
            Codec::Aac => TrackConfig::aac(track.config.clone())?,
            Codec::Opus => TrackConfig::Opus(OpusHead::new(track.channels.clamp(1, 2) as u8)),
            Codec::H264 => return Err(TrackError::Codec(track.codec)),
        };
        self.set_track(TrackName::Audio, About::Audio(track), config);
        Ok(())
    }

    fn set_track(&mut self, name: TrackName, about: About, config: TrackConfig) {
        let codec = config.codec_string();
        let known = self.renditions.get(&name).map(|rendition| rendition.config == config);
        match self.renditions.get_mut(&name) {
            Some(rendition) => {
                rendition.about = about;
                rendition.codec = codec;
                rendition.config = config.clone();
            }
            None => {
                let playlist = MediaPlaylist::new(PlaylistConfig {
                    prefix: format!("{}-{}-", self.config.tag, name.as_str()),
                    target_seconds: self.config.target_seconds,
                    part_target: self.config.part_target,
                    window: self.config.window(),
                });
                let (inits, stored) = (VecDeque::new(), VecDeque::new());
                let config = config.clone();
                let rendition =
                    Rendition { about, codec, playlist, config, inits, stored, peak_bits_per_second: 0 };
                self.renditions.insert(name, rendition);
            }
        }
        if known != Some(true) {
            let outputs = self.segmenter.set_track(name, config);
            self.apply(&outputs);
        }
    }

    /// Makes a rendition begin segments only where others do, whatever key frames it has besides.
    pub fn follow(&mut self, track: TrackName) {
        self.segmenter.follow(track);
    }

    /// Undoes [`Origin::follow`].
    pub fn lead(&mut self, track: TrackName) {
        self.segmenter.lead(track);
    }

    /// Takes a rendition and its files away; the others go on. Should it come back, it begins with other file
    /// names.
    pub fn remove(&mut self, track: TrackName) {
        self.segmenter.remove_track(track);
        self.renditions.remove(&track);
    }

    /// Whether a player could begin with this rendition.
    pub fn is_playable(&self, track: TrackName) -> bool {
        self.renditions.get(&track).is_some_and(|rendition| rendition.playlist.is_playable())
    }

    /// Takes a packet. What became ready is already served; it is returned for whoever stores it elsewhere.
    pub fn push(&mut self, track: TrackName, packet: &Packet) -> Vec<Output> {
        let outputs = self.segmenter.push(track, packet);
        self.apply(&outputs);
        outputs
    }

    /// How often a rendition had more for a segment than a segment may hold; the rest was left out.
    pub fn overflows(&self) -> u64 {
        self.segmenter.overflows()
    }

    /// The publisher's timeline changes.
    pub fn discontinuity(&mut self) -> Vec<Output> {
        let outputs = self.segmenter.discontinuity();
        self.apply(&outputs);
        outputs
    }

    /// The broadcast is over: playlists end, files stay.
    pub fn finish(&mut self) -> Vec<Output> {
        let outputs = self.segmenter.finish();
        self.apply(&outputs);
        outputs
    }

    /// Of media, written or not.
    #[cfg(test)]
    pub(super) fn bytes_held(&self) -> usize {
        let stored = self.renditions.values().flat_map(|rendition| &rendition.stored).map(Stored::bytes);
        stored.sum::<usize>() + self.segmenter.bytes_held()
    }

    fn apply(&mut self, outputs: &[Output]) {
        let kept = self.config.retention;
        for output in outputs {
            let (Output::Init { track, .. }
            | Output::Segment { track, .. }
            | Output::Gap { track, .. }
            | Output::Part { track, .. }
            | Output::End { track }) = output;
            if let Some(rendition) = self.renditions.get_mut(track) {
                rendition.apply(output, kept);
            }
        }
    }

    /// The name of a rendition's playlist, relative to the folder of all files.
    pub fn playlist_name(track: TrackName) -> String {
        format!("{}.m3u8", track.as_str())
    }

    /// The rendition that a playlist's name means, if it is there.
    pub fn track_of(&self, playlist_name: &str) -> Option<TrackName> {
        self.renditions.keys().copied().find(|&track| Self::playlist_name(track) == playlist_name)
    }

    /// What a request for a rendition's playlist gets; `None` where there is no such rendition.
    pub fn playlist(&self, track: TrackName, request: &ReloadRequest) -> Option<Answer> {
        let others: Vec<RenditionReport> = self
            .renditions
            .iter()
            .filter(|(name, _)| **name != track)
            .filter_map(|(name, rendition)| rendition.playlist.report(Self::playlist_name(*name)))
            .collect();
        Some(self.renditions.get(&track)?.playlist.answer(request, &others))
    }

    /// A header, segment or part by its name, without folder.
    pub fn file(&self, name: &str) -> File {
        let found = self.renditions.values().find_map(|rendition| rendition.file(name));
        found.unwrap_or(File::Missing)
    }

    /// Which time a segment or part that is there holds; `None` for what is no media.
    pub fn extent(&self, name: &str) -> Option<Extent> {
        self.renditions.iter().find_map(|(track, rendition)| {
            let (msn, part) = rendition.named(name)?;
            let stored = rendition.stored(msn)?;
            let (start, end) = stored.span(part)?;
            Some(Extent { track: *track, segment: stored.at, start, end })
        })
    }

    /// Whether each rendition has a whole segment: then a player finds pictures and sound where it begins.
    pub fn has_segments(&self) -> bool {
        self.renditions.values().all(|rendition| rendition.playlist.has_segment())
    }

    /// Whether there are pictures.
    pub fn has_video(&self) -> bool {
        self.renditions.keys().any(|track| matches!(track, TrackName::Video(_)))
    }

    /// The multivariant playlist; `folder` goes in front of the media playlists' names. `None` until
    /// every rendition can be played.
    pub fn master(&self, folder: &str) -> Option<String> {
        if !self.renditions.values().all(|r| r.playlist.is_playable()) {
            return None;
        }
        self.master_of_playable(folder)
    }

    /// The same of the renditions that can be played by now; `None` where there is none.
    pub fn master_of_playable(&self, folder: &str) -> Option<String> {
        self.master_of(folder, |_| true)
    }

    /// The same of the pictures up to `best` alone; `None` where none of them can be played, though there are others.
    pub fn master_up_to(&self, folder: &str, best: RenditionName) -> Option<String> {
        let is_within = |track| matches!(track, TrackName::Video(name) if name <= best);
        let is_playable = |(track, rendition): (&TrackName, &Rendition)| {
            is_within(*track) && rendition.playlist.is_playable()
        };
        if self.has_video() && !self.renditions.iter().any(is_playable) {
            return None;
        }
        self.master_of(folder, |track| track == TrackName::Audio || is_within(track))
    }

    fn master_of(&self, folder: &str, may_have: impl Fn(TrackName) -> bool) -> Option<String> {
        let is_named =
            |track: TrackName, rendition: &Rendition| may_have(track) && rendition.playlist.is_playable();
        let playable = || self.renditions.iter().filter(|(track, rendition)| is_named(**track, rendition));
        playable().next()?;
        let uri = |track| format!("{folder}{}", Self::playlist_name(track));
        let audio = playable().find(|(track, _)| **track == TrackName::Audio).map(|(_, audio)| audio);
        let (sound_average, sound_peak) = audio.map_or((0, 0), Rendition::bits_per_second);
        let mut master = MasterPlaylist {
            sound_bits_per_second: sound_peak,
            sound_codec: audio.map_or_else(String::new, |audio| audio.codec.clone()),
            ..MasterPlaylist::default()
        };
        for (track, rendition) in playable().rev() {
            let (average, peak) = rendition.bits_per_second();
            match &rendition.about {
                About::Audio(about) => {
                    master.sound = Some(Sound { uri: uri(*track), channels: about.channels });
                }
                About::Video(about) => master.variants.push(Variant {
                    uri: uri(*track),
                    peak_bits_per_second: peak + sound_peak,
                    average_bits_per_second: average + sound_average,
                    codecs: [Some(rendition), audio].into_iter().flatten().map(|r| r.codec.clone()).collect(),
                    size: about.size,
                    frame_rate: about.frame_rate,
                }),
            }
        }
        Some(master.text())
    }
}

impl Rendition {
    /// Average as configured, and the worst so far.
    fn bits_per_second(&self) -> (u64, u64) {
        let kbps = match &self.about {
            About::Video(track) => track.bitrate_kbps,
            About::Audio(track) => track.bitrate_kbps,
        };
        let average = u64::from(kbps) * 1000;
        (average, self.peak_bits_per_second.max(average * ASSUMED_PEAK_PERCENT / 100))
    }

    fn apply(&mut self, output: &Output, kept: Timestamp) {
        match output {
            Output::Init { init, bytes, .. } => {
                if self.inits.len() == MAX_INITS {
                    self.inits.pop_front();
                }
                self.inits.push_back((*init, bytes.clone()));
            }
            Output::Segment { at, .. } => {
                self.close_segment(kept);
                self.playlist.begin_segment(*at);
                let duration = Timestamp::zero(at.start.timescale());
                let (parts, ends) = (Vec::new(), Vec::new());
                self.stored.push_back(Stored { at: *at, parts, ends, duration, whole: false });
            }
            Output::Gap { at, duration, .. } => {
                self.close_segment(kept);
                self.playlist.add_gap(*at, *duration);
            }
            Output::Part { part, .. } => {
                let duration = part.duration;
                self.playlist.add_part(PartEntry { duration, independent: part.independent });
                if let Some(open) = self.stored.back_mut() {
                    open.duration = open.duration.plus(duration);
                    open.parts.push(part.bytes.clone());
                    open.ends.push(open.duration);
                }
            }
            Output::End { .. } => {
                self.close_segment(kept);
                self.playlist.end();
            }
        }
    }

    fn close_segment(&mut self, kept: Timestamp) {
        if let Some(last) = self.stored.back_mut().filter(|last| !last.whole) {
            last.whole = true;
            let bits = last.bytes() as u64 * 8;
            let seconds = last.duration.as_secs_f64();
            // A short one at a break says nothing about the rate.
            if seconds >= 1.0 {
                self.peak_bits_per_second = self.peak_bits_per_second.max((bits as f64 / seconds) as u64);
            }
        }
        let zero = Timestamp::zero(Timescale::VIDEO);
        let mut held = self.stored.iter().fold(zero, |sum, segment| sum.plus(segment.duration));
        let mut bytes = self.stored.iter().map(Stored::bytes).sum::<usize>();
        while let Some(oldest) = self.stored.front() {
            held = held.minus(oldest.duration);
            let listed = self.playlist.first_msn().is_some_and(|first| oldest.at.msn >= first);
            let fits = self.stored.len() <= MAX_STORED && bytes <= MAX_STORED_BYTES;
            if fits && (held < kept || listed) {
                break;
            }
            bytes -= oldest.bytes();
            self.playlist.forget_until(oldest.at.msn);
            self.stored.pop_front();
        }
    }

    /// The segment that a name means, and the part; `None` where it means neither.
    fn named(&self, name: &str) -> Option<(u64, Option<usize>)> {
        let rest = name.strip_prefix(self.playlist.prefix())?.strip_suffix(".m4s")?;
        let (msn, part) = match rest.split_once('.') {
            Some((msn, part)) => (msn.parse::<u64>().ok()?, Some(part.parse::<usize>().ok()?)),
            None => (rest.parse().ok()?, None),
        };
        // One name a file: "007" would be another for "7", which a cache would keep twice.
        let canonical = match part {
            Some(part) => self.playlist.part_name(msn, part),
            None => self.playlist.segment_name(msn),
        };
        (canonical == name).then_some((msn, part))
    }

    fn stored(&self, msn: u64) -> Option<&Stored> {
        self.stored.iter().find(|segment| segment.at.msn == msn)
    }

    /// `None` when the name belongs to no file of this rendition.
    fn file(&self, name: &str) -> Option<File> {
        if let Some((_, bytes)) = self.inits.iter().find(|(init, _)| self.playlist.init_name(*init) == name) {
            return Some(File::Ready(vec![bytes.clone()]));
        }
        let (msn, part) = self.named(name)?;
        Some(match (self.stored(msn), part) {
            (Some(segment), None) if segment.whole => File::Ready(segment.parts.clone()),
            (Some(segment), Some(part)) if part < segment.parts.len() => {
                File::Ready(vec![segment.parts[part].clone()])
            }
            _ if part.is_some_and(|part| self.playlist.next_part() == Some((msn, part))) => File::Wait,
            _ => File::Missing,
        })
    }
}
