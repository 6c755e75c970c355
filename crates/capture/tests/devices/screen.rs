use serde_json::{Value, json};
use testkit::Xvfb;

use crate::grab::Grab;

/// Waits for a picture with this RGBA in its middle; gives its size.
fn wait_for_middle(grab: &mut Grab, rgba: [u8; 4]) -> (u64, u64) {
    grab.next(&format!("a picture in {rgba:?}"), |line: &Value| {
        let size = (line["width"].as_u64()?, line["height"].as_u64()?);
        (line["middle"] == json!(rgba)).then_some(size)
    })
}

#[test]
fn a_screen_is_captured_in_its_colours_and_follows_them() {
    let display = Xvfb::start(640, 360).unwrap();
    display.fill("#2080c0").unwrap();
    let mut grab = Grab::start(&["screen"], display.environment());
    assert_eq!(wait_for_middle(&mut grab, [0x20, 0x80, 0xc0, 255]), (640, 360));
    display.fill("#c04010").unwrap();
    wait_for_middle(&mut grab, [0xc0, 0x40, 0x10, 255]);
    grab.finish();
}

#[test]
fn a_display_that_ends_is_lost_with_a_message() {
    let display = Xvfb::start(320, 240).unwrap();
    display.fill("#ffffff").unwrap();
    let mut grab = Grab::start(&["screen"], display.environment());
    grab.wait_for_status("live");
    drop(display);
    let message = grab.wait_for_status("lost");
    assert!(message.contains("screen “primary”") && message.contains("slate"), "{message}");
    grab.finish();
}
