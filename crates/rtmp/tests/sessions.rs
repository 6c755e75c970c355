//! Sessions in memory and in virtual time: our client with our server, and a server with odd peers.
#![allow(clippy::unwrap_used, reason = "a test and its builders may panic")]

#[path = "sessions/pair.rs"]
mod pair;

use std::time::Duration;

use pair::{Pair, Peer, config, drain, key_frame, sound, tag};
use tickcast_rtmp::amf::Value;
use tickcast_rtmp::chunk::{self, ChunkError, RawMessage};
use tickcast_rtmp::error::Status;
use tickcast_rtmp::handshake::{HandshakeError, Opening};
use tickcast_rtmp::message::{self, BandwidthLimit, Command, Message, UserControl, type_id};
use tickcast_rtmp::{
    ClientConfig, ClientEvent, Error, Limits, Metadata, PlayerFormat, Refusal, Role, RtmpUrl, Server,
    ServerConfig, ServerEvent, SharedTag, StreamKey, Tag, TagContent,
};

const SECOND: Duration = Duration::from_secs(1);

fn media(events: Vec<ServerEvent>) -> Vec<Tag> {
    events
        .into_iter()
        .filter_map(|event| match event {
            ServerEvent::Media(tag) => Some(tag),
            _ => None,
        })
        .collect()
}

fn names(commands: &[(String, f64, String)]) -> Vec<(&str, &str)> {
    commands.iter().map(|(name, _, code)| (name.as_str(), code.as_str())).collect()
}

#[test]
fn a_client_publishes_to_a_server_with_either_handshake() {
    for opening in [Opening::Simple, Opening::Digest] {
        let config = ClientConfig { opening, ..config(Role::Publish) };
        let mut pair = Pair::new(config, ServerConfig { seed: 7, ..ServerConfig::default() });
        pair.settle().unwrap();
        let request =
            ServerEvent::PublishRequested { app: "live".to_owned(), key: StreamKey::new("key?token=1") };
        assert_eq!(pair.server_events(), [request]);
        pair.server.accept().unwrap();
        pair.settle().unwrap();
        assert_eq!(pair.client_events(), [ClientEvent::Started]);
        let metadata = Metadata { width: Some(1280.0), ..Metadata::default() };
        let tags = [
            tag(TagContent::Metadata, 0, &metadata.to_body()),
            tag(TagContent::VideoHeader, 0, &[0x17, 0, 0, 0, 0, 1]),
            tag(TagContent::KeyFrame, 5, &[&[0x17, 1, 0, 0, 0][..], &[9; 10_000]].concat()),
            sound(6),
        ];
        tags.iter().for_each(|tag| pair.client.send(tag).unwrap());
        pair.client.finish().unwrap();
        pair.settle().unwrap();
        let mut events = pair.server_events();
        assert_eq!(events.pop(), Some(ServerEvent::PublishEnded));
        assert_eq!(media(events), tags);
    }
}

#[test]
fn a_client_plays_what_a_server_sends() {
    let mut pair = Pair::accepted(Role::Play);
    let tags = [tag(TagContent::AudioHeader, 0, &[0xaf, 0, 0x11, 0x90]), key_frame(100), sound(104)];
    for tag in &tags {
        pair.server.send(&mut SharedTag::new(tag.clone())).unwrap();
    }
    pair.server.end_play(pair.now).unwrap();
    pair.settle().unwrap();
    let events = pair.client_events();
    assert_eq!(events[..3], tags.map(ClientEvent::Media));
    assert!(
        matches!(&events[3..], [ClientEvent::Ended(status)] if status.code == "NetStream.Play.UnpublishNotify")
    );
}

#[test]
fn times_go_on_from_client_to_server_across_every_wrap() {
    let mut pair = Pair::accepted(Role::Publish);
    // 0xffffff, 2^31 and 2^32, and steps that get from one to the next.
    let around = |middle: i64| (-40..=40).step_by(20).map(move |step| middle + step);
    let far = (1..8).map(|step| step * (1 << 29));
    let mut times: Vec<_> = [0xff_ffff, 1 << 31, 1 << 32].into_iter().flat_map(around).chain(far).collect();
    times.sort_unstable();
    times.dedup();
    for &time in &times {
        pair.client.send(&key_frame(time)).unwrap();
        pair.settle().unwrap();
    }
    let seen: Vec<_> = media(pair.server_events()).iter().map(|tag| tag.timestamp.ticks()).collect();
    assert_eq!(seen, times);
}

