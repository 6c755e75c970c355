//! The name that a stream is published or played by: whoever knows it may publish.

use std::fmt;

/// A stream key or playback name, with its query string. Never shown: `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StreamKey(String);

impl StreamKey {
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// All of it, as the peer sent it, for whoever checks it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The part before `?`.
    pub fn expose_name(&self) -> &str {
        self.0.split_once('?').map_or(self.0.as_str(), |(name, _)| name)
    }

    /// The value of `parameter` in the query string, not percent-decoded.
    pub fn expose_parameter(&self, parameter: &str) -> Option<&str> {
        let (_, query) = self.0.split_once('?')?;
        query
            .split('&')
            .find_map(|pair| pair.split_once('=').filter(|(name, _)| *name == parameter))
            .map(|p| p.1)
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamKey(…)")
    }
}
