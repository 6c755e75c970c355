//! Joining: what goes in by WHIP comes out by WHEP.

use std::time::Duration;

use super::network::*;
use crate::layer_choice::LayerChoice;

const FRAME: Duration = Duration::from_millis(33);

/// Publishes `frames` pictures of every layer, answering key-frame requests as an encoder does.
pub fn publish(net: &mut Network, publisher: usize, cameras: &mut [Camera], frames: usize) {
    for _ in 0..frames {
        let asked = std::mem::take(&mut net.clients[publisher].keyframes_asked);
        for camera in cameras.iter_mut() {
            camera.want_key |= asked.iter().any(|rid| rid.as_deref() == Some(camera.layer.rid()));
            for packet in camera.picture(None) {
                let now = net.now;
                net.clients[publisher].send(now, Some(camera.layer.rid()), &packet);
                // The session sends on each layer in turn.
                net.run_for(Duration::from_micros(200));
            }
        }
        net.run_for(FRAME);
    }
}

#[test]
fn each_layer_of_a_simulcast_publisher_reaches_a_viewer_that_wants_it() {
    let mut net = Network::new();
    let publisher = net.join_publisher();
    let viewers = LADDER.map(|name| net.join_viewer(LayerChoice::Fixed(name)));
    net.connect();
    let mut cameras = LADDER.map(Camera::new);
    publish(&mut net, publisher, &mut cameras, 40);
    for (viewer, name) in viewers.into_iter().zip(LADDER) {
        let pictures = net.clients[viewer].pictures();
        assert!(pictures.len() > 40, "{name}: {}", pictures.len());
        assert!(is_key_start(&pictures[0].2), "{name} starts on a key frame");
        assert!(pictures.iter().all(|(_, _, payload)| layer_of(payload) == name as u8), "{name} alone");
        for pair in pictures.windows(2) {
            assert_eq!(pair[1].0, pair[0].0 + 1, "{name} has no hole");
        }
    }
}
