//! Metered viewers: what passes, second by second, and what is said of it.

use std::collections::BTreeMap;
use std::time::Duration;

use media::RenditionName::{High, Low};
use str0m::media::KeyframeRequestKind;

use super::network::*;
use crate::command::Order;
use crate::event::{Event, MeteredLine, Metering};
use crate::layer_choice::{Layer, LayerChoice};
use crate::packet::{Lane, RtpPacket};

/// Packets of a second of [`Camera`]: 30 pictures of two.
const SECOND: u32 = 60;

/// Forwards pictures and, with each, a packet of sound, as [`play`] does.
fn broadcast(net: &mut Network, camera: &mut Camera, frames: usize) {
    for _ in 0..frames {
        let captured = Some(net.clock.wall_of(net.now));
        let asked = std::mem::take(&mut net.keyframe_requests);
        camera.want_key |= asked.iter().any(|(_, layer)| *layer == camera.layer);
        let lane = Lane::Video(camera.layer);
        let sound = sound(camera.frame, captured);
        let packets = camera.picture(captured).into_iter().map(|packet| (lane, packet));
        net.forward(packets.chain([(Lane::Audio, sound)]).collect());
        net.run_for(FRAME);
    }
}

/// A packet of sound for a picture: 48 000 / 30 ticks each.
fn sound(frame: u32, captured: Option<media::WallTime>) -> RtpPacket {
    let payload = vec![0xfc, 1, 2].into();
    RtpPacket { seq: frame.into(), timestamp: 1_600 * frame, marker: false, payload, captured }
}

fn meter(net: &mut Network, viewer: usize, session: u32) {
    let peer = net.clients[viewer].peer;
    net.order(Order::Meter { peer, session });
}

fn allow(net: &mut Network, viewer: usize, session: u32, until: u64) {
    let peer = net.clients[viewer].peer;
    net.order(Order::Allow { peer, session, until });
}

/// One metered viewer of the highest layer, connected, and allowed the seconds below `until` of session 1.
fn watching(until: u64) -> (Network, usize, Camera) {
    let mut net = Network::new();
    let viewer = net.join_metered(LayerChoice::Fixed(High));
    net.connect();
    meter(&mut net, viewer, 1);
    allow(&mut net, viewer, 1, until);
    (net, viewer, Camera::new(High))
}

fn said(net: &Network, viewer: usize, session: u32) -> Vec<Metering> {
    let peer = net.clients[viewer].peer;
    let of = |event: &Event| match event {
        Event::Metered { peer: of, session: number, what } if *of == peer && *number == session => {
            Some(*what)
        }
        _ => None,
    };
    net.events.iter().filter_map(|(_, event)| of(event)).collect()
}

fn reached(said: &[Metering]) -> Vec<u64> {
    let second = |what: &Metering| match what {
        Metering::Reached { second, .. } => Some(*second),
        _ => None,
    };
    said.iter().filter_map(second).collect()
}

/// (second, sent, withheld, acknowledged)
fn overs(said: &[Metering]) -> Vec<(u64, u32, u32, u32)> {
    let over = |what: &Metering| match *what {
        Metering::Over { second, sent, withheld, acknowledged } => {
            Some((second, sent, withheld, acknowledged))
        }
        _ => None,
    };
    said.iter().filter_map(over).collect()
}

fn began(said: &[Metering]) -> u32 {
    let Some(Metering::Began { timestamp, line: MeteredLine::Video }) = said.first() else {
        panic!("it begins first: {said:?}")
    };
    *timestamp
}

/// How many packets of pictures a viewer has of each second, as it counts them itself.
fn pictures_by_second(net: &Network, viewer: usize, session: u32) -> BTreeMap<u32, u32> {
    let begin = began(&said(net, viewer, session));
    let mut seconds = BTreeMap::new();
    for (_, timestamp, _) in net.clients[viewer].pictures() {
        *seconds.entry(timestamp.wrapping_sub(begin) / 90_000).or_default() += 1;
    }
    seconds
}

