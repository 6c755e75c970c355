//! The window as a person meets it: by the names that a screen reader says.

use egui_kittest::kittest::Queryable;
use egui_kittest::{Harness, HarnessBuilder};
use widgets::egui::{self, Key, vec2};

use super::*;

struct State {
    panels: Panels,
    view: View,
    orders: Vec<Order>,
}

fn window(view: View) -> Harness<'static, State> {
    let builder = Harness::builder().with_size(vec2(960.0, 540.0)).with_context_setup(widgets::install);
    window_by(builder, view)
}

fn window_by(builder: HarnessBuilder<State>, view: View) -> Harness<'static, State> {
    let state = State { panels: Panels::default(), view, orders: Vec::new() };
    let mut harness = builder.with_step_dt(0.1).with_accessibility_check(true).build_ui_state(
        |ui: &mut egui::Ui, state: &mut State| {
            state.panels.show(ui, &state.view, None, &mut state.orders);
        },
        state,
    );
    harness.run_steps(3);
    harness
}

fn playing() -> View {
    View {
        title: "An evening with particles".into(),
        phase: Phase::Playing,
        delay_ms: Some(912.0),
        height: Some(720),
        volume: 1.0,
        ..View::default()
    }
}

fn paying() -> View {
    let cost = Cost {
        price: "0.0001 UNIT".into(),
        spent: "0.0014 UNIT".into(),
        cap: "0.05 UNIT".into(),
        seconds: 14,
        offered: None,
    };
    View { cost: Some(cost), ..playing() }
}

#[test]
fn controls_go_after_two_seconds_without_a_hand_and_the_cost_stays() {
    let mut window = window(paying());
    window.get_by_label("Stop");
    window.get_by_label("0.9 s behind");
    window.run_steps(25);
    assert!(window.query_by_label("Stop").is_none());
    window.get_by_label("14 s  0.0014 UNIT of 0.05 UNIT");
    window.hover_at(egui::pos2(300.0, 200.0));
    window.run_steps(2);
    window.get_by_label("Stop").click();
    window.run_steps(1);
    assert_eq!(window.state().orders, [Order::Stop]);
}

#[test]
fn controls_stay_while_nothing_plays_and_it_says_why() {
    for (phase, heading, words) in [
        (Phase::Connecting, "Connecting", None),
        (Phase::Reconnecting { reason: "the node is gone".into() }, "Reconnecting", Some("The node is gone")),
        (
            Phase::Over { words: "the stream is over".into() },
            "Nothing plays any more",
            Some("the stream is over"),
        ),
    ] {
        let mut window = window(View { phase, ..playing() });
        window.run_steps(30);
        window.get_by_label(heading);
        if let Some(words) = words {
            window.get_by_label(words);
        }
        window.get_by_label("Stop");
    }
}

#[test]
fn each_control_has_a_key() {
    let mut window = window(playing());
    for (key, order) in [
        (Key::Space, Order::Pause(true)),
        (Key::M, Order::Mute(true)),
        (Key::F, Order::FullScreen(true)),
        (Key::I, Order::Statistics(true)),
        (Key::ArrowDown, Order::Volume(0.95)),
        (Key::ArrowUp, Order::Volume(1.0)),
    ] {
        window.key_press(key);
        window.run_steps(1);
        assert_eq!(std::mem::take(&mut window.state_mut().orders), [order]);
    }
    // Escape leaves the full screen alone.
    window.key_press(Key::Escape);
    window.run_steps(1);
    assert_eq!(window.state().orders, []);
    window.state_mut().view.is_full_screen = true;
    window.key_press(Key::Escape);
    window.run_steps(1);
    assert_eq!(window.state().orders, [Order::FullScreen(false)]);
}

#[test]
fn a_pause_says_that_nothing_is_paid_and_play_ends_it() {
    let view = View { phase: Phase::Paused, is_paused: true, ..paying() };
    let mut window = window(view);
    window.run_steps(30);
    window.get_by_label("Paused");
    window.get_by_label("Nothing is paid until you play on.");
    window.get_by_label("Play").click();
    window.run_steps(1);
    assert_eq!(window.state().orders, [Order::Pause(false)]);
    let over = View { phase: Phase::Over { words: "the stream is over".into() }, ..paying() };
    let mut window = self::window(over);
    window.key_press(Key::Space);
    window.run_steps(1);
    assert!(window.query_by_label("Pause").is_none() && window.state().orders.is_empty());
}

