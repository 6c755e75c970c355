//! The viewer's side of a peer: what it is sent, and how it is numbered.

use std::sync::Arc;
use std::time::Instant;

use media::{RenditionName, WallTime};
use str0m::Rtc;
use str0m::media::Pt;
use str0m::rtp::{RtpWrite, SeqNo};
use str0m::stats::MediaEgressStats;

use crate::config::Clock;
use crate::event::{MeteredLine, ViewerStats};
use crate::forward::Prepared;
use crate::ids::StreamId;
use crate::layer_choice::{Layer, Selector};
use crate::meter::{Gate, Meter};
use crate::packet::{Lane, RtpPacket};
use crate::rewrite::{Numbered, Rewriter};
use crate::session::OutLine;

/// Ticks of the video clock, 90 kHz.
const VIDEO_RATE: u128 = 90_000;
const AUDIO_RATE: u128 = 48_000;
/// Two sources that state capture times further apart than this do not share a clock.
const MAX_APART_MS: f64 = 10_000.0;

#[derive(Debug)]
pub(crate) struct Viewer {
    pub stream: StreamId,
    pub selector: Selector,
    video: Option<Line>,
    audio: Option<Line>,
    /// What is being sent.
    current: Option<RenditionName>,
    /// What is to be sent from its next key frame on.
    target: Option<RenditionName>,
    /// The last layer of which packets went out.
    shown: Option<RenditionName>,
    /// The stream is open, and is sound alone so far.
    has_no_pictures: bool,
    /// Of a metered viewer: what may pass.
    pub meter: Option<Box<Meter>>,
    pub stats: ViewerStats,
    pub plis_seen: u64,
    /// What the session was told to probe up to.
    pub desired_bps: u64,
}

#[derive(Debug)]
struct Line {
    out: OutLine,
    rate: u128,
    declared: bool,
    rewriter: Rewriter,
    last: Option<(Instant, Option<WallTime>)>,
    /// The next packet comes from another source than the last.
    switching: bool,
}

/// What lets a packet through.
enum Pass<'a> {
    Free,
    Metered(&'a mut Meter),
    Never,
}

/// What forwarding one packet led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sent {
    Nothing,
    Packet,
    /// The first packet of a layer.
    FirstOf(RenditionName),
}

impl Viewer {
    pub fn new(stream: StreamId, selector: Selector, video: Option<OutLine>, audio: Option<OutLine>) -> Self {
        Self {
            stream,
            selector,
            video: video.map(|out| Line::new(out, VIDEO_RATE)),
            audio: audio.map(|out| Line::new(out, AUDIO_RATE)),
            current: None,
            target: None,
            shown: None,
            has_no_pictures: false,
            meter: None,
            stats: ViewerStats::default(),
            plis_seen: 0,
            desired_bps: 0,
        }
    }

    /// From now on only what is allowed passes.
    pub fn metered(mut self) -> Self {
        let out = |line: &Option<Line>| line.as_ref().map(|line| line.out);
        self.meter = Meter::new(out(&self.video), out(&self.audio)).map(Box::new);
        self
    }

    fn gate(&self) -> Gate {
        self.meter.as_ref().map_or(Gate::Open, |meter| meter.gate())
    }

    /// The layer that is being sent, where anything is.
    pub fn current(&self) -> Option<RenditionName> {
        self.current.filter(|_| self.gate() == Gate::Open)
    }

    /// The layer whose key frame is waited for.
    pub fn awaited(&self) -> Option<RenditionName> {
        match self.gate() {
            Gate::Open => self.target,
            Gate::Ready => self.target.or(self.current),
            Gate::Shut => None,
        }
    }

    /// A metered session begins with the next key frame that may pass.
    pub fn begin_session(&mut self, session: u32) {
        if let Some(meter) = &mut self.meter {
            meter.begin(session);
            self.restart();
        }
    }

    /// Lets a session's seconds below `until` pass.
    pub fn allow(&mut self, session: u32, until: u64) {
        if let Some(meter) = &mut self.meter {
            meter.allow(session, until);
        }
    }

    /// Decides again; returns a layer whose key frame is needed now. A stream is asked that is open.
    pub fn choose(&mut self, layers: &[Layer], now: Instant) -> Option<RenditionName> {
        self.video.as_ref()?;
        self.has_no_pictures = layers.is_empty();
        let Some(chosen) = self.selector.decide(layers, now) else {
            if !layers.is_empty() {
                // The tier allows none of them, so not what is on its way either.
                (self.current, self.target) = (None, None);
            }
            return None;
        };
        if self.current == Some(chosen) {
            self.target = None;
            return None;
        }
        (self.target.replace(chosen) != Some(chosen)).then_some(chosen).filter(|_| self.gate() != Gate::Shut)
    }