#[test]
fn a_refused_publisher_learns_why() {
    let mut pair = Pair::new(config(Role::Publish), ServerConfig::default());
    pair.settle().unwrap();
    pair.server.refuse(pair.now, &Refusal::new("NetStream.Publish.BadName", "The key is in use")).unwrap();
    let status =
        Status { code: "NetStream.Publish.BadName".to_owned(), description: "The key is in use".to_owned() };
    assert_eq!(pair.settle(), Err(Error::PublishRefused(status)));
    let words = "the server refused to publish: NetStream.Publish.BadName (The key is in use)";
    assert_eq!(pair.client.handle_input(pair.now, &[0]), Err(Error::Closed));
    assert_eq!(
        Error::PublishRefused(Status {
            code: "NetStream.Publish.BadName".into(),
            description: "The key is in use".into()
        })
        .to_string(),
        words
    );
}

#[test]
fn a_refused_player_learns_why() {
    let mut pair = Pair::new(config(Role::Play), ServerConfig::default());
    pair.settle().unwrap();
    pair.server.refuse(pair.now, &Refusal::new("NetStream.Play.StreamNotFound", "No such stream")).unwrap();
    assert!(
        matches!(pair.settle(), Err(Error::PlayRefused(status)) if status.description == "No such stream")
    );
}

#[test]
fn a_publisher_may_be_ended_by_the_server() {
    let mut pair = Pair::accepted(Role::Publish);
    pair.server.refuse(pair.now, &Refusal::new("NetStream.Publish.Rejected", "Ended by the owner")).unwrap();
    assert!(matches!(pair.settle(), Err(Error::PublishRefused(_))));
}

#[test]
fn nothing_is_sent_before_the_server_took_the_stream() {
    let mut pair = Pair::new(config(Role::Publish), ServerConfig::default());
    pair.settle().unwrap();
    assert!(matches!(pair.client.send(&sound(0)), Err(Error::WrongState(_))));
    assert!(matches!(pair.server.send(&mut SharedTag::new(sound(0))), Err(Error::WrongState(_))));
    assert!(matches!(Pair::accepted(Role::Play).client.send(&sound(0)), Err(Error::WrongState(_))));
}

#[test]
fn a_full_output_refuses_a_tag_and_goes_on() {
    let limits = Limits { output_bytes: 20_000, ..Limits::default() };
    let mut pair = Pair::new(config(Role::Play), ServerConfig { limits, ..ServerConfig::default() });
    pair.settle().unwrap();
    pair.server.accept().unwrap();
    pair.settle().unwrap();
    let long = tag(TagContent::KeyFrame, 1, &[&[0x17, 1, 0, 0, 0][..], &[9; 12_000]].concat());
    let mut shared = SharedTag::new(long.clone());
    pair.server.send(&mut shared).unwrap();
    assert_eq!(pair.server.send(&mut shared), Err(Error::OutputFull { limit: 20_000 }));
    pair.server.send(&mut SharedTag::new(sound(2))).unwrap();
    pair.settle().unwrap();
    let expected = [ClientEvent::Started, ClientEvent::Media(long), ClientEvent::Media(sound(2))];
    assert_eq!(pair.client_events(), expected);
}

#[test]
fn players_of_one_format_share_the_same_bytes() {
    let mut shared = SharedTag::new(key_frame(17_000_000));
    let format = PlayerFormat { stream_id: 1, chunk_size: 65_536 };
    let (first, second) = (shared.chunks(format), shared.chunks(format));
    assert_eq!(first.as_ptr(), second.as_ptr());
    // Little-endian message stream id at 8..12, behind basic header, marker, length and type.
    let other = shared.chunks(PlayerFormat { stream_id: 2, ..format });
    assert_eq!((&first[8..12], &other[8..12]), (&[1, 0, 0, 0][..], &[2, 0, 0, 0][..]));
    assert_eq!((&first[..8], &first[12..]), (&other[..8], &other[12..]));
}

