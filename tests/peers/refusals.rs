//! What a node refuses, and that it lives on, and that nobody else notices.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api::CreatedStream;
use testkit::ffmpeg;
use testkit::http::Answer;
use testkit::tickcast::Node;

use crate::broadcasts::{LIMIT, TICKCAST, create, node, rtmp_play_url, wait_for_renditions};

/// What a browser that publishes sends, in short: one H.264 section with the fields that a session needs.
const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n\
    a=ice-pwd:0123456789abcdefghijklmn\r\na=ice-options:trickle\r\n\
    a=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\r\n\
    a=setup:actpass\r\na=mid:0\r\na=sendonly\r\na=rtcp-mux\r\na=rtpmap:96 H264/90000\r\n\
    a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n\
    a=ssrc:1001 cname:x\r\n";

fn whip(node: &Node, key: &str, offer: &[u8]) -> Answer {
    let bearer = format!("Bearer {key}");
    let headers = [("Content-Type", "application/sdp"), ("Authorization", bearer.as_str())];
    node.post("/whip", &headers, offer).expect("the node answers")
}

/// A refusal as RFC 9457 has it, with the status in both places.
fn assert_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", answer.text());
    assert_eq!(answer.json()["status"], status);
    assert_eq!(answer.json()["code"], code, "{}", answer.text());
    assert!(answer.json()["title"].as_str().is_some_and(|title| !title.is_empty()));
}

fn assert_lives(node: &Node) {
    assert_eq!(node.get("/healthz").expect("the node lives").status, 200);
}

fn publishing_with_ffmpeg_fails(url: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("other.mp4");
    ffmpeg::sample(&file, 3).expect("a sample");
    let mut publisher = ffmpeg::publish(&file, url, 0).expect("ffmpeg starts");
    let status = publisher.wait(LIMIT).expect("ffmpeg ends");
    assert!(!status.success(), "it could publish");
}

#[test]
fn a_second_publisher_is_refused_and_the_first_one_loses_no_picture() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sample.mp4");
    ffmpeg::sample(&file, 60).expect("a sample");
    let source = ffmpeg::decode(&[], &file.to_string_lossy(), None).expect("the sample decodes");
    let node = node();
    let stream = create(&node, "First come");
    let mut first = ffmpeg::publish(&file, &stream.rtmp_url, 0).expect("ffmpeg publishes");
    wait_for_renditions(&node, &stream, 1);
    let url = rtmp_play_url(&node, &stream);
    let viewer = std::thread::spawn(move || ffmpeg::decode(&["-rw_timeout", "30000000"], &url, Some(12)));
    publishing_with_ffmpeg_fails(&stream.rtmp_url);
    assert_problem(&whip(&node, &stream.stream_key, OFFER.as_bytes()), 409, "already_live");
    publishing_with_ffmpeg_fails(&stream.rtmp_url);
    assert!(!first.has_ended(), "the first publisher goes on: {}", first.errors());
    let seen = viewer.join().expect("the viewer's thread").expect("the viewer plays");
    // Of 12 s, less the wait for the first key frame.
    assert!(seen.is_run_of(&source), "{} pictures are no run of the first publisher's", seen.pictures.len());
    assert!(seen.pictures.len() >= 295, "{} pictures", seen.pictures.len());
    assert!(node.log().contains("second publisher"), "the attempt is logged: {}", node.log());
    assert!(!node.log().contains(&stream.stream_key), "a stream key is in the log");
}

#[test]
fn a_wrong_key_publishes_neither_by_rtmp_nor_by_whip() {
    let node = node();
    let stream: CreatedStream = create(&node, "Locked");
    publishing_with_ffmpeg_fails(&format!("rtmp://{}/live/guessed", node.rtmp()));
    // What viewers know does not publish.
    publishing_with_ffmpeg_fails(&rtmp_play_url(&node, &stream));
    assert_problem(&whip(&node, "guessed", OFFER.as_bytes()), 401, "bad_stream_key");
    assert_problem(&whip(&node, &stream.playback_id, OFFER.as_bytes()), 401, "bad_stream_key");
    let without = node.post("/whip", &[("Content-Type", "application/sdp")], OFFER.as_bytes());
    assert_problem(&without.expect("the node answers"), 401, "bad_stream_key");
    assert_eq!(crate::broadcasts::info(&node, &stream).status, api::StreamStatus::Pending);
}

