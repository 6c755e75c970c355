//! A media playlist: the rolling window of one rendition, as parts are added to it.

use std::collections::VecDeque;
use std::fmt::Write;

use media::{Timescale, Timestamp, WallTime};

use super::date::iso_8601;
use super::reload::{Answer, BadReload, ReloadRequest};

/// Skipping begins six target durations from the end: the least that RFC 8216bis §4.4.3.8 allows.
const SKIP_TARGETS: i64 = 6;
/// Parts are listed this many target durations from the end (§4.4.4.9).
const PART_TARGETS: i64 = 3;
/// PART-HOLD-BACK: at least twice, better three times the part target (§4.4.3.8).
const HOLD_BACK_PARTS: i64 = 3;
/// Segments listed, gaps among them: those of a publisher whose times jump again and again are short.
const MAX_LISTED: usize = 64;
/// Segments beyond the newest that a request may name (§6.2.5.2).
const MAX_SEGMENTS_AHEAD: u64 = 2;

/// What stays the same for a rendition.
#[derive(Clone, PartialEq, Debug)]
pub struct PlaylistConfig {
    /// In front of every file name: a path that no other broadcast uses, so that files can be cached for
    /// good.
    pub prefix: String,
    /// EXT-X-TARGETDURATION: no segment, rounded, is longer.
    pub target_seconds: u32,
    /// No part is longer.
    pub part_target: Timestamp,
    /// How much is listed. Removed segments stay available for as long again and one segment more.
    pub window: Timestamp,
}

/// Where a segment begins.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SegmentStart {
    /// Media sequence number: the same in all renditions.
    pub msn: u64,
    pub start: Timestamp,
    pub wall: WallTime,
    /// How many discontinuities the broadcast had until this segment, its own included.
    pub discontinuity: u64,
    /// Which of the rendition's headers it needs.
    pub init: u32,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PartEntry {
    pub duration: Timestamp,
    /// Whether it begins with a key frame.
    pub independent: bool,
}

#[derive(Clone, Debug)]
struct Segment {
    at: SegmentStart,
    parts: Vec<PartEntry>,
    duration: Timestamp,
    /// Nothing was made for it: EXT-X-GAP.
    missing: bool,
}

/// Where another rendition stands: EXT-X-RENDITION-REPORT.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RenditionReport {
    pub uri: String,
    pub last_msn: u64,
    pub last_part: Option<u64>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct MediaPlaylist {
    config: PlaylistConfig,
    /// Whole segments, oldest first.
    segments: VecDeque<Segment>,
    /// The one that grows.
    open: Option<Segment>,
    ended: bool,
}

impl MediaPlaylist {
    pub const fn new(config: PlaylistConfig) -> Self {
        Self { config, segments: VecDeque::new(), open: None, ended: false }
    }

    /// What every file name begins with.
    pub fn prefix(&self) -> &str {
        &self.config.prefix
    }

    /// The header that segments name with `init`.
    pub fn init_name(&self, init: u32) -> String {
        format!("{}init{init}.mp4", self.config.prefix)
    }

    pub fn segment_name(&self, msn: u64) -> String {
        format!("{}{msn}.m4s", self.config.prefix)
    }

    pub fn part_name(&self, msn: u64, part: usize) -> String {
        format!("{}{msn}.{part}.m4s", self.config.prefix)
    }

    /// Ends the segment that grows and begins the next; drops what has left the window.
    pub fn begin_segment(&mut self, at: SegmentStart) {
        self.close_segment();
        self.open = Some(Segment {
            at,
            parts: Vec::new(),
            duration: Timestamp::zero(at.start.timescale()),
            missing: false,
        });
    }

    /// Lists a segment for which there is nothing, so that numbers agree with the other renditions.
    pub fn add_gap(&mut self, at: SegmentStart, duration: Timestamp) {
        self.close_segment();
        self.segments.push_back(Segment { at, parts: Vec::new(), duration, missing: true });
        self.drop_old();
    }

    /// Adds a part to the segment that grows; without one it is passed over.
    pub fn add_part(&mut self, part: PartEntry) {
        if let Some(open) = &mut self.open {
            open.duration = open.duration.plus(part.duration);
            open.parts.push(part);
        }
    }

    /// The broadcast is over.
    pub fn end(&mut self) {
        self.close_segment();
        self.ended = true;
    }

    pub const fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether a player could begin: a part or a segment is there.
    pub fn is_playable(&self) -> bool {
        self.segments.iter().any(|s| !s.missing) || self.open.as_ref().is_some_and(|s| !s.parts.is_empty())
    }

