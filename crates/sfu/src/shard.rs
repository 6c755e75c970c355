//! Peers behind one port, without the port: datagrams, commands and the time go in, datagrams and events
//! come out.

mod fan_out;
mod metering;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use str0m::bwe::{Bitrate, BweKind};
use str0m::change::SdpOffer;
use str0m::media::KeyframeRequestKind;
use str0m::net::{Protocol, Receive};
use str0m::{Event as RtcEvent, IceCreds, Input, Output};

use crate::command::{Command, Order};
use crate::config::{Clock, SfuConfig};
use crate::demux::{Checker, Datagram, Demux, classify};
use crate::event::{CloseReason, Event};
use crate::forward::{KeyframeRequests, Stream};
use crate::ids::{PeerId, StreamId};
use crate::layer_choice::Selector;
use crate::outbox::Outbox;
use crate::peer::{Peer, Side};
use crate::publisher::Publisher;
use crate::sdp::{SdpRefused, with_credentials};
use crate::session::Session;
use crate::viewer::Viewer;

/// A session that asks to be called again at once for this often in a row is left until the next
/// millisecond.
const MAX_SPINS: usize = 4_096;

/// Owns its peers and streams.
pub struct Shard {
    config: SfuConfig,
    clock: Clock,
    candidates: Vec<SocketAddr>,
    peers: HashMap<PeerId, Box<Peer>>,
    demux: Demux,
    timers: BTreeSet<(Instant, PeerId)>,
    streams: HashMap<StreamId, Stream>,
    dirty: Vec<PeerId>,
    checker: Checker,
    rest: Rest,
}

/// What sessions write to while the peer they belong to is borrowed.
struct Rest {
    keyframes: KeyframeRequests,
    events: VecDeque<Event>,
    outbox: Outbox,
    /// Metered viewers of which there is something to tell.
    talking: VecDeque<PeerId>,
}

impl Shard {
    /// `candidates` are the addresses that answers advertise; datagrams count as sent to one of them.
    pub fn new(config: SfuConfig, clock: Clock, candidates: Vec<SocketAddr>) -> Self {
        let rest = Rest {
            keyframes: KeyframeRequests::default(),
            events: VecDeque::new(),
            outbox: Outbox::new(),
            talking: VecDeque::new(),
        };
        Self {
            config,
            clock,
            candidates,
            peers: HashMap::new(),
            demux: Demux::default(),
            timers: BTreeSet::new(),
            streams: HashMap::new(),
            dirty: Vec::new(),
            checker: Checker::new(),
            rest,
        }
    }

