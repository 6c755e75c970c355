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

#[test]
fn a_window_is_captured_by_its_title_or_a_part_of_it_and_is_lost_when_it_closes() {
    let display = Xvfb::start(640, 360).unwrap();
    display.fill("#000000").unwrap();
    let notes = display.show("Notes for today", "#2080c0", (200, 100), (10, 10)).unwrap();
    let other = display.show("Other", "#c04010", (120, 80), (10, 200)).unwrap();
    for (title, rgba, size) in [
        ("Notes for today", [0x20, 0x80, 0xc0, 255], (200, 100)),
        ("today", [0x20, 0x80, 0xc0, 255], (200, 100)),
        ("Other", [0xc0, 0x40, 0x10, 255], (120, 80)),
    ] {
        let mut grab = Grab::start(&["window", title], display.environment());
        let listed = grab.next("the list", |line| Some(line["listed"].as_array()?.clone()));
        assert!(listed.iter().any(|name| name.as_str().is_some_and(|name| name.starts_with("Other"))));
        assert_eq!(wait_for_middle(&mut grab, rgba), size, "{title}");
        grab.finish();
    }
    let mut grab = Grab::start(&["window", "Notes"], display.environment());
    grab.wait_for_status("live");
    drop((notes, other));
    let message = grab.wait_for_status("lost");
    assert!(message.contains("Notes"), "{message}");
    grab.finish();
}
