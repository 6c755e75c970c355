//! Captures of real peers, replayed whole and damaged: no panic, and memory within its bounds.

#![allow(clippy::unwrap_used, reason = "a test and its builders may panic")]

use std::time::Instant;

use proptest::prelude::*;
use tickcast_rtmp::{
    Client, ClientConfig, ClientEvent, Error, Limits, Role, RtmpUrl, Server, ServerConfig, ServerEvent,
    TagContent,
};

const PUBLISHER: &[u8] = include_bytes!("captures/ffmpeg_publishes.bin");
const PLAYER: &[u8] = include_bytes!("captures/ffmpeg_plays.bin");
const NGINX: &[u8] = include_bytes!("captures/nginx_sends.bin");

/// Tight, so that damage meets them.
const LIMITS: Limits = Limits {
    chunk_streams: 8,
    message_bytes: 32 << 10,
    buffered_bytes: 64 << 10,
    setup_bytes: 32 << 10,
    output_bytes: 64 << 10,
    events: 1_000,
    handshake_time: std::time::Duration::from_secs(10),
    setup_time: std::time::Duration::from_secs(20),
    idle_time: std::time::Duration::from_secs(30),
    refusals: 3,
};

/// Input and held messages each have their bound, output has its own; chunk streams take a little besides.
const MOST: usize = 3 * (64 << 10) + 4_096;

fn to_server(bytes: &[u8], cut: usize) -> (Vec<ServerEvent>, Result<(), Error>) {
    let now = Instant::now();
    let mut server = Server::new(ServerConfig { limits: LIMITS, ..ServerConfig::default() }, now);
    let mut events = Vec::new();
    for (at, piece) in bytes.chunks(cut).enumerate() {
        let result = server.handle_input(now, piece);
        assert!(server.buffered_bytes() <= MOST, "{}", server.buffered_bytes());
        if result.is_err() {
            return (events, result);
        }
        while let Some(event) = server.poll_event() {
            let asks =
                matches!(event, ServerEvent::PublishRequested { .. } | ServerEvent::PlayRequested { .. });
            events.push(event);
            if asks && let Err(error) = server.accept() {
                return (events, Err(error));
            }
        }
        // Sometimes nobody reads the answers for a while.
        if at % 3 == 0 {
            while server.poll_output().is_some() {}
        }
    }
    (events, Ok(()))
}

fn to_client(bytes: &[u8], cut: usize) -> (Vec<ClientEvent>, Result<(), Error>) {
    let now = Instant::now();
    let config = ClientConfig::new(RtmpUrl::parse("rtmp://host/live/key").unwrap(), Role::Play);
    let mut client = Client::new(ClientConfig { limits: LIMITS, ..config }, now);
    let mut events = Vec::new();
    for piece in bytes.chunks(cut) {
        let result = client.handle_input(now, piece);
        assert!(client.buffered_bytes() <= MOST, "{}", client.buffered_bytes());
        if result.is_err() {
            return (events, result);
        }
        events.extend(std::iter::from_fn(|| client.poll_event()));
        while client.poll_output().is_some() {}
    }
    (events, Ok(()))
}

#[test]
fn a_captured_publisher_arrives_however_its_bytes_are_cut() {
    let (whole, result) = to_server(PUBLISHER, 4_096);
    assert_eq!(result, Ok(()));
    let count = |content| {
        whole
            .iter()
            .filter(|event| matches!(event, ServerEvent::Media(tag) if tag.content == content))
            .count()
    };
    // 0.6 s at 10 fps, one key frame.
    assert_eq!((count(TagContent::KeyFrame), count(TagContent::InterFrame)), (1, 5));
    assert_eq!(whole.last(), Some(&ServerEvent::PublishEnded));
    for cut in [1, 7, 1_537, 65_536] {
        assert_eq!(to_server(PUBLISHER, cut), (whole.clone(), Ok(())), "{cut}");
    }
}

#[test]
fn a_captured_player_asks_for_its_stream() {
    let (events, result) = to_server(PLAYER, 1_000);
    assert_eq!(result, Ok(()));
    assert!(
        matches!(&events[..], [ServerEvent::PlayRequested { app, key }, ..] if app == "live" && key.expose() == "key"),
        "{events:?}"
    );
}

#[test]
fn a_captured_server_is_understood_however_its_bytes_are_cut() {
    let (whole, result) = to_client(NGINX, 4_096);
    assert_eq!(result, Ok(()));
    assert_eq!(whole[0], ClientEvent::Started);
    assert!(
        whole
            .iter()
            .any(|event| matches!(event, ClientEvent::Media(tag) if tag.content == TagContent::KeyFrame))
    );
    for cut in [1, 13, 65_536] {
        assert_eq!(to_client(NGINX, cut).0, whole, "{cut}");
    }
}

#[derive(Clone, Debug)]
enum Damage {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Cut(prop::sample::Index, usize),
    Again(prop::sample::Index, usize),
}

fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let index = any::<prop::sample::Index>;
    let one = prop_oneof![
        4 => (index(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        1 => (index(), prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        1 => (index(), 1usize..200).prop_map(|(at, count)| Damage::Cut(at, count)),
        1 => (index(), 1usize..3_000).prop_map(|(at, count)| Damage::Again(at, count)),
    ];
    prop::collection::vec(one, 1..12)
}

/// Damages what follows the handshake, whose content hardly matters.
fn damaged(capture: &[u8], damage: &[Damage]) -> Vec<u8> {
    let mut bytes = capture.to_vec();
    let start = 1 + 2 * 1536;
    for one in damage {
        let at = |index: &prop::sample::Index| start + index.index(bytes.len() - start);
        match one {
            Damage::Set(index, byte) => {
                let at = at(index);
                bytes[at] = *byte;
            }
            Damage::Insert(index, more) => {
                let at = at(index);
                bytes.splice(at..at, more.iter().copied());
            }
            Damage::Cut(index, count) => {
                let at = at(index);
                let end = (at + count).min(bytes.len() - 1).max(at);
                bytes.drain(at..end);
            }
            Damage::Again(index, count) => {
                let at = at(index);
                let more = bytes[at..(at + count).min(bytes.len())].to_vec();
                bytes.splice(at..at, more);
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn damaged_bytes_cannot_break_a_server(damage in damage(), cut in 1usize..5_000) {
        let _ = to_server(&damaged(PUBLISHER, &damage), cut);
        let _ = to_server(&damaged(PLAYER, &damage), cut);
    }

    #[test]
    fn damaged_bytes_cannot_break_a_client(damage in damage(), cut in 1usize..5_000) {
        let _ = to_client(&damaged(NGINX, &damage), cut);
    }

    #[test]
    fn any_bytes_after_a_handshake_cannot_break_either(
        bytes in prop::collection::vec(any::<u8>(), 0..3_000),
        cut in 1usize..500,
    ) {
        let _ = to_server(&[&PUBLISHER[..3_073], &bytes].concat(), cut);
        let _ = to_client(&[&NGINX[..3_073], &bytes].concat(), cut);
    }
}
