//! The panels as a person meets them: by the names that a screen reader says.

use egui_kittest::kittest::Queryable;
use egui_kittest::{Harness, HarnessBuilder};
use studio::snapshot::{
    LeftoverFigures, LevelFigures, OnAir, OutputFigures, ProgrammeFigures, RecordingFigures,
    SimulationFigures, SoundSourceFigures, SourceFigures,
};
use studio::{Action, Command, Parameter, Preset};
use widgets::egui::{self, Key, Modifiers, OutputCommand, vec2};

use super::Panels;
use crate::control::Heard;
use crate::view::{Audience, Earned, Order, Phase, Summary, View};

mod editing;
mod keys;
mod looks;
mod mixer;
mod sources;

struct State {
    panels: Panels,
    view: View,
    orders: Vec<Order>,
}

fn window(view: View) -> Harness<'static, State> {
    let builder = Harness::builder().with_size(vec2(1280.0, 800.0)).with_context_setup(widgets::install);
    window_by(builder, view)
}

fn window_by(builder: HarnessBuilder<State>, view: View) -> Harness<'static, State> {
    let state = State { panels: Panels::default(), view, orders: Vec::new() };
    let mut harness = builder.with_accessibility_check(true).build_ui_state(
        |ui: &mut egui::Ui, state: &mut State| {
            state.panels.show(ui, &state.view, None, &mut state.orders);
        },
        state,
    );
    harness.run_steps(3);
    harness
}

/// Everything that a studio may have, in preview.
fn preview() -> View {
    let mut view = View { title: "show.toml".into(), phase: Phase::Running, ..View::default() };
    let snapshot = &mut view.snapshot;
    snapshot.programme = ProgrammeFigures { width: 1280, height: 720, fps: 30.0, ..Default::default() };
    snapshot.simulation = Some(SimulationFigures {
        preset: "galaxy".into(),
        particles: 500_000,
        full_count: 500_000,
        capacity: 500_000,
        settings: Parameter::ALL.map(|parameter| (parameter, parameter.range().1)).into(),
        ..Default::default()
    });
    snapshot.sources =
        vec![SourceFigures { name: "Camera".into(), kind: "camera", state: "live", message: None }];
    let level = LevelFigures { peak_dbfs: [Some(-12.0); 2], rms_dbfs: [Some(-20.0); 2] };
    snapshot.sound.sources = vec![SoundSourceFigures { name: "Voice".into(), level, ..Default::default() }];
    let url = "rtmp://server.example/live".to_owned();
    snapshot.outputs = vec![OutputFigures { kind: "rtmp", url, state: "idle", ..Default::default() }];
    view
}

fn live() -> View {
    let mut view = preview();
    view.snapshot.on_air = OnAir::Live;
    view.snapshot.live_seconds = Some(761.0);
    view.snapshot.outputs[0].state = "up";
    view
}

#[test]
fn the_link_that_viewers_open_is_shown_and_copied_in_one_click() {
    assert!(window(live()).query_by_label("Copy link").is_none(), "nobody knows where it is watched");
    let url = "http://node.example:8080/watch/0123456789abcdef";
    let mut window = window(View { watch_url: Some(url.into()), ..live() });
    window.get_by_label_contains("node.example:8080/watch/0123");
    window.get_by_label("Copy link").click();
    window.run_steps(1);
    let copied = |command: &OutputCommand| matches!(command, OutputCommand::CopyText(text) if text == url);
    assert!(window.output().platform_output.commands.iter().any(copied));
}

#[test]
fn go_live_is_one_click_and_one_key() {
    let mut window = window(preview());
    window.get_by_label("Go live").click();
    window.run_steps(2);
    assert!(matches!(window.state().orders[..], [Order::GoLive]));
    window.key_press_modifiers(Modifiers::COMMAND, Key::L);
    window.run_steps(2);
    assert!(matches!(window.state().orders[..], [Order::GoLive, Order::GoLive]));
}

