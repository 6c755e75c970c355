//! What transcoders add to a stream: which are needed, whose lanes count, and what viewers get of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use media::{Codec, KeyPlacement, Made, Packet, RenditionName, StudioEpoch, Timescale, Timestamp};

use super::actor::Actor;
use super::{Feed, Lane, PublishGrant, PublishRefused, PublisherId, PublisherKind};
use crate::transcode::need::{NOT_TAKEN, Source, SourcePicture, Subscribers, is_taken, needs};
use crate::transcode::{Hindrance, Job, Supervisor, Wanted, Work};

/// A publisher's lanes are all there so long after its first packet, and its bitrate is known.
const SETTLED: Duration = Duration::from_millis(1500);
/// A transcoder's times are the source's. What is further off than this from the newest packet of the source's lane
/// is damage.
const ASTRAY: Timestamp = Timestamp::new(60, Timescale::of(1));

/// A transcoder that carries nothing for so long, though its source goes on, hangs.
const HUNG: Duration = Duration::from_secs(10);
/// A source that is silent for longer begins anew.
const PAUSE: Duration = Duration::from_secs(2);

/// Packets of one of the creator's lanes that follow each other.
struct Run {
    since: Instant,
    last: Instant,
}

impl Run {
    fn take(&mut self, now: Instant) {
        if now.saturating_duration_since(self.last) > PAUSE {
            self.since = now;
        }
        self.last = now;
    }

    /// Whether a transcoder that lives of it, and did its last thing at `seen`, hangs: that is longer ago than it may be.
    fn leaves_behind(&self, seen: Instant, patience: Duration, now: Instant) -> bool {
        let goes_on = now.saturating_duration_since(self.last) <= PAUSE;
        goes_on && now.saturating_duration_since(seen.max(self.since)) > patience
    }
}

/// A transcoder's lane.
struct Attached {
    job: Job,
    lane: Lane,
    /// How many of its packets were dropped because their times were damage.
    astray: u64,
}

/// The transcoders' part of a stream.
pub struct Transcoded {
    /// `None` where this node transcodes nothing.
    supervisor: Option<Supervisor>,
    /// Those that must run now.
    pub(super) jobs: BTreeMap<Job, Work>,
    attached: BTreeMap<PublisherId, Attached>,
    /// Renditions that WebRTC viewers get made anew instead of the source's; true from its first key frame on.
    replaced: BTreeMap<RenditionName, bool>,
    /// Lanes of the source that go to WebRTC viewers from the next key frame on.
    resuming: BTreeSet<Lane>,
    /// The last packet of each lane that WebRTC viewers got.
    pub forwarded: BTreeMap<Lane, Timestamp>,
    runs: BTreeMap<Lane, Run>,
    /// When something came of a job last, or its child was found to hang.
    seen: BTreeMap<Job, Instant>,
    /// What subscribers lack now, and why, in words for people.
    pub(super) notices: BTreeSet<String>,
    /// Those that the log has.
    logged: BTreeSet<String>,
}

impl Transcoded {
    pub fn new(supervisor: Option<Supervisor>) -> Self {
        Self {
            supervisor,
            jobs: BTreeMap::new(),
            attached: BTreeMap::new(),
            replaced: BTreeMap::new(),
            resuming: BTreeSet::new(),
            forwarded: BTreeMap::new(),
            runs: BTreeMap::new(),
            seen: BTreeMap::new(),
            notices: BTreeSet::new(),
            logged: BTreeSet::new(),
        }
    }

    pub fn is_possible(&self) -> bool {
        self.supervisor.is_some()
    }

    pub(super) fn hindrance(&self, job: Job) -> Option<Hindrance> {
        self.supervisor.as_ref()?.hindrance(job)
    }

    /// Returns when something else may hinder a transcode, or nothing.
    pub async fn changed(&mut self) {
        match &mut self.supervisor {
            Some(supervisor) => supervisor.changed().await,
            None => std::future::pending().await,
        }
    }

