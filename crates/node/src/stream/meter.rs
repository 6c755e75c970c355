//! The bitrate and size of each rendition, measured.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use media::{Packet, Size};
use mux::h264::Sps;

/// The bitrate is that of this long.
const WINDOW: Duration = Duration::from_secs(4);
/// What less than this says is not told to players: one key frame is many pictures' worth.
const LEAST: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct Meter {
    /// When, and how many bytes.
    arrived: VecDeque<(Instant, usize)>,
    bytes: usize,
    /// What the last key frame said.
    sps: Option<Sps>,
}

impl Meter {
    pub fn new() -> Self {
        Self { arrived: VecDeque::new(), bytes: 0, sps: None }
    }

    pub fn push(&mut self, now: Instant, packet: &Packet) {
        if packet.key {
            self.sps = stated(&packet.payload).or(self.sps);
        }
        self.bytes += packet.payload.len();
        self.arrived.push_back((now, packet.payload.len()));
        while let Some(&(at, bytes)) = self.arrived.front() {
            if now.duration_since(at) <= WINDOW {
                break;
            }
            self.arrived.pop_front();
            self.bytes -= bytes;
        }
    }

    pub fn size(&self) -> Option<Size> {
        self.sps.map(|sps| sps.size)
    }

    /// What the pictures are.
    pub fn sps(&self) -> Option<&Sps> {
        self.sps.as_ref()
    }

    /// Over the last seconds; 0 before two packets came.
    pub fn kbps(&self) -> f64 {
        let (Some(first), Some(last)) = (self.arrived.front(), self.arrived.back()) else { return 0.0 };
        let seconds = last.0.duration_since(first.0).as_secs_f64();
        // The first packet opens the span and is not part of it.
        if seconds > 0.0 { (self.bytes - first.1) as f64 * 8.0 / 1e3 / seconds } else { 0.0 }
    }

    /// The same for players, once it was measured for long enough; never 0.
    pub fn measured_kbps(&self) -> Option<u32> {
        let (first, last) = (self.arrived.front()?, self.arrived.back()?);
        (last.0.duration_since(first.0) >= LEAST).then(|| (self.kbps().round() as u32).max(1))
    }
}

fn stated(annex_b: &[u8]) -> Option<Sps> {
    let (sps, _) = mux::h264::parameter_sets(annex_b)?;
    Sps::parse(&sps).ok()
}

#[cfg(test)]
mod tests {
    use media::{Timescale, Timestamp};

    use super::*;

    #[test]
    fn a_hundred_kilobytes_a_second_are_eight_hundred_kilobits() {
        let mut meter = Meter::new();
        let start = Instant::now();
        let at = Timestamp::zero(Timescale::VIDEO);
        let packet =
            Packet { pts: at, dts: at, duration_ticks: 0, key: false, payload: vec![0; 10_000].into() };
        for tenth in 0..100 {
            meter.push(start + Duration::from_millis(100 * tenth), &packet);
        }
        assert!((meter.kbps() - 800.0).abs() < 1.0, "{}", meter.kbps());
    }
}