fn sounds(net: &Network, viewer: usize) -> usize {
    net.clients[viewer].got.iter().filter(|packet| *packet.header.payload_type == 111).count()
}

fn assert_no_hole(net: &Network, viewer: usize) {
    for pair in net.clients[viewer].pictures().windows(2) {
        assert_eq!(pair[1].0, pair[0].0 + 1, "withheld packets have no numbers");
    }
}

fn is_delivered(over: &(u64, u32, u32, u32)) -> bool {
    let (_, sent, withheld, acknowledged) = *over;
    withheld == 0 && sent > 0 && acknowledged * 100 >= sent * 95
}

#[test]
fn nothing_reaches_a_metered_viewer_before_it_is_allowed() {
    let mut net = Network::new();
    let viewer = net.join_metered(LayerChoice::Fixed(High));
    net.connect();
    net.run_for(Duration::from_secs(1));
    assert!(net.keyframe_requests.is_empty());
    let mut camera = Camera::new(High);
    broadcast(&mut net, &mut camera, 60);
    meter(&mut net, viewer, 1);
    camera.want_key = true;
    broadcast(&mut net, &mut camera, 60);
    assert!(net.clients[viewer].got.is_empty() && said(&net, viewer, 1).is_empty());
    assert_eq!(camera.keys, 2, "no key frame is asked for what cannot pass");
    allow(&mut net, viewer, 1, 9);
    broadcast(&mut net, &mut camera, 10);
    let pictures = net.clients[viewer].pictures();
    assert!(is_key_start(&pictures[0].2) && camera.keys == 3, "{}", camera.keys);
    assert_eq!(pictures[0].1, began(&said(&net, viewer, 1)));
}

#[test]
fn exactly_the_seconds_that_are_allowed_pass() {
    let (mut net, viewer, mut camera) = watching(3);
    broadcast(&mut net, &mut camera, 30 * 6);
    // The key picture has one packet more.
    let seconds = BTreeMap::from([(0, SECOND + 1), (1, SECOND), (2, SECOND)]);
    assert_eq!(pictures_by_second(&net, viewer, 1), seconds);
    assert_eq!(sounds(&net, viewer), 90, "sound ends with the pictures");
    let said = said(&net, viewer, 1);
    assert_eq!(reached(&said), [0, 1, 2, 3, 4, 5]);
    let all = (0, SECOND + 1, 0, SECOND + 1);
    let seconds = [all, (1, 60, 0, 60), (2, 60, 0, 60), (3, 0, 60, 0), (4, 0, 60, 0)];
    assert_eq!(overs(&said), seconds);
    let at = |wanted: Metering| {
        let is = |event: &Event| matches!(event, Event::Metered { what, .. } if *what == wanted);
        net.events.iter().find(|(_, event)| is(event)).unwrap().0
    };
    let withheld = at(Metering::Reached { second: 3, until: 3 });
    assert_eq!(withheld - at(said[0]), FRAME * 90, "what is withheld is told when it comes");
    assert_eq!(camera.keys, 1, "no key frame is asked for what cannot pass");
}

#[test]
fn seconds_that_are_allowed_in_time_follow_without_a_break() {
    let (mut net, viewer, mut camera) = watching(1);
    for second in 0..8 {
        broadcast(&mut net, &mut camera, 20);
        allow(&mut net, viewer, 1, second + 2);
        allow(&mut net, viewer, 1, 1);
        broadcast(&mut net, &mut camera, 10);
    }
    assert_eq!(net.clients[viewer].pictures().len(), 8 * 60 + 1);
    assert_eq!(sounds(&net, viewer), 240);
    assert_eq!(camera.keys, 1);
    assert!(overs(&said(&net, viewer, 1)).iter().all(is_delivered));
}