#[test]
fn requests_that_make_no_sense_are_told_why_and_the_node_lives_on() {
    let node = node();
    let stream = create(&node, "Calm");
    let long = vec![b'a'; 200 * 1024];
    let json = [("Content-Type", "application/json")];
    let text = [("Content-Type", "text/plain")];
    let cases: Vec<(u16, &str, Answer)> = vec![
        (400, "", whip(&node, &stream.stream_key, b"v=0\r\nm=nonsense")),
        (400, "", whip(&node, &stream.stream_key, b"\xff\xfe\x00")),
        (400, "", whip(&node, &stream.stream_key, b"")),
        (413, "", whip(&node, &stream.stream_key, &long)),
        (415, "wrong_content_type", node.post("/whip", &text, OFFER.as_bytes()).expect("an answer")),
        (400, "bad_json", node.post("/api/v1/streams", &json, b"{\"titel\":1}").expect("an answer")),
        (400, "bad_json", node.post("/api/v1/streams", &json, b"{").expect("an answer")),
        (400, "no_title", node.post("/api/v1/streams", &json, b"{\"title\":\" \"}").expect("an answer")),
        (413, "", node.post("/api/v1/streams", &json, &long).expect("an answer")),
        (404, "stream_not_found", node.get("/api/v1/streams/nobody").expect("an answer")),
        (404, "stream_not_found", node.get("/live/nobody.m3u8").expect("an answer")),
        (404, "not_live", node.get(&format!("/live/{}.m3u8", stream.playback_id)).expect("an answer")),
        (
            404,
            "session_not_found",
            testkit::http::request(node.http(), "DELETE", "/session/x", &[], b"").expect("an answer"),
        ),
        (404, "", node.get("/no/such/page").expect("an answer")),
        (405, "", testkit::http::request(node.http(), "DELETE", "/whip", &[], b"").expect("an answer")),
    ];
    for (status, code, answer) in cases {
        let said = answer.json()["code"].as_str().unwrap_or_default().to_owned();
        assert_problem(&answer, status, if code.is_empty() { &said } else { code });
        assert!(!said.is_empty(), "a refusal has a code: {}", answer.text());
    }
    assert_lives(&node);
    assert_eq!(crate::broadcasts::info(&node, &stream).status, api::StreamStatus::Pending);
}

#[test]
fn another_node_in_the_same_folder_is_refused_and_ends_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sample.mp4");
    ffmpeg::sample(&file, 60).expect("a sample");
    let mut node = node();
    let stream = create(&node, "Here first");
    let _publisher = ffmpeg::publish(&file, &stream.rtmp_url, 0).expect("ffmpeg publishes");
    wait_for_renditions(&node, &stream, 1);
    let mut command = std::process::Command::new(TICKCAST);
    command.args(["node", "--loopback"]).arg(node.data());
    let mut other = testkit::LoggedChild::spawn("another node", &mut command).expect("it starts");
    let status = other.wait(LIMIT).expect("it ends");
    assert!(!status.success() && other.errors().contains("another node uses"), "{}", other.errors());
    assert_eq!(crate::broadcasts::info(&node, &stream).status, api::StreamStatus::Live);
    // The lock goes with its process.
    node.kill();
    let mut again = testkit::LoggedChild::spawn("a node after it", &mut command).expect("it starts");
    again.wait_for_line("ready", LIMIT).unwrap_or_else(|err| panic!("{err}: {}", again.errors()));
}

