//! Packets of all renditions and the sound, cut into parts and segments that agree with each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use media::{Packet, RenditionName, Timescale, Timestamp, WallTime};

use super::plan::{Boundary, SegmentPlan};
use super::playlist::SegmentStart;
use crate::fmp4::{Part, PartWriter, Sample, SampleQueue, TrackConfig};

/// Sound that waits for video to say where segments begin, about 5.5 s of AAC. When full, video has
/// stalled, and sound goes on without it.
const MAX_WAITING: usize = 256;
/// And so many bytes of it.
const MAX_WAITING_BYTES: usize = 4 << 20;
/// Samples of a part, and bytes of them. A third of a second has fewer unless its times are damage; what is more
/// begins the next part.
const MAX_PART_SAMPLES: usize = 512;
const MAX_PART_BYTES: usize = 4 << 20;
/// Samples of a segment: the shortest Opus frames make half as many. A track that has more leaves the segment, and
/// is back with a later one.
const MAX_SEGMENT_SAMPLES: usize = 2048;
/// The same in bytes: 60 Mbit/s.
const MAX_SEGMENT_BYTES: usize = 16 << 20;
/// Times that go back by more than this, or on by more than [`JUMP_AHEAD`], are another timeline's.
const JUMP_BACK: Timestamp = Timestamp::new(1, Timescale::of(1));
const JUMP_AHEAD: Timestamp = Timestamp::new(10, Timescale::of(1));

/// A rendition of the stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TrackName {
    Video(RenditionName),
    Audio,
}

impl TrackName {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Video(name) => name.as_str(),
            Self::Audio => "audio",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SegmenterConfig {
    /// How far key frames that begin segments are apart.
    pub grid: Timestamp,
    /// EXT-X-TARGETDURATION. Where key frames do not come in time, a segment begins without one.
    pub target_seconds: u32,
    pub part_target: Timestamp,
    /// The wall time of media time zero.
    pub epoch: WallTime,
}

impl SegmenterConfig {
    /// A track that sends nothing for this long has left.
    fn away_after(&self) -> Timestamp {
        Timestamp::new(i64::from(self.target_seconds) * 500, Timescale::MILLIS)
    }
}

/// What became ready.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// The header that segments with this `init` need.
    Init { track: TrackName, init: u32, bytes: Bytes },
    /// A segment begins, and the one before is whole.
    Segment { track: TrackName, at: SegmentStart },
    /// A segment of which this rendition has nothing.
    Gap { track: TrackName, at: SegmentStart, duration: Timestamp },
    /// Part `index` of the track's newest segment.
    Part { track: TrackName, msn: u64, index: usize, part: Part },
    /// Nothing follows.
    End { track: TrackName },
}

/// A track's segment that grows.
#[derive(Clone, Copy, Debug)]
struct Open {
    msn: u64,
    parts: usize,
    samples: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Lane {
    queue: SampleQueue,
    writer: PartWriter,
    init: u32,
    /// `None` until a segment begins.
    open: Option<Open>,
    last_msn: Option<u64>,
    /// How many discontinuities there were until the last segment.
    last_discontinuities: Option<u64>,
    /// How many there must have been until the next.
    from_discontinuities: u64,
    /// The last segment that the track had before it was removed: none of its files is made again.
    retired_msn: Option<u64>,
    part: Vec<Sample>,
    part_ticks: i64,
    part_bytes: usize,
    /// Sound whose segment is not settled yet.
    waiting: VecDeque<Sample>,
}

/// See the module. Every call says what became ready, in order.
#[derive(Debug)]
pub struct Segmenter {
    config: SegmenterConfig,
    plan: SegmentPlan,
    lanes: BTreeMap<TrackName, Lane>,
    /// Video whose key frames begin no segments.
    followers: BTreeSet<TrackName>,
    /// Header and last segment of tracks that were removed.
    retired: BTreeMap<TrackName, (u32, Option<u64>)>,
    overflows: u64,
}

impl Segmenter {
    pub fn new(config: SegmenterConfig) -> Self {
        let plan = SegmentPlan::new(config.grid, config.target_seconds);
        let (lanes, followers, retired) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { config, plan, lanes, followers, retired, overflows: 0 }
    }

