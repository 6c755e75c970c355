//! What is said where no display answers.

use std::process::Command;

use testkit::LoggedChild;

use crate::broadcasts::{LIMIT, TICKCAST};

/// A number that nobody has.
const DEAD: &str = ":987";

/// What the executable says where `DISPLAY` is dead, and where it is missing.
fn said_without_display(arguments: &[&str]) -> [String; 2] {
    [Some(DEAD), None].map(|display| {
        let home = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(TICKCAST);
        // Else a backtrace would show only where somebody asked for one.
        command.args(arguments).env("HOME", home.path()).env("RUST_BACKTRACE", "1");
        for name in ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET", "XDG_RUNTIME_DIR"] {
            command.env_remove(name);
        }
        command.envs(display.map(|number| ("DISPLAY", number)));
        let mut child = LoggedChild::spawn("tickcast", &mut command).expect("it starts");
        let status = child.wait(LIMIT).expect("it ends");
        let said = child.errors();
        assert_eq!(status.code(), Some(1), "DISPLAY {display:?}: {said}");
        for word in ["panicked", "backtrace", ".rs:"] {
            assert!(!said.contains(word), "DISPLAY {display:?}: {said}");
        }
        said
    })
}

#[cfg(feature = "desk")]
#[test]
fn the_desk_says_that_no_display_answers_and_what_to_do() {
    for said in said_without_display(&[]) {
        assert!(
            said.contains("tickcast: no graphical session answers, so the Desk cannot be opened."),
            "{said}"
        );
        assert!(said.contains("Open it from a desktop (DISPLAY or WAYLAND_DISPLAY say where)"), "{said}");
    }
}

#[cfg(feature = "windows")]
#[test]
fn the_stage_says_that_no_display_answers_and_what_to_do() {
    for said in said_without_display(&["stage"]) {
        assert!(
            said.contains("tickcast: no graphical session answers, so the window cannot be opened."),
            "{said}"
        );
        assert!(said.contains("use `tickcast engine`, which needs none"), "{said}");
    }
}
