//! Scenes and sources as a person arranges them, and what the engine and the file are told of it.

use studio::scene::{Content, Crop, Layer};
use studio::{BroadcastFile, Collection};
use widgets::egui::{Pos2, Rect};

use super::*;
use crate::autosave::Saving;

const FILE: &str = r##"
version = 2
sources = [
    { kind = "camera", name = "Camera" },
    { kind = "simulation", name = "Particles", preset = "galaxy" },
]
[[scenes]]
name = "Main"
[[scenes.layers]]
source = "Camera"
fit = "cover"
[[scenes.layers]]
name = "Box"
colour = "#336699"
position = [300.0, 200.0]
size = [200.0, 100.0]
[[scenes]]
name = "Break"
[[scenes.layers]]
source = "Particles"
blend = "add"
"##;

fn editing() -> View {
    let collection = Collection::of(&BroadcastFile::parse(FILE).expect("a broadcast file"));
    View { editing: Some((0, collection)), saving: Saving::Saved, ..preview() }
}

impl State {
    /// What the programme was told to show last.
    fn shown(&self) -> Option<&[Layer]> {
        self.orders.iter().rev().find_map(|order| match order {
            Order::Command(Command::Scene(scene) | Command::SwitchScene { scene, .. }) => {
                Some(&scene.layers[..])
            }
            _ => None,
        })
    }

    /// What was handed on to be saved last.
    fn kept(&self) -> Option<Vec<String>> {
        self.orders.iter().rev().find_map(|order| match order {
            Order::Keep(collection) => {
                Some(collection.scenes().iter().map(|scene| scene.name.clone()).collect())
            }
            _ => None,
        })
    }

    fn layer(&self, at: usize) -> &Layer {
        &self.shown().expect("a scene was sent")[at]
    }
}

fn says(window: &Harness<'_, State>, label: &str) -> bool {
    window.query_by_label(label).is_some()
}

fn press(window: &mut Harness<'_, State>, key: Key) {
    window.key_press(key);
    window.run_steps(3);
}

fn command(window: &mut Harness<'_, State>, key: Key) {
    window.key_press_modifiers(Modifiers::COMMAND, key);
    window.run_steps(3);
}

fn click(window: &mut Harness<'_, State>, label: &str) {
    window.get_by_label(label).click();
    window.run_steps(3);
}

fn picture(window: &Harness<'_, State>) -> Rect {
    window.get_by_label("Programme preview").rect()
}

/// Where a programme pixel is in the window.
fn at(window: &Harness<'_, State>, x: f32, y: f32) -> Pos2 {
    let picture = picture(window);
    picture.min + picture.size() * vec2(x / 1280.0, y / 720.0)
}

fn drag(window: &mut Harness<'_, State>, from: Pos2, to: Pos2) {
    window.drag_at(from);
    window.run_steps(2);
    // Far, then where it is to be: a drag begins once the pointer has moved by more than a tremble.
    window.hover_at(from + vec2(40.0, 40.0));
    window.run_steps(2);
    window.hover_at(to);
    window.run_steps(2);
}

fn hold(window: &Harness<'_, State>, modifiers: Modifiers) {
    window.event(egui::Event::ModifiersChanged(modifiers));
}

fn drop(window: &mut Harness<'_, State>, to: Pos2) {
    window.drop_at(to);
    window.run_steps(2);
}

#[test]
fn a_scene_is_added_named_and_undone_by_the_keyboard() {
    let mut window = window(editing());
    window.get_by_label("Add scene").focus();
    window.run_steps(2);
    press(&mut window, Key::Enter);
    window.get_by_label("Name of the scene").type_text("Interval");
    window.run_steps(2);
    press(&mut window, Key::Enter);
    assert!(says(&window, "Scene Interval") && !says(&window, "Name of the scene"));
    assert_eq!(window.state().kept().expect("it is saved"), ["Main", "Break", "Interval"]);
    assert!(window.state().shown().is_none(), "viewers see what they saw");
    command(&mut window, Key::Z);
    assert!(says(&window, "Scene Scene"), "its first name");
    command(&mut window, Key::Z);
    assert!(!says(&window, "Scene Scene"));
    assert_eq!(window.state().kept().expect("it is saved"), ["Main", "Break"]);
    window.key_press_modifiers(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z);
    window.run_steps(2);
    command(&mut window, Key::Y);
    assert!(says(&window, "Scene Interval"));
}

