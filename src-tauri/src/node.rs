//! `tickcast node`: the media server, headless.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use node::{AuditReport, Node, NodeConfig};
use tokio::sync::mpsc;

use crate::say;
use crate::stop::StopSignals;
use crate::supervised::{self, Word};

/// How often a node that outlives its supervisor looks whether its last broadcast has ended.
const LAST_BROADCAST: Duration = Duration::from_secs(1);
/// Words that may wait to be read; there are two in all, and more change nothing.
const WORDS_MAX: usize = 8;

#[derive(clap::Args, Clone, Debug, Default)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    pub task: Option<Task>,
    /// A configuration in TOML; assets/tickcast.toml is the commented default.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The same as --config FILE.
    #[arg(value_name = "FILE", conflicts_with_all = ["config", "loopback"])]
    pub file: Option<PathBuf>,
    /// Where the database and the key of the node lie, whatever the configuration says.
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Everything on this machine's loopback, on ports that the system chooses, with data in this folder.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["config", "data"])]
    pub loopback: Option<PathBuf>,
    /// Ends with standard input, once nothing is live, or at once at its line "stop".
    #[arg(long)]
    pub supervised: bool,
}

#[derive(clap::Subcommand, Clone, Debug)]
pub enum Task {
    /// Proves that what was signed, stored and settled agrees to the unit. It changes nothing, and may run beside a
    /// node.
    Audit {
        /// The node's configuration: its chain is asked, too.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Where the node's database lies, whatever the configuration says.
        #[arg(long, value_name = "FOLDER")]
        data: Option<PathBuf>,
        /// Asks no chain, although one is configured.
        #[arg(long)]
        offline: bool,
    },
}

/// Serves until it is told to stop, or does the one task that is asked for.
pub fn run(options: &Options) -> anyhow::Result<()> {
    if let Some(Task::Audit { config, data, offline }) = &options.task {
        let read = Options { config: config.clone(), data: data.clone(), ..Options::default() };
        return audit(&configuration(&read)?, *offline);
    }
    #[cfg_attr(feature = "engine", expect(unused_mut, reason = "only a node without an engine changes it"))]
    let mut config = configuration(options)?;
    #[cfg(not(feature = "engine"))]
    without_engine(&mut config);
    let runtime = tokio::runtime::Runtime::new().context("the async runtime could not be started")?;
    runtime.block_on(async {
        let mut stop = StopSignals::new()?;
        let mut words = options.supervised.then(supervision).transpose()?;
        let node = Node::start(config).await?;
        let addresses = node.addresses();
        say(&format!(
            "http {}\nhls {}\nrtmp {}\nmedia {}\nready",
            addresses.http, addresses.hls, addresses.rtmp, addresses.media
        ));
        let broken = tokio::select! {
            () = stop.wait() => None,
            () = dismissed(words.as_mut(), &node) => None,
            broken = node.broken() => Some(broken),
        };
        node.stop().await;
        broken.map_or(Ok(()), |broken| Err(broken.into()))
    })
}

fn audit(config: &NodeConfig, offline: bool) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("the async runtime could not be started")?;
    let report: AuditReport = runtime.block_on(async {
        let rail = match config.chain.as_ref().filter(|_| !offline) {
            Some(chain) => Some(chain.connect().await?),
            None => None,
        };
        anyhow::Ok(node::audit(&config.data_dir, rail).await?)
    })?;
    say(&format!(
        "channels {}\nvouchers {}\nreceipts {}\nlog rows {}\npaid seconds {}\naccepted {}\nsettled {} ({})\n\
         not settled yet {}",
        report.channels,
        report.vouchers,
        report.receipts,
        report.log_rows,
        report.ticks,
        report.accepted,
        report.settled,
        if report.is_chain_asked { "by the chain" } else { "as the node read it: the chain was not asked" },
        report.accepted.checked_sub(report.settled).unwrap_or_default(),
    ));
    report.findings.iter().for_each(|finding| say(&format!("WRONG: {finding}")));
    anyhow::ensure!(report.is_clean(), "the books do not agree: {} findings", report.findings.len());
    say("clean");
    Ok(())
}

/// This program has no encoder; another may be named.
#[cfg(not(feature = "engine"))]
fn without_engine(config: &mut NodeConfig) {
    let transcode = &mut config.transcode;
    if transcode.enabled && transcode.executable.as_os_str().is_empty() {
        tracing::warn!(
            "this node cannot transcode: it was built without the feature \"engine\". Viewers get what a publisher \
             sends: no ladder of a single rendition, and sound only where its codec suits. Name a program that has \
             it as transcode.executable, or set transcode.enabled = false"
        );
        transcode.enabled = false;
    }
}

fn configuration(options: &Options) -> anyhow::Result<NodeConfig> {
    if let Some(folder) = &options.loopback {
        return Ok(NodeConfig::loopback(folder.clone()));
    }
    let mut config = match options.config.as_ref().or(options.file.as_ref()) {
        Some(path) => NodeConfig::from_file(path)?,
        None => NodeConfig::default(),
    };
    if let Some(folder) = &options.data {
        config.data_dir.clone_from(folder);
    }
    Ok(config)
}

fn supervision() -> std::io::Result<mpsc::Receiver<Word>> {
    let (tell, words) = mpsc::channel(WORDS_MAX);
    supervised::listen(move |word| {
        // Full or closed: the node is on its way out.
        let _ = tell.try_send(word);
    })?;
    Ok(words)
}

/// Returns when the supervisor says so, or when it is gone and the last broadcast has ended. Never without one.
async fn dismissed(words: Option<&mut mpsc::Receiver<Word>>, node: &Node) {
    let Some(words) = words else { return std::future::pending().await };
    if words.recv().await != Some(Word::Gone) {
        return;
    }
    let live = node.live_streams();
    if live > 0 {
        tracing::warn!("the supervisor is gone; {live} live streams are served to their end");
    }
    let mut turns = tokio::time::interval(LAST_BROADCAST);
    while node.live_streams() > 0 {
        turns.tick().await;
    }
}
