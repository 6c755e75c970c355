//! What a creator arranges: scenes of items, and every edit of them with its undo. No engine, no thread, no clock.

mod edit;
mod history;
mod scenes_file;

use std::sync::Arc;
use std::time::Duration;

use compose::scene::Content;
use compose::{Layer, Scene};

use crate::broadcast::{Arranged, BroadcastFile, FADE_MS_MAX, NamedScene, Sound, Source, Switching};

pub use edit::{Edit, Made, Property, Refusal};
pub use history::{Gesture, History, MAX_STEPS};
pub use scenes_file::{SaveError, ScenesFile};

/// A scene in a collection. No two ever have the same, undone ones included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SceneId(u64);

/// An item in a collection. No two ever have the same, undone ones included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId(u64);

/// A layer that a person arranges.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub id: ItemId,
    pub layer: Layer,
    /// Left alone by the mouse in the preview. An edit that names it is followed all the same.
    pub locked: bool,
}

impl Item {
    /// Its own name, or else what it shows.
    pub fn shown_name(&self) -> String {
        if let Some(name) = self.layer.name.as_ref().filter(|name| !name.is_empty()) {
            return name.clone();
        }
        match &self.layer.content {
            Content::Source(name) => name.clone(),
            Content::Text(text) => {
                let line = text.content.lines().map(str::trim).find(|line| !line.is_empty());
                line.unwrap_or("Text").to_owned()
            }
            Content::Image(path) => {
                path.file_name().map_or_else(|| "Image".into(), |name| name.to_string_lossy().into_owned())
            }
            Content::Colour(_) => "Colour".into(),
        }
    }
}

/// A scene that a person arranges; its items from back to front.
#[derive(Clone, Debug, PartialEq)]
pub struct SceneEntry {
    pub id: SceneId,
    pub name: String,
    pub items: Vec<Item>,
}

impl SceneEntry {
    /// As the compositor draws it.
    pub fn scene(&self) -> Scene {
        Scene::new(self.items.iter().map(|item| item.layer.clone()).collect())
    }

    pub fn item(&self, id: ItemId) -> Option<&Item> {
        self.items.iter().find(|item| item.id == id)
    }
}

/// All scenes of a broadcast; there is always one, and one of them is shown.
#[derive(Clone, Debug)]
pub struct Collection {
    // Shared with the steps of undo, of which each holds a collection of its own.
    scenes: Vec<Arc<SceneEntry>>,
    current: SceneId,
    next_id: u64,
    sources: Arc<[Source]>,
    sounds: Arc<[Sound]>,
    fade: Duration,
}

/// What a file keeps of a collection.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    pub sources: Vec<Source>,
    pub sounds: Vec<Sound>,
    pub scenes: Vec<NamedScene>,
    pub switching: Switching,
}

impl Contents {
    pub fn of(file: &BroadcastFile) -> Self {
        Self {
            sources: file.sources.clone(),
            sounds: file.sounds.clone(),
            scenes: file.scenes.clone(),
            switching: file.switching.clone(),
        }
    }
}

impl Collection {
    /// What `file` holds, with the scene shown that it names.
    pub fn of(file: &BroadcastFile) -> Self {
        let mut next_id = 0;
        let mut fresh = || {
            next_id += 1;
            next_id
        };
        let mut scenes: Vec<_> = Vec::new();
        for scene in &file.scenes {
            let id = SceneId(fresh());
            let item = |arranged: &Arranged| Item {
                id: ItemId(fresh()),
                layer: arranged.layer.clone(),
                locked: arranged.locked,
            };
            let items = scene.layers.iter().map(item).collect();
            scenes.push(Arc::new(SceneEntry { id, name: scene.name.clone(), items }));
        }
        let current = scenes.get(file.first_index()).expect("a broadcast file has at least one scene").id;
        Self {
            scenes,
            current,
            next_id,
            sources: file.sources.clone().into(),
            sounds: file.sounds.clone().into(),
            fade: Duration::from_millis(file.switching.fade_ms.into()),
        }
    }

    /// As a file keeps it.
    pub fn contents(&self) -> Contents {
        let shown = if self.current == self.scenes[0].id { "" } else { &self.current().name };
        Contents {
            sources: self.sources.to_vec(),
            sounds: self.sounds.to_vec(),
            scenes: self.named_scenes(),
            switching: Switching {
                shown: shown.to_owned(),
                fade_ms: u32::try_from(self.fade.as_millis()).unwrap_or(FADE_MS_MAX),
            },
        }
    }

    fn named_scenes(&self) -> Vec<NamedScene> {
        let arranged = |item: &Item| Arranged { layer: item.layer.clone(), locked: item.locked };
        let named = |scene: &Arc<SceneEntry>| NamedScene {
            name: scene.name.clone(),
            layers: scene.items.iter().map(arranged).collect(),
        };
        self.scenes.iter().map(named).collect()
    }

    pub fn scenes(&self) -> &[Arc<SceneEntry>] {
        &self.scenes
    }

    pub fn scene(&self, id: SceneId) -> Option<&Arc<SceneEntry>> {
        self.scenes.iter().find(|scene| scene.id == id)
    }

    /// The one that is shown.
    pub fn current(&self) -> &Arc<SceneEntry> {
        self.scene(self.current).expect("the current scene is one of the collection's")
    }

    /// What items may show.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// What is mixed.
    pub fn sounds(&self) -> &[Sound] {
        &self.sounds
    }

    /// How long one scene fades into the next; nothing is a cut.
    pub fn fade(&self) -> Duration {
        self.fade
    }

    /// No edit, so nothing that is undone.
    pub fn set_fade(&mut self, fade: Duration) {
        self.fade = fade.min(Duration::from_millis(FADE_MS_MAX.into()));
    }

    /// Whether both have the same sources and the same sounds, faders included.
    pub fn same_sources(&self, other: &Self) -> bool {
        // Mostly those of the step before.
        let same = |a: &Arc<[Source]>, b| Arc::ptr_eq(a, b) || a == b;
        let same_sounds = |a: &Arc<[Sound]>, b| Arc::ptr_eq(a, b) || a == b;
        same(&self.sources, &other.sources) && same_sounds(&self.sounds, &other.sounds)
    }

    /// Shows another scene: no edit, so nothing that is undone. `false` where there is no such scene.
    pub fn switch(&mut self, scene: SceneId) -> bool {
        let known = self.scene(scene).is_some();
        if known {
            self.current = scene;
        }
        known
    }

    /// Whether both hold the same scenes with the same items, sources and sounds; which one is shown does not matter.
    pub fn is_same(&self, other: &Self) -> bool {
        self.same_scenes(other) && self.same_sources(other)
    }

    fn same_scenes(&self, other: &Self) -> bool {
        let same = |(a, b): (&Arc<SceneEntry>, &Arc<SceneEntry>)| Arc::ptr_eq(a, b) || a == b;
        self.scenes.len() == other.scenes.len() && self.scenes.iter().zip(&other.scenes).all(same)
    }

    /// Takes the place of `present`, which was made from this one or the other way round: what is shown stays shown,
    /// and no id is given twice.
    fn restored_for(mut self, present: &Self) -> Self {
        self.switch(present.current);
        self.fade = present.fade;
        self.next_id = self.next_id.max(present.next_id);
        self
    }
}

#[cfg(test)]
mod tests;
