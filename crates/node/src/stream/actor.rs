//! The task that owns a stream.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use api::RenditionInfo;
use bytes::Bytes;
use media::{Codec, Packet, RenditionName, StudioEpoch, Timescale, Timestamp, WallTime};
use sfu::SfuHandle;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use super::continuity::{Continuity, Finding, Reached};
use super::gop::Gop;
use super::lane::{Assembler, Lead, Splitter};
use super::meter::Meter;
use super::transcoded::Transcoded;
use super::{
    Departure, Lane, Layers, Live, MAILBOX, Message, Offered, Presence, PublishGrant, PublishRefused,
    PublisherId, PublisherKind, READ_AHEAD, StreamHandle, Unit,
};
use crate::hls::HlsStream;
use crate::store::{Store, StreamRow};
use crate::transcode::{Supervisor, Transcoding};

/// How often what others read of a stream is made anew.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);
/// Key frames are asked for at most this often, for each rendition.
const KEY_INTERVAL: Duration = Duration::from_millis(500);
/// A primary publisher that left may come back within this and go on with the same broadcast.
const RETURN_GRACE: Duration = Duration::from_secs(10);
/// A publisher by WebRTC that was silent for so long may be replaced by who has its key. Sound alone comes fifty times a
/// second.
const SILENCE: Duration = Duration::from_secs(2);
/// The same of one that has not connected yet.
const CONNECTING: Duration = Duration::from_secs(5);
/// So long after a broadcast's end its playlists and files are there for players that are behind. A playlist lists
/// thirty seconds, and a player that stalls loses some more.
const KEPT_AFTER_END: Duration = Duration::from_secs(60);
/// A lane that a publisher has not sent for so long since its first packet is none of its.
const ABSENT: Duration = Duration::from_secs(10);

/// Starts the task of `row`'s stream; it runs until every handle is dropped. Without `transcoding`, subscribers
/// get what the publisher sends.
pub fn spawn(
    row: StreamRow,
    media_id: sfu::StreamId,
    sfu: SfuHandle,
    store: Store,
    transcoding: Option<Arc<Transcoding>>,
) -> StreamHandle {
    let (actor, handle, mailbox) = Actor::new(row, media_id, sfu, store, transcoding);
    tokio::spawn(actor.run(mailbox));
    handle
}

/// The creator's own.
pub(super) struct Publisher {
    pub(super) id: PublisherId,
    pub(super) kind: PublisherKind,
    pub(super) peer: Option<(sfu::PeerId, Arc<Layers>)>,
    assemblers: BTreeMap<Lane, Assembler>,
    continuity: Continuity,
    /// When its first packet came.
    pub(super) begun: Option<Instant>,
    /// When its last one came; until the first, when it was let in.
    pub(super) heard: Instant,
    /// Of its only rendition; of several nothing is made.
    pub(super) gop: Gop,
}

impl Publisher {
    /// Whether another one with the same key may take its place: a process that was killed says no goodbye by WebRTC, and
    /// one that never connects has nothing to say. RTMP's connection ends with its process.
    fn is_gone(&self) -> bool {
        let silence = if self.peer.is_some() { SILENCE } else { CONNECTING };
        self.kind == PublisherKind::Whip && self.heard.elapsed() > silence
    }

    /// Whether it sends one rendition; not known of WebRTC before it is connected.
    pub(super) fn is_single(&self) -> bool {
        match self.kind {
            PublisherKind::Rtmp => true,
            PublisherKind::Whip => self.peer.as_ref().is_some_and(|(_, layers)| layers.len() <= 1),
        }
    }
}

/// A lane that has carried a packet, and whose it is.
pub(super) struct OpenLane {
    pub(super) meter: Meter,
    pub(super) owner: PublisherId,
    /// When its last packet is shown.
    pub(super) newest: Option<Timestamp>,
}

impl OpenLane {
    fn new(owner: PublisherId) -> Self {
        Self { meter: Meter::new(), owner, newest: None }
    }
}

