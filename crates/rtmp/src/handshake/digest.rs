//! The digests that Flash clients and servers put into their handshake packets: HMAC-SHA256 with two keys
//! that every implementation knows.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::PACKET;

const DIGEST: usize = 32;

/// What both keys end with.
const TAIL: [u8; 32] = [
    0xf0, 0xee, 0xc2, 0x4a, 0x80, 0x68, 0xbe, 0xe8, 0x2e, 0x00, 0xd0, 0xd1, 0x02, 0x9e, 0x7e, 0x57, 0x6e,
    0xec, 0x5d, 0x2d, 0x29, 0x80, 0x6f, 0xab, 0x93, 0xb8, 0xe6, 0x36, 0xcf, 0xeb, 0x31, 0xae,
];
/// The text alone signs the first packet, text and tail the second.
pub const CLIENT_KEY: &[u8] = b"Genuine Adobe Flash Player 001";
pub const SERVER_KEY: &[u8] = b"Genuine Adobe Flash Media Server 001";
pub const CLIENT_FULL_KEY: [&[u8]; 2] = [CLIENT_KEY, &TAIL];
pub const SERVER_FULL_KEY: [&[u8]; 2] = [SERVER_KEY, &TAIL];
/// Flash Player 10.0.45.2 and a Flash Media Server 4.5: any version above 0 says that there is a digest.
pub const CLIENT_VERSION: [u8; 4] = [10, 0, 45, 2];
pub const SERVER_VERSION: [u8; 4] = [4, 5, 0, 1];

/// Which half of the packet holds the digest; the other held RTMPE's key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    First,
    Second,
}

impl Layout {
    /// The digest's place: four bytes, added, modulo 728, after those four.
    fn place(self, packet: &[u8; PACKET]) -> usize {
        let at = match self {
            Self::First => 8,
            Self::Second => 772,
        };
        let sum: usize = packet[at..at + 4].iter().map(|&byte| usize::from(byte)).sum();
        at + 4 + sum % 728
    }
}

fn hmac(key: &[&[u8]], parts: &[&[u8]]) -> [u8; DIGEST] {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&key.concat()).expect("HMAC takes a key of any length (RFC 2104 §2)");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn digest_at(packet: &[u8; PACKET], place: usize, key: &[u8]) -> [u8; DIGEST] {
    hmac(&[key], &[&packet[..place], &packet[place + DIGEST..]])
}

/// Puts the digest of the rest of `packet` into it.
pub fn sign(packet: &mut [u8; PACKET], layout: Layout, key: &[u8]) {
    let place = layout.place(packet);
    let digest = digest_at(packet, place, key);
    packet[place..place + DIGEST].copy_from_slice(&digest);
}

/// The layout and digest of a signed packet; `None` for one that is not signed.
pub fn find(packet: &[u8; PACKET], key: &[u8]) -> Option<(Layout, [u8; DIGEST])> {
    if packet[4..8] == [0; 4] {
        return None;
    }
    [Layout::First, Layout::Second].into_iter().find_map(|layout| {
        let place = layout.place(packet);
        let digest = digest_at(packet, place, key);
        (packet[place..place + DIGEST] == digest).then_some((layout, digest))
    })
}

/// The second packet: random bytes that end with their digest, its key made from the peer's digest.
pub fn reply(mut packet: [u8; PACKET], theirs: &[u8; DIGEST], key: [&[u8]; 2]) -> [u8; PACKET] {
    let (body, end) = packet.split_at_mut(PACKET - DIGEST);
    let own_key = hmac(&key, &[theirs]);
    end.copy_from_slice(&hmac(&[&own_key], &[body]));
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_lies_where_four_bytes_say() {
        let mut packet = [0; PACKET];
        assert_eq!((Layout::First.place(&packet), Layout::Second.place(&packet)), (12, 776));
        packet[8..12].fill(255);
        packet[772..776].copy_from_slice(&[255, 255, 217, 0]);
        // 4 · 255 = 1020 = 728 + 292; 255 + 255 + 217 = 727.
        assert_eq!((Layout::First.place(&packet), Layout::Second.place(&packet)), (12 + 292, 776 + 727));
    }

    #[test]
    fn a_signed_packet_is_found_in_either_layout_and_with_its_key_only() {
        for layout in [Layout::First, Layout::Second] {
            let mut packet = [7; PACKET];
            sign(&mut packet, layout, CLIENT_KEY);
            assert_eq!(find(&packet, CLIENT_KEY).map(|(layout, _)| layout), Some(layout));
            assert_eq!(find(&packet, SERVER_KEY), None);
            packet[1_535] ^= 1;
            assert_eq!(find(&packet, CLIENT_KEY), None);
        }
    }
}
