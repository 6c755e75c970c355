//! Layers: what a viewer gets when it or its bandwidth changes its mind.

use std::time::Duration;

use media::RenditionName::{High, Low, Medium};

use super::network::*;
use crate::command::Order;
use crate::event::Event;
use crate::layer_choice::LayerChoice;

#[test]
fn a_switch_happens_on_a_key_frame_and_the_numbering_goes_on() {
    let mut net = Network::new();
    let viewer = net.join_viewer(LayerChoice::Fixed(Low));
    net.connect();
    let mut cameras = [Camera::new(Low), Camera::new(High)];
    play(&mut net, &mut cameras, 30);
    let peer = net.clients[viewer].peer;
    for _ in 0..2 {
        net.order(Order::SetLayer { peer, choice: LayerChoice::Fixed(High) });
        play(&mut net, &mut cameras, 30);
        net.order(Order::SetLayer { peer, choice: LayerChoice::Fixed(Low) });
        play(&mut net, &mut cameras, 30);
    }
    let pictures = net.clients[viewer].pictures();
    let mut switches = 0;
    for pair in pictures.windows(2) {
        let ((seq, timestamp, before), (next_seq, next_timestamp, after)) = (&pair[0], &pair[1]);
        assert_eq!(*next_seq, seq + 1);
        let step = next_timestamp.wrapping_sub(*timestamp);
        if layer_of(before) != layer_of(after) {
            switches += 1;
            assert!(is_key_start(after), "a layer begins with its key frame");
            // Both layers of a picture are captured at once; the new one comes a tick later, or a frame.
            assert!(step > 0 && step <= 3_003, "{step}");
        } else {
            assert!(step == 0 || step.abs_diff(3_000) <= 3_000, "{step}");
        }
    }
    assert_eq!(switches, 4);
    assert!(pictures.len() > 2 * 140, "the old layer ran until the new one came: {}", pictures.len());
}

#[test]
fn the_old_layer_runs_while_the_new_one_has_no_key_frame() {
    let mut net = Network::new();
    let viewer = net.join_viewer(LayerChoice::Fixed(Low));
    net.connect();
    let mut low = [Camera::new(Low)];
    play(&mut net, &mut low, 10);
    let peer = net.clients[viewer].peer;
    net.order(Order::SetLayer { peer, choice: LayerChoice::Fixed(High) });
    let before = net.clients[viewer].got.len();
    let mut high = Camera::new(High);
    high.want_key = false;
    for _ in 0..60 {
        let packets = high.picture(None);
        net.forward(packets.into_iter().map(|p| (crate::packet::Lane::Video(High), p)).collect());
        play(&mut net, &mut low, 1);
    }
    let pictures = net.clients[viewer].pictures();
    assert_eq!(net.clients[viewer].got.len() - before, 120);
    assert!(pictures.iter().all(|(_, _, payload)| layer_of(payload) == Low as u8));
    // Two seconds: at once, then every half second.
    let asked = net.events.iter().filter(|(_, e)| matches!(e, Event::KeyframeNeeded { layer: High, .. }));
    assert!((4..=5).contains(&asked.count()));
}

#[test]
fn a_lower_tier_takes_effect_on_a_running_viewer() {
    let mut net = Network::new();
    let viewer = net.join_viewer(LayerChoice::Fixed(High));
    net.connect();
    let mut cameras = LADDER.map(Camera::new);
    play(&mut net, &mut cameras, 20);
    let peer = net.clients[viewer].peer;
    net.order(Order::SetCap { peer, cap: Medium });
    play(&mut net, &mut cameras, 20);
    let pictures = net.clients[viewer].pictures();
    assert_eq!(layer_of(&pictures[pictures.len() - 1].2), Medium as u8);
}

#[test]
fn an_automatic_viewer_on_a_free_network_climbs_to_the_top() {
    let mut net = Network::new();
    let viewer = net.join_viewer(LayerChoice::Auto);
    net.connect();
    let mut cameras = LADDER.map(Camera::new);
    for (camera, packets) in cameras.iter_mut().zip([4, 7, 14]) {
        // 14 packets of 1 190 bytes 30 times a second are 4 Mbit/s.
        camera.shape = (packets, 1_190);
    }
    play(&mut net, &mut cameras, 30 * 30);
    let changes: Vec<_> = net
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::LayerChanged { layer, .. } => Some(*layer),
            _ => None,
        })
        .collect();
    assert_eq!(changes, [Medium, High], "{:?}", net.stats);
    let _ = (viewer, Duration::ZERO);
}

#[test]
fn a_restarted_source_goes_on_from_its_next_key_frame() {
    let mut net = Network::new();
    let viewer = net.join_viewer(LayerChoice::Fixed(High));
    net.connect();
    play(&mut net, &mut [Camera::new(High)], 20);
    net.order(Order::RestartStream { stream: STREAM });
    let mut again = Camera::new(High);
    again.want_key = false;
    again.frame = 1_000_000;
    play(&mut net, &mut [again], 20);
    let pictures = net.clients[viewer].pictures();
    for pair in pictures.windows(2) {
        assert_eq!(pair[1].0, pair[0].0 + 1);
        assert!(pair[1].1.wrapping_sub(pair[0].1) < 90_000);
    }
    assert_eq!(pictures.iter().filter(|(_, _, payload)| is_key_start(payload)).count(), 2);
}