#[test]
fn after_a_hold_pictures_go_on_with_a_key_frame_where_time_is_by_then() {
    let (mut net, viewer, mut camera) = watching(1);
    broadcast(&mut net, &mut camera, 75);
    assert_eq!((net.clients[viewer].pictures().len(), sounds(&net, viewer)), (61, 30));
    allow(&mut net, viewer, 1, 5);
    net.run_for(Duration::from_millis(1));
    assert_eq!(net.keyframe_requests.len(), 1, "one is asked for as soon as it is allowed");
    // The encoder takes five pictures to answer.
    for _ in 0..5 {
        net.keyframe_requests.clear();
        broadcast(&mut net, &mut camera, 1);
    }
    camera.want_key = true;
    broadcast(&mut net, &mut camera, 55);
    assert_no_hole(&net, viewer);
    let pictures = net.clients[viewer].pictures();
    assert!(is_key_start(&pictures[61].2));
    assert_eq!(pictures[61].1.wrapping_sub(pictures[0].1), 80 * 3_000);
    assert_eq!(sounds(&net, viewer), 30 + 55);
    let overs = overs(&said(&net, viewer, 1));
    assert_eq!(overs[..3], [(0, 61, 0, 61), (1, 0, 60, 0), (2, 21, 40, 21)]);
    assert!(is_delivered(&overs[3]));
}

#[test]
fn a_viewer_asks_in_vain_for_a_key_frame_that_may_not_pass() {
    let (mut net, viewer, mut camera) = watching(1);
    broadcast(&mut net, &mut camera, 20);
    let ask = |net: &mut Network, camera: &mut Camera| {
        let client = &mut net.clients[viewer];
        let mut api = client.rtc.direct_api();
        api.stream_rx_by_mid(client.video, None).unwrap().request_keyframe(KeyframeRequestKind::Pli);
        broadcast(net, camera, 40);
    };
    ask(&mut net, &mut camera);
    assert_eq!(camera.keys, 2, "it may have this one");
    ask(&mut net, &mut camera);
    assert_eq!(camera.keys, 2);
}

#[test]
fn seconds_without_media_are_passed_over() {
    let (mut net, viewer, mut camera) = watching(4);
    broadcast(&mut net, &mut camera, 30);
    // Nothing comes for four seconds, and the publisher's clock goes on.
    net.run_for(FRAME * 120);
    camera.frame += 120;
    allow(&mut net, viewer, 1, 6);
    broadcast(&mut net, &mut camera, 60);
    let said = said(&net, viewer, 1);
    assert_eq!(reached(&said), [0, 5, 6]);
    let passed = [1, 2, 3, 4].map(|second| (second, 0, 0, 0));
    assert_eq!(overs(&said)[0], (0, 61, 0, 61));
    assert_eq!(overs(&said)[1..5], passed);
    assert_eq!(pictures_by_second(&net, viewer, 1), BTreeMap::from([(0, 61), (5, 60)]));
}

#[test]
fn sound_ends_with_what_is_allowed_even_where_pictures_stop() {
    let (mut net, viewer, mut camera) = watching(2);
    broadcast(&mut net, &mut camera, 45);
    for _ in 0..60 {
        let captured = Some(net.clock.wall_of(net.now));
        net.forward(vec![(Lane::Audio, sound(camera.frame, captured))]);
        camera.frame += 1;
        net.run_for(FRAME);
    }
    // 30 pictures of the camera are 10 us less than a second of sound.
    assert!((60..=61).contains(&sounds(&net, viewer)), "{}", sounds(&net, viewer));
}

#[test]
fn a_second_whose_losses_were_repaired_is_acknowledged() {
    let (mut net, viewer, mut camera) = watching(20);
    camera.shape = (5, 400);
    net.lose_one_in = Some(20);
    net.lose_reports = true;
    broadcast(&mut net, &mut camera, 30 * 14);
    assert!(net.lost > 100, "the network did lose: {}", net.lost);
    let overs = overs(&said(&net, viewer, 1));
    assert!(overs.len() >= 10, "{overs:?}");
    assert!(overs.iter().all(is_delivered), "{overs:?}");
    let truth = pictures_by_second(&net, viewer, 1);
    for (second, _, _, acknowledged) in &overs {
        assert_eq!(*acknowledged, truth[&(*second as u32)], "neither more nor less than there is");
    }
}

