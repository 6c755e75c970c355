//! Icons after Lucide (ISC licence), drawn as lines so that they are sharp at any scale, each with a name.

use egui::{Pos2, Rect, Response, Role, Sense, Shape, Stroke, Ui, WidgetInfo, pos2, vec2};

use crate::theme::{Palette, Tokens};

/// The grid that the lines below are drawn on, as Lucide's.
const GRID: f32 = 24.0;
/// In points.
const SIZE: f32 = 16.0;
const WIDTH: f32 = 24.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    Add,
    AlignBottom,
    AlignCentre,
    AlignLeft,
    AlignMiddle,
    AlignRight,
    AlignTop,
    Delete,
    Down,
    Duplicate,
    Hidden,
    Listen,
    Locked,
    Redo,
    Shown,
    Undo,
    Unlocked,
    Up,
}

type Line = &'static [(f32, f32)];

const LENS: Line = &[
    (2.0, 12.0),
    (4.5, 8.5),
    (8.0, 6.0),
    (12.0, 5.0),
    (16.0, 6.0),
    (19.5, 8.5),
    (22.0, 12.0),
    (19.5, 15.5),
    (16.0, 18.0),
    (12.0, 19.0),
    (8.0, 18.0),
    (4.5, 15.5),
    (2.0, 12.0),
];
const PUPIL: Line = &[
    (15.0, 12.0),
    (14.1, 14.1),
    (12.0, 15.0),
    (9.9, 14.1),
    (9.0, 12.0),
    (9.9, 9.9),
    (12.0, 9.0),
    (14.1, 9.9),
    (15.0, 12.0),
];
const LONG_BAR: Line = &[(6.0, 4.0), (22.0, 4.0), (22.0, 10.0), (6.0, 10.0), (6.0, 4.0)];
const SHORT_BAR: Line = &[(6.0, 14.0), (15.0, 14.0), (15.0, 20.0), (6.0, 20.0), (6.0, 14.0)];
const WIDE_BAR: Line = &[(3.0, 4.0), (21.0, 4.0), (21.0, 10.0), (3.0, 10.0), (3.0, 4.0)];
const NARROW_BAR: Line = &[(7.0, 14.0), (17.0, 14.0), (17.0, 20.0), (7.0, 20.0), (7.0, 14.0)];
const HEADPHONES: Line = &[
    (3.0, 14.0),
    (6.0, 14.0),
    (7.4, 14.6),
    (8.0, 16.0),
    (8.0, 19.0),
    (7.4, 20.4),
    (6.0, 21.0),
    (5.0, 21.0),
    (3.6, 20.4),
    (3.0, 19.0),
    (3.0, 12.0),
    (4.2, 7.5),
    (7.5, 4.2),
    (12.0, 3.0),
    (16.5, 4.2),
    (19.8, 7.5),
    (21.0, 12.0),
    (21.0, 19.0),
    (20.4, 20.4),
    (19.0, 21.0),
    (18.0, 21.0),
    (16.6, 20.4),
    (16.0, 19.0),
    (16.0, 16.0),
    (16.6, 14.6),
    (18.0, 14.0),
    (21.0, 14.0),
];
const BODY: Line = &[
    (5.0, 11.0),
    (19.0, 11.0),
    (21.0, 13.0),
    (21.0, 20.0),
    (19.0, 22.0),
    (5.0, 22.0),
    (3.0, 20.0),
    (3.0, 13.0),
    (5.0, 11.0),
];
const SHACKLE: Line = &[
    (7.0, 11.0),
    (7.0, 7.0),
    (7.7, 4.5),
    (9.5, 2.7),
    (12.0, 2.0),
    (14.5, 2.7),
    (16.3, 4.5),
    (17.0, 7.0),
    (17.0, 11.0),
];
/// Without its right leg.
const OPEN_SHACKLE: Line =
    &[(7.0, 11.0), (7.0, 7.0), (7.7, 4.5), (9.5, 2.7), (12.0, 2.0), (14.5, 2.7), (16.3, 4.5)];
const BOW: Line = &[
    (4.0, 9.0),
    (14.5, 9.0),
    (17.2, 9.7),
    (19.3, 11.7),
    (20.0, 14.5),
    (19.3, 17.2),
    (17.2, 19.3),
    (14.5, 20.0),
    (11.0, 20.0),
];
const BACK: Line = &[
    (4.0, 16.0),
    (2.6, 15.4),
    (2.0, 14.0),
    (2.0, 4.0),
    (2.6, 2.6),
    (4.0, 2.0),
    (14.0, 2.0),
    (15.4, 2.6),
    (16.0, 4.0),
];
const FRONT: Line = &[
    (10.0, 8.0),
    (20.0, 8.0),
    (22.0, 10.0),
    (22.0, 20.0),
    (20.0, 22.0),
    (10.0, 22.0),
    (8.0, 20.0),
    (8.0, 10.0),
    (10.0, 8.0),
];
const BIN: Line = &[(19.0, 6.0), (18.2, 20.0), (16.5, 22.0), (7.5, 22.0), (5.8, 20.0), (5.0, 6.0)];
const LID: Line = &[(8.0, 6.0), (8.0, 4.0), (10.0, 2.0), (14.0, 2.0), (16.0, 4.0), (16.0, 6.0)];

