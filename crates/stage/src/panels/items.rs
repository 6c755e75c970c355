//! The sources of the scene that is shown, the foremost on top, and what runs besides.

use studio::broadcast::Source;
use studio::collection::{Edit, Item, ItemId, Property};
use studio::scene::Content;
use widgets::Palette;
use widgets::egui::{self, Id, RichText, Ui, UiBuilder};
use widgets::icon::{self, Icon};
use widgets::scroll::list;
use widgets::text::{Tone, note, section_with, status, status_width};

use super::adding::{Adding, select_all};
use super::rows::{self, Act, Renamed, Renaming, Row};
use super::sources;
use crate::editor::{Editor, Select};
use crate::health::sentence;
use crate::view::{Order, View};

/// Kinds that sounds are of; a file and a test signal may be either.
const HEARD: [&str; 3] = ["microphone", "file", "synthetic"];
/// Room for the eye and the lock.
const TOGGLES: f32 = 48.0;

#[derive(Default)]
pub struct Items {
    renaming: Option<Renaming<ItemId>>,
    adding: Adding,
}

impl Items {
    pub fn show(&mut self, ui: &mut Ui, view: &View, editor: &mut Editor, orders: &mut Vec<Order>) {
        let mut wanted = None;
        section_with(ui, "Sources", |ui| {
            ui.spacing_mut().item_spacing.x = 0.0;
            buttons(ui, editor, &mut wanted);
            self.adding.button(ui, view, editor, orders);
        });
        let scene = std::sync::Arc::clone(editor.scene());
        list(ui, "sources", |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            if scene.items.is_empty() {
                note(ui, "This scene is empty, and viewers see black. Add a source with +.", Tone::Quiet);
            }
            for item in scene.items.iter().rev() {
                if let Some(act) = self.row(ui, view, editor, item) {
                    wanted = Some((vec![item.id], act));
                }
            }
            ui.spacing_mut().item_spacing.y = 4.0;
            elsewhere(ui, view, editor, &scene.items);
        });
        if let Some((items, act)) = wanted {
            self.follow(editor, &items, act);
        }
        self.adding.ask(ui, view, editor);
    }

    fn row(&mut self, ui: &mut Ui, view: &View, editor: &mut Editor, item: &Item) -> Option<Act> {
        let (id, name) = (row_id(item.id), item.shown_name());
        if let Some(renaming) = self.renaming.as_mut().filter(|renaming| renaming.what == item.id) {
            if let Some(renamed) = renaming.show(ui, "Name of the source") {
                self.renaming = None;
                ui.memory_mut(|memory| memory.request_focus(id));
                if let Renamed::To(text) = renamed
                    && text.trim() != name
                {
                    editor.set_once(vec![(item.id, Property::Name(Some(text)))]);
                }
            }
            return None;
        }
        let device = Device::of(view, editor, item);
        let said = format!("Source {name}");
        let trail = device.state.map_or(8.0, |(_, word)| status_width(ui, word) + 16.0);
        let row = Row {
            id,
            name: &name,
            said: &said,
            marked: editor.is_selected(item.id),
            faint: !item.layer.visible,
            lead: TOGGLES,
            trail,
        };
        let (rect, response) = rows::row(ui, &row);
        // Children of their own: they lie over the row and take no room beside it.
        let left = egui::Layout::left_to_right(egui::Align::Center);
        let mut lead = ui.new_child(UiBuilder::new().max_rect(rows::lead(rect, TOGGLES)).layout(left));
        lead.spacing_mut().item_spacing.x = 0.0;
        toggles(&mut lead, editor, item, &name);
        if let Some((tone, word)) = device.state {
            let right = egui::Layout::right_to_left(egui::Align::Center);
            let trail = rows::trail(rect, trail).shrink2(egui::vec2(8.0, 0.0));
            status(&mut ui.new_child(UiBuilder::new().max_rect(trail).layout(right)), tone, word);
        }
        if let Some((text, tone)) = &device.note {
            note(ui, text, *tone);
            ui.add_space(4.0);
        }
        if response.clicked() {
            let more = ui.input(|input| input.modifiers.shift || input.modifiers.command);
            editor.select(item.id, if more { Select::Toggle } else { Select::Only });
        }
        let act = rows::act(ui, &response);
        response.on_hover_text(name);
        act
    }

    fn follow(&mut self, editor: &mut Editor, items: &[ItemId], act: Act) {
        let scene = editor.scene().id;
        let Some(first) = items.first().copied() else { return };
        let place = editor.scene().items.iter().position(|item| item.id == first).unwrap_or_default();
        match act {
            Act::Rename => {
                let name = editor.scene().item(first).map(Item::shown_name);
                self.renaming = name.map(|name| Renaming::new(first, &name));
            }
            Act::Duplicate => {
                let made = editor.edit(Edit::DuplicateItems { scene, items: items.to_vec() });
                select_all(editor, &made.unwrap_or_default().items);
            }
            Act::Delete => _ = editor.edit(Edit::DeleteItems { scene, items: items.to_vec() }),
            Act::Up => _ = editor.edit(Edit::MoveItem { scene, item: first, to: place + 1 }),
            Act::Down if place > 0 => _ = editor.edit(Edit::MoveItem { scene, item: first, to: place - 1 }),
            Act::Down => {}
        }
    }
}

