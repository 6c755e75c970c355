//! Hostile bytes: no panic, no growth, no effect on others.

use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::network::*;
use crate::command::Order;
use crate::layer_choice::LayerChoice;
use crate::sdp::{Offer, SdpFragment, SdpRefused};
use crate::session::Role;

/// What Chromium 130 offers to watch, shortened to what matters here: VP8 first, H.264 in several forms.
const WATCH: &str = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
a=group:BUNDLE 0 1\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n\
m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
a=ice-ufrag:4ZcD\r\na=ice-pwd:2/1muCWoOi3uLifh0NuRHlig\r\na=ice-options:trickle\r\n\
a=fingerprint:sha-256 75:74:5A:A6:A4:E5:52:F4:A7:67:4C:01:C7:EE:91:3F:21:3D:A2:E3:53:7B:6F:30:86:F2:30:AA:65:FB:04:24\r\n\
a=setup:actpass\r\na=mid:0\r\na=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=recvonly\r\na=rtcp-mux\r\n\
a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
a=rtpmap:0 PCMU/8000\r\n\
m=video 9 UDP/TLS/RTP/SAVPF 96 97 103 104 107 108\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
a=ice-ufrag:4ZcD\r\na=ice-pwd:2/1muCWoOi3uLifh0NuRHlig\r\na=ice-options:trickle\r\n\
a=fingerprint:sha-256 75:74:5A:A6:A4:E5:52:F4:A7:67:4C:01:C7:EE:91:3F:21:3D:A2:E3:53:7B:6F:30:86:F2:30:AA:65:FB:04:24\r\n\
a=setup:actpass\r\na=mid:1\r\na=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=recvonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\n\
a=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n\
a=rtpmap:103 H264/90000\r\na=rtcp-fb:103 transport-cc\r\na=rtcp-fb:103 nack\r\na=rtcp-fb:103 nack pli\r\n\
a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f\r\n\
a=rtpmap:104 rtx/90000\r\na=fmtp:104 apt=103\r\n\
a=rtpmap:107 H264/90000\r\na=rtcp-fb:107 nack\r\n\
a=fmtp:107 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f\r\n\
a=rtpmap:108 rtx/90000\r\na=fmtp:108 apt=107\r\n";

fn publish_offer() -> String {
    let rids = "a=rid:l send\r\na=rid:m send\r\na=rid:h send\r\na=simulcast:send l;m;h\r\n";
    WATCH.replace("a=recvonly", "a=sendonly") + rids
}

fn refusal(role: Role, offer: &str) -> Option<SdpRefused> {
    let net = Network::new();
    net.factory.make(net.now, offer, role).err()
}

#[test]
fn a_browsers_offer_is_answered_with_h264_in_packetization_mode_1_and_opus_alone() {
    let net = Network::new();
    let answer = net.factory.answer_viewer(net.now, WATCH).unwrap();
    assert!(answer.contains("a=rtpmap:103 H264/90000"), "{answer}");
    assert!(answer.contains("a=rtpmap:111 opus/48000/2"), "{answer}");
    assert!(!answer.contains("packetization-mode=0") && !answer.contains("VP8/90000"), "{answer}");
    assert!(!answer.contains("PCMU/8000"), "{answer}");
    assert_eq!(answer.matches("a=sendonly").count(), 2, "{answer}");
    assert!(answer.contains("10.0.0.1 5000 typ host"), "{answer}");
}

#[test]
fn sound_and_picture_are_one_media_stream_so_that_browsers_keep_them_together() {
    let net = Network::new();
    let answer = net.factory.answer_viewer(net.now, WATCH).unwrap();
    let streams: std::collections::HashSet<_> =
        answer.lines().filter_map(|line| line.strip_prefix("a=msid:")?.split(' ').next()).collect();
    assert_eq!(streams.len(), 1, "{answer}");
    assert_eq!(answer.matches("\na=msid:").count(), 2, "{answer}");
}

#[test]
fn an_offer_that_lacks_something_is_refused_with_what_it_lacks() {
    use SdpRefused::*;
    let publish = publish_offer();
    assert_eq!(refusal(Role::Publisher, &publish), None);
    let no_h264 = publish.replace("H264", "H265");
    assert_eq!(refusal(Role::Publisher, &no_h264), Some(NoH264));
    let mode_0 = publish.replace("packetization-mode=1", "packetization-mode=0");
    assert_eq!(refusal(Role::Publisher, &mode_0), Some(NoH264));
    let high = publish.replace("42001f", "64001f");
    assert_eq!(refusal(Role::Publisher, &high), Some(NoH264));
    assert_eq!(refusal(Role::Publisher, WATCH), Some(NotSending("video")));
    assert_eq!(refusal(Role::Viewer, &publish), Some(NotReceiving("video")));
    assert_eq!(refusal(Role::Publisher, &publish.replace("opus/48000/2", "G722/8000")), Some(NoOpus));
    assert_eq!(refusal(Role::Viewer, ""), Some(Missing("video")));
    let sound = publish.split("m=video").next().unwrap();
    assert_eq!(refusal(Role::Publisher, sound), Some(Missing("video")));
    assert_eq!(refusal(Role::Viewer, &"a".repeat(70_000)), Some(TooLarge(70_000)));
    let twice = WATCH.to_owned() + &WATCH[WATCH.find("m=video").unwrap()..];
    assert_eq!(refusal(Role::Viewer, &twice), Some(TooManySections("video")));
    let candidates = "a=candidate:1 1 udp 1 10.1.1.1 1 typ host\r\n".repeat(65);
    assert_eq!(refusal(Role::Viewer, &(WATCH.to_owned() + &candidates)), Some(TooManyCandidates));
    let rids: String = (0..6).map(|n| format!("a=rid:x{n} send\r\n")).collect();
    assert_eq!(refusal(Role::Publisher, &(publish + &rids)), Some(TooManyRids));
    let no_ice = WATCH.replace("a=ice-ufrag", "a=x");
    assert!(matches!(refusal(Role::Viewer, &no_ice), Some(Unanswerable(_) | Malformed(_))));
}

