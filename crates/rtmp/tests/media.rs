//! Media bodies, aggregates, metadata and addresses.
#![allow(clippy::unwrap_used, reason = "a test and its builders may panic")]

use bytes::Bytes;
use tickcast_rtmp::amf::{Value, encode_amf0};
use tickcast_rtmp::chunk::RawMessage;
use tickcast_rtmp::message::aggregate::Parts;
use tickcast_rtmp::message::{Message, MessageError, type_id};
use tickcast_rtmp::tag::{Coding, TagError, read};
use tickcast_rtmp::{Metadata, RtmpUrl, Scheme, TagContent, UrlError};

fn video(body: &[u8]) -> Result<Option<(TagContent, Bytes)>, TagError> {
    read(type_id::VIDEO, &Bytes::copy_from_slice(body))
}

fn audio(body: &[u8]) -> Result<Option<(TagContent, Bytes)>, TagError> {
    read(type_id::AUDIO, &Bytes::copy_from_slice(body))
}

fn script(values: &[Value]) -> Bytes {
    let mut body = Vec::new();
    values.iter().for_each(|value| encode_amf0(&mut body, value));
    body.into()
}

fn found(content: TagContent, body: &[u8]) -> Result<Option<(TagContent, Bytes)>, TagError> {
    Ok(Some((content, Bytes::copy_from_slice(body))))
}

#[test]
fn h264_bodies_are_recognised_and_left_as_they_are() {
    // FLV 10.1 E.4.3: frame type 1 key or 2 inter, codec 7; AVCPacketType 0 header, 1 picture, 2 end.
    let cases: [(&[u8], TagContent); 4] = [
        (&[0x17, 0, 0, 0, 0, 1, 0x42], TagContent::VideoHeader),
        (&[0x17, 1, 0, 0, 0, 9], TagContent::KeyFrame),
        (&[0x27, 1, 0, 0, 40, 9], TagContent::InterFrame),
        (&[0x17, 2, 0, 0, 0], TagContent::VideoEnd),
    ];
    for (body, content) in cases {
        assert_eq!(video(body), found(content, body));
    }
}

#[test]
fn aac_bodies_are_recognised_and_left_as_they_are() {
    assert_eq!(audio(&[0xaf, 0, 0x11, 0x90]), found(TagContent::AudioHeader, &[0xaf, 0, 0x11, 0x90]));
    assert_eq!(audio(&[0xaf, 1, 0x21]), found(TagContent::AudioFrame, &[0xaf, 1, 0x21]));
}

#[test]
fn empty_bodies_and_command_frames_are_passed_over() {
    assert_eq!(video(&[]), Ok(None));
    assert_eq!(audio(&[]), Ok(None));
    assert_eq!(video(&[0x57, 0]), Ok(None));
}

#[test]
fn other_codecs_are_refused_by_name() {
    // 2 is Sorenson H.263, 12 what some call HEVC; sound 2 is MP3.
    assert_eq!(video(&[0x22, 0]), Err(TagError::Unsupported(Coding::Video(2))));
    assert_eq!(video(&[0x1c, 0, 0, 0, 0]), Err(TagError::Unsupported(Coding::Video(12))));
    assert_eq!(audio(&[0x2f, 0]), Err(TagError::Unsupported(Coding::Audio(2))));
    let hevc = video(b"\x90hvc1").unwrap_err();
    assert_eq!(hevc.to_string(), "codec hvc1 is not taken here: send H.264 video and AAC or Opus sound");
    assert_eq!(audio(b"\x90fLaC").unwrap_err(), TagError::Unsupported(Coding::FourCc(*b"fLaC")));
}

#[test]
fn a_body_cut_short_is_refused() {
    assert_eq!(video(&[0x17, 1, 0, 0]), Err(TagError::Short));
    assert_eq!(audio(&[0xaf]), Err(TagError::Short));
    assert_eq!(video(b"\x90avc"), Err(TagError::Short));
}

