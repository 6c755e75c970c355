//! Which keys do what, as a person has set them, and the file that keeps it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use widgets::egui::{Context, Key, KeyboardShortcut, Modifiers, Ui};

/// What a key may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Action {
    /// Or asks whether to end, while live.
    GoLive,
    Record,
    Undo,
    Redo,
    NextScene,
    PreviousScene,
    /// By its place in the list, from 0.
    Scene(u8),
    Statistics,
}

/// Scenes that have keys of their own.
const SCENES: u8 = 9;
/// The number keys in a row.
const NUMBERS: [Key; SCENES as usize] =
    [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6, Key::Num7, Key::Num8, Key::Num9];

impl Action {
    /// In the order in which they are listed.
    pub fn all() -> impl Iterator<Item = Self> {
        use Action::{GoLive, NextScene, PreviousScene, Record, Redo, Statistics, Undo};
        let scenes = (0..SCENES).map(Self::Scene);
        [GoLive, Record, Undo, Redo, NextScene, PreviousScene].into_iter().chain(scenes).chain([Statistics])
    }

    /// For people.
    pub fn label(self) -> String {
        match self {
            Self::GoLive => "Go live, or end".to_owned(),
            Self::Record => "Record, or stop".to_owned(),
            Self::Undo => "Undo".to_owned(),
            Self::Redo => "Redo".to_owned(),
            Self::NextScene => "Next scene".to_owned(),
            Self::PreviousScene => "Previous scene".to_owned(),
            Self::Scene(place) => format!("Scene {}", u32::from(place) + 1),
            Self::Statistics => "Statistics".to_owned(),
        }
    }

    /// In the file; it never changes.
    fn name(self) -> String {
        match self {
            Self::GoLive => "go_live".to_owned(),
            Self::Record => "record".to_owned(),
            Self::Undo => "undo".to_owned(),
            Self::Redo => "redo".to_owned(),
            Self::NextScene => "next_scene".to_owned(),
            Self::PreviousScene => "previous_scene".to_owned(),
            Self::Scene(place) => format!("scene_{}", u32::from(place) + 1),
            Self::Statistics => "statistics".to_owned(),
        }
    }

    const fn usual(self) -> KeyboardShortcut {
        let (modifiers, key) = match self {
            Self::GoLive => (Modifiers::COMMAND, Key::L),
            Self::Record => (Modifiers::COMMAND, Key::R),
            Self::Undo => (Modifiers::COMMAND, Key::Z),
            Self::Redo => (Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z),
            Self::NextScene => (Modifiers::COMMAND, Key::PageDown),
            Self::PreviousScene => (Modifiers::COMMAND, Key::PageUp),
            Self::Scene(place) => (Modifiers::COMMAND, NUMBERS[place as usize]),
            Self::Statistics => (Modifiers::COMMAND, Key::I),
        };
        KeyboardShortcut::new(modifiers, key)
    }
}

/// As other programs have it, too.
const REDO_TOO: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND, Key::Y);

/// Why keys cannot be had for something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("that key moves through the window: take another, or one with Ctrl or Alt")]
pub struct Reserved;

/// Each action's keys; none where a person took them away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hotkeys(BTreeMap<Action, KeyboardShortcut>);

impl Default for Hotkeys {
    fn default() -> Self {
        Self(Action::all().map(|action| (action, action.usual())).collect())
    }
}

impl Hotkeys {
    /// As the system writes it; `None` for an action without keys.
    pub fn shown(&self, context: &Context, action: Action) -> Option<String> {
        self.0.get(&action).map(|keys| context.format_shortcut(keys))
    }

    /// What a control does, with the keys that do the same.
    pub fn hint(&self, context: &Context, words: &str, action: Action) -> String {
        self.shown(context, action).map_or_else(|| words.to_owned(), |keys| format!("{words} ({keys})"))
    }

    /// Gives keys to an action; whichever had them is left without, and is told.
    ///
    /// # Errors
    /// For keys with which people move through windows.
    pub fn set(&mut self, action: Action, keys: KeyboardShortcut) -> Result<Option<Action>, Reserved> {
        let is_bare = !keys.modifiers.any() || keys.modifiers == Modifiers::SHIFT;
        if is_bare && moves(keys.logical_key) {
            return Err(Reserved);
        }
        let before = self.0.iter().find(|(other, known)| **other != action && **known == keys);
        let before = before.map(|(other, _)| *other);
        if let Some(before) = before {
            self.0.remove(&before);
        }
        self.0.insert(action, keys);
        Ok(before)
    }

    pub fn clear(&mut self, action: Action) {
        self.0.remove(&action);
    }

    /// What was pressed, each once. While text is written, keys without Ctrl or Alt are letters, and the field has an undo of
    /// its own.
    pub fn pressed(&self, ui: &Ui) -> Vec<Action> {
        let is_writing = ui.ctx().text_edit_focused();
        let is_the_fields = |keys: &KeyboardShortcut, action| {
            let is_letter = !keys.modifiers.command && !keys.modifiers.alt;
            is_letter || matches!(action, Action::Undo | Action::Redo)
        };
        let mut known: Vec<(KeyboardShortcut, Action)> =
            self.0.iter().map(|(action, keys)| (*keys, *action)).collect();
        if !known.iter().any(|(keys, _)| *keys == REDO_TOO) {
            known.push((REDO_TOO, Action::Redo));
        }
        // The one with more first: without Shift means with or without.
        known.sort_by_key(|(keys, _)| {
            let Modifiers { alt, shift, command, .. } = keys.modifiers;
            3 - (u8::from(alt) + u8::from(shift) + u8::from(command))
        });
        known.retain(|(keys, action)| !(is_writing && is_the_fields(keys, *action)));
        let pressed = |keys: &KeyboardShortcut| ui.input_mut(|input| input.consume_shortcut(keys));
        known.iter().filter(|(keys, _)| pressed(keys)).map(|(_, action)| *action).collect()
    }