    pub fn ask_keyframe(&self, name: RenditionName) {
        if let Some(supervisor) = &self.supervisor {
            supervisor.ask_keyframe(name);
        }
    }

    /// The broadcast is over.
    pub fn end(&mut self) {
        let supervisor = self.supervisor.take();
        if let Some(supervisor) = &supervisor {
            supervisor.want(Wanted::default());
        }
        *self = Self::new(supervisor);
    }
}

impl Actor {
    pub(super) fn attach(&mut self, job: Job, lane: Lane) -> Result<PublishGrant, PublishRefused> {
        let epoch = self.broadcast.as_ref().map(|b| b.epoch).ok_or(PublishRefused::Gone)?;
        let publisher = self.new_publisher();
        // One that went without a word has nothing to say any more.
        self.transcoded.attached.retain(|_, other| other.lane != lane);
        self.transcoded.attached.insert(publisher, Attached { job, lane, astray: 0 });
        self.transcoded.seen.insert(job, Instant::now());
        if let (Lane::Video(name), None) = (lane, self.source_owner(lane)) {
            match self.transcoded.jobs.get(&job).map(|work| work.keys) {
                Some(KeyPlacement::Grid) => self.hls.lead(name),
                _ => self.hls.follow(name),
            }
        }
        Ok(PublishGrant { publisher, epoch })
    }

    pub(super) fn detach(&mut self, publisher: PublisherId) {
        let Some(Attached { job, lane, .. }) = self.transcoded.attached.remove(&publisher) else { return };
        if let Lane::Video(name) = lane
            && self.transcoded.replaced.remove(&name).is_some()
        {
            self.transcoded.resuming.insert(lane);
        }
        if self.lanes.get(&lane).is_some_and(|open| open.owner == publisher) {
            self.lanes.remove(&lane);
            // Where it is needed it comes back, and players wait for it; else nobody is there to miss it.
            if !self.transcoded.jobs.contains_key(&job) {
                self.hls.remove(lane);
            }
        }
        self.tell_layers();
        self.tell();
    }

    pub(super) fn feed(&self, lane: Lane) -> Feed {
        let units = self.units.subscribe();
        let gop = self.publisher.as_ref().map(|publisher| publisher.gop.units()).unwrap_or_default();
        let begun: Vec<_> = gop.into_iter().filter(|unit| unit.lane == lane).collect();
        if let (Lane::Video(name), true) = (lane, begun.is_empty()) {
            self.ask_keyframe(name);
        }
        Feed { begun, units }
    }

    /// Whether this transcoder's lane is the one that counts.
    pub(super) fn makes(&self, publisher: PublisherId, lane: Lane) -> bool {
        let attached = self.transcoded.attached.get(&publisher).is_some_and(|attached| attached.lane == lane);
        attached && self.source_owner(lane).is_none()
    }

    /// Whether viewers get this rendition from a transcoder.
    pub(super) fn is_made(&self, name: RenditionName) -> bool {
        let lane = Lane::Video(name);
        self.transcoded.replaced.contains_key(&name)
            || (self.lanes.contains_key(&lane) && self.source_owner(lane).is_none())
    }

    /// The creator's publisher, where this lane is its.
    fn source_owner(&self, lane: Lane) -> Option<PublisherId> {
        let owner = self.lanes.get(&lane)?.owner;
        self.publisher.as_ref().map(|publisher| publisher.id).filter(|id| *id == owner)
    }

    /// A packet of the creator's own.
    pub(super) fn note_source(&mut self, lane: Lane, packet: &Packet) {
        let Some(publisher) = &mut self.publisher else { return };
        let now = Instant::now();
        let begins = publisher.begun.is_none();
        publisher.begun.get_or_insert(now);
        self.transcoded.runs.entry(lane).or_insert(Run { since: now, last: now }).take(now);
        let before = (publisher.gop.is_reordered(), publisher.gop.has_sparse_keys());
        if let Lane::Video(_) = lane
            && publisher.is_single()
        {
            publisher.gop.observe(packet);
        }
        if begins || before != (publisher.gop.is_reordered(), publisher.gop.has_sparse_keys()) {
            self.tell_layers();
            self.review();
        }
    }