#[test]
fn enhanced_avc1_becomes_the_older_form() {
    // Enhanced RTMP: 0x80 | frame type << 4 | packet type, FourCC; CodedFrames has a composition time.
    assert_eq!(video(b"\x90avc1\x01\x42"), found(TagContent::VideoHeader, &[0x17, 0, 0, 0, 0, 1, 0x42]));
    assert_eq!(video(b"\x91avc1\0\0\x28\x09"), found(TagContent::KeyFrame, &[0x17, 1, 0, 0, 0x28, 9]));
    assert_eq!(video(b"\xa3avc1\x09"), found(TagContent::InterFrame, &[0x27, 1, 0, 0, 0, 9]));
    assert_eq!(video(b"\x92avc1"), found(TagContent::VideoEnd, &[0x17, 2, 0, 0, 0]));
    assert_eq!(video(b"\xd4avc1abc"), Ok(None));
}

#[test]
fn enhanced_mp4a_becomes_the_older_form() {
    assert_eq!(audio(b"\x90mp4a\x11\x90"), found(TagContent::AudioHeader, &[0xaf, 0, 0x11, 0x90]));
    assert_eq!(audio(b"\x91mp4a\x21"), found(TagContent::AudioFrame, &[0xaf, 1, 0x21]));
    assert_eq!(audio(b"\x94mp4a\x00\x02"), Ok(None));
}

#[test]
fn opus_has_no_older_form_and_keeps_its_own_without_extensions() {
    assert_eq!(audio(b"\x90OpusOpusHead"), found(TagContent::AudioHeader, b"\x90OpusOpusHead"));
    assert_eq!(audio(b"\x91Opus\xfc\x01"), found(TagContent::AudioFrame, b"\x91Opus\xfc\x01"));
    // A nanosecond offset (ModEx, three bytes) in front; then one of several tracks.
    assert_eq!(audio(b"\x97\x02\0\0\x09\x01Opus\xfc"), found(TagContent::AudioFrame, b"\x91Opus\xfc"));
    assert_eq!(audio(b"\x95\x01Opus\0\xfc"), found(TagContent::AudioFrame, b"\x91Opus\xfc"));
}

#[test]
fn of_several_tracks_the_main_one_is_taken() {
    // One track: multitrack 6, layout 0 | coded frames x 3, FourCC, track id.
    assert_eq!(video(b"\x96\x03avc1\0\x09"), found(TagContent::KeyFrame, &[0x17, 1, 0, 0, 0, 9]));
    assert_eq!(video(b"\x96\x03avc1\x01\x09"), Ok(None));
    // Many tracks of one codec, each with its size; then many with a codec each.
    let many = b"\x96\x13avc1\x01\0\0\x02\xaa\xbb\0\0\0\x01\x09";
    assert_eq!(video(many), found(TagContent::KeyFrame, &[0x17, 1, 0, 0, 0, 9]));
    let codecs = b"\x96\x23hvc1\x01\0\0\x02\xaa\xbbavc1\0\0\0\x01\x09";
    assert_eq!(video(codecs), found(TagContent::KeyFrame, &[0x17, 1, 0, 0, 0, 9]));
    assert_eq!(audio(b"\x95\x01mp4a\0\x21"), found(TagContent::AudioFrame, &[0xaf, 1, 0x21]));
    assert_eq!(video(b"\x96\x13avc1\x01\0\0\x09\xaa"), Err(TagError::Short));
}

#[test]
fn a_packet_behind_an_extension_is_read() {
    // ModEx 7: size − 1 = 2, three bytes, extension type 0 | packet type 3.
    assert_eq!(
        video(b"\x97\x02\x01\x02\x03\x03avc1\x09"),
        found(TagContent::KeyFrame, &[0x17, 1, 0, 0, 0, 9])
    );
    // Size byte 255: then a size of 16 bits, here 256.
    let long = [&b"\x97\xff\0\xff"[..], &[0; 256], b"\x03avc1\x09"].concat();
    assert_eq!(video(&long), found(TagContent::KeyFrame, &[0x17, 1, 0, 0, 0, 9]));
}