#[test]
fn a_player_may_join_at_any_tag() {
    let mut shared: Vec<_> = (0..4).map(|at| SharedTag::new(key_frame(20_000_000 + at * 33))).collect();
    for first in 0..4 {
        let mut pair = Pair::accepted(Role::Play);
        for tag in &mut shared[first..] {
            pair.server.send(tag).unwrap();
        }
        pair.settle().unwrap();
        let expected: Vec<_> =
            shared[first..].iter().map(|tag| ClientEvent::Media(tag.tag().clone())).collect();
        assert_eq!(pair.client_events(), expected);
    }
}

#[test]
fn every_command_of_encoders_is_answered() {
    let mut peer = Peer::new(ServerConfig::default());
    let object = Value::object([
        ("app", "live".into()),
        ("objectEncoding", 3.0.into()),
        ("fourCcList", Value::StrictArray(vec!["*".into()])),
    ]);
    peer.command(0, Command::new("connect", 1.0, object, vec![])).unwrap();
    let heard = peer.heard();
    assert!(heard.contains(&Message::SetPeerBandwidth(256 << 20, BandwidthLimit::Dynamic)), "{heard:?}");
    let Some(Message::Command(connected)) = heard.last() else { panic!("{heard:?}") };
    assert_eq!((connected.name.as_str(), connected.transaction), ("_result", 1.0));
    let said = |name: &str| connected.arguments[0].get(name).cloned();
    assert_eq!(said("code"), Some("NetConnection.Connect.Success".into()));
    assert_eq!(said("objectEncoding"), Some(3.0.into()));
    assert_eq!(said("fourCcList"), Some(Value::StrictArray(vec!["avc1".into(), "mp4a".into()])));
    for (name, transaction) in
        [("releaseStream", 2.0), ("_checkbw", 3.0), ("getStreamLength", 4.0), ("createStream", 5.0)]
    {
        peer.call(0, name, transaction, vec!["key".into()]).unwrap();
        let heard = peer.heard_commands();
        assert_eq!(heard, [("_result".to_owned(), transaction, String::new())], "{name}");
    }
    peer.call(0, "FCPublish", 6.0, vec!["key".into()]).unwrap();
    assert_eq!(names(&peer.heard_commands()), [("onFCPublish", "NetStream.Publish.Start"), ("_result", "")]);
    peer.call(0, "whatIsThis", 7.0, vec![]).unwrap();
    assert_eq!(names(&peer.heard_commands()), [("_error", "NetConnection.Call.Failed")]);
    peer.call(0, "whatIsThis", 0.0, vec![]).unwrap();
    assert_eq!(peer.heard(), []);
}

#[test]
fn streams_are_numbered_from_1() {
    let mut peer = Peer::connected();
    peer.call(0, "createStream", 3.0, vec![]).unwrap();
    let heard = peer.heard();
    assert!(
        matches!(&heard[..], [Message::Command(result)] if result.arguments == [2.0.into()]),
        "{heard:?}"
    );
}

#[test]
fn each_way_to_end_a_stream_ends_it_once() {
    let ways: [(u32, &str, Vec<Value>); 3] = [
        (0, "deleteStream", vec![1.0.into()]),
        (1, "closeStream", vec![]),
        (0, "FCUnpublish", vec!["key".into()]),
    ];
    for (stream_id, name, arguments) in ways {
        let mut peer = Peer::publishing();
        peer.call(stream_id, name, 9.0, arguments.clone()).unwrap();
        peer.call(stream_id, name, 9.0, arguments).unwrap();
        assert_eq!(drain(|| peer.server.poll_event()), [ServerEvent::PublishEnded], "{name}");
        assert!(
            names(&peer.heard_commands()).contains(&("onStatus", "NetStream.Unpublish.Success")),
            "{name}"
        );
    }
}

#[test]
fn deleting_another_stream_ends_nothing() {
    let mut peer = Peer::publishing();
    peer.call(0, "deleteStream", 9.0, vec![7.0.into()]).unwrap();
    assert_eq!(peer.server.poll_event(), None);
}

