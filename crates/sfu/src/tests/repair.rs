//! Loss: what the network drops is sent again.

use std::time::{Duration, Instant, SystemTime};

use media::WallTime;

use super::join::publish;
use super::network::*;
use crate::config::Clock;
use crate::event::Event;
use crate::layer_choice::LayerChoice;

#[test]
fn a_viewer_that_loses_one_packet_in_twenty_gets_them_all() {
    let mut net = Network::new();
    let viewer = net.join_viewer(LayerChoice::Fixed(LADDER[2]));
    net.connect();
    net.lose_one_in = Some(20);
    let mut camera = [Camera::new(LADDER[2])];
    camera[0].shape = (5, 400);
    play(&mut net, &mut camera, 300);
    net.lose_one_in = None;
    play(&mut net, &mut camera, 30);
    assert!(net.lost > 50, "the network did lose: {}", net.lost);
    let pictures = net.clients[viewer].pictures();
    for pair in pictures.windows(2) {
        assert_eq!(pair[1].0, pair[0].0 + 1, "no hole, nothing twice");
    }
    assert!(pictures.len() >= 329 * 5, "{}", pictures.len());
    let stats = net.stats[&net.clients[viewer].peer];
    assert!(stats.nacks > 0 && stats.loss.is_some(), "{stats:?}");
    assert_eq!(camera[0].keys, 1, "no key frame was needed");
}

#[test]
fn a_publishers_lost_packets_are_asked_for_and_arrive_in_order() {
    let mut net = Network::new();
    let publisher = net.join_publisher();
    net.connect();
    net.lose_one_in = Some(20);
    let mut cameras = LADDER.map(Camera::new);
    publish(&mut net, publisher, &mut cameras, 100);
    net.lose_one_in = None;
    publish(&mut net, publisher, &mut cameras, 20);
    assert!(net.lost > 20, "the network did lose: {}", net.lost);
    let mut last = std::collections::HashMap::new();
    let mut count = 0;
    for (_, event) in &net.events {
        let Event::PublisherMedia { source, packet, lost, .. } = event else { continue };
        assert_eq!(*lost, 0);
        if let Some(before) = last.insert(source.clone(), packet.seq) {
            assert_eq!(packet.seq, before + 1, "{source:?}");
        }
        count += 1;
    }
    assert!(count >= 3 * 2 * 115, "{count}");
}

#[test]
fn a_publishers_packets_carry_the_time_of_their_capture() {
    let mut net = Network::new();
    let publisher = net.join_publisher();
    net.connect();
    let mut cameras = LADDER.map(Camera::new);
    publish(&mut net, publisher, &mut cameras, 90);
    let (mut stamped, mut total) = (0, 0);
    for (at, event) in &net.events {
        let Event::PublisherMedia { packet, .. } = event else { continue };
        total += 1;
        let Some(captured) = packet.captured else { continue };
        stamped += 1;
        // Written when captured, and 2 ms on the way: what is ahead of that was never measured.
        let age = net.clock.wall_of(*at).millis_since(captured);
        assert!((-0.5..40.0).contains(&age), "{age} ms");
    }
    // The first report comes within a second.
    assert!(stamped * 2 > total, "{stamped} of {total}");
}

/// How old packets are by the server's clock when they come, where that is so far off their publisher's.
fn ages(clock: Clock) -> Vec<f64> {
    let mut net = Network::with_clock(clock);
    let publisher = net.join_publisher();
    net.connect();
    let mut cameras = LADDER.map(Camera::new);
    publish(&mut net, publisher, &mut cameras, 90);
    let captured = |event: &Event| match event {
        Event::PublisherMedia { packet, .. } => packet.captured,
        _ => None,
    };
    let aged = net.events.iter().filter_map(|(at, event)| Some((at, captured(event)?)));
    let ages: Vec<_> = aged.map(|(at, captured)| net.clock.wall_of(*at).millis_since(captured)).collect();
    assert!(ages.len() > 100);
    ages
}

#[test]
fn a_publisher_whose_clock_is_ahead_never_captures_in_the_future() {
    let off = WallTime::from_system(SystemTime::now() - Duration::from_secs(600));
    let ages = ages(Clock::new(Instant::now(), off));
    assert!(ages.iter().all(|age| (-0.5..40.0).contains(age)), "{ages:?}");
}

#[test]
fn a_publisher_whose_clock_is_behind_never_captures_before_it_came() {
    for behind_s in [6, 3_600] {
        let off = WallTime::from_system(SystemTime::now() + Duration::from_secs(behind_s));
        let ages = ages(Clock::new(Instant::now(), off));
        assert!(ages.iter().all(|age| (-40.0..40.0).contains(age)), "{behind_s} s: {ages:?}");
    }
}
