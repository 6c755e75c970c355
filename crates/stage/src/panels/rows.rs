//! Rows of lists that are arranged: chosen, renamed in place, and used from the keyboard.

use widgets::Palette;
use widgets::egui::text::{CCursor, CCursorRange};
use widgets::egui::text_edit::TextEditState;
use widgets::egui::{
    self, Id, Key, Modifiers, Rect, Response, RichText, Role, Sense, Stroke, StrokeKind, TextEdit, TextStyle,
    TextWrapMode, Ui, UiBuilder, WidgetInfo, WidgetText, pos2, vec2,
};

pub const HEIGHT: f32 = 28.0;
/// Between a row's edge and what is in it.
const PADDING: f32 = 8.0;

/// What a person does to a row by key, by double click, or in its menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Rename,
    Duplicate,
    Up,
    Down,
    Delete,
}

pub struct Row<'a> {
    pub id: Id,
    pub name: &'a str,
    /// What a screen reader says, and the pointer shows.
    pub said: &'a str,
    /// The one that it is about now.
    pub marked: bool,
    pub faint: bool,
    /// Room for controls before and after the name.
    pub lead: f32,
    pub trail: f32,
}

/// Where it lies, and what was done to it.
pub fn row(ui: &mut Ui, row: &Row<'_>) -> (Rect, Response) {
    let (_, rect) = ui.allocate_space(vec2(ui.available_width(), HEIGHT));
    let response = ui.interact(rect, row.id, Sense::click());
    let palette = Palette::of(ui);
    if row.marked {
        ui.painter().rect_filled(rect, 4.0, palette.line);
        let bar = Rect::from_min_size(rect.min + vec2(0.0, 4.0), vec2(3.0, rect.height() - 8.0));
        ui.painter().rect_filled(bar, 1.5, palette.select);
    } else if response.hovered() {
        ui.painter().rect_filled(rect, 4.0, palette.raised);
    }
    if response.has_focus() {
        ui.painter().rect_stroke(rect, 4.0, Stroke::new(2.0, palette.select), StrokeKind::Inside);
    }
    let colour = if row.faint { palette.text_low } else { palette.text_high };
    let left = rect.left() + PADDING + row.lead;
    let room = (rect.right() - row.trail - left).max(0.0);
    let text = WidgetText::from(RichText::new(row.name).color(colour));
    let galley = text.into_galley(ui, Some(TextWrapMode::Truncate), room, TextStyle::Body);
    let at = pos2(left, rect.center().y - galley.size().y / 2.0);
    ui.painter().galley(at, galley, colour);
    response.widget_info(|| WidgetInfo::selected(Role::ListBoxOption, true, row.marked, row.said));
    if response.clicked() {
        response.request_focus();
    }
    (rect, response)
}

/// The part of a row that is left for controls before its name.
pub fn lead(rect: Rect, width: f32) -> Rect {
    Rect::from_min_size(rect.min + vec2(4.0, 0.0), vec2(width, rect.height()))
}

pub fn trail(rect: Rect, width: f32) -> Rect {
    Rect::from_min_max(pos2(rect.right() - width, rect.top()), rect.max)
}

/// What was asked of a row.
pub fn act(ui: &Ui, response: &Response) -> Option<Act> {
    let keys = [
        (Modifiers::NONE, Key::F2, Act::Rename),
        (Modifiers::NONE, Key::Delete, Act::Delete),
        (Modifiers::ALT, Key::ArrowUp, Act::Up),
        (Modifiers::ALT, Key::ArrowDown, Act::Down),
        (Modifiers::COMMAND, Key::D, Act::Duplicate),
    ];
    let mut act = response.double_clicked().then_some(Act::Rename);
    if response.has_focus() {
        let pressed =
            |(modifiers, key, act)| ui.input_mut(|input| input.consume_key(modifiers, key)).then_some(act);
        act = act.or_else(|| keys.into_iter().find_map(pressed));
    }
    response.context_menu(|ui| {
        let words = [
            ("Rename", "F2", Act::Rename),
            ("Duplicate", "Ctrl+D", Act::Duplicate),
            ("Move up", "Alt+\u{2191}", Act::Up),
            ("Move down", "Alt+\u{2193}", Act::Down),
            ("Delete", "Del", Act::Delete),
        ];
        for (word, key, wanted) in words {
            if ui.add(egui::Button::new(word).shortcut_text(key)).clicked() {
                act = Some(wanted);
                ui.close();
            }
        }
    });
    act
}

/// A name that is being written in its row.
pub struct Renaming<T> {
    pub what: T,
    text: String,
    fresh: bool,
}

/// How it ended.
pub enum Renamed {
    To(String),
    /// Left as it was.
    Not,
}

impl<T> Renaming<T> {
    pub fn new(what: T, name: &str) -> Self {
        Self { what, text: name.to_owned(), fresh: true }
    }

    /// Draws the field in place of a row; `None` while it is written in.
    pub fn show(&mut self, ui: &mut Ui, said: &str) -> Option<Renamed> {
        let (_, rect) = ui.allocate_space(vec2(ui.available_width(), HEIGHT));
        let id = ui.scope_id().with("rename");
        let edit = TextEdit::singleline(&mut self.text).id(id).margin(vec2(PADDING - 1.0, 4.0));
        let edit = edit.align(egui::Align2::LEFT_CENTER);
        let mut inner = ui.new_child(UiBuilder::new().max_rect(rect));
        let response = inner.add_sized(rect.size(), edit);
        let text = self.text.clone();
        response.widget_info(|| WidgetInfo {
            label: Some(said.to_owned()),
            ..WidgetInfo::text_edit(true, text.clone(), text.clone(), "")
        });
        if self.fresh {
            self.fresh = false;
            response.request_focus();
            // All of it is selected: writing replaces it.
            let mut state = TextEditState::load(ui.ctx(), id).unwrap_or_default();
            let end = CCursor::new(self.text.chars().count());
            state.cursor.set_char_range(Some(CCursorRange::two(CCursor::new(0), end)));
            state.store(ui.ctx(), id);
            return None;
        }
        if !response.lost_focus() {
            return None;
        }
        let escaped = ui.input(|input| input.key_pressed(Key::Escape));
        Some(if escaped { Renamed::Not } else { Renamed::To(std::mem::take(&mut self.text)) })
    }
}
