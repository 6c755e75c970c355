//! The sheet as a person meets it: by the names that a screen reader says.

use egui_kittest::kittest::Queryable;
use egui_kittest::{Harness, HarnessBuilder};
use widgets::egui::{self, Event, vec2};

use super::*;

struct State {
    sheet: Sheet,
    showing: Showing,
    done: Vec<Done>,
}

fn sheet(showing: Showing) -> Harness<'static, State> {
    let builder = Harness::builder().with_size(vec2(560.0, 520.0)).with_context_setup(widgets::install);
    sheet_by(builder, showing)
}

fn sheet_by(builder: HarnessBuilder<State>, showing: Showing) -> Harness<'static, State> {
    let state = State { sheet: Sheet::default(), showing, done: Vec::new() };
    let mut harness = builder.with_accessibility_check(true).build_ui_state(
        |ui: &mut egui::Ui, state: &mut State| state.done.extend(state.sheet.show(ui, &state.showing)),
        state,
    );
    harness.run();
    harness
}

fn deposit(lines: usize) -> Agreement {
    let line = |number: usize| (format!("line {number}"), "0.6 UNIT".to_owned());
    let warnings = vec!["This site could take all of it.".to_owned()];
    Agreement { title: "A page asks for a deposit".into(), lines: (0..lines).map(line).collect(), warnings }
}

fn sign(wrong: Option<&str>) -> Showing {
    let opening = Agreement { title: "Open a payment channel".into(), ..Agreement::default() };
    Showing::Asking(Question::Sign {
        agreements: vec![deposit(3), opening],
        wrong: wrong.map(ToOwned::to_owned),
    })
}

#[test]
fn what_is_signed_is_all_shown_and_signed_by_passphrase_alone() {
    let mut window = sheet(sign(None));
    for shown in ["A page asks for a deposit", "line 2", "Open a payment channel"] {
        window.get_by_label(shown);
    }
    window.get_by_label_contains("could take all of it");
    // The field has the focus.
    window.key_press(Key::Enter);
    window.run_steps(2);
    assert!(window.state().done.is_empty(), "nothing was typed");
    window.event(Event::Text("nine lemons".into()));
    window.run_steps(2);
    window.key_press(Key::Enter);
    window.run_steps(2);
    let [Done::Answered(Reply::Typed(typed))] = &window.state().done[..] else {
        panic!("{:?}", window.state().done)
    };
    assert_eq!(typed.as_str(), "nine lemons");
}

#[test]
fn a_wrong_passphrase_is_said_and_typed_anew() {
    let mut window = sheet(sign(None));
    window.event(Event::Text("wrong".into()));
    window.run_steps(2);
    window.get_by_label("Sign and send").click();
    window.run_steps(2);
    window.state_mut().showing = sign(Some("That is not the passphrase."));
    window.run_steps(3);
    window.get_by_label_contains("That is not the passphrase.");
    window.event(Event::Text("right".into()));
    window.run_steps(2);
    window.get_by_label("Sign and send").click();
    window.run_steps(2);
    let last = window.state().done.last();
    assert!(
        matches!(last, Some(Done::Answered(Reply::Typed(typed))) if typed.as_str() == "right"),
        "{last:?}"
    );
}

#[test]
fn one_of_several_is_chosen_and_all_else_is_confirmed_or_left() {
    let among = vec!["bob".to_owned(), "savings".to_owned()];
    let choose = Question::Choose { title: "Which account pays?".into(), name: "From account".into(), among };
    let mut window = sheet(Showing::Asking(choose));
    window.get_by_label("savings").click();
    window.run_steps(2);
    window.get_by_label("Go on").click();
    window.run_steps(2);
    assert!(matches!(window.state().done[..], [Done::Answered(Reply::Chosen(1))]));

    let confirm = Question::Confirm { agreement: deposit(1), yes: "That is its unit".into() };
    let mut window = sheet(Showing::Asking(confirm));
    window.get_by_label("That is its unit").click();
    window.run_steps(2);
    window.key_press(Key::Escape);
    window.run_steps(2);
    let done = &window.state().done[..];
    assert!(matches!(done, [Done::Answered(Reply::Confirmed), Done::Closed]), "{done:?}");
}

