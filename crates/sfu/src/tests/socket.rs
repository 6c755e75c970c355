//! The real thread and its socket, on the loopback interface.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use media::RenditionName;
use str0m::change::SdpAnswer;
use str0m::media::{Direction, MediaKind};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event as RtcEvent, Input, Output, Rtc};

use super::network::{Camera, client_rtc};
use crate::config::SfuConfig;
use crate::event::{CloseReason, Event, Metering};
use crate::handle::{Refused, Sfu, SfuHandle, ViewerConfig};
use crate::ids::{PeerId, StreamId};
use crate::layer_choice::{Layer, LayerChoice};
use crate::packet::Lane;

const STREAM: StreamId = StreamId(1);
/// Nothing is measured by it: a test that hangs must end.
const GUARD: Duration = Duration::from_secs(30);

struct Viewer {
    rtc: Rtc,
    socket: UdpSocket,
    peer: PeerId,
    connected: bool,
    got: usize,
}

fn join(sfu: &SfuHandle) -> Viewer {
    join_as(sfu, false)
}

fn join_as(sfu: &SfuHandle, metered: bool) -> Viewer {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut rtc = client_rtc(Instant::now());
    rtc.add_local_candidate(Candidate::host(socket.local_addr().unwrap(), "udp").unwrap());
    let mut api = rtc.sdp_api();
    api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
    let (offer, pending) = api.apply().unwrap();
    let choice = LayerChoice::Auto;
    let config = ViewerConfig { stream: STREAM, max_layer: RenditionName::High, choice, metered };
    let accepted = sfu.accept_viewer(&offer.to_sdp_string(), config).unwrap();
    let answer = SdpAnswer::from_sdp_string(&accepted.answer_sdp).unwrap();
    rtc.sdp_api().accept_answer(pending, answer).unwrap();
    Viewer { rtc, socket, peer: accepted.peer, connected: false, got: 0 }
}

impl Viewer {
    /// One turn: sends what is due, waits for one datagram or a few milliseconds.
    fn turn(&mut self) {
        let local = self.socket.local_addr().unwrap();
        let wait = loop {
            match self.rtc.poll_output().unwrap() {
                Output::Transmit(out) => drop(self.socket.send_to(&out.contents, out.destination)),
                Output::Event(RtcEvent::Connected) => self.connected = true,
                Output::Event(RtcEvent::RtpPacket(_)) => self.got += 1,
                Output::Event(_) => {}
                Output::Timeout(at) => break at.saturating_duration_since(Instant::now()),
            }
        };
        let wait = wait.clamp(Duration::from_millis(1), Duration::from_millis(5));
        self.socket.set_read_timeout(Some(wait)).unwrap();
        let mut buffer = [0; 2_000];
        let input = match self.socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                let receive = Receive::new(Protocol::Udp, from, local, &buffer[..length]).unwrap();
                Input::Receive(Instant::now(), receive)
            }
            Err(_) => Input::Timeout(Instant::now()),
        };
        self.rtc.handle_input(input).unwrap();
    }
}

fn turn_until(viewers: &mut [Viewer], mut done: impl FnMut(&mut [Viewer]) -> bool) {
    let end = Instant::now() + GUARD;
    while !done(viewers) {
        assert!(Instant::now() < end, "this takes too long");
        viewers.iter_mut().for_each(Viewer::turn);
    }
}

fn start() -> (Sfu, tokio::sync::mpsc::Receiver<Event>) {
    let (sfu, events) = Sfu::start(SfuConfig { max_peers: 3, ..SfuConfig::default() }).unwrap();
    let layers = vec![Layer { name: RenditionName::High, kbps: 4_000 }];
    sfu.handle().set_layers(STREAM, layers).unwrap();
    (sfu, events)
}

