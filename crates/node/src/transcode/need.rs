//! What the stream has, times what its subscribers need: the transcodes that must run. Nothing here acts.

use std::collections::{BTreeMap, BTreeSet};

use media::{Codec, KeyPlacement, Ladder, Made, Rendition, RenditionName, Size};
use mux::h264::Sps;

use crate::stream::Lane;

/// Enough for music in stereo.
const OPUS_KBPS: u32 = 128;
const AAC_KBPS: u32 = 128;
/// Below this no picture is worth its packets.
const LEAST_KBPS: u32 = 64;
/// Below this H.264 here has no encoder, and nobody a use.
const LEAST_SIDE: u32 = 32;

/// The most pixels that a transcoder decodes: those of UHD.
const MOST_PIXELS: u64 = 3840 * 2160;

/// Whether a transcoder takes such pictures: it knows 4:2:0 (and pictures without colour) in eight bits. Of others it would
/// make nothing, however often it was begun.
pub fn is_taken(sps: &Sps) -> bool {
    sps.chroma_format_idc <= 1 && sps.bit_depth == 8 && sps.size.pixels() <= MOST_PIXELS
}

/// What people are told of pictures that are not.
pub const NOT_TAKEN: &str = "There are no smaller renditions for viewers with slow lines: the node makes them of H.264 in \
                             4:2:0 with 8 bits up to 3840 × 2160 alone. Set the encoder to that (\"yuv420p\", \"NV12\").";

/// One transcode: a child process of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Job {
    /// A single rendition becomes several.
    Ladder,
    /// Opus of the creator's AAC.
    Opus,
    /// AAC of the creator's Opus.
    Aac,
}

/// What a child makes of what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Work {
    pub input: Lane,
    pub keys: KeyPlacement,
    pub outputs: Vec<Made>,
}

impl Work {
    pub fn lanes(&self) -> impl Iterator<Item = Lane> {
        self.outputs.iter().map(|made| lane_of(*made))
    }

    /// Whether a child that does this does `other` too: measured bitrates move, and are no reason to begin anew.
    pub fn serves(&self, other: &Self) -> bool {
        let shape = |work: &Self| -> Vec<(Lane, Option<Size>)> {
            let size = |made: &Made| match made {
                Made::Picture(rendition) => Some(rendition.size),
                Made::Sound { .. } => None,
            };
            work.outputs.iter().map(|made| (lane_of(*made), size(made))).collect()
        };
        (self.input, self.keys) == (other.input, other.keys) && shape(self) == shape(other)
    }
}

pub fn lane_of(made: Made) -> Lane {
    match made {
        Made::Picture(rendition) => Lane::Video(rendition.name),
        Made::Sound { codec, .. } => Lane::Audio(codec),
    }
}

/// The creator's picture, where it is a single rendition.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SourcePicture {
    pub name: RenditionName,
    pub size: Size,
    /// See [`is_taken`].
    pub is_taken: bool,
    pub kbps: f64,
    /// Pictures come in another order than they are shown: B-frames.
    pub reordered: bool,
    /// Key frames are more than four seconds apart.
    pub sparse_keys: bool,
    /// Whether the publisher makes a key frame when it is asked.
    pub makes_keys: bool,
}

impl SourcePicture {
    /// Whether WebRTC viewers can have it as it is.
    pub fn suits_webrtc(&self) -> bool {
        !self.reordered && (!self.sparse_keys || self.makes_keys)
    }
}

/// What the creator publishes.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Source {
    pub picture: Option<SourcePicture>,
    pub sound: BTreeSet<Codec>,
}

/// Who is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Subscribers {
    pub webrtc: u32,
    pub rtmp: u32,
    /// Whether somebody asked for something lately.
    pub hls: bool,
}

impl Subscribers {
    /// Whether somebody is there for whom there are several renditions.
    pub fn watch(&self) -> bool {
        self.webrtc > 0 || self.hls
    }
}

/// The transcodes that must run.
pub fn needs(source: &Source, subscribers: Subscribers) -> BTreeMap<Job, Work> {
    let mut jobs = BTreeMap::new();
    let Subscribers { webrtc, rtmp, hls } = subscribers;
    if let Some(picture) = source.picture.filter(|picture| picture.is_taken && subscribers.watch()) {
        let work = ladder(picture);
        if !work.outputs.is_empty() {
            jobs.insert(Job::Ladder, work);
        }
    }
    let mut sound = |job, wanted: bool, from: Codec, to: Codec, kbps| {
        if wanted && source.sound.contains(&from) && !source.sound.contains(&to) {
            let outputs = vec![Made::Sound { codec: to, kbps }];
            jobs.insert(job, Work { input: Lane::Audio(from), keys: KeyPlacement::Source, outputs });
        }
    };
    sound(Job::Opus, webrtc > 0, Codec::Aac, Codec::Opus, OPUS_KBPS);
    sound(Job::Aac, hls || rtmp > 0, Codec::Opus, Codec::Aac, AAC_KBPS);
    jobs
}