    /// Whether a packet of the creator's own goes to WebRTC viewers as it is. They have no AAC, and no pictures
    /// out of order.
    pub(super) fn goes_out(&mut self, lane: Lane, key: bool) -> bool {
        let suits = match lane {
            Lane::Audio(codec) => codec == Codec::Opus,
            Lane::Video(name) => {
                let reordered = self.publisher.as_ref().is_some_and(|publisher| publisher.gop.is_reordered());
                !reordered && !self.transcoded.replaced.contains_key(&name)
            }
        };
        if suits && key {
            self.transcoded.resuming.remove(&lane);
        }
        suits && !self.transcoded.resuming.contains(&lane)
    }

    /// The renditions that WebRTC viewers can have.
    pub(super) fn layers(&self) -> BTreeSet<RenditionName> {
        let reordered = self.publisher.as_ref().is_some_and(|publisher| publisher.gop.is_reordered());
        let own = self.lanes.keys().filter(|lane| self.source_owner(**lane).is_some());
        let own = own.filter_map(|lane| lane.rendition());
        let mut layers: BTreeSet<_> = own
            .filter(|name| match self.transcoded.replaced.get(name) {
                Some(begun) => *begun,
                None => !reordered,
            })
            .collect();
        let made = || self.transcoded.attached.values().filter(|attached| attached.job == Job::Ladder);
        // All of a ladder at once: a viewer would take the first of them for all there is.
        if made().any(|attached| attached.lane.rendition().is_some_and(|name| self.is_made(name))) {
            let free = made().filter(|attached| self.source_owner(attached.lane).is_none());
            layers.extend(free.filter_map(|attached| attached.lane.rendition()));
        }
        layers
    }

    /// What a rendition is meant to take, as WebRTC viewers get it: of one that is made, what its transcoder was told.
    pub(super) fn meant_kbps(&self, name: RenditionName) -> u32 {
        let is_made =
            self.transcoded.replaced.contains_key(&name) || self.source_owner(Lane::Video(name)).is_none();
        let ladder = self.transcoded.jobs.get(&Job::Ladder).filter(|_| is_made);
        let ordered = ladder.into_iter().flat_map(|work| &work.outputs).find_map(|made| match made {
            Made::Picture(rendition) if rendition.name == name => Some(rendition.bitrate_kbps),
            _ => None,
        });
        ordered.unwrap_or_else(|| name.default_kbps())
    }

    /// A transcoder's packet. A lane of the creator's always wins, save for WebRTC viewers where they cannot have
    /// it as it is.
    pub(super) fn made_packet(&mut self, id: PublisherId, lane: Lane, packet: Packet, epoch: StudioEpoch) {
        if let Some(attached) = self.transcoded.attached.get(&id) {
            self.transcoded.seen.insert(attached.job, Instant::now());
        }
        if self.is_astray(id, packet.pts) {
            return;
        }
        if self.makes(id, lane) {
            self.open_lane(lane, id);
            if lane != Lane::Audio(Codec::Aac) {
                self.forward(lane, &packet, epoch);
            }
            self.hand_on(lane, packet);
        } else if let Lane::Video(name) = lane
            && self.transcoded.attached.get(&id).is_some_and(|attached| attached.lane == lane)
            && self.picture().is_some_and(|picture| picture.name == name && !picture.suits_webrtc())
        {
            self.replace(name, &packet, epoch);
        }
    }