#[test]
fn without_an_output_going_live_is_refused_and_the_first_step_is_told() {
    let mut view = preview();
    view.snapshot.outputs.clear();
    let mut window = window(view);
    window.get_by_label("Go live").click();
    window.key_press_modifiers(Modifiers::COMMAND, Key::L);
    window.run_steps(2);
    assert!(window.state().orders.is_empty());
    window.get_by_label_contains("or start the node in the Desk and open the Stage from there");
}

#[test]
fn ending_asks_first_and_escape_goes_on() {
    let mut window = window(live());
    window.get_by_label("End").click();
    window.run_steps(3);
    window.get_by_label_contains("End the broadcast?");
    window.key_press(Key::Escape);
    window.run_steps(3);
    assert!(window.query_by_label_contains("End the broadcast?").is_none());
    assert!(window.state().orders.is_empty());
    window.key_press_modifiers(Modifiers::COMMAND, Key::L);
    window.run_steps(3);
    window.get_by_label("End the broadcast").click();
    window.run_steps(3);
    assert!(matches!(window.state().orders[..], [Order::End]));
    assert!(window.query_by_label_contains("End the broadcast?").is_none());
}

#[test]
fn enter_on_the_question_ends_nothing() {
    let mut window = window(live());
    window.get_by_label("End").click();
    window.run_steps(3);
    window.key_press(Key::Enter);
    window.run_steps(3);
    assert!(window.state().orders.is_empty());
    assert!(window.query_by_label_contains("End the broadcast?").is_none());
}

#[test]
fn a_recording_that_cannot_be_written_is_asked_about_once_and_blocks_nothing() {
    let mut view = preview();
    view.unrecorded = Some((0, "the recording /x/show.mp4 cannot be written: permission denied".into()));
    let mut window = window(view);
    window.get_by_label_contains("Go live without recording?");
    window.get_by_label("The recording /x/show.mp4 cannot be written: permission denied.");
    window.get_by_label("Not now").click();
    window.run_steps(3);
    assert!(window.query_by_label_contains("Go live without recording?").is_none());
    assert!(window.state().orders.is_empty());
    if let Some((number, _)) = &mut window.state_mut().view.unrecorded {
        *number += 1;
    }
    window.run_steps(3);
    // The strip's own button is behind the question.
    window.get_all_by_label("Go live").last().expect("the question's button").click();
    window.run_steps(3);
    assert!(matches!(window.state().orders[..], [Order::GoLiveUnrecorded]), "{:?}", window.state().orders);
}

#[test]
fn who_watches_and_what_comes_in_is_told_while_live() {
    let earned = Some(Earned { a_second: Some("0.42 DEV".into()), total: "51.2 DEV".into() });
    let heard = Heard { audience: Some(Audience { viewers: 128, earned }), ..Heard::default() };
    let window_of = |view: View| window(View { heard: heard.clone(), ..view });
    let shown = window_of(live());
    for figure in ["128", "0.42 DEV", "51.2 DEV"] {
        assert!(shown.query_all_by_label_contains(figure).count() > 0, "{figure}");
    }
    let before = window_of(preview());
    assert_eq!(before.query_all_by_label_contains("51.2 DEV").count(), 0);
}

#[test]
fn what_was_found_before_going_live_is_told_and_stops_nobody() {
    let mut view = preview();
    view.found = Some((0, vec!["Camera is not there.".into(), "a.example:1935 gets no picture.".into()]));
    let mut window = window(view);
    window.get_by_label_contains("Before you go live");
    window.get_by_label_contains("a.example:1935 gets no picture.");
    // The safe answer has the focus.
    window.key_press(Key::Enter);
    window.run_steps(3);
    assert!(window.query_by_label_contains("Before you go live").is_none());
    assert!(window.state().orders.is_empty());
    if let Some((number, _)) = &mut window.state_mut().view.found {
        *number += 1;
    }
    window.run_steps(3);
    window.get_by_label("Go live anyway").click();
    window.run_steps(3);
    assert!(matches!(window.state().orders[..], [Order::GoLiveAnyway]), "{:?}", window.state().orders);
}

