//! `tickcast` without a command: the Desk. It starts and supervises the others as processes of their own, so
//! that neither a crash of the web view ends a broadcast nor a crash of the broadcast takes the Desk along.

mod browser;
mod child;
mod child_log;
mod commands;
mod lifecycle;
mod places;
mod snapshot;
mod streams;
mod window;

use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use api::CreatedStream;
use serde::Deserialize;
use tokio::sync::watch;

use child::{Order, Spec, Supervised};
use lifecycle::AfterFailure;
use places::Places;
use snapshot::{ChildSnapshot, Snapshot, Streams};

/// The page is answered after this, also where nothing changed: it shows times.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// What the stream is called that the Stage goes live to.
const STAGE_TITLE: &str = "From the Stage";

/// Opens the Desk and returns when it is closed. `log` is what its children log.
pub fn run(log: &str) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("the async runtime could not be started")?;
    tauri::async_runtime::set(runtime.handle().clone());
    let _entered = runtime.enter();
    window::open(|places| Desk::new(places, log))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildName {
    Node,
    Stage,
}

/// What the Desk knows and steers. Its children end with it: their pipes close.
#[derive(Debug)]
pub struct Desk {
    node: Supervised,
    stage: Supervised,
    /// The stream that the Stage goes live to, and the address of the node that has it.
    own: tokio::sync::Mutex<Option<(String, CreatedStream)>>,
    streams: Arc<Mutex<Streams>>,
    closing: AtomicBool,
    changed: watch::Sender<u64>,
    places: Places,
}

impl Desk {
    /// Within an async runtime. Starts no child.
    fn new(places: Places, log: &str) -> anyhow::Result<Self> {
        places.make()?;
        let (changed, _) = watch::channel(1);
        let program = std::env::current_exe().context("this executable's own path")?;
        let spec = |arguments: Vec<OsString>, after_failure| Spec {
            program: program.clone(),
            arguments: [OsString::from("--log"), log.into()].into_iter().chain(arguments).collect(),
            folder: places.data().to_owned(),
            after_failure,
        };
        let node = spec(node_arguments(&places), AfterFailure::Restart);
        let stage = ["stage", "--supervised", "--outputs-by-pipe"].map(OsString::from);
        let stage = spec(stage.into(), AfterFailure::Rest);
        let node = Supervised::new(node, changed.clone());
        let streams = Arc::new(Mutex::new(Streams::default()));
        tokio::spawn(streams::follow(node.clone(), Arc::clone(&streams), changed.clone()));
        let stage = Supervised::new(stage, changed.clone());
        let own = tokio::sync::Mutex::default();
        Ok(Self { node, stage, own, streams, closing: AtomicBool::new(false), changed, places })
    }

    fn child(&self, name: ChildName) -> &Supervised {
        match name {
            ChildName::Node => &self.node,
            ChildName::Stage => &self.stage,
        }
    }

    /// Hands on an order, or says why not.
    pub async fn order(&self, name: ChildName, order: Order) -> Result<(), String> {
        if name == ChildName::Stage && order != Order::Stop {
            self.prepare_stage().await?;
        }
        match self.child(name).order(order) {
            true => Ok(()),
            false => Err("The last orders are still being carried out. Try again in a moment.".into()),
        }
    }

    /// Tells the Stage where to go live to: a stream of the running node, one and the same as long as it runs
    /// there. Without a node the Stage shows a preview.
    async fn prepare_stage(&self) -> Result<(), String> {
        let mut own = self.own.lock().await;
        let mut lines = Vec::new();
        if let Some(base) = streams::base(&self.node) {
            if own.as_ref().is_none_or(|(of, _)| *of != base) {
                *own = Some((base.clone(), streams::create(&self.node, STAGE_TITLE.to_owned()).await?));
            }
            if let Some((_, stream)) = own.as_ref() {
                // Not the address that it tells the world: the key need not leave this machine.
                lines.push(format!("whip {base}/whip {}", stream.stream_key));
                lines.push(format!("watch {}", stream.watch_url));
            }
            if streams::is_on_loopback(&self.node) {
                lines.push("loopback".into());
            }
        }
        lines.push("go".into());
        self.stage.greet(&lines);
        Ok(())
    }

    /// What there is, once it is newer than `since`, or after a second.
    pub async fn changes(&self, since: u64) -> Snapshot {
        let mut changed = self.changed.subscribe();
        // Late, it is answered with what there is.
        let _ = tokio::time::timeout(ANSWER_LIMIT, changed.wait_for(|revision| *revision > since)).await;
        self.snapshot()
    }

    fn snapshot(&self) -> Snapshot {
        // Read before the rest: a change meanwhile is shown again rather than never.
        let revision = *self.changed.borrow();
        let now = Instant::now();
        Snapshot {
            revision,
            node: ChildSnapshot::new(self.node.view(), now),
            stage: ChildSnapshot::new(self.stage.view(), now),
            streams: self.streams().clone(),
            closing: self.closing.load(Ordering::Relaxed),
            paths: self.places.shown(),
        }
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        // Whole between any two of its changes, also when a holder panicked.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the window may close at once. If something is live the page asks first; who closes it again
    /// while it asks means it.
    pub fn may_close(&self) -> bool {
        let live =
            self.streams().any_live() || self.stage.fact("broadcast").is_some_and(|what| is_live(&what));
        let may = !live || self.closing.swap(true, Ordering::Relaxed);
        self.changed.send_modify(|revision| *revision += 1);
        may
    }

    /// The answer was to stay.
    pub fn stay(&self) {
        self.closing.store(false, Ordering::Relaxed);
        self.changed.send_modify(|revision| *revision += 1);
    }
}

/// Whether what a Stage says of its broadcast means that somebody may be watching.
fn is_live(what: &str) -> bool {
    matches!(what, "live" | "ending")
}

/// With a configuration of its own where there is one, else with the defaults and the Desk's data folder.
fn node_arguments(places: &Places) -> Vec<OsString> {
    let with = |flag: &str, path: &Path| vec!["node".into(), "--supervised".into(), flag.into(), path.into()];
    match places.node_config().exists() {
        true => with("--config", places.node_config()),
        false => with("--data", &places.node_data()),
    }
}