    /// Whether a transcoder's packet is nowhere near its source. A publisher's clock may be far off the node's, so
    /// that one says nothing. While the source is away there is nothing to compare with, and what comes is the rest
    /// of what it sent.
    fn is_astray(&mut self, id: PublisherId, pts: Timestamp) -> bool {
        let Some(job) = self.transcoded.attached.get(&id).map(|attached| attached.job) else { return true };
        let Some(newest) = self.fed_with(job).and_then(|lane| self.lanes.get(&lane)?.newest) else {
            return false;
        };
        let is_astray = newest.minus(pts) > ASTRAY || pts.minus(newest) > ASTRAY;
        if let (true, Some(attached)) = (is_astray, self.transcoded.attached.get_mut(&id)) {
            attached.astray += 1;
            if attached.astray == 1 {
                let off_s = pts.minus(newest).as_secs_f64();
                tracing::warn!(
                    stream = %self.row.playback_id, ?job, lane = ?attached.lane, off_s,
                    "a transcoder's packets are dropped: their times are not their source's"
                );
            }
        }
        is_astray
    }

    /// The creator's lane of which a job makes others.
    fn fed_with(&self, job: Job) -> Option<Lane> {
        let feeds = |lane: &Lane| match job {
            Job::Ladder => matches!(lane, Lane::Video(_)),
            Job::Opus => *lane == Lane::Audio(Codec::Aac),
            Job::Aac => *lane == Lane::Audio(Codec::Opus),
        };
        self.lanes.keys().copied().find(|lane| feeds(lane) && self.source_owner(*lane).is_some())
    }

    /// A rendition made anew goes to WebRTC viewers instead of the source's: from a key frame on that is later
    /// than what they have.
    fn replace(&mut self, name: RenditionName, packet: &Packet, epoch: StudioEpoch) {
        let lane = Lane::Video(name);
        let is_later = self.transcoded.forwarded.get(&lane).is_none_or(|last| packet.pts > *last);
        let begun = self.transcoded.replaced.entry(name).or_insert(false);
        if !*begun {
            if !(packet.key && is_later) {
                if is_later {
                    self.transcoded.ask_keyframe(name);
                }
                return;
            }
            *begun = true;
            self.tell_layers();
        }
        self.forward(lane, packet, epoch);
    }

    /// The creator's picture, where it is a single one that is known well enough.
    fn picture(&self) -> Option<SourcePicture> {
        let publisher = self.publisher.as_ref().filter(|publisher| publisher.is_single())?;
        publisher.begun.filter(|begun| begun.elapsed() >= SETTLED)?;
        let (lane, open) = self
            .lanes
            .iter()
            .find(|(lane, open)| matches!(lane, Lane::Video(_)) && open.owner == publisher.id)?;
        Some(SourcePicture {
            name: lane.rendition()?,
            size: open.meter.size()?,
            is_taken: open.meter.sps().is_some_and(is_taken),
            kbps: open.meter.kbps(),
            reordered: publisher.gop.is_reordered(),
            sparse_keys: publisher.gop.has_sparse_keys(),
            makes_keys: publisher.kind == PublisherKind::Whip,
        })
    }

    fn source(&self) -> Source {
        let own = self.lanes.keys().filter(|lane| self.source_owner(**lane).is_some());
        let sound = own.filter_map(|lane| match lane {
            Lane::Audio(codec) => Some(*codec),
            Lane::Video(_) => None,
        });
        Source { picture: self.picture(), sound: sound.collect() }
    }

    /// Finds out what has to be made, and tells those who make it and those who wait for it.
    pub(super) fn review(&mut self) {
        let Some(supervisor) = &self.transcoded.supervisor else { return };
        let subscribers = Subscribers {
            webrtc: self.presence.viewers(),
            rtmp: self.presence.players(),
            hls: self.presence.has_hls(Instant::now()),
        };
        let source = self.source();
        let mut jobs = needs(&source, subscribers);
        for (job, work) in &mut jobs {
            if let Some(before) = self.transcoded.jobs.get(job).filter(|before| before.serves(work)) {
                work.clone_from(before);
            }
        }
        let publisher = self.publisher.as_ref().map(|publisher| publisher.id);
        supervisor.want(Wanted { live: self.broadcast.is_some(), publisher, jobs: jobs.clone() });
        let settled = self.publisher.as_ref().and_then(|publisher| publisher.begun);
        let settled = settled.is_some_and(|begun| begun.elapsed() >= SETTLED) || self.publisher.is_none();
        let coming = jobs.iter().filter(|(job, _)| supervisor.hindrance(**job).is_none());
        let coming =
            coming.flat_map(|(_, work)| work.lanes()).filter(|lane| *lane != Lane::Audio(Codec::Opus));
        self.hls.expect(settled.then(|| coming.collect()));
        self.transcoded.jobs = jobs;
        let refused = source.picture.is_some_and(|picture| !picture.is_taken) && subscribers.watch();
        self.notice(refused.then(|| NOT_TAKEN.to_owned()));
    }