#[test]
fn a_second_that_lost_more_than_a_twentieth_for_good_is_not() {
    let (mut net, viewer, mut camera) = watching(20);
    // Pictures 60 to 89 are second 2, of which three are lost, 120 to 149 second 4, of which one is.
    net.lose_for_good = |timestamp| {
        let frame = timestamp.wrapping_sub(500_000 * High as u32) / 3_000;
        matches!(frame, 65 | 75 | 85 | 125)
    };
    broadcast(&mut net, &mut camera, 30 * 9);
    let overs = overs(&said(&net, viewer, 1));
    let expected = [(0, 61, 0, 61), (1, 60, 0, 60), (2, 60, 0, 54), (3, 60, 0, 60), (4, 60, 0, 58)];
    assert_eq!(overs[..5], expected);
    assert!(!is_delivered(&overs[2]) && is_delivered(&overs[4]));
}

#[test]
fn without_transport_wide_feedback_requests_and_reports_tell_the_same() {
    let mut net = Network::new();
    net.left_out = &["transport-cc", "transport-wide-cc"];
    let viewer = net.join_metered(LayerChoice::Fixed(High));
    net.connect();
    meter(&mut net, viewer, 1);
    allow(&mut net, viewer, 1, 30);
    net.lose_one_in = Some(20);
    net.lose_for_good = |timestamp| {
        let frame = timestamp.wrapping_sub(500_000 * High as u32) / 3_000;
        matches!(frame, 65 | 75 | 85)
    };
    let mut camera = Camera::new(High);
    broadcast(&mut net, &mut camera, 30 * 9);
    assert!(net.stats[&net.clients[viewer].peer].estimate_bps.is_none_or(|bps| bps == 2_500_000));
    let overs = overs(&said(&net, viewer, 1));
    let truth = pictures_by_second(&net, viewer, 1);
    assert!(truth[&2] <= 54 && !is_delivered(&overs[2]));
    let told: Vec<_> = overs.iter().map(|(second, .., acknowledged)| (*second, *acknowledged)).collect();
    let truth: Vec<_> = truth.iter().map(|(second, packets)| (u64::from(*second), *packets)).collect();
    assert_eq!(told, truth[..told.len()]);
    assert!(overs.len() >= 5 && overs.iter().all(|over| over.0 == 2 || is_delivered(over)), "{overs:?}");
}

#[test]
fn a_viewer_that_goes_silent_is_acknowledged_nothing_more() {
    let (mut net, viewer, mut camera) = watching(20);
    broadcast(&mut net, &mut camera, 75);
    net.clients[viewer].dead = true;
    broadcast(&mut net, &mut camera, 30 * 5);
    let overs = overs(&said(&net, viewer, 1));
    assert_eq!(overs[..2], [(0, 61, 0, 61), (1, 60, 0, 60)]);
    assert!(overs[2].3 <= 30 && overs[3].3 == 0, "{overs:?}");
}