#[test]
fn a_connection_may_publish_again_after_it_ended() {
    let mut peer = Peer::publishing();
    peer.call(0, "deleteStream", 9.0, vec![1.0.into()]).unwrap();
    peer.call(2, "publish", 0.0, vec!["other".into()]).unwrap();
    let events = drain(|| peer.server.poll_event());
    assert!(
        matches!(&events[..], [ServerEvent::PublishEnded, ServerEvent::PublishRequested { .. }]),
        "{events:?}"
    );
}

#[test]
fn a_second_stream_beside_the_first_is_refused() {
    let mut peer = Peer::publishing();
    peer.call(2, "publish", 0.0, vec!["other".into()]).unwrap();
    assert_eq!(names(&peer.heard_commands()), [("onStatus", "NetStream.Publish.BadName")]);
    assert_eq!(peer.server.poll_event(), None);
}

#[test]
fn publishing_before_connecting_is_refused() {
    let mut peer = Peer::new(ServerConfig::default());
    peer.call(1, "publish", 0.0, vec!["key".into()]).unwrap();
    assert_eq!(names(&peer.heard_commands()), [("onStatus", "NetStream.Publish.BadName")]);
    assert_eq!(peer.server.poll_event(), None);
}

#[test]
fn a_token_behind_the_application_goes_to_the_key() {
    let mut peer = Peer::new(ServerConfig::default());
    let object = Value::object([("app", "live/?token=5".into())]);
    peer.command(0, Command::new("connect", 1.0, object, vec![])).unwrap();
    peer.call(1, "publish", 0.0, vec!["key".into()]).unwrap();
    let request =
        ServerEvent::PublishRequested { app: "live".to_owned(), key: StreamKey::new("key?token=5") };
    assert_eq!(peer.server.poll_event(), Some(request.clone()));
    assert!(!format!("{request:?}").contains("token"));
}

#[test]
fn pausing_a_player_is_told_and_answered() {
    let mut peer = Peer::connected();
    peer.call(1, "play", 0.0, vec!["key".into()]).unwrap();
    assert!(matches!(peer.server.poll_event(), Some(ServerEvent::PlayRequested { .. })));
    peer.server.accept().unwrap();
    let heard = peer.heard();
    assert_eq!(heard[0], Message::UserControl(UserControl::StreamBegin(1)));
    peer.call(1, "pause", 0.0, vec![true.into(), 0.0.into()]).unwrap();
    peer.call(1, "pause", 0.0, vec![false.into(), 0.0.into()]).unwrap();
    assert_eq!(drain(|| peer.server.poll_event()), [ServerEvent::Paused(true), ServerEvent::Paused(false)]);
    let expected = [("onStatus", "NetStream.Pause.Notify"), ("onStatus", "NetStream.Unpause.Notify")];
    assert_eq!(names(&peer.heard_commands()), expected);
}

#[test]
fn what_comes_before_the_decision_is_kept_in_order() {
    let mut peer = Peer::connected();
    peer.call(1, "publish", 0.0, vec!["key".into()]).unwrap();
    let tags = [tag(TagContent::VideoHeader, 0, &[0x17, 0, 0, 0, 0, 1]), key_frame(0), sound(1)];
    tags.iter().for_each(|tag| peer.say(&tag.to_raw(1)).unwrap());
    assert_eq!(drain(|| peer.server.poll_event()).len(), 1, "the request alone");
    peer.server.accept().unwrap();
    assert_eq!(media(drain(|| peer.server.poll_event())), tags);
}

#[test]
fn what_comes_before_the_decision_is_bounded() {
    let limits = Limits { buffered_bytes: 50_000, ..Limits::default() };
    let mut peer = Peer::new(ServerConfig { limits, ..ServerConfig::default() });
    peer.command(0, Command::new("connect", 1.0, Value::Null, vec![])).unwrap();
    peer.call(1, "publish", 0.0, vec!["key".into()]).unwrap();
    let long = tag(TagContent::KeyFrame, 0, &[&[0x17, 1, 0, 0, 0][..], &[9; 20_000]].concat()).to_raw(1);
    peer.say(&long).unwrap();
    peer.say(&long).unwrap();
    assert!((40_000..50_000).contains(&(peer.server.buffered_bytes() - peer.server.output_bytes())));
    assert_eq!(peer.say(&long), Err(Error::TooMuchHeld { limit: 50_000 }));
    peer.heard();
    assert!(peer.server.buffered_bytes() < 5_000);
}

