//! Joining: what goes in by WHIP comes out by WHEP.

use std::collections::BTreeSet;
use std::time::Duration;

use media::{Timescale, Timestamp, WallTime};

use super::network::*;
use crate::layer_choice::LayerChoice;
use crate::packet::{Lane, RtpPacket};

/// Publishes `frames` pictures of every layer, answering key-frame requests as an encoder does.
pub fn publish(net: &mut Network, publisher: usize, cameras: &mut [Camera], frames: usize) {
    for _ in 0..frames {
        let due = net.now + FRAME;
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
        net.run_until(due, |_| false);
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

#[test]
fn the_answer_keeps_every_rid_of_a_simulcast_offer() {
    let mut net = Network::new();
    let publisher = net.join_publisher();
    let answer = &net.clients[publisher].answer;
    for name in LADDER {
        assert!(answer.contains(&format!("a=rid:{} recv", name.rid())), "{answer}");
    }
    assert!(answer.contains("a=simulcast:recv l;m;h"), "{answer}");
    assert!(answer.contains("a=ice-lite"), "{answer}");
}

#[test]
fn media_is_protected_with_aes_gcm() {
    let mut net = Network::new();
    let viewer = net.join_viewer(LayerChoice::Fixed(LADDER[2]));
    net.connect();
    let mut camera = [Camera::new(LADDER[2])];
    camera[0].shape = (1, 300);
    play(&mut net, &mut camera, 10);
    let datagram = net.clients[viewer].datagrams.iter().find(|d| d.len() > 300).unwrap();
    // RFC 3550 §5.1: fixed header, contributing sources, extension of whole words.
    let sources = usize::from(datagram[0] & 0x0f) * 4;
    let words = u16::from_be_bytes([datagram[12 + sources + 2], datagram[12 + sources + 3]]);
    let header = 12 + sources + 4 + 4 * usize::from(words);
    // An AEAD tag has 16 bytes (RFC 7714 §5.2), that of HMAC-SHA1-80 ten.
    assert_eq!(datagram.len() - header - 300, 16);
}

#[test]
fn a_viewer_that_joins_in_mid_gop_starts_with_a_key_frame_that_was_asked_for() {
    let mut net = Network::new();
    let mut camera = [Camera::new(LADDER[2])];
    play(&mut net, &mut camera, 20);
    assert!(net.keyframe_requests.is_empty(), "nobody watches");
    let viewer = net.join_viewer(LayerChoice::Fixed(LADDER[2]));
    net.connect();
    play(&mut net, &mut camera, 20);
    let pictures = net.clients[viewer].pictures();
    assert!(is_key_start(&pictures[0].2));
    assert!(camera[0].keys == 2, "the first picture, and the one that was asked for: {}", camera[0].keys);
}

#[test]
fn ten_viewers_that_join_at_once_cost_one_key_frame() {
    let mut net = Network::new();
    let mut camera = [Camera::new(LADDER[2])];
    play(&mut net, &mut camera, 5);
    for _ in 0..10 {
        net.join_viewer(LayerChoice::Fixed(LADDER[2]));
    }
    net.connect();
    play(&mut net, &mut camera, 40);
    assert_eq!(camera[0].keys, 2);
    assert!(net.clients.iter().all(|viewer| viewer.pictures().len() > 60));
}

#[test]
fn sound_reaches_a_viewer_without_waiting_for_a_key_frame() {
    let mut net = Network::new();
    let viewer = net.join_viewer(LayerChoice::Auto);
    net.connect();
    for seq in 0..50 {
        let payload = vec![0xfc, 1, 2].into();
        let packet = RtpPacket { seq, timestamp: 960 * seq as u32, marker: false, payload, captured: None };
        net.forward(vec![(Lane::Audio, packet)]);
        net.run_for(Duration::from_millis(20));
    }
    assert_eq!(net.clients[viewer].got.len(), 50);
}

#[test]
fn a_sender_report_maps_rtp_time_to_the_time_of_capture() {
    let mut net = Network::new();
    let viewer = net.join_viewer(LayerChoice::Fixed(LADDER[2]));
    net.connect();
    // A stream without packets must report nothing: it could only state a false RTP time.
    net.run_for(Duration::from_secs(3));
    let mut camera = Camera::new(LADDER[2]);
    let age = Duration::from_millis(80);
    let mut captured = Vec::new();
    for _ in 0..90 {
        let wall = net.clock.wall_of(net.now - age);
        let packets = camera.picture(Some(wall));
        captured.push((packets[0].timestamp, wall));
        net.forward(packets.into_iter().map(|packet| (Lane::Video(camera.layer), packet)).collect());
        net.run_for(FRAME);
    }
    let last = net.clients[viewer].got.last().unwrap();
    let report = last.last_sender_info.unwrap();
    // The report's pair, moved to the time of a picture, must give when that picture was captured.
    let (timestamp, wall) = captured[60];
    let ticks = i64::from(timestamp) - report.rtp_time.numer() as i64;
    let stated = WallTime::from_system(report.ntp_time).plus(Timestamp::new(ticks, Timescale::VIDEO));
    let error = stated.millis_since(wall);
    assert!(error.abs() < 5.0, "{error} ms");
    assert!(
        net.clients[viewer].got.iter().filter_map(|p| p.last_sender_info).all(|r| r.rtp_time.numer() > 0)
    );
}

#[test]
fn sound_and_pictures_that_begin_together_both_report_true_times() {
    let mut net = Network::new();
    let viewer = net.join_viewer(LayerChoice::Fixed(LADDER[2]));
    net.connect();
    let mut camera = Camera::new(LADDER[2]);
    for seq in 0..90 {
        let wall = net.clock.wall_of(net.now - Duration::from_millis(80));
        let video = camera.picture(Some(wall)).into_iter().map(|packet| (Lane::Video(camera.layer), packet));
        let payload = vec![0xfc, 1, 2].into();
        let timestamp = 700_000 + 1600 * seq as u32;
        let audio = RtpPacket { seq, timestamp, marker: false, payload, captured: Some(wall) };
        net.forward(video.chain([(Lane::Audio, audio)]).collect());
        net.run_for(FRAME);
    }
    let reports: Vec<_> = net.clients[viewer].got.iter().filter_map(|p| p.last_sender_info).collect();
    let sources: BTreeSet<u32> = reports.iter().map(|report| *report.ssrc).collect();
    assert_eq!(sources.len(), 2, "both were reported");
    assert!(reports.iter().all(|report| report.rtp_time.numer() > 0), "{reports:?}");
}