#[test]
fn a_new_session_counts_anew_and_forgets_what_was_allowed() {
    let (mut net, viewer, mut camera) = watching(100);
    broadcast(&mut net, &mut camera, 45);
    meter(&mut net, viewer, 2);
    allow(&mut net, viewer, 1, 200);
    let before = net.clients[viewer].got.len();
    broadcast(&mut net, &mut camera, 45);
    // What was on its way still came.
    assert!(net.clients[viewer].got.len() <= before);
    let first = said(&net, viewer, 1);
    assert_eq!(overs(&first).iter().map(|over| (over.0, over.1)).collect::<Vec<_>>(), [(0, 61), (1, 30)]);
    assert_eq!((camera.keys, said(&net, viewer, 2)), (1, Vec::new()));
    allow(&mut net, viewer, 2, 1);
    net.run_for(Duration::from_millis(1));
    broadcast(&mut net, &mut camera, 60);
    assert_no_hole(&net, viewer);
    let second = said(&net, viewer, 2);
    let pictures = net.clients[viewer].pictures();
    assert_eq!(pictures[91].1, began(&second), "it begins with its own first packet");
    assert!(is_key_start(&pictures[91].2) && pictures.len() == 91 + 61);
    assert_eq!((reached(&second), overs(&second)), (vec![0, 1], vec![(0, 61, 0, 61)]));
    assert_eq!(said(&net, viewer, 1), first);
}

#[test]
fn a_change_of_layer_within_a_second_keeps_the_count() {
    let mut net = Network::new();
    let viewer = net.join_metered(LayerChoice::Fixed(Low));
    net.connect();
    meter(&mut net, viewer, 1);
    allow(&mut net, viewer, 1, 4);
    let mut cameras = [Camera::new(Low), Camera::new(High)];
    let peer = net.clients[viewer].peer;
    play(&mut net, &mut cameras, 45);
    net.order(Order::SetLayer { peer, choice: LayerChoice::Fixed(High) });
    play(&mut net, &mut cameras, 30 * 5);
    let said = said(&net, viewer, 1);
    assert_eq!(reached(&said), [0, 1, 2, 3, 4, 5, 6]);
    let seconds = pictures_by_second(&net, viewer, 1);
    assert_eq!(seconds.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3]);
    let overs = overs(&said);
    for (second, packets) in seconds {
        let (number, sent, ..) = overs[second as usize];
        assert_eq!((number, sent), (second.into(), packets), "viewer and node count the same");
        assert!(is_delivered(&overs[second as usize]));
    }
    // Picture 45 of the old layer is there, and so is the key picture after it.
    assert_no_hole(&net, viewer);
}

#[test]
fn a_source_that_starts_again_goes_on_where_time_is_by_then() {
    let (mut net, viewer, mut camera) = watching(10);
    broadcast(&mut net, &mut camera, 30);
    net.order(Order::RestartStream { stream: STREAM });
    net.run_for(FRAME * 75);
    let mut again = Camera::new(High);
    again.frame = 1_000_000;
    broadcast(&mut net, &mut again, 30);
    let said = said(&net, viewer, 1);
    // 3.5 s after the first packet.
    assert_eq!(reached(&said), [0, 3, 4]);
    assert_eq!(pictures_by_second(&net, viewer, 1).keys().copied().collect::<Vec<_>>(), [0, 3, 4]);
    assert_no_hole(&net, viewer);
}

#[test]
fn a_source_whose_clock_is_set_back_plays_no_second_twice() {
    let (mut net, viewer, mut camera) = watching(2);
    camera.frame = 1_000;
    broadcast(&mut net, &mut camera, 45);
    camera.frame = 0;
    broadcast(&mut net, &mut camera, 60);
    let seconds = pictures_by_second(&net, viewer, 1);
    assert_eq!(seconds.keys().copied().collect::<Vec<_>>(), [0, 1]);
    assert_eq!(reached(&said(&net, viewer, 1)), [0, 1, 2, 3]);
}

#[test]
fn seconds_are_counted_across_the_wrap_of_the_timestamp() {
    let (mut net, viewer, mut camera) = watching(3);
    camera.frame = (u32::MAX - 500_000 * High as u32) / 3_000 - 45;
    broadcast(&mut net, &mut camera, 30 * 5);
    let begin = began(&said(&net, viewer, 1));
    assert!(begin > u32::MAX - 46 * 3_000, "it does wrap: {begin}");
    assert_eq!(pictures_by_second(&net, viewer, 1), BTreeMap::from([(0, 61), (1, 60), (2, 60)]));
    assert_eq!(reached(&said(&net, viewer, 1)), [0, 1, 2, 3, 4]);
}

