//! Keys as a person presses them, and gives other ones.

use studio::{BroadcastFile, Collection};

use super::*;
use crate::hotkeys::{Action, Hotkeys};

const FILE: &str = r##"
version = 2
sources = []
[[scenes]]
name = "Main"
[[scenes]]
name = "Break"
[[scenes]]
name = "End"
"##;

fn scenes() -> View {
    let collection = Collection::of(&BroadcastFile::parse(FILE).expect("a broadcast file"));
    View { editing: Some((0, collection)), ..preview() }
}

fn shown(window: &Harness<'_, State>) -> String {
    let (_, editor) = window.state().panels.editor.as_ref().expect("there are scenes");
    editor.scene().name.clone()
}

fn press(window: &mut Harness<'_, State>, modifiers: Modifiers, key: Key) {
    window.key_press_modifiers(modifiers, key);
    window.run_steps(3);
}

fn click(window: &mut Harness<'_, State>, label: &str) {
    window.get_by_label(label).click();
    // A dialog finds its size, and then its place.
    window.run_steps(10);
}

/// What was asked for last is so from then on, as the studio's thread has it.
fn take(window: &mut Harness<'_, State>) -> Hotkeys {
    let Some(Order::Hotkeys(hotkeys)) = window.state_mut().orders.pop() else { panic!("other keys") };
    window.state_mut().view.hotkeys = hotkeys.clone();
    window.run_steps(2);
    hotkeys
}

#[test]
fn scenes_are_switched_by_their_numbers_and_one_after_the_other() {
    let mut window = window(scenes());
    press(&mut window, Modifiers::COMMAND, Key::Num3);
    assert_eq!(shown(&window), "End");
    press(&mut window, Modifiers::COMMAND, Key::PageDown);
    assert_eq!(shown(&window), "End", "there is none after it");
    press(&mut window, Modifiers::COMMAND, Key::PageUp);
    assert_eq!(shown(&window), "Break");
    press(&mut window, Modifiers::COMMAND, Key::Num9);
    assert_eq!(shown(&window), "Break");
}

#[test]
fn an_action_gets_other_keys_and_whichever_had_them_is_told() {
    let mut window = window(scenes());
    click(&mut window, "Keys");
    click(&mut window, "Change: Record, or stop");
    // What they did before they do not do while they are waited for.
    press(&mut window, Modifiers::COMMAND, Key::L);
    assert!(matches!(window.state().orders[..], [Order::Hotkeys(_)]), "{:?}", window.state().orders);
    window.get_by_label("Go live, or end had these keys, and has none now.");
    take(&mut window);
    click(&mut window, "Done");
    press(&mut window, Modifiers::COMMAND, Key::L);
    assert!(matches!(window.state().orders[..], [Order::Record]), "{:?}", window.state().orders);
    window.state_mut().orders.clear();
    press(&mut window, Modifiers::COMMAND, Key::R);
    assert!(window.state().orders.is_empty());
}

#[test]
fn keys_are_taken_away_given_up_refused_and_set_back() {
    let mut window = window(scenes());
    click(&mut window, "Keys");
    click(&mut window, "Change: Statistics");
    press(&mut window, Modifiers::NONE, Key::Tab);
    window.get_by_label_contains("That key moves through the window");
    assert!(window.state().orders.is_empty());
    click(&mut window, "Change: Statistics");
    press(&mut window, Modifiers::NONE, Key::Escape);
    assert!(window.state().orders.is_empty());
    click(&mut window, "Change: Statistics");
    press(&mut window, Modifiers::NONE, Key::Delete);
    let hotkeys = take(&mut window);
    assert_eq!(hotkeys.shown(&window.ctx, Action::Statistics), None);
    click(&mut window, "As usual");
    assert_eq!(take(&mut window), Hotkeys::default());
}

#[test]
fn letters_without_ctrl_are_text_where_text_is_written() {
    let mut hotkeys = Hotkeys::default();
    hotkeys.set(Action::Record, egui::KeyboardShortcut::new(Modifiers::NONE, Key::B)).expect("a key");
    let mut window = window(View { hotkeys, ..scenes() });
    press(&mut window, Modifiers::NONE, Key::B);
    assert!(matches!(window.state().orders[..], [Order::Record]));
    window.state_mut().orders.clear();
    window.get_by_label("Add scene").click();
    window.run_steps(3);
    press(&mut window, Modifiers::NONE, Key::B);
    assert!(!window.state().orders.iter().any(|order| matches!(order, Order::Record)));
}

#[test]
fn a_field_that_is_written_in_has_an_undo_of_its_own() {
    let mut window = window(scenes());
    click(&mut window, "Add scene");
    let before = shown(&window);
    window.get_by_label("Name of the scene").type_text("Interval");
    window.run_steps(2);
    press(&mut window, Modifiers::COMMAND, Key::Z);
    let (_, editor) = window.state().panels.editor.as_ref().expect("there are scenes");
    assert_eq!(editor.collection().scenes().len(), 4, "the scene is there still");
    assert_eq!(shown(&window), before);
}
