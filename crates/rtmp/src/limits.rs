//! What one connection may cost, whatever its peer sends.

use std::time::Duration;

/// Bounds on memory and time of one connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Chunk streams that a peer may open; encoders use about six.
    pub chunk_streams: usize,
    /// The longest message in bytes. A key frame of 40 Mbit/s video is about 2 MiB.
    pub message_bytes: usize,
    /// Bytes that unfinished messages and messages held for a decision may take together.
    pub buffered_bytes: usize,
    /// The same bytes of unfinished messages of a server's peer to which no publish was granted yet: commands are small,
    /// and whoever has no key gets no room for pictures. It holds what one input of 64 KiB may bring behind a `publish`
    /// that is not decided, since some relays send on without waiting.
    pub setup_bytes: usize,
    /// Bytes of output that may wait to be polled.
    pub output_bytes: usize,
    /// Events that may wait to be polled.
    pub events: usize,
    /// From the first byte expected to the end of the handshake.
    pub handshake_time: Duration,
    /// Without a granted publish or play, from the connection's start or from the end of the last use.
    pub setup_time: Duration,
    /// Without any input. A ping is sent at half of it.
    pub idle_time: Duration,
    /// Requests that are refused; the last of them ends the connection. Encoders try once, some try twice.
    pub refusals: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            chunk_streams: 64,
            message_bytes: 8 << 20,
            buffered_bytes: 12 << 20,
            setup_bytes: 64 << 10,
            output_bytes: 8 << 20,
            events: 16_384,
            handshake_time: Duration::from_secs(10),
            setup_time: Duration::from_secs(20),
            idle_time: Duration::from_secs(30),
            refusals: 3,
        }
    }
}