#[test]
fn viewers_that_are_not_metered_see_nothing_of_it() {
    let (mut net, metered, mut camera) = watching(1);
    let free = net.join_viewer(LayerChoice::Fixed(High));
    net.connect();
    meter(&mut net, free, 1);
    broadcast(&mut net, &mut camera, 30 * 4);
    assert_eq!(net.clients[free].pictures().len(), 241);
    assert_eq!(sounds(&net, free), 120);
    assert_no_hole(&net, free);
    assert_eq!(net.clients[metered].pictures().len(), 61);
    assert_eq!((camera.keys, said(&net, free, 1)), (1, Vec::new()));
}

#[test]
fn what_nobody_reads_is_bounded_and_shuts_the_gate_before_a_second_is_forgotten() {
    let (mut net, viewer, mut camera) = watching(1_000_000);
    broadcast(&mut net, &mut camera, 30);
    net.reads = false;
    broadcast(&mut net, &mut camera, 30 * 200);
    let sent = pictures_by_second(&net, viewer, 1);
    assert!((128..145).contains(&sent.len()), "{}", sent.len());
    net.reads = true;
    net.run_for(Duration::from_millis(10));
    let asked = net.events.iter().filter(|(_, event)| matches!(event, Event::KeyframeNeeded { .. }));
    assert!(asked.count() <= 2, "a key frame is of no use meanwhile");
    let unread = said(&net, viewer, 1);
    assert!(unread.len() < 150, "{}", unread.len());
    let overs = overs(&unread);
    for (second, packets) in &sent {
        assert_eq!((overs[*second as usize].0, overs[*second as usize].1), ((*second).into(), *packets));
    }
    assert_eq!(reached(&unread)[1..], [200], "the newest alone");
    broadcast(&mut net, &mut camera, 30);
    assert_eq!(pictures_by_second(&net, viewer, 1).keys().next_back(), Some(&201), "and then it goes on");
    assert_eq!(camera.keys, 2);
}

#[test]
fn an_event_that_finds_no_room_keeps_its_place() {
    let (mut net, _, mut camera) = watching(9);
    net.reads = false;
    broadcast(&mut net, &mut camera, 70);
    let mut events: Vec<_> = std::iter::from_fn(|| net.shard.poll_event()).collect();
    events.retain(|event| matches!(event, Event::Metered { .. }));
    assert!(events.len() >= 3, "{events:?}");
    let last = events[events.len() - 1].clone();
    broadcast(&mut net, &mut camera, 1);
    net.shard.unpoll_event(last.clone());
    while net.shard.event_backlog() > 0 {
        net.shard.poll_event();
    }
    assert_eq!(format!("{:?}", net.shard.poll_event()), format!("{:?}", Some(last)));
}

#[test]
fn what_is_open_is_told_before_the_viewer_is_gone() {
    let (mut net, viewer, mut camera) = watching(9);
    broadcast(&mut net, &mut camera, 45);
    let peer = net.clients[viewer].peer;
    net.order(Order::Close { peer });
    net.run_for(Duration::from_millis(10));
    let last: Vec<_> = net.events.iter().rev().take(2).map(|(_, event)| event).collect();
    assert!(matches!(last[0], Event::Closed { .. }), "{last:?}");
    let over = |event: &Event| match *event {
        Event::Metered { what: Metering::Over { second, sent, withheld, .. }, .. } => {
            (second, sent, withheld)
        }
        _ => panic!("{event:?}"),
    };
    assert_eq!(over(last[1]), (1, 30, 0));
}