#[test]
fn while_it_looks_round_going_live_is_asked_for_once() {
    let mut window = window(View { is_checking: true, ..preview() });
    window.get_by_label("Looking round").click();
    window.key_press_modifiers(Modifiers::COMMAND, Key::L);
    window.run_steps(2);
    assert!(window.state().orders.is_empty());
}

#[test]
fn what_is_shed_is_told_beside_what_was_asked_for() {
    let mut view = preview();
    if let Some(simulation) = &mut view.snapshot.simulation {
        simulation.particles = 400_000;
    }
    let window = window(view);
    // In the list of sources and at the slider.
    assert_eq!(window.get_all_by_label("400\u{2009}000 of 500\u{2009}000").count(), 2);
}

#[test]
fn the_bar_of_a_list_covers_none_of_it() {
    let mut view = preview();
    view.snapshot.sources = (0..40)
        .map(|number| SourceFigures {
            name: format!("Camera {number}"),
            kind: "camera",
            state: "live",
            message: None,
        })
        .collect();
    let first = |window: &Harness<'_, State>| window.get_all_by_label("On").next().expect("a word").rect();
    let (one, mut window) = (first(&window(preview())), window(view));
    let many = first(&window);
    // The harness leaves 8 points; the panel is 220 wide with a margin of 12, in which the bar lies.
    assert!((one.right() - 216.0).abs() < 1.5, "{one:?}");
    assert_eq!(one, many, "a bar moves nothing");
    window.drag_at(egui::pos2(8.0 + 216.0, 600.0));
    window.run_steps(3);
    assert!(first(&window).top() < many.top() - 100.0, "it is not where it was pressed");
}

#[test]
fn a_window_that_is_too_small_overprints_nothing() {
    let mut view = live();
    view.snapshot.recording =
        Some(RecordingFigures { state: "recording", bytes: 5_300_000, ..Default::default() });
    let small = [(640.0, 400.0), (800.0, 520.0), (1280.0, 800.0)];
    for (width, height) in small {
        let mut window = window(view.clone());
        window.set_size(vec2(width, height));
        window.run_steps(3);
        let rect = |name: &str| window.query_by_label(name).map(|node| node.rect());
        let screen = egui::Rect::from_min_size(egui::Pos2::ZERO, vec2(width, height));
        let buttons = ["Stop recording", "End"].map(|name| rect(name).expect("a button"));
        assert!(buttons.iter().all(|button| screen.contains_rect(*button)), "{width}: {buttons:?}");
        let figures = ["fps –", "encode –", "dropped 0", "sending –"].into_iter().filter_map(rect);
        for figure in figures {
            assert!(figure.right() <= buttons[0].left(), "{width}: {figure:?} under {buttons:?}");
        }
        let hint = rect("Drag to push the particles · Shift attracts · Alt repels");
        if let (Some(size), Some(hint)) = (rect("1280\u{d7}720"), hint) {
            assert!(size.right() < hint.left(), "{width}: {size:?} over {hint:?}");
        }
    }
}

#[test]
fn closing_the_window_while_live_asks_and_in_preview_does_not() {
    let mut orders = Vec::new();
    let mut panels = Panels::default();
    panels.close(&preview(), &mut orders);
    assert!(matches!(orders[..], [Order::Close]));
    orders.clear();
    panels.close(&live(), &mut orders);
    assert!(orders.is_empty() && panels.question.is_some());
    let mut recording = preview();
    recording.snapshot.recording = Some(RecordingFigures { state: "recording", ..Default::default() });
    let mut panels = Panels::default();
    panels.close(&recording, &mut orders);
    assert!(orders.is_empty() && panels.question.is_some());
}

#[test]
fn a_failure_is_told_in_full_and_can_be_tried_again() {
    let mut view = preview();
    view.phase = Phase::Failed("show.toml: there is no preset \"milk\"".into());
    let mut window = window(view);
    window.get_by_label_contains("there is no preset \"milk\"");
    window.get_by_label("Try again").click();
    window.run_steps(2);
    assert!(matches!(window.state().orders[..], [Order::Retry]));
}