#[test]
fn metadata_loses_the_word_in_front_and_says_what_it_said() {
    let metadata = Metadata {
        width: Some(1280.0),
        height: Some(720.0),
        frame_rate: Some(30.0),
        video_kbps: Some(4000.0),
        audio_kbps: Some(128.0),
        sample_rate: Some(48_000.0),
        stereo: Some(true),
        encoder: Some("Tickcast".to_owned()),
    };
    let body = metadata.to_body();
    let published = [&script(&["@setDataFrame".into()])[..], &body].concat();
    assert_eq!(read(type_id::DATA_AMF0, &published.into()), found(TagContent::Metadata, &body));
    assert_eq!(read(type_id::DATA_AMF0, &body), found(TagContent::Metadata, &body));
    assert_eq!(Metadata::parse(&body), Some(metadata));
}

#[test]
fn other_script_tags_pass_and_what_is_not_amf_is_passed_over() {
    let cue = script(&["onCuePoint".into(), Value::Null]);
    assert_eq!(read(type_id::DATA_AMF0, &cue), found(TagContent::Script, &cue));
    assert_eq!(read(type_id::DATA_AMF0, &Bytes::from_static(&[0x55, 1])), Ok(None));
    assert_eq!(read(type_id::DATA_AMF0, &script(&["@setDataFrame".into()])), Ok(None));
}

fn aggregate(timestamp: u32, payload: Vec<u8>) -> Parts {
    let payload = payload.into();
    Parts::new(RawMessage { csid: 4, timestamp, type_id: type_id::AGGREGATE, stream_id: 1, payload })
}

/// FLV tag header, body, back pointer.
fn part(kind: u8, time: u32, body: &[u8]) -> Vec<u8> {
    let [high, a, b, c] = time.to_be_bytes();
    let size = body.len() as u8;
    let back = 11 + size;
    [&[kind, 0, 0, size, a, b, c, high, 0, 0, 0][..], body, &[0, 0, 0, back]].concat()
}

#[test]
fn an_aggregates_parts_are_shifted_to_its_own_time() {
    // §7.1.6: the first part's time is moved to the aggregate's, the others by as much.
    let payload = [part(8, 5_000, &[1]), part(9, 5_020, &[2, 3])].concat();
    let parts: Vec<_> = aggregate(1_000, payload).map(Result::unwrap).collect();
    let seen: Vec<_> = parts.iter().map(|part| (part.type_id, part.timestamp, &part.payload[..])).collect();
    assert_eq!(seen, [(8, 1_000, &[1][..]), (9, 1_020, &[2, 3])]);
    assert!(parts.iter().all(|part| part.stream_id == 1));
}

#[test]
fn an_aggregates_time_has_its_high_byte_last() {
    let payload = [part(8, 0x00ff_fff0, &[1]), part(8, 0x0100_0007, &[2])].concat();
    let times: Vec<_> = aggregate(0x0200_0000, payload).map(|part| part.unwrap().timestamp).collect();
    assert_eq!(times, [0x0200_0000, 0x0200_0017]);
}

#[test]
fn an_aggregates_last_back_pointer_may_be_missing() {
    let mut payload = part(8, 0, &[1]);
    payload.truncate(payload.len() - 4);
    assert_eq!(aggregate(0, payload).count(), 1);
}

#[test]
fn a_broken_aggregate_is_refused_once() {
    let mut payload = [part(8, 0, &[1]), part(9, 0, &[2, 3])].concat();
    payload.truncate(payload.len() - 5);
    let parts: Vec<_> = aggregate(0, payload).collect();
    assert_eq!(parts.len(), 2);
    assert_eq!(parts[1], Err(MessageError::BrokenAggregate));
    // One in another would multiply.
    assert_eq!(aggregate(0, part(22, 0, &[1])).next(), Some(Err(MessageError::BrokenAggregate)));
}

