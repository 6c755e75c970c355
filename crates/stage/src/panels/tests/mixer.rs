//! What is heard at the desk.

use studio::snapshot::MonitorFigures;

use super::*;

#[test]
fn a_source_is_listened_to_and_soloed_by_its_own_buttons() {
    let mut window = window(preview());
    window.get_by_label_contains("Hear Voice yourself").click();
    window.get_by_label_contains("Hear Voice alone").click();
    window.run_steps(2);
    let [Order::Command(listen), Order::Command(solo)] = &window.state().orders[..] else {
        panic!("{:?}", window.state().orders);
    };
    assert!(matches!(listen, Command::MonitorSource { name, monitored: true } if name == "Voice"));
    assert!(matches!(solo, Command::SoloSource { name, soloed: true } if name == "Voice"));
}

#[test]
fn what_is_on_is_turned_off() {
    let mut view = preview();
    let voice = &mut view.snapshot.sound.sources[0];
    (voice.monitored, voice.soloed) = (true, true);
    let mut window = window(view);
    window.get_by_label_contains("Hear Voice yourself").click();
    window.get_by_label_contains("Hear Voice alone").click();
    window.run_steps(2);
    assert!(
        matches!(
            window.state().orders[..],
            [
                Order::Command(Command::MonitorSource { monitored: false, .. }),
                Order::Command(Command::SoloSource { soloed: false, .. })
            ]
        ),
        "{:?}",
        window.state().orders
    );
}

#[test]
fn without_a_loudspeaker_the_reason_stands_below_the_strips() {
    let mut view = preview();
    let message = Some("there is no such sound device".to_owned());
    view.snapshot.sound.monitor = Some(MonitorFigures { state: "lost", message });
    window(view).get_by_label_contains("You hear nothing here: there is no such sound device.");
}
