//! How a node is set: TOML with every key optional, unknown keys refused.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use pay::AccountId;
use serde::Deserialize;
use thiserror::Error;

use crate::billing::ChainConfig;
use crate::transcode::TranscodeConfig;

/// A node's settings; [`NodeConfig::default`] is what an empty file means.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeConfig {
    /// Where the database lies, and the key that the node signs with.
    pub data_dir: PathBuf,
    /// API, pages, WHIP and WHEP.
    pub http: SocketAddr,
    /// LL-HLS alone, for a CDN to pull from; the HTTP port serves it too.
    pub hls: SocketAddr,
    pub rtmp: SocketAddr,
    /// The one UDP port of all WebRTC peers.
    pub media: SocketAddr,
    /// Addresses that peers are told to send to; empty: that of `media`, or of every interface where it is
    /// bound to all.
    pub advertised: Vec<IpAddr>,
    /// Host name or address in the links that the API gives; empty: what the request's `Host` said.
    pub public_host: String,
    /// Scheme, host and port of those that go by HTTP, where people reach this node through a proxy that speaks TLS, as
    /// in `https://live.example.org`; empty: `http`, `public_host` and the port of `http`.
    pub public_url: String,
    /// Given to peers in `Link` headers (RFC 9725 §4.6), such as `stun:stun.example.org`.
    pub ice_servers: Vec<String>,
    /// Viewers by WebRTC; publishers find room beyond them.
    pub max_peers: usize,
    pub max_streams: usize,
    pub transcode: TranscodeConfig,
    /// Accounts that may keep every stream and read the audit log.
    pub admins: Vec<AccountId>,
    /// Accounts that may make streams from elsewhere; empty: every one that names this node's key.
    pub creators: Vec<AccountId>,
    /// How the node is paid; without it everything is free.
    pub chain: Option<ChainConfig>,
}

impl Default for NodeConfig {
    fn default() -> Self {
        let on = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        Self {
            data_dir: PathBuf::from("tickcast-data"),
            http: on(8080),
            hls: on(8081),
            rtmp: on(1935),
            media: on(8082),
            advertised: Vec::new(),
            public_host: String::new(),
            public_url: String::new(),
            ice_servers: Vec::new(),
            max_peers: 2000,
            max_streams: 200,
            transcode: TranscodeConfig::default(),
            admins: Vec::new(),
            creators: Vec::new(),
            chain: None,
        }
    }
}

#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("{path} could not be read: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// The message carries line, column and the offending key.
    #[error("{path} is not a node's configuration: {source}")]
    Malformed { path: PathBuf, source: Box<toml::de::Error> },
    #[error("{path} cannot be meant: {reason}")]
    Meaningless { path: PathBuf, reason: &'static str },
}

impl NodeConfig {
    pub fn from_file(path: &std::path::Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let config: Self = toml::from_str(&text)
            .map_err(|source| ConfigError::Malformed { path: path.to_owned(), source: Box::new(source) })?;
        match config.mistake() {
            Some(reason) => Err(ConfigError::Meaningless { path: path.to_owned(), reason }),
            None => Ok(config),
        }
    }

    fn mistake(&self) -> Option<&'static str> {
        let is_host = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
        let is_url = |c: char| c.is_ascii_graphic() && !"<>\"".contains(c);
        if self.data_dir.as_os_str().is_empty() {
            Some("data_dir names no folder")
        } else if self.max_peers == 0 || self.max_streams == 0 {
            Some("max_peers and max_streams are at least 1")
        } else if !self.public_host.chars().all(is_host) {
            Some("public_host is a host name or an address, without port and path")
        } else if !self.public_url.is_empty() && self.public_authority().is_none() {
            Some("public_url is https:// or http:// and a host, with or without a port, and nothing after it")
        } else if !self.ice_servers.iter().all(|server| !server.is_empty() && server.chars().all(is_url)) {
            Some("ice_servers are addresses such as stun:stun.example.org")
        } else {
            self.chain.as_ref().and_then(ChainConfig::mistake)
        }
    }

    /// Host and port of `public_url`; none where that is not set.
    pub(crate) fn public_authority(&self) -> Option<(&str, u16)> {
        let (port, authority) = match self.public_url.split_once("://")? {
            ("https", authority) => (443, authority),
            ("http", authority) => (80, authority),
            _ => return None,
        };
        let is_host = |host: &str| {
            let is_allowed = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
            !host.is_empty() && host.chars().all(is_allowed)
        };
        match authority.rsplit_once(':') {
            // The last colon of an IPv6 address stands within its brackets.
            Some((host, given)) if !given.ends_with(']') => Some((host, given.parse().ok()?)),
            _ => Some((authority, port)),
        }
        .filter(|(host, _)| is_host(host))
    }

    /// Everything on loopback, on ports that the system chooses, in `data_dir`.
    pub fn loopback(data_dir: PathBuf) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { data_dir, http: any, hls: any, rtmp: any, media: any, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.toml");
        std::fs::write(&path, "http = \"127.0.0.1:1\"\nrtpm = \"127.0.0.1:2\"\n").unwrap();
        let said = NodeConfig::from_file(&path).unwrap_err().to_string();
        assert!(said.contains("line 2") && said.contains("rtpm"), "{said}");
    }

    #[test]
    fn what_can_be_read_and_not_be_meant_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.toml");
        let said = |text: &str| {
            std::fs::write(&path, text).unwrap();
            NodeConfig::from_file(&path).map_err(|err| err.to_string())
        };
        for (text, key) in [
            ("data_dir = \"\"", "data_dir"),
            ("max_peers = 0", "max_peers"),
            ("max_streams = 0", "max_streams"),
            ("public_host = \"a b/../x\"", "public_host"),
            ("public_url = \"live.example.org\"", "public_url"),
            ("public_url = \"https://live.example.org/path\"", "public_url"),
            ("public_url = \"https://live.example.org:port\"", "public_url"),
            ("public_url = \"ftp://live.example.org\"", "public_url"),
            ("ice_servers = [\"stun:x\\nLink: y\"]", "ice_servers"),
            ("[chain]\nendpoints = []", "chain.endpoints"),
            ("[chain]\nendpoints = [\"ws://chain.example.org:9944\"]", "chain.endpoints"),
            ("[chain]\nendpoints = [\"ftp://127.0.0.1\"]", "chain.endpoints"),
            ("[chain]\nlogin_host = \"a b\"", "chain.login_host"),
            ("[chain]\noffer_s = 1", "chain.offer_s"),
        ] {
            assert!(said(text).unwrap_err().contains(key), "{text}");
        }
        assert!(said("public_host = \"live.example.org\"\nice_servers = [\"turn:[2001:db8::1]:3478?transport=udp\"]").is_ok());
    }

    #[test]
    fn amounts_of_the_chain_are_decimal_text_and_its_table_may_be_empty() {
        let text = "[chain]\nrail = \"transfer\"\nsettle_from = \"100000000000000000000\"";
        let chain = toml::from_str::<NodeConfig>(text).unwrap().chain.unwrap();
        assert_eq!((chain.settle_from.units(), chain.rail), (10_u128.pow(20), pay::RailKind::Transfer));
        assert!(toml::from_str::<NodeConfig>(&text.replace("\"100", "100").replace("0\"", "0")).is_err());
        assert_eq!(toml::from_str::<NodeConfig>("[chain]").unwrap().chain, Some(ChainConfig::default()));
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(toml::from_str::<NodeConfig>("").unwrap(), NodeConfig::default());
    }
}