    /// Takes one datagram. `to` is the local address that it came to, where the system says. Any bytes from
    /// anyone: what belongs to no peer is dropped, and only a check that proves a peer's password ties an
    /// address to it.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, to: Option<IpAddr>, bytes: &[u8]) {
        let (id, check) = match classify(bytes) {
            Datagram::Check { local_ufrag } => (self.demux.by_ufrag(local_ufrag), true),
            Datagram::Media => (self.demux.by_address(from), false),
            Datagram::Foreign => (None, false),
        };
        let Some(peer) = id.and_then(|id| self.peers.get_mut(&id)) else { return };
        let Some(destination) = destination(&self.candidates, from, to) else { return };
        let Ok(receive) = Receive::new(Protocol::Udp, from, destination, bytes) else { return };
        let input = Input::Receive(now, receive);
        if check {
            let (id, known) = (peer.id, self.demux.by_address(from));
            // The session trusts the address that it sends to; a new one must prove the password.
            if known != Some(id) && !self.checker.verify(bytes, &peer.creds.pass) {
                return;
            }
            // Whoever replays one peer's check from another's address takes nothing from the other.
            let other = known.filter(|known| *known != id).and_then(|known| self.peers.get_mut(&known));
            if let Some(other) = other {
                if other.is_heard(now) {
                    return;
                }
                other.addresses.retain(|address| *address != from);
            }
            self.demux.bind(from, id);
            let Some(peer) = self.peers.get_mut(&id) else { return };
            peer.local_ip = to;
            if let Some(evicted) = peer.note_address(from) {
                self.demux.unbind(evicted, id);
            }
        }
        let Some(peer) = id.and_then(|id| self.peers.get_mut(&id)) else { return };
        peer.hear(now, from, check);
        let id = peer.id;
        // A datagram that cannot be read may be anyone's, with a forged address: it ends nothing (RFC 6347
        // §4.1.2.7). What the session cannot go on from shows when it is polled.
        let _ = peer.rtc.handle_input(input);
        self.pump(id, now);
    }

    pub fn handle_command(&mut self, now: Instant, Command(order): Command) {
        match order {
            Order::AddPublisher { peer, session } => {
                let wait = self.config.reorder_wait;
                let publisher = Publisher::new(session.video_mid, session.audio_mid, wait);
                self.add(peer, *session, Side::Publisher(publisher), now);
            }
            Order::AddViewer { peer, session, config } => {
                let selector = Selector::new(config.choice, config.max_layer);
                let (video, audio) = (session.video_out, session.audio_out);
                let viewer = Viewer::new(config.stream, selector, video, audio);
                let viewer = if config.metered { viewer.metered() } else { viewer };
                self.streams.entry(config.stream).or_default().viewers.push(peer);
                self.add(peer, *session, Side::Viewer(viewer), now);
            }
            Order::Trickle { peer: id, candidates } => {
                if let Some(peer) = self.peers.get_mut(&id) {
                    for candidate in candidates {
                        if peer.may_trickle() {
                            peer.rtc.add_remote_candidate(candidate);
                        }
                    }
                    self.pump(id, now);
                }
            }
            Order::Restart { peer, ufrag, pwd, reply } => {
                // Whoever asked and went away needs no answer.
                let _ = reply.try_send(self.restart_ice(peer, &ufrag, &pwd, now));
            }
            Order::Close { peer } => self.close(peer, CloseReason::Requested, now),
            Order::RequestKeyframe { peer: id, rid } => {
                if let Some(peer) = self.peers.get_mut(&id)
                    && let Side::Publisher(publisher) = &peer.role
                {
                    publisher.request_keyframe(&mut peer.rtc, rid.as_deref());
                    self.poll_session(id, now);
                }
            }
            Order::SetLayer { peer, choice } => {
                self.with_viewer(peer, now, |viewer| viewer.selector.set_choice(choice));
            }
            Order::SetCap { peer, cap } => self.with_viewer(peer, now, |viewer| viewer.selector.set_cap(cap)),
            Order::Meter { peer, session } => {
                self.with_meter(peer, now, |viewer| viewer.begin_session(session));
            }
            Order::Allow { peer, session, until } => {
                self.with_meter(peer, now, |viewer| viewer.allow(session, until));
            }
            Order::SetLayers { stream, layers } => {
                self.streams.entry(stream).or_default().set_layers(layers);
                self.choose_all(stream, now);
            }
            Order::RestartStream { stream: id } => {
                let Some(stream) = self.streams.get_mut(&id) else { return };
                stream.restart();
                for peer in stream.viewers.clone() {
                    self.with_viewer(peer, now, Viewer::restart);
                }
            }
            Order::CloseStream { stream } => {
                let viewers = self.streams.get_mut(&stream).map(|s| std::mem::take(&mut s.viewers));
                for viewer in viewers.unwrap_or_default() {
                    self.close(viewer, CloseReason::StreamEnded, now);
                }
                self.streams.remove(&stream);
                self.rest.keyframes.forget(stream);
            }
        }
    }

    /// Sends what [`Shard::forward`] wrote, viewer by viewer.
    pub fn flush(&mut self, now: Instant) {
        for id in std::mem::take(&mut self.dirty) {
            if let Some(peer) = self.peers.get_mut(&id) {
                peer.dirty = false;
                self.poll_session(id, now);
            }
        }
        self.ask_for_keyframes(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let (idle, connect) = (self.config.idle_timeout, self.config.connect_timeout);
        while let Some(&(due, id)) = self.timers.first() {
            if due > now {
                break;
            }
            self.timers.pop_first();
            let Some(peer) = self.peers.get_mut(&id) else { continue };
            if now >= peer.expires(idle, connect) {
                let reason = if peer.connected { CloseReason::TimedOut } else { CloseReason::NeverConnected };
                self.close(id, reason, now);
                continue;
            }
            match &mut peer.role {
                Side::Publisher(publisher) => {
                    publisher.flush(id, now, &mut |event| self.rest.events.push_back(event));
                }
                Side::Viewer(viewer) => {
                    if let Some(meter) = &mut viewer.meter {
                        meter.handle_timeout(now);
                    }
                }
            }
            self.poll_session(id, now);
        }
        self.ask_for_keyframes(now);
    }

    /// When [`Shard::handle_timeout`] is to be called.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let keyframes = self.rest.keyframes.deadline(now, self.config.keyframe_interval);
        self.timers.first().map(|(due, _)| *due).into_iter().chain(keyframes).min()
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        self.rest.events.pop_front().or_else(|| self.poll_metering())
    }

    /// Puts the event back that was polled last: behind all others, or where a metered viewer's belongs.
    pub(crate) fn unpoll_event(&mut self, event: Event) {
        if let Some(event) = self.unpoll_metering(event) {
            self.rest.events.push_back(event);
        }
    }

    /// Events that nobody read, less those of metered viewers; while there are many, no peer should be added.
    pub fn event_backlog(&self) -> usize {
        self.rest.events.len()
    }

    /// Datagrams to send. The caller clears it when they are sent.
    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.rest.outbox
    }

    pub fn peer_count(&self) -> usize {
        self.peers.len()
    }

    /// Entries in each of the shard's maps: peers, ufrags, addresses, timers, streams. For tests that look
    /// for what is left behind.
    pub fn entries(&self) -> [usize; 5] {
        let (ufrags, addresses) = self.demux.len();
        [self.peers.len(), ufrags, addresses, self.timers.len(), self.streams.len()]
    }

    fn add(&mut self, id: PeerId, session: Session, role: Side, now: Instant) {
        self.demux.add(session.creds.ufrag.clone(), id);
        self.timers.insert((now, id));
        let peer = Peer::new(id, session.rtc, session.creds, session.offer, role, now);
        self.peers.insert(id, Box::new(peer));
        self.poll_session(id, now);
    }

    /// Asks the session to do what is due, then collects its output.
    fn poll_session(&mut self, id: PeerId, now: Instant) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        match peer.rtc.handle_input(Input::Timeout(now)) {
            Ok(()) => self.pump(id, now),
            Err(_) => self.close(id, CloseReason::ProtocolError, now),
        }
    }

    /// Collects all output of a session that was just given something.
    fn pump(&mut self, id: PeerId, now: Instant) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let paced = self.config.estimate_bandwidth && matches!(peer.role, Side::Viewer(_));
        let mut end = None;
        let (mut spins, mut sent) = (0, false);
        loop {
            match peer.rtc.poll_output() {
                Ok(Output::Transmit(out)) => {
                    sent = true;
                    let to = peer.route(out.destination, &out.contents);
                    self.rest.outbox.push(to, peer.local_ip, &out.contents);
                }
                Ok(Output::Event(event)) => {
                    if let Some(reason) = self.rest.take(peer, event, &self.streams, now, self.clock) {
                        end = Some(reason);
                    }
                }
                // The estimator's pacer lets one packet out a call, also of streams that are not paced.
                Ok(Output::Timeout(at)) if at > now && !(paced && sent) => {
                    peer.wants = at;
                    break;
                }
                Ok(Output::Timeout(_)) => {
                    sent = false;
                    spins += 1;
                    if spins > MAX_SPINS || peer.rtc.handle_input(Input::Timeout(now)).is_err() {
                        peer.wants = now + Duration::from_millis(1);
                        break;
                    }
                }
                Err(_) => {
                    end = Some(CloseReason::ProtocolError);
                    break;
                }
            }
        }
        if !peer.rtc.is_alive() {
            end = end.or(Some(CloseReason::ByPeer));
        }
        if let Some(reason) = end {
            self.remove(id, reason);
            return;
        }
        self.rest.tell(peer);
        let due = peer.next_due(self.config.idle_timeout, self.config.connect_timeout);
        if due != peer.due {
            self.timers.remove(&(peer.due, id));
            peer.due = due;
        }
        self.timers.insert((due, id));
    }

    /// Says goodbye, then forgets.
    fn close(&mut self, id: PeerId, reason: CloseReason, now: Instant) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if peer.rtc.close().is_ok() && peer.rtc.handle_input(Input::Timeout(now)).is_ok() {
            while let Ok(output) = peer.rtc.poll_output() {
                match output {
                    Output::Transmit(out) => {
                        let to = peer.route(out.destination, &out.contents);
                        self.rest.outbox.push(to, peer.local_ip, &out.contents);
                    }
                    Output::Event(_) => {}
                    Output::Timeout(_) => break,
                }
            }
        }
        self.remove(id, reason);
    }

    fn remove(&mut self, id: PeerId, reason: CloseReason) {
        let Some(mut peer) = self.peers.remove(&id) else { return };
        self.timers.remove(&(peer.due, id));
        self.demux.forget_ufrag(&peer.creds.ufrag);
        for address in &peer.addresses {
            self.demux.unbind(*address, id);
        }
        self.rest.tell_all(&mut peer);
        if let Side::Viewer(viewer) = &peer.role
            && let Some(stream) = self.streams.get_mut(&viewer.stream)
        {
            stream.viewers.retain(|other| *other != id);
            if stream.viewers.is_empty() && !stream.opened {
                self.streams.remove(&viewer.stream);
                self.rest.keyframes.forget(viewer.stream);
            }
        }
        self.rest.events.push_back(Event::Closed { peer: id, reason });
    }

    /// Says goodbye to all.
    pub fn close_all(&mut self, now: Instant) {
        for id in self.peers.keys().copied().collect::<Vec<_>>() {
            self.close(id, CloseReason::Requested, now);
        }
    }

    fn with_viewer(&mut self, id: PeerId, now: Instant, change: impl FnOnce(&mut Viewer)) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if let Side::Viewer(viewer) = &mut peer.role {
            change(viewer);
            self.rest.choose(peer, &self.streams, now);
        }
    }

    fn choose_all(&mut self, stream: StreamId, now: Instant) {
        let viewers = self.streams.get(&stream).map(|s| s.viewers.clone()).unwrap_or_default();
        for viewer in viewers {
            self.with_viewer(viewer, now, |_| {});
        }
    }

    fn ask_for_keyframes(&mut self, now: Instant) {
        for (stream, layer) in self.rest.keyframes.due(now, self.config.keyframe_interval) {
            self.rest.events.push_back(Event::KeyframeNeeded { stream, layer });
        }
    }

    /// Offers the peer's own offer again with its new credentials, which makes the session restart ICE and
    /// choose credentials of its own (RFC 8445 §9).
    fn restart_ice(
        &mut self,
        id: PeerId,
        ufrag: &str,
        pwd: &str,
        now: Instant,
    ) -> Result<IceCreds, SdpRefused> {
        let gone = || SdpRefused::Unanswerable("the peer is gone".to_owned());
        let peer = self.peers.get_mut(&id).ok_or_else(gone)?;
        let text = with_credentials(&peer.offer, ufrag, pwd);
        let offer = SdpOffer::from_sdp_string(&text).map_err(|err| SdpRefused::Malformed(err.to_string()))?;
        let refused = |err: str0m::RtcError| SdpRefused::Unanswerable(err.to_string());
        peer.rtc.sdp_api().accept_offer(offer).map_err(refused)?;
        let creds = peer.rtc.direct_api().local_ice_credentials();
        self.demux.forget_ufrag(&peer.creds.ufrag);
        self.demux.add(creds.ufrag.clone(), id);
        peer.creds = creds.clone();
        self.poll_session(id, now);
        Ok(creds)
    }
}

