//! The simulation's controls: preset, count, and every slider that its command log knows.

use studio::snapshot::SimulationFigures;
use studio::{Action, Command, Parameter, Preset};
use widgets::egui::{self, Align, FontId, Layout, RichText, Slider, Ui, vec2};
use widgets::number::{grouped, tabular};
use widgets::scroll::list;
use widgets::text::{capitalised, row, section_with};
use widgets::{Palette, button};

use super::sources::shown;
use crate::view::Order;

/// Below this a preset is no longer what it was made to be.
const FEWEST: f64 = 5_000.0;
/// Rows, the names in them, and a slider's handle, in points.
const ROW: f32 = 22.0;
const NAME: f32 = 108.0;
const SLIDER: f32 = 16.0;
/// What a person set is shown this long before the engine's own word is taken again, in seconds.
const TRUSTED: f64 = 0.6;

const GROUPS: [(&str, &[Parameter]); 4] = [
    ("Emitters", &[Parameter::Emission, Parameter::Lifetime, Parameter::Speed, Parameter::Spread]),
    (
        "Forces",
        &[
            Parameter::Gravity,
            Parameter::Drag,
            Parameter::Vortex,
            Parameter::Attraction,
            Parameter::Curl,
            Parameter::CurlScale,
            Parameter::Bounce,
        ],
    ),
    ("Wind", &[Parameter::WindX, Parameter::WindY, Parameter::WindZ]),
    ("Look", &[Parameter::Exposure, Parameter::Glow, Parameter::Orbit]),
];

/// What was set here and is not yet the engine's own word.
#[derive(Default)]
pub struct Controls {
    set: Vec<(Parameter, f32, f64)>,
    count: Option<(f64, f64)>,
}

impl Controls {
    pub fn show(&mut self, ui: &mut Ui, simulation: &SimulationFigures, orders: &mut Vec<Order>) {
        let now = ui.input(|input| input.time);
        self.set.retain(|(_, _, at)| now - at < TRUSTED);
        section_with(ui, "Particles", |ui| {
            let changed = simulation.settings.iter().any(|(parameter, value)| *value != parameter.range().1);
            ui.add_enabled_ui(changed, |ui| {
                let reset = button::quiet(ui, "Reset").on_hover_text("Every slider back to the preset's own");
                if reset.clicked() {
                    self.reset(simulation, now, orders);
                }
            });
        });
        list(ui, "particles", |ui| {
            self.presets(ui, simulation, orders);
            self.count(ui, simulation, now, orders);
            for (title, parameters) in GROUPS {
                ui.add_space(8.0);
                ui.label(RichText::new(title).size(12.0).color(Palette::of(ui).text_low));
                for parameter in parameters {
                    self.slider(ui, *parameter, simulation, now, orders);
                }
            }
        });
    }

    fn presets(&mut self, ui: &mut Ui, simulation: &SimulationFigures, orders: &mut Vec<Order>) {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            for preset in Preset::ALL {
                let on = simulation.preset == preset.name();
                if button::toggle(ui, on, &capitalised(preset.name())).clicked() && !on {
                    orders.push(act(Action::Preset { preset }));
                }
            }
        });
    }

    fn count(&mut self, ui: &mut Ui, simulation: &SimulationFigures, now: f64, orders: &mut Vec<Order>) {
        let told = simulation.full_count as f64;
        let mut count = self.count.filter(|(_, at)| now - at < TRUSTED).map_or(told, |(count, _)| count);
        let most = (simulation.capacity as f64).max(FEWEST + 1.0);
        let shed = simulation.particles < simulation.full_count;
        let value = if shed { shown(simulation) } else { grouped(count as u64) };
        let palette = Palette::of(ui);
        let hint = if shed { "Fewer for now, to keep every picture" } else { "What there is of particles" };
        // On a line of its own: while load is shed there are two numbers.
        row(
            ui,
            ROW,
            |ui| _ = ui.label(RichText::new("Count").color(palette.text_mid)),
            |ui| {
                tabular(ui, &value, FontId::proportional(13.0), palette.text_high).on_hover_text(hint);
            },
        );
        let changed = ui
            .scope(|ui| {
                ui.spacing_mut().interact_size.y = SLIDER;
                ui.spacing_mut().slider_width = ui.available_width();
                let slider = Slider::new(&mut count, FEWEST..=most).show_value(false).step_by(5_000.0);
                let slider = ui.add(slider);
                slider.widget_info(|| egui::WidgetInfo::slider(true, count, "Count"));
                slider.changed()
            })
            .inner;
        if changed {
            self.count = Some((count, now));
            orders.push(act(Action::Active { count: count as u32 }));
        }
    }

    fn slider(
        &mut self,
        ui: &mut Ui,
        parameter: Parameter,
        simulation: &SimulationFigures,
        now: f64,
        orders: &mut Vec<Order>,
    ) {
        let (least, usual, most) = parameter.range();
        let told = simulation.settings.iter().find(|(known, _)| *known == parameter).map(|(_, value)| *value);
        let mine = self.set.iter().find(|(known, ..)| *known == parameter).map(|(_, value, _)| *value);
        let mut value = mine.or(told).unwrap_or(usual);
        let changed = line(ui, parameter.name(), &format!("{value:.2}").replace('-', "\u{2212}"), |ui| {
            let slider = ui.add(Slider::new(&mut value, least..=most).show_value(false).smart_aim(false));
            slider.widget_info(|| egui::WidgetInfo::slider(true, f64::from(value), parameter.name()));
            let back = slider.double_clicked();
            if back {
                value = usual;
            }
            back || slider.on_hover_text("Double-click for the preset's own").changed()
        });
        if changed {
            self.put(parameter, value, now, orders);
        }
    }

    fn put(&mut self, parameter: Parameter, value: f32, now: f64, orders: &mut Vec<Order>) {
        self.set.retain(|(known, ..)| *known != parameter);
        self.set.push((parameter, value, now));
        orders.push(act(Action::Set { parameter, value }));
    }

    fn reset(&mut self, simulation: &SimulationFigures, now: f64, orders: &mut Vec<Order>) {
        for (parameter, value) in &simulation.settings {
            let usual = parameter.range().1;
            if *value != usual {
                self.put(*parameter, usual, now, orders);
            }
        }
    }
}

fn act(action: Action) -> Order {
    Order::Command(Command::Simulation(action))
}

/// A name, a slider as wide as what is left, and the value.
fn line(ui: &mut Ui, name: &str, value: &str, add: impl FnOnce(&mut Ui) -> bool) -> bool {
    let palette = Palette::of(ui);
    let mut changed = false;
    ui.horizontal(|ui| {
        ui.spacing_mut().interact_size.y = SLIDER;
        ui.allocate_ui_with_layout(vec2(NAME, ROW), Layout::left_to_right(Align::Center), |ui| {
            ui.set_min_size(vec2(NAME, ROW));
            ui.add(egui::Label::new(RichText::new(name).color(palette.text_mid)).truncate());
        });
        ui.spacing_mut().slider_width = (ui.available_width() - 62.0).max(40.0);
        changed = add(ui);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            tabular(ui, value, FontId::proportional(13.0), palette.text_high);
        });
    });
    changed
}
