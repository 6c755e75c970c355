//! One sentence on how the studio is doing: what happened, what it means, what to do.

use studio::snapshot::{OnAir, Reach, SourceFigures};
use widgets::number::grouped;
use widgets::text::{Tone, capitalised};

use crate::autosave::Saving;
use crate::rates::Rates;
use crate::view::View;

/// A share of frames lost that nobody sees.
const DROPS_UNSEEN: f64 = 0.01;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub tone: Tone,
    pub sentence: String,
}

fn health(tone: Tone, sentence: impl Into<String>) -> Health {
    Health { tone, sentence: sentence.into() }
}

/// What needs the creator most; `All well` where nothing does.
pub fn of(view: &View) -> Health {
    refused(view)
        .or_else(|| recording(view))
        .or_else(|| output(view))
        .or_else(|| reach(view))
        .or_else(|| source(view))
        .or_else(|| unsaved(view))
        .or_else(|| notices(view))
        .or_else(|| load(view))
        .unwrap_or_else(|| health(Tone::Good, "All well"))
}

fn refused(view: &View) -> Option<Health> {
    view.refused.as_ref().map(|reason| health(Tone::Bad, sentence(reason)))
}

fn recording(view: &View) -> Option<Health> {
    let message = view.snapshot.recording.as_ref()?.message.as_ref()?;
    Some(health(Tone::Bad, format!("{} The broadcast goes on without it.", sentence(message))))
}

fn output(view: &View) -> Option<Health> {
    if view.snapshot.on_air != OnAir::Live {
        return None;
    }
    let (outputs, recording) = (&view.snapshot.outputs, &view.snapshot.recording);
    let lost = outputs.iter().find(|output| matches!(output.state, "lost" | "closed"))?;
    let place = lost.url.split_once("://").map_or(lost.url.as_str(), |(_, place)| place);
    let host = place.split('/').next().unwrap_or(place);
    // The system's number for it helps nobody here.
    let plain = |why: &str| why.split(" (os error").next().unwrap_or(why).trim_end_matches('.').to_owned();
    let why = lost.message.as_deref().map(|why| format!(": {}", plain(why))).unwrap_or_default();
    // Whether it comes back nobody knows: a wrong key stays wrong.
    let then = match lost.state {
        "lost" => "It is tried again.",
        _ => "Start it to try once more.",
    };
    let others = outputs.iter().any(|output| output.state == "up");
    let recording = recording.as_ref().is_some_and(|recording| recording.state == "recording");
    let rest = match (others, recording) {
        (true, true) => " Your other outputs and the recording go on.",
        (true, false) => " Your other outputs go on.",
        (false, true) => " The recording goes on.",
        (false, false) => "",
    };
    Some(health(Tone::Bad, format!("{host} gets no picture{why}. {then}{rest}")))
}

/// Between two attempts no output is lost, and still nobody sees anything.
fn reach(view: &View) -> Option<Health> {
    let is_lost = view.snapshot.on_air == OnAir::Live && view.snapshot.reach() == Reach::NotNow;
    is_lost.then(|| health(Tone::Bad, "No server gets your picture now. They are tried again."))
}

fn unsaved(view: &View) -> Option<Health> {
    match &view.saving {
        Saving::Failed(reason) => Some(health(Tone::Warn, reason)),
        Saving::Nowhere | Saving::Saved | Saving::Waiting => None,
    }
}

/// What killed programs had left of recordings, and what became of it.
pub fn leftovers(view: &View) -> Option<Health> {
    let found = &view.snapshot.recording.as_ref()?.leftovers;
    let said: Vec<&str> = found.iter().map(|leftover| leftover.message.as_str()).collect();
    let tone = if found.iter().all(|leftover| leftover.state == "whole") { Tone::Quiet } else { Tone::Warn };
    (!said.is_empty()).then(|| health(tone, said.join(" ")))
}

fn source(view: &View) -> Option<Health> {
    Some(health(Tone::Warn, view.snapshot.sources.iter().find_map(source_sentence)?))
}

/// Of one that is lost.
pub fn source_sentence(source: &SourceFigures) -> Option<String> {
    if source.state != "lost" {
        return None;
    }
    Some(match source.message.as_deref() {
        // Says by itself what it means and what to do.
        Some(whole) if whole.ends_with('.') => format!("{}: {whole}", source.name),
        Some(why) => format!("{} is not there: {why}. Your stream goes on without it.", source.name),
        None => format!("{} is not there. Your stream goes on without it.", source.name),
    })
}

