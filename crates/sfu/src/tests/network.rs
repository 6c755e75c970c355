//! A network of one shard and its clients: delay, seeded loss, and a clock that jumps to the next event.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use media::{RenditionName, WallTime};
use str0m::change::SdpAnswer;
use str0m::media::{Direction, MediaKind, Mid, Rid, Simulcast, SimulcastLayer};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpPacket as Received, RtpWrite};
use str0m::{Candidate, Event as RtcEvent, Input, Output, Rtc};

use crate::command::{Command, Order};
use crate::config::{Clock, SfuConfig};
use crate::event::{CloseReason, Event, ViewerStats};
use crate::handle::ViewerConfig;
use crate::ids::{PeerId, StreamId};
use crate::layer_choice::{Layer, LayerChoice};
use crate::packet::{Lane, RtpPacket, Source};
use crate::sdp::with_credentials;
use crate::session::{Role, SessionFactory};
use crate::shard::Shard;

pub const STREAM: StreamId = StreamId(7);
pub const LADDER: [RenditionName; 3] = [RenditionName::Low, RenditionName::Medium, RenditionName::High];
/// 30 pictures a second, to the microsecond.
pub const FRAME: Duration = Duration::from_micros(33_333);
const DELAY: Duration = Duration::from_millis(2);
const SERVER: &str = "10.0.0.1:5000";

pub struct Network {
    pub now: Instant,
    pub shard: Shard,
    pub factory: SessionFactory,
    pub clock: Clock,
    pub clients: Vec<Client>,
    pub events: Vec<(Instant, Event)>,
    /// Where the node would forward: publisher's rid to layer.
    pub publisher: Option<PeerId>,
    pub closed: HashMap<PeerId, CloseReason>,
    pub stats: HashMap<PeerId, ViewerStats>,
    pub keyframe_requests: Vec<(Instant, RenditionName)>,
    pub server: SocketAddr,
    /// Of RTP in either direction, one in so many is lost, chosen by the seed.
    pub lose_one_in: Option<u64>,
    /// The same of reports and requests.
    pub lose_reports: bool,
    /// RTP packets with these timestamps never reach a client, however often they are sent.
    pub lose_for_good: fn(timestamp: u32) -> bool,
    pub lost: u64,
    /// Clients offer no video.
    pub sound_alone: bool,
    /// Whether the node reads events.
    pub reads: bool,
    /// Lines of clients' offers that hold one of these are left out.
    pub left_out: &'static [&'static str],
    seed: u64,
    wire: BTreeMap<(Instant, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    sent: u64,
    next_peer: u64,
    recorded: Vec<Vec<u8>>,
}

pub struct Client {
    pub rtc: Rtc,
    pub peer: PeerId,
    pub address: SocketAddr,
    pub answer: String,
    pub video: Mid,
    pub audio: Mid,
    pub connected: bool,
    /// The address that the server sees, where it is not the client's own.
    pub nat: Option<SocketAddr>,
    /// Goes dead: sends and receives nothing more.
    pub dead: bool,
    /// What arrived, in order of arrival, with retransmissions in place of the lost.
    pub got: Vec<Received>,
    /// Sizes of RTP datagrams from the server, with the bytes.
    pub datagrams: Vec<Vec<u8>>,
    pub keyframes_asked: Vec<Option<Rid>>,
    outgoing: Vec<Vec<u8>>,
    wants: Instant,
}

impl Network {
    pub fn new() -> Self {
        Self::with_clock(Clock::new(Instant::now(), WallTime::from_system(SystemTime::now())))
    }

