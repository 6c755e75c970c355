//! Everything that a person can do to a collection. Each edit is followed as a whole or refused with a reason.

use std::sync::Arc;

use compose::Layer;
use compose::scene::{Anchor, Blend, Content, Crop, Fit, LayerError, MAX_LAYERS};
use thiserror::Error;

use super::{Collection, Item, ItemId, SceneEntry, SceneId};
use crate::broadcast::{MAX_SCENES, NAME_MAX, Sound, Source};
use crate::source_list::{SourceError, check_another_picture, check_another_sound, check_sound};

#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// An empty one, after all others.
    AddScene {
        name: String,
    },
    RenameScene {
        scene: SceneId,
        name: String,
    },
    /// After the original, under a name that is free.
    DuplicateScene {
        scene: SceneId,
    },
    /// So that `to` scenes are before it.
    MoveScene {
        scene: SceneId,
        to: usize,
    },
    /// Where it is shown, its neighbour is shown instead.
    DeleteScene {
        scene: SceneId,
    },
    /// In front of all others.
    AddItem {
        scene: SceneId,
        layer: Box<Layer>,
    },
    /// Each in front of its original.
    DuplicateItems {
        scene: SceneId,
        items: Vec<ItemId>,
    },
    /// So that `to` items are behind it.
    MoveItem {
        scene: SceneId,
        item: ItemId,
        to: usize,
    },
    DeleteItems {
        scene: SceneId,
        items: Vec<ItemId>,
    },
    /// A picture source, with the sound that belongs to it, and an item in front of all others that shows it.
    AddSource {
        source: Box<Source>,
        sound: Option<Sound>,
        scene: SceneId,
        layer: Box<Layer>,
    },
    /// With every item that shows it, in all scenes, and the sound of the same file under the same name.
    DeleteSource {
        name: String,
    },
    AddSound {
        sound: Sound,
    },
    DeleteSound {
        name: String,
    },
    /// A sound's gain in decibels.
    SetGain {
        name: String,
        gain_db: f32,
    },
    SetMuted {
        name: String,
        muted: bool,
    },
    /// All of it or nothing, in this order.
    Set {
        scene: SceneId,
        changes: Vec<(ItemId, Property)>,
    },
}

/// What there is to an item.
#[derive(Clone, Debug, PartialEq)]
pub enum Property {
    /// `None` names it by what it shows.
    Name(Option<String>),
    Content(Box<Content>),
    Position([f32; 2]),
    Anchor(Anchor),
    Size(Option<[f32; 2]>),
    Scale(f32),
    Fit(Option<Fit>),
    Crop(Crop),
    Opacity(f32),
    Blend(Blend),
    Visible(bool),
    Locked(bool),
}

/// What an edit brought into being.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    pub scene: Option<SceneId>,
    pub items: Vec<ItemId>,
}

