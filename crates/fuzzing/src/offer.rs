//! Offers are answered or refused, and a media thread takes whatever datagrams come.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Instant;

use media::WallTime;
use sfu::{SessionFactory, SfuConfig, Shard};

fn server() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 5_000))
}

static FACTORY: LazyLock<SessionFactory> = LazyLock::new(|| {
    SessionFactory::new(&SfuConfig::default(), vec![server()]).expect("a certificate can be made")
});

pub fn run(data: &[u8]) {
    let now = Instant::now();
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = FACTORY.answer_publisher(now, text);
        let _ = FACTORY.answer_viewer(now, text);
    }
    let clock = sfu::Clock::new(now, WallTime::from_unix_micros(1_700_000_000_000_000));
    let mut shard = Shard::new(SfuConfig::default(), clock, vec![server()]);
    for piece in data.chunks(113) {
        shard.handle_datagram(now, SocketAddr::from(([10, 6, 6, 6], 6)), None, piece);
    }
}
