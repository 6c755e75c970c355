//! The sheet as a person meets it: by the names that a screen reader says.

use egui_kittest::kittest::Queryable;
use egui_kittest::{Harness, HarnessBuilder};
use widgets::egui::{self, Event, Key, vec2};

use super::*;

struct State {
    sheet: Sheet,
    question: Question,
    replies: Vec<Reply>,
}

fn sheet(question: Question) -> Harness<'static, State> {
    let builder = Harness::builder().with_size(vec2(960.0, 540.0)).with_context_setup(widgets::install);
    sheet_by(builder, question)
}

fn sheet_by(builder: HarnessBuilder<State>, question: Question) -> Harness<'static, State> {
    let state = State { sheet: Sheet::default(), question, replies: Vec::new() };
    let mut harness = builder.with_accessibility_check(true).build_ui_state(
        |ui: &mut egui::Ui, state: &mut State| {
            state.replies.extend(state.sheet.show(ui, "An evening with particles", &state.question));
        },
        state,
    );
    harness.run();
    harness
}

fn terms() -> Terms {
    Terms {
        payee: "Ana (5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY)".into(),
        accounts: vec!["bob".into(), "savings".into()],
        qualities: vec!["720p for 0.002 UNIT a second".into(), "360p for 0.001 UNIT a second".into()],
        unit: "UNIT".into(),
        choice: Choice { cap: "1.2".into(), ..Choice::default() },
        ..Terms::default()
    }
}

fn ready(choice: Choice) -> Option<(Choice, Draft)> {
    let agreement = Agreement {
        title: "Open a payment channel".into(),
        lines: vec![("deposit".into(), "1.2 UNIT".into())],
        warnings: Vec::new(),
    };
    let words = "Locks 1.2 UNIT.".to_owned();
    Some((choice, Draft::Ready { words, agreements: vec![agreement] }))
}

fn agreed(window: &Harness<'_, State>) -> Option<(Choice, String)> {
    window.state().replies.iter().find_map(|reply| match reply {
        Reply::Agreed(choice, passphrase) => Some((choice.clone(), passphrase.as_str().to_owned())),
        _ => None,
    })
}

/// Of the terms that are asked for.
fn draft(window: &mut Harness<'_, State>, draft: Option<(Choice, Draft)>) {
    let Question::Terms(terms) = &mut window.state_mut().question else { panic!("others are asked for") };
    terms.draft = draft;
    window.run();
}

#[test]
fn nothing_is_agreed_to_before_it_is_known_what_it_takes() {
    let choice = terms().choice;
    let mut window = sheet(Question::Terms(Box::new(terms())));
    assert!(matches!(&window.state().replies[..], [Reply::Chosen(first)] if *first == choice));
    // The passphrase has the focus.
    window.event(Event::Text("open sesame".into()));
    window.key_press(Key::Enter);
    window.run();
    assert!(agreed(&window).is_none(), "nobody knew what it takes");
    draft(&mut window, ready(choice.clone()));
    window.get_by_label("Locks 1.2 UNIT.");
    window.get_by_label("Watch and pay").click();
    window.run();
    assert_eq!(agreed(&window), Some((choice, "open sesame".into())));
}

#[test]
fn what_was_found_for_another_choice_counts_for_nothing() {
    let mut window = sheet(Question::Terms(Box::new(terms())));
    window.event(Event::Text("open sesame".into()));
    draft(&mut window, ready(terms().choice));
    window.get_by_label("Give back what is left when I stop").click();
    window.run();
    window.get_by_label("Looking what that takes …");
    window.get_by_label("Watch and pay").click();
    window.run();
    assert!(agreed(&window).is_none());
    let changed = Choice { is_closing: true, ..terms().choice };
    assert!(matches!(window.state().replies.last(), Some(Reply::Chosen(newest)) if *newest == changed));
    draft(&mut window, ready(changed.clone()));
    window.get_by_label("Watch and pay").click();
    window.run();
    assert_eq!(agreed(&window).map(|(choice, _)| choice), Some(changed));
}

#[test]
fn without_a_passphrase_and_with_wrong_terms_nothing_is_agreed_to() {
    let mut window = sheet(Question::Terms(Box::new(terms())));
    draft(&mut window, ready(terms().choice));
    window.key_press(Key::Enter);
    window.get_by_label("Watch and pay").click();
    window.run();
    let wrong = Draft::Wrong("A second costs 2 UNIT, which is more than the cap.".into());
    draft(&mut window, Some((terms().choice, wrong)));
    window.event(Event::Text("open sesame".into()));
    window.key_press(Key::Enter);
    window.run();
    window.get_by_label("A second costs 2 UNIT, which is more than the cap.");
    assert!(agreed(&window).is_none());
}

#[test]
fn all_that_is_signed_can_be_read() {
    let mut window = sheet(Question::Terms(Box::new(terms())));
    draft(&mut window, ready(terms().choice));
    assert!(window.query_by_label("Open a payment channel").is_none());
    window.get_by_label("Show what is signed").click();
    window.run();
    window.get_by_label("Open a payment channel");
    window.get_by_label("deposit");
}

#[test]
fn a_question_is_answered_with_yes_or_the_window_closes() {
    let agreement = Agreement { title: "Another chain".into(), ..Agreement::default() };
    let mut window = sheet(Question::Confirm { agreement, yes: "That is its unit".into() });
    window.key_press(Key::Enter);
    window.run();
    assert!(window.state().replies.is_empty(), "Enter is no yes here");
    window.get_by_label("That is its unit").click();
    window.run();
    assert!(matches!(window.state().replies[..], [Reply::Confirmed]));
    window.key_press(Key::Escape);
    window.run();
    assert!(matches!(window.state().replies[..], [Reply::Confirmed, Reply::Declined]));
}

#[test]
fn how_the_terms_look() {
    let asked = Terms { draft: ready(terms().choice), ..terms() };
    let failed = "That passphrase does not open the account.".to_owned();
    let mut looks = snapshots::Looks::default();
    for (name, terms) in
        [("watch-terms", asked.clone()), ("watch-terms-wrong", Terms { failed: Some(failed), ..asked })]
    {
        looks.compare_whole(name, vec2(720.0, 480.0), |builder| {
            let mut window = sheet_by(builder, Question::Terms(Box::new(terms.clone())));
            window.run_steps(3);
            window
        });
    }
}
