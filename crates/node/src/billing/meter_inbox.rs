//! What the media plane, and whoever serves LL-HLS, say of metered viewers, on its way to the cashier. Whoever puts in never
//! waits, since the same hands carry media; what is not read yet is joined, so that it stays small whatever the cashier does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use api::pay::MeteredLine;
use tokio::sync::Notify;

use super::till::{MeterNews, MeteredPeer};

/// Seconds of one session whose ends wait. Of those beyond it nothing is said: they stay unpaid until the viewer pays
/// or names them.
const OVER_MAX: usize = 128;

#[derive(Default)]
struct OfSession {
    began: Option<MeterNews>,
    /// The newest.
    reached: Option<MeterNews>,
    over: VecDeque<MeterNews>,
}

#[derive(Default)]
struct Inside {
    sessions: BTreeMap<(MeteredPeer, u32), OfSession>,
    /// Peers that are gone, and whether their stream is over.
    gone: BTreeMap<MeteredPeer, bool>,
}

/// What has come: in the order of each peer.
#[derive(Default)]
pub struct Mail {
    pub news: Vec<(MeteredPeer, u32, MeterNews)>,
    pub gone: Vec<(MeteredPeer, bool)>,
}

#[derive(Default)]
pub struct MeterInbox {
    inside: Mutex<Inside>,
    filled: Notify,
}

impl MeterInbox {
    pub fn put(&self, peer: sfu::PeerId, session: u32, what: sfu::Metering) {
        let news = match what {
            sfu::Metering::Began { timestamp, line } => {
                MeterNews::Began { timestamp, line: line_of(line), wall_ms: None }
            }
            sfu::Metering::Reached { second, until } => MeterNews::Reached { second, until },
            sfu::Metering::Over { second, sent, withheld, acknowledged } => {
                MeterNews::Over { second, sent, withheld, acknowledged }
            }
        };
        self.note(peer, session, news);
    }

    /// The same of whoever is metered, in whichever way.
    pub fn note(&self, peer: impl Into<MeteredPeer>, session: u32, news: MeterNews) {
        {
            let mut inside = self.inside();
            let of = inside.sessions.entry((peer.into(), session)).or_default();
            match news {
                MeterNews::Began { .. } => of.began = Some(news),
                MeterNews::Reached { .. } => of.reached = Some(news),
                MeterNews::Over { .. } => {
                    if of.over.len() == OVER_MAX {
                        of.over.pop_front();
                    }
                    of.over.push_back(news);
                }
            }
        }
        self.filled.notify_one();
    }

    /// The last that is said of a peer.
    pub fn gone(&self, peer: impl Into<MeteredPeer>, is_over: bool) {
        self.inside().gone.insert(peer.into(), is_over);
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
