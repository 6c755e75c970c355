//! `rtmp://` and `rtmps://` addresses. Their stream key is a secret, so nothing here shows it.

use std::fmt;

use thiserror::Error;

use crate::key::StreamKey;

/// Addresses are at most this long, in bytes.
const MAX_URL: usize = 4096;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scheme {
    Rtmp,
    /// RTMP in TLS.
    Rtmps,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Rtmp => "rtmp",
            Self::Rtmps => "rtmps",
        }
    }

    pub fn default_port(self) -> u16 {
        match self {
            Self::Rtmp => 1935,
            Self::Rtmps => 443,
        }
    }
}

/// Why an address is refused. Never repeats the address, which may hold a key.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum UrlError {
    #[error("an RTMP address begins with rtmp:// or rtmps://")]
    Scheme,
    #[error("the address has no host")]
    NoHost,
    #[error("the host has characters that a host cannot have")]
    BadHost,
    #[error("the port is not a number from 1 to 65535")]
    BadPort,
    #[error("the address has a user name or password; put the stream key behind the last / instead")]
    UserInfo,
    #[error("the address names no application: rtmp://HOST/APPLICATION/KEY")]
    NoApp,
    #[error("the address names no stream key: rtmp://HOST/APPLICATION/KEY")]
    NoKey,
    #[error("the address has a control character or a space in it")]
    BadCharacter,
    #[error("the address is longer than {MAX_URL} bytes")]
    TooLong,
}

/// Where to publish to or play from.
#[derive(Clone, PartialEq, Eq)]
pub struct RtmpUrl {
    scheme: Scheme,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    app: String,
    key: StreamKey,
}

impl RtmpUrl {
    /// Splits `rtmp://HOST[:PORT]/APP[/INSTANCE]/KEY[?QUERY]`: the key is what follows the last slash
    /// before the query string.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let (scheme, host, port, path) = split(url)?;
        let path = path.trim_start_matches('/');
        let before_query = path.find('?').unwrap_or(path.len());
        // `app?vhost=name/key` is an older way to say a virtual host: there the slash is behind the `?`.
        let slash = path[..before_query].rfind('/').or_else(|| path.rfind('/'));
        let (app, key) = match slash {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (path, ""),
        };
        Self::from_parts(scheme, host, port, app, key)
    }

    /// The server's address and the key as two, as services give them; the key may hold slashes.
    pub fn with_key(server: &str, key: &str) -> Result<Self, UrlError> {
        let (scheme, host, port, path) = split(server)?;
        if key.len() > MAX_URL {
            return Err(UrlError::TooLong);
        }
        if has_bad_character(key) {
            return Err(UrlError::BadCharacter);
        }
        Self::from_parts(scheme, host, port, path, key)
    }

    fn from_parts(scheme: Scheme, host: String, port: u16, app: &str, key: &str) -> Result<Self, UrlError> {
        let app = app.trim_matches('/');
        match (app.is_empty(), key.is_empty()) {
            (true, _) => Err(UrlError::NoApp),
            (_, true) => Err(UrlError::NoKey),
            _ => Ok(Self { scheme, host, port, app: app.to_owned(), key: StreamKey::new(key) }),
        }
    }

    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// A name or an address, as TLS and the resolver want it: IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Application and instance. May hold a token in a query string: not for showing.
    pub fn app(&self) -> &str {
        &self.app
    }

    pub fn key(&self) -> &StreamKey {
        &self.key
    }

    /// The address without the key, as `connect` sends it.
    pub fn tc_url(&self) -> String {
        format!("{}/{}", self.origin(), self.app)
    }

    fn origin(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match self.port == self.scheme.default_port() {
            true => format!("{}://{host}", self.scheme.name()),
            false => format!("{}://{host}:{}", self.scheme.name(), self.port),
        }
    }
}

impl fmt::Display for RtmpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let app = self.app.split_once('?').map_or(self.app.as_str(), |(app, _)| app);
        write!(f, "{}/{app}/…", self.origin())
    }
}

impl fmt::Debug for RtmpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RtmpUrl({self})")
    }
}

fn has_bad_character(text: &str) -> bool {
    text.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// Scheme, host, port and the path with its query.
fn split(url: &str) -> Result<(Scheme, String, u16, &str), UrlError> {
    if url.len() > MAX_URL {
        return Err(UrlError::TooLong);
    }
    if has_bad_character(url) {
        return Err(UrlError::BadCharacter);
    }
    let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "rtmp" => Scheme::Rtmp,
        "rtmps" => Scheme::Rtmps,
        _ => return Err(UrlError::Scheme),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('@') {
        return Err(UrlError::UserInfo);
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (host, after) = v6.split_once(']').ok_or(UrlError::BadHost)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| UrlError::BadHost)?;
            match (after.is_empty(), after.strip_prefix(':')) {
                (true, _) => (host, None),
                (_, Some(port)) => (host, Some(port)),
                (_, None) => return Err(UrlError::BadHost),
            }
        }
        // More than one colon is an IPv6 address, which needs its brackets (RFC 3986 §3.2.2).
        None if authority.matches(':').count() > 1 => return Err(UrlError::BadHost),
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err(UrlError::NoHost);
    }
    if !host.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_' | ':')) {
        return Err(UrlError::BadHost);
    }
    let port = match port {
        Some(port) => port.parse().ok().filter(|&port| port > 0).ok_or(UrlError::BadPort)?,
        None => scheme.default_port(),
    };
    Ok((scheme, host.to_owned(), port, path))
}
