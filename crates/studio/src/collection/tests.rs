//! Edits and their undo, over sequences that nobody would think of.

use compose::scene::{self, Anchor, Blend, Colour, Crop, Fit, LayerError, MAX_LAYERS, Text};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::broadcast::MAX_SCENES;

/// Two scenes of two items each; a camera and particles to show.
const FILE: &str = include_str!("../broadcast/samples/v2.toml");

fn collection() -> Collection {
    Collection::of(&BroadcastFile::parse(FILE).unwrap())
}

fn names(collection: &Collection) -> Vec<&str> {
    collection.scenes().iter().map(|scene| scene.name.as_str()).collect()
}

fn items(scene: &SceneEntry) -> Vec<String> {
    scene.items.iter().map(Item::shown_name).collect()
}

/// An edit by what is there when its turn comes.
#[derive(Clone, Debug)]
enum Wish {
    AddScene(String),
    RenameScene(Index, String),
    DuplicateScene(Index),
    MoveScene(Index, usize),
    DeleteScene(Index),
    AddItem(Index, Layer),
    Items(Index, Vec<Index>, Many),
    MoveItem(Index, Index, usize),
    Set(Index, Vec<(Index, Property)>),
    AddSource(Index, Source, Option<Sound>),
    DeleteSource(String),
    AddSound(Sound),
    DeleteSound(String),
    Fader(String, f32, bool),
    Switch(Index),
}

#[derive(Clone, Copy, Debug)]
enum Many {
    Duplicate,
    Delete,
}

impl Wish {
    /// `None` where it is no edit; that is done at once.
    fn of(self, history: &mut History) -> Option<Edit> {
        let scenes: Vec<_> = history.present().scenes().to_vec();
        let scene = |index: &Index| index.get(&scenes).id;
        let item = |at: &Index, index: &Index| {
            let items = &at.get(&scenes).items;
            // Of an empty scene one that is not there, to be refused.
            if items.is_empty() { ItemId(u64::MAX) } else { index.get(items).id }
        };
        Some(match self {
            Self::AddScene(name) => Edit::AddScene { name },
            Self::RenameScene(at, name) => Edit::RenameScene { scene: scene(&at), name },
            Self::DuplicateScene(at) => Edit::DuplicateScene { scene: scene(&at) },
            Self::MoveScene(at, to) => Edit::MoveScene { scene: scene(&at), to },
            Self::DeleteScene(at) => Edit::DeleteScene { scene: scene(&at) },
            Self::AddItem(at, layer) => Edit::AddItem { scene: scene(&at), layer: Box::new(layer) },
            Self::Items(at, which, many) => {
                let (scene, items) = (scene(&at), which.iter().map(|index| item(&at, index)).collect());
                match many {
                    Many::Duplicate => Edit::DuplicateItems { scene, items },
                    Many::Delete => Edit::DeleteItems { scene, items },
                }
            }
            Self::MoveItem(at, which, to) => {
                Edit::MoveItem { scene: scene(&at), item: item(&at, &which), to }
            }
            Self::Set(at, changes) => {
                let changes = changes.into_iter().map(|(index, property)| (item(&at, &index), property));
                Edit::Set { scene: scene(&at), changes: changes.collect() }
            }
            Self::AddSource(at, source, sound) => {
                let layer = Box::new(Layer::full_frame(source.name(), Fit::Contain));
                Edit::AddSource { source: Box::new(source), sound, scene: scene(&at), layer }
            }
            Self::DeleteSource(name) => Edit::DeleteSource { name },
            Self::AddSound(sound) => Edit::AddSound { sound },
            Self::DeleteSound(name) => Edit::DeleteSound { name },
            Self::Fader(name, gain_db, true) => Edit::SetGain { name, gain_db },
            Self::Fader(name, gain, false) => Edit::SetMuted { name, muted: gain > 0.0 },
            Self::Switch(at) => {
                let scene = scene(&at);
                assert!(history.switch(scene));
                return None;
            }
        })
    }
}

fn name() -> impl Strategy<Value = String> {
    // Few, so that they meet; some that are refused.
    prop_oneof![Just("Opening".to_owned()), "[a-c]{1,2}", Just("  ".to_owned()), Just("x".repeat(101))]
}

