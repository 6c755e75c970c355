//! Loss: what the network drops is sent again.

use super::join::publish;
use super::network::*;
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