/// What viewers lack, where it is no fault of the studio.
fn notices(view: &View) -> Option<Health> {
    let said = view.snapshot.on_air == OnAir::Live && !view.heard.notices.is_empty();
    said.then(|| health(Tone::Warn, view.heard.notices.join(" ")))
}

fn load(view: &View) -> Option<Health> {
    if let Some(said) = too_busy(&view.rates) {
        return Some(health(Tone::Warn, said));
    }
    let simulation = view.snapshot.simulation.as_ref()?;
    (simulation.particles < simulation.full_count).then(|| {
        let text =
            format!("Showing {} particles for now, to keep every picture.", grouped(simulation.particles));
        health(Tone::Warn, text)
    })
}

pub fn too_busy(rates: &Rates) -> Option<String> {
    let is_felt = rates.dropped.is_some_and(|share| share > DROPS_UNSEEN);
    let said = "This computer is too busy: pictures are being left out. Close other programs, or use fewer particles.";
    is_felt.then(|| said.to_owned())
}

/// With a capital and a full stop.
pub fn sentence(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    if text.is_empty() { String::new() } else { capitalised(text) + "." }
}

#[cfg(test)]
mod tests {
    use studio::snapshot::{OutputFigures, RecordingFigures, SimulationFigures};

    use super::*;

    fn view() -> View {
        View::default()
    }

    #[test]
    fn nothing_to_say_is_said_in_two_words() {
        assert_eq!(of(&view()), health(Tone::Good, "All well"));
    }

    #[test]
    fn an_output_that_is_lost_matters_while_live_alone_and_more_than_a_source() {
        let mut view = view();
        let message = Some("the server closed the connection".to_owned());
        let url = "rtmp://a.example/live".to_owned();
        view.snapshot.outputs = vec![OutputFigures { url, state: "lost", message, ..Default::default() }];
        view.snapshot.sources = vec![SourceFigures {
            name: "Camera".into(),
            kind: "camera",
            state: "lost",
            message: Some("there is no file film.mp4".into()),
        }];
        assert_eq!(
            of(&view).sentence,
            "Camera is not there: there is no file film.mp4. Your stream goes on without it."
        );
        view.snapshot.sources[0].message = Some("It was disconnected. Connect it again.".into());
        assert_eq!(of(&view).sentence, "Camera: It was disconnected. Connect it again.");
        view.snapshot.on_air = OnAir::Live;
        let said = of(&view);
        assert_eq!(said.tone, Tone::Bad);
        let alone = "a.example gets no picture: the server closed the connection. It is tried again.";
        assert_eq!(said.sentence, alone);
        view.snapshot.outputs.push(OutputFigures { state: "up", ..Default::default() });
        view.snapshot.recording = Some(RecordingFigures { state: "recording", ..Default::default() });
        assert_eq!(of(&view).sentence, format!("{alone} Your other outputs and the recording go on."));
    }

    #[test]
    fn what_viewers_lack_is_said_in_the_servers_words_while_live() {
        let mut view = view();
        view.heard.notices = ["There is no sound for WebRTC viewers.", "There are no smaller renditions."]
            .map(str::to_owned)
            .into();
        assert_eq!(of(&view).tone, Tone::Good);
        view.snapshot.on_air = OnAir::Live;
        view.snapshot.outputs = vec![OutputFigures { state: "up", ..Default::default() }];
        let both = "There is no sound for WebRTC viewers. There are no smaller renditions.";
        assert_eq!(of(&view), health(Tone::Warn, both));
    }

    #[test]
    fn a_recording_that_failed_is_said_first() {
        let mut view = view();
        view.rates.dropped = Some(0.5);
        assert_eq!(of(&view).tone, Tone::Warn);
        view.snapshot.recording =
            Some(RecordingFigures { message: Some("no space left".into()), ..Default::default() });
        assert_eq!(of(&view), health(Tone::Bad, "No space left. The broadcast goes on without it."));
    }

    #[test]
    fn shed_particles_are_told() {
        let mut view = view();
        view.snapshot.simulation =
            Some(SimulationFigures { particles: 320_000, full_count: 500_000, ..Default::default() });
        assert_eq!(of(&view).sentence, "Showing 320\u{2009}000 particles for now, to keep every picture.");
    }
}
