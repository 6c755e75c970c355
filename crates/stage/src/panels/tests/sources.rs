//! What there is to see and to hear: added, taken away, and faded between.

use std::time::Duration;

use studio::broadcast::{Sound, Source};
use studio::{BroadcastFile, Collection, DeviceKind, Devices, FoundDevice};

use super::*;
use crate::view::Looked;

const FILE: &str = r##"
version = 2
sources = [{ kind = "camera", name = "Camera", device = "front" }]
sounds = [{ kind = "synthetic", name = "Beep", gain_db = -3.0 }]
[[scenes]]
name = "Main"
[[scenes.layers]]
source = "Camera"
[[scenes]]
name = "Break"
"##;

fn show() -> View {
    let collection = Collection::of(&BroadcastFile::parse(FILE).expect("a broadcast file"));
    let mut view = View { editing: Some((0, collection)), ..preview() };
    view.snapshot.simulation = None;
    view
}

fn device(kind: DeviceKind, id: &str, words: &str) -> FoundDevice {
    FoundDevice { kind, id: id.into(), words: words.into() }
}

impl State {
    /// What the engine was told to run last.
    fn running(&self) -> Option<(&[Source], &[Sound])> {
        self.orders.iter().rev().find_map(|order| match order {
            Order::Sources(sources, sounds) => Some((&sources[..], &sounds[..])),
            _ => None,
        })
    }

    fn fades(&self) -> Vec<u128> {
        let fade = |order: &Order| match order {
            Order::Command(Command::SwitchScene { fade, .. }) => Some(fade.as_millis()),
            _ => None,
        };
        self.orders.iter().filter_map(fade).collect()
    }
}

fn click(window: &mut Harness<'_, State>, label: &str) {
    window.get_by_label(label).click();
    window.run_steps(3);
}

fn undo(window: &mut Harness<'_, State>) {
    window.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    window.run_steps(3);
}

#[test]
fn what_is_plugged_in_is_looked_for_when_the_menu_opens_and_added_by_one_click() {
    let mut window = window(show());
    click(&mut window, "Add source");
    assert!(matches!(window.state().orders[..], [Order::Look]));
    window.get_by_label_contains("Looking for cameras");
    let found = vec![
        device(DeviceKind::Camera, "front", "Front"),
        device(DeviceKind::Camera, "side", "Side"),
        device(DeviceKind::Microphone, "mic", "Desk microphone"),
    ];
    window.state_mut().view.devices = Looked::Found(Devices { found, silent: vec![] });
    window.run_steps(3);
    assert!(window.query_by_label("Camera: Front").is_none(), "it is one already");
    click(&mut window, "Camera: Side");
    let (sources, _) = window.state().running().expect("the engine is told");
    let side = Source::Camera { name: "Side".into(), device: "side".into(), or_synthetic: false };
    assert_eq!(sources.last(), Some(&side));
    window.get_by_label("Source Side");
    click(&mut window, "Add source");
    click(&mut window, "Microphone: Desk microphone");
    let (_, sounds) = window.state().running().expect("the engine is told");
    assert_eq!(sounds.iter().map(Sound::name).collect::<Vec<_>>(), ["Beep", "Desk microphone"]);
    undo(&mut window);
    undo(&mut window);
    let (sources, sounds) = window.state().running().expect("the engine is told");
    assert_eq!((sources.len(), sounds.len()), (1, 1), "each was one step");
    assert!(window.query_by_label("Source Side").is_none());
}

#[test]
fn what_did_not_answer_and_what_there_is_none_of_is_said() {
    let mut view = show();
    view.devices = Looked::Found(Devices::default());
    let mut window = window(view);
    click(&mut window, "Add source");
    window.get_by_label("No other camera, screen, window or microphone was found.");
    let silent = vec![DeviceKind::Camera];
    window.state_mut().view.devices = Looked::Found(Devices { found: vec![], silent });
    window.run_steps(3);
    window.get_by_label("Cameras did not answer. Open this menu again to look once more.");
}

#[test]
fn a_film_comes_with_its_sound_and_goes_with_it() {
    let mut window = window(show());
    click(&mut window, "Add source");
    click(&mut window, "Video file…");
    let path = "The path of a film; its sound comes with it";
    window.get_by_role_and_label(egui::accesskit::Role::TextInput, path).type_text("/films/opening.mp4");
    window.run_steps(2);
    window.key_press(Key::Enter);
    window.run_steps(3);
    let (sources, sounds) = window.state().running().expect("the engine is told");
    assert_eq!((sources[1].name(), sounds[1].name()), ("opening", "opening"));
    // Elsewhere it runs on, and can be ended.
    click(&mut window, "Scene Break");
    let running = SourceFigures { name: "opening".into(), kind: "file", state: "live", message: None };
    window.state_mut().view.snapshot.sources.push(running);
    window.run_steps(3);
    click(&mut window, "End opening");
    let (sources, sounds) = window.state().running().expect("the engine is told");
    assert_eq!((sources.len(), sounds.len()), (1, 1));
    undo(&mut window);
    let (sources, sounds) = window.state().running().expect("the engine is told");
    assert_eq!((sources.len(), sounds.len()), (2, 2));
}

#[test]
fn scenes_cut_at_first_and_fade_for_as_long_as_is_said() {
    let mut window = window(show());
    click(&mut window, "Scene Break");
    click(&mut window, "One scene fades into the next");
    click(&mut window, "Scene Main");
    assert_eq!(window.state().fades(), [0, 300]);
    window.get_by_label("Length of the fade");
    let kept = window.state().orders.iter().rev().find_map(|order| match order {
        Order::Keep(collection) => Some((collection.current().name.clone(), collection.fade())),
        _ => None,
    });
    assert_eq!(kept, Some(("Main".into(), Duration::from_millis(300))), "the file has it, too");
    undo(&mut window);
    assert_eq!(window.state().fades(), [0, 300], "neither is a step");
    click(&mut window, "Scenes change at once");
    click(&mut window, "Scene Break");
    assert_eq!(window.state().fades(), [0, 300, 0]);
}

#[test]
fn a_fader_is_undone_and_the_engine_follows() {
    let mut view = show();
    let beep = SoundSourceFigures { name: "Beep".into(), gain_db: -3.0, ..Default::default() };
    view.snapshot.sound.sources = vec![beep];
    let mut window = window(view);
    click(&mut window, "Mute Beep");
    undo(&mut window);
    let muted: Vec<_> = window
        .state()
        .orders
        .iter()
        .filter_map(|order| match order {
            Order::Sources(_, sounds) => Some(sounds[0].fader()),
            _ => None,
        })
        .collect();
    assert_eq!(muted, [(-3.0, true), (-3.0, false)]);
}

#[test]
fn what_the_file_has_beyond_the_controls_is_left_as_it_is() {
    let file = FILE.replace("gain_db = -3.0", "gain_db = -60.0") + "[switching]\nfade_ms = 7000\n";
    let collection = Collection::of(&BroadcastFile::parse(&file).expect("a broadcast file"));
    let mut view = View { editing: Some((0, collection)), ..preview() };
    view.snapshot.sound.sources =
        vec![SoundSourceFigures { name: "Beep".into(), gain_db: -60.0, ..Default::default() }];
    let window = window(view);
    window.get_by_label("Length of the fade");
    assert!(window.state().orders.is_empty(), "{:?}", window.state().orders);
}
