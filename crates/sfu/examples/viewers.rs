//! How many packets a second one core of the media thread sends: 300 viewers with real DTLS and SRTP on the
//! loopback interface, 1 200-byte packets in pictures of 14 at 30 a second, with retransmission history,
//! sender reports and transport-wide feedback; every hundredth datagram is lost on the way and sent again.
//! `bench [viewers] [seconds] [metered]`; the last lets all viewers be metered, and everything is allowed.
//!
//! The figure is datagrams sent by the thread's processor time, so it does not depend on what else runs
//! here. The loopback interface charges the receiver's half of the kernel's work to the sender.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use media::{RenditionName, WallTime};
use mio::{Events, Interest, Poll, Token};
use row::{Better, Row};
use str0m::change::SdpAnswer;
use str0m::media::{Direction, MediaKind};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event as RtcEvent, Input, Output, Rtc};
use tickcast_sfu::{
    Event, Lane, Layer, LayerChoice, Refused, RtpPacket, Sfu, SfuConfig, StreamId, ViewerConfig,
};

#[path = "../../xtask/src/bench/row.rs"]
mod row;

const STREAM: StreamId = StreamId(1);
const PACKETS: usize = 14;
const BYTES: usize = 1_200;
const FRAME: Duration = Duration::from_micros(33_333);
/// Of the datagrams that reach a client, one in so many is lost.
const LOSS: u64 = 100;

struct Viewer {
    rtc: Rtc,
    socket: mio::net::UdpSocket,
    wants: Instant,
    got: u64,
    /// Datagrams that reached it, the lost ones included.
    reached: u64,
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|a| a.parse::<usize>().ok());
    let viewers = arguments.next().unwrap_or(300);
    let seconds = arguments.next().unwrap_or(10) as u64;
    let metered = std::env::args().any(|argument| argument == "metered");
    let (mut table, mut rows) = (String::from(HEADING), Vec::new());
    for estimate in [true, false] {
        table.push_str(&measure(viewers, metered, Duration::from_secs(seconds), estimate, &mut rows));
    }
    println!("{table}");
    rows.iter().for_each(|row| println!("{}", row.to_line()));
}

const HEADING: &str =
    "estimator  packets/s  a core  user ns  system ns  run  repaired  dropped  received by clients\n";

