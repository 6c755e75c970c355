//! A player takes whatever a server sends after the handshake, in reads of a size that the input chooses.

use std::time::Instant;

use rtmp::{Client, ClientConfig, Limits, Role, RtmpUrl};

pub fn run(data: &[u8]) {
    let Some((&cut, bytes)) = data.split_first() else { return };
    let now = Instant::now();
    let limits = Limits {
        message_bytes: 1 << 16,
        buffered_bytes: 1 << 17,
        output_bytes: 1 << 16,
        ..Limits::default()
    };
    let url = RtmpUrl::parse("rtmp://host/live/key").expect("it is an address");
    let mut client = Client::new(ClientConfig { limits, ..ClientConfig::new(url, Role::Play) }, now);
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
