//! The hands on the picture: what is selected in it, moved, resized, cropped and nudged.

use std::sync::Arc;

use studio::collection::{Edit, Item, ItemId, Property};
use studio::scene::{Content, Crop, Fit, Layer, Text};
use widgets::Palette;
use widgets::egui::{
    Color32, CursorIcon, EventFilter, FontId, Id, Key, Modifiers, Pos2, Rect, Response, Stroke, StrokeKind,
    Ui, Vec2, pos2, vec2,
};

use crate::editor::{Editor, Select};
use crate::geometry::{Guides, Handle, Lines, Mapping, Ratio, box_of, crop, placed, resize};

/// In points: how near a handle the pointer must be, how large one is drawn, and from how far things snap.
const REACH: f32 = 8.0;
const HANDLE: f32 = 8.0;
const SNAP: f32 = 8.0;
/// Programme pixels by an arrow, and with Shift.
const NUDGE: f32 = 1.0;
const NUDGE_FAR: f32 = 10.0;
/// Text is measured at this size: glyphs of its own size would fill the window's atlas.
const MEASURED: f32 = 32.0;

/// What the pointer does since it went down at `from`, in points: a picture that is moved by a notice above it takes its
/// sources along.
enum Drag {
    Move {
        starts: Vec<(ItemId, Rect)>,
        from: Pos2,
    },
    Resize {
        item: ItemId,
        handle: Handle,
        start: Rect,
        crop: Crop,
        from: Pos2,
    },
    /// Nothing more until the pointer comes up: it was given up, or began on nothing.
    Over,
}

#[derive(Default)]
pub struct Hands {
    drag: Option<Drag>,
    guides: Guides,
}

/// An item with its box.
struct Boxed {
    item: Item,
    rect: Rect,
}

impl Boxed {
    fn takes_pointer(&self) -> bool {
        self.item.layer.visible && !self.item.locked
    }
}

impl Hands {
    pub fn show(&mut self, ui: &Ui, response: &Response, mapping: Mapping, editor: &mut Editor) {
        let control = response.id.with("drag");
        self.keys(ui, response, editor, control, mapping);
        let boxes = boxes(ui, editor, mapping.programme);
        if response.drag_started() {
            response.request_focus();
            editor.end_gesture();
            let from = ui.input(|input| input.pointer.press_origin()).unwrap_or(mapping.picture.min);
            self.drag = Some(begin(ui, mapping, &boxes, editor, from));
        }
        if response.clicked()
            && let Some(at) = response.interact_pointer_pos()
        {
            response.request_focus();
            click(ui, &boxes, editor, mapping.to_programme(at));
        }
        self.guides = Guides::default();
        if response.dragged()
            && let Some(at) = response.interact_pointer_pos()
        {
            self.follow(ui, mapping, &boxes, editor, control, at);
        }
        if response.drag_stopped() {
            self.drag = None;
            editor.end_gesture();
        }
        // As they are after this frame's edits.
        self.paint(ui, response, mapping, editor);
    }

