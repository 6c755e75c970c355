//! The properties of what is selected, each changed as it is dragged or written.

use std::ops::RangeInclusive;

use studio::collection::{Item, ItemId, Property};
use studio::scene::{Anchor, Blend, Colour, Content, Crop, Fit, Layer};
use widgets::egui::{
    Align, Color32, ComboBox, DragValue, Id, Layout, Rect, Response, RichText, TextEdit, Ui, Vec2,
    WidgetInfo, pos2, vec2,
};
use widgets::icon::{self, Icon};
use widgets::scroll::list;
use widgets::text::{Tone, note, section_with};
use widgets::{Palette, button};

use super::arrange::natural;
use crate::editor::Editor;
use crate::geometry::{Side, aligned, box_of, placed};
use crate::view::View;

const ROW: f32 = 28.0;
const NAME: f32 = 64.0;
const GAP: f32 = 8.0;
/// The compositor's bounds, as people say them.
const POSITION: RangeInclusive<f64> = -65_536.0..=65_536.0;
const EDGE: RangeInclusive<f64> = 1.0..=16_384.0;
const SCALE: RangeInclusive<f64> = 0.1..=6_400.0;
const TEXT_SIZE: RangeInclusive<f64> = 4.0..=512.0;

pub fn show(ui: &mut Ui, view: &View, editor: &mut Editor) {
    let programme = vec2(view.snapshot.programme.width as f32, view.snapshot.programme.height as f32);
    let selected: Vec<Item> = editor.selected().cloned().collect();
    let [item] = &selected[..] else {
        section_with(ui, "Properties", |_| ());
        let told = match selected.len() {
            0 => "Select a source to see where it is and how it looks.".to_owned(),
            many => {
                format!("{many} sources are selected. Drag them, nudge them with the arrows, or align them.")
            }
        };
        note(ui, &told, Tone::Quiet);
        align(ui, editor, &selected, programme);
        return;
    };
    section_with(ui, &format!("Properties of {}", item.shown_name()), |ui| {
        let fit = button::quiet(ui, "Fill").on_hover_text("Fits it to the whole programme");
        if fit.clicked() {
            editor.set_once(over_everything(item.id));
        }
    });
    list(ui, "properties", |ui| {
        ui.spacing_mut().item_spacing = vec2(GAP, 4.0);
        align(ui, editor, &selected, programme);
        let mut fields = Fields { editor, item };
        fields.content(ui);
        fields.place(ui, programme);
        fields.look(ui);
        fields.crop(ui);
    });
}

const SIDES: [(Side, Icon, &str); 6] = [
    (Side::Left, Icon::AlignLeft, "Align left"),
    (Side::Centre, Icon::AlignCentre, "Centre across"),
    (Side::Right, Icon::AlignRight, "Align right"),
    (Side::Top, Icon::AlignTop, "Align top"),
    (Side::Middle, Icon::AlignMiddle, "Centre up and down"),
    (Side::Bottom, Icon::AlignBottom, "Align bottom"),
];

/// One with the programme, several with each other. What is locked stays.
fn align(ui: &mut Ui, editor: &mut Editor, selected: &[Item], programme: Vec2) {
    let free = selected.iter().filter(|item| !item.locked);
    let boxes: Vec<_> = free
        .map(|item| (item, box_of(&item.layer, natural(ui, &item.layer, programme), programme)))
        .collect();
    let (within, with) = match &boxes[..] {
        [] => return,
        [_] => (Rect::from_min_size(pos2(0.0, 0.0), programme), "with the programme"),
        [(_, first), rest @ ..] => {
            (rest.iter().fold(*first, |whole, (_, rect)| whole.union(*rect)), "with each other")
        }
    };
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        for (side, icon, name) in SIDES {
            if icon::named_button(ui, icon, name, &format!("{name}, {with}")).clicked() {
                let moved = |(item, rect): &(&Item, Rect)| {
                    let (position, _) = placed(&item.layer, aligned(*rect, within, side), programme);
                    (item.id, Property::Position(position))
                };
                editor.set_once(boxes.iter().map(moved).collect());
            }
        }
    });
}

/// The whole of the programme, at its own shape.
fn over_everything(item: ItemId) -> Vec<(ItemId, Property)> {
    let fit = [
        Property::Fit(Some(Fit::Contain)),
        Property::Position([0.0; 2]),
        Property::Anchor(Anchor::TopLeft),
        Property::Size(None),
        Property::Scale(1.0),
    ];
    fit.into_iter().map(|property| (item, property)).collect()
}

struct Fields<'a> {
    editor: &'a mut Editor,
    item: &'a Item,
}

