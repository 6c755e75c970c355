use serde_json::Value;
use testkit::{CameraState, FakeCamera};

use crate::grab::Grab;

fn start(camera: &FakeCamera) -> Grab {
    Grab::start(&["camera", &camera.node().to_string_lossy()], camera.environment())
}

/// (burnt-in number, media time in ticks of 1/90000 s) of the next picture.
fn picture(line: &Value) -> Option<(u64, i64)> {
    Some((line["frame"].as_u64()?, line["picture"].as_i64()?))
}

#[test]
fn a_camera_is_listed_and_delivers_30_numbered_pictures_a_second() {
    let camera = FakeCamera::plug_in().unwrap();
    let mut grab = start(&camera);
    let listed = grab.next("the list", |line| line["cameras"].as_array().cloned());
    assert!(listed.iter().any(|name| *name == *camera.node().to_string_lossy()), "{listed:?}");
    let pictures: Vec<(u64, i64)> = (0..90).map(|_| grab.next("a picture", picture)).collect();
    assert!(pictures.windows(2).all(|pair| pair[0].0 < pair[1].0), "the numbers rise: {pictures:?}");
    // Time by our stamps against frames by the camera's count: 3 000 ticks each, whatever was skipped.
    let (first, last) = (pictures[0], pictures[89]);
    let ticks_per_frame = (last.1 - first.1) as f64 / (last.0 - first.0) as f64;
    println!("{:.3} fps, {} of 90 skipped", 90_000.0 / ticks_per_frame, last.0 - first.0 - 89);
    assert!((ticks_per_frame - 3_000.0).abs() < 60.0, "{ticks_per_frame}");
    grab.finish();
}

#[test]
fn pictures_are_stamped_with_the_time_of_their_capture() {
    let camera = FakeCamera::plug_in().unwrap();
    let mut grab = start(&camera);
    grab.wait_for_status("live");
    let mut offsets: Vec<f64> =
        (0..30).map(|_| grab.next("a picture", |line| line["made_ago_ms"].as_f64())).collect();
    offsets.sort_by(f64::total_cmp);
    // The camera burns its clock in when the picture is fetched, a little after the sensor's stamp.
    assert!(offsets[15].abs() < 20.0, "{offsets:?}");
}

#[test]
fn an_unplugged_camera_is_lost_with_a_message_and_comes_back_by_itself() {
    let camera = FakeCamera::plug_in().unwrap();
    let mut grab = start(&camera);
    let before = grab.next("a picture", picture);
    camera.unplug().unwrap();
    let message = grab.wait_for_status("lost");
    assert!(message.contains("was disconnected") || message.contains("is not there"), "{message}");
    assert!(message.contains("slate") && message.contains("onnect it"), "{message}");
    camera.set(CameraState::Working).unwrap();
    grab.wait_for_status("live");
    let after = grab.next("a picture", picture);
    assert!(after.1 > before.1, "media time goes on: {before:?}, {after:?}");
    grab.finish();
}

#[test]
fn a_camera_that_is_busy_or_refused_says_so_and_is_used_once_it_is_free() {
    let camera = FakeCamera::plug_in().unwrap();
    camera.set(CameraState::Busy).unwrap();
    let mut grab = start(&camera);
    assert!(grab.wait_for_status("lost").contains("used by another program"));
    camera.set(CameraState::Refused).unwrap();
    assert!(grab.wait_for_status("lost").contains("does not allow"));
    camera.set(CameraState::Working).unwrap();
    grab.wait_for_status("live");
    grab.next("a picture", picture);
}

#[test]
fn a_camera_that_goes_silent_is_lost_and_closing_it_does_not_hang() {
    let camera = FakeCamera::plug_in().unwrap();
    let mut grab = start(&camera);
    grab.next("a picture", picture);
    camera.set(CameraState::Silent).unwrap();
    assert!(grab.wait_for_status("lost").contains("stopped delivering"));
    // The driver's thread still waits for a frame in the system.
    grab.finish();
}

#[test]
fn a_camera_that_is_not_there_is_told_from_one_that_fails() {
    let camera = FakeCamera::plug_in().unwrap();
    camera.unplug().unwrap();
    let mut grab = start(&camera);
    assert!(grab.wait_for_status("lost").contains("is not there"));
    camera.set(CameraState::Working).unwrap();
    grab.wait_for_status("live");
}