/// The steps below the source's, at the ladder's proportions where the source has less than the ladder's
/// bitrate; and the source's own step where WebRTC viewers cannot have it as it is.
fn ladder(source: SourcePicture) -> Work {
    let share = (source.kbps / f64::from(source.name.default_kbps())).min(1.0);
    let kbps = |name: RenditionName| ((f64::from(name.default_kbps()) * share) as u32).max(LEAST_KBPS);
    let is_below = |step: &&Rendition| {
        step.name < source.name
            && step.size.pixels() < source.size.pixels()
            && step.size.width.min(step.size.height) >= LEAST_SIDE
    };
    let steps = Ladder::default_for(source.size);
    let mut outputs: Vec<Made> = steps
        .renditions()
        .iter()
        .filter(is_below)
        .map(|step| Made::Picture(Rendition { bitrate_kbps: kbps(step.name), ..*step }))
        .collect();
    if !source.suits_webrtc() {
        // 4:2:0 has no odd sides.
        let size = Size::new(source.size.width & !1, source.size.height & !1);
        let top = Rendition { name: source.name, size, bitrate_kbps: kbps(source.name) };
        outputs.push(Made::Picture(top));
    }
    let keys = if source.sparse_keys { KeyPlacement::Grid } else { KeyPlacement::Source };
    Work { input: Lane::Video(source.name), keys, outputs }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEWER: Subscribers = Subscribers { webrtc: 1, rtmp: 0, hls: false };
    const HLS: Subscribers = Subscribers { webrtc: 0, rtmp: 0, hls: true };
    const PLAYER: Subscribers = Subscribers { webrtc: 0, rtmp: 1, hls: false };

    fn picture() -> SourcePicture {
        SourcePicture {
            name: RenditionName::High,
            size: Size::new(1280, 720),
            is_taken: true,
            kbps: 6000.0,
            reordered: false,
            sparse_keys: false,
            makes_keys: false,
        }
    }

    fn rtmp() -> Source {
        Source { picture: Some(picture()), sound: [Codec::Aac].into() }
    }

    fn whip() -> Source {
        Source { picture: None, sound: [Codec::Opus].into() }
    }

    fn jobs(source: &Source, subscribers: Subscribers) -> Vec<Job> {
        needs(source, subscribers).into_keys().collect()
    }

    fn steps(source: &Source) -> Vec<(&'static str, u32, u32)> {
        let work = needs(source, VIEWER).remove(&Job::Ladder).unwrap();
        let step = |made: &Made| match made {
            Made::Picture(step) => (step.name.as_str(), step.size.height, step.bitrate_kbps),
            Made::Sound { .. } => panic!("a ladder has no sound"),
        };
        work.outputs.iter().map(step).collect()
    }

    #[test]
    fn a_stream_that_nobody_watches_needs_nothing() {
        assert_eq!(jobs(&rtmp(), Subscribers::default()), []);
        assert_eq!(jobs(&whip(), Subscribers::default()), []);
    }

    #[test]
    fn each_subscriber_needs_what_the_source_lacks_for_it() {
        assert_eq!(jobs(&rtmp(), VIEWER), [Job::Ladder, Job::Opus]);
        assert_eq!(jobs(&rtmp(), HLS), [Job::Ladder]);
        assert_eq!(jobs(&rtmp(), PLAYER), []);
        assert_eq!(jobs(&whip(), VIEWER), []);
        assert_eq!(jobs(&whip(), HLS), [Job::Aac]);
        assert_eq!(jobs(&whip(), PLAYER), [Job::Aac]);
    }

    #[test]
    fn of_pictures_that_no_transcoder_takes_no_ladder_is_made_and_their_sound_is_made_all_the_same() {
        let source = Source { picture: Some(SourcePicture { is_taken: false, ..picture() }), ..rtmp() };
        assert_eq!(jobs(&source, VIEWER), [Job::Opus]);
        assert_eq!(jobs(&source, HLS), []);
    }

    #[test]
    fn the_ladder_is_the_default_ones_below_the_source() {
        let expected = [("very_low", 180, 500), ("low", 360, 1000), ("medium", 480, 2000)];
        assert_eq!(steps(&rtmp()), expected);
        assert_eq!(needs(&rtmp(), VIEWER)[&Job::Ladder].keys, KeyPlacement::Source);
    }

    #[test]
    fn a_source_of_half_the_ladders_bitrate_has_steps_of_half_theirs() {
        let source = Source { picture: Some(SourcePicture { kbps: 2000.0, ..picture() }), ..rtmp() };
        let kbps: Vec<_> = steps(&source).iter().map(|step| step.2).collect();
        assert_eq!(kbps, [250, 500, 1000]);
    }

    #[test]
    fn pictures_out_of_order_are_made_anew_in_their_own_size() {
        let source = Source { picture: Some(SourcePicture { reordered: true, ..picture() }), ..rtmp() };
        assert_eq!(steps(&source).last(), Some(&("high", 720, 4000)));
        assert_eq!(needs(&source, VIEWER)[&Job::Ladder].keys, KeyPlacement::Source);
    }

    #[test]
    fn rare_key_frames_are_made_anew_on_a_grid_unless_the_publisher_makes_them() {
        let sparse = SourcePicture { sparse_keys: true, ..picture() };
        let source = |picture| Source { picture: Some(picture), ..rtmp() };
        assert_eq!(steps(&source(sparse)).len(), 4);
        assert_eq!(needs(&source(sparse), VIEWER)[&Job::Ladder].keys, KeyPlacement::Grid);
        assert_eq!(steps(&source(SourcePicture { makes_keys: true, ..sparse })).len(), 3);
    }

    #[test]
    fn a_bitrate_that_moves_is_no_other_work_and_another_size_is() {
        let work = |picture| ladder(picture);
        assert!(work(picture()).serves(&work(SourcePicture { kbps: 900.0, ..picture() })));
        assert!(!work(picture()).serves(&work(SourcePicture { size: Size::new(640, 360), ..picture() })));
        assert!(!work(picture()).serves(&work(SourcePicture { reordered: true, ..picture() })));
    }
}
