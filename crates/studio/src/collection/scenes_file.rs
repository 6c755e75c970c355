//! Scenes back into the broadcast file that they came from: nothing else in it changes, and no comment beside what
//! stays is lost.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use compose::Layer;
use thiserror::Error;
use toml_edit::{ArrayOfTables, Decor, DocumentMut, Item, Table, value};

use crate::broadcast::{Arranged, BroadcastError, BroadcastFile, NamedScene, SCENES_VERSION};

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
    /// What we read or wrote last: other scenes than these are somebody else's.
    known: Vec<NamedScene>,
}

impl ScenesFile {
    /// `file` is what was read from `path`.
    pub fn new(path: PathBuf, file: &BroadcastFile) -> Self {
        Self { path, known: file.scenes.clone() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes these scenes where they are not in the file already. A reader sees the old file or the new one, after
    /// a power cut too.
    pub fn save(&mut self, scenes: &[NamedScene]) -> Result<(), SaveError> {
        if scenes == self.known {
            return Ok(());
        }
        let text = fs::read_to_string(&self.path).map_err(SaveError::Unreadable)?;
        let found = BroadcastFile::parse(&text)?;
        if found.scenes != self.known {
            return Err(SaveError::ChangedElsewhere);
        }
        let text = with_scenes(&text, &found, scenes)?;
        replace(&self.path, &text)?;
        self.known = scenes.to_vec();
        Ok(())
    }
}

/// `text`, which `found` was read from, with other scenes.
fn with_scenes(text: &str, found: &BroadcastFile, scenes: &[NamedScene]) -> Result<String, SaveError> {
    let mut document: DocumentMut = text.parse().map_err(|_| SaveError::Unfaithful)?;
    let mut old = Old::take(&mut document, found);
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
        }
        None => return Err(SaveError::Unfaithful),
    }
    let text = document.to_string();
    let read = BroadcastFile::parse(&text).map_err(|_| SaveError::Unfaithful)?;
    let same = read.scenes == scenes && read.sources == found.sources && read.outputs == found.outputs;
    if same { Ok(text) } else { Err(SaveError::Unfaithful) }
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

/// In the words of the compositor's own format, its tables in one line each.
fn written(layer: &Layer) -> Table {
    let text = toml::to_string(layer).expect("a layer holds only what TOML can say");
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
