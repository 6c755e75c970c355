//! Scenes and sources back into the broadcast file that they came from: nothing else in it changes, and no comment
//! beside what stays is lost.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;
use toml_edit::{Array, ArrayOfTables, Decor, DocumentMut, Item, RawString, Table, Value, value};

use super::Contents;
use crate::broadcast::{Arranged, BroadcastError, BroadcastFile, NamedScene, SCENES_VERSION, Switching};

/// Why scenes are not in the file, for a person.
#[derive(Debug, Error)]
pub enum SaveError {
    #[error("it cannot be read: {}", plain(.0))]
    Unreadable(io::Error),
    #[error("another program changed its scenes meanwhile. Open it again to take them")]
    ChangedElsewhere,
    #[error("it is no broadcast file any more: {0}")]
    Malformed(#[from] BroadcastError),
    /// A mistake of ours: the file stays as it was.
    #[error("what would be written could not be read again")]
    Unfaithful,
    #[error("it is read-only")]
    ReadOnly,
    #[error("it cannot be written: {}", plain(.0))]
    Unwritable(io::Error),
}

/// Without the system's number for it, which helps nobody.
fn plain(err: &io::Error) -> String {
    let text = err.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// A broadcast file on disk whose scenes are edited here.
#[derive(Debug)]
pub struct ScenesFile {
    path: PathBuf,
    /// What we read or wrote last: anything else is somebody else's.
    known: Contents,
}

impl ScenesFile {
    /// `file` is what was read from `path`.
    pub fn new(path: PathBuf, file: &BroadcastFile) -> Self {
        Self { path, known: Contents::of(file) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what is not in the file already. A reader sees the old file or the new one, after a power cut too.
    pub fn save(&mut self, contents: &Contents) -> Result<(), SaveError> {
        if *contents == self.known {
            return Ok(());
        }
        let text = fs::read_to_string(&self.path).map_err(SaveError::Unreadable)?;
        let found = BroadcastFile::parse(&text)?;
        if Contents::of(&found) != self.known {
            return Err(SaveError::ChangedElsewhere);
        }
        let text = with_contents(&text, &found, contents)?;
        replace(&self.path, &text)?;
        self.known = contents.clone();
        Ok(())
    }
}

/// `text`, which `found` was read from, with other contents.
pub(super) fn with_contents(
    text: &str,
    found: &BroadcastFile,
    contents: &Contents,
) -> Result<String, SaveError> {
    let mut document: DocumentMut = text.parse().map_err(|_| SaveError::Unfaithful)?;
    put_list(&mut document, "sources", &found.sources, &contents.sources);
    put_list(&mut document, "sounds", &found.sounds, &contents.sounds);
    if found.scenes != contents.scenes {
        put_scenes(&mut document, found, &contents.scenes)?;
    }
    if found.switching != contents.switching {
        put_switching(&mut document, &contents.switching);
    }
    let text = document.to_string();
    let read = BroadcastFile::parse(&text).map_err(|_| SaveError::Unfaithful)?;
    let same = Contents::of(&read) == *contents && read.outputs == found.outputs;
    if same { Ok(text) } else { Err(SaveError::Unfaithful) }
}

fn put_scenes(
    document: &mut DocumentMut,
    found: &BroadcastFile,
    scenes: &[NamedScene],
) -> Result<(), SaveError> {
    let mut old = Old::take(document, found);
    let mut list = ArrayOfTables::new();
    for scene in scenes {
        let mut table = old.table(scene);
        put_at(&mut table, old.position);
        list.push(table);
    }
    if let (Some(decor), Some(first)) = (old.above, list.get_mut(0))
        && first.decor().prefix().is_none()
    {
        *first.decor_mut() = decor;
    }
    document.insert("scenes", Item::ArrayOfTables(list));
    match document.get_mut("version").and_then(Item::as_value_mut) {
        // In its place, with the comment beside it.
        Some(version) => {
            let decor = version.decor().clone();
            *version = i64::from(SCENES_VERSION).into();
            *version.decor_mut() = decor;
            Ok(())
        }
        None => Err(SaveError::Unfaithful),
    }
}

/// Each key in its place where there is one.
fn put_switching(document: &mut DocumentMut, switching: &Switching) {
    let wanted = written(switching);
    let table = document.entry("switching").or_insert_with(toml_edit::table);
    let Some(table) = table.as_table_like_mut() else { return };
    for key in ["shown", "fade_ms"] {
        match (wanted.get(key).and_then(Item::as_value), table.get_mut(key).and_then(Item::as_value_mut)) {
            (Some(new), Some(old)) => {
                let decor = old.decor().clone();
                *old = new.clone();
                *old.decor_mut() = decor;
            }
            (Some(new), None) => _ = table.insert(key, Item::Value(new.clone())),
            (None, Some(_)) => _ = table.remove(key),
            (None, None) => {}
        }
    }
}

/// An entry of a list in brackets, with the space before it and the comment behind it on its line.
struct Entry {
    value: Value,
    before: String,
    after: String,
}

/// A list in brackets that is written anew.
struct InBrackets {
    entries: Vec<Option<Entry>>,
    /// Behind the opening bracket.
    opening: String,
    /// What a new entry has before it.
    space: String,
    /// Behind the entry that was written last.
    after: String,
    /// Before the closing bracket.
    closing: String,
    has_comma: bool,
}

impl InBrackets {
    fn take(list: &mut Array) -> Self {
        // What stands behind an entry on its line is read as the next one's.
        let split = |text: &str| {
            let (after, before) = text.split_at(text.find('\n').unwrap_or(0));
            (after.to_owned(), before.to_owned())
        };
        let raw = |raw: Option<&RawString>| raw.and_then(RawString::as_str).unwrap_or_default().to_owned();
        let (mut behind, closing) = split(&raw(Some(list.trailing())));
        let has_comma = list.trailing_comma();
        let mut entries = Vec::new();
        for value in std::mem::take(list).into_iter().collect::<Vec<_>>().into_iter().rev() {
            let (after, before) = split(&raw(value.decor().prefix()));
            entries.push(Some(Entry { value, before, after: std::mem::replace(&mut behind, after) }));
        }
        entries.reverse();
        let last = entries.iter().flatten().next_back().map_or("", |entry| &entry.before);
        // Its line's own indentation, without comments above it.
        let space = last.rfind('\n').map_or_else(|| " ".to_owned(), |at| last[at..].to_owned());
        Self { entries, opening: behind, space, after: String::new(), closing, has_comma }
    }

    /// Writes `kept` as it was, or else something new.
    fn put(&mut self, list: &mut Array, kept: Option<Entry>, new: impl FnOnce() -> Value) {
        let Entry { mut value, before, after } = kept.unwrap_or_else(|| Entry {
            value: new(),
            before: if list.is_empty() {
                self.space.trim_matches(' ').to_owned()
            } else {
                self.space.clone()
            },
            after: String::new(),
        });
        let ahead = if list.is_empty() { &self.opening } else { &self.after };
        value.decor_mut().set_prefix(beside(ahead, &before));
        self.after = after;
        list.push_formatted(value);
    }

    fn close(self, list: &mut Array) {
        let ahead = if list.is_empty() { &self.opening } else { &self.after };
        list.set_trailing(beside(ahead, &self.closing));
        list.set_trailing_comma(self.has_comma && !list.is_empty());
    }
}

/// A comment ends with its line.
fn beside(comment: &str, then: &str) -> String {
    let end = if comment.contains('#') && !then.starts_with('\n') { "\n" } else { "" };
    format!("{comment}{end}{then}")
}

/// A list of entries in the way in which it is written: tables, or values in brackets. What stays is not touched.
fn put_list<T: PartialEq + Serialize>(document: &mut DocumentMut, key: &str, old: &[T], new: &[T]) {
    if old == new {
        return;
    }
    let kept = |wanted: &T| old.iter().position(|known| known == wanted);
    match document.get_mut(key) {
        Some(Item::Value(Value::Array(list))) => {
            let mut written_before = InBrackets::take(list);
            for wanted in new {
                let kept = kept(wanted).and_then(|at| written_before.entries.get_mut(at)?.take());
                written_before.put(list, kept, || Value::InlineTable(written(wanted).into_inline_table()));
            }
            written_before.close(list);
        }
        other => {
            let tables = match other {
                Some(Item::ArrayOfTables(list)) => std::mem::take(list).into_iter().collect(),
                _ => Vec::new(),
            };
            let mut tables: Vec<Option<Table>> = tables.into_iter().map(Some).collect();
            let position = tables.iter().flatten().find_map(Table::position);
            let mut list = ArrayOfTables::new();
            for wanted in new {
                let kept = kept(wanted).and_then(|at| tables.get_mut(at)?.take());
                let mut table = kept.unwrap_or_else(|| written(wanted));
                put_at(&mut table, position);
                list.push(table);
            }
            if list.is_empty() {
                document.remove(key);
            } else {
                document.insert(key, Item::ArrayOfTables(list));
            }
        }
    }
}

/// What the file had of scenes, to be used again where it stays as it is.
struct Old {
    scenes: Vec<Option<(NamedScene, Table)>>,
    /// What stood above a list that is replaced as a whole.
    above: Option<Decor>,
    /// Where they stood among the file's tables; `None` where they were none.
    position: Option<isize>,
}

impl Old {
    fn take(document: &mut DocumentMut, found: &BroadcastFile) -> Self {
        let mut above = None;
        let mut tables = |key: &str| match document.remove_entry(key) {
            Some((_, Item::ArrayOfTables(list))) => list.into_iter().collect(),
            Some((key, _)) => {
                above = key.leaf_decor().prefix().cloned().map(|prefix| Decor::new(prefix, ""));
                Vec::new()
            }
            None => Vec::new(),
        };
        let mut scenes: Vec<Table> = tables("scenes");
        let layers: Vec<Table> = tables("layers");
        if let (true, Some(first)) = (scenes.is_empty(), layers.first()) {
            let mut main = Table::new();
            main.set_position(first.position());
            main.insert("layers", Item::ArrayOfTables(layers.into_iter().collect()));
            scenes.push(main);
        }
        let position = scenes.first().and_then(Table::position);
        let scenes = found.scenes.iter().cloned().zip(scenes).map(Some).collect();
        Self { scenes, above, position }
    }

    /// The table of a scene: its old one where there is one, with what did not change as it was written.
    fn table(&mut self, scene: &NamedScene) -> Table {
        let find = |is: &dyn Fn(&NamedScene) -> bool| {
            self.scenes.iter().position(|old| old.as_ref().is_some_and(|(old, _)| is(old)))
        };
        let at = find(&|old| old == scene)
            .or_else(|| find(&|old| old.name == scene.name))
            .or_else(|| find(&|old| old.layers == scene.layers && !old.layers.is_empty()));
        let (old, mut table) = at.and_then(|at| self.scenes[at].take()).unwrap_or_else(|| {
            let none = NamedScene { name: String::new(), layers: Vec::new() };
            (none, Table::new())
        });
        if old == *scene && table.contains_key("name") {
            return table;
        }
        if old.name != scene.name || !table.contains_key("name") {
            table.insert("name", value(&scene.name));
        }
        if old.layers != scene.layers || !table.contains_array_of_tables("layers") {
            let old_tables = match table.remove("layers") {
                Some(Item::ArrayOfTables(list)) => list.into_iter().collect(),
                _ => Vec::new(),
            };
            let layers = layers(&old.layers, old_tables, &scene.layers);
            if !layers.is_empty() {
                table.insert("layers", Item::ArrayOfTables(layers));
            }
        }
        table
    }
}

fn layers(old: &[Arranged], tables: Vec<Table>, new: &[Arranged]) -> ArrayOfTables {
    let mut old: Vec<_> = old.iter().zip(tables).map(Some).collect();
    let mut take = |is: &dyn Fn(&Arranged) -> bool| {
        let at = old.iter().position(|old| old.as_ref().is_some_and(|(old, _)| is(old)))?;
        old[at].take().map(|(_, table)| table)
    };
    // Those that stay come first, so that a copy does not take its original's comments.
    let kept: Vec<_> = new.iter().map(|layer| take(&|old| old == layer)).collect();
    let made = new.iter().zip(kept).map(|(layer, kept)| {
        kept.unwrap_or_else(|| {
            let mut table = layer_table(layer);
            let content = &layer.layer.content;
            if let Some(old) = take(&|old| old.layer.content == *content) {
                *table.decor_mut() = old.decor().clone();
            }
            table
        })
    });
    made.collect()
}

fn layer_table(arranged: &Arranged) -> Table {
    let mut table = written(&arranged.layer);
    if arranged.locked {
        table.insert("locked", value(true));
    }
    table
}

/// In the words of the format that it is read by, its tables in one line each.
fn written(what: &impl Serialize) -> Table {
    let text = toml::to_string(what).expect("it holds only what TOML can say");
    let document: DocumentMut = text.parse().expect("what was written as TOML is TOML");
    let mut table = document.as_table().clone();
    for (_, item) in table.iter_mut() {
        if item.is_table() {
            item.make_value();
        }
    }
    table
}

/// Tables are written by their positions, and those of the same in their order.
fn put_at(table: &mut Table, position: Option<isize>) {
    table.set_position(position);
    for (_, item) in table.iter_mut() {
        match item {
            Item::Table(inner) => put_at(inner, position),
            Item::ArrayOfTables(list) => list.iter_mut().for_each(|table| put_at(table, position)),
            Item::None | Item::Value(_) => {}
        }
    }
}

/// Puts `text` in the file's place in one step, with the file's own mode: it may hold a stream key.
fn replace(path: &Path, text: &str) -> Result<(), SaveError> {
    // A link stays one.
    let path = path.canonicalize().map_err(SaveError::Unreadable)?;
    let permissions = fs::metadata(&path).map_err(SaveError::Unreadable)?.permissions();
    if permissions.readonly() {
        return Err(SaveError::ReadOnly);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let beside = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
    let written = write_beside(&beside, permissions, text).and_then(|()| fs::rename(&beside, &path));
    if let Err(err) = written {
        // It may never have been made.
        let _ = fs::remove_file(&beside);
        return Err(SaveError::Unwritable(err));
    }
    match path.parent() {
        Some(folder) if cfg!(unix) => {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(SaveError::Unwritable)
        }
        _ => Ok(()),
    }
}

fn write_beside(path: &Path, permissions: fs::Permissions, text: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
        // Of a process that was killed.
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.set_permissions(permissions)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