fn number() -> impl Strategy<Value = f32> {
    prop_oneof![-100.0f32..2000.0, Just(f32::NAN), Just(1e9)]
}

fn property() -> impl Strategy<Value = Property> {
    let edge = || prop_oneof![0.0f32..2000.0, Just(f32::INFINITY)];
    prop_oneof![
        prop::option::of("[a-c ]{0,3}").prop_map(Property::Name),
        [number(), number()].prop_map(Property::Position),
        prop_oneof![Just(Anchor::Center), Just(Anchor::TopLeft)].prop_map(Property::Anchor),
        prop::option::of([edge(), edge()]).prop_map(Property::Size),
        (-0.5f32..70.0).prop_map(Property::Scale),
        prop_oneof![Just(None), Just(Some(Fit::Cover))].prop_map(Property::Fit),
        [-0.1f32..1.1, 0.0..0.6]
            .prop_map(|[left, right]| { Property::Crop(Crop { left, right, ..Crop::default() }) }),
        (-0.5f32..1.5).prop_map(Property::Opacity),
        prop_oneof![Just(Blend::Add), Just(Blend::Normal)].prop_map(Property::Blend),
        any::<bool>().prop_map(Property::Visible),
        any::<bool>().prop_map(Property::Locked),
        layer().prop_map(|layer| Property::Content(Box::new(layer.content))),
    ]
}

fn layer() -> impl Strategy<Value = Layer> {
    let content = prop_oneof![
        prop_oneof![Just("camera"), Just("nobody"), Just("")]
            .prop_map(|name| Content::Source(name.to_owned())),
        "[a-c\n]{0,8}".prop_map(|text| Content::Text(Text::new(text))),
        Just(Content::Image("a.png".into())),
        any::<[u8; 3]>().prop_map(|[r, g, b]| Content::Colour(Colour::rgb(r, g, b))),
    ];
    (content, number()).prop_map(|(content, x)| Layer { position: [x, 0.0], ..Layer::new(content) })
}

fn source_name() -> impl Strategy<Value = String> {
    prop_oneof![Just("camera".to_owned()), Just("film".to_owned()), "[a-b]", Just(String::new())]
}

fn source() -> impl Strategy<Value = Source> {
    (source_name(), 0u8..4).prop_map(|(name, kind)| match kind {
        0 => Source::Synthetic { name },
        1 => Source::Camera { name, device: "c".into(), or_synthetic: false },
        2 => Source::File { name, path: "film.mp4".into() },
        _ => Source::Simulation { name, preset: "galaxy".into(), count: 1_000, seed: 1 },
    })
}

fn sound() -> impl Strategy<Value = Sound> {
    (source_name(), any::<bool>(), -200.0f32..30.0).prop_map(|(name, is_file, gain_db)| {
        if is_file {
            Sound::File { name, gain_db, muted: false, path: "film.mp4".into() }
        } else {
            Sound::Synthetic { name, gain_db, muted: true }
        }
    })
}

fn wish() -> impl Strategy<Value = Wish> {
    let at = any::<Index>;
    let many = prop_oneof![Just(Many::Duplicate), Just(Many::Delete)];
    prop_oneof![
        1 => name().prop_map(Wish::AddScene),
        1 => (at(), name()).prop_map(|(at, name)| Wish::RenameScene(at, name)),
        1 => at().prop_map(Wish::DuplicateScene),
        1 => (at(), 0usize..5).prop_map(|(at, to)| Wish::MoveScene(at, to)),
        1 => at().prop_map(Wish::DeleteScene),
        1 => (at(), layer()).prop_map(|(at, layer)| Wish::AddItem(at, layer)),
        1 => (at(), vec(at(), 0..4), many).prop_map(|(at, which, many)| Wish::Items(at, which, many)),
        1 => (at(), at(), 0usize..5).prop_map(|(at, which, to)| Wish::MoveItem(at, which, to)),
        4 => (at(), vec((at(), property()), 0..4)).prop_map(|(at, changes)| Wish::Set(at, changes)),
        1 => (at(), source(), prop::option::of(sound()))
            .prop_map(|(at, source, sound)| Wish::AddSource(at, source, sound)),
        1 => source_name().prop_map(Wish::DeleteSource),
        1 => sound().prop_map(Wish::AddSound),
        1 => source_name().prop_map(Wish::DeleteSound),
        1 => (source_name(), -200.0f32..30.0, any::<bool>())
            .prop_map(|(name, gain, is_gain)| Wish::Fader(name, gain, is_gain)),
        1 => at().prop_map(Wish::Switch),
    ]
}

