//! What the shard keeps of a stream: its layers, its viewers, and which key frames are waited for.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use media::RenditionName;

use crate::h264::{KeyFinder, Start};
use crate::ids::{PeerId, StreamId};
use crate::layer_choice::Layer;
use crate::packet::{Lane, RtpPacket};
use crate::rate::Rate;

#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// Low to high, with what each takes at present.
    pub layers: Vec<Layer>,
    /// The same with what each is meant to take.
    pub meant: Vec<Layer>,
    pub viewers: Vec<PeerId>,
    /// Whether the node opened it; otherwise it lives as long as its viewers.
    pub opened: bool,
    finders: HashMap<RenditionName, KeyFinder>,
    rates: HashMap<RenditionName, Rate>,
    last_seq: HashMap<Lane, u64>,
}

/// A packet with what the viewers must know of it, found once for all of them.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub lane: Lane,
    pub packet: RtpPacket,
    pub start: Start,
    /// Packets before it were lost: pictures are damaged until the next key frame.
    pub hole: bool,
}

impl Stream {
    pub fn set_layers(&mut self, mut layers: Vec<Layer>) {
        layers.sort_by_key(|layer| layer.name);
        layers.dedup_by_key(|layer| layer.name);
        let is_there = |name: &RenditionName| layers.iter().any(|layer| layer.name == *name);
        self.finders.retain(|name, _| is_there(name));
        self.rates.retain(|name, _| is_there(name));
        self.meant = layers;
        self.layers.clone_from(&self.meant);
        for layer in &mut self.layers {
            layer.kbps = self.rates.get(&layer.name).and_then(Rate::kbps).unwrap_or(layer.kbps);
        }
        self.opened = true;
    }

    /// The source started again, with numbers of its own.
    pub fn restart(&mut self) {
        self.finders.clear();
        self.last_seq.clear();
    }

    /// `None` for a layer that the stream does not have.
    pub fn prepare(&mut self, lane: Lane, packet: RtpPacket, now: Instant) -> Option<Prepared> {
        let start = match lane {
            Lane::Audio => Start::default(),
            Lane::Video(name) => {
                let layer = self.layers.iter_mut().find(|layer| layer.name == name)?;
                let rate = self.rates.entry(name).or_default();
                rate.count(packet.payload.len(), now);
                layer.kbps = rate.kbps().unwrap_or(layer.kbps);
                self.finders.entry(name).or_default().inspect(packet.timestamp, &packet.payload)
            }
        };
        let last = self.last_seq.insert(lane, packet.seq);
        let hole = last.is_some_and(|last| packet.seq > last + 1);
        Some(Prepared { lane, packet, start, hole })
    }
}

/// Which layers need a key frame, asked for at most once an interval until it comes.
#[derive(Debug, Default)]
pub(crate) struct KeyframeRequests(HashMap<(StreamId, RenditionName), Request>);

#[derive(Debug, Default)]
struct Request {
    wanted: bool,
    asked: Option<Instant>,
}

impl KeyframeRequests {
    pub fn want(&mut self, stream: StreamId, layer: RenditionName) {
        self.0.entry((stream, layer)).or_default().wanted = true;
    }

    pub fn came(&mut self, stream: StreamId, layer: RenditionName) {
        if let Some(request) = self.0.get_mut(&(stream, layer)) {
            request.wanted = false;
        }
    }

    pub fn forget(&mut self, stream: StreamId) {
        self.0.retain(|(of, _), _| *of != stream);
    }

    /// What is to be asked now.
    pub fn due(&mut self, now: Instant, interval: Duration) -> Vec<(StreamId, RenditionName)> {
        let over = |request: &Request| request.asked.is_none_or(|at| now >= at + interval);
        self.0.retain(|_, request| request.wanted || !over(request));
        let mut due = Vec::new();
        for (key, request) in &mut self.0 {
            if request.wanted && over(request) {
                request.asked = Some(now);
                due.push(*key);
            }
        }
        due
    }

    pub fn deadline(&self, now: Instant, interval: Duration) -> Option<Instant> {
        let wanted = self.0.values().filter(|request| request.wanted);
        wanted.map(|request| request.asked.map_or(now, |at| at + interval)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RenditionName::{High, Low, Medium};

    #[test]
    fn viewers_choose_by_what_a_layer_takes_once_it_was_measured() {
        let (mut stream, start) = (Stream::default(), Instant::now());
        let meant = |name: RenditionName| Layer { name, kbps: name.default_kbps() };
        stream.set_layers(vec![meant(High), meant(Low), meant(Medium)]);
        let told = |stream: &Stream| stream.layers.iter().map(|layer| layer.kbps).collect::<Vec<_>>();
        let (low, medium) = (Low.default_kbps(), Medium.default_kbps());
        for tenth in 0..=40 {
            assert_eq!(told(&stream), [low, medium, High.default_kbps()]);
            let now = start + Duration::from_millis(100 * tenth);
            // Ten times 1250 bytes a second are 100 kbit/s.
            let (payload, timestamp) = (vec![1; 1_250].into(), 9_000 * tenth as u32);
            let packet = RtpPacket { seq: tenth, timestamp, marker: true, payload, captured: None };
            stream.prepare(Lane::Video(High), packet, now).unwrap();
        }
        // A layer that takes less than a lower one stands above it all the same.
        assert_eq!(told(&stream), [low, medium, 100]);
        assert_eq!(stream.meant[2], meant(High));
        // Another layer less changes nothing of what is known, and what comes back is measured anew.
        stream.set_layers(vec![meant(Low), meant(High)]);
        assert_eq!(told(&stream), [low, 100]);
        stream.set_layers(vec![meant(Low)]);
        stream.set_layers(vec![meant(Low), meant(High)]);
        assert_eq!(told(&stream), [low, High.default_kbps()]);
    }

    const HALF: Duration = Duration::from_millis(500);

    #[test]
    fn many_wishes_are_one_request_in_half_a_second() {
        let (mut requests, start) = (KeyframeRequests::default(), Instant::now());
        let stream = StreamId(1);
        for _ in 0..10 {
            requests.want(stream, High);
        }
        assert_eq!(requests.due(start, HALF), [(stream, High)]);
        requests.want(stream, High);
        assert_eq!(requests.due(start + HALF / 2, HALF), []);
        assert_eq!(requests.deadline(start, HALF), Some(start + HALF));
        assert_eq!(requests.due(start + HALF, HALF), [(stream, High)]);
    }

    #[test]
    fn a_key_frame_ends_the_asking_but_not_the_throttle() {
        let (mut requests, start) = (KeyframeRequests::default(), Instant::now());
        let stream = StreamId(1);
        requests.want(stream, Low);
        assert_eq!(requests.due(start, HALF).len(), 1);
        requests.came(stream, Low);
        assert_eq!(requests.due(start + HALF / 2, HALF), []);
        requests.want(stream, Low);
        assert_eq!(requests.due(start + HALF / 2, HALF), []);
        assert_eq!(requests.due(start + HALF, HALF).len(), 1);
        requests.came(stream, Low);
        requests.due(start + HALF * 3, HALF);
        assert!(requests.0.is_empty(), "nothing is kept of what is over");
    }
}