/// Which of our candidates a datagram came to: the one with that address, else, behind a NAT, the first of
/// the same family.
fn destination(candidates: &[SocketAddr], from: SocketAddr, to: Option<IpAddr>) -> Option<SocketAddr> {
    let exact = to.and_then(|to| candidates.iter().find(|candidate| candidate.ip() == to));
    exact.or_else(|| candidates.iter().find(|c| c.is_ipv4() == from.is_ipv4())).copied()
}

impl Rest {
    /// Takes in an event of a session; returns why the peer is over, if it is.
    fn take(
        &mut self,
        peer: &mut Peer,
        event: RtcEvent,
        streams: &HashMap<StreamId, Stream>,
        now: Instant,
        clock: Clock,
    ) -> Option<CloseReason> {
        let id = peer.id;
        match (event, &mut peer.role) {
            (RtcEvent::Connected, _) => {
                peer.connected = true;
                if let Some(remote) = peer.addresses.last().copied() {
                    self.events.push_back(Event::Connected { peer: id, remote });
                }
                self.choose(peer, streams, now);
            }
            (RtcEvent::Closed, _) => return Some(CloseReason::ByPeer),
            (RtcEvent::RtpPacket(packet), Side::Publisher(publisher)) => {
                publisher.receive(id, &mut peer.rtc, packet, &mut |event| self.events.push_back(event));
            }
            (RtcEvent::SenderFeedback(report), Side::Publisher(publisher)) => {
                publisher.note_report(&report, clock);
            }
            (RtcEvent::RawPacket(raw), Side::Viewer(viewer)) => {
                if let Some(meter) = &mut viewer.meter {
                    meter.observe(*raw, now);
                }
            }
            (RtcEvent::KeyframeRequest(request), Side::Viewer(viewer)) => {
                viewer.plis_seen += u64::from(request.kind == KeyframeRequestKind::Pli);
                if let Some(layer) = viewer.current() {
                    self.keyframes.want(viewer.stream, layer);
                }
            }
            (RtcEvent::EgressBitrateEstimate(kind), Side::Viewer(viewer)) => {
                match kind {
                    BweKind::Twcc { estimate, .. } | BweKind::Remb { estimate, .. } => {
                        viewer.selector.set_estimate(estimate.as_u64());
                    }
                    _ => return None,
                }
                self.choose(peer, streams, now);
            }
            (RtcEvent::MediaEgressStats(counted), Side::Viewer(viewer)) => {
                if !viewer.count(&counted) {
                    return None;
                }
                let layers = streams.get(&viewer.stream).map_or(&[][..], |s| &s.layers);
                if let Some(loss) = counted.loss {
                    viewer.selector.follow_loss(loss, layers, now);
                }
                self.events.push_back(Event::ViewerStats { peer: id, stats: viewer.stats });
                self.choose(peer, streams, now);
            }
            _ => {}
        }
        None
    }

    /// Lets a connected viewer choose again, and asks for the key frame it needs.
    fn choose(&mut self, peer: &mut Peer, streams: &HashMap<StreamId, Stream>, now: Instant) {
        let (true, Side::Viewer(viewer)) = (peer.connected, &mut peer.role) else { return };
        let Some(stream) = streams.get(&viewer.stream).filter(|stream| stream.opened) else { return };
        if let Some(layer) = viewer.choose(&stream.layers, now) {
            self.keyframes.want(viewer.stream, layer);
        }
        // A scene that stands still takes little; its viewers' lines are probed for what comes when it moves.
        let desired = [&stream.layers, &stream.meant].map(|layers| viewer.selector.desired_bps(layers));
        let desired = desired[0].max(desired[1]);
        if viewer.desired_bps != desired {
            viewer.desired_bps = desired;
            peer.rtc.bwe().set_desired_bitrate(Bitrate::from(desired));
        }
    }
}