    /// With a server whose clock is this one. Those of its clients are right.
    pub fn with_clock(clock: Clock) -> Self {
        let config = SfuConfig::default();
        let start = Instant::now();
        let server: SocketAddr = SERVER.parse().unwrap();
        let factory = SessionFactory::new(&config, vec![server]).unwrap();
        let mut shard = Shard::new(config, clock, vec![server]);
        let layers = LADDER.map(|name| Layer { name, kbps: name.default_kbps() }).to_vec();
        shard.handle_command(start, Command(Order::SetLayers { stream: STREAM, layers }));
        Self {
            now: start,
            shard,
            factory,
            clock,
            clients: Vec::new(),
            events: Vec::new(),
            publisher: None,
            closed: HashMap::new(),
            stats: HashMap::new(),
            keyframe_requests: Vec::new(),
            server,
            lose_one_in: None,
            lose_reports: false,
            lose_for_good: |_| false,
            lost: 0,
            sound_alone: false,
            reads: true,
            left_out: &[],
            seed: 0x9e37_79b9_7f4a_7c15,
            wire: BTreeMap::new(),
            sent: 0,
            next_peer: 1,
            recorded: Vec::new(),
        }
    }

    /// A publisher of the ladder's layers and sound; returns its index among the clients.
    pub fn join_publisher(&mut self) -> usize {
        let mut simulcast = Simulcast::new();
        for name in LADDER {
            simulcast.add_send_layer(SimulcastLayer::new(name.rid()));
        }
        let at = self
            .join(Role::Publisher, Some(simulcast), |peer, session| Order::AddPublisher { peer, session });
        self.publisher = Some(self.clients[at].peer);
        at
    }

    pub fn join_viewer(&mut self, choice: LayerChoice) -> usize {
        self.join_as(choice, Role::Viewer)
    }

    pub fn join_metered(&mut self, choice: LayerChoice) -> usize {
        self.join_as(choice, Role::MeteredViewer)
    }

    fn join_as(&mut self, choice: LayerChoice, role: Role) -> usize {
        let metered = role == Role::MeteredViewer;
        let config = ViewerConfig { stream: STREAM, max_layer: RenditionName::Ultra, choice, metered };
        self.join(role, None, |peer, session| Order::AddViewer { peer, session, config })
    }

    fn join(
        &mut self,
        role: Role,
        simulcast: Option<Simulcast>,
        order: impl FnOnce(PeerId, Box<crate::session::Session>) -> Order,
    ) -> usize {
        let direction = if role == Role::Publisher { Direction::SendOnly } else { Direction::RecvOnly };
        let address = SocketAddr::from(([10, 0, 1, 1], 10_000 + self.next_peer as u16));
        let peer = PeerId(self.next_peer);
        self.next_peer += 1;
        let mut rtc = client_rtc(self.now);
        rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
        let mut api = rtc.sdp_api();
        let audio = api.add_media(MediaKind::Audio, direction, None, None, None);
        let video = match self.sound_alone {
            true => audio,
            false => api.add_media(MediaKind::Video, direction, None, None, simulcast),
        };
        let (offer, pending) = api.apply().unwrap();
        let offer = offer.to_sdp_string();
        let kept =
            offer.split_inclusive("\r\n").filter(|line| !self.left_out.iter().any(|out| line.contains(out)));
        let session = self.factory.make(self.now, &kept.collect::<String>(), role).unwrap();
        let answer = SdpAnswer::from_sdp_string(&session.answer).unwrap();
        rtc.sdp_api().accept_answer(pending, answer).unwrap();
        let session_answer = session.answer.clone();
        self.shard.handle_command(self.now, Command(order(peer, Box::new(session))));
        self.clients.push(Client {
            rtc,
            peer,
            address,
            answer: session_answer,
            video,
            audio,
            connected: false,
            nat: None,
            dead: false,
            got: Vec::new(),
            datagrams: Vec::new(),
            keyframes_asked: Vec::new(),
            outgoing: Vec::new(),
            wants: self.now,
        });
        self.clients.len() - 1
    }

