//! A player takes whatever a server sends after the handshake, in reads of a size that the input chooses.

use std::time::Instant;

use crate::rtmp_sides;

pub fn run(data: &[u8]) {
    let Some((&cut, bytes)) = data.split_first() else { return };
    let now = Instant::now();
    let mut client = rtmp_sides::client(now);
    client.handle_input(now, &[3]).expect("version 3 is taken");
    client.handle_input(now, &[0; 2 * 1536]).expect("a simple handshake is taken");
    for piece in bytes.chunks(usize::from(cut) * 16 + 1) {
        let result = client.handle_input(now, piece);
        assert!(client.buffered_bytes() <= (1 << 17) + (1 << 16) + (1 << 14));
        if result.is_err() {
            return;
        }
        while client.poll_event().is_some() {}
        while client.poll_output().is_some() {}
    }
}