impl Icon {
    fn lines(self) -> &'static [Line] {
        match self {
            Self::Add => &[&[(5.0, 12.0), (19.0, 12.0)], &[(12.0, 5.0), (12.0, 19.0)]],
            Self::AlignBottom | Self::AlignLeft | Self::AlignRight | Self::AlignTop => {
                &[&[(2.0, 2.0), (2.0, 22.0)], LONG_BAR, SHORT_BAR]
            }
            Self::AlignCentre | Self::AlignMiddle => &[
                &[(12.0, 1.0), (12.0, 4.0)],
                &[(12.0, 10.0), (12.0, 14.0)],
                &[(12.0, 20.0), (12.0, 23.0)],
                WIDE_BAR,
                NARROW_BAR,
            ],
            Self::Delete => &[
                &[(3.0, 6.0), (21.0, 6.0)],
                BIN,
                LID,
                &[(10.0, 11.0), (10.0, 17.0)],
                &[(14.0, 11.0), (14.0, 17.0)],
            ],
            Self::Down => &[&[(6.0, 9.0), (12.0, 15.0), (18.0, 9.0)]],
            Self::Duplicate => &[FRONT, BACK],
            Self::Hidden => &[LENS, &[(3.0, 3.0), (21.0, 21.0)]],
            Self::Listen => &[HEADPHONES],
            Self::Locked => &[BODY, SHACKLE],
            Self::Shown => &[LENS, PUPIL],
            Self::Redo | Self::Undo => &[&[(9.0, 14.0), (4.0, 9.0), (9.0, 4.0)], BOW],
            Self::Unlocked => &[BODY, OPEN_SHACKLE],
            Self::Up => &[&[(6.0, 15.0), (12.0, 9.0), (18.0, 15.0)]],
        }
    }

    /// Drawn as another one, from the right to the left.
    fn is_mirrored(self) -> bool {
        matches!(self, Self::Redo | Self::AlignRight | Self::AlignBottom)
    }

    /// Drawn as another one, its rows as columns.
    fn lies(self) -> bool {
        matches!(self, Self::AlignTop | Self::AlignMiddle | Self::AlignBottom)
    }

    fn paint(self, ui: &Ui, within: Rect, stroke: Stroke) {
        let within = Rect::from_center_size(within.center(), vec2(SIZE, SIZE));
        let at = |&(x, y): &(f32, f32)| -> Pos2 {
            let x = if self.is_mirrored() { GRID - x } else { x };
            let (x, y) = if self.lies() { (y, x) } else { (x, y) };
            pos2(x, y) / GRID * SIZE + within.min.to_vec2()
        };
        for line in self.lines() {
            ui.painter().add(Shape::line(line.iter().map(at).collect(), stroke));
        }
    }
}

/// A button that is an icon alone; `name` is what it does, for the pointer and for a screen reader.
pub fn button(ui: &mut Ui, icon: Icon, name: &str) -> Response {
    named_button(ui, icon, name, name)
}

/// One of which the pointer is told more than its name.
pub fn named_button(ui: &mut Ui, icon: Icon, name: &str, hint: &str) -> Response {
    let response = bare(ui, icon, ui.is_enabled());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, ui.is_enabled(), name));
    response.on_hover_text(hint).on_disabled_hover_text(hint)
}

/// One that is on or off: `strong` where its state is not the usual one.
pub fn toggle(ui: &mut Ui, icon: Icon, on: bool, strong: bool, name: &str) -> Response {
    let response = bare(ui, icon, strong);
    response.widget_info(|| WidgetInfo::selected(Role::CheckBox, true, on, name));
    response.on_hover_text(name)
}

fn bare(ui: &mut Ui, icon: Icon, strong: bool) -> Response {
    let size = vec2(WIDTH, Tokens::get().space.control);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let palette = Palette::of(ui);
    let radius = f32::from(Tokens::get().space.radius);
    let ground = rect.shrink2(vec2(0.0, 2.0));
    if response.hovered() || response.is_pointer_button_down_on() {
        ui.painter().rect_filled(ground, radius, palette.line);
    }
    if response.has_focus() {
        let ring = Stroke::new(2.0, palette.select);
        ui.painter().rect_stroke(ground, radius, ring, egui::StrokeKind::Inside);
    }
    let colour = match (ui.is_enabled(), response.hovered() || strong) {
        (false, _) => palette.text_low.gamma_multiply(0.55),
        (true, true) => palette.text_high,
        (true, false) => palette.text_low,
    };
    icon.paint(ui, rect, Stroke::new(1.5, colour));
    response
}