    /// Makes a rendition begin segments only where others do: one that is made of another comes later, and
    /// has key frames of its own for viewers that join.
    pub fn follow(&mut self, track: TrackName) {
        self.followers.insert(track);
    }

    /// Undoes [`Segmenter::follow`].
    pub fn lead(&mut self, track: TrackName) {
        self.followers.remove(&track);
    }

    fn leads(&self, track: TrackName) -> bool {
        matches!(track, TrackName::Video(_)) && !self.followers.contains(&track)
    }

    /// Takes a track away. Should it come back, it begins with other file names.
    pub fn remove_track(&mut self, track: TrackName) {
        self.followers.remove(&track);
        if let Some(lane) = self.lanes.remove(&track) {
            self.retired.insert(track, (lane.init, lane.last_msn.or(lane.retired_msn)));
        }
    }

    /// How often a track had more for a segment than a segment may hold.
    pub fn overflows(&self) -> u64 {
        self.overflows
    }

    /// Adds a track, or gives it another header: its segment ends, and the next that begins is a discontinuity.
    ///
    /// That one is marked in every rendition: discontinuity sequence numbers of matching segments must match (RFC
    /// 8216 §6.2.4), and with other encoding parameters the tag should be there (§4.3.2.3). The other renditions'
    /// segments are as long as they would have been, and nothing of them is lost.
    pub fn set_track(&mut self, track: TrackName, config: TrackConfig) -> Vec<Output> {
        let mut out = Vec::new();
        self.leave(track, &mut out);
        let before = self.lanes.remove(&track);
        let retired = self.retired.remove(&track);
        let init = match (&before, retired) {
            (Some(lane), _) => lane.init + 1,
            (None, Some((init, _))) => init + 1,
            (None, None) => 0,
        };
        let retired_msn = before.as_ref().map_or(retired.and_then(|(_, last)| last), |lane| lane.retired_msn);
        let last_discontinuities = before.as_ref().and_then(|lane| lane.last_discontinuities);
        // One that has no segment yet since the last discontinuity begins with that.
        if last_discontinuities == Some(self.plan.discontinuities()) {
            self.plan.mark_next();
        }
        let from_discontinuities = match last_discontinuities {
            Some(last) if last == self.plan.discontinuities() => self.plan.next_discontinuities(),
            _ => 0,
        };
        let writer = PartWriter::new(config.clone());
        let bytes = writer.init_segment();
        let lane = Lane {
            queue: new_queue(config),
            writer,
            init,
            open: None,
            last_msn: before.and_then(|lane| lane.last_msn),
            last_discontinuities,
            from_discontinuities,
            retired_msn,
            part: Vec::new(),
            part_ticks: 0,
            part_bytes: 0,
            waiting: VecDeque::new(),
        };
        self.lanes.insert(track, lane);
        out.push(Output::Init { track, init, bytes });
        out
    }

    /// Takes a packet; one of an unknown track is passed over.
    pub fn push(&mut self, track: TrackName, packet: &Packet) -> Vec<Output> {
        let mut out = Vec::new();
        let has_video = self.lanes.keys().any(|name| self.leads(*name));
        let leads = self.leads(track) || (track == TrackName::Audio && !has_video);
        let Some(lane) = self.lanes.get(&track) else { return out };
        let is_back = lane.queue.is_ahead(packet, JUMP_BACK);
        // A track that was away begins again with a later segment: one picture held for seconds would make
        // a segment longer than the target duration.
        let was_away = lane.queue.is_behind(packet, self.config.away_after());
        if leads && (is_back || self.plan.is_far_ahead(packet.pts, JUMP_AHEAD)) {
            // No boundary of before would ever be reached again.
            out = self.discontinuity();
        } else if is_back || was_away {
            self.leave(track, &mut out);
        }
        if leads {
            self.observe(track, packet);
        }
        let Some(lane) = self.lanes.get_mut(&track) else { return out };
        let done = lane.queue.push(packet);
        if matches!(track, TrackName::Video(_)) {
            if let Some(sample) = done {
                self.take(track, sample, &mut out);
            }
            if let Some(boundary) = self.plan.segment_of_picture(packet.pts) {
                self.advance(track, boundary, packet.pts, packet.key, &mut out);
            }
            self.take_waiting(&mut out);
        } else if let Some(sample) = done {
            lane.waiting.push_back(sample);
            self.take_waiting(&mut out);
        }
        out
    }