#[test]
fn a_fragment_gives_its_candidates_and_credentials() {
    let text = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n\
        a=mid:0\r\na=candidate:1 1 udp 2113937151 10.1.2.3 4567 typ host\r\n\
        a=candidate:2 1 udp 2113937151 0b1f.local 4567 typ host\r\na=end-of-candidates\r\n";
    let fragment = SdpFragment::parse(text).unwrap();
    assert_eq!(fragment.ufrag.as_deref(), Some("abcd"));
    assert_eq!(fragment.candidates.len(), 1);
    assert_eq!(fragment.candidates[0].addr(), "10.1.2.3:4567".parse().unwrap());
    assert!(fragment.end_of_candidates);
    assert!(SdpFragment::parse("a=ice-ufrag:a b\r\n").is_err());
    assert!(SdpFragment::parse("<html>").is_err());
}

#[test]
fn trickling_without_end_does_not_grow_anything() {
    let mut net = Network::new();
    let viewer = net.join_viewer(LayerChoice::Auto);
    net.connect();
    let before = net.shard.entries();
    for round in 0..50 {
        let lines: String = (0..60)
            .map(|n| format!("a=candidate:1 1 udp 1 10.{round}.{n}.1 {} typ host\r\n", 1_000 + n))
            .collect();
        let candidates = SdpFragment::parse(&lines).unwrap().candidates;
        let peer = net.clients[viewer].peer;
        net.order(Order::Trickle { peer, candidates });
    }
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.shard.entries(), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_offer_is_answered_or_refused(
        cuts in prop::collection::vec((0usize..3_000, 0usize..60, ".{0,20}"), 1..6), publishes: bool
    ) {
        let mut offer = if publishes { publish_offer() } else { WATCH.to_owned() };
        for (at, length, text) in cuts {
            let at = at % (offer.len() + 1);
            let end = (at + length).min(offer.len());
            // Offers are ASCII until the first cut; later ones may fall inside a character.
            if offer.is_char_boundary(at) && offer.is_char_boundary(end) {
                offer.replace_range(at..end, &text);
            }
        }
        let net = Network::new();
        let role = if publishes { Role::Publisher } else { Role::Viewer };
        let _ = net.factory.make(net.now, &offer, role);
    }

    #[test]
    fn any_text_is_inspected(text in "\\PC{0,400}", lines in prop::collection::vec("[amv]=[a-z0-9:;= /-]{0,40}", 0..30)) {
        let _ = Offer::inspect(&text);
        let _ = SdpFragment::parse(&text);
        let lines = lines.join("\r\n");
        let _ = Offer::inspect(&lines);
        let _ = SdpFragment::parse(&lines);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn hostile_datagrams_change_nothing_for_others(
        junk in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..80), any::<bool>()), 1..60),
        flips in prop::collection::vec((any::<u16>(), any::<u8>(), any::<u16>()), 1..60),
    ) {
        let mut net = Network::new();
        let victim = net.join_viewer(LayerChoice::Fixed(LADDER[2]));
        let publisher = net.join_publisher();
        net.connect();
        let before = net.shard.entries();
        let mut camera = [Camera::new(LADDER[2])];
        let stranger = SocketAddr::from(([10, 6, 6, 6], 6));
        // Off the path from strangers, and with the address of a peer that another one must not suffer for.
        let spoofed = net.clients[publisher].address;
        let recorded = net.client_datagrams();
        for (first, mut bytes, as_peer) in junk {
            bytes.insert(0, first);
            let from = if as_peer { spoofed } else { stranger };
            let now = net.now;
            net.shard.handle_datagram(now, from, None, &bytes);
        }
        for (which, value, at) in flips {
            let mut bytes = recorded[usize::from(which) % recorded.len()].clone();
            let at = usize::from(at) % bytes.len();
            bytes[at] ^= value | 1;
            let now = net.now;
            net.shard.handle_datagram(now, stranger, None, &bytes);
            net.shard.handle_datagram(now, spoofed, None, &bytes);
        }
        play(&mut net, &mut camera, 10);
        prop_assert_eq!(net.clients[victim].got.len(), 21);
        prop_assert!(net.closed.is_empty(), "{:?}", net.closed);
        let [peers, ufrags, addresses, timers, streams] = net.shard.entries();
        prop_assert_eq!([peers, ufrags, timers, streams], [before[0], before[1], before[3], before[4]]);
        // A check that was replayed from elsewhere is a check: a peer has eight addresses at most.
        prop_assert!(addresses <= 16);
    }
}
