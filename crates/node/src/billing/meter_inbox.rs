//! What the media plane says of metered viewers, on its way to the cashier. Whoever puts in never waits, since the same
//! hands carry media; what is not read yet is joined, so that it stays small whatever the cashier does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use api::pay::MeteredLine;
use tokio::sync::Notify;

use super::till::MeterNews;

/// Seconds of one session whose ends wait. Of those beyond it nothing is said: they stay unpaid until the viewer pays
/// or names them.
const OVER_MAX: usize = 128;

#[derive(Default)]
struct OfSession {
    began: Option<(u32, MeteredLine)>,
    /// The newest.
    reached: Option<(u64, u64)>,
    over: VecDeque<MeterNews>,
}

#[derive(Default)]
struct Inside {
    sessions: BTreeMap<(sfu::PeerId, u32), OfSession>,
    /// Peers that are gone, and whether their stream is over.
    gone: BTreeMap<sfu::PeerId, bool>,
}

/// What has come: in the order of each peer.
#[derive(Default)]
pub struct Mail {
    pub news: Vec<(sfu::PeerId, u32, MeterNews)>,
    pub gone: Vec<(sfu::PeerId, bool)>,
}

#[derive(Default)]
pub struct MeterInbox {
    inside: Mutex<Inside>,
    filled: Notify,
}

impl MeterInbox {
    pub fn put(&self, peer: sfu::PeerId, session: u32, what: sfu::Metering) {
        {
            let mut inside = self.inside();
            let of = inside.sessions.entry((peer, session)).or_default();
            match what {
                sfu::Metering::Began { timestamp, line } => of.began = Some((timestamp, line_of(line))),
                sfu::Metering::Reached { second, until } => of.reached = Some((second, until)),
                sfu::Metering::Over { second, sent, withheld, acknowledged } => {
                    if of.over.len() == OVER_MAX {
                        of.over.pop_front();
                    }
                    of.over.push_back(MeterNews::Over { second, sent, withheld, acknowledged });
                }
            }
        }
        self.filled.notify_one();
    }

    /// The last that is said of a peer.
    pub fn gone(&self, peer: sfu::PeerId, is_over: bool) {
        self.inside().gone.insert(peer, is_over);
        self.filled.notify_one();
    }

    /// Returns when there may be something.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }

    pub fn take(&self) -> Mail {
        let Inside { sessions, gone } = std::mem::take(&mut *self.inside());
        let mut news = Vec::new();
        for ((peer, session), OfSession { began, reached, over }) in sessions {
            let began = began.map(|(timestamp, line)| MeterNews::Began { timestamp, line });
            let reached = reached.map(|(second, until)| MeterNews::Reached { second, until });
            news.extend(began.into_iter().chain(reached).chain(over).map(|one| (peer, session, one)));
        }
        Mail { news, gone: gone.into_iter().collect() }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // Whole between any two operations, also when a holder panicked.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn line_of(line: sfu::MeteredLine) -> MeteredLine {
    match line {
        sfu::MeteredLine::Video => MeteredLine::Video,
        sfu::MeteredLine::Audio => MeteredLine::Audio,
    }
}