    fn keys(&mut self, ui: &Ui, response: &Response, editor: &mut Editor, control: Id, mapping: Mapping) {
        if self.drag.is_some() && ui.input(|input| input.key_pressed(Key::Escape)) {
            editor.cancel(control);
            self.drag = Some(Drag::Over);
            return;
        }
        if !response.has_focus() {
            return;
        }
        let filter = EventFilter { horizontal_arrows: true, vertical_arrows: true, escape: true, tab: false };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
        let pressed =
            |modifiers, key| ui.input_mut(|input| input.count_and_consume_key(modifiers, key)) as f32;
        let mut by = Vec2::ZERO;
        // With Shift first: without it means with or without.
        for (modifiers, far) in [(Modifiers::SHIFT, NUDGE_FAR), (Modifiers::NONE, NUDGE)] {
            by.x += far * (pressed(modifiers, Key::ArrowRight) - pressed(modifiers, Key::ArrowLeft));
            by.y += far * (pressed(modifiers, Key::ArrowDown) - pressed(modifiers, Key::ArrowUp));
        }
        if by != Vec2::ZERO {
            nudge(ui, editor, response.id, by, mapping.programme);
        }
        let scene = editor.scene().id;
        let items = || editor.selection().to_vec();
        if pressed(Modifiers::NONE, Key::Escape) > 0.0 {
            editor.select_nothing();
        } else if pressed(Modifiers::NONE, Key::Delete) > 0.0 && !editor.selection().is_empty() {
            editor.edit(Edit::DeleteItems { scene, items: items() });
        } else if pressed(Modifiers::COMMAND, Key::D) > 0.0 && !editor.selection().is_empty() {
            editor.edit(Edit::DuplicateItems { scene, items: items() });
        } else if pressed(Modifiers::COMMAND, Key::A) > 0.0 {
            editor.select_nothing();
            for item in Arc::clone(editor.scene()).items.iter().filter(|item| !item.locked) {
                editor.select(item.id, Select::Toggle);
            }
        }
    }

    fn follow(
        &mut self,
        ui: &Ui,
        mapping: Mapping,
        boxes: &[Boxed],
        editor: &mut Editor,
        control: Id,
        at: Pos2,
    ) {
        let modifiers = ui.input(|input| input.modifiers);
        let reach = if modifiers.command { 0.0 } else { SNAP / mapping.scale() };
        let changes = match &self.drag {
            Some(Drag::Move { starts, from }) => {
                let whole = starts.iter().fold(Rect::NOTHING, |all, (_, rect)| all.union(*rect));
                let lines = lines(mapping, boxes, |item| starts.iter().any(|(id, _)| *id == item));
                let wanted = rounded(whole.translate((at - *from) / mapping.scale()));
                let (to, guides) =
                    if reach > 0.0 { lines.moved(wanted, reach) } else { (wanted, Guides::default()) };
                self.guides = guides;
                moved(boxes, starts, to.min - whole.min, mapping.programme)
            }
            Some(Drag::Resize { item, handle, start, crop: before, from }) => {
                let Some(boxed) = boxes.iter().find(|boxed| boxed.item.id == *item) else { return };
                let by = (at - *from) / mapping.scale();
                if modifiers.alt {
                    let (to, cut) = crop(*start, *before, *handle, by);
                    resized(&boxed.item, to, mapping.programme, [Property::Crop(cut)])
                } else {
                    let ratio = if modifiers.shift { Ratio::Free } else { Ratio::Kept };
                    let mut to = resize(*start, *handle, by, ratio);
                    if reach > 0.0 {
                        let lines = lines(mapping, boxes, |other| other == *item);
                        (to, self.guides) = lines.resized(*start, to, *handle, ratio, reach);
                    }
                    // What was cropped before in this drag is whole again.
                    let crop = Property::Crop(*before);
                    let fit = stretched(&boxed.item.layer, *start, to).map(Property::Fit);
                    resized(&boxed.item, rounded(to), mapping.programme, [crop].into_iter().chain(fit))
                }
            }
            Some(Drag::Over) | None => return,
        };
        editor.set(control, changes);
    }