fn measure(
    count: usize,
    metered: bool,
    span: Duration,
    estimate_bandwidth: bool,
    rows: &mut Vec<Row>,
) -> String {
    let config = SfuConfig { max_peers: count, estimate_bandwidth, ..SfuConfig::default() };
    let (sfu, mut events) = Sfu::start(config).expect("a port on the loopback interface is free");
    let handle = sfu.handle();
    let high = RenditionName::High;
    handle.set_layers(STREAM, vec![Layer { name: high, kbps: 4_000 }]).expect("the queue is empty");

    let stop = Arc::new(AtomicBool::new(false));
    let (ready, joined) = std::sync::mpsc::channel();
    let clients = {
        let (handle, stop) = (handle.clone(), Arc::clone(&stop));
        std::thread::spawn(move || {
            let mut viewers: Vec<_> = (0..count).map(|_| join(&handle, metered)).collect();
            serve(&mut viewers, &stop, &mut || {
                // The other end waits for this and nothing else.
                let _ = ready.send(());
            });
            viewers.iter().map(|viewer| viewer.got).sum::<u64>()
        })
    };
    joined.recv().expect("the clients run");

    let (mut seq, mut frame) = (0, 0u32);
    let warm = Instant::now() + Duration::from_secs(2);
    let end = warm + span;
    let mut due = Instant::now();
    let mut begin = None;
    while Instant::now() < end {
        if begin.is_none() && Instant::now() >= warm {
            begin = Some((handle.counters(), thread_ticks(), Instant::now(), seq));
        }
        let mut key = frame == 0;
        while let Ok(event) = events.try_recv() {
            key |= matches!(event, Event::KeyframeNeeded { .. });
        }
        handle.forward(STREAM, picture(&mut seq, frame, key));
        frame += 1;
        due += FRAME;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    let (counters, (user, system)) = (handle.counters(), thread_ticks());
    let (before, (user_before, system_before), since, seq_before) =
        begin.expect("the warm-up is shorter than the run");
    let elapsed = since.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    let received = clients.join().expect("the clients do not panic");

    let packets = (counters.datagrams_out - before.datagrams_out) as f64;
    // Ticks of 10 ms (USER_HZ is 100 on Linux).
    let (user, system) = ((user - user_before) as f64 / 100.0, (system - system_before) as f64 / 100.0);
    let (user_ns, system_ns) = (user / packets * 1e9, system / packets * 1e9);
    let a_core = packets / (user + system);
    let a_send = packets / (counters.sends - before.sends) as f64;
    let offered = (seq - seq_before) as f64 * count as f64;
    // What goes beyond one of each for everybody: retransmissions, and RTCP.
    let repaired = (packets - offered) / packets * 100.0;
    if packets < offered * 0.99 {
        println!(
            "the thread did not get enough of this machine: {:.0} packets a second were offered, {:.0} sent, in longer \
             runs than viewers would get in real time",
            offered / elapsed,
            packets / elapsed
        );
    }
    let estimator = if estimate_bandwidth { "on" } else { "off" };
    let viewers = if metered { "metered viewers" } else { "viewers" };
    let mut put = |better, what: &str, unit: &str, ours| {
        let metric = format!("{count} {viewers}, estimator {estimator}: {what}");
        rows.push(Row::new(better, metric, unit, ours));
    };
    put(Better::More, "server's thread", "packets/s/core", a_core);
    put(Better::Less, "user time", "ns/packet", user_ns);
    put(Better::Less, "system time", "ns/packet", system_ns);
    put(Better::More, "packets a system call", "packets", a_send);
    format!(
        "{estimator:<9}  {:>9.0}  {a_core:>6.0}  {user_ns:>7.0}  {system_ns:>9.0}  {a_send:>3.1}  {:>6.2} %  {:>7}  \
         {:>17.1} %\n",
        packets / elapsed,
        repaired,
        counters.datagrams_dropped - before.datagrams_dropped,
        // Of what was offered; it falls below 100 where one thread cannot decrypt for all of them.
        received as f64 / (seq as f64 * count as f64) * 100.0,
    )
}

/// User and system time of the media thread in ticks.
fn thread_ticks() -> (u64, u64) {
    let tasks = std::fs::read_dir("/proc/self/task").expect("this bench needs Linux");
    for task in tasks.flatten() {
        let read = |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
        if read("comm").trim() == "sfu" {
            let stat = read("stat");
            let fields: Vec<_> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
            let field = |at: usize| fields.get(at).and_then(|f| f.parse().ok()).unwrap_or(0);
            // utime and stime are fields 14 and 15; the first here is field 3 (proc(5)).
            return (field(11), field(12));
        }
    }
    (0, 0)
}

fn picture(seq: &mut u64, frame: u32, key: bool) -> Vec<(Lane, RtpPacket)> {
    // Sender reports are made from it.
    let captured = WallTime::from_system(SystemTime::now());
    (0..PACKETS)
        .map(|at| {
            *seq += 1;
            let mut payload = vec![0u8; BYTES];
            let edge = if at == 0 { 0x80 } else { 0 } | if at + 1 == PACKETS { 0x40 } else { 0 };
            payload[..2].copy_from_slice(&[0x7c, edge | if key { 5 } else { 1 }]);
            let packet = RtpPacket {
                seq: *seq,
                timestamp: frame.wrapping_mul(3_000),
                marker: at + 1 == PACKETS,
                payload: payload.into(),
                captured: Some(captured),
            };
            (Lane::Video(RenditionName::High), packet)
        })
        .collect()
}

fn join(sfu: &tickcast_sfu::SfuHandle, metered: bool) -> Viewer {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port on the loopback interface is free");
    socket.set_nonblocking(true).expect("the system can");
    let now = Instant::now();
    let mut config = Rtc::builder().set_rtp_mode(true).clear_codecs();
    config.codec_config().add_h264(120.into(), Some(121.into()), true, 0x42_e0_1f);
    let mut rtc = config.build(now);
    let local = socket.local_addr().expect("it is bound");
    rtc.add_local_candidate(Candidate::host(local, "udp").expect("a bound address"));
    let mut api = rtc.sdp_api();
    api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
    let (offer, pending) = api.apply().expect("a section was added");
    let choice = LayerChoice::Fixed(RenditionName::High);
    let config = ViewerConfig { stream: STREAM, max_layer: RenditionName::High, choice, metered };
    let accepted = sfu.accept_viewer(&offer.to_sdp_string(), config).expect("the offer is a good one");
    if metered {
        // Each waits for room in the queue, as it is emptied by a thread of its own.
        while sfu.meter(accepted.peer, 1) == Err(Refused::Busy) {}
        while sfu.allow(accepted.peer, 1, u64::MAX) == Err(Refused::Busy) {}
    }
    let answer = SdpAnswer::from_sdp_string(&accepted.answer_sdp).expect("the answer is a good one");
    rtc.sdp_api().accept_answer(pending, answer).expect("the answer fits");
    let socket = mio::net::UdpSocket::from_std(socket);
    Viewer { rtc, socket, wants: now, got: 0, reached: 0 }
}

/// All viewers on one thread, until told to stop.
fn serve(viewers: &mut [Viewer], stop: &AtomicBool, joined: &mut dyn FnMut()) {
    let mut poll = Poll::new().expect("the system can");
    for (at, viewer) in viewers.iter_mut().enumerate() {
        poll.registry().register(&mut viewer.socket, Token(at), Interest::READABLE).expect("the system can");
    }
    let mut events = Events::with_capacity(1_024);
    let (mut connected, count) = (0, viewers.len());
    let mut buffer = [0; 2_000];
    while !stop.load(Ordering::Relaxed) {
        let _ = poll.poll(&mut events, Some(Duration::from_millis(5)));
        for event in &events {
            let viewer = &mut viewers[event.token().0];
            let local = viewer.socket.local_addr().expect("it is bound");
            while let Ok((length, from)) = viewer.socket.recv_from(&mut buffer) {
                let now = Instant::now();
                viewer.reached += 1;
                // The handshake is no part of what is measured.
                if viewer.reached.is_multiple_of(LOSS) && viewer.got > 0 {
                    continue;
                }
                if let Ok(receive) = Receive::new(Protocol::Udp, from, local, &buffer[..length]) {
                    let _ = viewer.rtc.handle_input(Input::Receive(now, receive));
                    connected += viewer.poll();
                }
            }
        }
        let now = Instant::now();
        for viewer in viewers.iter_mut().filter(|viewer| viewer.wants <= now) {
            let _ = viewer.rtc.handle_input(Input::Timeout(now));
            connected += viewer.poll();
        }
        if connected == count {
            connected += 1;
            joined();
        }
    }
}

impl Viewer {
    /// Returns 1 when it connected just now.
    fn poll(&mut self) -> usize {
        let mut connected = 0;
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(out)) => drop(self.socket.send_to(&out.contents, out.destination)),
                Ok(Output::Event(RtcEvent::Connected)) => connected += 1,
                Ok(Output::Event(RtcEvent::RtpPacket(_))) => self.got += 1,
                Ok(Output::Event(_)) => {}
                Ok(Output::Timeout(at)) => {
                    self.wants = at;
                    return connected;
                }
                Err(_) => return connected,
            }
        }
    }
}
