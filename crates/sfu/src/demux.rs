//! Which peer a datagram is for: by the ICE ufrag of a STUN check, then by address.

use std::collections::HashMap;
use std::net::SocketAddr;

use str0m::config::CryptoProvider;
use str0m::ice::StunMessage;

use crate::ids::PeerId;

/// What a datagram is, by its first bytes (RFC 7983 §7) and, for STUN, its USERNAME.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Datagram<'a> {
    /// A binding request for the peer that we gave this ufrag.
    Check { local_ufrag: &'a str },
    /// DTLS, RTP or RTCP: for the peer whose address it comes from.
    Media,
    /// Nothing that a peer of ours sends.
    Foreign,
}

const STUN_COOKIE: [u8; 4] = 0x2112_a442_u32.to_be_bytes();
const BINDING_REQUEST: [u8; 2] = [0, 1];
const ATTR_USERNAME: u16 = 0x0006;

/// Total on any bytes.
pub fn classify(bytes: &[u8]) -> Datagram<'_> {
    match bytes.first() {
        Some(0..=3) => match check_username(bytes) {
            Some(local_ufrag) => Datagram::Check { local_ufrag },
            None => Datagram::Foreign,
        },
        // DTLS records carry a header of 13 bytes, RTP of 12, SRTCP of 8 and its index.
        Some(20..=63 | 128..=191) if bytes.len() >= 12 => Datagram::Media,
        _ => Datagram::Foreign,
    }
}

/// Our half of a binding request's USERNAME, which reads `ours:theirs` (RFC 8445 §7.2.2).
fn check_username(bytes: &[u8]) -> Option<&str> {
    let header = bytes.first_chunk::<20>()?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[..2] != BINDING_REQUEST || header[4..8] != STUN_COOKIE || bytes.len() != 20 + length {
        return None;
    }
    let mut attributes = &bytes[20..];
    while let Some((head, rest)) = attributes.split_first_chunk::<4>() {
        let kind = u16::from_be_bytes([head[0], head[1]]);
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let value = rest.get(..length)?;
        if kind == ATTR_USERNAME {
            let (ours, theirs) = std::str::from_utf8(value).ok()?.split_once(':')?;
            return (!ours.is_empty() && !theirs.is_empty()).then_some(ours);
        }
        attributes = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// Verifies checks by MESSAGE-INTEGRITY (RFC 8489 §14.5).
pub(crate) struct Checker(CryptoProvider);

impl Checker {
    pub fn new() -> Self {
        Self(str0m::crypto::from_feature_flags())
    }

    /// Whether the sender of the binding request knows `pwd`.
    pub fn verify(&self, bytes: &[u8], pwd: &str) -> bool {
        let hmac = |key: &[u8], parts: &[&[u8]]| self.0.sha1_hmac_provider.sha1_hmac(key, parts);
        StunMessage::parse(bytes).is_ok_and(|message| message.verify(pwd.as_bytes(), hmac))
    }
}

/// The two maps. Entries of a peer go with it.
#[derive(Debug, Default)]
pub(crate) struct Demux {
    by_ufrag: HashMap<String, PeerId>,
    by_address: HashMap<SocketAddr, PeerId>,
}

impl Demux {
    pub fn add(&mut self, ufrag: String, peer: PeerId) {
        self.by_ufrag.insert(ufrag, peer);
    }

    pub fn by_ufrag(&self, ufrag: &str) -> Option<PeerId> {
        self.by_ufrag.get(ufrag).copied()
    }

    pub fn by_address(&self, address: SocketAddr) -> Option<PeerId> {
        self.by_address.get(&address).copied()
    }

    /// After an authenticated check: whoever proves the password has the address from now on.
    pub fn bind(&mut self, address: SocketAddr, peer: PeerId) {
        self.by_address.insert(address, peer);
    }

    pub fn unbind(&mut self, address: SocketAddr, peer: PeerId) {
        if self.by_address(address) == Some(peer) {
            self.by_address.remove(&address);
        }
    }

    pub fn forget_ufrag(&mut self, ufrag: &str) {
        self.by_ufrag.remove(ufrag);
    }

    /// Entries in both maps.
    pub fn len(&self) -> (usize, usize) {
        (self.by_ufrag.len(), self.by_address.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A binding request of USERNAME alone (RFC 8489 §5, §14.3).
    fn request(username: &str) -> Vec<u8> {
        let padded = username.len().next_multiple_of(4);
        let mut bytes = vec![0, 1, 0, (4 + padded) as u8, 0x21, 0x12, 0xa4, 0x42];
        bytes.extend_from_slice(&[7; 12]);
        bytes.extend_from_slice(&[0, 6, 0, username.len() as u8]);
        bytes.extend_from_slice(username.as_bytes());
        bytes.resize(24 + padded, 0);
        bytes
    }

    #[test]
    fn a_check_names_the_receiver_first() {
        let bytes = request("ours:theirs");
        assert_eq!(classify(&bytes), Datagram::Check { local_ufrag: "ours" });
    }

    #[test]
    fn a_check_without_both_names_is_foreign() {
        for name in ["ours", "ours:", ":theirs", ""] {
            assert_eq!(classify(&request(name)), Datagram::Foreign, "{name:?}");
        }
    }

    #[test]
    fn first_bytes_tell_the_protocols_apart() {
        // RFC 7983 §7: 20..63 DTLS, 128..191 RTP and RTCP, 64..79 TURN channels.
        for (first, kind) in [(22, Datagram::Media), (128, Datagram::Media), (64, Datagram::Foreign)] {
            assert_eq!(classify(&[first; 40]), kind);
        }
        assert_eq!(classify(&[]), Datagram::Foreign);
        assert_eq!(classify(&[128; 4]), Datagram::Foreign);
    }

    proptest! {
        #[test]
        fn any_bytes_are_classified(bytes: Vec<u8>) {
            classify(&bytes);
        }

        #[test]
        fn a_damaged_check_is_classified(at in 0usize..36, value: u8, cut in 0usize..37) {
            let mut bytes = request("ours:theirs");
            let last = bytes.len() - 1;
            bytes[at.min(last)] = value;
            classify(&bytes[..cut.min(last)]);
            classify(&bytes);
        }
    }
}