#[test]
fn a_click_shows_another_scene_and_the_file_has_which() {
    let mut window = window(editing());
    assert!(says(&window, "Source Camera") && !says(&window, "Source Particles"));
    click(&mut window, "Scene Break");
    assert!(says(&window, "Source Particles") && !says(&window, "Source Camera"));
    let [layer] = window.state().shown().expect("the scene") else { panic!("one layer") };
    assert_eq!(layer.content, Content::Source("Particles".into()));
    let Some(Order::Keep(collection)) = window.state().orders.last() else { panic!("it is saved") };
    assert_eq!(collection.current().name, "Break");
    assert!(!says(&window, "Undo: "), "it is no step");
}

#[test]
fn scenes_are_renamed_in_place_moved_and_deleted_by_keys() {
    let mut window = window(editing());
    window.get_by_label("Scene Break").focus();
    window.run_steps(2);
    press(&mut window, Key::F2);
    window.get_by_label("Name of the scene").type_text("Main");
    window.run_steps(2);
    press(&mut window, Key::Enter);
    assert!(says(&window, "Another scene is called \"Main\". Choose another name."));
    assert!(window.state().kept().is_none(), "a refused edit is none");
    // The row has the focus again.
    press(&mut window, Key::F2);
    window.get_by_label("Name of the scene").type_text("Pause");
    window.run_steps(2);
    press(&mut window, Key::Escape);
    assert!(says(&window, "Scene Break"), "Escape leaves the name");
    window.key_press_modifiers(Modifiers::ALT, Key::ArrowUp);
    window.run_steps(3);
    assert_eq!(window.state().kept().expect("a move"), ["Break", "Main"]);
    command(&mut window, Key::D);
    assert_eq!(window.state().kept().expect("a copy"), ["Break", "Break 2", "Main"]);
    press(&mut window, Key::Delete);
    assert_eq!(window.state().kept().expect("a deletion"), ["Break 2", "Main"]);
}

#[test]
fn a_source_is_dragged_in_the_picture_and_one_undo_puts_it_back() {
    let mut window = window(editing());
    let (from, to) = (at(&window, 400.0, 250.0), at(&window, 450.0, 330.0));
    drag(&mut window, from, to);
    drop(&mut window, to);
    assert_eq!(window.state().layer(1).position, [350.0, 280.0]);
    assert!(window.state().kept().is_some() && says(&window, "Properties of Box"));
    command(&mut window, Key::Z);
    assert_eq!(window.state().layer(1).position, [300.0, 200.0]);
    window.get_by_label("Undo").click();
    window.run_steps(2);
    assert_eq!(window.state().layer(1).position, [300.0, 200.0], "there is nothing before it");
}

#[test]
fn a_notice_that_comes_during_a_drag_neither_ends_it_nor_moves_the_source() {
    let mut window = window(editing());
    let (from, to) = (at(&window, 400.0, 250.0), at(&window, 450.0, 330.0));
    drag(&mut window, from, to);
    window.state_mut().view.saving = Saving::Failed("Your scenes are not saved.".into());
    window.run_steps(3);
    assert!(says(&window, "Your scenes are not saved."));
    assert_eq!(window.state().layer(1).position, [350.0, 280.0]);
    let further = to + picture(&window).size() * vec2(60.0 / 1280.0, 0.0);
    window.hover_at(further);
    window.run_steps(2);
    drop(&mut window, further);
    assert_eq!(window.state().layer(1).position, [410.0, 280.0]);
}

