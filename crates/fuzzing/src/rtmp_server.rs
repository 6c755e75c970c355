//! A server takes whatever a peer sends after the handshake, in reads of a size that the input chooses.

use std::time::Instant;

use rtmp::ServerEvent;

use crate::rtmp_sides;

pub fn run(data: &[u8]) {
    let Some((&cut, bytes)) = data.split_first() else { return };
    let now = Instant::now();
    let mut server = rtmp_sides::server(now);
    server.handle_input(now, &[3]).expect("version 3 is taken");
    server.handle_input(now, &[0; 2 * 1536]).expect("a simple handshake is taken");
    for piece in bytes.chunks(usize::from(cut) * 16 + 1) {
        let result = server.handle_input(now, piece);
        assert!(server.buffered_bytes() <= 2 * (1 << 17) + (1 << 16) + (1 << 14));
        if result.is_err() {
            return;
        }
        while let Some(event) = server.poll_event() {
            let asks =
                matches!(event, ServerEvent::PublishRequested { .. } | ServerEvent::PlayRequested { .. });
            // An `Err` may also mean that the peer has ended its request already.
            if asks && server.accept().is_err() {
                return;
            }
        }
        while server.poll_output().is_some() {}
    }
}