#[test]
fn commands_are_read_in_both_encodings() {
    let body = script(&["publish".into(), 5.0.into(), Value::Null, "key".into()]);
    let raw = |type_id, payload| RawMessage { csid: 3, timestamp: 0, type_id, stream_id: 1, payload };
    let first = Message::parse(&raw(type_id::COMMAND_AMF0, body.clone())).unwrap();
    let prefixed: Bytes = [&[0][..], &body].concat().into();
    assert_eq!(Message::parse(&raw(type_id::COMMAND_AMF3, prefixed)).unwrap(), first);
    // The same with its key in AMF3: marker 17, string 6, length 3.
    let body = [&[0][..], &script(&["publish".into(), 5.0.into(), Value::Null]), b"\x11\x06\x07key"].concat();
    assert_eq!(Message::parse(&raw(type_id::COMMAND_AMF3, body.into())).unwrap(), first);
    let Message::Command(command) = first else { panic!("a command") };
    assert_eq!((command.name.as_str(), command.transaction), ("publish", 5.0));
    assert_eq!(command.arguments, ["key".into()]);
}

#[test]
fn an_address_is_split_at_its_last_slash() {
    let cases = [
        ("rtmp://host/live/key", "host", 1935, "live", "key"),
        ("rtmp://host:1936/live/key?a=b/c", "host", 1936, "live", "key?a=b/c"),
        ("rtmp://host/app/instance/key", "host", 1935, "app/instance", "key"),
        ("rtmp://[2001:db8::1]:99/live/key", "2001:db8::1", 99, "live", "key"),
        ("rtmp://[::1]/live/key", "::1", 1935, "live", "key"),
        ("rtmp://host/live?vhost=x/key", "host", 1935, "live?vhost=x", "key"),
        ("RTMPS://host/live/key", "host", 443, "live", "key"),
    ];
    for (address, host, port, app, key) in cases {
        let url = RtmpUrl::parse(address).unwrap();
        assert_eq!(
            (url.host(), url.port(), url.app(), url.key().expose()),
            (host, port, app, key),
            "{address}"
        );
    }
    assert_eq!(RtmpUrl::parse("rtmps://h/a/k").unwrap().scheme(), Scheme::Rtmps);
}

#[test]
fn tc_url_is_the_address_without_the_key() {
    let tc_url = |address| RtmpUrl::parse(address).unwrap().tc_url();
    assert_eq!(tc_url("rtmp://host:1935/live/key"), "rtmp://host/live");
    assert_eq!(tc_url("rtmps://[::1]:444/a/b/key"), "rtmps://[::1]:444/a/b");
}

#[test]
fn server_and_key_may_come_apart() {
    let url = RtmpUrl::with_key("rtmps://live.example/app/", "a/b?c=d").unwrap();
    assert_eq!((url.app(), url.key().expose()), ("app", "a/b?c=d"));
    assert_eq!((url.key().expose_name(), url.key().expose_parameter("c")), ("a/b", Some("d")));
}

#[test]
fn bad_addresses_are_refused_each_for_its_reason() {
    let cases = [
        ("http://host/live/key", UrlError::Scheme),
        ("host/live/key", UrlError::Scheme),
        ("rtmp:///live/key", UrlError::NoHost),
        ("rtmp://user:secret@host/live/key", UrlError::UserInfo),
        ("rtmp://host:0/live/key", UrlError::BadPort),
        ("rtmp://host:65536/live/key", UrlError::BadPort),
        ("rtmp://::1/live/key", UrlError::BadHost),
        ("rtmp://[::1/live/key", UrlError::BadHost),
        ("rtmp://[host]/live/key", UrlError::BadHost),
        ("rtmp://ho%20st/live/key", UrlError::BadHost),
        ("rtmp://host/live", UrlError::NoKey),
        ("rtmp://host/live/", UrlError::NoKey),
        ("rtmp://host", UrlError::NoApp),
        ("rtmp://host/live/k\r\ney", UrlError::BadCharacter),
    ];
    for (address, error) in cases {
        assert_eq!(RtmpUrl::parse(address), Err(error), "{address}");
    }
    assert_eq!(RtmpUrl::parse(&format!("rtmp://h/a/{}", "k".repeat(5_000))), Err(UrlError::TooLong));
}

#[test]
fn no_form_of_an_address_shows_its_key() {
    let url = RtmpUrl::parse("rtmp://host/live?auth=s3cret/k3y").unwrap();
    let shown = format!("{url} {url:?} {:?}", url.key());
    assert!(!shown.contains("k3y") && !shown.contains("s3cret"), "{shown}");
    assert_eq!(url.to_string(), "rtmp://host/live/…");
}
