//! What may be added: sources that there are already, devices of this machine, files, text and colour.

use std::path::PathBuf;

use studio::broadcast::{Sound, Source};
use studio::collection::{Edit, ItemId};
use studio::scene::{Anchor, Blend, Colour, Content, Fit, Layer, Text};
use studio::{DeviceKind, Devices, FoundDevice};
use widgets::egui::{self, Frame, Id, Key, Modal, Popup, RichText, ScrollArea, TextEdit, Ui, WidgetInfo};
use widgets::icon::{self, Icon};
use widgets::{Palette, button};

use crate::editor::{Editor, Select};
use crate::view::{Looked, Order, View};

/// As many letters of a window's title as a menu has room for.
const TITLE: usize = 44;
const MENU_HEIGHT: f32 = 420.0;
const PARTICLES: u32 = 500_000;

/// What is asked for by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PathOf {
    Image,
    Film,
}

impl PathOf {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Image => ("Add an image", "The path of a PNG or JPEG file"),
            Self::Film => ("Add a video file", "The path of a film; its sound comes with it"),
        }
    }
}

struct Asked {
    of: PathOf,
    path: String,
    /// It was opened in this frame.
    fresh: bool,
}

#[derive(Default)]
pub struct Adding {
    asked: Option<Asked>,
}

impl Adding {
    /// The button with its menu.
    pub fn button(&mut self, ui: &mut Ui, view: &View, editor: &mut Editor, orders: &mut Vec<Order>) {
        let add = icon::button(ui, Icon::Add, "Add source");
        let opened = add.clicked();
        if opened {
            orders.push(Order::Look);
        }
        Popup::menu(&add).accessible_name("Add source").show(|ui| {
            // As high as it needs to be when the devices are known, which is later than it opens.
            let area = ScrollArea::vertical().max_height(MENU_HEIGHT).min_scrolled_height(MENU_HEIGHT);
            area.show(ui, |ui| self.menu(ui, view, editor, opened));
        });
    }

    fn menu(&mut self, ui: &mut Ui, view: &View, editor: &mut Editor, opened: bool) {
        let mut first = opened;
        let mut entry = |ui: &mut Ui, word: &str| {
            let entry = ui.button(word);
            // By the keyboard one goes on from here.
            if std::mem::take(&mut first) {
                entry.request_focus();
            }
            let clicked = entry.clicked();
            if clicked {
                ui.close();
            }
            clicked
        };
        let sources = editor.collection().sources().to_vec();
        for source in &sources {
            if entry(ui, source.name()) {
                add(editor, of_source(source));
            }
        }
        if !sources.is_empty() {
            ui.separator();
        }
        if entry(ui, "Text") {
            let text = Text { size: 64.0, shadow: Some(Colour::rgba(0, 0, 0, 160)), ..Text::new("Text") };
            add(editor, Layer { anchor: Anchor::Center, ..Layer::new(Content::Text(text)) });
        }
        if entry(ui, "Colour") {
            add(editor, in_the_middle(view, Content::Colour(Colour::rgb(0x80, 0x80, 0x80))));
        }
        for (word, of) in [("Image…", PathOf::Image), ("Video file…", PathOf::Film)] {
            if entry(ui, word) {
                self.asked = Some(Asked { of, path: String::new(), fresh: true });
            }
        }
        if !sources.iter().any(|source| matches!(source, Source::Simulation { .. })) && entry(ui, "Particles")
        {
            let name = editor.collection().free_source_name("Particles");
            let preset = "galaxy".to_owned();
            add_source(editor, Source::Simulation { name, preset, count: PARTICLES, seed: 0 }, None);
        }
        if entry(ui, "Test pattern") {
            let name = editor.collection().free_source_name("Test pattern");
            add_source(editor, Source::Synthetic { name }, None);
        }
        ui.separator();
        match &view.devices {
            Looked::NotYet => _ = ui.weak("Looking for cameras, screens and microphones…"),
            Looked::Found(devices) => {
                let free: Vec<_> = devices.found.iter().filter(|found| !is_used(editor, found)).collect();
                for found in &free {
                    if entry(ui, &device_words(found)) {
                        add_device(editor, found);
                    }
                }
                if let Some(words) = missing(devices, free.is_empty()) {
                    ui.weak(words);
                }
            }
        }
    }

