//! The scenes: which one is shown, and what there is to it by mouse and keyboard.

use std::time::Duration;

use studio::collection::{Edit, SceneId};
use widgets::button;
use widgets::egui::{DragValue, Id, Role, Ui, WidgetInfo};
use widgets::icon::{self, Icon};
use widgets::scroll::list;
use widgets::text::section_with;

use super::rows::{self, Act, Renamed, Renaming, Row};
use crate::editor::Editor;

/// What most people take, and what they may choose.
const FADE: Duration = Duration::from_millis(300);
const FADE_MS: std::ops::RangeInclusive<u64> = 50..=2_000;

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
        change(ui, editor);
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

/// How one scene gives way to the next.
fn change(ui: &mut Ui, editor: &mut Editor) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        let fades = !editor.fade().is_zero();
        let choose = |ui: &mut Ui, on: bool, word: &str, hint: &str| {
            let pressed = button::toggle(ui, on, word);
            pressed.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, on, hint));
            pressed.on_hover_text(hint).clicked() && !on
        };
        if choose(ui, !fades, "Cut", "Scenes change at once") {
            editor.set_fade(Duration::ZERO);
        }
        if choose(ui, fades, "Fade", "One scene fades into the next") {
            editor.set_fade(FADE);
        }
        if fades && !editor.fade().is_zero() {
            let mut ms = editor.fade().as_millis() as u64;
            // What the file has beyond that stays until somebody changes it.
            let drag = DragValue::new(&mut ms).range(FADE_MS).clamp_existing_to_range(false);
            let drag = drag.speed(10.0).suffix(" ms");
            let length = ui.add(drag);
            length.widget_info(|| WidgetInfo::labeled(Role::SpinButton, true, "Length of the fade"));
            if length.on_hover_text("Length of the fade").changed() {
                editor.set_fade(Duration::from_millis(ms));
            }
        }
    });
}

fn row_id(scene: SceneId) -> Id {
    Id::unique(("scene", scene))
}

fn place(editor: &Editor, scene: SceneId) -> usize {
    editor.collection().scenes().iter().position(|known| known.id == scene).unwrap_or_default()
}