    /// The source of all lanes starts again: go on from its next key frame.
    pub fn restart(&mut self) {
        self.target = self.target.or(self.current);
        self.current = None;
        self.shown = None;
        for line in [&mut self.video, &mut self.audio].into_iter().flatten() {
            line.switching = true;
        }
    }

    /// Whether this packet would be the first of its line, if it may pass.
    pub fn begins(&self, item: &Prepared) -> bool {
        if self.gate() == Gate::Shut {
            return false;
        }
        match item.lane {
            Lane::Audio => self.audio.as_ref().is_some_and(|line| !line.declared),
            Lane::Video(name) => {
                let starts = self.target == Some(name) && item.start.key;
                starts && self.video.as_ref().is_some_and(|line| !line.declared)
            }
        }
    }

    /// Writes a packet to the session if this viewer is to have it. The caller polls the session after.
    pub fn forward(&mut self, rtc: &mut Rtc, item: &Prepared, now: Instant, clock: Clock) -> Sent {
        match item.lane {
            Lane::Audio => {
                let pass = match (&mut self.meter, &self.video) {
                    (None, _) => Pass::Free,
                    (Some(meter), Some(video)) => {
                        if self.has_no_pictures {
                            meter.hear(now);
                        }
                        match meter.line() {
                            MeteredLine::Audio => Pass::Metered(meter),
                            _ if meter.passes_beside(video.elapsed(&item.packet, now)) => Pass::Free,
                            MeteredLine::Video => Pass::Never,
                        }
                    }
                    (Some(meter), None) => Pass::Metered(meter),
                };
                let line = self.audio.as_mut();
                line.map_or(Sent::Nothing, |line| line.write(rtc, item, now, clock, pass))
            }
            Lane::Video(name) => self.forward_picture(rtc, name, item, now, clock),
        }
    }

    fn forward_picture(
        &mut self,
        rtc: &mut Rtc,
        name: RenditionName,
        item: &Prepared,
        now: Instant,
        clock: Clock,
    ) -> Sent {
        let Some(line) = &mut self.video else { return Sent::Nothing };
        let pass = match (&mut self.meter, &self.audio) {
            (None, _) => Pass::Free,
            (Some(meter), Some(audio)) if meter.line() == MeteredLine::Audio => {
                if !meter.passes_beside(audio.elapsed(&item.packet, now)) {
                    // They go on with a key frame.
                    self.target = self.target.or(self.current.take());
                    return Sent::Nothing;
                }
                Pass::Free
            }
            (Some(meter), _) => Pass::Metered(meter),
        };
        if self.target == Some(name) && item.start.key {
            // Before a session's first second there is no time that would have to go by.
            if matches!(&pass, Pass::Metered(meter) if !meter.has_begun() && meter.gate() == Gate::Shut) {
                return Sent::Nothing;
            }
            self.target = None;
            self.current = Some(name);
            line.switching = true;
        } else if self.current != Some(name) {
            return Sent::Nothing;
        }
        match line.write(rtc, item, now, clock, pass) {
            Sent::Packet if self.shown != Some(name) => {
                self.shown = Some(name);
                Sent::FirstOf(name)
            }
            sent => sent,
        }
    }

    /// Takes in what the session counted over the last second; true for the video line's.
    pub fn count(&mut self, counted: &MediaEgressStats) -> bool {
        if self.video.as_ref().is_none_or(|line| line.out.mid != counted.mid) {
            return false;
        }
        let stats = &mut self.stats;
        stats.layer = self.current;
        stats.loss = counted.loss;
        stats.rtt = counted.rtt.or(stats.rtt);
        stats.estimate_bps = self.selector.estimate_bps();
        stats.packets = counted.packets;
        stats.bytes = counted.bytes;
        stats.nacks = counted.nacks;
        stats.plis = self.plis_seen;
        if let Some(remote) = &counted.remote {
            stats.packets_lost = remote.packets_lost;
            stats.highest_seq = Some(*remote.maximum_sequence_number);
        }
        true
    }
}

impl Line {
    fn new(out: OutLine, rate: u128) -> Self {
        let rewriter = Rewriter::default();
        Self { out, rate, declared: false, rewriter, last: None, switching: true }
    }

