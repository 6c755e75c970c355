//! What engineers read: over the picture, when it is asked for.

use std::time::Duration;

use widgets::egui::{OutputCommand, Pos2, Ui};
use widgets::window::Holdups;
use widgets::{button, card};

use crate::view::View;

/// What the window knows of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Own {
    /// From the program's start to the first picture in the window.
    pub opened_in: Option<Duration>,
    pub holdups: Holdups,
}

pub fn show(ui: &Ui, at: Pos2, view: &View, own: &Own) {
    let known = figures(view, own);
    card::figures(ui, at, &known, |ui| {
        ui.add_space(8.0);
        let copy = button::quiet(ui, "Copy").on_hover_text("Copies these figures, for whoever helps you");
        if copy.clicked() {
            let text = known.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
            ui.output_mut(|output| output.commands.push(OutputCommand::CopyText(text)));
        }
    });
}

/// As far as they are known.
fn figures(view: &View, own: &Own) -> Vec<(String, String)> {
    let snapshot = &view.snapshot;
    let programme = &snapshot.programme;
    let ms = |value: Option<f64>| value.map(|ms| format!("{ms:.1} ms"));
    let adapter = snapshot.graphics.clone().unwrap_or_else(|| "none: the processor draws".to_owned());
    let late = programme.dropped.saturating_sub(programme.dropped_at_start);
    let due = (programme.frames + late).max(1);
    let left_out = format!("{late} ({:.2} %)", late as f64 * 100.0 / due as f64);
    let simulation = snapshot.simulation.as_ref();
    let particles = simulation.and_then(|simulation| {
        let step = ms(simulation.step_ms_p50)?;
        Some(ms(simulation.render_ms_p50).map_or(step.clone(), |drawn| format!("{step} and {drawn} to draw")))
    });
    let size = (programme.width > 0)
        .then(|| format!("{}×{} at {:.0} a second", programme.width, programme.height, programme.fps));
    let first = [
        ("Graphics adapter", Some(adapter)),
        ("Picture", size),
        ("A step of the particles", particles),
        ("Composing a picture", ms(programme.compose_ms_p50)),
        ("Until all are encoded", ms(programme.lag_ms_p50)),
        ("Pictures left out", Some(left_out)),
    ];
    let renditions = snapshot.renditions.iter().map(|rendition| {
        let parts = [
            Some(format!("{}p", rendition.height)),
            rendition.kbps.map(|kbps| format!("{kbps:.0} kbps")),
            ms(rendition.encode_ms_p50),
            (rendition.dropped > 0).then(|| format!("{} left out", rendition.dropped)),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (format!("Rendition {}", rendition.name.replace('_', " ")), Some(parts.join(", ")))
    });
    let seconds = |opened: Duration| format!("{:.1} s", opened.as_secs_f64());
    let last =
        [("Opened in", own.opened_in.map(seconds)), ("Window held up at most", Some(own.holdups.in_words()))];
    let named = |(name, value): (&str, Option<String>)| (name.to_owned(), value);
    let all = first.map(named).into_iter().chain(renditions).chain(last.map(named));
    all.filter_map(|(name, value)| Some((name, value?))).collect()
}

#[cfg(test)]
mod tests {
    use studio::snapshot::{ProgrammeFigures, RenditionFigures};

    use super::*;

    #[test]
    fn what_was_left_out_while_it_opened_is_not_counted() {
        let mut view = View::default();
        view.snapshot.programme =
            ProgrammeFigures { frames: 990, dropped: 25, dropped_at_start: 15, ..Default::default() };
        let known = figures(&view, &Own::default());
        assert!(known.contains(&("Pictures left out".into(), "10 (1.00 %)".into())), "{known:?}");
    }

    #[test]
    fn a_rendition_is_told_as_far_as_it_is_measured() {
        let rendition = RenditionFigures {
            name: "very_low",
            width: 426,
            height: 240,
            encoder: "libx264".into(),
            target_kbps: 300,
            kbps: None,
            frames: 0,
            dropped: 2,
            encode_ms_p50: Some(1.25),
        };
        let mut view = View::default();
        view.snapshot.renditions = vec![rendition];
        let own = Own { opened_in: Some(Duration::from_millis(1_420)), ..Own::default() };
        let known = figures(&view, &own);
        assert!(
            known.contains(&("Rendition very low".into(), "240p, 1.2 ms, 2 left out".into())),
            "{known:?}"
        );
        assert!(known.contains(&("Opened in".into(), "1.4 s".into())), "{known:?}");
    }
}