#[test]
fn escape_puts_a_drag_back_and_the_rest_of_it_does_nothing() {
    let mut window = window(editing());
    let (from, to) = (at(&window, 400.0, 250.0), at(&window, 450.0, 330.0));
    drag(&mut window, from, to);
    assert_eq!(window.state().layer(1).position, [350.0, 280.0]);
    press(&mut window, Key::Escape);
    assert_eq!(window.state().layer(1).position, [300.0, 200.0]);
    let far = at(&window, 600.0, 500.0);
    window.hover_at(far);
    window.run_steps(2);
    drop(&mut window, far);
    assert_eq!(window.state().layer(1).position, [300.0, 200.0]);
}

#[test]
fn a_box_near_the_middle_snaps_to_it_unless_control_is_held() {
    let mut window = window(editing());
    // Its middle comes to 643, 330: three pixels from the programme's.
    let (from, to) = (at(&window, 400.0, 250.0), at(&window, 643.0, 330.0));
    drag(&mut window, from, to);
    assert_eq!(window.state().layer(1).position, [540.0, 280.0]);
    hold(&window, Modifiers::COMMAND);
    window.run_steps(2);
    assert_eq!(window.state().layer(1).position, [543.0, 280.0]);
}

#[test]
fn a_corner_resizes_about_the_opposite_one_and_alt_crops() {
    let mut window = window(editing());
    click(&mut window, "Source Box");
    let corner = at(&window, 500.0, 300.0);
    let to = at(&window, 560.0, 330.0);
    drag(&mut window, corner, to);
    drop(&mut window, to);
    let layer = window.state().layer(1);
    assert_eq!((layer.position, layer.size), ([300.0, 200.0], Some([260.0, 130.0])));
    // The camera over everything: a quarter off its right side.
    click(&mut window, "Source Camera");
    let (side, to) = (at(&window, 1280.0, 360.0), at(&window, 960.0, 360.0));
    hold(&window, Modifiers::ALT);
    drag(&mut window, side, to);
    drop(&mut window, to);
    let layer = window.state().layer(0);
    let Crop { left, top, right, bottom } = layer.crop;
    assert!((right - 0.25).abs() < 2e-3 && [left, top, bottom] == [0.0; 3], "{:?}", layer.crop);
    let [width, height] = layer.size.expect("a size");
    assert!((width - 960.0).abs() < 3.0 && height == 720.0, "{width}");
}

#[test]
fn arrows_nudge_what_is_selected_and_delete_takes_it_away() {
    let mut window = window(editing());
    let on = at(&window, 400.0, 250.0);
    window.drag_at(on);
    window.drop_at(on);
    window.run_steps(3);
    assert!(says(&window, "Properties of Box"), "a click selects");
    press(&mut window, Key::ArrowRight);
    window.key_press_modifiers(Modifiers::SHIFT, Key::ArrowDown);
    window.run_steps(3);
    assert_eq!(window.state().layer(1).position, [301.0, 210.0]);
    command(&mut window, Key::Z);
    assert_eq!(window.state().layer(1).position, [301.0, 200.0], "each press is a step");
    press(&mut window, Key::Delete);
    assert!(!says(&window, "Source Box"));
    assert_eq!(window.state().shown().expect("a scene").len(), 1);
}

#[test]
fn what_is_locked_or_hidden_is_left_alone_by_the_mouse() {
    let mut window = window(editing());
    click(&mut window, "Lock Box");
    assert!(window.state().shown().is_none(), "viewers see no lock");
    let on = at(&window, 400.0, 250.0);
    let pick = |window: &mut Harness<'_, State>| {
        window.drag_at(on);
        window.drop_at(on);
        window.run_steps(3);
    };
    pick(&mut window);
    assert!(says(&window, "Properties of Camera"), "what is behind it");
    click(&mut window, "Lock Box");
    click(&mut window, "Show Box");
    assert!(!window.state().layer(1).visible);
    pick(&mut window);
    assert!(says(&window, "Properties of Camera"));
}