#[test]
fn a_lost_output_is_said_where_it_is_seen() {
    let mut view = live();
    view.snapshot.outputs[0].state = "lost";
    view.snapshot.outputs[0].message = Some("the server closed the connection".into());
    let window = window(view);
    window.get_by_label_contains("server.example gets no picture: the server closed the connection.");
    window.get_by_label("Lost");
}

#[test]
fn it_is_called_live_only_while_a_server_takes_the_picture() {
    let mut view = live();
    let lost = OutputFigures { stood: true, state: "lost", ..view.snapshot.outputs[0].clone() };
    view.snapshot.outputs = vec![lost.clone(), lost];
    let mut window = window(view);
    let says = |window: &Harness<'_, State>, word: &str| {
        let words = ["Live", "Connecting", "Reconnecting", "Not reaching anyone"];
        // An output that connects has the same word in its own line.
        let found = words
            .into_iter()
            .filter(|word| window.query_all_by_label(word).any(|node| node.rect().bottom() < 48.0));
        assert_eq!(found.collect::<Vec<_>>(), [word]);
        assert_eq!(window.query_by_label("0:12:41").is_some(), word == "Live", "the time on air");
    };
    says(&window, "Reconnecting");
    // Lost and connecting by turns, as it is tried again.
    let steps = [
        (["connecting", "connecting"], "Reconnecting"),
        (["closed", "lost"], "Reconnecting"),
        (["closed", "closed"], "Not reaching anyone"),
        (["closed", "up"], "Live"),
    ];
    for (states, word) in steps {
        let outputs = &mut window.state_mut().view.snapshot.outputs;
        outputs.iter_mut().zip(states).for_each(|(output, state)| output.state = state);
        window.run_steps(3);
        says(&window, word);
    }
    for output in &mut window.state_mut().view.snapshot.outputs {
        (output.state, output.stood) = ("connecting", false);
    }
    window.run_steps(3);
    says(&window, "Connecting");
}

#[test]
fn each_output_is_stopped_and_started_by_itself_while_live_and_only_then() {
    let shown = window(preview());
    let label = "Stop RTMP · server.example";
    assert!(shown.query_by_label(label).is_none(), "before it is live all start together");
    let mut window = window(live());
    window.get_by_label(label).click();
    window.run_steps(2);
    window.state_mut().view.snapshot.outputs[0].state = "stopped";
    window.run_steps(2);
    window.get_by_label("Start RTMP · server.example").click();
    window.run_steps(2);
    assert!(matches!(window.state().orders[..], [Order::StopOutput(0), Order::StartOutput(0)]));
}

#[test]
fn what_a_killed_program_left_is_told_until_it_was_seen_and_what_needs_the_creator_comes_first() {
    let leftover = |state, message: &str| LeftoverFigures { state, message: message.into() };
    let mut view = preview();
    let leftovers = vec![leftover("whole", "show.mp4 is whole now."), leftover("damaged", "It is kept.")];
    view.snapshot.recording =
        Some(RecordingFigures { state: "recording", leftovers, ..RecordingFigures::default() });
    view.snapshot.sources[0].state = "lost";
    let mut window = window(view);
    let told = "show.mp4 is whole now. It is kept.";
    assert!(window.query_by_label(told).is_none());
    window.state_mut().view.snapshot.sources[0].state = "live";
    window.run_steps(3);
    window.get_by_label(told);
    window.get_by_label("Got it").click();
    window.run_steps(3);
    assert!(window.query_by_label(told).is_none() && window.query_by_label("Got it").is_none());
    if let Some(recording) = &mut window.state_mut().view.snapshot.recording {
        recording.leftovers.push(leftover("left", "It stays as it is."));
    }
    window.run_steps(3);
    window.get_by_label_contains("It stays as it is.");
}

