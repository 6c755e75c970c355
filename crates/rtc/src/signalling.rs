//! The boundary to HTTP: how an offer reaches the other side (WHIP, RFC 9725; WHEP, its draft).

use std::future::Future;
use std::pin::Pin;

use thiserror::Error;

use crate::link::IceServer;

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Posts offers to one endpoint. An implementer gives every request a time limit.
pub trait Signalling: Send + Sync + 'static {
    /// Posts `sdp` (`application/sdp`) and returns what the endpoint answered.
    fn offer(&self, sdp: String) -> BoxFuture<'_, Result<Answer, SignallingError>>;
}

/// One accepted session: the resource that the endpoint's `Location` names.
pub trait SignallingSession: Send + Sync {
    /// Sends candidates (RFC 8840 `application/trickle-ice-sdpfrag`) under the session's ETag; an ICE
    /// restart is answered with a fragment.
    fn patch(&self, fragment: String) -> BoxFuture<'_, Result<Option<String>, SignallingError>>;
    /// Ends the session. One that is gone already is no error.
    fn delete(&self) -> BoxFuture<'_, Result<(), SignallingError>>;
}

/// What an accepted offer gave.
pub struct Answer {
    pub sdp: String,
    pub session: Box<dyn SignallingSession>,
    /// From the `Link` headers: see [`crate::link::ice_servers`].
    pub ice_servers: Vec<IceServer>,
}

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SignallingError {
    #[error("the address cannot be used: {0}")]
    BadAddress(String),
    #[error("the server could not be reached: {0}")]
    Unreachable(String),
    /// `status` is the HTTP status.
    #[error("the server refused with {status}: {reason}")]
    Refused { status: u16, reason: String },
    #[error("the server's answer cannot be used: {0}")]
    BadAnswer(String),
}

impl SignallingError {
    /// Whether asking again cannot help: the request or its credentials are wrong. Statuses that speak of
    /// the moment (not there yet, taken, too many) can.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Refused { status, .. } => {
                (400..500).contains(status) && !matches!(status, 404 | 408 | 409 | 423 | 425 | 429)
            }
            Self::BadAddress(_) => true,
            Self::Unreachable(_) | Self::BadAnswer(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_key_is_final_and_a_taken_stream_is_not() {
        let refused = |status| SignallingError::Refused { status, reason: String::new() };
        assert!(refused(401).is_final() && refused(403).is_final() && refused(415).is_final());
        assert!(!refused(409).is_final() && !refused(429).is_final() && !refused(503).is_final());
        assert!(!SignallingError::Unreachable("refused".into()).is_final());
    }
}