/// The front of a message of 1 MiB, `bytes` of it, in whole chunks of 128.
fn unfinished(csid: u32, bytes: usize) -> Vec<u8> {
    let raw = RawMessage { csid, timestamp: 0, type_id: 9, stream_id: 1, payload: vec![9; 1 << 20].into() };
    let mut wire = Vec::new();
    chunk::append(&mut wire, &raw, 128);
    // A header of 12 bytes, then one of 1 before each further chunk.
    wire.truncate(12 + bytes + (bytes - 1) / 128);
    wire
}

#[test]
fn unfinished_messages_of_whoever_has_no_key_take_64_kib_in_all() {
    let limit = 64 << 10;
    for asked in [false, true] {
        let mut peer = Peer::connected();
        if asked {
            // Whoever plays needs no key either.
            peer.call(1, "play", 0.0, vec!["key".into()]).unwrap();
            assert!(peer.server.poll_event().is_some());
            peer.server.accept().unwrap();
        }
        let mut said = Ok(());
        for csid in 10..60 {
            said = said.and_then(|()| peer.server.handle_input(peer.now, &unfinished(csid, 234 * 128)));
            assert!(peer.server.buffered_bytes() - peer.server.output_bytes() < limit + 30_000 + 5_000);
        }
        assert_eq!(said, Err(ChunkError::TooMuchBuffered { limit }.into()));
    }
}

#[test]
fn whoever_sends_on_without_waiting_for_the_grant_has_room_for_one_input_and_then_for_key_frames() {
    let mut peer = Peer::connected();
    let mut input = Vec::new();
    let publish = Command::new("publish", 0.0, Value::Null, vec!["key".into()]);
    chunk::append(&mut input, &publish.to_raw(1), chunk::DEFAULT_CHUNK_SIZE);
    let frame = key_frame(0);
    let frame = Tag { body: [&frame.body[..], &[9; 500_000]].concat().into(), ..frame };
    chunk::append(&mut input, &frame.to_raw(1), chunk::DEFAULT_CHUNK_SIZE);
    for (at, piece) in input.chunks(64 << 10).enumerate() {
        peer.server.handle_input(peer.now, piece).unwrap();
        if at == 0 {
            assert!(peer.server.poll_event().is_some());
            peer.server.accept().unwrap();
        }
    }
    assert_eq!(media(drain(|| peer.server.poll_event())), [frame]);
}

#[test]
fn events_that_nobody_polls_are_bounded() {
    let limits = Limits { events: 100, ..Limits::default() };
    let mut peer = Peer::new(ServerConfig { limits, ..ServerConfig::default() });
    peer.command(0, Command::new("connect", 1.0, Value::Null, vec![])).unwrap();
    peer.call(1, "publish", 0.0, vec!["key".into()]).unwrap();
    peer.server.poll_event();
    peer.server.accept().unwrap();
    for at in 0..100 {
        peer.say(&sound(at).to_raw(1)).unwrap();
    }
    assert_eq!(peer.say(&sound(100).to_raw(1)), Err(Error::EventsFull { limit: 100 }));
}

#[test]
fn answers_that_nobody_polls_are_bounded() {
    let limits = Limits { output_bytes: 30_000, ..Limits::default() };
    let mut peer = Peer::new(ServerConfig { limits, ..ServerConfig::default() });
    let ping = UserControl::PingRequest(1).to_raw();
    let error = (0..100_000).find_map(|_| peer.say(&ping).err());
    assert_eq!(error, Some(Error::OutputFull { limit: 30_000 }));
}

