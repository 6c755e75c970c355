//! The scenes: which one is shown, and what there is to it by mouse and keyboard.

use studio::collection::{Edit, SceneId};
use widgets::egui::{Id, Ui};
use widgets::icon::{self, Icon};
use widgets::scroll::list;
use widgets::text::section_with;

use super::rows::{self, Act, Renamed, Renaming, Row};
use crate::editor::Editor;

#[derive(Default)]
pub struct Scenes {
    renaming: Option<Renaming<SceneId>>,
}

impl Scenes {
    pub fn show(&mut self, ui: &mut Ui, editor: &mut Editor) {
        let shown = editor.scene().id;
        let mut wanted = None;
        section_with(ui, "Scenes", |ui| {
            ui.spacing_mut().item_spacing.x = 0.0;
            let (count, at) = (editor.collection().scenes().len(), place(editor, shown));
            // From the right.
            let buttons = [
                (Icon::Delete, "Delete scene", Act::Delete, count > 1),
                (Icon::Down, "Move scene down", Act::Down, at + 1 < count),
                (Icon::Up, "Move scene up", Act::Up, at > 0),
                (Icon::Duplicate, "Duplicate scene", Act::Duplicate, true),
            ];
            for (icon, name, act, enabled) in buttons {
                ui.add_enabled_ui(enabled, |ui| {
                    if icon::button(ui, icon, name).clicked() {
                        wanted = Some((shown, act));
                    }
                });
            }
            if icon::button(ui, Icon::Add, "Add scene").clicked() {
                self.add(editor);
            }
        });
        list(ui, "scenes", |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            for scene in editor.collection().scenes().to_vec() {
                let id = row_id(scene.id);
                if let Some(renaming) = self.renaming.as_mut().filter(|renaming| renaming.what == scene.id) {
                    if let Some(renamed) = renaming.show(ui, "Name of the scene") {
                        self.renaming = None;
                        ui.memory_mut(|memory| memory.request_focus(id));
                        if let Renamed::To(name) = renamed {
                            editor.edit(Edit::RenameScene { scene: scene.id, name });
                        }
                    }
                    continue;
                }
                let marked = scene.id == shown;
                let said = format!("Scene {}", scene.name);
                let row =
                    Row { id, name: &scene.name, said: &said, marked, faint: false, lead: 0.0, trail: 8.0 };
                let (_, response) = rows::row(ui, &row);
                if response.clicked() && !marked {
                    editor.switch(scene.id);
                }
                if let Some(act) = rows::act(ui, &response) {
                    wanted = Some((scene.id, act));
                }
                let hint = if marked { "Shown now" } else { "Click to show it" };
                response.on_hover_text(format!("{}\n{hint}", scene.name));
            }
        });
        if let Some((scene, act)) = wanted {
            self.follow(editor, scene, act);
        }
    }

    /// What is shown stays: viewers see the new scene once it is switched to.
    fn add(&mut self, editor: &mut Editor) {
        let name = editor.collection().free_name("Scene");
        if let Some(scene) = editor.edit(Edit::AddScene { name: name.clone() }).and_then(|made| made.scene) {
            self.renaming = Some(Renaming::new(scene, &name));
        }
    }

    fn follow(&mut self, editor: &mut Editor, scene: SceneId, act: Act) {
        let at = place(editor, scene);
        match act {
            Act::Rename => {
                let name = editor.collection().scene(scene).map(|scene| scene.name.clone());
                self.renaming = name.map(|name| Renaming::new(scene, &name));
            }
            Act::Duplicate => _ = editor.edit(Edit::DuplicateScene { scene }),
            Act::Delete => _ = editor.edit(Edit::DeleteScene { scene }),
            Act::Down => _ = editor.edit(Edit::MoveScene { scene, to: at + 1 }),
            Act::Up if at > 0 => _ = editor.edit(Edit::MoveScene { scene, to: at - 1 }),
            Act::Up => {}
        }
    }
}

fn row_id(scene: SceneId) -> Id {
    Id::unique(("scene", scene))
}

fn place(editor: &Editor, scene: SceneId) -> usize {
    editor.collection().scenes().iter().position(|known| known.id == scene).unwrap_or_default()
}
