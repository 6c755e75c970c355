//! A child's life in virtual time.

use super::*;

const CRASH: Exit = Exit::Signal(11);

struct Child {
    life: Lifecycle,
    now: Instant,
}

impl Child {
    fn new(after_failure: AfterFailure) -> Self {
        Self { life: Lifecycle::new(after_failure), now: Instant::now() }
    }

    /// A node that has been running for `seconds`.
    fn running(seconds: u64) -> Self {
        let mut child = Self::new(AfterFailure::Restart);
        child.hear(Input::Start);
        child.hear(Input::Ready);
        child.pass(seconds);
        child
    }

    fn hear(&mut self, input: Input) -> Option<Action> {
        self.life.handle(self.now, input)
    }

    fn pass(&mut self, seconds: u64) -> Option<Action> {
        self.now += Duration::from_secs(seconds);
        self.hear(Input::Time)
    }

    fn failure(&self) -> Option<Reason> {
        match self.life.phase() {
            Phase::Failed(failure) => Some(failure.reason),
            _ => None,
        }
    }

    /// The wait before the next start, in seconds.
    fn wait(&self) -> Option<u64> {
        match self.life.phase() {
            Phase::Restarting { until, .. } => Some((until - self.now).as_secs()),
            _ => None,
        }
    }
}

#[test]
fn a_child_is_started_once_and_runs_when_it_says_so() {
    let mut child = Child::new(AfterFailure::Restart);
    assert_eq!(child.hear(Input::Start), Some(Action::Spawn));
    assert_eq!(child.hear(Input::Start), None);
    assert!(matches!(child.life.phase(), Phase::Starting { .. }));
    child.hear(Input::Ready);
    assert_eq!(child.life.phase(), Phase::Running { since: child.now });
    assert_eq!(child.life.timeout(), None);
}

#[test]
fn a_child_that_was_asked_to_stop_is_stopped_whatever_its_status() {
    for exit in [Exit::Status(0), Exit::Status(1), Exit::Signal(9)] {
        let mut child = Child::running(1);
        assert_eq!(child.hear(Input::Stop), Some(Action::AskToStop));
        assert_eq!(child.hear(Input::Stop), None);
        child.hear(Input::Exited(exit));
        assert_eq!(child.life.phase(), Phase::Stopped);
    }
}

#[test]
fn a_child_that_does_not_stop_is_killed_once() {
    let mut child = Child::running(1);
    child.hear(Input::Stop);
    assert_eq!(child.pass(STOP_LIMIT.as_secs() - 1), None);
    assert_eq!(child.pass(1), Some(Action::Kill));
    assert_eq!(child.pass(100), None);
    child.hear(Input::Exited(Exit::Signal(9)));
    assert_eq!(child.life.phase(), Phase::Stopped);
}

#[test]
fn a_child_that_never_gets_ready_is_killed_and_told_of() {
    let mut child = Child::new(AfterFailure::Restart);
    child.hear(Input::Start);
    assert_eq!(child.pass(READY_LIMIT.as_secs()), Some(Action::Kill));
    child.hear(Input::Exited(Exit::Signal(9)));
    assert_eq!(child.failure(), Some(Reason::Hung));
}

#[test]
fn a_restart_waits_for_the_end_of_the_old_process() {
    let mut child = Child::running(1);
    assert_eq!(child.hear(Input::Restart), Some(Action::AskToStop));
    assert_eq!(child.hear(Input::Exited(Exit::Status(0))), Some(Action::Spawn));
    assert!(matches!(child.life.phase(), Phase::Starting { .. }));
}

#[test]
fn a_stop_after_a_restart_wins_and_a_start_after_a_stop_wins() {
    let mut child = Child::running(1);
    child.hear(Input::Restart);
    child.hear(Input::Stop);
    assert_eq!(child.hear(Input::Exited(Exit::Status(0))), None);
    let mut child = Child::running(1);
    child.hear(Input::Stop);
    child.hear(Input::Start);
    assert_eq!(child.hear(Input::Exited(Exit::Status(0))), Some(Action::Spawn));
}