#[test]
fn a_ping_is_answered_with_its_own_time() {
    let mut peer = Peer::connected();
    peer.say(&UserControl::PingRequest(0xdead_beef).to_raw()).unwrap();
    assert_eq!(peer.heard(), [Message::UserControl(UserControl::PingResponse(0xdead_beef))]);
}

#[test]
fn input_is_acknowledged_each_window_that_the_peer_asks_for() {
    let mut peer = Peer::publishing();
    peer.say(&message::window_ack_size(1_000)).unwrap();
    // The handshake and the commands were more than a window: they are acknowledged at once.
    assert!(matches!(peer.heard()[..], [Message::Acknowledgement(_)]));
    let raw = tag(TagContent::AudioFrame, 0, &[&[0xaf, 1][..], &[1; 386]].concat()).to_raw(1);
    let mut acknowledged = Vec::new();
    for _ in 0..6 {
        // 12 of header, 388 of payload in four chunks, 3 headers of type 3: 403 bytes.
        peer.say(&raw).unwrap();
        acknowledged.extend(peer.heard().into_iter().map(|message| match message {
            Message::Acknowledgement(sequence) => sequence,
            other => panic!("{other:?}"),
        }));
    }
    assert_eq!(acknowledged.len(), 2);
    assert_eq!(acknowledged[1] - acknowledged[0], 3 * 403);
}

#[test]
fn a_publisher_that_asks_for_no_window_gets_none_of_its_megabytes_acknowledged() {
    // FFmpeg: an acknowledgement that it leaves unread costs the tail of its stream.
    let mut peer = Peer::publishing();
    let raw = tag(TagContent::KeyFrame, 0, &[&[0x17, 1, 0, 0, 0][..], &[9; 1 << 20]].concat()).to_raw(1);
    for _ in 0..20 {
        peer.say(&raw).unwrap();
        peer.server.poll_event();
    }
    assert_eq!(peer.heard(), []);
}

#[test]
fn an_aggregate_arrives_as_its_parts() {
    let mut peer = Peer::publishing();
    let part = |kind, time: u8, body: &[u8]| {
        let size = body.len() as u8;
        [&[kind, 0, 0, size, 0, 0, time, 0, 0, 0, 0][..], body, &[0, 0, 0, size + 11]].concat()
    };
    let payload = [part(9, 10, &key_frame(0).body), part(8, 15, &sound(0).body)].concat().into();
    let raw = RawMessage { csid: 6, timestamp: 500, type_id: type_id::AGGREGATE, stream_id: 1, payload };
    peer.say(&raw).unwrap();
    assert_eq!(media(drain(|| peer.server.poll_event())), [key_frame(500), sound(505)]);
}

#[test]
fn another_codec_is_refused_in_words_that_the_encoder_shows() {
    let mut peer = Peer::publishing();
    let mut raw = key_frame(0).to_raw(1);
    raw.payload = b"\x90hvc1\x01"[..].into();
    let error = peer.say(&raw).unwrap_err();
    assert_eq!(error.code(), "rtmp.codec");
    let heard = peer.heard();
    let Some(Message::Command(status)) = heard.last() else { panic!("{heard:?}") };
    let description = status.arguments[0].get("description").and_then(Value::as_text);
    assert_eq!(description, Some("codec hvc1 is not taken here: send H.264 video and AAC or Opus sound"));
    assert_eq!(peer.say(&raw), Err(Error::Closed));
}

#[test]
fn media_of_another_stream_or_before_publishing_is_ignored() {
    let mut peer = Peer::connected();
    peer.say(&sound(0).to_raw(1)).unwrap();
    assert_eq!(peer.server.poll_event(), None);
    let mut peer = Peer::publishing();
    peer.say(&sound(0).to_raw(2)).unwrap();
    assert_eq!(peer.server.poll_event(), None);
    peer.say(&sound(0).to_raw(0)).unwrap();
    assert!(peer.server.poll_event().is_some());
}

