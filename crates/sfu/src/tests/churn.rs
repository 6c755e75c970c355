//! Peers come and go: nothing stays behind.

use std::net::SocketAddr;
use std::time::Duration;

use super::network::*;
use crate::command::Order;
use crate::event::{CloseReason, Event};
use crate::layer_choice::LayerChoice;

#[test]
fn a_hundred_joins_and_leaves_leave_nothing_behind() {
    let mut net = Network::new();
    let before = net.shard.entries();
    let mut camera = [Camera::new(LADDER[2])];
    for round in 0..10 {
        for _ in 0..10 {
            net.join_viewer(LayerChoice::Auto);
        }
        net.connect();
        play(&mut net, &mut camera, 5);
        for (at, client) in net.clients.iter_mut().enumerate() {
            match at % 3 {
                0 => client.dead = true,
                1 => client.rtc.close().unwrap(),
                _ => {}
            }
        }
        for at in (2..10).step_by(3) {
            let peer = net.clients[at].peer;
            net.order(Order::Close { peer });
        }
        net.run_for(Duration::from_secs(12));
        net.clients.clear();
        assert_eq!(net.closed.len(), (round + 1) * 10, "each peer is reported once");
        assert_eq!(net.shard.entries(), before);
    }
    let count = |reason| net.closed.values().filter(|r| **r == reason).count();
    assert_eq!(count(CloseReason::TimedOut), 40);
    assert_eq!(count(CloseReason::ByPeer), 30);
    assert_eq!(count(CloseReason::Requested), 30);
}

#[test]
fn a_peer_that_never_connects_is_dropped() {
    let mut net = Network::new();
    let viewer = net.join_viewer(LayerChoice::Auto);
    net.clients[viewer].dead = true;
    net.run_for(Duration::from_secs(14));
    assert_eq!(net.shard.peer_count(), 1);
    net.run_for(Duration::from_secs(2));
    assert_eq!(net.shard.peer_count(), 0);
    assert_eq!(net.closed[&net.clients[viewer].peer], CloseReason::NeverConnected);
}

#[test]
fn a_silent_peer_stays_as_long_as_its_checks_come() {
    let mut net = Network::new();
    net.join_viewer(LayerChoice::Auto);
    net.connect();
    net.run_for(Duration::from_secs(120));
    assert_eq!(net.shard.peer_count(), 1);
}

#[test]
fn closing_a_stream_closes_its_viewers_and_no_others() {
    let mut net = Network::new();
    let viewer = net.join_viewer(LayerChoice::Auto);
    let publisher = net.join_publisher();
    net.connect();
    net.order(Order::CloseStream { stream: STREAM });
    net.run_for(Duration::from_millis(100));
    assert_eq!(net.closed[&net.clients[viewer].peer], CloseReason::StreamEnded);
    assert!(!net.closed.contains_key(&net.clients[publisher].peer));
}

#[test]
fn a_viewer_whose_address_changes_goes_on_after_its_next_check() {
    let mut net = Network::new();
    let viewer = net.join_viewer(LayerChoice::Fixed(LADDER[2]));
    net.connect();
    let mut camera = [Camera::new(LADDER[2])];
    play(&mut net, &mut camera, 30);
    net.clients[viewer].nat = Some(SocketAddr::from(([10, 9, 9, 9], 9)));
    play(&mut net, &mut camera, 150);
    let before = net.clients[viewer].got.len();
    play(&mut net, &mut camera, 30);
    assert_eq!(net.clients[viewer].got.len() - before, 60);
    assert_eq!(net.shard.peer_count(), 1);
}

#[test]
fn a_restart_of_ice_changes_credentials_and_keeps_the_media() {
    let mut net = Network::new();
    let viewer = net.join_viewer(LayerChoice::Fixed(LADDER[2]));
    net.connect();
    let mut camera = [Camera::new(LADDER[2])];
    play(&mut net, &mut camera, 30);
    let before = net.shard.entries();
    net.restart_ice(viewer);
    play(&mut net, &mut camera, 60);
    let got = net.clients[viewer].got.len();
    play(&mut net, &mut camera, 30);
    assert_eq!(net.clients[viewer].got.len() - got, 60);
    assert_eq!(net.shard.entries(), before);
    let connects = net.events.iter().filter(|(_, e)| matches!(e, Event::Connected { .. })).count();
    assert_eq!(connects, 1, "DTLS goes on");
}
