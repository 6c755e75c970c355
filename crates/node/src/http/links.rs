//! The addresses that the API gives out.

use axum::http::{HeaderMap, header};

use crate::app::App;
use crate::id::{PlaybackId, StreamKey};

/// Addresses as the asking client can reach them: by the host it asked.
pub struct Links {
    base: String,
    host: String,
    rtmp_port: u16,
}

impl Links {
    pub fn new(app: &App, headers: &HeaderMap) -> Self {
        let asked = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let http = app.addresses().http;
        let asked = if is_authority(asked) { asked.to_owned() } else { http.to_string() };
        let config = app.config();
        let (base, host) = match (config.public_host.as_str(), config.public_authority()) {
            ("", Some((host, _))) => (config.public_url.clone(), host.to_owned()),
            ("", None) => (format!("http://{asked}"), without_port(&asked).to_owned()),
            (host, Some(_)) => (config.public_url.clone(), host.to_owned()),
            (host, None) => (format!("http://{host}:{}", http.port()), host.to_owned()),
        };
        Self { base, host, rtmp_port: app.addresses().rtmp.port() }
    }

    pub fn whip(&self) -> String {
        format!("{}/whip", self.base)
    }

    pub fn whep(&self, id: &PlaybackId) -> String {
        format!("{}/whep/{id}", self.base)
    }

    pub fn hls(&self, id: &PlaybackId) -> String {
        format!("{}/live/{id}.m3u8", self.base)
    }

    /// The pay socket: a WebSocket at the same host.
    pub fn pay(&self, id: &PlaybackId) -> String {
        format!("ws{}/api/stream/{id}/pay", self.base.strip_prefix("http").unwrap_or(&self.base))
    }

    pub fn watch(&self, id: &PlaybackId) -> String {
        format!("{}/watch/{id}", self.base)
    }

    pub fn rtmp(&self, key: &StreamKey) -> String {
        format!("rtmp://{}:{}/live/{}", self.host, self.rtmp_port, key.expose())
    }
}

/// Whether a `Host` header is a host with or without a port, and so can stand in an address.
fn is_authority(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'))
}

fn without_port(authority: &str) -> &str {
    // An IPv6 address ends with its bracket.
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_header_that_is_no_host_is_not_repeated() {
        assert!(is_authority("example.org:8080") && is_authority("[::1]:8080"));
        for wrong in ["", "a b", "x\"><script>", "host/path", "user@host"] {
            assert!(!is_authority(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_port_is_taken_off_and_an_ipv6_address_is_not_cut() {
        assert_eq!(without_port("example.org:8080"), "example.org");
        assert_eq!(without_port("[::1]:8080"), "[::1]");
        assert_eq!(without_port("[::1]"), "[::1]");
        assert_eq!(without_port("example.org"), "example.org");
    }
}