#[test]
fn pages_of_other_hosts_make_no_streams() {
    let node = node();
    let body = br#"{"title":"mine now"}"#;
    let json = ("Content-Type", "application/json");
    // What a browser asks first, and without a yes of which it sends nothing.
    let asked = [("Origin", "https://elsewhere.example"), ("Access-Control-Request-Method", "POST")];
    let preflight = testkit::http::request(node.http(), "OPTIONS", "/api/v1/streams", &asked, b"");
    let preflight = preflight.expect("an answer");
    let methods = preflight.header("access-control-allow-methods").unwrap_or_default();
    let created = node.post("/api/v1/streams", &[json, asked[0]], body).expect("an answer");
    let allowed = created.header("access-control-allow-origin");
    assert!(allowed.is_none() && !(preflight.status == 200 && methods.contains("POST")), "{preflight:?}");
    // A name of elsewhere that means this machine; an address of elsewhere, as a proxy passes it on; and a proxy that
    // names this machine, but asks for somebody else.
    for head in [
        "Host: elsewhere.example:8080",
        "Host: 203.0.113.5",
        "Host: localhost\r\nX-Forwarded-For: 203.0.113.5",
        "Host: 127.0.0.1:8080\r\nForwarded: for=203.0.113.5",
    ] {
        let request = format!(
            "POST /api/v1/streams HTTP/1.0\r\n{head}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        let answer =
            testkit::http::exchange(node.http(), &[request.as_bytes(), body].concat()).expect("an answer");
        assert_problem(&answer, 403, "only_local");
    }
    // Playing is for everybody.
    let played = testkit::http::request(node.http(), "GET", "/api/v1/streams/nobody", &asked[..1], b"");
    assert_eq!(played.expect("an answer").header("access-control-allow-origin"), Some("*"));
}

#[test]
fn bytes_that_are_no_rtmp_end_their_connection_alone() {
    let node = node();
    for garbage in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &[0xff; 4096], &[3; 1537], &[0; 20_000]] {
        let mut socket = TcpStream::connect(node.rtmp()).expect("the node listens");
        socket.set_read_timeout(Some(LIMIT)).expect("a limit");
        // The node may close while it is still being written to.
        let _ = socket.write_all(garbage);
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let read = socket.read_to_end(&mut answer);
        let closed =
            read.as_ref().map_or_else(|err| err.kind() == std::io::ErrorKind::ConnectionReset, |_| true);
        assert!(closed, "the connection is closed: {read:?}");
    }
    // The next publisher is served as if nothing had been.
    let stream = create(&node, "After the noise");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sample.mp4");
    ffmpeg::sample(&file, 20).expect("a sample");
    let _publisher = ffmpeg::publish(&file, &stream.rtmp_url, 0).expect("ffmpeg publishes");
    wait_for_renditions(&node, &stream, 1);
    assert_lives(&node);
}

/// A node whose system gives it few file descriptors.
fn poor_node(folder: &std::path::Path) -> Node {
    use std::os::unix::fs::PermissionsExt;
    let script = folder.join("poor.sh");
    let text = format!("#!/bin/sh\nulimit -n 300\nexec '{TICKCAST}' \"$@\"\n");
    std::fs::write(&script, text).expect("the script is written");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("it may run");
    Node::start(&script.to_string_lossy()).expect("a node")
}

/// Reads to the end; `false` where the server leaves the connection open for [`LIMIT`].
fn is_closed_by_server(mut socket: &TcpStream) -> bool {
    socket.set_read_timeout(Some(LIMIT)).expect("a limit");
    let read = socket.read_to_end(&mut Vec::new());
    read.map_or_else(|err| err.kind() == std::io::ErrorKind::ConnectionReset, |_| true)
}