    fn paint(&self, ui: &Ui, response: &Response, mapping: Mapping, editor: &Editor) {
        let palette = Palette::of(ui);
        let painter = ui.painter().with_clip_rect(mapping.picture.expand(HANDLE));
        // Dark beside light, so that it is seen on any picture.
        let dark = Stroke::new(3.0, Color32::from_black_alpha(120));
        for guide in [dark, Stroke::new(1.0, Color32::WHITE)] {
            if let Some(x) = self.guides.x {
                painter.vline(mapping.to_screen(pos2(x, 0.0)).x, mapping.picture.y_range(), guide);
            }
            if let Some(y) = self.guides.y {
                painter.hline(mapping.picture.x_range(), mapping.to_screen(pos2(0.0, y)).y, guide);
            }
        }
        let selected: Vec<_> = boxes(ui, editor, mapping.programme)
            .into_iter()
            .filter(|boxed| editor.is_selected(boxed.item.id))
            .collect();
        for boxed in &selected {
            let rect = mapping.rect_to_screen(boxed.rect);
            let colour = if boxed.takes_pointer() { palette.select } else { palette.text_low };
            painter.rect_stroke(rect, 0.0, dark, StrokeKind::Middle);
            painter.rect_stroke(rect, 0.0, Stroke::new(1.5, colour), StrokeKind::Middle);
        }
        if let [one] = &selected[..]
            && one.takes_pointer()
        {
            let rect = mapping.rect_to_screen(one.rect);
            for handle in Handle::ALL {
                let square = Rect::from_center_size(handle.on(rect), vec2(HANDLE, HANDLE));
                painter.rect_filled(square, 1.0, Color32::WHITE);
                painter.rect_stroke(square, 1.0, Stroke::new(1.5, palette.select), StrokeKind::Inside);
            }
            if let Some(at) = response.hover_pos()
                && let Some(handle) = Handle::hit(rect, at, REACH)
            {
                ui.set_cursor_icon(cursor(handle));
            }
        }
        if response.has_focus() {
            let ring = mapping.picture.expand(2.0);
            ui.painter().rect_stroke(ring, 0.0, Stroke::new(2.0, palette.select), StrokeKind::Outside);
        }
    }
}

fn begin(ui: &Ui, mapping: Mapping, boxes: &[Boxed], editor: &mut Editor, from: Pos2) -> Drag {
    let selected: Vec<_> =
        boxes.iter().filter(|boxed| editor.is_selected(boxed.item.id) && boxed.takes_pointer()).collect();
    let at = mapping.to_programme(from);
    if let [one] = &selected[..]
        && let Some(handle) = Handle::hit(mapping.rect_to_screen(one.rect), from, REACH)
    {
        let (item, crop) = (one.item.id, one.item.layer.crop);
        return Drag::Resize { item, handle, start: one.rect, crop, from };
    }
    // What is selected moves, also from behind others; else what the pointer is on.
    if !selected.iter().any(|boxed| boxed.rect.contains(at)) {
        let Some(found) = foremost(boxes, at) else { return Drag::Over };
        let more = ui.input(|input| input.modifiers.shift);
        editor.select(found, if more { Select::Toggle } else { Select::Only });
    }
    let starts = boxes
        .iter()
        .filter(|boxed| editor.is_selected(boxed.item.id) && boxed.takes_pointer())
        .map(|boxed| (boxed.item.id, boxed.rect));
    Drag::Move { starts: starts.collect(), from }
}

fn click(ui: &Ui, boxes: &[Boxed], editor: &mut Editor, at: Pos2) {
    let more = ui.input(|input| input.modifiers.shift);
    match foremost(boxes, at) {
        Some(item) => editor.select(item, if more { Select::Toggle } else { Select::Only }),
        None if more => {}
        None => editor.select_nothing(),
    }
}

/// The foremost item at a point that the pointer may have.
fn foremost(boxes: &[Boxed], at: Pos2) -> Option<ItemId> {
    let hit = boxes.iter().rev().find(|boxed| boxed.takes_pointer() && boxed.rect.contains(at));
    hit.map(|boxed| boxed.item.id)
}

fn boxes(ui: &Ui, editor: &Editor, programme: Vec2) -> Vec<Boxed> {
    let boxed = |item: &Item| {
        let rect = box_of(&item.layer, natural(ui, &item.layer, programme), programme);
        Boxed { item: item.clone(), rect }
    };
    editor.scene().items.iter().map(boxed).collect()
}

fn lines(mapping: Mapping, boxes: &[Boxed], moves: impl Fn(ItemId) -> bool) -> Lines {
    let others = boxes.iter().filter(|boxed| boxed.item.layer.visible && !moves(boxed.item.id));
    Lines::new(mapping.programme, &others.map(|boxed| boxed.rect).collect::<Vec<_>>())
}