    /// Lets the plan see a packet of a track that leads.
    fn observe(&mut self, track: TrackName, packet: &Packet) {
        let duration = Timestamp::new(packet.duration_ticks.into(), packet.pts.timescale());
        self.plan.observe(packet.pts, duration, packet.key);
        // With a header that is new it has nothing to show until the next boundary. Where no other rendition
        // would be cut without a key frame, that one is here.
        let awaited = self.lanes.get(&track).map_or(0, |lane| lane.from_discontinuities);
        let is_only = !self.lanes.keys().any(|name| *name != track && matches!(name, TrackName::Video(_)));
        if packet.key && is_only && awaited > self.plan.discontinuities() {
            self.plan.begin(packet.pts);
        }
    }

    /// The publisher's timeline changes: segments end here, and the next begins with the
    /// next key frame, marked as discontinuous in every rendition.
    pub fn discontinuity(&mut self) -> Vec<Output> {
        let out = self.drain();
        self.plan.discontinuity();
        out
    }

    /// The broadcast is over.
    pub fn finish(&mut self) -> Vec<Output> {
        let mut out = self.drain();
        out.extend(self.lanes.keys().map(|&track| Output::End { track }));
        out
    }

    /// Of samples that are no part yet.
    #[cfg(test)]
    pub(super) fn bytes_held(&self) -> usize {
        let held = |lane: &Lane| {
            lane.part.iter().chain(&lane.waiting).map(|sample| sample.data.len().max(1)).sum::<usize>()
        };
        self.lanes.values().map(held).sum()
    }

    /// Writes all that is held into the segments that grow, and ends them.
    fn drain(&mut self) -> Vec<Output> {
        let mut out = Vec::new();
        let tracks: Vec<_> = self.lanes.keys().copied().collect();
        for track in tracks {
            self.leave(track, &mut out);
        }
        out
    }

    /// Writes what is held of a track and ends its segment.
    fn leave(&mut self, track: TrackName, out: &mut Vec<Output>) {
        let Some(lane) = self.lanes.get_mut(&track) else { return };
        let mut rest: Vec<_> = lane.waiting.drain(..).collect();
        rest.extend(lane.queue.finish());
        for sample in rest {
            self.place(track, sample, out);
        }
        if let Some(lane) = self.lanes.get_mut(&track) {
            lane.flush(track, out);
            lane.open = None;
            lane.queue = new_queue(lane.writer.config().clone());
        }
    }

    /// Places sound whose segment is settled.
    fn take_waiting(&mut self, out: &mut Vec<Output>) {
        let track = TrackName::Audio;
        while let Some(lane) = self.lanes.get_mut(&track) {
            let Some(first) = lane.waiting.front() else { break };
            let scale = lane.queue.config().timescale();
            let pts = Timestamp::new(first.pts(), scale);
            if !self.plan.is_settled(pts) {
                let bytes = lane.waiting.iter().map(|sample| sample.data.len()).sum::<usize>();
                if lane.waiting.len() <= MAX_WAITING && bytes <= MAX_WAITING_BYTES {
                    break;
                }
                self.plan.observe(pts, Timestamp::new(first.duration.into(), scale), true);
            }
            let Some(sample) = lane.waiting.pop_front() else { break };
            self.place(track, sample, out);
        }
    }

    /// Moves to the sample's segment if that is a later one, then takes it.
    fn place(&mut self, track: TrackName, sample: Sample, out: &mut Vec<Output>) {
        let Some(lane) = self.lanes.get(&track) else { return };
        let pts = Timestamp::new(sample.pts(), lane.queue.config().timescale());
        if let Some(boundary) = self.plan.segment_of_sound(pts)
            && !matches!(track, TrackName::Video(_))
        {
            self.advance(track, boundary, pts, true, out);
        }
        self.take(track, sample, out);
    }