/// Why an edit was not followed, for a person.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Refusal {
    #[error("The last scene cannot be deleted. Add another one first.")]
    LastScene,
    #[error("Another scene is called \"{0}\". Choose another name.")]
    NameTaken(String),
    #[error("A scene needs a name.")]
    NameEmpty,
    #[error("The name is too long: it has {0} bytes, and at most {NAME_MAX} are allowed.")]
    NameTooLong(usize),
    #[error("There are {MAX_SCENES} scenes, which is as many as there may be. Delete one first.")]
    TooManyScenes,
    #[error("A scene holds at most {MAX_LAYERS} items. Delete one first.")]
    TooManyItems,
    #[error("This scene is not there any more.")]
    NoScene,
    #[error("This item is not there any more.")]
    NoItem,
    #[error("There is no such place in the list.")]
    NoPlace,
    #[error("No source is called \"{0}\".")]
    UnknownSource(String),
    #[error("{0}")]
    Source(#[from] SourceError),
    #[error("It cannot be drawn so: {0}.")]
    Layer(#[from] LayerError),
}

impl Edit {
    /// The scene that it changes; `None` for one that is yet to be made.
    pub fn scene(&self) -> Option<SceneId> {
        match self {
            Self::AddScene { .. }
            | Self::DeleteSource { .. }
            | Self::AddSound { .. }
            | Self::DeleteSound { .. }
            | Self::SetGain { .. }
            | Self::SetMuted { .. } => None,
            Self::RenameScene { scene, .. }
            | Self::DuplicateScene { scene }
            | Self::MoveScene { scene, .. }
            | Self::DeleteScene { scene }
            | Self::AddItem { scene, .. }
            | Self::AddSource { scene, .. }
            | Self::DuplicateItems { scene, .. }
            | Self::MoveItem { scene, .. }
            | Self::DeleteItems { scene, .. }
            | Self::Set { scene, .. } => Some(*scene),
        }
    }

    /// What undo and redo call it, such as "move Camera", in words of the collection before it.
    pub fn label(&self, before: &Collection) -> String {
        let scene = |id: &SceneId| before.scene(*id).map_or_else(String::new, |scene| scene.name.clone());
        let items = |id: &SceneId, items: &mut dyn Iterator<Item = ItemId>| {
            let mut items: Vec<_> = items.collect();
            items.dedup();
            match (&items[..], before.scene(*id)) {
                ([one], Some(scene)) => scene.item(*one).map_or_else(String::new, Item::shown_name),
                (all, _) => format!("{} items", all.len()),
            }
        };
        match self {
            Self::AddScene { name } => format!("add scene {}", name.trim()),
            Self::RenameScene { scene: id, .. } => format!("rename scene {}", scene(id)),
            Self::DuplicateScene { scene: id } => format!("duplicate scene {}", scene(id)),
            Self::MoveScene { scene: id, .. } => format!("move scene {}", scene(id)),
            Self::DeleteScene { scene: id } => format!("delete scene {}", scene(id)),
            Self::AddItem { layer, .. } => {
                let added = Item { id: ItemId(0), layer: (**layer).clone(), locked: false };
                format!("add {}", added.shown_name())
            }
            Self::DuplicateItems { scene, items: ids } => {
                format!("duplicate {}", items(scene, &mut ids.iter().copied()))
            }
            Self::MoveItem { scene, item, .. } => {
                format!("reorder {}", items(scene, &mut [*item].into_iter()))
            }
            Self::DeleteItems { scene, items: ids } => {
                format!("delete {}", items(scene, &mut ids.iter().copied()))
            }
            Self::AddSource { source, .. } => format!("add {}", source.name()),
            Self::AddSound { sound } => format!("add {}", sound.name()),
            Self::DeleteSource { name } => format!("delete source {name}"),
            Self::DeleteSound { name } => format!("delete sound {name}"),
            Self::SetGain { name, .. } => format!("change the gain of {name}"),
            Self::SetMuted { name, muted: true } => format!("mute {name}"),
            Self::SetMuted { name, muted: false } => format!("unmute {name}"),
            Self::Set { scene, changes } => {
                // A resize moves too, and a crop resizes: the last word says what was meant.
                let verb = changes.iter().map(|(_, property)| property.verb()).max_by_key(|(rank, _)| *rank);
                let verb = verb.map_or("change", |(_, verb)| verb);
                format!("{verb} {}", items(scene, &mut changes.iter().map(|(item, _)| *item)))
            }
        }
    }
}

impl Property {
    /// What changing it is called. Of several the highest number is told.
    fn verb(&self) -> (u8, &'static str) {
        match self {
            Self::Position(_) => (0, "move"),
            Self::Anchor(_) => (1, "anchor"),
            Self::Size(_) => (2, "resize"),
            Self::Scale(_) => (3, "scale"),
            Self::Crop(_) => (4, "crop"),
            Self::Fit(_) => (5, "fit"),
            Self::Opacity(_) => (6, "change the opacity of"),
            Self::Blend(_) => (7, "change the blend of"),
            Self::Content(_) => (8, "change"),
            Self::Name(_) => (9, "rename"),
            Self::Visible(true) => (10, "show"),
            Self::Visible(false) => (10, "hide"),
            Self::Locked(true) => (11, "lock"),
            Self::Locked(false) => (11, "unlock"),
        }
    }

    fn put(self, item: &mut Item) {
        let layer = &mut item.layer;
        match self {
            Self::Name(name) => {
                layer.name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
            }
            Self::Content(content) => layer.content = *content,
            Self::Position(position) => layer.position = position,
            Self::Anchor(anchor) => layer.anchor = anchor,
            Self::Size(size) => layer.size = size,
            Self::Scale(scale) => layer.scale = scale,
            Self::Fit(fit) => layer.fit = fit,
            Self::Crop(crop) => layer.crop = crop,
            Self::Opacity(opacity) => layer.opacity = opacity,
            Self::Blend(blend) => layer.blend = blend,
            Self::Visible(visible) => layer.visible = visible,
            Self::Locked(locked) => item.locked = locked,
        }
    }
}

impl Collection {
    /// Follows `edit` as a whole; what is refused changes nothing.
    pub fn apply(&mut self, edit: Edit) -> Result<Made, Refusal> {
        let mut changed = self.clone();
        let made = changed.follow(edit)?;
        *self = changed;
        Ok(made)
    }

    fn follow(&mut self, edit: Edit) -> Result<Made, Refusal> {
        let mut made = Made::default();
        match edit {
            Edit::AddScene { name } => {
                let name = self.free(&name, None)?;
                made.scene = Some(self.insert(self.scenes.len(), name, Vec::new())?);
            }
            Edit::RenameScene { scene, name } => {
                let name = self.free(&name, Some(scene))?;
                self.change(scene)?.name = name;
            }
            Edit::DuplicateScene { scene } => {
                let at = self.index(scene)?;
                let (name, items) = (self.free_name(&self.scenes[at].name), self.scenes[at].items.clone());
                let items = items.into_iter().map(|item| Item { id: self.fresh_item(), ..item }).collect();
                made.scene = Some(self.insert(at + 1, name, items)?);
            }
            Edit::MoveScene { scene, to } => {
                let from = self.index(scene)?;
                reorder(&mut self.scenes, from, to)?;
            }
            Edit::DeleteScene { scene } => self.delete(scene)?,
            Edit::AddItem { scene, layer } => {
                self.check(&layer)?;
                let id = self.fresh_item();
                self.change(scene)?.items.push(Item { id, layer: *layer, locked: false });
                made.items = vec![id];
            }
            Edit::DuplicateItems { scene, items } => made.items = self.duplicate(scene, &items)?,
            Edit::MoveItem { scene, item, to } => {
                let items = &mut self.change(scene)?.items;
                let from = items.iter().position(|known| known.id == item).ok_or(Refusal::NoItem)?;
                reorder(items, from, to)?;
            }
            Edit::DeleteItems { scene, items } => {
                let entry = self.change(scene)?;
                if items.iter().any(|id| entry.item(*id).is_none()) {
                    return Err(Refusal::NoItem);
                }
                entry.items.retain(|item| !items.contains(&item.id));
            }
            Edit::AddSource { source, sound, scene, layer } => {
                self.add_source(*source)?;
                if let Some(sound) = sound {
                    self.add_sound(sound)?;
                }
                return self.follow(Edit::AddItem { scene, layer });
            }
            Edit::DeleteSource { name } => self.delete_source(&name)?,
            Edit::AddSound { sound } => self.add_sound(sound)?,
            Edit::DeleteSound { name } => {
                self.sound(&name)?;
                self.sounds = self.sounds.iter().filter(|sound| sound.name() != name).cloned().collect();
            }
            Edit::SetGain { name, gain_db } => {
                let muted = self.sound(&name)?.fader().1;
                self.set_fader(&name, gain_db, muted)?;
            }
            Edit::SetMuted { name, muted } => {
                let gain_db = self.sound(&name)?.fader().0;
                self.set_fader(&name, gain_db, muted)?;
            }
            Edit::Set { scene, changes } => self.set(scene, changes)?,
        }
        let is_too_long = |scene: &Arc<SceneEntry>| scene.items.len() > MAX_LAYERS;
        if self.scenes.iter().any(is_too_long) { Err(Refusal::TooManyItems) } else { Ok(made) }
    }

    fn add_source(&mut self, source: Source) -> Result<(), Refusal> {
        check_another_picture(&source, self.sources.iter())?;
        self.sources = self.sources.iter().cloned().chain([source]).collect();
        Ok(())
    }

    fn add_sound(&mut self, sound: Sound) -> Result<(), Refusal> {
        check_another_sound(&sound, self.sounds.iter())?;
        self.sounds = self.sounds.iter().cloned().chain([sound]).collect();
        Ok(())
    }

    fn delete_source(&mut self, name: &str) -> Result<(), Refusal> {
        let source = self.sources.iter().find(|source| source.name() == name);
        let source = source.ok_or_else(|| Refusal::UnknownSource(name.to_owned()))?.clone();
        self.sources = self.sources.iter().filter(|known| known.name() != name).cloned().collect();
        if let Source::File { path, .. } = &source {
            let is_its = |sound: &&Sound| {
                sound.name() == name && matches!(sound, Sound::File { path: own, .. } if own == path)
            };
            self.sounds = self.sounds.iter().filter(|sound| !is_its(sound)).cloned().collect();
        }
        let shows = |item: &Item| matches!(&item.layer.content, Content::Source(shown) if shown == name);
        for scene in &mut self.scenes {
            if scene.items.iter().any(shows) {
                Arc::make_mut(scene).items.retain(|item| !shows(item));
            }
        }
        Ok(())
    }

    fn sound(&self, name: &str) -> Result<&Sound, Refusal> {
        let sound = self.sounds.iter().find(|sound| sound.name() == name);
        sound.ok_or_else(|| Refusal::UnknownSource(name.to_owned()))
    }

    fn set_fader(&mut self, name: &str, gain_db: f32, muted: bool) -> Result<(), Refusal> {
        let change = |sound: &Sound| {
            if sound.name() == name { sound.at(gain_db, muted) } else { sound.clone() }
        };
        let sounds: Arc<[Sound]> = self.sounds.iter().map(change).collect();
        sounds.iter().filter(|sound| sound.name() == name).try_for_each(check_sound)?;
        self.sounds = sounds;
        Ok(())
    }

    /// `like`, or the first of "like 2", "like 3" that no source and no sound is called.
    pub fn free_source_name(&self, like: &str) -> String {
        let names = self.sources.iter().map(Source::name).chain(self.sounds.iter().map(Sound::name));
        free_among(like, &names.collect::<Vec<_>>())
    }

    fn set(&mut self, scene: SceneId, changes: Vec<(ItemId, Property)>) -> Result<(), Refusal> {
        let touched: Vec<ItemId> = changes.iter().map(|(id, _)| *id).collect();
        let entry = self.change(scene)?;
        for (id, property) in changes {
            let item = entry.items.iter_mut().find(|item| item.id == id).ok_or(Refusal::NoItem)?;
            property.put(item);
        }
        let entry = Arc::clone(self.scene(scene).ok_or(Refusal::NoScene)?);
        entry
            .items
            .iter()
            .filter(|item| touched.contains(&item.id))
            .try_for_each(|item| self.check(&item.layer))
    }

    fn duplicate(&mut self, scene: SceneId, originals: &[ItemId]) -> Result<Vec<ItemId>, Refusal> {
        let mut made = Vec::new();
        for original in originals {
            let id = self.fresh_item();
            let items = &mut self.change(scene)?.items;
            let at = items.iter().position(|item| item.id == *original).ok_or(Refusal::NoItem)?;
            let copy = Item { id, ..items[at].clone() };
            items.insert(at + 1, copy);
            made.push(id);
        }
        Ok(made)
    }

    fn delete(&mut self, scene: SceneId) -> Result<(), Refusal> {
        let at = self.index(scene)?;
        if self.scenes.len() == 1 {
            return Err(Refusal::LastScene);
        }
        self.scenes.remove(at);
        if self.current == scene {
            self.current = self.scenes[at.min(self.scenes.len() - 1)].id;
        }
        Ok(())
    }

    fn insert(&mut self, at: usize, name: String, items: Vec<Item>) -> Result<SceneId, Refusal> {
        if self.scenes.len() >= MAX_SCENES {
            return Err(Refusal::TooManyScenes);
        }
        self.next_id += 1;
        let id = SceneId(self.next_id);
        self.scenes.insert(at, Arc::new(SceneEntry { id, name, items }));
        Ok(id)
    }

    fn fresh_item(&mut self) -> ItemId {
        self.next_id += 1;
        ItemId(self.next_id)
    }

    fn index(&self, scene: SceneId) -> Result<usize, Refusal> {
        self.scenes.iter().position(|known| known.id == scene).ok_or(Refusal::NoScene)
    }

    fn change(&mut self, scene: SceneId) -> Result<&mut SceneEntry, Refusal> {
        let at = self.index(scene)?;
        Ok(Arc::make_mut(&mut self.scenes[at]))
    }

    /// Whether the file with this layer in it would be read again.
    fn check(&self, layer: &Layer) -> Result<(), Refusal> {
        layer.validate()?;
        match &layer.content {
            Content::Source(name) if !self.sources.iter().any(|source| source.name() == name) => {
                Err(Refusal::UnknownSource(name.clone()))
            }
            _ => Ok(()),
        }
    }

    /// `name` without space around it, where no other scene has it.
    fn free(&self, name: &str, own: Option<SceneId>) -> Result<String, Refusal> {
        let name = name.trim();
        if name.is_empty() {
            return Err(Refusal::NameEmpty);
        }
        if name.len() > NAME_MAX {
            return Err(Refusal::NameTooLong(name.len()));
        }
        if self.scenes.iter().any(|scene| scene.name == name && Some(scene.id) != own) {
            return Err(Refusal::NameTaken(name.into()));
        }
        Ok(name.into())
    }

    /// `like`, or the first of "like 2", "like 3" that no scene is called.
    pub fn free_name(&self, like: &str) -> String {
        free_among(like, &self.scenes.iter().map(|scene| scene.name.as_str()).collect::<Vec<_>>())
    }
}

fn free_among(like: &str, taken: &[&str]) -> String {
    let is_number = |tail: &str| !tail.is_empty() && tail.bytes().all(|byte| byte.is_ascii_digit());
    let like = &like[..like.floor_char_boundary(NAME_MAX)];
    let stem = like.rsplit_once(' ').filter(|(_, tail)| is_number(tail)).map_or(like, |(stem, _)| stem);
    let numbered = |number: usize| {
        let tail = format!(" {number}");
        let room = NAME_MAX - tail.len();
        format!("{}{tail}", &stem[..stem.floor_char_boundary(room)])
    };
    if !taken.contains(&like) {
        return like.to_owned();
    }
    // One more name than are taken: one of them is free.
    let mut names = (2..taken.len() + 3).map(numbered);
    names.find(|name| !taken.contains(&name.as_str())).unwrap_or_else(|| like.to_owned())
}

fn reorder<T>(list: &mut Vec<T>, from: usize, to: usize) -> Result<(), Refusal> {
    if to >= list.len() {
        return Err(Refusal::NoPlace);
    }
    let moved = list.remove(from);
    list.insert(to, moved);
    Ok(())
}