#[test]
fn sources_are_added_from_a_menu_and_reordered() {
    let mut window = window(editing());
    click(&mut window, "Add source");
    window.get_by_role_and_label(egui::Role::Button, "Particles").click();
    window.run_steps(3);
    let layer = window.state().layer(2);
    assert_eq!(layer.content, Content::Source("Particles".into()));
    assert_eq!(layer.blend, studio::scene::Blend::Add);
    assert!(says(&window, "Properties of Particles"), "it is selected");
    click(&mut window, "Move source down");
    assert_eq!(window.state().layer(1).content, Content::Source("Particles".into()));
    click(&mut window, "Add source");
    click(&mut window, "Image…");
    let path = "The path of a PNG or JPEG file";
    window.get_by_role_and_label(egui::Role::TextInput, path).type_text("/pictures/logo.png");
    window.run_steps(2);
    click(&mut window, "Add");
    assert_eq!(window.state().layer(3).content, Content::Image("/pictures/logo.png".into()));
    assert!(says(&window, "Source logo.png"));
}

#[test]
fn a_source_is_aligned_with_the_programme_and_several_with_each_other() {
    let mut window = window(editing());
    click(&mut window, "Source Box");
    click(&mut window, "Align right");
    click(&mut window, "Centre up and down");
    // 1280 − 200, and half of 720 − 100.
    assert_eq!(window.state().layer(1).position, [1080.0, 310.0]);
    command(&mut window, Key::Z);
    assert_eq!(window.state().layer(1).position, [1080.0, 200.0], "each is a step");
    click(&mut window, "Duplicate source");
    click(&mut window, "Align left");
    assert_eq!(window.state().layer(2).position, [0.0, 200.0]);
    hold(&window, Modifiers::COMMAND);
    window.get_all_by_label("Source Box").last().expect("the original").click();
    window.run_steps(2);
    hold(&window, Modifiers::NONE);
    window.run_steps(2);
    click(&mut window, "Centre across");
    // Both lie from 0 to 1280 together.
    let x = |at: usize| window.state().layer(at).position[0];
    assert_eq!([x(1), x(2)], [540.0, 540.0]);
}

#[test]
fn what_is_locked_is_not_aligned() {
    let mut window = window(editing());
    click(&mut window, "Lock Box");
    click(&mut window, "Source Box");
    assert!(!says(&window, "Align left"));
}

#[test]
fn properties_change_what_is_shown_at_once() {
    let mut window = window(editing());
    click(&mut window, "Source Camera");
    let mut set = |name: &str, value: f64| {
        window.get_by_role_and_label(egui::Role::SpinButton, name).set_value_accesskit(value);
        window.run_steps(3);
    };
    set("Opacity", 50.0);
    set("X", 100.0);
    set("Width", 640.0);
    set("Crop left", 10.0);
    let layer = window.state().layer(0);
    assert_eq!((layer.opacity, layer.position, layer.size), (0.5, [100.0, 0.0], Some([640.0, 720.0])));
    assert!((layer.crop.left - 0.1).abs() < 1e-6);
    click(&mut window, "Fill");
    assert_eq!((window.state().layer(0).position, window.state().layer(0).size), ([0.0; 2], None));
    command(&mut window, Key::Z);
    assert_eq!(window.state().layer(0).position, [100.0, 0.0]);
}

#[test]
fn the_mouse_arranges_until_it_is_told_to_push() {
    let mut window = window(editing());
    let touches = |window: &Harness<'_, State>| {
        let touch = |order: &&Order| matches!(order, Order::Command(Command::Touch(_)));
        window.state().orders.iter().filter(touch).count()
    };
    let (from, to) = (at(&window, 400.0, 250.0), at(&window, 450.0, 330.0));
    drag(&mut window, from, to);
    drop(&mut window, to);
    assert_eq!(touches(&window), 0);
    click(&mut window, "Push");
    window.state_mut().orders.clear();
    drag(&mut window, from, to);
    drop(&mut window, to);
    assert!(touches(&window) > 0 && window.state().shown().is_none());
}