    /// As the file says; actions that it does not name have their usual keys.
    ///
    /// # Errors
    /// Where it cannot be read, in words.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(err) => return Err(err.to_string()),
        };
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|err| err.message().to_owned())?;
        let mut hotkeys = Self::default();
        for action in Action::all() {
            let name = action.name();
            match file.hotkeys.get(&name).map(String::as_str) {
                None => {}
                Some("") => hotkeys.clear(action),
                Some(text) => {
                    let keys = keys_of(text).ok_or_else(|| format!("{name} = \"{text}\" names no keys"))?;
                    hotkeys.0.insert(action, keys);
                }
            }
        }
        Ok(hotkeys)
    }

    /// Only what is not as usual is written. At any instant the file is whole, or as it was.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut hotkeys = BTreeMap::new();
        for action in Action::all() {
            let keys = self.0.get(&action);
            if keys != Some(&action.usual()) {
                hotkeys.insert(action.name(), keys.map(text_of).unwrap_or_default());
            }
        }
        let text = toml::to_string(&File { hotkeys }).map_err(io::Error::other)?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let unfinished = path.with_extension("part");
        let mut file = std::fs::File::create(&unfinished)?;
        io::Write::write_all(&mut file, text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(unfinished, path)
    }
}

#[derive(Default, Deserialize, Serialize)]
struct File {
    #[serde(default)]
    hotkeys: BTreeMap<String, String>,
}

/// Those that go from control to control, press them, or move what is selected.
const fn moves(key: Key) -> bool {
    matches!(
        key,
        Key::Tab
            | Key::Enter
            | Key::Space
            | Key::Escape
            | Key::ArrowUp
            | Key::ArrowDown
            | Key::ArrowLeft
            | Key::ArrowRight
            | Key::Delete
            | Key::Backspace
    )
}

/// As the file has them: `Command+Shift+Z`, where Command is Ctrl but on Apple's keyboards.
fn text_of(keys: &KeyboardShortcut) -> String {
    let held = [
        (keys.modifiers.command, "Command+"),
        (keys.modifiers.alt, "Alt+"),
        (keys.modifiers.shift, "Shift+"),
    ];
    let held: String = held.into_iter().filter(|(is_held, _)| *is_held).map(|(_, text)| text).collect();
    held + keys.logical_key.name()
}

fn keys_of(mut text: &str) -> Option<KeyboardShortcut> {
    let mut modifiers = Modifiers::NONE;
    let names = [("Command+", Modifiers::COMMAND), ("Alt+", Modifiers::ALT), ("Shift+", Modifiers::SHIFT)];
    while let Some((rest, modifier)) =
        names.iter().find_map(|(name, modifier)| Some((text.strip_prefix(name)?, *modifier)))
    {
        (text, modifiers) = (rest, modifiers.plus(modifier));
    }
    Some(KeyboardShortcut::new(modifiers, Key::from_name(text)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const F9: KeyboardShortcut = KeyboardShortcut::new(Modifiers::NONE, Key::F9);

    #[test]
    fn what_was_set_is_in_the_file_and_the_rest_stays_usual() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tickcast/stage.toml");
        assert_eq!(Hotkeys::read(&path), Ok(Hotkeys::default()), "there is none yet");
        let mut hotkeys = Hotkeys::default();
        assert_eq!(hotkeys.set(Action::Record, F9), Ok(None));
        hotkeys.clear(Action::Scene(2));
        hotkeys.write(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "[hotkeys]\nrecord = \"F9\"\nscene_3 = \"\"\n");
        assert_eq!(Hotkeys::read(&path), Ok(hotkeys));
    }

    #[test]
    fn every_usual_key_is_read_as_it_is_written_and_none_is_twice() {
        let usual: Vec<_> = Action::all().map(|action| action.usual()).collect();
        for keys in &usual {
            assert_eq!(keys_of(&text_of(keys)), Some(*keys), "{}", text_of(keys));
            assert_eq!(usual.iter().filter(|other| *other == keys).count(), 1, "{}", text_of(keys));
        }
        let plus = KeyboardShortcut::new(Modifiers::COMMAND.plus(Modifiers::ALT), Key::Plus);
        assert_eq!(keys_of(&text_of(&plus)), Some(plus));
    }

    #[test]
    fn keys_do_one_thing_and_those_that_move_are_left_alone() {
        let mut hotkeys = Hotkeys::default();
        let taken = hotkeys.set(Action::Statistics, Action::GoLive.usual());
        assert_eq!(taken, Ok(Some(Action::GoLive)));
        assert!(!hotkeys.0.contains_key(&Action::GoLive));
        for key in [Key::Tab, Key::Enter, Key::ArrowLeft] {
            let bare = KeyboardShortcut::new(Modifiers::NONE, key);
            assert_eq!(hotkeys.set(Action::Record, bare), Err(Reserved), "{key:?}");
        }
        let held = KeyboardShortcut::new(Modifiers::COMMAND, Key::ArrowLeft);
        assert_eq!(hotkeys.set(Action::Record, held), Ok(None));
    }

    #[test]
    fn what_a_file_says_wrong_is_told() {
        for (text, why) in [
            ("[hotkeys]\nrecord = \"Hyper+Q\"", "record = \"Hyper+Q\" names no keys"),
            ("[hotkeys]\nrecord = 9", "invalid type"),
            ("[hotkeys", ""),
        ] {
            let told = Hotkeys::parse(text).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
        // A later version may have more to do.
        assert_eq!(Hotkeys::parse("[hotkeys]\nteleport = \"F1\"\n"), Ok(Hotkeys::default()));
    }
}
