//! Keeps one stream's transcodes running: started when they are needed, some times again with growing pauses where they
//! fail, ended some seconds after the last subscriber.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::{LaneToken, Made, RenditionName, TranscodeCommand, TranscodeOrder};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::child::{self, End, Word};
use super::hindrance::{Attempt, Board, Hindrance, Hindrances, Pen};
use super::need::lane_of;
use super::ticket::Issued;
use super::{Job, Purpose, Transcoding, Work};
use crate::stream::{PublisherId, WeakStream};

/// A child that ran for this long was well; its end is the first failure again.
const WELL: Duration = Duration::from_secs(30);
/// Children that fail one after the other: from so many on nobody waits for the transcode any more.
const FAILING: u32 = 2;
/// And after so many, three minutes after the first, no other is tried: what makes them fail will not go by itself.
const HOPELESS: u32 = 10;
/// The longest pause between two of them is the first, doubled so often.
const DOUBLINGS: u32 = 7;
/// Words that wait for a child. Full: key frames are dropped, for they are asked for again.
const WORDS: usize = 16;

/// What a stream wants of its supervisor.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Wanted {
    /// Without a broadcast nothing lingers.
    pub live: bool,
    /// Whose lanes they are made of. What was given up is tried again for another.
    pub publisher: Option<PublisherId>,
    pub jobs: BTreeMap<Job, Work>,
}

/// What a stream tells besides.
enum Order {
    /// A key frame in a made rendition.
    KeyFrame(RenditionName),
    Restart(Job),
}

/// A stream's end of its supervisor, which ends when this is dropped.
pub struct Supervisor {
    starting: Duration,
    wanted: watch::Sender<Wanted>,
    orders: mpsc::Sender<Order>,
    hindrances: Hindrances,
}

impl Supervisor {
    pub fn start(shared: Arc<Transcoding>, stream: WeakStream) -> Self {
        let (wanted, wishes) = watch::channel(Wanted::default());
        let (orders, taken) = mpsc::channel(WORDS);
        let (board, hindrances) = Board::new();
        let starting = shared.patience.starting;
        let supervising = Supervising { shared, stream, board, publisher: None, running: BTreeMap::new() };
        tokio::spawn(supervising.run(wishes, taken));
        Self { starting, wanted, orders, hindrances }
    }

    pub fn want(&self, wanted: Wanted) {
        self.wanted.send_if_modified(|before| {
            let changes = *before != wanted;
            *before = wanted;
            changes
        });
    }

    /// Asks for a key frame in a made rendition.
    pub fn ask_keyframe(&self, name: RenditionName) {
        // Full: it is asked for again.
        let _ = self.orders.try_send(Order::KeyFrame(name));
    }

    /// Replaces the child of a transcode, which runs and carries nothing: it has failed.
    pub fn restart(&self, job: Job) {
        // Full: it is found to hang once more.
        let _ = self.orders.try_send(Order::Restart(job));
    }

    /// When the child was started that runs for a transcode now.
    pub fn child_since(&self, job: Job) -> Option<Instant> {
        self.hindrances.child_since(job)
    }

    /// How long a child may take until it attaches its first lane.
    pub fn starting(&self) -> Duration {
        self.starting
    }

    /// Why nobody should wait for a transcode that is wanted.
    pub fn hindrance(&self, job: Job) -> Option<Hindrance> {
        self.hindrances.of(job)
    }

    /// Returns when another may be hindered, or another may not.
    pub async fn changed(&mut self) {
        self.hindrances.changed().await;
    }
}

/// A transcode that is kept running; dropping it ends the child.
struct Running {
    work: Work,
    words: mpsc::Sender<Word>,
    unneeded_since: Option<Instant>,
    attempt: Attempt,
}

struct Supervising {
    shared: Arc<Transcoding>,
    stream: WeakStream,
    board: Arc<Board>,
    publisher: Option<PublisherId>,
    /// Also what was given up, which does nothing any more, so that it is not begun again.
    running: BTreeMap<Job, Running>,
}

impl Supervising {
    async fn run(mut self, mut wishes: watch::Receiver<Wanted>, mut orders: mpsc::Receiver<Order>) {
        loop {
            let ending = self.running.values().filter(|running| !running.attempt.is_given_up());
            let until = ending.filter_map(|running| running.unneeded_since).min();
            let until =
                until.map(|since| tokio::time::Instant::from_std(since + self.shared.patience.linger));
            tokio::select! {
                changed = wishes.changed() => match changed {
                    Ok(()) => {
                        let wanted = wishes.borrow_and_update().clone();
                        self.follow(wanted);
                    }
                    // The stream's task has ended.
                    Err(_) => return,
                },
                Some(order) = orders.recv() => self.obey(&order),
                () = at(until) => self.end_unneeded(),
            }
        }
    }

    fn obey(&mut self, order: &Order) {
        match order {
            Order::KeyFrame(name) => {
                // The last place is for what is said once.
                if let Some(ladder) = self.running.get(&Job::Ladder)
                    && ladder.words.capacity() > 1
                {
                    let _ = ladder.words.try_send(Word::Command(TranscodeCommand::KeyFrame(*name)));
                }
            }
            Order::Restart(job) => {
                if let Some(running) = self.running.get(job) {
                    // Full: it was said already.
                    let _ = running.words.try_send(Word::Hangs);
                }
            }
        }
    }