#[test]
fn scenes_that_are_not_saved_are_told_in_the_strip() {
    let reason = "Your scenes are not saved in show.toml: it is read-only. They last as long as this window.";
    let mut view = editing();
    view.saving = Saving::Failed(reason.into());
    assert!(says(&window(view), reason));
}

#[test]
fn a_studio_that_is_opened_again_brings_its_own_scenes() {
    let mut window = window(editing());
    click(&mut window, "Duplicate scene");
    assert!(says(&window, "Scene Main 2"));
    let again = View { editing: editing().editing.map(|(_, scenes)| (1, scenes)), ..editing() };
    window.state_mut().view = again;
    window.run_steps(3);
    assert!(!says(&window, "Scene Main 2") && says(&window, "Scene Main"));
}

#[test]
fn every_part_of_the_editor_is_reached_by_the_keyboard() {
    let mut window = window(editing());
    click(&mut window, "Source Box");
    let names = [
        "Add scene",
        "Duplicate scene",
        "Scene Main",
        "Scene Break",
        "Add source",
        "Delete source",
        "Source Box",
        "Source Camera",
        "Show Box",
        "Lock Box",
        "Programme preview",
        "Arrange",
        "Push",
        "X",
        "Width",
        "Opacity",
        "Blend",
        "Fill",
    ];
    let mut reached = std::collections::BTreeSet::new();
    for _ in 0..80 {
        window.key_press(Key::Tab);
        window.run_steps(1);
        for name in names {
            reached.extend(window.query_all_by_label(name).find(|node| node.is_focused()).map(|_| name));
        }
    }
    for name in names {
        assert!(reached.contains(name), "{name} was not reached: {reached:?}");
    }
}

#[test]
fn long_names_stay_in_their_column_and_small_windows_overprint_nothing() {
    let mut view = editing();
    let long = "Camera at the window, left of the piano, behind the flowers";
    let text = FILE.replace("Main", long).replace("\"Box\"", &format!("\"{long}\""));
    view.editing = Some((0, Collection::of(&BroadcastFile::parse(&text).expect("a file"))));
    for (width, height) in [(800.0, 520.0), (1280.0, 800.0)] {
        let mut window = window(view.clone());
        window.set_size(vec2(width, height));
        window.run_steps(3);
        let source = format!("Source {long}");
        let row = window.get_by_label(&source).rect();
        assert!(row.left() >= 8.0 && row.right() <= 228.0, "{width}: {row:?}");
        let picture = picture(&window);
        assert!(picture.left() > row.right() && picture.width() > 150.0, "{width}: {picture:?}");
        let undo = window.get_by_label("Undo").rect();
        assert!(undo.top() >= picture.bottom() && undo.left() >= 228.0, "{width}: {undo:?} {picture:?}");
        let attract = window.get_by_label("Attract").rect();
        assert!(
            attract.right() <= picture.right().max(attract.width()) + 1.0,
            "{width}: {attract:?} {picture:?}"
        );
        assert_eq!(window.get_all_by_label("Scene Break").count(), 1);
    }
}

#[test]
fn figures_are_shown_by_a_button_or_a_key_and_copied() {
    let mut window = window(editing());
    assert!(window.query_by_label("Pictures left out").is_none());
    click(&mut window, "Statistics");
    window.get_by_label("Pictures left out");
    window.get_by_label("Copy").click();
    window.run_steps(1);
    let copied = |window: &Harness<'_, State>| {
        window.output().platform_output.commands.iter().any(
            |command| matches!(command, OutputCommand::CopyText(text) if text.contains("Pictures left out: 0")),
        )
    };
    assert!(copied(&window));
    command(&mut window, Key::I);
    assert!(window.query_by_label("Pictures left out").is_none());
}