    /// Whether a whole segment is listed that is there.
    pub fn has_segment(&self) -> bool {
        self.segments.iter().any(|segment| !segment.missing)
    }

    /// The oldest segment listed.
    pub fn first_msn(&self) -> Option<u64> {
        self.segments.front().or(self.open.as_ref()).map(|segment| segment.at.msn)
    }

    /// Seconds listed.
    pub fn duration(&self) -> Timestamp {
        let zero = Timestamp::zero(Timescale::VIDEO);
        self.segments.iter().chain(&self.open).fold(zero, |sum, segment| sum.plus(segment.duration))
    }

    /// The part that the preload hint names; `None` before the first segment and after the end.
    pub fn next_part(&self) -> Option<(u64, usize)> {
        match (&self.open, self.segments.back()) {
            _ if self.ended => None,
            (Some(open), _) => Some((open.at.msn, open.parts.len())),
            (None, Some(last)) => Some((last.at.msn + 1, 0)),
            (None, None) => None,
        }
    }

    fn close_segment(&mut self) {
        if let Some(done) = self.open.take().filter(|segment| !segment.parts.is_empty()) {
            self.segments.push_back(done);
            self.drop_old();
        }
    }

    fn drop_old(&mut self) {
        let mut listed = self.duration();
        while let Some(oldest) = self.segments.front() {
            listed = listed.minus(oldest.duration);
            let fits = listed < self.config.window || self.segments.len() == 1;
            if fits && self.segments.len() <= MAX_LISTED {
                break;
            }
            self.segments.pop_front();
        }
    }

    /// Lists nothing up to a segment any more, whose file goes before its time.
    pub fn forget_until(&mut self, msn: u64) {
        while self.segments.front().is_some_and(|oldest| oldest.at.msn <= msn) {
            self.segments.pop_front();
        }
    }

    /// What this rendition tells the others' playlists about itself; `None` while there is nothing.
    pub fn report(&self, uri: String) -> Option<RenditionReport> {
        let grown = self.open.as_ref().filter(|segment| !segment.parts.is_empty());
        let last = grown.or(self.segments.back())?;
        let last_part = (last.parts.len() as u64).checked_sub(1);
        Some(RenditionReport { uri, last_msn: last.at.msn, last_part })
    }

    /// What a request gets now. On [`Answer::Wait`] it is to be asked again after the next change.
    pub fn answer(&self, request: &ReloadRequest, others: &[RenditionReport]) -> Answer {
        match self.reached(request) {
            Err(bad) => Answer::BadRequest(bad),
            Ok(false) => Answer::Wait,
            Ok(true) => Answer::Ready(self.text(request.skip, others)),
        }
    }

    /// Whether the playlist holds what is asked for (§6.2.5.2).
    fn reached(&self, request: &ReloadRequest) -> Result<bool, BadReload> {
        if self.ended {
            return Ok(true);
        }
        if !self.is_playable() {
            return Ok(false);
        }
        let Some(msn) = request.msn else { return Ok(true) };
        // The number that the segment which grows has, or will have.
        let growing = match (&self.open, self.segments.back()) {
            (Some(open), _) => open.at.msn,
            (None, Some(last)) => last.at.msn + 1,
            (None, None) => 0,
        };
        if msn >= growing + MAX_SEGMENTS_AHEAD {
            return Err(BadReload::TooFarAhead);
        }
        if msn < growing {
            // A part that its whole segment does not have means the first of the next segment.
            let segment = self.segments.iter().find(|segment| segment.at.msn == msn);
            let beyond = segment.zip(request.part).is_some_and(|(s, part)| part >= s.parts.len() as u64);
            return Ok(!beyond || msn + 1 < growing || self.growing_parts() > 0);
        }
        let Some(part) = request.part else { return Ok(false) };
        let have = if msn == growing { self.growing_parts() } else { 0 };
        if part >= have + self.advance_part_limit() {
            return Err(BadReload::TooFarAhead);
        }
        Ok(part < have)
    }