    fn write(&mut self, rtc: &mut Rtc, item: &Prepared, now: Instant, clock: Clock, pass: Pass<'_>) -> Sent {
        let packet = &item.packet;
        if let Pass::Metered(meter) = &pass
            && self.rewriter.timestamp(packet.timestamp).is_some_and(|timestamp| meter.goes_back(timestamp))
        {
            self.switching = true;
        }
        let before = self.rewriter.last_seq();
        let Some((prefix, main)) = self.number(item, now) else { return Sent::Nothing };
        let (meter, second) = match pass {
            Pass::Free => (None, None),
            Pass::Never => {
                self.withhold(packet, before, now);
                return Sent::Nothing;
            }
            Pass::Metered(meter) => {
                let starts = item.start.key || item.lane == Lane::Audio;
                let packets = 1 + u32::from(prefix.is_some());
                let Some(second) = meter.judge(main.timestamp, starts, packets, now) else {
                    self.withhold(packet, before, now);
                    return Sent::Nothing;
                };
                (Some(meter), Some(second))
            }
        };
        self.declare(rtc);
        let mut api = rtc.direct_api();
        let Some(stream) = api.stream_tx(&self.out.ssrc) else { return Sent::Nothing };
        self.switching = false;
        self.last = Some((now, packet.captured));

        let wall = packet.captured.map_or(now, |captured| clock.instant_of(captured, now));
        let (pt, nackable) = (self.out.pt, self.out.rtx.is_some());
        if let (Some(meter), Some(second)) = (meter, second) {
            for numbered in prefix.iter().chain([&main]) {
                meter.sent(second, numbered.seq, now);
            }
        }
        if let (Some(numbered), Some(payload)) = (prefix, &item.start.prefix) {
            stream.write_rtp(rtp(pt, numbered, wall, payload.clone()).nackable(nackable));
        }
        let write = rtp(pt, main, wall, packet.payload.clone()).marker(packet.marker).nackable(nackable);
        stream.write_rtp(write);
        Sent::Packet
    }

    /// Numbers of a packet, and of one in front of it.
    fn number(&mut self, item: &Prepared, now: Instant) -> Option<(Option<Numbered>, Numbered)> {
        let packet = &item.packet;
        if self.switching {
            let elapsed = self.elapsed(packet, now);
            let first = self.rewriter.switch(packet.seq, packet.timestamp, elapsed);
            return match &item.start.prefix {
                Some(_) => self.rewriter.insert(packet.timestamp).map(|second| (Some(first), second)),
                None => Some((None, first)),
            };
        }
        let prefix = item.start.prefix.as_ref().and_then(|_| self.rewriter.insert(packet.timestamp));
        self.rewriter.next(packet.seq, packet.timestamp).map(|main| (prefix, main))
    }

    /// A packet that was numbered is not sent: its time goes by and its number does not.
    fn withhold(&mut self, packet: &RtpPacket, before: Option<u64>, now: Instant) {
        let Some(before) = before else {
            self.rewriter = Rewriter::default();
            return;
        };
        self.rewriter.take_back(before);
        self.switching = false;
        self.last = Some((now, packet.captured));
    }

    /// Ticks since the last packet, by capture time where both sources state one.
    fn elapsed(&self, packet: &RtpPacket, now: Instant) -> u32 {
        let Some((at, captured)) = self.last else { return 0 };
        let by_arrival = now.saturating_duration_since(at);
        let span = match (captured, packet.captured) {
            (Some(before), Some(after)) if after.millis_since(before).abs() < MAX_APART_MS => {
                after.to_system().duration_since(before.to_system()).unwrap_or_default()
            }
            _ => by_arrival,
        };
        u32::try_from(span.as_micros() * self.rate / 1_000_000).unwrap_or(u32::MAX / 2)
    }

    /// Declares the session's send stream with its first packet, so that its first sender report is true.
    fn declare(&mut self, rtc: &mut Rtc) {
        // Declaring for a section that is not there panics.
        if self.declared || rtc.media(self.out.mid).is_none() {
            return;
        }
        self.declared = true;
        let mut api = rtc.direct_api();
        let stream = api.declare_stream_tx(self.out.ssrc, self.out.rtx, self.out.mid, None);
        // The pacer would hold pictures back; the choice of layer is what keeps the rate down.
        stream.set_unpaced(true);
    }
}

fn rtp(pt: Pt, numbered: Numbered, wall: Instant, payload: Arc<[u8]>) -> RtpWrite {
    RtpWrite::new(pt, SeqNo::from(numbered.seq), numbered.timestamp, wall, payload)
}
