//! The player: jitter buffer, decoding, clock and measurements.