/// From a publisher's coming until it stayed away.
pub(super) struct Broadcast {
    pub(super) epoch: StudioEpoch,
    /// Of the publisher's times.
    lead: Lead,
    session: Uuid,
    /// When the publisher left; `None` while there is one.
    alone_since: Option<Instant>,
    /// How far the publishers came that left.
    reached: Option<Reached>,
}

pub(super) struct Actor {
    pub(super) row: Arc<StreamRow>,
    media_id: sfu::StreamId,
    sfu: SfuHandle,
    store: Store,
    pub(super) hls: Arc<HlsStream>,
    pub(super) presence: Arc<Presence>,
    pub(super) units: broadcast::Sender<Arc<Unit>>,
    report: watch::Sender<Live>,
    pub(super) publisher: Option<Publisher>,
    ousted: Option<PublisherId>,
    /// What transcoders add.
    pub(super) transcoded: Transcoded,
    pub(super) lanes: BTreeMap<Lane, OpenLane>,
    /// One a lane, whoever sends it: viewers' numbering goes on.
    splitters: BTreeMap<Lane, Splitter>,
    next_publisher: u64,
    /// The way into its own mailbox, which does not keep it running.
    messages: mpsc::WeakSender<Message>,
    pub(super) broadcast: Option<Broadcast>,
    /// When the last broadcast ended, while its files are kept.
    ended: Option<Instant>,
    pub(super) aac_config: Option<Bytes>,
    /// When a key frame was last asked for by us, as readers inside the node need it.
    key_asked: BTreeMap<RenditionName, Instant>,
    /// What each rendition of the broadcast takes, in kbit/s, as players were told once it was measured.
    rates: BTreeMap<RenditionName, u32>,
}

impl Actor {
    /// A stream's task that does not run yet, its handle, and what the task is to read.
    pub(super) fn new(
        row: StreamRow,
        media_id: sfu::StreamId,
        sfu: SfuHandle,
        store: Store,
        transcoding: Option<Arc<Transcoding>>,
    ) -> (Self, StreamHandle, mpsc::Receiver<Message>) {
        let (messages, mailbox) = mpsc::channel(MAILBOX);
        let (units, _) = broadcast::channel(READ_AHEAD);
        let (report, live) = watch::channel(Live::default());
        let row = Arc::new(row);
        let hls = Arc::new(HlsStream::new(transcoding.is_some()));
        let presence = Arc::new(Presence::new());
        let handle = StreamHandle {
            row: Arc::clone(&row),
            media_id,
            hls: Arc::clone(&hls),
            presence: Arc::clone(&presence),
            messages,
            units: units.clone(),
            live,
        };
        let supervisor = transcoding.map(|shared| Supervisor::start(shared, handle.downgrade()));
        let actor = Self {
            row,
            media_id,
            sfu,
            store,
            hls,
            presence,
            units,
            report,
            publisher: None,
            ousted: None,
            transcoded: Transcoded::new(supervisor),
            lanes: BTreeMap::new(),
            splitters: BTreeMap::new(),
            next_publisher: 0,
            messages: handle.messages.downgrade(),
            broadcast: None,
            ended: None,
            aac_config: None,
            key_asked: BTreeMap::new(),
            rates: BTreeMap::new(),
        };
        (actor, handle, mailbox)
    }

