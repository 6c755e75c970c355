//! Both sides take whatever comes from the first byte on, and addresses are read or refused.

use std::time::Instant;

use rtmp::{Client, ClientConfig, Role, RtmpUrl};

use crate::rtmp_sides;

/// Those of the settings below, and what their own side writes.
const BUFFERED_MAX: usize = 2 * (1 << 17) + (1 << 16) + (1 << 14);

pub fn run(data: &[u8]) {
    let Some((&cut, bytes)) = data.split_first() else { return };
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(url) = RtmpUrl::parse(text)
    {
        let _ = Client::new(ClientConfig::new(url, Role::Play), Instant::now());
    }
    let now = Instant::now();
    let mut server = rtmp_sides::server(now);
    let mut client = rtmp_sides::client(now);
    // The input is short of a handshake's length as a rule, so it is followed by zeros.
    let padded: Vec<u8> = bytes.iter().copied().chain(std::iter::repeat_n(0, 4 * 1536)).collect();
    let (mut serves, mut plays) = (true, true);
    for piece in padded.chunks(usize::from(cut) * 16 + 1) {
        serves = serves && server.handle_input(now, piece).is_ok();
        plays = plays && client.handle_input(now, piece).is_ok();
        assert!(server.buffered_bytes() <= BUFFERED_MAX && client.buffered_bytes() <= BUFFERED_MAX);
        while server.poll_output().is_some() {}
        while client.poll_output().is_some() {}
    }
}
