//! `tickcast` without a command: the Desk. It starts and supervises the others as processes of their own, so
//! that neither a crash of the web view ends a broadcast nor a crash of the broadcast takes the Desk along.

mod browser;
mod child;
mod child_log;
mod commands;
mod library;
mod lifecycle;
mod node_config;
mod places;
mod snapshot;
mod streams;
mod viewers;
mod wallet;
mod window;

use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use api::{CreatedStream, StreamStatus};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::sync::watch;

use child::{Order, Spec, Supervised};
use library::Library;
use lifecycle::AfterFailure;
use places::Places;
use snapshot::{ChildSnapshot, Snapshot, Streams};
use viewers::Viewers;
use wallet::{Accounts, Wallet};

/// The page is answered after this, also where nothing changed: it shows times.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// What the stream is called that the Stage goes live to, where nobody names it.
const STAGE_TITLE: &str = "From the Stage";
/// A node has said by then that it is ready, or why it is not.
const NODE_LIMIT: Duration = Duration::from_secs(45);

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

/// What the Stage's stream is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Terms {
    pub title: String,
    /// Who is paid, and how much a second costs, as the person wrote it. Without it the stream is free.
    pub price: Option<Asked>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Asked {
    /// By address: no two have the same.
    pub account: String,
    pub amount: String,
}

/// A chain that somebody has looked at in the wallet's window.
#[derive(Debug, Deserialize)]
struct Met {
    genesis: String,
}

/// A stream that was made for the Stage.
#[derive(Debug)]
struct Own {
    /// Of the node that has it.
    base: String,
    terms: Terms,
    stream: CreatedStream,
}

/// What the Desk knows and steers. Its children end with it: their pipes close.
#[derive(Debug)]
pub struct Desk {
    node: Supervised,
    stage: Supervised,
    /// The stream that the Stage goes live to.
    own: tokio::sync::Mutex<Option<Own>>,
    streams: Arc<Mutex<Streams>>,
    wallet: Wallet,
    accounts: Mutex<Accounts>,
    viewers: Viewers,
    library: Library,
    closing: AtomicBool,
    changed: watch::Sender<u64>,
    places: Places,
}

