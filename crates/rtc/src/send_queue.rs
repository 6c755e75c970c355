//! What waits to be sent: one bounded queue per rendition and one for sound, and the pace at which packets
//! leave. No clock inside: `Instant`s come in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use media::{Packet, Timestamp};
use mux::rtp::H264Packetizer;

/// The largest RTP payload we send: with RTP's header and extensions, SRTP's tag, UDP and IPv6 a datagram
/// stays under 1 280 bytes, which every path carries.
const PAYLOAD_MAX: usize = 1160;
/// Half a second at 30 frames a second: what waits longer is worth less than the next key frame.
const UNITS_MAX: usize = 16;
/// Half a second of 20 ms packets.
const AUDIO_MAX: usize = 25;

/// What became of a frame that was handed over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pushed {
    Queued,
    /// Dropped, as all until the next key frame.
    Skipped,
    /// Dropped because the queue was full: a key frame is needed now.
    Overflowed,
}

/// One RTP packet's worth, before it has a sequence number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Outgoing {
    pub stream: Stream,
    pub pts: Timestamp,
    pub marker: bool,
    pub payload: Bytes,
}

/// Which stream a packet belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stream {
    /// Index of the rendition.
    Video(usize),
    Audio,
}

struct Layer {
    units: VecDeque<Packet>,
    /// Until the next key frame nothing of this rendition can be decoded, so nothing is sent.
    skipping: bool,
    dropped: u64,
}

pub(crate) struct SendQueue {
    layers: Vec<Layer>,
    audio: VecDeque<Packet>,
    audio_dropped: u64,
    /// Payloads of the access unit that is being sent.
    packets: VecDeque<Outgoing>,
}

impl SendQueue {
    pub fn new(layers: usize) -> Self {
        let layer = || Layer { units: VecDeque::new(), skipping: true, dropped: 0 };
        Self {
            layers: (0..layers).map(|_| layer()).collect(),
            audio: VecDeque::new(),
            audio_dropped: 0,
            packets: VecDeque::new(),
        }
    }

    /// Forgets what waits and starts each rendition at its next key frame, as when a connection comes up.
    pub fn restart(&mut self) {
        self.packets.clear();
        self.audio.clear();
        for layer in &mut self.layers {
            layer.units.clear();
            layer.skipping = true;
        }
    }

    pub fn push_video(&mut self, layer: usize, packet: &Packet) -> Pushed {
        let Some(layer) = self.layers.get_mut(layer) else { return Pushed::Skipped };
        if packet.key {
            // What waits in front of a key frame in a full queue is not needed to decode it.
            if layer.units.len() >= UNITS_MAX {
                layer.dropped += layer.units.len() as u64;
                layer.units.clear();
            }
            layer.skipping = false;
        } else if layer.skipping {
            layer.dropped += 1;
            return Pushed::Skipped;
        } else if layer.units.len() >= UNITS_MAX {
            layer.dropped += 1;
            layer.skipping = true;
            return Pushed::Overflowed;
        }
        layer.units.push_back(packet.clone());
        Pushed::Queued
    }

    /// Sound waits at most half a second, then the oldest goes.
    pub fn push_audio(&mut self, packet: &Packet) {
        if self.audio.len() >= AUDIO_MAX {
            self.audio.pop_front();
            self.audio_dropped += 1;
        }
        self.audio.push_back(packet.clone());
    }

    /// The next packet: sound first, since it is small and its gaps are heard; then the oldest picture.
    pub fn pop(&mut self) -> Option<Outgoing> {
        if let Some(packet) = self.audio.pop_front() {
            return Some(Outgoing {
                stream: Stream::Audio,
                pts: packet.pts,
                marker: false,
                payload: packet.payload,
            });
        }
        while self.packets.is_empty() {
            let (index, layer) = self
                .layers
                .iter_mut()
                .enumerate()
                .filter(|(_, layer)| !layer.units.is_empty())
                .min_by_key(|(index, layer)| (layer.units.front().map(|unit| unit.pts), *index))?;
            let unit = layer.units.pop_front()?;
            let payloads = H264Packetizer::new(PAYLOAD_MAX).packetize(&unit.payload);
            self.packets.extend(payloads.into_iter().map(|payload| Outgoing {
                stream: Stream::Video(index),
                pts: unit.pts,
                marker: payload.marker,
                payload: payload.bytes,
            }));
        }
        self.packets.pop_front()
    }

    /// Frames of a rendition that were never sent while the connection was up.
    pub fn dropped(&self, layer: usize) -> u64 {
        self.layers.get(layer).map_or(0, |layer| layer.dropped)
    }

    pub fn audio_dropped(&self) -> u64 {
        self.audio_dropped
    }
}

/// A token bucket: bursts go out at once, a key frame of the whole ladder is spread over some milliseconds
/// so that it does not overrun a router's queue.
pub(crate) struct Pacer {
    bytes_per_second: f64,
    burst: f64,
    tokens: f64,
    refilled: Instant,
}

impl Pacer {
    /// At 1.5 ms of burst or more the timer's coarseness does not matter.
    const BURST_BYTES: f64 = 16_000.0;
    /// Media may leave this much faster than its mean rate.
    const HEADROOM: f64 = 6.0;