impl Fields<'_> {
    fn layer(&self) -> &Layer {
        &self.item.layer
    }

    /// One step for as long as the control is held or has the focus.
    fn set(&mut self, control: Id, properties: impl IntoIterator<Item = Property>) {
        let id = self.item.id;
        self.editor.set(control, properties.into_iter().map(|property| (id, property)).collect());
    }

    fn content(&mut self, ui: &mut Ui) {
        match self.layer().content.clone() {
            Content::Source(name) => value(ui, "Source", &name),
            Content::Image(path) => value(ui, "Image", &path.display().to_string()),
            Content::Colour(colour) => {
                if let Some((control, colour)) = colour_field(ui, "Colour", colour) {
                    self.set(control, [Property::Content(Box::new(Content::Colour(colour)))]);
                }
            }
            Content::Text(before) => {
                let mut text = before.clone();
                let edit =
                    TextEdit::multiline(&mut text.content).desired_rows(2).desired_width(f32::INFINITY);
                let response = ui.add(edit);
                let written = text.content.clone();
                response.widget_info(|| WidgetInfo {
                    label: Some("Text".into()),
                    ..WidgetInfo::text_edit(true, before.content.clone(), written.clone(), "")
                });
                let mut control = response.id;
                row(ui, "Letters", |ui, width| {
                    let size = number(ui, "Letter size", f64::from(text.size), TEXT_SIZE, " px", width);
                    if let Some((id, size)) = size {
                        (control, text.size) = (id, size as f32);
                    }
                });
                if let Some((id, colour)) = colour_field(ui, "Text colour", text.colour) {
                    (control, text.colour) = (id, colour);
                }
                if text != before {
                    self.set(control, [Property::Content(Box::new(Content::Text(text)))]);
                }
            }
        }
    }

    fn place(&mut self, ui: &mut Ui, programme: Vec2) {
        let layer = self.layer().clone();
        let before = box_of(&layer, natural(ui, &layer, programme), programme);
        let (mut min, mut size, mut control) = (before.min, before.size(), None);
        row(ui, "Position", |ui, width| {
            let x = number(ui, "X", f64::from(min.x), POSITION, " px", width);
            let y = number(ui, "Y", f64::from(min.y), POSITION, " px", width);
            let at = (x.map_or(min.x, |(_, x)| x as f32), y.map_or(min.y, |(_, y)| y as f32));
            control = x.or(y).map(|(id, _)| id);
            min = pos2(at.0, at.1);
        });
        if let Some(control) = control.take() {
            let (position, _) = placed(&layer, Rect::from_min_size(min, before.size()), programme);
            self.set(control, [Property::Position(position)]);
        }
        row(ui, "Size", |ui, width| {
            let wide = number(ui, "Width", f64::from(size.x), EDGE, " px", width);
            let high = number(ui, "Height", f64::from(size.y), EDGE, " px", width);
            control = wide.or(high).map(|(id, _)| id);
            size = vec2(
                wide.map_or(size.x, |(_, edge)| edge as f32),
                high.map_or(size.y, |(_, edge)| edge as f32),
            );
        });
        if let Some(control) = control.take() {
            let (position, size) = placed(&layer, Rect::from_min_size(before.min, size), programme);
            self.set(control, [Property::Position(position), Property::Size(Some(size))]);
        }
        row(ui, "Scale", |ui, width| {
            if let Some((id, percent)) =
                number(ui, "Scale", f64::from(layer.scale) * 100.0, SCALE, " %", width)
            {
                self.set(id, [Property::Scale(percent as f32 / 100.0)]);
            }
        });
        if !matches!(layer.content, Content::Colour(_)) {
            let fits = [
                (None, "Own size"),
                (Some(Fit::Contain), "Contain"),
                (Some(Fit::Cover), "Cover"),
                (Some(Fit::Stretch), "Stretch"),
            ];
            if let Some((control, fit)) = choice(ui, "Fit", layer.fit, &fits) {
                self.set(control, [Property::Fit(fit)]);
            }
        }
    }

    fn look(&mut self, ui: &mut Ui) {
        let layer = self.layer().clone();
        row(ui, "Opacity", |ui, width| {
            let percent = f64::from(layer.opacity) * 100.0;
            if let Some((id, percent)) = number(ui, "Opacity", percent, 0.0..=100.0, " %", width) {
                self.set(id, [Property::Opacity(percent as f32 / 100.0)]);
            }
        });
        let blends = [
            (Blend::Normal, "Normal"),
            (Blend::Add, "Add"),
            (Blend::Screen, "Screen"),
            (Blend::Multiply, "Multiply"),
        ];
        if let Some((control, blend)) = choice(ui, "Blend", layer.blend, &blends) {
            self.set(control, [Property::Blend(blend)]);
        }
    }

    fn crop(&mut self, ui: &mut Ui) {
        if matches!(self.layer().content, Content::Colour(_)) {
            return;
        }
        let mut crop = self.layer().crop;
        // As much as leaves a hundredth beside what the other side cuts.
        let side = |ui: &mut Ui, said: &str, cut: &mut f32, other: f32, width: f32| {
            let most = f64::from((0.99 - other).max(0.0)) * 100.0;
            let cut_off = number(ui, said, f64::from(*cut) * 100.0, 0.0..=most, " %", width);
            cut_off.map(|(id, percent)| {
                *cut = percent as f32 / 100.0;
                id
            })
        };
        let mut control = None;
        row(ui, "Crop x", |ui, width| {
            let Crop { left, right, .. } = crop;
            let first = side(ui, "Crop left", &mut crop.left, right, width);
            control = first.or(side(ui, "Crop right", &mut crop.right, left, width));
        });
        row(ui, "Crop y", |ui, width| {
            let Crop { top, bottom, .. } = crop;
            let first = side(ui, "Crop top", &mut crop.top, bottom, width);
            control = control.or(first).or(side(ui, "Crop bottom", &mut crop.bottom, top, width));
        });
        if let Some(control) = control {
            self.set(control, [Property::Crop(crop)]);
        }
    }
}

