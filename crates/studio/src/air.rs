//! What leaves the studio: outputs, each of which starts and ends by itself, or with the rest.

use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::broadcast::Output;
use crate::hub::Hub;
use crate::output::Status;
use crate::snapshot::OutputFigures;

/// Outputs get this long to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// An output that runs, and what ends it alone.
pub struct Running {
    pub status: Status,
    pub task: JoinHandle<()>,
    /// A branch of its own.
    pub hub: Hub,
    pub stop: watch::Sender<bool>,
}

impl Running {
    /// It finishes what it has and says goodbye.
    async fn end(self, limit: tokio::time::Instant) {
        self.hub.close();
        if tokio::time::timeout_at(limit, self.task).await.is_err() {
            tracing::warn!("an output did not end in time: {}", self.status.get().url);
        }
        self.stop.send_replace(true);
    }
}

enum Place {
    Off,
    On(Running),
    /// It says goodbye.
    Leaving(Status, JoinHandle<()>),
}

/// Outputs that are on air, in the order of the broadcast's.
pub struct Live {
    pub since: Instant,
    places: Vec<Place>,
}

impl Live {
    pub fn new(outputs: usize) -> Self {
        let places = std::iter::repeat_with(|| Place::Off).take(outputs).collect();
        Self { since: Instant::now(), places }
    }

    /// Whether this one may be started: it is off, or has ended by itself.
    pub fn is_off(&self, at: usize) -> bool {
        match self.places.get(at) {
            Some(Place::Off) => true,
            Some(Place::Leaving(_, task) | Place::On(Running { task, .. })) => task.is_finished(),
            None => false,
        }
    }

    pub fn is_leaving(&self, at: usize) -> bool {
        matches!(self.places.get(at), Some(Place::Leaving(_, task)) if !task.is_finished())
    }

    /// Puts one where none is.
    pub fn start(&mut self, at: usize, running: Running) {
        if let Some(place) = self.places.get_mut(at) {
            *place = Place::On(running);
        }
    }

    /// Ends one while the others go on; it says goodbye in its own time.
    pub fn stop(&mut self, at: usize, runtime: &Handle) {
        let Some(place) = self.places.get_mut(at) else { return };
        match std::mem::replace(place, Place::Off) {
            Place::On(running) => {
                let status = running.status.clone();
                let end = runtime.spawn(async move {
                    running.end(tokio::time::Instant::now() + GOODBYE).await;
                });
                *place = Place::Leaving(status, end);
            }
            other => *place = other,
        }
    }

    /// What each tells; `outputs` are the broadcast's.
    pub fn figures(&self, outputs: &[Output]) -> Vec<OutputFigures> {
        let told = |(place, output): (&Place, &Output)| match place {
            Place::On(running) => running.status.get(),
            Place::Leaving(status, task) if !task.is_finished() => status.get(),
            // What it sent counts still.
            Place::Leaving(status, _) => OutputFigures { state: "stopped", message: None, ..status.get() },
            Place::Off => idle(output, "stopped"),
        };
        self.places.iter().zip(outputs).map(told).collect()
    }

    /// Those that may still tell something while all of them end.
    pub fn statuses(&self) -> Vec<Status> {
        let status = |place: &Place| match place {
            Place::On(Running { status, .. }) | Place::Leaving(status, _) => Some(status.clone()),
            Place::Off => None,
        };
        self.places.iter().filter_map(status).collect()
    }

    /// Ends all of them, within a limit for all.
    pub async fn end(self) {
        let limit = tokio::time::Instant::now() + GOODBYE;
        for place in &self.places {
            if let Place::On(running) = place {
                running.hub.close();
            }
        }
        for place in self.places {
            match place {
                Place::On(running) => running.end(limit).await,
                // It ends within a limit of its own.
                Place::Leaving(_, task) => _ = task.await,
                Place::Off => {}
            }
        }
    }
}

/// What is told of an output that does not run.
pub fn idle(output: &Output, state: &'static str) -> OutputFigures {
    let kind = match output {
        Output::Whip { .. } => "whip",
        Output::Rtmp { .. } => "rtmp",
    };
    OutputFigures { kind, url: output.place(), state, ..OutputFigures::default() }
}