    /// A client's ICE restart by WHEP: new credentials there, new ones here.
    pub fn restart_ice(&mut self, at: usize) {
        let client = &mut self.clients[at];
        let mut api = client.rtc.sdp_api();
        let creds = api.ice_restart(true);
        let (_, pending) = api.apply().unwrap();
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        let (ufrag, pwd) = (creds.ufrag, creds.pass);
        let order = Order::Restart { peer: client.peer, ufrag, pwd, reply };
        self.shard.handle_command(self.now, Command(order));
        let creds = answer.try_recv().unwrap().unwrap();
        let client = &mut self.clients[at];
        let answer = with_credentials(&client.answer, &creds.ufrag, &creds.pass);
        assert_ne!(answer, client.answer);
        let answer = SdpAnswer::from_sdp_string(&answer).unwrap();
        client.rtc.sdp_api().accept_answer(pending, answer).unwrap();
    }

    /// Some of what clients sent so far, of every kind.
    pub fn client_datagrams(&self) -> Vec<Vec<u8>> {
        self.recorded.clone()
    }

    pub fn order(&mut self, order: Order) {
        self.shard.handle_command(self.now, Command(order));
    }

    /// What the node's stream actor does.
    pub fn forward(&mut self, packets: Vec<(Lane, RtpPacket)>) {
        self.shard.forward(self.now, STREAM, packets);
        self.shard.flush(self.now);
    }

    pub fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        self.run_until(end, |_| false);
    }

    /// Runs until `done` or the end; true if it was done.
    pub fn run_until(&mut self, end: Instant, mut done: impl FnMut(&Self) -> bool) -> bool {
        loop {
            self.settle();
            if done(self) {
                return true;
            }
            if self.now >= end {
                return false;
            }
            let wire = self.wire.first_key_value().map(|((at, _), _)| *at);
            let clients = self.clients.iter().filter(|c| !c.dead && c.rtc.is_alive()).map(|c| c.wants);
            let next = clients.chain(wire).chain(self.shard.poll_timeout(self.now)).min().unwrap_or(end);
            if next > end {
                self.now = end;
                return false;
            }
            // Time moves on even where somebody wants to be called at once again.
            self.now = next.max(self.now + Duration::from_micros(100)).min(end);
            self.deliver();
        }
    }

    pub fn connect(&mut self) {
        let end = self.now + Duration::from_secs(5);
        assert!(
            self.run_until(end, |net| net.clients.iter().all(|c| c.connected || c.dead)),
            "nobody is left out"
        );
    }

    fn deliver(&mut self) {
        while let Some(entry) = self.wire.first_entry().filter(|e| e.key().0 <= self.now) {
            let (from, to, bytes) = entry.remove();
            if to == self.server {
                if self.recorded.len() < 200 {
                    self.recorded.push(bytes.clone());
                }
                self.shard.handle_datagram(self.now, from, Some(to.ip()), &bytes);
            } else if let Some(client) =
                self.clients.iter_mut().find(|c| c.nat.unwrap_or(c.address) == to && !c.dead)
            {
                client.receive(self.now, from, &bytes);
            }
        }
        self.shard.handle_timeout(self.now);
        self.shard.flush(self.now);
        for client in &mut self.clients {
            if client.wants <= self.now {
                let _ = client.rtc.handle_input(Input::Timeout(self.now));
            }
        }
    }

    /// Moves all output to the wire, and plays the node for events.
    fn settle(&mut self) {
        for _ in 0..8 {
            let mut posts = Vec::new();
            for client in &mut self.clients {
                let address = client.nat.unwrap_or(client.address);
                client.poll();
                posts.extend(client.outgoing.drain(..).map(|bytes| (address, self.server, bytes)));
            }
            let from = self.server;
            for (to, bytes) in
                self.shard.outbox().datagrams().map(|(to, b)| (to, b.to_vec())).collect::<Vec<_>>()
            {
                posts.push((from, to, bytes));
            }
            self.shard.outbox().clear();
            for post in posts {
                let for_good = is_rtp(&post.2) && (self.lose_for_good)(timestamp_of(&post.2));
                if for_good || (is_rtp(&post.2) || self.lose_reports && is_rtcp(&post.2)) && self.loses() {
                    self.lost += 1;
                    continue;
                }
                self.sent += 1;
                self.wire.insert((self.now + DELAY, self.sent), post);
            }
            let mut media = Vec::new();
            while self.reads
                && let Some(event) = self.shard.poll_event()
            {
                self.play_node(event, &mut media);
            }
            if media.is_empty() {
                break;
            }
            self.forward(media);
        }
    }

    fn play_node(&mut self, event: Event, media: &mut Vec<(Lane, RtpPacket)>) {
        match &event {
            Event::PublisherMedia { source, packet, .. } => {
                let lane = match source {
                    Source::Audio => Lane::Audio,
                    Source::Video(rid) => {
                        let rid = rid.as_deref().and_then(RenditionName::from_rid);
                        Lane::Video(rid.unwrap_or(RenditionName::High))
                    }
                };
                media.push((lane, packet.clone()));
            }
            Event::KeyframeNeeded { layer, .. } => {
                self.keyframe_requests.push((self.now, *layer));
                if let Some(peer) = self.publisher {
                    let rid = Some(layer.rid().to_owned());
                    self.order(Order::RequestKeyframe { peer, rid });
                }
            }
            Event::Closed { peer, reason } => drop(self.closed.insert(*peer, *reason)),
            Event::ViewerStats { peer, stats } => drop(self.stats.insert(*peer, *stats)),
            _ => {}
        }
        self.events.push((self.now, event));
    }

    fn loses(&mut self) -> bool {
        let Some(one_in) = self.lose_one_in else { return false };
        // xorshift64 (Marsaglia 2003).
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed.is_multiple_of(one_in)
    }
}