/// A name, and controls of which two have room side by side; they are told how wide one is.
fn row(ui: &mut Ui, name: &str, add: impl FnOnce(&mut Ui, f32)) {
    let palette = Palette::of(ui);
    ui.horizontal(|ui| {
        ui.allocate_ui_with_layout(vec2(NAME, ROW), Layout::left_to_right(Align::Center), |ui| {
            ui.set_min_size(vec2(NAME, ROW));
            ui.label(RichText::new(name).color(palette.text_mid));
        });
        let width = ((ui.available_width() - GAP) / 2.0).floor();
        add(ui, width);
    });
}

fn value(ui: &mut Ui, name: &str, text: &str) {
    row(ui, name, |ui, _| _ = widgets::text::name(ui, text, text));
}

/// The new number where it was changed, with the control that did it.
fn number(
    ui: &mut Ui,
    said: &str,
    mut value: f64,
    range: RangeInclusive<f64>,
    unit: &str,
    width: f32,
) -> Option<(Id, f64)> {
    let drag = DragValue::new(&mut value)
        .range(range)
        .clamp_existing_to_range(false)
        .update_while_editing(false)
        .max_decimals(1)
        .suffix(unit);
    let response: Response = ui.add_sized(vec2(width, ROW), drag);
    response
        .widget_info(|| WidgetInfo { label: Some(said.to_owned()), ..WidgetInfo::drag_value(true, value) });
    let (id, changed) = (response.id, response.changed());
    response.on_hover_text(said);
    changed.then_some((id, value))
}

fn choice<T: Copy + PartialEq>(ui: &mut Ui, name: &str, now: T, all: &[(T, &str)]) -> Option<(Id, T)> {
    let mut chosen = now;
    let word = all.iter().find(|(value, _)| *value == now).map_or("", |(_, word)| *word);
    let mut control = Id::unique(name);
    row(ui, name, |ui, width| {
        let combo = ComboBox::from_id_salt(name).width(2.0 * width + GAP).selected_text(word);
        let response = combo.show_ui(ui, |ui| {
            for (value, word) in all {
                ui.selectable_value(&mut chosen, *value, *word);
            }
        });
        control = response.response.id;
        response.response.widget_info(|| {
            let mut info = WidgetInfo::labeled(widgets::egui::Role::ComboBox, true, name);
            info.current_text_value = Some(word.to_owned());
            info
        });
    });
    (chosen != now).then_some((control, chosen))
}

fn colour_field(ui: &mut Ui, said: &str, colour: Colour) -> Option<(Id, Colour)> {
    let before = [colour.red, colour.green, colour.blue, colour.alpha];
    let mut bytes = before;
    let mut control = Id::NULL;
    row(ui, "Colour", |ui, _| {
        let mut shown = Color32::from_rgba_unmultiplied(bytes[0], bytes[1], bytes[2], bytes[3]);
        let response = ui.color_edit_button_srgba(&mut shown);
        control = response.id;
        response.widget_info(|| WidgetInfo::labeled(widgets::egui::Role::Button, true, said));
        if response.changed() {
            bytes = shown.to_srgba_unmultiplied();
        }
        ui.label(String::from(colour));
    });
    let [red, green, blue, alpha] = bytes;
    (bytes != before).then_some((control, Colour { red, green, blue, alpha }))
}
