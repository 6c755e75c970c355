//! Which rendition a person wants: told to the node of each connection anew, since one begins with the node's own choice.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::{ClientError, RenditionInfo, Resource};
use media::RenditionName;
use tokio::sync::Notify;

/// Until a wish that was not heard is told again.
const AGAIN: Duration = Duration::from_secs(1);

/// Clones are the same wish.
#[derive(Clone, Default)]
pub struct Quality(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// `None`: the node chooses by what gets through.
    wish: Option<RenditionName>,
    /// Counts wishes and connections: what was told of an earlier one says nothing of the newest.
    turn: u64,
    /// The connection that has not heard the wish.
    untold: Option<Resource>,
    session: Option<Resource>,
    offered: Vec<(RenditionName, u32)>,
    /// Taller ones are not paid for.
    lines_max: Option<u32>,
    refused: Option<String>,
}

/// What became of a wish that was not taken.
enum Untaken {
    /// The stream, or its node, has no such choice.
    Refused,
    /// The connection is over.
    Gone,
    /// The node did not hear it, or could not follow it just now.
    Unheard,
}

impl Untaken {
    fn of(err: &ClientError) -> Self {
        match err {
            ClientError::Refused(problem) => match problem.status {
                404 | 410 => Self::Gone,
                408 | 429 | 500.. => Self::Unheard,
                _ => Self::Refused,
            },
            ClientError::Unreachable(_) => Self::Unheard,
            _ => Self::Refused,
        }
    }
}

/// What a window shows of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct QualityView {
    pub wish: Option<RenditionName>,
    /// The best first, each with its lines.
    pub offered: Vec<(RenditionName, u32)>,
    /// Why the last wish was not followed.
    pub refused: Option<String>,
}

impl Quality {
    /// Of a stream that is paid for up to so many lines.
    pub fn up_to(lines: u32) -> Self {
        let quality = Self::default();
        quality.state().lines_max = Some(lines);
        quality
    }

    /// A person's choice.
    pub fn choose(&self, wish: Option<RenditionName>) {
        let mut state = self.state();
        state.wish = wish;
        state.refused = None;
        state.turn += 1;
        state.untold = state.session.clone();
        drop(state);
        self.0.changed.notify_one();
    }

    /// What the stream has now. Renditions whose size is not known yet come when it is.
    pub fn offer(&self, renditions: &[RenditionInfo]) {
        let mut state = self.state();
        let lines_max = state.lines_max.unwrap_or(u32::MAX);
        let known = renditions.iter().filter(|info| info.height > 0 && info.height <= lines_max);
        let named = known.filter_map(|info| Some((info.name.parse().ok()?, info.height)));
        state.offered = named.collect();
        state.offered.sort_by_key(|(name, _)| std::cmp::Reverse(*name));
    }

    pub fn view(&self) -> QualityView {
        let state = self.state();
        QualityView { wish: state.wish, offered: state.offered.clone(), refused: state.refused.clone() }
    }

    /// A new connection stands.
    pub(crate) fn connected(&self, session: &Resource) {
        let mut state = self.state();
        state.turn += 1;
        state.untold = state.wish.map(|_| session.clone());
        state.session = Some(session.clone());
        drop(state);
        self.0.changed.notify_one();
    }

    /// Tells wishes as they come. Never returns.
    pub async fn run(&self) -> std::convert::Infallible {
        loop {
            let told = {
                let mut state = self.state();
                state.untold.take().map(|session| (session, state.wish, state.turn))
            };
            let Some((session, wish, turn)) = told else {
                self.0.changed.notified().await;
                continue;
            };
            let answer = session.choose_layer(wish.map_or("auto", RenditionName::as_str)).await;
            let Err(err) = answer else { continue };
            match Untaken::of(&err) {
                Untaken::Refused => self.if_newest(turn, |state| {
                    state.refused = Some(err.to_string());
                    state.wish = None;
                }),
                // The next connection hears it.
                Untaken::Gone => {}
                Untaken::Unheard => {
                    tokio::time::sleep(AGAIN).await;
                    self.if_newest(turn, |state| state.untold = Some(session));
                }
            }
        }
    }

    fn if_newest(&self, turn: u64, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        if state.turn == turn {
            change(&mut state);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whole between any two operations, also when a holder panicked.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(crate) mod tests;
