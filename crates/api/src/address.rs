//! Addresses as they are bound and as they are called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where a socket that is bound to `address` is reached from this machine: "every interface" is nothing that one can
/// connect to everywhere, and loopback is.
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_every_interface_is_reached_over_loopback() {
        let there = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(there("0.0.0.0:8080"), "127.0.0.1:8080");
        assert_eq!(there("[::]:8080"), "[::1]:8080");
        assert_eq!(there("192.0.2.7:80"), "192.0.2.7:80");
    }
}
