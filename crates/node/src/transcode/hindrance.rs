//! How a transcode that is wanted stands, and why it is not there: written by whoever keeps it running, read by its
//! stream.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::watch;

use super::Job;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hindrance {
    /// There are as many children as there may be; it has its turn when one ends.
    Queued,
    /// Its children ended one after the other; another is tried after a pause.
    Failing,
    /// They did so too often: none is tried any more for this publisher.
    GivenUp,
}

impl Hindrance {
    /// For people.
    pub fn words(self, job: Job) -> String {
        let what = match job {
            Job::Ladder => "There are no smaller renditions for viewers with slow lines",
            Job::Opus => "There is no sound for WebRTC viewers",
            Job::Aac => "There is no sound for LL-HLS and RTMP viewers",
        };
        let why = match self {
            Self::Queued => "the node runs as many transcoders as it may; they come when it has room",
            Self::Failing => "the transcoder failed several times, and is tried again",
            Self::GivenUp => {
                "the transcoder failed too often, and is tried again once the publisher connects anew"
            }
        };
        format!("{what}: {why}.")
    }
}

/// The newest attempt at a job.
#[derive(Clone, Copy)]
struct Entry {
    number: u64,
    hindrance: Option<Hindrance>,
    /// When the child was started that runs for it now.
    child_since: Option<Instant>,
}

type Entries = BTreeMap<Job, Entry>;

/// Of one stream.
pub struct Board {
    entries: watch::Sender<Entries>,
    attempts: AtomicU64,
}

impl Board {
    pub fn new() -> (Arc<Self>, Hindrances) {
        let (entries, read) = watch::channel(Entries::new());
        (Arc::new(Self { entries, attempts: AtomicU64::new(0) }), Hindrances(read))
    }

    /// Another attempt at a job, instead of the one before.
    pub fn attempt(self: &Arc<Self>, job: Job) -> Attempt {
        let number = self.attempts.fetch_add(1, Ordering::Relaxed);
        self.entries.send_modify(|entries| {
            entries.insert(job, Entry { number, hindrance: None, child_since: None });
        });
        Attempt(Pen { board: Arc::clone(self), job, number })
    }
}

/// An attempt's place on the board; nothing hinders it any more when this is dropped.
pub struct Attempt(Pen);

impl Attempt {
    pub fn pen(&self) -> Pen {
        self.0.clone()
    }

    pub fn is_given_up(&self) -> bool {
        let Pen { board, job, number } = &self.0;
        let entries = board.entries.borrow();
        let own = entries.get(job).filter(|entry| entry.number == *number);
        own.is_some_and(|entry| entry.hindrance == Some(Hindrance::GivenUp))
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Pen { board, job, number } = &self.0;
        board.entries.send_if_modified(|entries| {
            let is_own = entries.get(job).is_some_and(|entry| entry.number == *number);
            if is_own {
                entries.remove(job);
            }
            is_own
        });
    }
}

/// Says what hinders an attempt. Of one that is over, or that another took the place of, nothing is heard.
#[derive(Clone)]
pub struct Pen {
    board: Arc<Board>,
    job: Job,
    number: u64,
}

impl Pen {
    pub fn say(&self, hindrance: Option<Hindrance>) {
        self.write(|entry| {
            let changes = entry.hindrance != hindrance;
            entry.hindrance = hindrance;
            changes
        });
    }

    /// A child runs from now on, until [`Pen::child_ended`].
    pub fn child_begins(&self) {
        self.write(|entry| {
            entry.child_since = Some(Instant::now());
            true
        });
    }

    pub fn child_ended(&self) {
        self.write(|entry| entry.child_since.take().is_some());
    }

    /// `write` says whether anything changed.
    fn write(&self, write: impl FnOnce(&mut Entry) -> bool) {
        self.board.entries.send_if_modified(|entries| {
            let own = entries.get_mut(&self.job).filter(|entry| entry.number == self.number);
            own.is_some_and(write)
        });
    }
}

/// What a stream reads.
pub struct Hindrances(watch::Receiver<Entries>);

impl Hindrances {
    pub fn of(&self, job: Job) -> Option<Hindrance> {
        self.0.borrow().get(&job).and_then(|entry| entry.hindrance)
    }

    /// When the child was started that runs for a job now.
    pub fn child_since(&self, job: Job) -> Option<Instant> {
        self.0.borrow().get(&job).and_then(|entry| entry.child_since)
    }

    /// Returns when something may have changed.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            // Nobody writes any more.
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_attempt_that_another_took_the_place_of_nothing_is_heard() {
        let (board, read) = Board::new();
        let first = board.attempt(Job::Ladder);
        let late = first.pen();
        late.say(Some(Hindrance::GivenUp));
        assert!(first.is_given_up() && read.of(Job::Ladder) == Some(Hindrance::GivenUp));
        let second = board.attempt(Job::Ladder);
        assert_eq!(read.of(Job::Ladder), None);
        second.pen().say(Some(Hindrance::Queued));
        late.say(Some(Hindrance::Failing));
        late.child_begins();
        drop(first);
        assert_eq!(read.of(Job::Ladder), Some(Hindrance::Queued));
        assert_eq!(read.child_since(Job::Ladder), None);
        drop(second);
        late.say(Some(Hindrance::Failing));
        assert_eq!(read.of(Job::Ladder), None);
    }
}