pub fn client_rtc(now: Instant) -> Rtc {
    let mut config = Rtc::builder()
        .set_rtp_mode(true)
        .set_crypto_provider(Arc::new(str0m::crypto::from_feature_flags()))
        .clear_codecs()
        .enable_opus(true, false);
    config.codec_config().add_h264(120.into(), Some(121.into()), true, 0x42_e0_1f);
    config.build(now)
}

impl Client {
    fn receive(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        if is_rtp(bytes) {
            self.datagrams.push(bytes.to_vec());
        }
        let receive = Receive::new(Protocol::Udp, from, self.address, bytes).unwrap();
        self.rtc.handle_input(Input::Receive(now, receive)).unwrap();
        // The session keeps one received packet: each must be collected before the next.
        self.poll();
    }

    fn poll(&mut self) {
        if self.dead {
            return;
        }
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Transmit(out) => self.outgoing.push(out.contents.to_vec()),
                Output::Timeout(at) => {
                    self.wants = at;
                    break;
                }
                Output::Event(RtcEvent::Connected) => self.connected = true,
                Output::Event(RtcEvent::RtpPacket(packet)) => self.got.push(packet),
                Output::Event(RtcEvent::KeyframeRequest(request)) => self.keyframes_asked.push(request.rid),
                Output::Event(_) => {}
            }
        }
    }

    /// Sends one packet of media to the server.
    pub fn send(&mut self, now: Instant, rid: Option<&str>, packet: &RtpPacket) {
        let mid = if rid.is_some() { self.video } else { self.audio };
        let media = self.rtc.media(mid).unwrap();
        let pt = media.remote_pts()[0];
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx_by_mid(mid, rid.map(Rid::from)).unwrap();
        let write = RtpWrite::new(pt, packet.seq.into(), packet.timestamp, now, packet.payload.clone());
        stream.write_rtp(write.marker(packet.marker).nackable(rid.is_some()));
        self.rtc.handle_input(Input::Timeout(now)).unwrap();
    }

    /// What arrived on the video section, as (sequence, timestamp, payload), by sequence.
    pub fn pictures(&self) -> Vec<(u64, u32, Arc<[u8]>)> {
        let mut pictures: Vec<_> = self
            .got
            .iter()
            .filter(|packet| *packet.header.payload_type != 111)
            .map(|packet| (*packet.seq_no, packet.header.timestamp, packet.payload.clone()))
            .collect();
        pictures.sort_by_key(|(seq, _, _)| *seq);
        pictures
    }
}

