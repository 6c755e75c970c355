//! The handshake of both roles, on bytes as RTMP 1.0 §5.2 lays them out.

#![allow(clippy::unwrap_used, reason = "a test and its builders may panic")]

use tickcast_rtmp::handshake::{Handshake, HandshakeError, Opening, PACKET};

/// C0 and C1 as FFmpeg 5.1 sends them, with a digest, then its C2.
const FFMPEG: &[u8] = include_bytes!("captures/ffmpeg_publishes.bin");

#[test]
fn a_server_answers_a_simple_client_with_its_own_packet_and_an_echo() {
    let mut server = Handshake::server(1);
    let mut hello = vec![3, 0, 0, 0, 9, 0, 0, 0, 0];
    hello.extend((0..1528).map(|at| at as u8));
    let mut out = Vec::new();
    assert_eq!(server.read(&mut &hello[..], &mut out), Ok(false));
    assert_eq!(out.len(), 1 + 2 * PACKET);
    assert_eq!(out[0], 3);
    // S1: time, then four zeros (§5.2.3); S2 echoes C1 (§5.2.4).
    assert_eq!(out[5..9], [0; 4]);
    assert_eq!(out[1 + PACKET..], hello[1..]);
    let mut rest = &[[0; PACKET].as_slice(), &[1, 2, 3]].concat()[..];
    assert_eq!(server.read(&mut rest, &mut out), Ok(true));
    assert_eq!(rest, [1, 2, 3], "what follows is left");
}

#[test]
fn a_simple_client_echoes_the_server() {
    let (mut client, hello) = Handshake::client(Opening::Simple, 1);
    assert_eq!((hello.len(), hello[0]), (1 + PACKET, 3));
    assert_eq!(hello[5..9], [0; 4]);
    let answer: Vec<u8> = [3].into_iter().chain((0..2 * PACKET).map(|at| (at % 253) as u8)).collect();
    let mut out = Vec::new();
    assert_eq!(client.read(&mut &answer[..], &mut out), Ok(true));
    assert_eq!(out, answer[1..=PACKET]);
}

#[test]
fn a_handshake_may_come_byte_by_byte() {
    let (mut client, hello) = Handshake::client(Opening::Digest, 1);
    let mut server = Handshake::server(2);
    let (mut from_server, mut from_client) = (Vec::new(), Vec::new());
    for byte in &hello {
        assert_eq!(server.read(&mut &[*byte][..], &mut from_server), Ok(false));
    }
    let done = from_server.iter().filter(|&&byte| client.read(&mut &[byte][..], &mut from_client).unwrap());
    assert_eq!(done.count(), 1, "at the last byte");
    let done = from_client.iter().filter(|&&byte| server.read(&mut &[byte][..], &mut from_server).unwrap());
    assert_eq!(done.count(), 1, "at the last byte");
}

#[test]
fn a_client_with_a_digest_is_answered_with_one() {
    // FFmpeg signs its C1, and gives up on a server whose digests are wrong: the tests against it need this.
    let mut out = Vec::new();
    Handshake::server(1).read(&mut &FFMPEG[..=PACKET], &mut out).unwrap();
    assert_ne!(out[5..9], [0; 4], "a version says that there is a digest");
    assert_ne!(out[1 + PACKET..], FFMPEG[1..=PACKET], "and S2 is no echo");
}

#[test]
fn a_damaged_digest_is_answered_as_a_simple_client() {
    let mut hello = FFMPEG[..=PACKET].to_vec();
    hello[1_000] ^= 1;
    let mut out = Vec::new();
    Handshake::server(1).read(&mut &hello[..], &mut out).unwrap();
    assert_eq!(out[1 + PACKET..], hello[1..]);
}

#[test]
fn a_client_whose_digest_a_server_does_not_know_echoes() {
    let (mut client, _) = Handshake::client(Opening::Digest, 1);
    let answer = [&[3][..], &[5; 2 * PACKET]].concat();
    let mut out = Vec::new();
    assert_eq!(client.read(&mut &answer[..], &mut out), Ok(true));
    assert_eq!(out, [5; PACKET]);
}

#[test]
fn other_versions_are_refused_at_once() {
    for version in [0, 2, 6, b'G'] {
        let mut out = Vec::new();
        let refused = Err(HandshakeError::Version(version));
        assert_eq!(Handshake::server(1).read(&mut &[version][..], &mut out), refused);
        let (mut client, _) = Handshake::client(Opening::Simple, 1);
        assert_eq!(client.read(&mut &[version][..], &mut out), refused);
        assert!(out.is_empty());
    }
}

#[test]
fn two_connections_have_different_random_bytes() {
    let hello = |seed| Handshake::client(Opening::Simple, seed).1;
    assert_ne!(hello(1), hello(2));
}