/// What holds of every collection, whatever was done to it.
fn assert_sound(collection: &Collection) {
    assert!((1..=MAX_SCENES).contains(&collection.scenes().len()));
    assert!(collection.scenes().iter().any(|scene| scene.id == collection.current().id));
    let mut ids = Vec::new();
    for scene in collection.scenes() {
        let layers = scene.scene().layers;
        scene::validate(&layers).unwrap();
        ids.push(scene.id.0);
        ids.extend(scene.items.iter().map(|item| item.id.0));
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id is given twice");
    let mut names = names(collection);
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
}

/// A file that holds it is read again, with every check that there is.
fn assert_opens(collection: &Collection) {
    let (contents, found) = (collection.contents(), BroadcastFile::parse(FILE).unwrap());
    let text = scenes_file::with_contents(FILE, &found, &contents).unwrap();
    assert_eq!(Contents::of(&BroadcastFile::parse(&text).unwrap()), contents, "{text}");
}

proptest! {
    #[test]
    fn undoing_everything_gives_the_beginning_and_redoing_everything_the_end(
        wishes in vec((wish(), prop::option::of(0u64..3)), 0..60),
    ) {
        let begin = collection();
        let mut history = History::new(begin.clone());
        for (wish, gesture) in wishes {
            let before = history.present().clone();
            let Some(edit) = wish.of(&mut history) else { continue };
            if history.edit(edit, gesture.map(Gesture)).is_err() {
                prop_assert!(history.present().is_same(&before), "a refused edit changed something");
            }
            assert_sound(history.present());
        }
        history.end_gesture();
        let end = history.present().clone();
        assert_opens(&end);
        let mut steps = 0;
        while history.undo() {
            steps += 1;
            assert_sound(history.present());
        }
        prop_assert!(history.present().is_same(&begin));
        for _ in 0..steps {
            prop_assert!(history.redo());
            assert_sound(history.present());
        }
        prop_assert!(!history.redo());
        prop_assert!(history.present().is_same(&end));
    }

    #[test]
    fn a_cancelled_gesture_never_was(
        before in vec(wish(), 0..10), within in vec(wish(), 0..10), undone in 0usize..3,
    ) {
        let mut history = History::new(collection());
        for wish in before {
            if let Some(edit) = wish.of(&mut history) {
                // Refused ones too.
                let _ = history.edit(edit, None);
            }
        }
        (0..undone).for_each(|_| _ = history.undo());
        let state = |history: &History| {
            let label = |label: Option<(&str, SceneId)>| label.map(|(label, _)| label.to_owned());
            (label(history.undo_label()), label(history.redo_label()))
        };
        let (present, labels) = (history.present().clone(), state(&history));
        for wish in within.into_iter().filter(|wish| !matches!(wish, Wish::Switch(_))) {
            if let Some(edit) = wish.of(&mut history) {
                let _ = history.edit(edit, Some(Gesture(1)));
            }
        }
        history.cancel(Gesture(1));
        prop_assert!(history.present().is_same(&present));
        prop_assert_eq!(state(&history), labels);
    }
}

#[test]
fn a_drag_is_one_step_and_whatever_comes_between_ends_it() {
    let mut history = History::new(collection());
    let scene = history.present().current().id;
    let title = history.present().current().items[1].id;
    let moved = |x: f32| Edit::Set { scene, changes: vec![(title, Property::Position([x, 0.0]))] };
    let x = |history: &History| history.present().current().items[1].layer.position[0];
    for to in 1..=100 {
        history.edit(moved(to as f32), Some(Gesture(7))).unwrap();
    }
    assert_eq!(history.undo_label().map(|(label, _)| label.to_owned()), Some("move Title".into()));
    history.edit(Edit::AddScene { name: "Break".into() }, None).unwrap();
    history.edit(moved(200.0), Some(Gesture(7))).unwrap();
    let mut seen = vec![x(&history)];
    while history.undo() {
        seen.push(x(&history));
    }
    assert_eq!(seen, [200.0, 100.0, 100.0, 0.0]);
}

#[test]
fn escape_puts_a_drag_back_and_leaves_what_could_be_redone() {
    let mut history = History::new(collection());
    history.edit(Edit::AddScene { name: "Break".into() }, None).unwrap();
    history.undo();
    let begin = history.present().clone();
    let (scene, title) = (begin.current().id, begin.current().items[1].id);
    for x in [1.0, 2.0] {
        let changes = vec![(title, Property::Position([x, 0.0]))];
        history.edit(Edit::Set { scene, changes }, Some(Gesture(1))).unwrap();
    }
    assert!(history.redo_label().is_none(), "an edit is what comes next");
    assert!(!history.cancel(Gesture(2)) && history.cancel(Gesture(1)));
    assert!(history.present().is_same(&begin) && history.undo_label().is_none());
    assert_eq!(history.redo_label().map(|(label, _)| label), Some("add scene Break"));
}

#[test]
fn a_drag_that_ends_where_it_began_is_no_step() {
    let mut history = History::new(collection());
    let begin = history.present().clone();
    let (scene, title) = (begin.current().id, begin.current().items[1].id);
    for x in [5.0, 0.0] {
        let changes = vec![(title, Property::Position([x, -40.5]))];
        history.edit(Edit::Set { scene, changes }, Some(Gesture(1))).unwrap();
    }
    history.end_gesture();
    assert!(history.undo_label().is_none());
}

#[test]
fn a_source_goes_with_all_that_shows_it_and_its_sound_and_comes_back_with_them() {
    let mut history = History::new(collection());
    let (begin, scene) = (history.present().clone(), history.present().current().id);
    let (name, path) = (|| "film".to_owned(), || std::path::PathBuf::from("film.mp4"));
    let source = Box::new(Source::File { name: name(), path: path() });
    let sound = Some(Sound::File { name: name(), gain_db: 0.0, muted: false, path: path() });
    let layer = Box::new(Layer::full_frame("film", Fit::Contain));
    let made = history.edit(Edit::AddSource { source, sound, scene, layer }, None).unwrap();
    assert_eq!(made.items.len(), 1);
    let elsewhere = history.present().scenes()[1].id;
    let layer = Box::new(Layer::full_frame("film", Fit::Cover));
    history.edit(Edit::AddItem { scene: elsewhere, layer }, None).unwrap();
    let full = history.present().clone();
    history.edit(Edit::DeleteSource { name: name() }, None).unwrap();
    assert!(history.present().is_same(&begin), "nothing of it is left");
    assert_eq!(history.undo_label().map(|(label, _)| label), Some("delete source film"));
    history.undo();
    assert!(history.present().is_same(&full));
    history.undo();
    history.undo();
    assert!(history.present().is_same(&begin), "two steps: the source with its item, and the other item");
}

#[test]
fn another_sound_of_that_name_stays_where_a_source_goes() {
    let mut present = collection();
    let sound = Sound::Synthetic { name: "camera".into(), gain_db: 0.0, muted: false };
    present.apply(Edit::AddSound { sound: sound.clone() }).unwrap();
    present.apply(Edit::DeleteSource { name: "camera".into() }).unwrap();
    assert_eq!(present.sounds(), [sound]);
}

#[test]
fn a_fader_is_moved_within_its_range_and_undone() {
    let mut history = History::new(collection());
    let sound = Sound::Synthetic { name: "beep".into(), gain_db: 0.0, muted: false };
    history.edit(Edit::AddSound { sound }, None).unwrap();
    let name = || "beep".to_owned();
    for gain_db in [-1.0, -2.0, -3.0] {
        history.edit(Edit::SetGain { name: name(), gain_db }, Some(Gesture(1))).unwrap();
    }
    history.edit(Edit::SetMuted { name: name(), muted: true }, None).unwrap();
    let fader = |history: &History| history.present().sounds()[0].fader();
    assert_eq!(fader(&history), (-3.0, true));
    let loud = history.edit(Edit::SetGain { name: name(), gain_db: 24.5 }, None).unwrap_err();
    assert!(loud.to_string().contains("24.5 dB is not from -150 to 24"), "{loud}");
    history.undo();
    assert_eq!(fader(&history), (-3.0, false));
    history.undo();
    assert_eq!(fader(&history), (0.0, false));
}

#[test]
fn only_so_many_steps_are_remembered() {
    let mut history = History::new(collection());
    let scene = history.present().current().id;
    for number in 0..MAX_STEPS + 50 {
        history.edit(Edit::RenameScene { scene, name: number.to_string() }, None).unwrap();
    }
    let mut steps = 0;
    while history.undo() {
        steps += 1;
    }
    assert_eq!((steps, history.present().current().name.as_str()), (MAX_STEPS, "49"));
}

#[test]
fn what_is_refused_is_said_in_words() {
    let mut present = collection();
    let opening = present.current().id;
    let show = present.scenes()[1].id;
    let refused = |present: &mut Collection, edit: Edit| present.apply(edit).unwrap_err();
    let rename = |name: &str| Edit::RenameScene { scene: show, name: name.into() };
    assert_eq!(refused(&mut present, rename(" Opening ")), Refusal::NameTaken("Opening".into()));
    assert_eq!(refused(&mut present, rename(" ")), Refusal::NameEmpty);
    assert_eq!(refused(&mut present, rename(&"x".repeat(101))), Refusal::NameTooLong(101));
    let source = |name: &str| {
        let layer = Box::new(Layer::full_frame(name, Fit::Contain));
        Edit::AddItem { scene: show, layer }
    };
    assert_eq!(refused(&mut present, source("film")), Refusal::UnknownSource("film".into()));
    let camera = present.scenes()[1].items[0].id;
    let opaque = Edit::Set { scene: show, changes: vec![(camera, Property::Opacity(1.5))] };
    let Refusal::Layer(LayerError::Range { field: "opacity", .. }) = refused(&mut present, opaque) else {
        panic!("an opacity")
    };
    for _ in 2..MAX_LAYERS {
        present.apply(source("camera")).unwrap();
    }
    assert_eq!(refused(&mut present, source("camera")), Refusal::TooManyItems);
    assert_eq!(
        refused(&mut present, Edit::DuplicateItems { scene: show, items: vec![camera] }),
        Refusal::TooManyItems
    );
    let missing = Edit::DeleteItems { scene: opening, items: vec![camera] };
    assert_eq!(refused(&mut present, missing), Refusal::NoItem);
    assert_eq!(refused(&mut present, Edit::MoveScene { scene: show, to: 2 }), Refusal::NoPlace);
    present.apply(Edit::DeleteScene { scene: opening }).unwrap();
    assert_eq!(present.current().id, show, "the neighbour is shown");
    assert_eq!(refused(&mut present, Edit::DeleteScene { scene: show }), Refusal::LastScene);
    assert_eq!(refused(&mut present, Edit::DeleteScene { scene: opening }), Refusal::NoScene);
    for _ in 1..MAX_SCENES {
        present.apply(Edit::DuplicateScene { scene: show }).unwrap();
    }
    assert_eq!(refused(&mut present, Edit::DuplicateScene { scene: show }), Refusal::TooManyScenes);
    assert_sound(&present);
}

#[test]
fn a_copy_has_a_name_of_its_own_and_stands_after_its_original() {
    let mut present = collection();
    let opening = present.current().id;
    let copy = present.apply(Edit::DuplicateScene { scene: opening }).unwrap().scene.unwrap();
    present.apply(Edit::DuplicateScene { scene: copy }).unwrap();
    assert_eq!(names(&present), ["Opening", "Opening 2", "Opening 3", "Show"]);
    assert_eq!(items(present.scene(copy).unwrap()), items(present.current()));
    let back = present.current().items[0].id;
    present.apply(Edit::DuplicateItems { scene: opening, items: vec![back] }).unwrap();
    present.apply(Edit::MoveItem { scene: opening, item: back, to: 2 }).unwrap();
    assert_eq!(items(present.current()), ["Colour", "Title", "Colour"]);
    assert_eq!(present.current().items[2].id, back);
    // A long name gives way for its number, and is cut between characters.
    let long = "é".repeat(50);
    present.apply(Edit::AddScene { name: long.clone() }).unwrap();
    assert_eq!(present.free_name(&long), format!("{} 2", "é".repeat(49)));
}