fn rounded(rect: Rect) -> Rect {
    Rect::from_min_max(rect.min.round(), rect.max.round())
}

fn moved(boxes: &[Boxed], starts: &[(ItemId, Rect)], by: Vec2, programme: Vec2) -> Vec<(ItemId, Property)> {
    let position = |(id, start): &(ItemId, Rect)| {
        let boxed = boxes.iter().find(|boxed| boxed.item.id == *id)?;
        let (position, _) = placed(&boxed.item.layer, start.translate(by), programme);
        Some((*id, Property::Position(position)))
    };
    starts.iter().filter_map(position).collect()
}

fn resized(
    item: &Item,
    to: Rect,
    programme: Vec2,
    more: impl IntoIterator<Item = Property>,
) -> Vec<(ItemId, Property)> {
    let (position, size) = placed(&item.layer, to, programme);
    let place = [Property::Position(position), Property::Size(Some(size))];
    place.into_iter().chain(more).map(|property| (item.id, property)).collect()
}

/// A picture without a fit of its own that loses its shape is meant to be stretched.
fn stretched(layer: &Layer, from: Rect, to: Rect) -> Option<Option<Fit>> {
    let is_picture = matches!(layer.content, Content::Source(_) | Content::Image(_));
    let shape = |rect: Rect| rect.width() / rect.height();
    let changed = (shape(from) / shape(to) - 1.0).abs() > 0.01;
    (is_picture && layer.fit.is_none() && changed).then_some(Some(Fit::Stretch))
}

fn nudge(ui: &Ui, editor: &mut Editor, control: Id, by: Vec2, programme: Vec2) {
    let boxes = boxes(ui, editor, programme);
    let selected = boxes.iter().filter(|boxed| editor.is_selected(boxed.item.id) && !boxed.item.locked);
    let starts: Vec<_> = selected.map(|boxed| (boxed.item.id, boxed.rect)).collect();
    if !starts.is_empty() {
        editor.set(control, moved(&boxes, &starts, by, programme));
    }
}

/// The size of what a layer shows, uncropped. The engine tells of no picture how large it is: those without a size of
/// their own are taken to be as large as the programme, which cameras and patterns are asked to be.
pub fn natural(ui: &Ui, layer: &Layer, programme: Vec2) -> Vec2 {
    match &layer.content {
        Content::Text(text) => measured(ui, text),
        Content::Source(_) | Content::Image(_) | Content::Colour(_) => programme,
    }
}

/// As the compositor sets it: the same face, 1.25 em from line to line, and room for a shadow or a panel.
fn measured(ui: &Ui, text: &Text) -> Vec2 {
    let zoom = text.size / MEASURED;
    let width = text.width.map_or(f32::INFINITY, |width| width / zoom);
    let font = match text.weight {
        studio::scene::Weight::Regular => FontId::proportional(MEASURED),
        studio::scene::Weight::SemiBold => widgets::theme::strong(MEASURED),
    };
    let galley = ui.painter().layout(text.content.clone(), font, Color32::WHITE, width);
    let lines = galley.rows.len().min(text.max_lines.map_or(usize::MAX, |lines| lines as usize));
    let shadow = text.shadow.map_or(0.0, |_| text.size * (0.045 + 2.0 * 0.07));
    let margin = text.panel.map_or(0.0, |panel| panel.padding).max(shadow);
    let inner = vec2(text.width.unwrap_or(galley.size().x * zoom), lines as f32 * text.size * 1.25);
    (inner + Vec2::splat(2.0 * margin)).ceil().max(Vec2::splat(1.0))
}

fn cursor(handle: Handle) -> CursorIcon {
    match (handle.x, handle.y) {
        (0, _) => CursorIcon::ResizeVertical,
        (_, 0) => CursorIcon::ResizeHorizontal,
        (x, y) if x == y => CursorIcon::ResizeNwSe,
        _ => CursorIcon::ResizeNeSw,
    }
}