#[test]
fn a_slow_handshake_is_given_up_in_time() {
    let limits = Limits::default();
    let start = std::time::Instant::now();
    let mut server = Server::new(ServerConfig::default(), start);
    // One byte a second, as an attacker would to hold the connection for 25 minutes.
    let mut now = start;
    let ended = loop {
        now += SECOND;
        assert!(now < start + 1_000 * SECOND, "it is held for ever");
        if let Err(error) = server.handle_timeout(now) {
            break error;
        }
        server.handle_input(now, &[3]).unwrap();
        assert_eq!(server.poll_timeout(), start + limits.handshake_time);
    };
    assert_eq!((ended, now - start), (Error::HandshakeTimeout, limits.handshake_time));
    assert_eq!(server.handle_input(now, &[3]), Err(Error::Closed));
}

#[test]
fn a_peer_that_asks_for_nothing_is_given_up_however_much_it_says() {
    let mut peer = Peer::connected();
    let mut seconds = 0;
    let ended = loop {
        seconds += 1;
        assert!(seconds < 1_000, "it is held for ever");
        if let Err(error) = peer.wait(SECOND) {
            break error;
        }
        peer.say(&UserControl::PingRequest(0).to_raw()).unwrap();
        peer.heard();
    };
    assert_eq!((ended, SECOND * seconds), (Error::SetupTimeout, Limits::default().setup_time));
}

#[test]
fn a_peer_to_which_nothing_is_granted_is_given_up_however_much_it_says() {
    let mut peer = Peer::connected();
    let start = peer.now;
    peer.call(1, "publish", 0.0, vec!["wrong".into()]).unwrap();
    assert!(peer.server.poll_event().is_some());
    peer.server.refuse(peer.now, &no()).unwrap();
    let ended = loop {
        assert!(peer.now < start + 1_000 * SECOND, "it is held for ever");
        if let Err(error) = peer.wait(SECOND) {
            break error;
        }
        peer.say(&UserControl::PingRequest(0).to_raw()).unwrap();
        peer.heard();
    };
    assert_eq!((ended, peer.now - start), (Error::SetupTimeout, Limits::default().setup_time));
}

#[test]
fn a_peer_whose_use_ended_has_as_long_as_a_new_one_to_ask_again() {
    let setup = Limits::default().setup_time;
    let mut peer = Peer::publishing();
    for _ in 0..100 {
        peer.wait(SECOND).unwrap();
        peer.say(&sound(0).to_raw(1)).unwrap();
        assert!(peer.server.poll_event().is_some());
    }
    peer.command(0, Command::new("deleteStream", 0.0, Value::Null, vec![1.0.into()])).unwrap();
    assert_eq!(peer.server.poll_event(), Some(ServerEvent::PublishEnded));
    assert_eq!(peer.server.poll_timeout(), peer.now + setup);
    peer.wait(setup - SECOND).unwrap();
    assert_eq!(peer.wait(SECOND), Err(Error::SetupTimeout));
}

#[test]
fn a_peer_that_is_refused_too_often_is_told_so_each_time_and_then_given_up() {
    let mut peer = Peer::connected();
    let limit = Limits::default().refusals;
    for refused in 1..=limit {
        peer.call(1, "play", 0.0, vec!["guess".into()]).unwrap();
        assert!(peer.server.poll_event().is_some());
        let ended = peer.server.refuse(peer.now, &no());
        let expected = if refused < limit { Ok(()) } else { Err(Error::RefusedTooOften { limit }) };
        assert_eq!(ended, expected, "refusal {refused}");
        assert_eq!(names(&peer.heard_commands()), [("onStatus", "NetStream.Play.StreamNotFound")]);
    }
    // What makes no sense is refused without the node's word.
    let mut peer = Peer::connected();
    let nonsense = |peer: &mut Peer| peer.call(1, "publish", 0.0, vec![]);
    let asked: Vec<_> = (0..limit).map(|_| nonsense(&mut peer)).collect();
    assert!(asked[..asked.len() - 1].iter().all(Result::is_ok), "{asked:?}");
    assert_eq!(asked.last(), Some(&Err(Error::RefusedTooOften { limit })));
    // Nobody who publishes loses the stream by it.
    let mut peer = Peer::publishing();
    for _ in 0..2 * limit {
        peer.call(2, "publish", 0.0, vec!["other".into()]).unwrap();
    }
}