    pub fn new(kbps: u32, now: Instant) -> Self {
        let bytes_per_second = f64::from(kbps.max(100)) * 1000.0 / 8.0 * Self::HEADROOM;
        Self { bytes_per_second, burst: Self::BURST_BYTES, tokens: Self::BURST_BYTES, refilled: now }
    }

    /// Takes `bytes` out. The answer says how long to wait before the next packet.
    pub fn spend(&mut self, bytes: usize, now: Instant) -> Duration {
        let refill = now.saturating_duration_since(self.refilled).as_secs_f64() * self.bytes_per_second;
        self.tokens = (self.tokens + refill).min(self.burst) - bytes as f64;
        self.refilled = now;
        if self.tokens >= 0.0 {
            Duration::ZERO
        } else {
            Duration::from_secs_f64(-self.tokens / self.bytes_per_second)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::Timescale;

    fn packet(frame: i64, key: bool) -> Packet {
        let pts = Timestamp::new(frame * 3000, Timescale::VIDEO);
        let unit = [0, 0, 0, 1, if key { 0x65 } else { 0x41 }, frame as u8 + 1];
        Packet { pts, dts: pts, duration_ticks: 3000, key, payload: Bytes::copy_from_slice(&unit) }
    }

    fn sent(queue: &mut SendQueue) -> Vec<(Stream, i64)> {
        std::iter::from_fn(|| queue.pop()).map(|out| (out.stream, out.pts.ticks() / 3000)).collect()
    }

    #[test]
    fn nothing_is_sent_before_the_first_key_frame() {
        let mut queue = SendQueue::new(1);
        assert_eq!(queue.push_video(0, &packet(0, false)), Pushed::Skipped);
        assert_eq!(queue.push_video(0, &packet(1, true)), Pushed::Queued);
        assert_eq!(queue.push_video(0, &packet(2, false)), Pushed::Queued);
        assert_eq!(sent(&mut queue), [(Stream::Video(0), 1), (Stream::Video(0), 2)]);
        assert_eq!(queue.dropped(0), 1);
    }

    #[test]
    fn a_large_picture_leaves_in_payloads_that_every_path_carries_and_the_last_is_marked() {
        let mut queue = SendQueue::new(1);
        let unit = [&[0, 0, 0, 1, 0x65][..], &[1; 3 * PAYLOAD_MAX]].concat();
        queue.push_video(0, &Packet { payload: unit.into(), ..packet(0, true) });
        let sent: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        // Each fragment has two bytes of its own (RFC 6184 §5.8).
        let lengths: Vec<_> = sent.iter().map(|out| (out.payload.len(), out.marker)).collect();
        let full = (PAYLOAD_MAX, false);
        assert_eq!(lengths, [full, full, full, (2 + 3 * 2, true)]);
    }

    #[test]
    fn a_full_queue_drops_to_the_next_key_frame_and_asks_for_one_once() {
        let mut queue = SendQueue::new(1);
        queue.push_video(0, &packet(0, true));
        let results: Vec<_> = (1..40).map(|n| queue.push_video(0, &packet(n, false))).collect();
        assert_eq!(results.iter().filter(|r| **r == Pushed::Queued).count(), UNITS_MAX - 1);
        assert_eq!(results.iter().filter(|r| **r == Pushed::Overflowed).count(), 1);
        // The key frame replaces what waited: 1 key and 15 others, beside the 24 refused before.
        queue.push_video(0, &packet(40, true));
        assert_eq!(sent(&mut queue), [(Stream::Video(0), 40)]);
        assert_eq!(queue.dropped(0), 40);
    }

    #[test]
    fn a_stalled_rendition_does_not_touch_another() {
        let mut queue = SendQueue::new(2);
        let all = (0..40).map(|n| queue.push_video(0, &packet(n, n == 0)));
        assert_eq!(all.last(), Some(Pushed::Skipped));
        assert_eq!(queue.push_video(1, &packet(0, true)), Pushed::Queued);
        assert_eq!(queue.dropped(1), 0);
    }

    #[test]
    fn sound_overtakes_pictures_and_the_oldest_picture_goes_first() {
        let mut queue = SendQueue::new(2);
        queue.push_video(1, &packet(1, true));
        queue.push_video(0, &packet(1, true));
        queue.push_video(1, &packet(2, false));
        queue.push_audio(&packet(7, true));
        let order = [(Stream::Audio, 7), (Stream::Video(0), 1), (Stream::Video(1), 1), (Stream::Video(1), 2)];
        assert_eq!(sent(&mut queue), order);
    }

    #[test]
    fn sound_that_waits_too_long_loses_its_oldest() {
        let mut queue = SendQueue::new(0);
        (0..30).for_each(|n| queue.push_audio(&packet(n, true)));
        assert_eq!(sent(&mut queue).first(), Some(&(Stream::Audio, 5)));
        assert_eq!(queue.audio_dropped(), 5);
    }

    #[test]
    fn a_burst_leaves_at_once_and_the_rest_is_spread() {
        let start = Instant::now();
        // 800 kbit/s with sixfold headroom is 600 000 bytes a second.
        let mut pacer = Pacer::new(800, start);
        assert_eq!(pacer.spend(16_000, start), Duration::ZERO);
        assert_eq!(pacer.spend(1_200, start), Duration::from_millis(2));
        assert_eq!(pacer.spend(0, start + Duration::from_millis(2)), Duration::ZERO);
    }
}