#[test]
fn a_listener_without_pictures_is_metered_by_sound() {
    let mut net = Network::new();
    net.sound_alone = true;
    let viewer = net.join_metered(LayerChoice::Auto);
    net.connect();
    meter(&mut net, viewer, 1);
    allow(&mut net, viewer, 1, 2);
    let mut camera = Camera::new(High);
    broadcast(&mut net, &mut camera, 75);
    assert_eq!(sounds(&net, viewer), 60);
    allow(&mut net, viewer, 1, 9);
    broadcast(&mut net, &mut camera, 60);
    assert_eq!(sounds(&net, viewer), 120, "sound needs no key frame");
    let said = said(&net, viewer, 1);
    assert_eq!(said[0], Metering::Began { timestamp: 0, line: MeteredLine::Audio });
    assert_eq!(reached(&said), [0, 1, 2, 3, 4]);
    let overs = overs(&said);
    assert_eq!(overs[..3], [(0, 30, 0, 30), (1, 30, 0, 30), (2, 15, 15, 15)]);
}

#[test]
fn a_stream_without_pictures_is_metered_by_sound_until_the_next_session() {
    let mut net = Network::new();
    net.order(Order::SetLayers { stream: STREAM, layers: Vec::new() });
    let viewer = net.join_metered(LayerChoice::Auto);
    net.connect();
    meter(&mut net, viewer, 1);
    allow(&mut net, viewer, 1, 2);
    let mut frame = 0;
    let mut listen = |net: &mut Network, packets| {
        for _ in 0..packets {
            let captured = Some(net.clock.wall_of(net.now));
            net.forward(vec![(Lane::Audio, sound(frame, captured))]);
            frame += 1;
            net.run_for(FRAME);
        }
    };
    // Two seconds of 30 packets each, in case that pictures come.
    listen(&mut net, 150);
    assert_eq!(sounds(&net, viewer), 60);
    let first = said(&net, viewer, 1);
    assert!(matches!(first[0], Metering::Began { line: MeteredLine::Audio, .. }), "{first:?}");
    assert_eq!(overs(&first)[..2], [(0, 30, 0, 30), (1, 30, 0, 30)]);

    let layers = vec![crate::layer_choice::Layer { name: High, kbps: 4_000 }];
    net.order(Order::SetLayers { stream: STREAM, layers });
    let mut camera = Camera::new(High);
    camera.frame = frame;
    broadcast(&mut net, &mut camera, 30);
    assert!(net.clients[viewer].pictures().is_empty(), "pictures keep to what is allowed as well");
    meter(&mut net, viewer, 2);
    allow(&mut net, viewer, 2, 1);
    net.run_for(Duration::from_millis(1));
    broadcast(&mut net, &mut camera, 60);
    began(&said(&net, viewer, 2));
    assert_eq!(net.clients[viewer].pictures().len(), 61);
}

#[test]
fn a_tier_below_every_layer_gets_neither_pictures_nor_sound_until_a_lower_layer_comes() {
    let (mut net, viewer, mut camera) = watching(60);
    let (peer, stream) = (net.clients[viewer].peer, STREAM);
    let layers = |names: &[media::RenditionName]| {
        names.iter().map(|&name| Layer { name, kbps: name.default_kbps() }).collect()
    };
    net.order(Order::SetLayers { stream, layers: layers(&[High]) });
    net.order(Order::SetCap { peer, cap: Low });
    broadcast(&mut net, &mut camera, 120);
    assert!(net.clients[viewer].got.is_empty() && said(&net, viewer, 1).is_empty());

    net.order(Order::SetLayers { stream, layers: layers(&[Low, High]) });
    let mut low = Camera::new(Low);
    broadcast(&mut net, &mut low, 60);
    let pictures = net.clients[viewer].pictures();
    assert!(pictures.len() > 100 && pictures.iter().all(|(_, _, payload)| layer_of(payload) == Low as u8));

    // The low layer goes away in the middle: the high one does not take its place.
    net.order(Order::SetLayers { stream, layers: layers(&[High]) });
    net.clients[viewer].got.clear();
    camera.want_key = true;
    broadcast(&mut net, &mut camera, 60);
    assert_eq!(net.clients[viewer].pictures().len(), 0);
}