    async fn run(mut self, mut mailbox: mpsc::Receiver<Message>) {
        let mut ticks = interval(REPORT_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                message = mailbox.recv() => match message {
                    Some(message) => self.take(message).await,
                    None => break,
                },
                () = self.transcoded.changed() => {
                    self.review();
                    self.tell();
                }
                _ = ticks.tick() => self.tick(),
            }
        }
        self.end_broadcast();
    }

    pub(super) async fn take(&mut self, message: Message) {
        match message {
            Message::Publish { kind, reply } => {
                let granted = self.publish(kind).await.map(|grant| self.offer(grant));
                // Where nobody waits for it any more it comes back as it is dropped.
                drop(reply.send(granted));
            }
            Message::Attach { job, lane, reply } => {
                let granted = self.attach(job, lane).map(|grant| self.offer(grant));
                drop(reply.send(granted));
            }
            Message::Feed { lane, reply } => {
                // Whoever asked may have gone.
                let _ = reply.send(self.feed(lane));
            }
            Message::HlsAsked { known } => {
                self.presence.hls_asked();
                self.review();
                // Whoever asked may have gone.
                let _ = known.send(());
            }
            Message::Unpublish { publisher, departure } => self.unpublish(publisher, departure),
            Message::Connected { publisher, peer, layers } => match self.publisher(publisher) {
                Some(publisher) => {
                    publisher.peer = Some((peer, layers));
                    self.review();
                }
                // Another took its place while it connected: it would publish to nobody and believe itself live.
                None => self.order(self.sfu.close(peer)),
            },
            Message::Rtp { publisher, lane, packet } => self.rtp(publisher, lane, packet),
            Message::Packet { publisher, lane, packet } => self.packet(publisher, lane, packet),
            Message::AacConfig { publisher, config } => {
                if self.publisher(publisher).is_some() || self.makes(publisher, Lane::Audio(Codec::Aac)) {
                    if !self.hls.set_aac(&config) {
                        tracing::warn!(stream = %self.row.playback_id, "LL-HLS goes without this AAC");
                    }
                    self.aac_config = Some(config);
                    self.tell();
                }
            }
            Message::Oust { done } => {
                self.oust();
                // Whoever asked may have gone.
                let _ = done.send(());
            }
            Message::End { done } => {
                self.end_broadcast();
                self.tell();
                // Whoever asked may have gone.
                let _ = done.send(());
            }
            Message::KeyframeNeeded { layer } => self.ask_keyframe(layer),
            Message::ViewersChanged => self.review(),
        }
    }

    async fn publish(&mut self, kind: PublisherKind) -> Result<PublishGrant, PublishRefused> {
        if let Some(publisher) = &self.publisher {
            if !publisher.is_gone() {
                tracing::warn!(stream = %self.row.playback_id, ?kind, "a second publisher used a live stream's key");
                return Err(PublishRefused::AlreadyLive);
            }
            tracing::info!(stream = %self.row.playback_id, "a publisher that fell silent is replaced");
            self.cut_off();
        }
        let epoch = self.begin_or_resume().await?;
        let id = self.new_publisher();
        let reached = self.broadcast.as_ref().and_then(|broadcast| broadcast.reached);
        let (assemblers, continuity, gop) = (BTreeMap::new(), Continuity::after(reached), Gop::default());
        let publisher = Publisher {
            id,
            kind,
            peer: None,
            assemblers,
            continuity,
            begun: None,
            heard: Instant::now(),
            gop,
        };
        self.publisher = Some(publisher);
        Ok(PublishGrant { publisher: id, epoch })
    }

    fn offer(&self, grant: PublishGrant) -> Offered {
        Offered { grant, stream: Some(self.messages.clone()) }
    }

    pub(super) fn new_publisher(&mut self) -> PublisherId {
        self.next_publisher += 1;
        PublisherId(self.next_publisher)
    }

    fn publisher(&mut self, id: PublisherId) -> Option<&mut Publisher> {
        self.publisher.as_mut().filter(|publisher| publisher.id == id)
    }

    /// A broadcast that cannot be stored does not begin: it would play while everybody is told that it does not. Whoever
    /// publishes is told so, and comes again by itself.
    async fn begin_or_resume(&mut self) -> Result<StudioEpoch, PublishRefused> {
        if let Some(broadcast) = &mut self.broadcast {
            (broadcast.alone_since, broadcast.lead) = (None, Lead::default());
            let epoch = broadcast.epoch;
            self.splitters.clear();
            self.order(self.sfu.restart_stream(self.media_id));
            self.hls.mark_discontinuity();
            return Ok(epoch);
        }
        let stored = self.store.begin_broadcast(self.row.id, "embedded", "embedded").await;
        let session = stored.map_err(|err| {
            tracing::error!(stream = %self.row.playback_id, "a broadcast is refused, as it cannot be stored: {err}");
            PublishRefused::NotStored
        })?;
        let epoch = StudioEpoch::new(Instant::now(), WallTime::from_system(SystemTime::now()));
        self.broadcast =
            Some(Broadcast { epoch, lead: Lead::default(), session, alone_since: None, reached: None });
        self.ended = None;
        self.hls.begin(epoch);
        tracing::info!(stream = %self.row.playback_id, "live");
        Ok(epoch)
    }

    fn unpublish(&mut self, publisher: PublisherId, departure: Departure) {
        if self.publisher(publisher).is_none() {
            self.detach(publisher);
            return;
        }
        let reached = self.publisher.take().and_then(|publisher| publisher.continuity.reached());
        if let Some(broadcast) = &mut self.broadcast {
            broadcast.reached = reached.or(broadcast.reached);
        }
        self.lanes.retain(|_, lane| lane.owner != publisher);
        match (&mut self.broadcast, departure) {
            (Some(broadcast), Departure::Lost) => broadcast.alone_since = Some(Instant::now()),
            (Some(_), Departure::Ended) => self.end_broadcast(),
            (None, _) => {}
        }
        self.review();
        self.tell();
    }

    /// Ends the publisher's connection by WebRTC, and counts it as broken.
    fn cut_off(&mut self) {
        let Some(publisher) = &self.publisher else { return };
        let (id, peer) = (publisher.id, publisher.peer.as_ref().map(|(peer, _)| *peer));
        if let Some(peer) = peer {
            self.order(self.sfu.close(peer));
        }
        self.unpublish(id, Departure::Lost);
    }

    /// The same of any publisher: one by RTMP ends its connection itself once it reads that it was ousted.
    fn oust(&mut self) {
        let Some(publisher) = &self.publisher else { return };
        self.ousted = Some(publisher.id);
        tracing::info!(stream = %self.row.playback_id, "the stream key is another: its publisher is cut off");
        self.cut_off();
    }

    fn tick(&mut self) {
        let alone = self.broadcast.as_ref().and_then(|b| b.alone_since);
        if alone.is_some_and(|since| since.elapsed() > RETURN_GRACE) {
            self.end_broadcast();
        }
        self.measure();
        self.review();
        self.restart_hung(Instant::now());
        if self.hls.overflows_anew() {
            tracing::warn!(
                stream = %self.row.playback_id,
                "LL-HLS leaves out what is more than a segment may hold: the bitrate is too high, or times are damage"
            );
        }
        self.forget_absent(Instant::now());
        self.forget_ended(Instant::now());
        self.tell();
    }

    /// Tells players of LL-HLS what renditions take in fact, where that is more than an eighth off what they know.
    pub(super) fn measure(&mut self) {
        for (lane, open) in &self.lanes {
            let (Some(name), Some(kbps)) = (lane.rendition(), open.meter.measured_kbps()) else { continue };
            if self.rates.get(&name).is_some_and(|told| kbps.abs_diff(*told) <= told / 8) {
                continue;
            }
            self.rates.insert(name, kbps);
            self.hls.set_rate(name, kbps);
        }
    }

    /// Nobody plays any more what is over for long, and it takes some hundred megabytes.
    pub(super) fn forget_ended(&mut self, now: Instant) {
        if self.ended.take_if(|ended| now.saturating_duration_since(*ended) > KEPT_AFTER_END).is_some() {
            self.hls.forget();
        }
    }

    /// A publisher that came back may send less than before: players are not kept waiting for the rest.
    pub(super) fn forget_absent(&mut self, now: Instant) {
        let begun = self.publisher.as_ref().and_then(|publisher| publisher.begun);
        if begun.is_some_and(|begun| now.saturating_duration_since(begun) > ABSENT) {
            self.hls.keep_only(&self.lanes_to_come());
        }
    }

    pub(super) fn tell(&self) {
        let renditions = self.lanes.iter().filter_map(|(lane, OpenLane { meter, .. })| match lane {
            Lane::Video(name) => {
                let size = meter.size();
                Some(RenditionInfo {
                    name: name.as_str().to_owned(),
                    width: size.map_or(0, |s| s.width),
                    height: size.map_or(0, |s| s.height),
                    kbps: meter.kbps(),
                })
            }
            Lane::Audio(_) => None,
        });
        self.report.send_replace(Live {
            viewers: self.presence.viewers(),
            renditions: renditions.collect(),
            lanes: self.lanes.keys().copied().collect(),
            epoch: self.broadcast.as_ref().map(|b| b.epoch),
            aac_config: self.aac_config.clone(),
            notices: self.transcoded.notices.iter().cloned().collect(),
            ousted: self.ousted,
        });
    }

    fn end_broadcast(&mut self) {
        let Some(broadcast) = self.broadcast.take() else { return };
        if let Some((peer, _)) = self.publisher.take().and_then(|publisher| publisher.peer) {
            self.order(self.sfu.close(peer));
        }
        self.lanes.clear();
        self.splitters.clear();
        self.rates.clear();
        self.transcoded.end();
        self.aac_config = None;
        self.order(self.sfu.close_stream(self.media_id));
        self.ended = Some(Instant::now());
        self.hls.end();
        self.store.end_broadcast(self.row.id, broadcast.session);
        tracing::info!(stream = %self.row.playback_id, "ended");
    }

    /// WebRTC in: forwarded as it is, and put together for everybody else.
    fn rtp(&mut self, id: PublisherId, lane: Lane, packet: sfu::RtpPacket) {
        let Some(epoch) = self.broadcast.as_ref().map(|b| b.epoch) else { return };
        if self.publisher(id).is_none() {
            return;
        }
        self.open_lane(lane, id);
        let Some(publisher) = self.publisher(id) else { return };
        publisher.heard = Instant::now();
        let assembler = publisher.assemblers.entry(lane).or_insert_with(|| match lane {
            Lane::Video(_) => Assembler::video(),
            Lane::Audio(_) => Assembler::audio(),
        });
        let whole = assembler.push(&packet, epoch);
        // Asked again with every picture's end until it comes, but not more often than encoders bear.
        let wanted = packet.marker && assembler.wants_key();
        if let (true, Lane::Video(layer)) = (wanted, lane)
            && self.key_asked.get(&layer).is_none_or(|asked| asked.elapsed() >= KEY_INTERVAL)
        {
            self.key_asked.insert(layer, Instant::now());
            self.ask_keyframe(layer);
        }
        self.sfu.forward(self.media_id, vec![(forwarded(lane), packet)]);
        for packet in whole {
            let packet = self.in_time(lane, packet, epoch);
            self.note_source(lane, &packet);
            self.hand_on(lane, packet);
        }
    }

    /// Whole packets in: split for WebRTC, and handed on as they are.
    fn packet(&mut self, id: PublisherId, lane: Lane, packet: Packet) {
        let Some(epoch) = self.broadcast.as_ref().map(|b| b.epoch) else { return };
        if self.publisher(id).is_none() {
            self.made_packet(id, lane, packet, epoch);
            return;
        }
        self.open_lane(lane, id);
        let packet = self.in_time(lane, packet, epoch);
        if let Some(broadcast) = &mut self.broadcast {
            broadcast.lead.note(packet.pts, epoch.stamp(Instant::now(), Timescale::MILLIS));
        }
        self.note_source(lane, &packet);
        if self.goes_out(lane, packet.key) {
            self.forward(lane, &packet, epoch);
        }
        self.hand_on(lane, packet);
    }

    /// The creator's packet at a time that goes on from what came before.
    fn in_time(&mut self, lane: Lane, mut packet: Packet, epoch: StudioEpoch) -> Packet {
        let Some(publisher) = &mut self.publisher else { return packet };
        let arrived = epoch.stamp(Instant::now(), Timescale::MILLIS);
        let (dts, finding) = publisher.continuity.place(lane, packet.dts, arrived);
        let moved_s = dts.minus(packet.dts).as_secs_f64();
        packet.pts = packet.pts.plus(dts.minus(packet.dts));
        packet.dts = dts;
        let stream = &self.row.playback_id;
        match finding {
            Finding::Steady => return packet,
            Finding::Jumped => {
                tracing::warn!(%stream, ?lane, moved_s, "the publisher's clock jumped: its times are moved");
            }
            Finding::Useless => tracing::warn!(
                %stream, ?lane,
                "the publisher's times stand still or jump about: its packets are placed by when they come"
            ),
        }
        if let Some(broadcast) = &mut self.broadcast {
            // Of another timeline.
            broadcast.lead = Lead::default();
        }
        self.hls.mark_discontinuity();
        packet
    }

    /// To WebRTC viewers.
    pub(super) fn forward(&mut self, lane: Lane, packet: &Packet, epoch: StudioEpoch) {
        let make = match lane {
            Lane::Video(_) => Splitter::video,
            Lane::Audio(_) => Splitter::audio,
        };
        let lead = self.broadcast.as_ref().map(|broadcast| broadcast.lead).unwrap_or_default();
        let captured = lead.captured(packet.pts, epoch);
        let rtp = self.splitters.entry(lane).or_insert_with(make).push(packet, captured);
        let rtp = rtp.into_iter().map(|packet| (forwarded(lane), packet));
        self.sfu.forward(self.media_id, rtp.collect());
        self.transcoded.forwarded.insert(lane, packet.pts);
    }

    /// The first packet of a lane is here: the media plane drops what it does not know, so it is told first.
    pub(super) fn open_lane(&mut self, lane: Lane, owner: PublisherId) {
        match self.lanes.entry(lane) {
            Entry::Occupied(open) if open.get().owner == owner => return,
            Entry::Occupied(mut open) => drop(open.insert(OpenLane::new(owner))),
            Entry::Vacant(place) => drop(place.insert(OpenLane::new(owner))),
        }
        if let (Some(_), Lane::Video(name)) = (self.publisher(owner), lane) {
            self.hls.lead(name);
        }
        self.tell_layers();
        self.tell();
    }

    /// To everybody but WebRTC viewers.
    pub(super) fn hand_on(&mut self, lane: Lane, packet: Packet) {
        let Some(open) = self.lanes.get_mut(&lane) else { return };
        if let Lane::Video(_) = lane {
            open.meter.push(Instant::now(), &packet);
        }
        open.newest = Some(packet.pts);
        let owner = open.owner;
        self.hls.push(lane, &packet);
        let unit = Arc::new(Unit { lane, packet });
        if let (true, Lane::Video(_)) = (self.transcoded.is_possible(), lane)
            && let Some(publisher) = self.publisher(owner)
            && publisher.is_single()
        {
            publisher.gop.keep(&unit);
        }
        // Without readers there is nobody to tell.
        let _ = self.units.send(unit);
    }

    pub(super) fn ask_keyframe(&self, layer: RenditionName) {
        if self.is_made(layer) {
            self.transcoded.ask_keyframe(layer);
        } else if let Some((peer, layers)) =
            self.publisher.as_ref().and_then(|publisher| publisher.peer.as_ref())
        {
            let rid = layers.iter().find(|(_, name)| **name == layer).map(|(rid, _)| &**rid);
            self.order(self.sfu.request_keyframe(*peer, rid));
        }
    }

    /// What WebRTC viewers can choose from. The media plane measures what each takes in fact.
    pub(super) fn tell_layers(&self) {
        let layers = self.layers().into_iter().map(|name| sfu::Layer { name, kbps: self.meant_kbps(name) });
        self.order(self.sfu.set_layers(self.media_id, layers.collect()));
    }

    /// A media plane that is too busy for a command is asked again by what comes next: key frames, layers
    /// and ends are all repeated or noticed otherwise.
    fn order(&self, ordered: Result<(), sfu::Refused>) {
        if let Err(err) = ordered {
            tracing::warn!(stream = %self.row.playback_id, "the media plane refused: {err}");
        }
    }
}

fn forwarded(lane: Lane) -> sfu::Lane {
    match lane {
        Lane::Video(name) => sfu::Lane::Video(name),
        Lane::Audio(_) => sfu::Lane::Audio,
    }
}
