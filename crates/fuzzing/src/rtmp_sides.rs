//! Both sides of RTMP, with limits that an input can reach.

use std::time::Instant;

use rtmp::{Client, ClientConfig, Limits, Role, RtmpUrl, Server, ServerConfig};

fn limits() -> Limits {
    Limits { message_bytes: 1 << 16, buffered_bytes: 1 << 17, output_bytes: 1 << 16, ..Limits::default() }
}

pub fn client(now: Instant) -> Client {
    let url = RtmpUrl::parse("rtmp://host/live/key").expect("it is an address");
    Client::new(ClientConfig { limits: limits(), ..ClientConfig::new(url, Role::Play) }, now)
}

pub fn server(now: Instant) -> Server {
    Server::new(ServerConfig { limits: limits(), ..ServerConfig::default() }, now)
}
