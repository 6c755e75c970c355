//! The one socket loop: reads what came, takes what was queued, writes what is due.

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use media::StopSignal;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use crate::command::Command;
use crate::config::{Clock, SfuConfig, StartError};
use crate::event::Event;
use crate::handle::{Batch, Shared};
use crate::shard::Shard;

const SOCKET: Token = Token(0);
const WAKE: Token = Token(1);
/// Datagrams are at most 64 kB together where the system merges them (GRO).
const RECEIVE_BYTES: usize = 64 * 1024;
/// Room for a burst of key frames to hundreds of viewers; the system may grant less.
const SOCKET_BUFFER: usize = 8 * 1024 * 1024;
/// Turns of reading before what was queued gets its share.
const MAX_READS: usize = 8;
const MAX_COMMANDS: usize = 64;
const MAX_BATCHES: usize = 256;
/// Sent at once beyond this, so that a large fan-out starts leaving while the rest is written.
const FLUSH_BYTES: usize = 256 * 1024;
/// Lasting events beyond this stop new joins until they are read.
const MAX_BACKLOG: usize = 4_096;

pub(crate) struct Queues {
    pub commands: Receiver<Command>,
    pub media: Receiver<Batch>,
    pub events: Sender<Event>,
}

pub(crate) struct Endpoint {
    socket: UdpSocket,
    state: UdpSocketState,
    poll: Poll,
    waker: Arc<Waker>,
    shard: Shard,
    queues: Queues,
    shared: Arc<Shared>,
    candidates: Vec<SocketAddr>,
    local: SocketAddr,
}