    /// Asks for the path, where one is needed.
    pub fn ask(&mut self, ui: &Ui, view: &View, editor: &mut Editor) {
        let Some(Asked { of, path, fresh }) = &mut self.asked else { return };
        let (title, hint) = of.words();
        let mut done = None;
        let modal = Modal::new(Id::unique("path")).frame(Frame::window(ui.style()));
        let modal = modal.show(ui.ctx(), |ui| {
            ui.set_width(400.0);
            ui.heading(title);
            ui.add_space(4.0);
            ui.label(RichText::new(hint).color(Palette::of(ui).text_mid));
            ui.add_space(8.0);
            let edit = ui.add(TextEdit::singleline(path).desired_width(f32::INFINITY));
            let text = path.clone();
            edit.widget_info(|| WidgetInfo {
                label: Some(hint.into()),
                ..WidgetInfo::text_edit(true, text.clone(), text.clone(), "")
            });
            // Before it is given the focus again, which Enter takes from it.
            let entered = edit.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
            if *fresh || ui.memory(|memory| memory.focused().is_none()) {
                edit.request_focus();
                *fresh = false;
            }
            ui.add_space(16.0);
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                let given = !path.trim().is_empty();
                let add = ui.add_enabled_ui(given, |ui| button::primary(ui, "Add").clicked()).inner;
                if given && (add || entered) {
                    done = Some(Some(PathBuf::from(path.trim())));
                }
                if button::quiet(ui, "Cancel").clicked() {
                    done = Some(None);
                }
            });
        });
        let of = *of;
        if done.is_some() || modal.should_close() {
            self.asked = None;
        }
        match (of, done.flatten()) {
            (_, None) => {}
            (PathOf::Image, Some(path)) => add(editor, in_the_middle(view, Content::Image(path))),
            (PathOf::Film, Some(path)) => add_film(editor, path),
        }
    }
}

fn device_words(found: &FoundDevice) -> String {
    let kind = match found.kind {
        DeviceKind::Camera => "Camera",
        DeviceKind::Screen => "Screen",
        DeviceKind::Window => "Window",
        DeviceKind::Microphone => "Microphone",
    };
    if found.words.eq_ignore_ascii_case(kind) {
        return kind.into();
    }
    let short: String = found.words.chars().take(TITLE).collect();
    let rest = if short.len() < found.words.len() { "…" } else { "" };
    format!("{kind}: {short}{rest}")
}

/// What a person should know of what is not listed.
fn missing(devices: &Devices, nothing: bool) -> Option<String> {
    let plural = |kind: &DeviceKind| match kind {
        DeviceKind::Camera => "Cameras",
        DeviceKind::Screen => "Screens",
        DeviceKind::Window => "Windows",
        DeviceKind::Microphone => "Microphones",
    };
    if let Some(kind) = devices.silent.first() {
        return Some(format!("{} did not answer. Open this menu again to look once more.", plural(kind)));
    }
    nothing.then(|| "No other camera, screen, window or microphone was found.".into())
}

/// Whether a source of the broadcast shows or hears it already.
fn is_used(editor: &Editor, found: &FoundDevice) -> bool {
    let pictures = editor.collection().sources().iter().any(|source| match source {
        Source::Camera { device, .. } => found.kind == DeviceKind::Camera && *device == found.id,
        Source::Screen { display, window, .. } => match found.kind {
            DeviceKind::Screen => window.is_empty() && *display == found.id,
            DeviceKind::Window => *window == found.id,
            DeviceKind::Camera | DeviceKind::Microphone => false,
        },
        _ => false,
    });
    let is_heard = |sound: &Sound| matches!(sound, Sound::Microphone { device, .. } if *device == found.id);
    pictures || (found.kind == DeviceKind::Microphone && editor.collection().sounds().iter().any(is_heard))
}

fn add_device(editor: &mut Editor, found: &FoundDevice) {
    let name = editor.collection().free_source_name(&found.words);
    if let Some(source) = found.source(name.clone()) {
        add_source(editor, source, None);
    } else if let Some(sound) = found.sound(name) {
        editor.edit(Edit::AddSound { sound });
    }
}

fn add_film(editor: &mut Editor, path: PathBuf) {
    let words = path.file_stem().map_or_else(|| "Film".into(), |stem| stem.to_string_lossy().into_owned());
    let name = editor.collection().free_source_name(&words);
    let sound = Sound::File { name: name.clone(), gain_db: 0.0, muted: false, path: path.clone() };
    add_source(editor, Source::File { name, path }, Some(sound));
}

fn add_source(editor: &mut Editor, source: Source, sound: Option<Sound>) {
    let (scene, layer) = (editor.scene().id, Box::new(of_source(&source)));
    let made = editor.edit(Edit::AddSource { source: Box::new(source), sound, scene, layer });
    select_all(editor, &made.unwrap_or_default().items);
}

/// Over the whole programme. Particles are light, which adds to what is behind it.
fn of_source(source: &Source) -> Layer {
    let blend = if matches!(source, Source::Simulation { .. }) { Blend::Add } else { Blend::Normal };
    Layer { blend, ..Layer::full_frame(source.name().to_owned(), Fit::Contain) }
}

/// Half as wide and as high as the programme.
fn in_the_middle(view: &View, content: Content) -> Layer {
    let programme = &view.snapshot.programme;
    let size = [programme.width as f32 / 2.0, programme.height as f32 / 2.0].map(|edge| edge.max(1.0));
    Layer { anchor: Anchor::Center, size: Some(size), ..Layer::new(content) }
}

fn add(editor: &mut Editor, layer: Layer) {
    let scene = editor.scene().id;
    let made = editor.edit(Edit::AddItem { scene, layer: Box::new(layer) });
    select_all(editor, &made.unwrap_or_default().items);
}

pub fn select_all(editor: &mut Editor, items: &[ItemId]) {
    if !items.is_empty() {
        editor.select_nothing();
        items.iter().for_each(|item| editor.select(*item, Select::Toggle));
    }
}
