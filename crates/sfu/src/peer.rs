//! One connection: its session, where it is, and when it must be looked at again.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use str0m::{IceCreds, Rtc};

use crate::ids::PeerId;
use crate::publisher::Publisher;
use crate::viewer::Viewer;

/// Addresses a peer may be known by at once: its candidates that pass checks.
const MAX_ADDRESSES: usize = 8;
/// Candidates that a peer may trickle in all.
const MAX_TRICKLED: usize = 64;
/// An address that was not heard for this long may be gone: connected peers send reports every second.
const SILENCE: Duration = Duration::from_millis(1_500);

pub(crate) struct Peer {
    pub id: PeerId,
    pub rtc: Rtc,
    pub creds: IceCreds,
    pub offer: Box<str>,
    pub role: Side,
    pub connected: bool,
    pub created: Instant,
    pub last_heard: Instant,
    /// When the session wants to be called.
    pub wants: Instant,
    /// The entry in the shard's timers.
    pub due: Instant,
    /// Those that checks came from, newest last.
    pub addresses: Vec<SocketAddr>,
    /// The local address that the last check came to.
    pub local_ip: Option<IpAddr>,
    trickled: usize,
    /// Where the session sends to.
    sends_to: Option<SocketAddr>,
    /// Where its datagrams go instead: the session would stay with an address that went silent for 14 s,
    /// which is a long still picture when a NAT gives a viewer another port.
    redirect: Option<SocketAddr>,
    /// When the address that datagrams go to was last heard.
    heard_there: Instant,
    /// Packets were written that the session must still send.
    pub dirty: bool,
}

#[expect(clippy::large_enum_variant, reason = "a peer is boxed as a whole")]
pub(crate) enum Side {
    Publisher(Publisher),
    Viewer(Viewer),
}

impl Peer {
    pub fn new(id: PeerId, rtc: Rtc, creds: IceCreds, offer: Box<str>, role: Side, now: Instant) -> Self {
        Self {
            id,
            rtc,
            creds,
            offer,
            role,
            connected: false,
            created: now,
            last_heard: now,
            wants: now,
            due: now,
            addresses: Vec::new(),
            local_ip: None,
            trickled: 0,
            sends_to: None,
            redirect: None,
            heard_there: now,
            dirty: false,
        }
    }

    /// Notes an address that passed a check; returns one that is now one too many.
    pub fn note_address(&mut self, address: SocketAddr) -> Option<SocketAddr> {
        self.addresses.retain(|known| *known != address);
        self.addresses.push(address);
        (self.addresses.len() > MAX_ADDRESSES).then(|| self.addresses.remove(0))
    }

    /// Notes a datagram; `checked` says that it proved the password. Follows a peer that moved.
    pub fn hear(&mut self, now: Instant, from: SocketAddr, checked: bool) {
        self.last_heard = now;
        if self.redirect.or(self.sends_to) == Some(from) {
            self.heard_there = now;
        } else if checked && now.duration_since(self.heard_there) >= SILENCE && self.sends_to.is_some() {
            self.redirect = Some(from);
            self.heard_there = now;
        }
    }

    /// Whether it was heard just now.
    pub fn is_heard(&self, now: Instant) -> bool {
        now.duration_since(self.last_heard) < SILENCE
    }

    /// Where a datagram of the session goes.
    pub fn route(&mut self, destination: SocketAddr, datagram: &[u8]) -> SocketAddr {
        // Answers to checks go where the checks came from.
        if matches!(datagram.first(), Some(0..=3)) {
            return destination;
        }
        if self.sends_to != Some(destination) {
            self.sends_to = Some(destination);
            self.redirect = None;
        }
        self.redirect.unwrap_or(destination)
    }

    /// Whether one more trickled candidate is taken.
    pub fn may_trickle(&mut self) -> bool {
        self.trickled += 1;
        self.trickled <= MAX_TRICKLED
    }

    /// When this peer is dead unless it is heard or connects.
    pub fn expires(&self, idle: Duration, connect: Duration) -> Instant {
        if self.connected { self.last_heard + idle } else { self.created + connect }
    }

    /// When the shard must look at it.
    pub fn next_due(&self, idle: Duration, connect: Duration) -> Instant {
        let mut due = self.wants.min(self.expires(idle, connect));
        let deadline = match &self.role {
            Side::Publisher(publisher) => publisher.deadline(),
            Side::Viewer(viewer) => viewer.meter.as_ref().and_then(|meter| meter.deadline()),
        };
        if let Some(deadline) = deadline {
            due = due.min(deadline);
        }
        due
    }
}
