//! A child's life as a state machine: what is asked of it and what happens to it come in, what is to be done
//! with it comes out. No process, no clock.

use std::time::{Duration, Instant};

/// A child that has not said that it is ready by then hangs.
pub const READY_LIMIT: Duration = Duration::from_secs(30);
/// A child that was told to stop and runs on is ended. A recording is finalised well within it.
pub const STOP_LIMIT: Duration = Duration::from_secs(15);
/// The wait before the first restart; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// So many restarts in a row, and then a person has to look.
const RESTARTS_MAX: u32 = 5;
/// Whoever has run for so long has got over its last failure.
const SETTLED: Duration = Duration::from_secs(60);

/// What becomes of a child that failed while it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// It is started again, after a wait.
    Restart,
    /// It stays down: a window that came back by itself would broadcast what nobody looks at.
    Rest,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Status(i32),
    Signal(i32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A port of it is another program's.
    PortTaken,
    /// This executable was built without it.
    NotBuilt,
    /// The process could not even be made.
    Unstartable,
    /// It neither got ready nor ended.
    Hung,
    EndedBeforeReady,
    EndedWhileRunning,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    pub reason: Reason,
    /// Absent where there was no process.
    pub exit: Option<Exit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Stopped,
    Starting {
        since: Instant,
    },
    Running {
        since: Instant,
    },
    Stopping {
        since: Instant,
        then: Then,
    },
    Failed(Failure),
    /// Down, and started again at `until`.
    Restarting {
        until: Instant,
        failure: Failure,
    },
}

impl Phase {
    /// There is no process, and none comes by itself.
    pub const fn is_down(self) -> bool {
        matches!(self, Self::Stopped | Self::Failed(_))
    }
}

/// What follows a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Rest,
    Start,
    /// It hung at its start, and that is what is told.
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    Start,
    Stop,
    Restart,
    /// It said so.
    Ready,
    Exited(Exit),
    Unstartable,
    /// Time has passed; see [`Lifecycle::timeout`].
    Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Spawn,
    AskToStop,
    Kill,
}

#[derive(Debug)]
pub struct Lifecycle {
    after_failure: AfterFailure,
    phase: Phase,
    /// Restarts since it last was settled.
    restarts: u32,
    killed: bool,
}

impl Lifecycle {
    pub fn new(after_failure: AfterFailure) -> Self {
        Self { after_failure, phase: Phase::Stopped, restarts: 0, killed: false }
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Which restart in a row the present one is; 0 after a start by a person.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// When [`Input::Time`] is due.
    pub fn timeout(&self) -> Option<Instant> {
        match self.phase {
            _ if self.killed => None,
            Phase::Starting { since } => Some(since + READY_LIMIT),
            Phase::Stopping { since, .. } => Some(since + STOP_LIMIT),
            Phase::Restarting { until, .. } => Some(until),
            Phase::Stopped | Phase::Running { .. } | Phase::Failed(_) => None,
        }
    }

    pub fn handle(&mut self, now: Instant, input: Input) -> Option<Action> {
        match input {
            Input::Start => self.start(now),
            Input::Stop => self.stop(now, Then::Rest),
            Input::Restart => match self.phase {
                Phase::Stopped | Phase::Failed(_) | Phase::Restarting { .. } => self.start(now),
                _ => self.stop(now, Then::Start),
            },
            Input::Ready => {
                if let Phase::Starting { .. } = self.phase {
                    self.phase = Phase::Running { since: now };
                }
                None
            }
            Input::Exited(exit) => self.exited(now, exit),
            Input::Unstartable => {
                self.phase = Phase::Failed(Failure { reason: Reason::Unstartable, exit: None });
                None
            }
            Input::Time => self.time(now),
        }
    }

    fn start(&mut self, now: Instant) -> Option<Action> {
        match &mut self.phase {
            Phase::Stopped | Phase::Failed(_) | Phase::Restarting { .. } => {
                self.restarts = 0;
                Some(self.spawn(now))
            }
            Phase::Stopping { then, .. } => {
                *then = Then::Start;
                None
            }
            Phase::Starting { .. } | Phase::Running { .. } => None,
        }
    }

    fn spawn(&mut self, now: Instant) -> Action {
        self.phase = Phase::Starting { since: now };
        self.killed = false;
        Action::Spawn
    }

    fn stop(&mut self, now: Instant, next: Then) -> Option<Action> {
        match &mut self.phase {
            Phase::Starting { .. } | Phase::Running { .. } => {
                self.phase = Phase::Stopping { since: now, then: next };
                Some(Action::AskToStop)
            }
            Phase::Stopping { then, .. } => {
                *then = next;
                None
            }
            Phase::Failed(_) | Phase::Restarting { .. } => {
                self.phase = Phase::Stopped;
                None
            }
            Phase::Stopped => None,
        }
    }

    fn exited(&mut self, now: Instant, exit: Exit) -> Option<Action> {
        let failed = |reason| Failure { reason, exit: Some(exit) };
        match self.phase {
            Phase::Stopping { then: Then::Start, .. } => {
                self.restarts = 0;
                return Some(self.spawn(now));
            }
            Phase::Stopping { then: Then::Rest, .. } => self.phase = Phase::Stopped,
            Phase::Stopping { then: Then::Fail, .. } => self.phase = Phase::Failed(failed(Reason::Hung)),
            Phase::Starting { .. } => self.failed(now, failed(start_failure(exit))),
            // It was closed by its own window, or ended in order by somebody else.
            Phase::Running { .. } if exit == Exit::Status(0) => self.phase = Phase::Stopped,
            Phase::Running { since } => {
                if now.saturating_duration_since(since) >= SETTLED {
                    self.restarts = 0;
                }
                self.failed(now, failed(Reason::EndedWhileRunning));
            }
            // There is no process in these.
            Phase::Stopped | Phase::Failed(_) | Phase::Restarting { .. } => {}
        }
        None
    }

    fn failed(&mut self, now: Instant, failure: Failure) {
        // What fails at a person's first start would fail again; what ran before may well come back.
        let worth_it = failure.reason == Reason::EndedWhileRunning || self.restarts > 0;
        if self.after_failure == AfterFailure::Rest || !worth_it || self.restarts >= RESTARTS_MAX {
            self.phase = Phase::Failed(failure);
            return;
        }
        let wait = FIRST_WAIT * 2_u32.pow(self.restarts);
        self.restarts += 1;
        self.phase = Phase::Restarting { until: now + wait, failure };
    }

    fn time(&mut self, now: Instant) -> Option<Action> {
        if self.timeout().is_none_or(|due| now < due) {
            return None;
        }
        match self.phase {
            Phase::Restarting { .. } => Some(self.spawn(now)),
            Phase::Starting { .. } => {
                self.killed = true;
                self.phase = Phase::Stopping { since: now, then: Then::Fail };
                Some(Action::Kill)
            }
            Phase::Stopping { .. } => {
                self.killed = true;
                Some(Action::Kill)
            }
            Phase::Stopped | Phase::Running { .. } | Phase::Failed(_) => None,
        }
    }
}

/// Why a child ended before it was ready, by its exit status.
fn start_failure(exit: Exit) -> Reason {
    /// clap's, for a command or an argument that it does not know.
    const USAGE: i32 = 2;
    match exit {
        Exit::Status(USAGE) => Reason::NotBuilt,
        Exit::Status(status) if status == i32::from(crate::ADDRESS_TAKEN) => Reason::PortTaken,
        _ => Reason::EndedBeforeReady,
    }
}

#[cfg(test)]
mod tests;