fn no() -> Refusal {
    Refusal::new("NetStream.Play.StreamNotFound", "There is no such stream")
}

#[test]
fn a_silent_peer_is_pinged_and_then_given_up() {
    let mut peer = Peer::publishing();
    let idle = Limits::default().idle_time;
    peer.wait(idle / 2 - SECOND).unwrap();
    assert_eq!(peer.heard(), []);
    peer.wait(SECOND).unwrap();
    assert!(matches!(peer.heard()[..], [Message::UserControl(UserControl::PingRequest(_))]));
    peer.wait(idle / 2 - SECOND).unwrap();
    assert_eq!(peer.heard(), []);
    assert_eq!(peer.wait(SECOND), Err(Error::IdleTimeout));
}

#[test]
fn a_player_that_answers_pings_stays() {
    let mut peer = Peer::publishing();
    for _ in 0..20 {
        let due = peer.server.poll_timeout();
        peer.now = due;
        peer.server.handle_timeout(due).unwrap();
        let heard = peer.heard();
        let [Message::UserControl(UserControl::PingRequest(time))] = heard[..] else { panic!("{heard:?}") };
        peer.say(&UserControl::PingResponse(time).to_raw()).unwrap();
    }
}

#[test]
fn another_protocol_is_refused_at_its_first_byte() {
    let now = std::time::Instant::now();
    let mut server = Server::new(ServerConfig::default(), now);
    let refused = Err(Error::Handshake(HandshakeError::Version(b'G')));
    assert_eq!(server.handle_input(now, b"GET / HTTP/1.1\r\n\r\n"), refused);
}

#[test]
fn a_client_gives_up_a_server_that_says_nothing() {
    let mut pair = Pair::new(config(Role::Publish), ServerConfig::default());
    let limits = Limits::default();
    assert_eq!(pair.client.poll_timeout(), pair.now + limits.handshake_time);
    assert_eq!(pair.client.handle_timeout(pair.now + limits.handshake_time), Err(Error::HandshakeTimeout));
    let mut pair = Pair::new(config(Role::Publish), ServerConfig::default());
    pair.settle().unwrap();
    // The server holds its decision.
    assert_eq!(pair.client.handle_timeout(pair.now + limits.setup_time), Err(Error::SetupTimeout));
}

#[test]
fn a_client_is_told_that_the_server_refuses_the_application() {
    let mut pair = Pair::new(config(Role::Publish), ServerConfig::default());
    let url = RtmpUrl::with_key(&format!("rtmp://host/{}", "a".repeat(2_000)), "key").unwrap();
    pair.client = tickcast_rtmp::Client::new(ClientConfig::new(url, Role::Publish), pair.now);
    let ended = pair.settle();
    assert!(
        matches!(&ended, Err(Error::ConnectRefused(status)) if status.code == "NetConnection.Connect.Rejected"),
        "{ended:?}"
    );
}

#[test]
fn a_player_starts_at_media_even_where_the_server_says_nothing() {
    let mut pair = Pair::new(config(Role::Play), ServerConfig::default());
    pair.settle().unwrap();
    let mut bytes = Vec::new();
    tickcast_rtmp::chunk::append(&mut bytes, &key_frame(9).to_raw(1), 65_536);
    pair.client.handle_input(pair.now, &bytes).unwrap();
    assert_eq!(pair.client_events(), [ClientEvent::Started, ClientEvent::Media(key_frame(9))]);
}

#[test]
fn headers_stamped_zero_do_not_move_the_clock_of_a_late_stream() {
    // FFmpeg stamps its headers 0, wherever the stream begins and whenever they come again.
    let mut peer = Peer::publishing();
    let header = tag(TagContent::VideoHeader, 0, &[0x17, 0, 0, 0, 0, 1]);
    let late = (1 << 31) - 2_000;
    for tag in [header.clone(), key_frame(late), header, key_frame(late + 33)] {
        peer.say(&tag.to_raw(1)).unwrap();
    }
    let seen: Vec<_> =
        media(drain(|| peer.server.poll_event())).iter().map(|tag| tag.timestamp.ticks()).collect();
    assert_eq!(seen, [0, late, late, late + 33]);
}