    fn growing_parts(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.parts.len() as u64)
    }

    /// §6.2.5.2: three, or as many parts as three seconds take.
    fn advance_part_limit(&self) -> u64 {
        let target = self.config.part_target.as_secs_f64();
        if target >= 1.0 || target <= 0.0 { 3 } else { (3.0 / target).ceil() as u64 }
    }

    /// The playlist; with `skip`, a delta update where one can be made.
    fn text(&self, skip: bool, others: &[RenditionReport]) -> String {
        let target = Timestamp::new(self.config.target_seconds.into(), Timescale::of(1));
        let skipped = if skip { self.skippable(target) } else { 0 };
        let mut out = String::with_capacity(4096);
        let _ = writeln!(
            out,
            "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:{}\n\
             #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={},CAN-SKIP-UNTIL={}\n\
             #EXT-X-PART-INF:PART-TARGET={}\n#EXT-X-MEDIA-SEQUENCE:{}",
            self.config.target_seconds,
            seconds(times(self.config.part_target, HOLD_BACK_PARTS)),
            seconds(times(target, SKIP_TARGETS)),
            seconds(self.config.part_target),
            self.first_msn().unwrap_or(0),
        );
        let first = self.segments.front().or(self.open.as_ref());
        let discontinuities = first.map_or(0, |segment| segment.at.discontinuity);
        if discontinuities > 0 {
            let _ = writeln!(out, "#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuities}");
        }
        if skipped > 0 {
            let _ = writeln!(out, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}");
        }
        let parts_from = self.first_with_parts(target);
        let mut before: Option<&Segment> = None;
        for (index, segment) in self.segments.iter().chain(&self.open).enumerate() {
            if index >= skipped {
                let is_open = index == self.segments.len();
                self.put_segment(&mut out, segment, before, index >= parts_from, is_open);
            }
            before = Some(segment);
        }
        self.put_end(&mut out, others);
        out
    }

    /// How many of the oldest segments lie wholly before the skip boundary. The last segment before it
    /// is what the rest refers to, so a playlist is never skipped whole.
    fn skippable(&self, target: Timestamp) -> usize {
        let until = self.duration().minus(times(target, SKIP_TARGETS));
        let mut end = Timestamp::zero(Timescale::VIDEO);
        self.segments
            .iter()
            .take_while(|segment| {
                end = end.plus(segment.duration);
                end <= until
            })
            .count()
    }

    /// The index of the first segment whose parts are listed.
    fn first_with_parts(&self, target: Timestamp) -> usize {
        let from = self.duration().minus(times(target, PART_TARGETS));
        let mut end = Timestamp::zero(Timescale::VIDEO);
        self.segments
            .iter()
            .take_while(|segment| {
                end = end.plus(segment.duration);
                end <= from
            })
            .count()
    }

    fn put_segment(
        &self,
        out: &mut String,
        segment: &Segment,
        before: Option<&Segment>,
        with_parts: bool,
        is_open: bool,
    ) {
        if is_open && segment.parts.is_empty() {
            return;
        }
        if before.is_some_and(|before| before.at.discontinuity != segment.at.discontinuity) {
            out.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if before.is_none_or(|before| before.at.init != segment.at.init) {
            let _ = writeln!(out, "#EXT-X-MAP:URI=\"{}\"", self.init_name(segment.at.init));
        }
        let _ = writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", iso_8601(segment.at.wall));
        if segment.missing {
            out.push_str("#EXT-X-GAP\n");
        }
        if with_parts {
            for (index, part) in segment.parts.iter().enumerate() {
                let name = self.part_name(segment.at.msn, index);
                let independent = if part.independent { ",INDEPENDENT=YES" } else { "" };
                let _ = writeln!(
                    out,
                    "#EXT-X-PART:DURATION={},URI=\"{name}\"{independent}",
                    seconds(part.duration)
                );
            }
        }
        if !is_open {
            let name = self.segment_name(segment.at.msn);
            let _ = writeln!(out, "#EXTINF:{},\n{name}", seconds(segment.duration));
        }
    }

    fn put_end(&self, out: &mut String, others: &[RenditionReport]) {
        if self.ended {
            out.push_str("#EXT-X-ENDLIST\n");
            return;
        }
        if let Some((msn, part)) = self.next_part() {
            let _ = writeln!(out, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{}\"", self.part_name(msn, part));
        }
        for report in others {
            let _ =
                write!(out, "#EXT-X-RENDITION-REPORT:URI=\"{}\",LAST-MSN={}", report.uri, report.last_msn);
            if let Some(part) = report.last_part {
                let _ = write!(out, ",LAST-PART={part}");
            }
            out.push('\n');
        }
    }
}

fn times(span: Timestamp, count: i64) -> Timestamp {
    Timestamp::new(span.ticks().saturating_mul(count), span.timescale())
}

/// Microseconds, rounded the same way everywhere, so that what is shorter never reads longer.
fn seconds(span: Timestamp) -> String {
    let micros = span.rescale(Timescale::of(1_000_000)).ticks().max(0);
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}
