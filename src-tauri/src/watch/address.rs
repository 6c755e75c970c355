//! Where a stream is, by the address that a person has of it.

use std::net::IpAddr;

use rtc::Network;

/// A stream on a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct StreamAddress {
    /// Scheme, host and port.
    pub node: String,
    pub playback_id: String,
}

/// The paths under which a node has a stream, whose id follows.
const PATHS: [&str; 4] = ["/watch/", "/whep/", "/api/stream/", "/api/v1/streams/"];

impl StreamAddress {
    /// `None` for what is no address of a stream.
    pub fn parse(text: &str) -> Option<Self> {
        let text = crate::link::watched(text)?;
        let (scheme, rest) = text.trim().split_once("://")?;
        let (authority, path) = rest.split_at(rest.find('/')?);
        let path = path.split(['?', '#']).next()?;
        let id = PATHS.iter().find_map(|prefix| path.strip_prefix(prefix))?.split('/').next()?;
        let is_id =
            !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        // What stands before an @ is somebody's password.
        let is_host = !authority.is_empty() && !authority.contains(['@', ' ']);
        let fits = matches!(scheme, "http" | "https") && is_id && is_host;
        fits.then(|| Self { node: format!("{scheme}://{authority}"), playback_id: id.to_owned() })
    }

    fn host(&self) -> &str {
        let authority = self.node.split_once("://").map_or("", |(_, authority)| authority);
        match authority.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or(""),
            None => authority.split(':').next().unwrap_or(""),
        }
    }

    /// A node on this machine is reached over the loopback interface.
    pub fn network(&self) -> Network {
        let host = self.host();
        let is_local =
            host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        if is_local { Network::Loopback } else { Network::Interfaces }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_known_by_its_page_and_by_its_other_addresses() {
        for text in [
            "http://127.0.0.1:8080/watch/Ab-9_x",
            "http://127.0.0.1:8080/watch/Ab-9_x?quality=low#t",
            "http://127.0.0.1:8080/whep/Ab-9_x",
            " http://127.0.0.1:8080/api/stream/Ab-9_x/join ",
            "tickcast:watch?url=http%3A%2F%2F127.0.0.1%3A8080%2Fwatch%2FAb-9_x",
        ] {
            let address = StreamAddress::parse(text).unwrap();
            assert_eq!(
                (address.node.as_str(), address.playback_id.as_str()),
                ("http://127.0.0.1:8080", "Ab-9_x")
            );
        }
    }

    #[test]
    fn what_is_no_address_of_a_stream_is_refused() {
        for text in [
            "",
            "Ab-9_x",
            "http://127.0.0.1:8080",
            "http://127.0.0.1:8080/",
            "http://127.0.0.1:8080/watch/",
            "ftp://127.0.0.1/watch/x",
            "http:///watch/x",
            "http://me:secret@127.0.0.1/watch/x",
            "http://127.0.0.1/watch/..%2f",
        ] {
            assert_eq!(StreamAddress::parse(text), None, "{text}");
        }
    }

    #[test]
    fn this_machine_is_reached_over_loopback_and_others_are_not() {
        for (text, network) in [
            ("http://127.0.0.1:8080/watch/x", Network::Loopback),
            ("http://localhost/watch/x", Network::Loopback),
            ("https://[::1]:8443/watch/x", Network::Loopback),
            ("http://192.0.2.7:8080/watch/x", Network::Interfaces),
            ("https://localhost.example/watch/x", Network::Interfaces),
        ] {
            assert_eq!(StreamAddress::parse(text).unwrap().network(), network, "{text}");
        }
    }
}