impl Desk {
    /// Within an async runtime. The node is started with it: without one there is nothing to go live to or to look at.
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
        // The first of its queue.
        node.order(Order::Start);
        let streams = Arc::new(Mutex::new(Streams::default()));
        tokio::spawn(streams::follow(node.clone(), Arc::clone(&streams), changed.clone()));
        let stage = Supervised::new(stage, changed.clone());
        let own = tokio::sync::Mutex::default();
        let wallet = Wallet::new(program.clone(), places.data().to_owned());
        let (accounts, viewers) = (Mutex::default(), Viewers::new(&program));
        let library = Library::new(&program, crate::films::folder(), places.data());
        let closing = AtomicBool::new(false);
        Ok(Self { node, stage, own, streams, wallet, accounts, viewers, library, closing, changed, places })
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
            self.prepare_stage(None).await?;
        }
        self.give(name, order)
    }

    fn give(&self, name: ChildName, order: Order) -> Result<(), String> {
        match self.child(name).order(order) {
            true => Ok(()),
            false => Err("The last orders are still being carried out. Try again in a moment.".into()),
        }
    }

    /// Opens the Stage on a stream of these terms, and starts the node for it where that does not run.
    pub async fn open_stage(&self, terms: Terms) -> Result<(), String> {
        self.start_node().await?;
        self.prepare_stage(Some(terms)).await?;
        self.give(ChildName::Stage, Order::Start)
    }

    /// Returns once it runs.
    async fn start_node(&self) -> Result<(), String> {
        let mut changed = self.changed.subscribe();
        if self.node.view().phase.is_down() {
            self.give(ChildName::Node, Order::Start)?;
            // The order is taken up by its task, which says so.
            let taken =
                changed.wait_for(|_| !self.node.view().phase.is_down() || self.node.view().restarts > 0);
            drop(tokio::time::timeout(ANSWER_LIMIT, taken).await);
        }
        let settled =
            changed.wait_for(|_| streams::base(&self.node).is_some() || self.node.view().phase.is_down());
        drop(tokio::time::timeout(NODE_LIMIT, settled).await);
        match streams::base(&self.node) {
            Some(_) => Ok(()),
            None => Err("The node did not start. Home says why.".into()),
        }
    }

    /// Tells the Stage where to go live to: a stream of the running node, one and the same as long as it runs
    /// there and nobody wants it otherwise. Without a node the Stage shows a preview.
    async fn prepare_stage(&self, terms: Option<Terms>) -> Result<(), String> {
        let mut own = self.own.lock().await;
        let mut lines = Vec::new();
        if let Some(base) = streams::base(&self.node) {
            let is_same =
                |own: &Own| own.base == base && terms.as_ref().is_none_or(|terms| own.terms == *terms);
            if !own.as_ref().is_some_and(is_same) {
                let terms = terms.unwrap_or_default();
                let stream = self.make_stream(&base, &terms).await?;
                *own = Some(Own { base: base.clone(), terms, stream });
            }
            if let Some(Own { stream, .. }) = own.as_ref() {
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

    /// One that costs something is made in its creator's name, by a window of the wallet's.
    pub async fn make_stream(&self, base: &str, terms: &Terms) -> Result<CreatedStream, String> {
        let title = if terms.title.is_empty() { STAGE_TITLE } else { &terms.title };
        let Some(Asked { account, amount }) = &terms.price else {
            return streams::create(&self.node, title.to_owned()).await;
        };
        let (account, amount, node) =
            (format!("--account={account}"), format!("--price={amount}"), format!("--node={base}"));
        self.prompt("stream", &["create", &account, &amount, &node, "--", title]).await
    }

    /// Makes a new key for a stream that the node listed: of a paid one in its creator's name, by a window of the wallet's.
    pub async fn rotate_key(&self, playback_id: &str) -> Result<CreatedStream, String> {
        let (base, stream) = (self.base()?, self.listed(playback_id)?);
        if !stream.is_paid {
            return streams::rotate_key(&base, playback_id).await;
        }
        self.prompt("stream", &["key", &format!("--node={base}"), "--", playback_id]).await
    }

    /// Gives a paid stream another price, for every quality.
    pub async fn set_price(&self, playback_id: &str, amount: &str) -> Result<(), String> {
        let base = self.base()?;
        self.listed(playback_id)?;
        let (price, node) = (format!("--price={amount}"), format!("--node={base}"));
        let IgnoredAny = self.prompt("stream", &["price", &price, &node, "--", playback_id]).await?;
        Ok(())
    }

    /// Opens the Stage on a stream that the node has: its link stays what it was. Nobody else has kept its key, so it gets a
    /// new one.
    pub async fn open_stage_on(&self, playback_id: &str) -> Result<(), String> {
        let listed = self.listed(playback_id)?;
        if listed.status == StreamStatus::Live {
            return Err("Somebody publishes to it now. End that first.".into());
        }
        if !self.stage.view().phase.is_down() {
            return Err("The Stage is open already. Close it first.".into());
        }
        let (base, stream) = (self.base()?, self.rotate_key(playback_id).await?);
        let terms = Terms { title: listed.title, price: None };
        *self.own.lock().await = Some(Own { base, terms, stream });
        self.prepare_stage(None).await?;
        self.give(ChildName::Stage, Order::Start)
    }

    fn listed(&self, playback_id: &str) -> Result<snapshot::Stream, String> {
        let streams = self.streams();
        streams.find(playback_id).cloned().ok_or_else(|| "The node does not know this stream.".into())
    }

    /// Names the chain on which the node is paid, or none, and starts the node with it.
    pub async fn set_chain(&self, endpoint: Option<String>) -> Result<(), String> {
        if self.streams().any_live() {
            return Err(
                "Something is live on the node. End that first: the node is restarted for this.".into()
            );
        }
        let named = match endpoint.as_deref().map(str::trim) {
            None => None,
            Some(endpoint) => {
                node_config::check(endpoint)?;
                // Not by the page's word alone: who names a chain says what money is.
                let chain: Met = self.prompt("wallet", &["meet", &format!("--chain={endpoint}")]).await?;
                Some((endpoint.to_owned(), chain.genesis))
            }
        };
        let path = self.places.node_config().to_owned();
        let changed = move || {
            let named = named.as_ref().map(|(endpoint, genesis)| (endpoint.as_str(), genesis.as_str()));
            node_config::set_chain(&path, named)
        };
        let changed = tokio::task::spawn_blocking(changed).await;
        changed.map_err(|err| format!("The settings could not be written: {err}."))??;
        self.give(ChildName::Node, Order::Restart)
    }

    /// The node's address, once it runs.
    pub fn base(&self) -> Result<String, String> {
        streams::base(&self.node).ok_or_else(|| "The node does not run. Start it first.".into())
    }

    /// Asks in a window of the wallet's, and reads the accounts again afterwards.
    pub async fn prompt<T: for<'a> Deserialize<'a>>(
        &self,
        command: &str,
        arguments: &[&str],
    ) -> Result<T, String> {
        self.change_accounts(|accounts| accounts.is_asking = true);
        let answer = self.wallet.prompt(command, arguments).await;
        // Another one may be, which this one was refused for.
        self.change_accounts(|accounts| accounts.is_asking = self.wallet.is_asking());
        self.read_accounts().await;
        answer
    }

    pub async fn read_accounts(&self) {
        let found = self.wallet.ask(&["list"]).await;
        self.change_accounts(|accounts| match found {
            Ok(known) => (accounts.known, accounts.trouble) = (Some(known), None),
            Err(why) => accounts.trouble = Some(why),
        });
    }

    fn change_accounts(&self, change: impl FnOnce(&mut Accounts)) {
        // Whole between any two of its changes, also when a holder panicked.
        change(&mut self.accounts.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.send_modify(|revision| *revision += 1);
    }

    fn accounts(&self) -> Accounts {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
            version: env!("CARGO_PKG_VERSION"),
            revision,
            node: ChildSnapshot::new(self.node.view(), now),
            stage: ChildSnapshot::new(self.stage.view(), now),
            streams: self.streams().clone(),
            wallet: self.accounts(),
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

/// By the settings that [`Places::make`] saw to.
fn node_arguments(places: &Places) -> Vec<OsString> {
    let mut arguments = ["node", "--supervised", "--config"].map(OsString::from).to_vec();
    arguments.push(places.node_config().into());
    arguments
}