    /// Begins the segment at `boundary` if the track is not there yet. A track without a segment begins
    /// only at its very start and with a key frame, so that no segment is a fragment of one.
    fn advance(
        &mut self,
        track: TrackName,
        boundary: Boundary,
        pts: Timestamp,
        key: bool,
        out: &mut Vec<Output>,
    ) {
        let Some(lane) = self.lanes.get_mut(&track) else { return };
        let is_late = match track {
            TrackName::Video(_) => !boundary.is_at(pts),
            // Sound can be decoded from anywhere, and devices start at different times: a shorter first
            // segment is better than two seconds without sound.
            TrackName::Audio => pts.minus(boundary.start) > self.config.away_after(),
        };
        match lane.open {
            Some(open) if open.msn >= boundary.msn => return,
            None if !key || is_late => return,
            None if boundary.discontinuity < lane.from_discontinuities => return,
            None if lane.last_msn.max(lane.retired_msn).is_some_and(|last| last >= boundary.msn) => return,
            _ => {}
        }
        lane.flush(track, out);
        let init = lane.init;
        let start = |boundary: Boundary| SegmentStart {
            msn: boundary.msn,
            start: boundary.start,
            wall: self.config.epoch.plus(boundary.start),
            discontinuity: boundary.discontinuity,
            init,
        };
        if let Some(last) = lane.last_msn {
            let missed = (last + 1..boundary.msn).filter_map(|msn| {
                let at = self.plan.boundary(msn)?;
                let next = self.plan.boundary(msn + 1)?;
                // However far apart: nothing that is listed may be longer.
                let longest = Timestamp::new(self.config.target_seconds.into(), Timescale::of(1));
                let duration = next.start.minus(at.start);
                let duration = duration.min(longest.rescale(duration.timescale()));
                Some(Output::Gap { track, at: start(at), duration })
            });
            out.extend(missed);
        }
        lane.open = Some(Open { msn: boundary.msn, parts: 0, samples: 0, bytes: 0 });
        lane.last_msn = Some(boundary.msn);
        lane.last_discontinuities = Some(boundary.discontinuity);
        // Its own first sample: sound begins up to a frame after the boundary.
        out.push(Output::Segment { track, at: start(Boundary { start: pts, ..boundary }) });
    }

    /// Adds a sample to the part that grows; writes the part when the next would not fit.
    fn take(&mut self, track: TrackName, sample: Sample, out: &mut Vec<Output>) {
        let Some(lane) = self.lanes.get_mut(&track) else { return };
        let Some(open) = &mut lane.open else { return };
        let bytes = sample.data.len();
        if open.samples == MAX_SEGMENT_SAMPLES || open.bytes + bytes > MAX_SEGMENT_BYTES {
            lane.flush(track, out);
            lane.open = None;
            self.overflows += 1;
            return;
        }
        open.samples += 1;
        open.bytes += bytes;
        let limit = self.config.part_target.rescale(lane.queue.config().timescale()).ticks();
        let length = i64::from(sample.duration);
        let is_full = lane.part.len() == MAX_PART_SAMPLES || lane.part_bytes + bytes > MAX_PART_BYTES;
        if lane.part_ticks + length > limit || is_full {
            lane.flush(track, out);
        }
        lane.part.push(sample);
        lane.part_ticks += length;
        lane.part_bytes += bytes;
        // Most samples are as long as the one before: if another such does not fit, this part is whole.
        if lane.part_ticks + length > limit {
            lane.flush(track, out);
        }
    }
}

fn new_queue(config: TrackConfig) -> SampleQueue {
    let origin = Timestamp::zero(config.timescale());
    SampleQueue::new(config, origin)
}

impl Lane {
    fn flush(&mut self, track: TrackName, out: &mut Vec<Output>) {
        let Some(open) = &mut self.open else { return };
        if let Some(part) = self.writer.part(&self.part) {
            out.push(Output::Part { track, msn: open.msn, index: open.parts, part });
            open.parts += 1;
        }
        self.part.clear();
        self.part_ticks = 0;
        self.part_bytes = 0;
    }
}