#[test]
fn what_is_over_begins_again_by_a_button_or_return() {
    let over = || View { phase: Phase::Over { words: "the stream is over".into() }, ..paying() };
    let mut window = self::window(over());
    window.get_by_label("Watch again").click();
    window.run_steps(1);
    assert_eq!(std::mem::take(&mut window.state_mut().orders), [Order::Again]);
    let mut window = self::window(over());
    window.key_press(Key::Enter);
    window.run_steps(1);
    assert_eq!(window.state().orders, [Order::Again]);
    let mut plays = self::window(playing());
    plays.key_press(Key::Enter);
    plays.run_steps(1);
    assert!(plays.query_by_label("Watch again").is_none() && plays.state().orders.is_empty());
}

#[test]
fn a_dearer_price_is_paid_after_a_yes_alone() {
    let mut view = paying();
    view.cost.as_mut().expect("it is paid").offered = Some("0.0002 UNIT".into());
    let mut window = window(view);
    window.get_by_label_contains("0.0002 UNIT instead of 0.0001 UNIT");
    assert_eq!(window.state().orders, []);
    window.get_by_label("Pay the new price").click();
    window.run_steps(1);
    assert_eq!(window.state().orders, [Order::Consent]);
}

#[test]
fn a_quality_is_chosen_among_those_that_the_stream_has() {
    use media::RenditionName::{High, Low};
    let offered = vec![(High, 720), (Low, 360)];
    let quality = crate::quality::QualityView { offered, ..Default::default() };
    let mut window = window(View { quality, ..playing() });
    window.get_by_label("Quality").click();
    window.run_steps(2);
    window.get_by_label("360p").click();
    window.run_steps(2);
    assert_eq!(window.state().orders, [Order::Quality(Some(Low))]);
    let quality = crate::quality::QualityView { offered: vec![(High, 720)], ..Default::default() };
    let window = self::window(View { quality, ..playing() });
    assert!(window.query_by_label("Quality").is_none(), "there is nothing to choose");
    window.get_by_label("720p");
}

#[test]
fn statistics_are_shown_by_name_and_value() {
    let figures = vec![("Layer", "high".to_owned()), ("Packets lost", "0 (0.00 %)".to_owned())];
    let window = window(View { has_statistics: true, figures, ..playing() });
    for text in ["Layer", "high", "Packets lost", "0 (0.00 %)"] {
        window.get_by_label(text);
    }
}

#[test]
fn a_device_without_sound_is_told() {
    let window = window(View { silent_because: Some("there is no such device".into()), ..playing() });
    window.get_by_label("No sound");
}

#[test]
fn how_each_state_looks() {
    let figures = vec![
        ("Picture", "1280×720 H.264".to_owned()),
        ("Layer", "high".to_owned()),
        ("Behind", "912 ms".to_owned()),
        ("Packets lost", "12 (0.04 %)".to_owned()),
    ];
    let statistics = View { has_statistics: true, figures, ..paying() };
    let mut dearer = paying();
    if let Some(cost) = &mut dearer.cost {
        cost.offered = Some("0.0003 UNIT".into());
    }
    let reason = "the node is gone: it is looked for again".to_owned();
    let over = Phase::Over { words: "the stream is over".into() };
    let title = "An evening with particles, and with a title that has no end in sight at all".to_owned();
    let mut looks = snapshots::Looks::default();
    for (name, view) in [
        ("watch-playing", View { title, ..playing() }),
        ("watch-statistics", statistics),
        ("watch-dearer", dearer),
        ("watch-reconnecting", View { phase: Phase::Reconnecting { reason }, ..paying() }),
        ("watch-over", View { phase: over, ..paying() }),
    ] {
        looks.compare_whole(name, vec2(720.0, 405.0), |builder| window_by(builder, view.clone()));
    }
}