#[test]
fn half_requests_end_in_time_and_keep_nobody_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = poor_node(folder.path());
    // A body that takes for ever, a byte at a time.
    let mut trickle = TcpStream::connect(node.http()).expect("the node listens");
    let head = "POST /whip HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\n\
                Content-Length: 60000\r\nExpect: 100-continue\r\n\r\n";
    trickle.write_all(head.as_bytes()).expect("the head is taken");
    // Once it is being served, newcomers do not displace it.
    trickle.set_read_timeout(Some(LIMIT)).expect("a limit");
    let mut go_on = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    trickle.read_exact(&mut go_on).expect("the node waits for the body");
    let mut trickled = trickle.try_clone().expect("a socket");
    let drip = std::thread::spawn(move || {
        // Ends when the server has closed: each byte is some time after the last.
        while trickled.write_all(b"v").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    // More than the node has descriptors.
    let mut half = Vec::new();
    for port in [node.http(), node.hls()] {
        for _ in 0..400 {
            let mut socket = TcpStream::connect(port).expect("the node listens");
            // One that is closed already counts as well.
            let _ = socket.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n");
            half.push(socket);
        }
        assert_lives(&node);
        let there = testkit::http::request(node.hls(), "GET", "/live/nobody.m3u8", &[], b"");
        assert_eq!(there.expect("the HLS port answers").status, 404);
    }
    let left_open = half.iter().filter(|socket| !is_closed_by_server(socket)).count();
    assert_eq!(left_open, 0, "half requests are held");
    let mut answer = [0; 12];
    trickle.read_exact(&mut answer).expect("the slow request is answered");
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert!(is_closed_by_server(&trickle), "the slow request's connection goes on");
    drip.join().expect("the slow request's thread");
    assert!(node.log().contains("no place is free for another HTTP connection"), "{}", node.log());
    assert_lives(&node);
}

#[test]
fn an_idle_connection_is_used_again_and_a_pipelined_request_is_answered() {
    let node = node();
    let mut socket = TcpStream::connect(node.http()).expect("the node listens");
    socket.set_read_timeout(Some(LIMIT)).expect("a limit");
    let ask = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut read = [0; 4096];
    for requests in [1, 2, 1] {
        socket.write_all(&ask.repeat(requests)).expect("a request is taken");
        let mut seen = String::new();
        while seen.matches("\r\n\r\nok\n").count() < requests {
            let count = socket.read(&mut read).expect("an answer");
            assert!(count > 0, "closed after {seen}");
            seen.push_str(&String::from_utf8_lossy(&read[..count]));
        }
        assert_eq!(seen.matches("HTTP/1.1 200").count(), requests, "{seen}");
    }
}

/// Connects by RTMP and asks to publish with a key that is none. The connection stays open after the refusal.
fn refused_publisher(node: &Node) -> TcpStream {
    let text = |text: &str| [&[2, 0, text.len() as u8], text.as_bytes()].concat();
    let number = |number: f64| [&[0][..], &number.to_be_bytes()].concat();
    let object = [&[3, 0, 3][..], b"app", &text("live"), &[0, 0, 9]].concat();
    let command = |stream: u8, body: &[Vec<u8>]| {
        let body = body.concat();
        assert!(body.len() <= 128, "one chunk");
        [&[3, 0, 0, 0, 0, 0, body.len() as u8, 20, stream, 0, 0, 0][..], &body].concat()
    };
    let null = vec![5];
    let mut socket = TcpStream::connect(node.rtmp()).expect("the node listens");
    socket.set_read_timeout(Some(LIMIT)).expect("a limit");
    socket.write_all(&[&[3][..], &[0; 1536]].concat()).expect("C0 and C1 are taken");
    socket.read_exact(&mut [0; 1 + 2 * 1536]).expect("S0, S1 and S2 come");
    let asked = [
        vec![0; 1536],
        command(0, &[text("connect"), number(1.0), object]),
        command(0, &[text("createStream"), number(2.0), null.clone()]),
        command(1, &[text("publish"), number(3.0), null, text("guessed"), text("live")]),
    ];
    socket.write_all(&asked.concat()).expect("the request is taken");
    let mut answer = Vec::new();
    let refusal = b"The stream key is wrong";
    while !answer.windows(refusal.len()).any(|window| window == refusal) {
        let mut read = [0; 4096];
        let count = socket.read(&mut read).expect("an answer");
        assert!(count > 0, "closed without a word: {answer:?}");
        answer.extend_from_slice(&read[..count]);
    }
    socket
}

#[test]
fn strangers_without_a_key_keep_out_no_publisher_and_no_transcoder() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sample.mp4");
    ffmpeg::sample(&file, 60).expect("a sample");
    let node = node();
    let stream = create(&node, "In spite of them");
    // More than there are places, and none of them is silent.
    let (strangers, over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let hold = |count: usize| {
        for _ in 0..count {
            let stranger = refused_publisher(&node);
            strangers.lock().expect("a whole list").push(stranger);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| keep_talking(&strangers, &over));
        let _over = SetWhenDropped(&over);
        hold(600);
        let _publisher = ffmpeg::publish(&file, &stream.rtmp_url, 0).expect("ffmpeg publishes");
        wait_for_renditions(&node, &stream, 1);
        hold(500);
        // Asking for the playlist makes the node's transcoders play and publish.
        let path = format!("/live/{}.m3u8", stream.playback_id);
        let made = testkit::wait_until("what transcoders make", LIMIT, || {
            let answer = node.get(&path).ok()?;
            (answer.text().matches("#EXT-X-STREAM-INF").count() > 1).then_some(())
        });
        made.unwrap_or_else(|err| panic!("{err}: {}", node.log()));
        let held = strangers.lock().expect("a whole list");
        let held: Vec<_> = held.iter().map(|socket| socket.try_clone().expect("a socket")).collect();
        let left_open = held.iter().filter(|socket| !is_closed_by_server(socket)).count();
        assert_eq!(left_open, 0, "strangers are held");
        assert_eq!(crate::broadcasts::info(&node, &stream).status, api::StreamStatus::Live);
    });
}

/// Sends an acknowledgement on each connection each second, as whoever wants to keep it does.
fn keep_talking(connections: &Mutex<Vec<TcpStream>>, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        for mut socket in connections.lock().expect("a whole list").iter() {
            // Some are closed.
            let _ = socket.write_all(&[2, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 0, 0, 0, 1]);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Ends the talk also where the test fails.
struct SetWhenDropped<'a>(&'a AtomicBool);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
