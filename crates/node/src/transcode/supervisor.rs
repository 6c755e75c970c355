//! Keeps one stream's transcodes running: started when they are needed, started again with growing pauses
//! when they fail, ended some seconds after the last subscriber.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::{LaneToken, Made, RenditionName, TranscodeCommand, TranscodeOrder};
use tokio::sync::{mpsc, watch};

use super::child::{self, End};
use super::need::lane_of;
use super::ticket::Issued;
use super::{Job, Purpose, Transcoding, Work};
use crate::stream::WeakStream;

/// A transcode goes on so long after its last subscriber: pages are reloaded, and players come back.
const LINGER: Duration = Duration::from_secs(5);
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_LAST: Duration = Duration::from_secs(15);
/// A child that ran for this long was well; its end is the first failure again.
const WELL: Duration = Duration::from_secs(30);
/// Failures one after the other from which nobody waits for the transcode any more.
const FAILING: u32 = 2;
/// Commands that wait for a child. Full: the command is dropped, for key frames are asked for again.
const COMMANDS: usize = 16;

/// What a stream wants of its supervisor.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Wanted {
    /// Without a broadcast nothing lingers.
    pub live: bool,
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
    wanted: watch::Sender<Wanted>,
    orders: mpsc::Sender<Order>,
    failing: watch::Receiver<BTreeSet<Job>>,
}

impl Supervisor {
    pub fn start(shared: Arc<Transcoding>, stream: WeakStream) -> Self {
        let (wanted, wishes) = watch::channel(Wanted::default());
        let (orders, taken) = mpsc::channel(COMMANDS);
        let (failures, failing) = watch::channel(BTreeSet::new());
        let supervising =
            Supervising { shared, stream, failures: Arc::new(failures), running: BTreeMap::new() };
        tokio::spawn(supervising.run(wishes, taken));
        Self { wanted, orders, failing }
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

    /// Begins a transcode anew whose child runs and carries nothing. `false` where it was not told.
    pub fn restart(&self, job: Job) -> bool {
        self.orders.try_send(Order::Restart(job)).is_ok()
    }

    /// Whether a transcode failed so often that nobody should wait for it.
    pub fn is_failing(&self, job: Job) -> bool {
        self.failing.borrow().contains(&job)
    }
}

/// A transcode that is kept running; dropping it ends the child.
struct Running {
    work: Work,
    commands: mpsc::Sender<TranscodeCommand>,
    unneeded_since: Option<Instant>,
}

struct Supervising {
    shared: Arc<Transcoding>,
    stream: WeakStream,
    failures: Arc<watch::Sender<BTreeSet<Job>>>,
    running: BTreeMap<Job, Running>,
}

impl Supervising {
    async fn run(mut self, mut wishes: watch::Receiver<Wanted>, mut orders: mpsc::Receiver<Order>) {
        loop {
            let until = self.running.values().filter_map(|running| running.unneeded_since).min();
            let until = until.map(|since| tokio::time::Instant::from_std(since + LINGER));
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
                if let Some(ladder) = self.running.get(&Job::Ladder) {
                    // Full: it is asked for again.
                    let _ = ladder.commands.try_send(TranscodeCommand::KeyFrame(*name));
                }
            }
            Order::Restart(job) => {
                // What is dropped here is told to go, and killed where it does not.
                if let Some(Running { work, unneeded_since, .. }) = self.running.remove(job) {
                    let started = Running { unneeded_since, ..self.start(*job, work) };
                    self.running.insert(*job, started);
                }
            }
        }
    }

    fn follow(&mut self, wanted: Wanted) {
        let now = Instant::now();
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
        let over = |running: &Running| running.unneeded_since.is_some_and(|since| since.elapsed() >= LINGER);
        self.running.retain(|_, running| !over(running));
    }

    fn start(&self, job: Job, work: Work) -> Running {
        let (commands, orders) = mpsc::channel(COMMANDS);
        let keeping = Keeping {
            shared: Arc::clone(&self.shared),
            stream: self.stream.clone(),
            failures: Arc::clone(&self.failures),
            job,
            work: work.clone(),
        };
        tokio::spawn(keeping.run(orders));
        Running { work, commands, unneeded_since: None }
    }
}

/// Waits for ever without a moment.
async fn at(moment: Option<tokio::time::Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Runs children for one job, one after the other.
struct Keeping {
    shared: Arc<Transcoding>,
    stream: WeakStream,
    failures: Arc<watch::Sender<BTreeSet<Job>>>,
    job: Job,
    work: Work,
}

impl Keeping {
    async fn run(self, mut commands: mpsc::Receiver<TranscodeCommand>) {
        let (mut pause, mut failures) = (PAUSE_FIRST, 0);
        loop {
            let begun = Instant::now();
            match self.once(&mut commands).await {
                Ok(End::Dismissed) => break,
                Ok(End::ByItself(status)) => {
                    tracing::warn!(job = ?self.job, ?status, "a transcoder ended by itself");
                }
                Err(err) => tracing::error!(job = ?self.job, "a transcoder could not be run: {err}"),
            }
            if begun.elapsed() >= WELL {
                (pause, failures) = (PAUSE_FIRST, 0);
            }
            failures += 1;
            if failures >= FAILING {
                self.failures.send_modify(|failing| {
                    failing.insert(self.job);
                });
            }
            let again = tokio::time::sleep(pause);
            tokio::pin!(again);
            loop {
                tokio::select! {
                    () = &mut again => break,
                    // Key frames are asked for again; only the end counts.
                    command = commands.recv() => if command.is_none() { return self.forgive() },
                }
            }
            pause = (pause * 2).min(PAUSE_LAST);
        }
        self.forgive();
    }

    /// Whoever needs the transcode next waits for it again.
    fn forgive(&self) {
        self.failures.send_modify(|failing| {
            failing.remove(&self.job);
        });
    }

    async fn once(&self, commands: &mut mpsc::Receiver<TranscodeCommand>) -> std::io::Result<End> {
        let room = Arc::clone(&self.shared.room);
        if room.available_permits() == 0 {
            tracing::warn!(job = ?self.job, "a transcode waits: there are as many as there may be");
        }
        let _permit = loop {
            tokio::select! {
                // It is never closed.
                permit = Arc::clone(&room).acquire_owned() => break permit,
                command = commands.recv() => if command.is_none() { return Ok(End::Dismissed) },
            }
        };
        let mut issued = Issued::new(&self.shared.tickets);
        let Some(order) = self.order(&mut issued) else { return Ok(End::Dismissed) };
        child::run(&self.shared.executable, &order, commands).await
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