#[test]
fn packets_reach_viewers_over_the_loopback_interface() {
    let (sfu, mut events) = start();
    let handle = sfu.handle();
    let mut viewers = [join(&handle), join(&handle)];
    turn_until(&mut viewers, |viewers| viewers.iter().all(|viewer| viewer.connected));
    let mut camera = Camera::new(RenditionName::High);
    camera.shape = (8, 1_100);
    turn_until(&mut viewers, |viewers| {
        camera.want_key |= std::iter::from_fn(|| events.try_recv().ok())
            .any(|event| matches!(event, Event::KeyframeNeeded { .. }));
        let packets = camera.picture(None).into_iter().map(|p| (Lane::Video(RenditionName::High), p));
        handle.forward(STREAM, packets.collect());
        viewers.iter().all(|viewer| viewer.got > 200)
    });
    let counters = handle.counters();
    assert_eq!(counters.peers, 2);
    assert!(counters.sends < counters.datagrams_out, "{counters:?}");
}

#[test]
fn a_full_server_refuses_and_a_closed_peer_makes_room() {
    let (sfu, mut events) = start();
    let handle = sfu.handle();
    let viewers = [join(&handle), join(&handle), join(&handle)];
    let choice = LayerChoice::Auto;
    let config = ViewerConfig { stream: STREAM, max_layer: RenditionName::High, choice, metered: false };
    assert_eq!(handle.accept_viewer("v=0", config).unwrap_err(), Refused::Full);
    handle.close(viewers[0].peer).unwrap();
    let closed = std::iter::from_fn(|| events.blocking_recv()).find_map(|event| match event {
        Event::Closed { peer, reason } => Some((peer, reason)),
        _ => None,
    });
    assert_eq!(closed, Some((viewers[0].peer, CloseReason::Requested)));
    assert!(matches!(handle.accept_viewer("v=0", config).unwrap_err(), Refused::Sdp(_)));
    join(&handle);
}

#[test]
fn dropping_the_server_says_goodbye_and_stops_its_handles() {
    let (sfu, mut events) = start();
    let handle = sfu.handle();
    let mut viewers = [join(&handle)];
    turn_until(&mut viewers, |viewers| viewers[0].connected);
    drop(sfu);
    turn_until(&mut viewers, |viewers| !viewers[0].rtc.is_alive());
    assert_eq!(handle.close(viewers[0].peer), Err(Refused::Stopped));
    let last = std::iter::from_fn(|| events.blocking_recv()).last();
    assert!(matches!(last, Some(Event::Closed { reason: CloseReason::Requested, .. })));
}

#[test]
fn no_second_is_forgotten_where_the_queue_of_events_is_full() {
    let config = SfuConfig { event_queue: 1, ..SfuConfig::default() };
    let (sfu, mut events) = Sfu::start(config).unwrap();
    let handle = sfu.handle();
    handle.set_layers(STREAM, vec![Layer { name: RenditionName::High, kbps: 4_000 }]).unwrap();
    let mut viewers = [join_as(&handle, true)];
    turn_until(&mut viewers, |viewers| viewers[0].connected);
    let peer = viewers[0].peer;
    handle.meter(peer, 7).unwrap();
    handle.allow(peer, 7, 50).unwrap();
    let mut camera = Camera::new(RenditionName::High);
    for second in 0..60 {
        // A picture is a second after the one before.
        camera.frame = second * 30;
        let packets = camera.picture(None).into_iter();
        handle.forward(STREAM, packets.map(|packet| (Lane::Video(camera.layer), packet)).collect());
    }
    turn_until(&mut viewers, |viewers| viewers[0].got == 101);
    let (mut overs, mut reached) = (Vec::new(), Vec::new());
    turn_until(&mut viewers, |_| {
        while let Ok(event) = events.try_recv() {
            match event {
                Event::Metered { session: 7, what: Metering::Over { second, sent, .. }, .. } if sent > 0 => {
                    overs.push(second);
                }
                Event::Metered { what: Metering::Reached { second, .. }, .. } => reached.push(second),
                _ => {}
            }
        }
        overs.len() == 50
    });
    assert_eq!(overs, (0..50).collect::<Vec<_>>());
    assert_eq!(reached.last(), Some(&59));
}
