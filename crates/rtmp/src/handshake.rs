//! The handshake of both roles (§5.2), simple and with digests.
//!
//! The digests prove nothing (their keys are public), but some clients refuse a server without them.

mod digest;

use thiserror::Error;

use digest::Layout;

/// Length of C1, S1, C2 and S2.
pub const PACKET: usize = 1536;
const VERSION: u8 = 3;

/// Why a peer's handshake is refused.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeError {
    #[error("RTMP version {0} is asked for; 3 is the one we speak (6 is RTMPE, which is not secure)")]
    Version(u8),
}

/// How a client opens; servers answer what they are asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Opening {
    #[default]
    Simple,
    Digest,
}

enum Side {
    Server,
    Client { opening: Opening },
}

/// One side's handshake. Feed it until it says that it is done.
pub struct Handshake {
    side: Side,
    seed: u64,
    /// The peer's bytes of the packet that is not whole yet: at most 1 + 1536.
    received: Vec<u8>,
    /// Whether the first two packets (version and random) were taken.
    greeted: bool,
}

impl Handshake {
    /// A server; `seed` makes its random bytes, which guard nothing.
    pub fn server(seed: u64) -> Self {
        Self { side: Side::Server, seed, received: Vec::new(), greeted: false }
    }

    /// A client, and its C0 and C1.
    pub fn client(opening: Opening, seed: u64) -> (Self, Vec<u8>) {
        let mut packet = random_packet(seed);
        if opening == Opening::Digest {
            packet[4..8].copy_from_slice(&digest::CLIENT_VERSION);
            digest::sign(&mut packet, Layout::First, digest::CLIENT_KEY);
        }
        let mut out = vec![VERSION];
        out.extend_from_slice(&packet);
        (Self { side: Side::Client { opening }, seed, received: Vec::new(), greeted: false }, out)
    }

    pub fn buffered_bytes(&self) -> usize {
        self.received.len()
    }

    /// Takes bytes from the front of `input`, appends the answer to `out`, and says whether it is done.
    pub fn read(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, HandshakeError> {
        if !self.greeted {
            if !self.fill(input, 1 + PACKET)? {
                return Ok(false);
            }
            let greeting = std::mem::take(&mut self.received);
            let packet: &[u8; PACKET] = greeting[1..].try_into().expect("it was filled to 1 + PACKET");
            self.answer(packet, out);
            self.greeted = true;
        }
        // The peer's echo: many get it wrong, so only its length is looked at.
        let done = self.fill(input, PACKET)?;
        if done {
            self.received = Vec::new();
        }
        Ok(done)
    }

    fn fill(&mut self, input: &mut &[u8], goal: usize) -> Result<bool, HandshakeError> {
        let (now, later) = input.split_at(input.len().min(goal - self.received.len()));
        self.received.extend_from_slice(now);
        *input = later;
        match self.received.first() {
            Some(&version) if !self.greeted && version != VERSION => Err(HandshakeError::Version(version)),
            _ => Ok(self.received.len() == goal),
        }
    }

    /// The answer to the peer's first two packets.
    fn answer(&self, theirs: &[u8; PACKET], out: &mut Vec<u8>) {
        match self.side {
            Side::Server => {
                let found = digest::find(theirs, digest::CLIENT_KEY);
                let mut packet = random_packet(self.seed);
                if let Some((layout, _)) = found {
                    packet[4..8].copy_from_slice(&digest::SERVER_VERSION);
                    digest::sign(&mut packet, layout, digest::SERVER_KEY);
                }
                out.push(VERSION);
                out.extend_from_slice(&packet);
                match found {
                    Some((_, theirs)) => out.extend_from_slice(&digest::reply(
                        random_packet(!self.seed),
                        &theirs,
                        digest::SERVER_FULL_KEY,
                    )),
                    None => out.extend_from_slice(theirs),
                }
            }
            Side::Client { opening } => match digest::find(theirs, digest::SERVER_KEY) {
                Some((_, theirs)) if opening == Opening::Digest => out.extend_from_slice(&digest::reply(
                    random_packet(!self.seed),
                    &theirs,
                    digest::CLIENT_FULL_KEY,
                )),
                _ => out.extend_from_slice(theirs),
            },
        }
    }
}

/// Time 0, version 0, then bytes that differ from one connection to the next (splitmix64).
fn random_packet(seed: u64) -> [u8; PACKET] {
    let mut packet = [0; PACKET];
    let mut state = seed;
    for eight in packet[8..].chunks_exact_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        eight.copy_from_slice(&(mixed ^ (mixed >> 31)).to_be_bytes());
    }
    packet
}