#[test]
fn what_fails_at_a_persons_start_is_not_tried_again() {
    let reasons = [
        (Exit::Status(i32::from(crate::ADDRESS_TAKEN)), Reason::PortTaken),
        (Exit::Status(2), Reason::NotBuilt),
        (Exit::Status(1), Reason::EndedBeforeReady),
        (CRASH, Reason::EndedBeforeReady),
    ];
    for (exit, reason) in reasons {
        let mut child = Child::new(AfterFailure::Restart);
        child.hear(Input::Start);
        assert_eq!(child.hear(Input::Exited(exit)), None);
        assert_eq!(child.failure(), Some(reason));
        // A person may, at any time.
        assert_eq!(child.hear(Input::Start), Some(Action::Spawn));
    }
    let mut child = Child::new(AfterFailure::Restart);
    child.hear(Input::Start);
    child.hear(Input::Unstartable);
    assert_eq!(child.failure(), Some(Reason::Unstartable));
}

#[test]
fn a_node_that_crashes_comes_back_after_waits_that_double_and_is_given_up_after_five() {
    let mut child = Child::running(1);
    let mut waits = Vec::new();
    child.hear(Input::Exited(CRASH));
    while let Some(wait) = child.wait() {
        waits.push(wait);
        assert_eq!(child.pass(wait - 1).or(child.pass(1)), Some(Action::Spawn));
        child.hear(Input::Ready);
        child.hear(Input::Exited(CRASH));
    }
    assert_eq!(waits, [1, 2, 4, 8, 16]);
    assert_eq!(child.failure(), Some(Reason::EndedWhileRunning));
}

#[test]
fn a_restart_that_fails_at_its_start_is_tried_again_too() {
    let mut child = Child::running(1);
    child.hear(Input::Exited(CRASH));
    assert_eq!(child.pass(1), Some(Action::Spawn));
    // The old one's port may still be in use for a moment.
    child.hear(Input::Exited(Exit::Status(i32::from(crate::ADDRESS_TAKEN))));
    assert_eq!(child.wait(), Some(2));
}

#[test]
fn a_minute_without_failure_starts_the_count_anew() {
    let mut child = Child::running(1);
    child.hear(Input::Exited(CRASH));
    child.pass(1);
    child.hear(Input::Ready);
    child.pass(59);
    child.hear(Input::Exited(CRASH));
    assert_eq!(child.wait(), Some(2), "59 s are not enough");
    child.pass(2);
    child.hear(Input::Ready);
    child.pass(60);
    child.hear(Input::Exited(CRASH));
    assert_eq!(child.wait(), Some(1));
}

#[test]
fn a_stop_ends_the_wait_for_a_restart_and_a_start_shortens_it() {
    let mut child = Child::running(1);
    child.hear(Input::Exited(CRASH));
    child.hear(Input::Stop);
    assert_eq!((child.life.phase(), child.pass(100)), (Phase::Stopped, None));
    let mut child = Child::running(1);
    child.hear(Input::Exited(CRASH));
    assert_eq!(child.hear(Input::Start), Some(Action::Spawn));
    assert_eq!(child.life.restarts(), 0);
}

#[test]
fn a_window_that_crashes_stays_closed_and_one_that_is_closed_is_no_failure() {
    let mut stage = Child::new(AfterFailure::Rest);
    stage.hear(Input::Start);
    stage.hear(Input::Ready);
    stage.hear(Input::Exited(CRASH));
    assert_eq!(stage.failure(), Some(Reason::EndedWhileRunning));
    stage.hear(Input::Start);
    stage.hear(Input::Ready);
    stage.hear(Input::Exited(Exit::Status(0)));
    assert_eq!(stage.life.phase(), Phase::Stopped);
}
