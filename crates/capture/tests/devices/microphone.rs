use std::f64::consts::TAU;

use serde_json::Value;
use testkit::AudioServer;

use crate::grab::Grab;

const HERTZ: f64 = 440.0;
/// −12.04 dBFS.
const AMPLITUDE: f64 = 0.25;

fn sine(seconds: usize) -> Vec<f32> {
    let left = |n: usize| (AMPLITUDE * (n as f64 * TAU * HERTZ / 48_000.0).sin()) as f32;
    (0..seconds * 48_000).flat_map(|n| [left(n); 2]).collect()
}

struct Heard {
    ticks: i64,
    left: Vec<f64>,
}

fn sound(line: &Value) -> Option<Heard> {
    assert!(line["rate"].is_null() || line["rate"] == 48_000, "the server's rate: {line}");
    let left = line["left"].as_array()?.iter().filter_map(Value::as_f64).collect();
    Some(Heard { ticks: line["sound"].as_i64()?, left })
}

fn is_sounding(heard: &Heard) -> bool {
    heard.left.iter().any(|v| v.abs() > 0.1)
}

fn next_sounding(grab: &mut Grab) -> Heard {
    grab.next("the sine", |line| sound(line).filter(is_sounding))
}

/// Frequency by the median distance of interpolated rising zero crossings: where the sound server drops a
/// block on a crowded machine, one distance is wrong and the median is not.
fn hertz_of(samples: &[f64]) -> f64 {
    let crossings: Vec<f64> = (1..samples.len())
        .filter(|&n| samples[n - 1] < 0.0 && samples[n] >= 0.0)
        .map(|n| n as f64 - samples[n] / (samples[n] - samples[n - 1]))
        .collect();
    let mut periods: Vec<f64> = crossings.windows(2).map(|pair| pair[1] - pair[0]).collect();
    periods.sort_by(f64::total_cmp);
    48_000.0 / periods[periods.len() / 2]
}

#[test]
fn what_a_loudspeaker_plays_is_heard_at_its_pitch_and_level() {
    let server = AudioServer::start().unwrap();
    let mut grab = Grab::start(&["microphone", AudioServer::MICROPHONE], server.environment());
    let listed = grab.next("the list", |line| line["microphones"].as_array().cloned());
    assert!(listed.iter().any(|name| name == AudioServer::MICROPHONE), "{listed:?}");
    grab.wait_for_status("live");
    let _player = server.play(&sine(20)).unwrap();
    let first = next_sounding(&mut grab);
    // The fade of the player's start is left out, then one second is looked at.
    let mut heard: Vec<Heard> = vec![first];
    while heard.iter().map(|block| block.left.len()).sum::<usize>() < 72_000 {
        heard.push(grab.next("more sound", sound));
    }
    let samples: Vec<f64> = heard.iter().flat_map(|block| &block.left).copied().skip(24_000).collect();
    let hertz = hertz_of(&samples);
    let rms = (samples.iter().map(|v| v * v).sum::<f64>() / samples.len() as f64).sqrt();
    println!("{hertz:.3} Hz, {:.2} dBFS rms", 20.0 * rms.log10());
    assert!((hertz - HERTZ).abs() < 0.1, "{hertz} Hz");
    // A sine's root mean square is its amplitude over √2.
    let expected = AMPLITUDE / 2.0_f64.sqrt();
    assert!((20.0 * (rms / expected).log10()).abs() < 0.2, "{rms} for {expected}");
    // Stamps and samples tell the same time: 1 tick a frame.
    let frames: usize = heard[..heard.len() - 1].iter().map(|block| block.left.len()).sum();
    let ticks = heard[heard.len() - 1].ticks - heard[0].ticks;
    assert!((ticks - frames as i64).abs() < 2_400, "{ticks} ticks for {frames} frames");
    grab.finish();
}

#[test]
fn what_our_own_playback_plays_is_heard_as_it_was() {
    let server = AudioServer::start().unwrap();
    let mut grab = Grab::start(&["microphone", AudioServer::MICROPHONE], server.environment());
    grab.wait_for_status("live");
    let mut tone = Grab::start(&["tone", AudioServer::LOUDSPEAKER], server.environment());
    let delay_ms = tone.next("a second of playing", |line| line["delay_ms"].as_f64());
    assert!((1.0..1_000.0).contains(&delay_ms), "{delay_ms} ms from push to loudspeaker");
    next_sounding(&mut grab);
    let samples: Vec<f64> = (0..100).flat_map(|_| grab.next("more sound", sound).left).collect();
    assert!((hertz_of(&samples) - HERTZ).abs() < 0.1);
    let peak = samples.iter().fold(0.0_f64, |peak, v| peak.max(v.abs()));
    assert!((peak - AMPLITUDE).abs() < 0.01, "{peak}");
    tone.finish();
    grab.finish();
}

#[test]
fn a_microphone_whose_server_ends_is_lost_and_comes_back() {
    let mut server = AudioServer::start().unwrap();
    let mut grab = Grab::start(&["microphone", AudioServer::MICROPHONE], server.environment());
    grab.wait_for_status("live");
    server.stop();
    let message = grab.wait_for_status("lost");
    assert!(message.contains("silence") && message.contains("microphone"), "{message}");
    server.restart().unwrap();
    grab.wait_for_status("live");
    let _player = server.play(&sine(20)).unwrap();
    next_sounding(&mut grab);
    grab.finish();
}