impl Endpoint {
    pub fn bind(
        config: &SfuConfig,
        clock: Clock,
        queues: Queues,
        shared: Arc<Shared>,
    ) -> Result<Self, StartError> {
        let failed = |err: io::Error| StartError::Bind(config.bind, err);
        let mut socket = UdpSocket::bind(config.bind).map_err(failed)?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket)).map_err(failed)?;
        // What the system grants is used; less only drops sooner under load.
        let _ = state.set_send_buffer_size(UdpSockRef::from(&socket), SOCKET_BUFFER);
        let _ = state.set_recv_buffer_size(UdpSockRef::from(&socket), SOCKET_BUFFER);
        let local = socket.local_addr().map_err(failed)?;
        let candidates: Vec<_> = match config.advertised.as_slice() {
            [] if local.ip().is_unspecified() => return Err(StartError::NothingAdvertised),
            [] => vec![local],
            ips => ips.iter().map(|ip| SocketAddr::new(*ip, local.port())).collect(),
        };
        let poll = Poll::new().map_err(failed)?;
        poll.registry().register(&mut socket, SOCKET, Interest::READABLE).map_err(failed)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE).map_err(failed)?);
        let mut shard = Shard::new(config.clone(), clock, candidates.clone());
        shard.outbox().set_max_segments(state.max_gso_segments());
        Ok(Self { socket, state, poll, waker, shard, queues, shared, candidates, local })
    }

    pub fn candidates(&self) -> &[SocketAddr] {
        &self.candidates
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    pub fn run(mut self, stop: &StopSignal) {
        let mut reader = Reader::new();
        let mut ready = Events::with_capacity(4);
        let mut readable = true;
        while !stop.is_set() {
            let busy = readable | self.take_queued();
            self.shared.woken.store(false, Ordering::Release);
            // Whatever was queued before the flag fell is seen now; what comes after wakes the poll.
            let busy = busy | self.take_queued();
            let now = Instant::now();
            if self.shard.poll_timeout(now).is_some_and(|due| due <= now) {
                self.shard.handle_timeout(now);
            }
            self.shard.flush(now);
            self.send();
            let waiting = self.report();
            let wait = self.wait(busy, waiting);
            match self.poll.poll(&mut ready, Some(wait)) {
                Ok(()) => {}
                Err(err) if err.kind() == ErrorKind::Interrupted => continue,
                // A broken poll cannot be repaired; ending tells the owner.
                Err(_) => break,
            }
            readable |= ready.iter().any(|event| event.token() == SOCKET);
            if readable {
                readable = self.read(&mut reader);
            }
        }
        self.shard.close_all(Instant::now());
        self.send();
        self.report();
    }

    fn wait(&self, busy: bool, events_waiting: bool) -> Duration {
        const LONGEST: Duration = Duration::from_millis(500);
        // Lasting events that found no room are offered again.
        const RETRY: Duration = Duration::from_millis(20);
        if busy {
            return Duration::ZERO;
        }
        let now = Instant::now();
        let due = self.shard.poll_timeout(now).map_or(LONGEST, |due| due.saturating_duration_since(now));
        due.min(if events_waiting { RETRY } else { LONGEST })
    }

    /// Reads a bounded number of times; true while there may be more.
    fn read(&mut self, reader: &mut Reader) -> bool {
        for _ in 0..MAX_READS {
            let now = Instant::now();
            let shard = &mut self.shard;
            let received = reader.receive(&self.state, &self.socket, |from, to, datagram| {
                shard.handle_datagram(now, from, to, datagram);
            });
            match received {
                Ok(count) => add(&self.shared.datagrams_in, count),
                Err(err) if err.kind() == ErrorKind::WouldBlock => return false,
                // An ICMP error of one peer's address; the next read goes on.
                Err(_) => continue,
            };
            if self.shard.outbox().len() > FLUSH_BYTES {
                self.send();
            }
        }
        true
    }

    /// Takes a bounded share of what was queued; true while there may be more.
    fn take_queued(&mut self) -> bool {
        let now = Instant::now();
        let mut commands = 0;
        while commands < MAX_COMMANDS
            && let Ok(command) = self.queues.commands.try_recv()
        {
            self.shard.handle_command(now, command);
            commands += 1;
        }
        let mut batches = 0;
        while batches < MAX_BATCHES
            && let Ok((stream, packets)) = self.queues.media.try_recv()
        {
            self.shard.forward(now, stream, packets);
            batches += 1;
        }
        commands == MAX_COMMANDS || batches == MAX_BATCHES
    }

    fn send(&mut self) {
        let outbox = self.shard.outbox();
        let socket = || UdpSockRef::from(&self.socket);
        let (mut sent, mut dropped, mut calls) = (0, 0, 0);
        for (run, contents) in outbox.runs() {
            let datagrams = contents.len().div_ceil(run.segment_size) as u64;
            let transmit = Transmit {
                destination: run.destination,
                ecn: None,
                contents,
                segment_size: Some(run.segment_size),
                src_ip: run.source,
            };
            calls += 1;
            match self.state.try_send(socket(), &transmit) {
                Ok(()) => sent += datagrams,
                // Segmenting fails on some devices: then one by one, as from then on.
                Err(err) if datagrams > 1 && err.kind() != ErrorKind::WouldBlock => {
                    for contents in contents.chunks(run.segment_size) {
                        calls += 1;
                        let single = Transmit { contents, segment_size: None, ..transmit.clone() };
                        match self.state.try_send(socket(), &single) {
                            Ok(()) => sent += 1,
                            Err(_) => dropped += 1,
                        }
                    }
                }
                // As on any full queue of a network: the viewer asks again for what it misses.
                Err(_) => dropped += datagrams,
            }
        }
        outbox.clear();
        outbox.set_max_segments(self.state.max_gso_segments());
        add(&self.shared.datagrams_out, sent);
        add(&self.shared.datagrams_dropped, dropped);
        add(&self.shared.sends, calls);
    }

    /// Hands events out; true while some wait that must not be dropped.
    fn report(&mut self) -> bool {
        let mut lasting = 0;
        for _ in 0..self.shard.event_backlog() {
            let Some(event) = self.shard.poll_event() else { break };
            if lasting > 0 {
                // Room would put later events before those that wait.
                lasting += self.keep(event);
                continue;
            }
            let closed = matches!(event, Event::Closed { .. });
            match self.queues.events.try_send(event) {
                Ok(()) if closed => drop(self.shared.peers.fetch_sub(1, Ordering::Relaxed)),
                Ok(()) => {}
                Err(TrySendError::Full(event)) => lasting += self.keep(event),
                // The owner is about to drop the shard.
                Err(TrySendError::Closed(_)) if closed => {
                    self.shared.peers.fetch_sub(1, Ordering::Relaxed);
                }
                Err(TrySendError::Closed(_)) => {}
            }
        }
        // Then metered viewers', each of which keeps what finds no room.
        while lasting == 0
            && let Some(event) = self.shard.poll_event()
        {
            if let Err(TrySendError::Full(event)) = self.queues.events.try_send(event) {
                lasting += self.keep(event);
            }
        }
        self.shared.backlog.store(lasting > MAX_BACKLOG, Ordering::Relaxed);
        lasting > 0
    }

    /// Puts back an event that must not be lost, counts another; returns how many were put back.
    fn keep(&mut self, event: Event) -> usize {
        if event.is_droppable() {
            add(&self.shared.events_dropped, 1);
            return 0;
        }
        self.shard.unpoll_event(event);
        1
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

/// Buffers of received datagrams.
struct Reader {
    buffers: Vec<Vec<u8>>,
}

impl Reader {
    fn new() -> Self {
        Self { buffers: vec![vec![0; RECEIVE_BYTES]; BATCH_SIZE] }
    }

    /// One batch; returns the count of datagrams.
    fn receive(
        &mut self,
        state: &UdpSocketState,
        socket: &UdpSocket,
        mut take: impl FnMut(SocketAddr, Option<IpAddr>, &[u8]),
    ) -> io::Result<u64> {
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let mut slices: Vec<_> = self.buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
        let filled = state.recv(UdpSockRef::from(socket), &mut slices, &mut metas)?;
        drop(slices);
        let mut count = 0;
        for (meta, buffer) in metas.iter().zip(&self.buffers).take(filled) {
            for datagram in buffer[..meta.len].chunks(meta.stride.max(1)) {
                take(meta.addr, meta.dst_ip, datagram);
                count += 1;
            }
        }
        Ok(count)
    }
}
