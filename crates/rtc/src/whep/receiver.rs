//! One received stream: from RTP packets in any order to whole units. No socket and no clock inside.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use media::{Timescale, Timestamp, WallTime};
use mux::rtp::{AccessUnit, H264Depacketizer};

use crate::receive_buffer::{BufferCounts, Popped, ReceiveBuffer};
use crate::tap::SenderClock;
use crate::whep::ReceivedUnit;

/// Servers throttle key frame requests to about this; asking more often is noise.
const PLI_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Video,
    Audio,
}

/// What of an RTP packet matters here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Received {
    pub timestamp: u32,
    pub marker: bool,
    pub payload: Bytes,
    pub arrived: Instant,
}

pub(super) struct StreamReceiver {
    kind: Kind,
    buffer: ReceiveBuffer<Received>,
    depacketizer: H264Depacketizer,
    /// The last packet with a picture: its place among these and the lost ones, and when it came in.
    sequence: u64,
    arrived: Option<Instant>,
    /// Pictures are withheld until the next key frame.
    broken: bool,
    /// Something is missing before the next unit.
    after_gap: bool,
    last_pli: Option<Instant>,
    clock: Option<SenderClock>,
    extended: Option<i64>,
    /// Two at most: one packet can end a unit and be the next one.
    whole: VecDeque<ReceivedUnit>,
    pub plis: u64,
    pub dropped_units: u64,
}

impl StreamReceiver {
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            buffer: ReceiveBuffer::new(),
            depacketizer: H264Depacketizer::new(),
            sequence: 0,
            arrived: None,
            broken: kind == Kind::Video,
            after_gap: false,
            last_pli: None,
            clock: None,
            extended: None,
            whole: VecDeque::new(),
            plis: 0,
            dropped_units: 0,
        }
    }

    pub fn counts(&self) -> BufferCounts {
        self.buffer.counts()
    }

    /// Takes a sender report, unless it speaks of another time than the packets do: some servers report the
    /// RTP time 0 before they know better.
    pub fn set_clock(&mut self, clock: SenderClock) {
        let last = self.extended.map(|extended| extended as u32);
        if last.is_none_or(|last| is_near(clock, last, self.scale())) {
            self.clock = Some(clock);
        }
    }

    /// A picture was lost after it was given out: withholds what depends on it.
    pub fn break_off(&mut self) {
        self.broken = self.kind == Kind::Video;
        self.drop_unit();
    }

    fn drop_unit(&mut self) {
        self.dropped_units += 1;
        self.after_gap = true;
    }

    pub fn insert(&mut self, sequence: u16, packet: Received) {
        let arrived = packet.arrived;
        self.buffer.insert(sequence, packet, arrived);
    }

    /// The next whole unit.
    pub fn pop(&mut self, now: Instant) -> Option<ReceivedUnit> {
        loop {
            if let Some(unit) = self.whole.pop_front() {
                return Some(unit);
            }
            match self.buffer.pop(now)? {
                Popped::Gap(lost) => self.on_gap(lost),
                // Servers pad to probe for bandwidth: such a packet only fills its number.
                Popped::Packet(packet) if packet.payload.is_empty() => {}
                Popped::Packet(packet) => match self.kind {
                    Kind::Audio => self.emit(packet.timestamp, packet.arrived, true, packet.payload),
                    Kind::Video => self.on_video(&packet),
                },
            }
        }
    }

    fn scale(&self) -> Timescale {
        match self.kind {
            Kind::Video => Timescale::VIDEO,
            Kind::Audio => Timescale::AUDIO,
        }
    }

    pub fn nacks(&mut self, now: Instant) -> Vec<u16> {
        let due = self.buffer.nacks(now);
        // Sound is not asked for again: Opus hides a lost packet, and WebRTC negotiates no NACK for it.
        if self.kind == Kind::Video { due } else { Vec::new() }
    }

    /// Whether to ask for a key frame now.
    pub fn wants_key_frame(&mut self, now: Instant) -> bool {
        let due = self.last_pli.is_none_or(|last| now >= last + PLI_INTERVAL);
        let wanted = self.broken && due;
        if wanted {
            self.last_pli = Some(now);
            self.plis += 1;
        }
        wanted
    }

    /// When to look again, if no packet comes.
    pub fn timeout(&self) -> Option<Instant> {
        let pli = self.last_pli.filter(|_| self.broken).map(|last| last + PLI_INTERVAL);
        self.buffer.timeout().into_iter().chain(pli).min()
    }

    fn on_gap(&mut self, lost: u64) {
        self.sequence += lost;
        self.after_gap = true;
        self.broken = self.kind == Kind::Video;
    }

    fn on_video(&mut self, packet: &Received) {
        self.sequence += 1;
        let before = self.arrived.replace(packet.arrived).unwrap_or(packet.arrived);
        let (timestamp, payload) = (packet.timestamp, &packet.payload);
        for unit in self.depacketizer.push(self.sequence, timestamp, packet.marker, payload) {
            // One whose sender set no marker ended with the packet before.
            let arrived = if unit.timestamp == timestamp { packet.arrived } else { before };
            self.finish(unit, arrived);
        }
    }

    fn finish(&mut self, unit: AccessUnit, arrived: Instant) {
        let is_whole = unit.damage.is_none();
        self.broken = !is_whole || self.broken && !unit.key;
        if self.broken {
            self.drop_unit();
        } else {
            self.emit(unit.timestamp, arrived, unit.key, unit.annex_b);
        }
    }

    fn emit(&mut self, timestamp: u32, arrived: Instant, key: bool, payload: Bytes) {
        let scale = self.scale();
        // The value nearest to the last one that has these 32 bits.
        let last = self.extended.unwrap_or(i64::from(timestamp));
        let extended = last + i64::from(timestamp.wrapping_sub(last as u32) as i32);
        self.extended = Some(extended);
        let clock = self.clock.filter(|clock| is_near(*clock, timestamp, scale));
        let captured = clock.map(|clock| captured(clock, timestamp, scale));
        let timestamp = Timestamp::new(extended, scale);
        let after_gap = std::mem::take(&mut self.after_gap);
        self.whole.push_back(ReceivedUnit { timestamp, after_gap, captured, key, payload, arrived });
    }
}

/// Reports come every few seconds at most (RFC 3550 §6.2), so a true one is this near to the packets.
fn is_near(clock: SenderClock, timestamp: u32, scale: Timescale) -> bool {
    const SECONDS_MAX: u32 = 30;
    let distance = timestamp.wrapping_sub(clock.rtp) as i32;
    distance.unsigned_abs() <= SECONDS_MAX * scale.ticks_per_second()
}

/// RFC 3550 §6.4.1: the report says which wall time an RTP timestamp has; the rest is distance.
fn captured(clock: SenderClock, timestamp: u32, scale: Timescale) -> WallTime {
    let distance = timestamp.wrapping_sub(clock.rtp) as i32;
    clock.wall.plus(Timestamp::new(i64::from(distance), scale))
}

#[cfg(test)]
mod tests;