#[test]
fn muting_one_source_says_which() {
    let mut window = window(preview());
    window.get_by_label("Mute Voice").click();
    window.run_steps(2);
    let [Order::Command(Command::MuteSource { name, muted: true })] = &window.state().orders[..] else {
        panic!("{:?}", window.state().orders)
    };
    assert_eq!(name, "Voice");
}

#[test]
fn a_preset_and_a_slider_reach_the_simulation() {
    let mut window = window(preview());
    window.get_by_label("Embers").click();
    window.run_steps(2);
    let embers = Action::Preset { preset: Preset::Embers };
    let [Order::Command(Command::Simulation(action))] = &window.state().orders[..] else {
        panic!("no order")
    };
    assert_eq!(*action, embers);
    window.state_mut().orders.clear();
    window.get_by_role_and_label(egui::Role::Slider, "Gravity").set_value_accesskit(2.0);
    window.run_steps(2);
    let [Order::Command(Command::Simulation(Action::Set { parameter, value }))] = &window.state().orders[..]
    else {
        panic!("{:?}", window.state().orders)
    };
    assert_eq!((*parameter, *value), (Parameter::Gravity, 2.0));
}

#[test]
fn reset_sets_back_what_was_changed_and_nothing_else() {
    let mut view = preview();
    if let Some(simulation) = &mut view.snapshot.simulation {
        simulation.settings[4].1 = 3.0;
    }
    let mut window = window(view);
    window.get_by_label("Reset").click();
    window.run_steps(2);
    let [Order::Command(Command::Simulation(Action::Set { parameter, value }))] = &window.state().orders[..]
    else {
        panic!("{:?}", window.state().orders)
    };
    assert_eq!((*parameter, *value), (Parameter::ALL[4], Parameter::ALL[4].range().1));
}

#[test]
fn dragging_over_the_preview_pushes_particles() {
    let mut window = window(preview());
    let picture = window.get_by_label("Programme preview").rect();
    window.drag_at(picture.center());
    window.run_steps(2);
    window.hover_at(picture.center() + vec2(30.0, 0.0));
    window.run_steps(2);
    let pushed = window.state().orders.iter().find_map(|order| match order {
        Order::Command(Command::Touch(studio::Touch { at, hand: studio::Hand::Push(way) })) => {
            Some((*at, *way))
        }
        _ => None,
    });
    let (at, way) = pushed.expect("a push");
    assert!((at[0] - 0.5 - 30.0 / picture.width()).abs() < 0.01 && (at[1] - 0.5).abs() < 0.01, "{at:?}");
    assert!(way[0] > 0.0 && way[1].abs() < 1e-3, "{way:?}");
}

#[test]
fn how_it_went_is_told_once() {
    let mut view = preview();
    let recording = Some("/films/show 2.mp4".into());
    view.summary = Some((
        0,
        Summary {
            seconds: 761.0,
            bytes: 2_500_000,
            dropped: 0,
            most_viewers: Some(31),
            earned: Some("5.2 DEV".into()),
            recording,
        },
    ));
    let mut window = window(view);
    window.get_by_label("0:12:41");
    window.get_by_label("2.5 MB");
    window.get_by_label("31");
    window.get_by_label("5.2 DEV");
    window.get_by_label("show 2.mp4");
    window.get_by_label("Done").click();
    window.run_steps(3);
    assert!(window.query_by_label("0:12:41").is_none());
}

#[test]
fn every_control_is_reached_by_the_keyboard() {
    let mut window = window(preview());
    let mut reached = std::collections::BTreeSet::new();
    for _ in 0..60 {
        window.key_press(Key::Tab);
        window.run_steps(1);
        let names =
            ["Go live", "Record", "Mute Voice", "Gain of Voice", "Galaxy", "Silk", "Count", "Drag", "Orbit"];
        for name in names {
            reached.extend(window.query_all_by_label(name).find(|node| node.is_focused()).map(|_| name));
        }
    }
    let missing = ["Go live", "Record", "Mute Voice", "Gain of Voice", "Galaxy", "Silk", "Count", "Drag"];
    for name in missing {
        assert!(reached.contains(name), "{name} was not reached: {reached:?}");
    }
}