/// From the right.
fn buttons(ui: &mut Ui, editor: &Editor, wanted: &mut Option<(Vec<ItemId>, Act)>) {
    let selection = editor.selection().to_vec();
    let any = !selection.is_empty();
    let place = |item: &ItemId| editor.scene().items.iter().position(|known| known.id == *item);
    let only = if let [item] = &selection[..] { place(item) } else { None };
    let last = editor.scene().items.len().saturating_sub(1);
    let buttons = [
        (Icon::Delete, "Delete source", Act::Delete, any),
        (Icon::Down, "Move source down", Act::Down, only.is_some_and(|at| at > 0)),
        (Icon::Up, "Move source up", Act::Up, only.is_some_and(|at| at < last)),
        (Icon::Duplicate, "Duplicate source", Act::Duplicate, any),
    ];
    for (icon, name, act, enabled) in buttons {
        ui.add_enabled_ui(enabled, |ui| {
            if icon::button(ui, icon, name).clicked() {
                *wanted = Some((selection.clone(), act));
            }
        });
    }
}

fn row_id(item: ItemId) -> Id {
    Id::unique(("item", item))
}

fn toggles(ui: &mut Ui, editor: &mut Editor, item: &Item, name: &str) {
    let visible = item.layer.visible;
    let icon = if visible { Icon::Shown } else { Icon::Hidden };
    if icon::toggle(ui, icon, visible, !visible, &format!("Show {name}")).clicked() {
        editor.set_once(vec![(item.id, Property::Visible(!visible))]);
    }
    let icon = if item.locked { Icon::Locked } else { Icon::Unlocked };
    if icon::toggle(ui, icon, item.locked, item.locked, &format!("Lock {name}")).clicked() {
        editor.set_once(vec![(item.id, Property::Locked(!item.locked))]);
    }
}

/// What the engine says of what an item shows.
struct Device {
    state: Option<(Tone, &'static str)>,
    note: Option<(String, Tone)>,
}

impl Device {
    fn of(view: &View, editor: &Editor, item: &Item) -> Self {
        let Content::Source(name) = &item.layer.content else { return Self { state: None, note: None } };
        let known = editor.collection().sources().iter().find(|source| source.name() == *name);
        if let (Some("simulation"), Some(simulation)) = (known.map(Source::kind), &view.snapshot.simulation) {
            let shed = simulation.particles < simulation.full_count;
            let note = shed.then(|| (sources::shown(simulation), Tone::Warn));
            return Self { state: Some((Tone::Good, "On")), note };
        }
        let figures = view.snapshot.sources.iter().find(|source| source.name == *name);
        Self {
            state: figures.map(sources::state),
            note: figures
                .and_then(|source| source.message.as_ref())
                .map(|message| (sentence(message), Tone::Warn)),
        }
    }
}

/// What runs besides: sound, and pictures that this scene does not show. Each can be ended for good.
fn elsewhere(ui: &mut Ui, view: &View, editor: &mut Editor, items: &[Item]) {
    let shows = |name: &str| {
        items.iter().any(|item| matches!(&item.layer.content, Content::Source(shown) if shown == name))
    };
    let mut others = view.snapshot.sources.iter().filter(|source| !shows(&source.name)).peekable();
    if others.peek().is_none() {
        return;
    }
    ui.add_space(12.0);
    ui.label(RichText::new("Also running").size(12.0).color(Palette::of(ui).text_low));
    let (pictures, sounds) = (editor.collection().sources().to_vec(), editor.collection().sounds().to_vec());
    for source in others {
        let name = source.name.clone();
        let is_heard = HEARD.contains(&source.kind) && sounds.iter().any(|sound| sound.name() == name);
        let is_seen = pictures.iter().any(|picture| picture.name() == name && picture.kind() == source.kind);
        if sources::device(ui, source, is_seen || is_heard) {
            editor.edit(if is_seen { Edit::DeleteSource { name } } else { Edit::DeleteSound { name } });
        }
    }
}