    /// Notes what subscribers lack. The log has each once for a broadcast.
    fn notice(&mut self, refused: Option<String>) {
        let lacks = |work: &Work| !work.lanes().all(|lane| self.lanes.contains_key(&lane));
        let jobs = self.transcoded.jobs.iter().filter(|(_, work)| lacks(work));
        let hindered = jobs.filter_map(|(job, _)| Some(self.transcoded.hindrance(*job)?.words(*job)));
        let notices: BTreeSet<_> = hindered.chain(refused).collect();
        for notice in &notices {
            if self.transcoded.logged.insert(notice.clone()) {
                tracing::warn!(stream = %self.row.playback_id, "{notice}");
            }
        }
        self.transcoded.notices = notices;
    }

    /// Begins transcodes anew whose child runs and does nothing: it may hang in foreign bytes, or before it connects.
    pub(super) fn restart_hung(&mut self, now: Instant) {
        let Transcoded { supervisor: Some(supervisor), jobs, runs, seen, .. } = &mut self.transcoded else {
            return;
        };
        for (job, work) in jobs {
            let (Some(begun), Some(run)) = (supervisor.child_since(*job), runs.get(&work.input)) else {
                continue;
            };
            let (last, patience) = match seen.get(job) {
                Some(seen) if *seen >= begun => (*seen, HUNG),
                _ => (begun, supervisor.starting()),
            };
            if run.leaves_behind(last, patience, now) {
                tracing::warn!(stream = %self.row.playback_id, ?job, "a transcoder that does nothing is replaced");
                supervisor.restart(*job);
                // Its end takes a while.
                seen.insert(*job, now);
            }
        }
    }

    /// The lanes that are there, or will be as long as somebody wants them.
    pub(super) fn lanes_to_come(&self) -> BTreeSet<Lane> {
        let comes = |job: &Job| {
            !matches!(self.transcoded.hindrance(*job), Some(Hindrance::Queued | Hindrance::GivenUp))
        };
        let made = self.transcoded.jobs.iter().filter(|(job, _)| comes(job));
        let made = made.flat_map(|(_, work)| work.lanes());
        self.lanes.keys().copied().chain(made).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcoder_hangs_only_where_its_source_has_gone_on_without_it() {
        let begun = Instant::now();
        let at = |tenths: u64| begun + Duration::from_millis(100 * tenths);
        let mut run = Run { since: begun, last: begun };
        (1..=100).for_each(|tenths| run.take(at(tenths)));
        assert!(!run.leaves_behind(begun, HUNG, at(100)), "not for long enough");
        (101..=110).for_each(|tenths| run.take(at(tenths)));
        assert!(run.leaves_behind(begun, HUNG, at(110)));
        assert!(!run.leaves_behind(at(109), HUNG, at(110)), "it has just done something");
        assert!(!run.leaves_behind(begun, 2 * HUNG, at(110)), "one that may take longer");
        assert!(!run.leaves_behind(begun, HUNG, at(200)), "the source is silent too");
        // After a silence it is given as long again.
        (200..=290).for_each(|tenths| run.take(at(tenths)));
        assert!(!run.leaves_behind(begun, HUNG, at(290)));
        (291..=310).for_each(|tenths| run.take(at(tenths)));
        assert!(run.leaves_behind(begun, HUNG, at(310)));
    }
}
