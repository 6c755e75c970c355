//! Datagrams to send, gathered into runs that one segmented send carries.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// The kernel's limit on a segmented send (UDP_MAX_SEGMENTS in Linux since 4.18).
const MAX_SEGMENTS: usize = 64;
/// An IP packet's limit less headers; a segmented send is one packet to the upper kernel.
const MAX_RUN_BYTES: usize = 65_000;

/// Consecutive datagrams to one address, of one size; the last may be shorter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    pub destination: SocketAddr,
    /// The local address that the peer expects answers from.
    pub source: Option<IpAddr>,
    pub segment_size: usize,
    bytes: Range<usize>,
    /// Whether a shorter segment ended it.
    closed: bool,
}

/// Grows to what one wake-up of the shard sends and keeps that memory.
#[derive(Debug, Default)]
pub struct Outbox {
    buffer: Vec<u8>,
    runs: Vec<Run>,
    max_segments: usize,
    datagrams: u64,
}

impl Outbox {
    pub fn new() -> Self {
        Self { max_segments: MAX_SEGMENTS, ..Self::default() }
    }

    /// Limits a run to what the socket can segment; 1 where it cannot.
    pub fn set_max_segments(&mut self, segments: usize) {
        self.max_segments = segments.clamp(1, MAX_SEGMENTS);
    }

    pub fn push(&mut self, destination: SocketAddr, source: Option<IpAddr>, datagram: &[u8]) {
        if datagram.is_empty() {
            return;
        }
        let start = self.buffer.len();
        self.buffer.extend_from_slice(datagram);
        self.datagrams += 1;
        if let Some(run) = self.runs.last_mut() {
            let fits = run.destination == destination
                && run.source == source
                && !run.closed
                && datagram.len() <= run.segment_size
                && run.bytes.len() / run.segment_size < self.max_segments
                && run.bytes.len() + datagram.len() <= MAX_RUN_BYTES;
            if fits {
                run.bytes.end += datagram.len();
                run.closed = datagram.len() < run.segment_size;
                return;
            }
        }
        let segment_size = datagram.len();
        let bytes = start..start + segment_size;
        self.runs.push(Run { destination, source, segment_size, bytes, closed: false });
    }

    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Bytes waiting.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Datagrams ever pushed.
    pub fn total_datagrams(&self) -> u64 {
        self.datagrams
    }

    /// Each run with its bytes, in order.
    pub fn runs(&self) -> impl Iterator<Item = (&Run, &[u8])> {
        self.runs.iter().map(|run| (run, &self.buffer[run.bytes.clone()]))
    }

    /// Each datagram, in order.
    pub fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        self.runs().flat_map(|(run, bytes)| bytes.chunks(run.segment_size).map(move |d| (run.destination, d)))
    }

    pub fn clear(&mut self) {
        self.buffer.clear();
        self.runs.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn shape(outbox: &Outbox) -> Vec<(u16, usize, usize)> {
        outbox.runs().map(|(run, bytes)| (run.destination.port(), run.segment_size, bytes.len())).collect()
    }

    #[test]
    fn equal_datagrams_to_one_address_are_one_run_and_a_shorter_one_ends_it() {
        let mut outbox = Outbox::new();
        for len in [100, 100, 60, 60, 100] {
            outbox.push(addr(1), None, &vec![0; len]);
        }
        outbox.push(addr(2), None, &[0; 100]);
        assert_eq!(shape(&outbox), [(1, 100, 260), (1, 60, 60), (1, 100, 100), (2, 100, 100)]);
        assert_eq!(
            outbox.datagrams().map(|(_, d)| d.len()).collect::<Vec<_>>(),
            [100, 100, 60, 60, 100, 100]
        );
    }

    #[test]
    fn a_run_never_exceeds_the_segments_that_the_socket_takes() {
        let mut outbox = Outbox::new();
        outbox.set_max_segments(3);
        for _ in 0..7 {
            outbox.push(addr(1), None, &[0; 50]);
        }
        assert_eq!(shape(&outbox), [(1, 50, 150), (1, 50, 150), (1, 50, 50)]);
    }

    #[test]
    fn a_run_stays_below_the_size_of_an_ip_packet() {
        let mut outbox = Outbox::new();
        for _ in 0..60 {
            outbox.push(addr(1), None, &[0; 1_200]);
        }
        assert_eq!(shape(&outbox), [(1, 1_200, 54 * 1_200), (1, 1_200, 6 * 1_200)]);
    }
}