#[test]
fn what_is_long_scrolls_and_the_buttons_stay() {
    let agreements = vec![deposit(80)];
    let window = sheet(Showing::Asking(Question::Sign { agreements, wrong: None }));
    let cancel = window.get_by_label("Cancel").rect();
    assert!(cancel.bottom() <= 520.0, "{cancel:?}");
}

#[test]
fn what_became_of_it_is_read_and_closed() {
    let over = Showing::Over { heading: "Done".into(), words: "The page may pay 0.6 UNIT.".into() };
    let mut window = sheet(over);
    window.get_by_label_contains("may pay 0.6 UNIT");
    window.get_by_label("Close").click();
    window.run_steps(2);
    assert!(matches!(window.state().done[..], [Done::Closed]));
}

fn new_passphrase() -> Showing {
    let (title, words) = ("A passphrase for \"me\"".into(), "It locks the account on this machine.".into());
    Showing::Asking(Question::NewPassphrase { title, words, wrong: None })
}

fn types(window: &mut Harness<'_, State>, text: &str) {
    window.event(Event::Text(text.into()));
    window.run_steps(2);
    window.key_press(Key::Enter);
    window.run_steps(3);
}

#[test]
fn a_new_passphrase_is_typed_twice_and_by_the_keyboard_alone() {
    let mut window = sheet(new_passphrase());
    types(&mut window, "nine lemons");
    assert!(window.state().done.is_empty(), "it was typed once");
    types(&mut window, "nine melons");
    assert!(window.state().done.is_empty(), "they differ");
    window.get_by_label_contains("not the same");
    types(&mut window, "ten lemons");
    types(&mut window, "ten lemons");
    let [Done::Answered(Reply::Typed(typed))] = &window.state().done[..] else {
        panic!("{:?}", window.state().done)
    };
    assert_eq!(typed.as_str(), "ten lemons");
}

#[test]
fn words_are_shown_in_their_order_until_they_are_written_down() {
    let words = "abandon ability able about above absent absorb abstract absurd abuse access accident";
    let mut window = sheet(Showing::Asking(Question::WriteDown {
        title: "Write these words down".into(),
        words: "They are the account.".into(),
        secret: Kept::new(words),
    }));
    let mut places = Vec::new();
    for word in words.split(' ') {
        let place = window.get_by_label(word).rect();
        places.push((place.top().round() as i32, place.left().round() as i32));
    }
    assert!(places.is_sorted(), "line by line: {places:?}");
    window.get_by_label("I have written them down").click();
    window.run_steps(2);
    assert!(matches!(window.state().done[..], [Done::Answered(Reply::Confirmed)]));
}

#[test]
fn what_is_taken_in_is_counted_and_not_shown() {
    let (title, words) = ("Take in an account".into(), "Type its words.".into());
    let mut window = sheet(Showing::Asking(Question::Import { title, name: "Words".into(), words }));
    window.event(Event::Paste("bottom drive obey".into()));
    window.run_steps(2);
    window.get_by_label("3 words");
    assert!(window.query_by_label_contains("bottom").is_none());
    window.get_by_label("Go on").click();
    window.run_steps(2);
    let done = &window.state().done[..];
    assert!(
        matches!(done, [Done::Answered(Reply::Typed(typed))] if typed.as_str() == "bottom drive obey"),
        "{done:?}"
    );
}

#[test]
fn how_each_question_looks() {
    let words = "abandon ability able about above absent absorb abstract absurd abuse access accident";
    let write = Question::WriteDown {
        title: "Write these words down".into(),
        words: "They are the account: whoever has them has what is on it.".into(),
        secret: Kept::new(words),
    };
    let among = ["bob", "savings", "the account for concerts, with a rather long name"];
    let choose = Question::Choose {
        title: "Which account pays?".into(),
        name: "From account".into(),
        among: among.map(str::to_owned).into(),
    };
    let over = Showing::Over { heading: "Done".into(), words: "The page may pay 0.6 UNIT.".into() };
    let mut looks = snapshots::Looks::default();
    for (name, showing) in [
        ("approve-sign", sign(None)),
        ("approve-wrong", sign(Some("That is not the passphrase."))),
        ("approve-passphrase", new_passphrase()),
        ("approve-words", Showing::Asking(write)),
        ("approve-choose", Showing::Asking(choose)),
        ("approve-over", over),
    ] {
        looks.compare_whole(name, vec2(480.0, 440.0), |builder| {
            let mut window = sheet_by(builder, showing.clone());
            window.run_steps(3);
            window
        });
    }
}