    fn follow(&mut self, wanted: Wanted) {
        let now = Instant::now();
        if wanted.publisher.is_some() && wanted.publisher != self.publisher {
            self.publisher = wanted.publisher;
            self.running.retain(|_, running| !running.attempt.is_given_up());
        }
        for (job, running) in &mut self.running {
            if !wanted.jobs.contains_key(job) {
                running.unneeded_since.get_or_insert(now);
            }
        }
        if !wanted.live {
            self.running.clear();
        }
        for (job, work) in wanted.jobs {
            match self.running.get_mut(&job) {
                Some(running) if running.work.serves(&work) => running.unneeded_since = None,
                _ => {
                    let running = self.start(job, work);
                    self.running.insert(job, running);
                }
            }
        }
    }

    fn end_unneeded(&mut self) {
        let linger = self.shared.patience.linger;
        self.running.retain(|_, running| {
            let is_over = running.unneeded_since.is_some_and(|since| since.elapsed() >= linger);
            !is_over || running.attempt.is_given_up()
        });
    }

    fn start(&self, job: Job, work: Work) -> Running {
        let (words, heard) = mpsc::channel(WORDS);
        let attempt = self.board.attempt(job);
        let keeping = Keeping {
            shared: Arc::clone(&self.shared),
            stream: self.stream.clone(),
            pen: attempt.pen(),
            job,
            work: work.clone(),
        };
        tokio::spawn(keeping.run(heard));
        Running { work, words, unneeded_since: None, attempt }
    }
}

/// Waits for ever without a moment.
async fn at(moment: Option<tokio::time::Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// How many children of a transcode failed, one after the other.
#[derive(Default)]
struct Failures(u32);

impl Failures {
    /// One more, that ran for so long: the pause before the next, where there is one. The first pause is `first`.
    fn note(&mut self, ran: Duration, first: Duration) -> Option<Duration> {
        self.0 = if ran >= WELL { 1 } else { self.0 + 1 };
        (self.0 < HOPELESS).then(|| first * (1 << (self.0 - 1).min(DOUBLINGS)))
    }

    fn hindrance(&self) -> Option<Hindrance> {
        (self.0 >= FAILING).then_some(Hindrance::Failing)
    }
}

/// Runs children for one job, one after the other.
struct Keeping {
    shared: Arc<Transcoding>,
    stream: WeakStream,
    pen: Pen,
    job: Job,
    work: Work,
}

impl Keeping {
    async fn run(self, mut words: mpsc::Receiver<Word>) {
        let mut failures = Failures::default();
        loop {
            let Some(room) = self.room(&mut words).await else { return };
            self.pen.say(failures.hindrance());
            let begun = Instant::now();
            self.pen.child_begins();
            let end = self.once(&mut words).await;
            self.pen.child_ended();
            match end {
                Ok(End::Dismissed) => return,
                Ok(End::ByItself(status)) => {
                    tracing::warn!(job = ?self.job, ?status, "a transcoder ended by itself");
                }
                // It was said by whoever noticed.
                Ok(End::Hung) => {}
                Err(err) => tracing::error!(job = ?self.job, "a transcoder could not be run: {err}"),
            }
            drop(room);
            let Some(pause) = failures.note(begun.elapsed(), self.shared.patience.pause) else { break };
            self.pen.say(failures.hindrance());
            let again = tokio::time::sleep(pause);
            tokio::pin!(again);
            loop {
                tokio::select! {
                    () = &mut again => break,
                    // Key frames are asked for again; only the end counts.
                    word = words.recv() => if word.is_none() { return },
                }
            }
        }
        self.pen.say(Some(Hindrance::GivenUp));
    }

    /// Room for a child; `None` where it is not wanted any more.
    async fn room(&self, words: &mut mpsc::Receiver<Word>) -> Option<OwnedSemaphorePermit> {
        let room = Arc::clone(&self.shared.room);
        if let Ok(room) = Arc::clone(&room).try_acquire_owned() {
            return Some(room);
        }
        self.pen.say(Some(Hindrance::Queued));
        let turn = room.acquire_owned();
        tokio::pin!(turn);
        loop {
            tokio::select! {
                // It is never closed.
                room = &mut turn => return room.ok(),
                word = words.recv() => {
                    word?;
                }
            }
        }
    }

    async fn once(&self, words: &mut mpsc::Receiver<Word>) -> std::io::Result<End> {
        let mut issued = Issued::new(&self.shared.tickets);
        let Some(order) = self.order(&mut issued) else { return Ok(End::Dismissed) };
        child::run(&self.shared.executable, &order, words).await
    }

    /// `None` once the stream's task has ended.
    fn order(&self, issued: &mut Issued<'_>) -> Option<TranscodeOrder> {
        let stream = self.stream.upgrade()?;
        let play = issued.issue(&stream, Purpose::Play(self.work.input));
        let mut token = |made: &Made| -> (Made, LaneToken) {
            (*made, issued.issue(&stream, Purpose::Publish(lane_of(*made), self.job)))
        };
        let outputs = self.work.outputs.iter().map(&mut token).collect();
        Some(TranscodeOrder { node: self.shared.node, play, keys: self.work.keys, outputs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_between_children_that_fail_double_up_to_a_minute_and_after_ten_children_there_is_no_other() {
        let mut failures = Failures::default();
        let mut note = |ran_s| {
            let pause = failures.note(Duration::from_secs(ran_s), Duration::from_millis(500));
            pause.map(|pause| pause.as_millis())
        };
        // The last of these had been well for half a minute: it counts as the first.
        assert_eq!([note(0), note(29), note(1), note(30)], [500, 1000, 2000, 500].map(Some));
        let rest: Vec<_> = (0..9).map(|_| note(1)).collect();
        let pauses = [1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 64_000].map(Some);
        assert_eq!(rest, [&pauses[..], &[None]].concat());
    }
}
