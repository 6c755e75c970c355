//! The scenes under the creator's hands: what is selected, what is under way, and what of it the engine and the file have
//! yet to be told.

use std::sync::Arc;
use std::time::Duration;

use studio::Command;
use studio::collection::{
    Collection, Edit, Gesture, History, Item, ItemId, Made, Property, SceneEntry, SceneId,
};
use widgets::egui::Id;

use crate::view::Order;

/// What a click does to what is selected already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Select {
    /// This alone.
    Only,
    /// This too, or no longer.
    Toggle,
}

pub struct Editor {
    history: History,
    selection: Vec<ItemId>,
    /// The control that edits belong to while they are one step.
    gesture: Option<(Id, Gesture)>,
    gestures: u64,
    /// What the programme was told to show.
    shown: Arc<SceneEntry>,
    /// Whose sources the engine was told to run.
    running: Collection,
    /// What was handed on to be saved.
    kept: Collection,
    refusal: Option<String>,
}

impl Editor {
    /// `begin` is what the programme shows and the file holds.
    pub fn new(begin: Collection) -> Self {
        Self {
            shown: Arc::clone(begin.current()),
            running: begin.clone(),
            kept: begin.clone(),
            history: History::new(begin),
            selection: Vec::new(),
            gesture: None,
            gestures: 0,
            refusal: None,
        }
    }

    pub fn collection(&self) -> &Collection {
        self.history.present()
    }

    /// The scene that is shown, and edited.
    pub fn scene(&self) -> &Arc<SceneEntry> {
        self.collection().current()
    }

    /// Why the newest edit was not followed.
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// In the order in which they were selected.
    pub fn selection(&self) -> &[ItemId] {
        &self.selection
    }

    pub fn is_selected(&self, item: ItemId) -> bool {
        self.selection.contains(&item)
    }

    /// The selected items, from back to front.
    pub fn selected(&self) -> impl Iterator<Item = &Item> {
        self.scene().items.iter().filter(|item| self.is_selected(item.id))
    }

    pub fn select(&mut self, item: ItemId, how: Select) {
        let was = self.is_selected(item);
        match how {
            Select::Only => self.selection = vec![item],
            Select::Toggle if was => self.selection.retain(|known| *known != item),
            Select::Toggle => self.selection.push(item),
        }
    }

    pub fn select_nothing(&mut self) {
        self.selection.clear();
    }

    /// A step of its own. `None` where it was refused; the reason is kept for the window.
    pub fn edit(&mut self, edit: Edit) -> Option<Made> {
        self.gesture = None;
        self.follow(edit, None)
    }

    /// One step with what `control` did before and will do, until something else is done or its gesture ends.
    pub fn edit_within(&mut self, control: Id, edit: Edit) -> Option<Made> {
        let gesture = match self.gesture {
            Some((known, gesture)) if known == control => gesture,
            _ => {
                self.gestures += 1;
                Gesture(self.gestures)
            }
        };
        self.gesture = Some((control, gesture));
        self.follow(edit, Some(gesture))
    }

    fn follow(&mut self, edit: Edit, gesture: Option<Gesture>) -> Option<Made> {
        match self.history.edit(edit, gesture) {
            Ok(made) => {
                self.refusal = None;
                self.prune();
                Some(made)
            }
            Err(refusal) => {
                self.refusal = Some(refusal.to_string());
                None
            }
        }
    }

    /// Changes of the scene that is shown.
    pub fn set(&mut self, control: Id, changes: Vec<(ItemId, Property)>) {
        let scene = self.scene().id;
        self.edit_within(control, Edit::Set { scene, changes });
    }

    /// The same as a step of its own.
    pub fn set_once(&mut self, changes: Vec<(ItemId, Property)>) {
        let scene = self.scene().id;
        self.edit(Edit::Set { scene, changes });
    }

    /// The control whose edits are one step now.
    pub fn control(&self) -> Option<Id> {
        self.gesture.map(|(control, _)| control)
    }

    pub fn end_gesture(&mut self) {
        self.gesture = None;
        self.history.end_gesture();
    }

    /// Puts back what `control` did in its gesture.
    pub fn cancel(&mut self, control: Id) {
        if let Some((known, gesture)) = self.gesture
            && known == control
        {
            self.gesture = None;
            self.history.cancel(gesture);
            self.refusal = None;
        }
    }

    pub fn switch(&mut self, scene: SceneId) {
        self.gesture = None;
        self.history.switch(scene);
        self.prune();
    }

    pub fn undo(&mut self) {
        self.gesture = None;
        self.refusal = None;
        self.history.undo();
        self.prune();
    }

    pub fn redo(&mut self) {
        self.gesture = None;
        self.refusal = None;
        self.history.redo();
        self.prune();
    }

    /// What undo would do, for a person: "move Camera", with the scene where another is shown.
    pub fn undo_label(&self) -> Option<String> {
        self.history.undo_label().map(|step| self.in_scene(step))
    }

    pub fn redo_label(&self) -> Option<String> {
        self.history.redo_label().map(|step| self.in_scene(step))
    }

    fn in_scene(&self, (label, scene): (&str, SceneId)) -> String {
        let elsewhere = self.collection().scene(scene).filter(|scene| scene.id != self.scene().id);
        match elsewhere {
            Some(scene) if !label.contains("scene ") => format!("{label} in {}", scene.name),
            _ => label.to_owned(),
        }
    }

    /// What is gone cannot stay selected.
    fn prune(&mut self) {
        let scene = Arc::clone(self.scene());
        self.selection.retain(|id| scene.item(*id).is_some());
    }

    /// How long one scene fades into the next; nothing is a cut.
    pub fn fade(&self) -> Duration {
        self.collection().fade()
    }

    pub fn set_fade(&mut self, fade: Duration) {
        self.history.set_fade(fade);
    }

    /// What the engine and the file have not been told.
    pub fn tell(&mut self, orders: &mut Vec<Order>) {
        let present = self.history.present();
        if !present.same_sources(&self.running) {
            orders.push(Order::Sources(present.sources().to_vec(), present.sounds().to_vec()));
            self.running = present.clone();
        }
        let scene = present.current();
        if !Arc::ptr_eq(scene, &self.shown) {
            let drawn = scene.scene();
            if scene.id != self.shown.id {
                orders.push(Order::Command(Command::SwitchScene { scene: drawn, fade: present.fade() }));
            } else if drawn != self.shown.scene() {
                orders.push(Order::Command(Command::Scene(drawn)));
            }
            self.shown = Arc::clone(scene);
        }
        let is_kept = present.is_same(&self.kept)
            && present.current().id == self.kept.current().id
            && present.fade() == self.kept.fade();
        if !is_kept {
            self.kept = present.clone();
            orders.push(Order::Keep(self.kept.clone()));
        }
    }
}
