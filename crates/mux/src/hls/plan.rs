//! Where segments begin: decided once for a stream, so that all renditions and the sound agree.

use std::collections::VecDeque;

use media::{Timescale, Timestamp};

/// Boundaries remembered: more than a minute of them, for renditions that lag.
const MAX_BOUNDARIES: usize = 64;
/// Less than the half second by which RFC 8216bis §4.4.3.1 lets a segment exceed the target duration.
const OVERTIME: Timestamp = Timestamp::new(400, Timescale::MILLIS);

/// How far apart the same picture's times may be in two renditions: layers that come by WebRTC are placed by
/// their sender reports one by one. Less than half a frame at 60 fps.
const ALIGNMENT: Timestamp = Timestamp::new(8, Timescale::MILLIS);

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Boundary {
    pub msn: u64,
    pub start: Timestamp,
    pub discontinuity: u64,
}

impl Boundary {
    /// Whether a picture at `pts` is the one that the segment begins with.
    pub(super) fn is_at(&self, pts: Timestamp) -> bool {
        pts <= self.start.plus(ALIGNMENT) && self.start <= pts.plus(ALIGNMENT)
    }
}

/// The boundaries of one stream. The first rendition that shows a key frame in a new cell of the grid
/// makes one; the others follow.
#[derive(Debug)]
pub(super) struct SegmentPlan {
    grid: Timestamp,
    target: Timestamp,
    boundaries: VecDeque<Boundary>,
    next_msn: u64,
    discontinuity: u64,
    /// Whether the next boundary is a discontinuity, though times go on.
    is_marked: bool,
    /// Up to where every boundary is known.
    known_until: Option<Timestamp>,
}

impl SegmentPlan {
    pub(super) fn new(grid: Timestamp, target_seconds: u32) -> Self {
        Self {
            grid,
            target: Timestamp::new(target_seconds.into(), Timescale::of(1)),
            boundaries: VecDeque::new(),
            next_msn: 0,
            discontinuity: 0,
            is_marked: false,
            known_until: None,
        }
    }

    /// What comes from now on belongs to another timeline.
    pub(super) fn discontinuity(&mut self) {
        // Said several times before anything came (by each track, say), it is still one.
        if !self.boundaries.is_empty() {
            self.discontinuity += 1;
        }
        self.is_marked = false;
        self.boundaries.clear();
        self.known_until = None;
    }

    /// The next boundary is a discontinuity, and times go on.
    pub(super) fn mark_next(&mut self) {
        // The first of a timeline is one by itself.
        self.is_marked = !self.boundaries.is_empty();
    }

    /// How many discontinuities there were until now.
    pub(super) fn discontinuities(&self) -> u64 {
        self.discontinuity
    }

    /// How many there will have been at the next boundary.
    pub(super) fn next_discontinuities(&self) -> u64 {
        self.discontinuity + u64::from(self.is_marked)
    }

    /// Whether `pts` is more than `gap` later than all that was seen of this timeline.
    pub(super) fn is_far_ahead(&self, pts: Timestamp, gap: Timestamp) -> bool {
        self.known_until.is_some_and(|known| pts.minus(known) > gap)
    }

    /// Takes note of a frame that leads (video, or sound where there is none) as it arrives.
    pub(super) fn observe(&mut self, pts: Timestamp, duration: Timestamp, key: bool) {
        self.known_until = Some(self.known_until.map_or(pts, |known| known.max(pts)));
        let begins = match self.boundaries.back() {
            None => key,
            Some(newest) => {
                (key && self.is_due(newest.start, pts, duration)) || {
                    // Without a key frame in time the target duration is kept all the same.
                    pts.plus(duration).minus(newest.start) > OVERTIME.plus(self.target)
                }
            }
        };
        if begins {
            self.begin(pts);
        }
    }

    /// Makes a boundary at `pts`, if that is later than the newest.
    pub(super) fn begin(&mut self, pts: Timestamp) {
        if self.boundaries.back().is_none_or(|newest| pts > newest.start) {
            if self.boundaries.len() == MAX_BOUNDARIES {
                self.boundaries.pop_front();
            }
            self.discontinuity = self.next_discontinuities();
            self.is_marked = false;
            let boundary = Boundary { msn: self.next_msn, start: pts, discontinuity: self.discontinuity };
            self.boundaries.push_back(boundary);
            self.next_msn += 1;
        }
    }

    /// Whether a key frame at `pts` lies in a later cell of the grid than the newest segment's start, or
    /// a whole cell after it (where the source's own grid has another phase). Half a frame is forgiven, and
    /// a little where the source does not say how long a frame is.
    fn is_due(&self, start: Timestamp, pts: Timestamp, duration: Timestamp) -> bool {
        let slack = Timestamp::new(duration.ticks() / 2, duration.timescale()).max(ALIGNMENT);
        self.cell(pts.plus(slack)) > self.cell(start.plus(slack)) || pts.minus(start).plus(slack) >= self.grid
    }

    fn cell(&self, time: Timestamp) -> i64 {
        // In whole numbers of both timescales: rounding to the grid's own would move boundaries.
        let scale = |time: Timestamp| i128::from(time.timescale().ticks_per_second());
        let ticks = i128::from(time.ticks()) * scale(self.grid);
        let cell = ticks.div_euclid(i128::from(self.grid.ticks().max(1)) * scale(time));
        i64::try_from(cell).unwrap_or(i64::MAX)
    }

    /// The segment that a picture at `pts` belongs to, by the boundaries known now; `None` before the first.
    pub(super) fn segment_of_picture(&self, pts: Timestamp) -> Option<Boundary> {
        let holds = |boundary: &&Boundary| boundary.start <= pts || boundary.is_at(pts);
        self.boundaries.iter().rev().find(holds).copied()
    }

    /// The same for sound, whose frames lie across boundaries: the first that begins at or after one is
    /// its segment's first.
    pub(super) fn segment_of_sound(&self, pts: Timestamp) -> Option<Boundary> {
        self.boundaries.iter().rev().find(|boundary| boundary.start <= pts).copied()
    }

    pub(super) fn boundary(&self, msn: u64) -> Option<Boundary> {
        self.boundaries.iter().find(|boundary| boundary.msn == msn).copied()
    }

    /// Whether no boundary can still appear at or before `pts`: sound waits for that.
    pub(super) fn is_settled(&self, pts: Timestamp) -> bool {
        self.known_until.is_some_and(|known| pts <= known)
    }
}