/// RTP, and not RTCP (RFC 5761 §4).
fn is_rtp(bytes: &[u8]) -> bool {
    (128..192).contains(&bytes[0]) && !(192..224).contains(&bytes[1])
}

fn is_rtcp(bytes: &[u8]) -> bool {
    (128..192).contains(&bytes[0]) && !is_rtp(bytes)
}

/// An RTP header is not encrypted (RFC 3550 §5.1).
fn timestamp_of(rtp: &[u8]) -> u32 {
    u32::from_be_bytes(rtp[4..8].try_into().unwrap())
}

/// Forwards `frames` pictures of each camera at 30 a second, answering key-frame requests as an encoder
/// does; pictures are stamped with the time they are made.
pub fn play(net: &mut Network, cameras: &mut [Camera], frames: usize) {
    for _ in 0..frames {
        let asked = std::mem::take(&mut net.keyframe_requests);
        for camera in cameras.iter_mut() {
            camera.want_key |= asked.iter().any(|(_, layer)| *layer == camera.layer);
            let captured = net.clock.wall_of(net.now);
            let lane = Lane::Video(camera.layer);
            let packets = camera.picture(Some(captured)).into_iter().map(|packet| (lane, packet)).collect();
            net.forward(packets);
        }
        net.run_for(FRAME);
    }
}

/// Makes a layer's packets: a key picture is a STAP-A of parameter sets and two fragments of an IDR slice,
/// another picture two fragments of a plain slice (RFC 6184 §5.7, §5.8). The last byte names the layer.
pub struct Camera {
    pub layer: RenditionName,
    seq: u64,
    pub frame: u32,
    pub want_key: bool,
    /// Key pictures made.
    pub keys: usize,
    /// Packets of a picture, and bytes in each.
    pub shape: (usize, usize),
}

impl Camera {
    pub fn new(layer: RenditionName) -> Self {
        // Numbers of layers differ, as those of real encoders do.
        Self { layer, seq: 1_000 * layer as u64, frame: 0, want_key: true, keys: 0, shape: (2, 3) }
    }

    pub fn picture(&mut self, captured: Option<WallTime>) -> Vec<RtpPacket> {
        let key = std::mem::take(&mut self.want_key);
        self.keys += usize::from(key);
        let tag = self.layer as u8;
        let (packets, bytes) = self.shape;
        let kind = if key { 5 } else { 1 };
        let mut payloads: Vec<_> = (0..packets)
            .map(|at| {
                let edge = if at == 0 { 0x80 } else { 0 } | if at + 1 == packets { 0x40 } else { 0 };
                let mut payload = vec![tag; bytes];
                payload[..2].copy_from_slice(&[0x7c, edge | kind]);
                payload
            })
            .collect();
        if key {
            payloads.insert(0, vec![0x78, 0, 3, 0x67, 0x42, 0xe0, 0, 2, 0x68, 0xce, tag]);
        }
        let timestamp = self.frame.wrapping_mul(3_000).wrapping_add(500_000 * tag as u32);
        self.frame += 1;
        let last = payloads.len() - 1;
        payloads
            .into_iter()
            .enumerate()
            .map(|(at, payload)| {
                self.seq += 1;
                RtpPacket { seq: self.seq, timestamp, marker: at == last, payload: payload.into(), captured }
            })
            .collect()
    }
}

/// Whether a client's payload begins a key picture.
pub fn is_key_start(payload: &[u8]) -> bool {
    payload[0] == 0x78
}

pub fn layer_of(payload: &[u8]) -> u8 {
    payload[payload.len() - 1]
}
