//! `tickcast demo`: node, studio, outputs, recording and a measuring viewer that pays by the second, on this machine, with a
//! report.

mod folder;
mod live;
mod payment;
mod report;
mod scene;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use api::{Client, CreateStream, CreatedStream};
use clap::builder::PossibleValuesParser;
use media::FrameRate;
use node::{Node, NodeConfig};
use rtc::Network;
use studio::{Engine, Snapshot};
use watch::{HttpSignalling, Player, PlayerConfig};

use crate::engine::http_signalling;
use crate::say;
use crate::stop::StopSignals;
use folder::Folder;
use payment::{Market, Ticket};
use report::Report;

/// How often the live report is renewed.
const LIVE_REPORT: Duration = Duration::from_secs(1);
/// The stream is to be live within this.
const LIVE_LIMIT: Duration = Duration::from_secs(20);

#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// Ends by itself after so many seconds; without it, Ctrl-C ends it.
    #[arg(long, value_name = "SECONDS", value_parser = crate::seconds)]
    pub seconds: Option<Duration>,
    /// Writes the report as JSON.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// A figure that fell short makes the exit status 3.
    #[arg(long)]
    pub strict: bool,
    /// Where recording and database go, and stay. Without it, in a folder under the system's temporary one: the recording
    /// stays there until the next demo, and nothing else.
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Nobody pays: the stream can be watched in any browser.
    #[arg(long)]
    pub free: bool,
    /// How the particles look.
    #[arg(long, value_name = "NAME", default_value = "galaxy", value_parser = presets())]
    pub preset: String,
}

fn presets() -> PossibleValuesParser {
    studio::Preset::ALL.map(studio::Preset::name).into()
}

/// The exit status of figures that fell short under `--strict`.
const SHORT: u8 = 3;

/// Runs the demo and says how it went by the exit status.
pub fn run(options: &Options) -> ExitCode {
    match demo(options) {
        Ok(report) if options.strict && !report.shortfalls.is_empty() => ExitCode::from(SHORT),
        Ok(_) => ExitCode::SUCCESS,
        Err(err) => crate::failure(&err),
    }
}

fn demo(options: &Options) -> anyhow::Result<Report> {
    let written = |path: &PathBuf| format!("the report {}", path.display());
    if let Some(path) = &options.report {
        // What cannot be written is known before anything runs.
        std::fs::File::create(path).with_context(|| written(path))?;
    }
    let folder = match &options.data {
        Some(folder) => Folder::given(folder.clone()),
        None => {
            let parent = std::env::temp_dir();
            let made = Folder::temporary(&parent);
            made.with_context(|| format!("a folder in {}; --data names another", parent.display()))?
        }
    };
    let runtime = tokio::runtime::Runtime::new().context("the async runtime could not be started")?;
    let report = runtime.block_on(async {
        let mut stop = StopSignals::new()?;
        let parts = tokio::select! {
            started = Parts::start(options, &folder, runtime.handle()) => started?,
            () = stop.wait() => anyhow::bail!("it was ended before the broadcast had begun: there is nothing to report"),
        };
        let ended = tokio::select! {
            () = stop.wait() => Ok(()),
            ended = parts.show(options.seconds) => ended,
        };
        let report = parts.end().await?;
        ended.map(|()| report)
    })?;
    say(&live::summary(&report));
    if folder.is_temporary() && report.recording.is_some() {
        say(
            "The recording stays until the next demo. --data FOLDER names a place where all stays that a demo writes.",
        );
    }
    if let Some(path) = &options.report {
        let json = serde_json::to_string_pretty(&report).context("the report")?;
        std::fs::write(path, json + "\n").with_context(|| written(path))?;
    }
    let failed = report::failures(&report);
    anyhow::ensure!(failed.is_empty(), "{}", failed.join("; "));
    Ok(report)
}

/// Everything that runs.
struct Parts {
    data: PathBuf,
    frame_rate: FrameRate,
    node: Node,
    engine: Engine,
    player: Player,
    paid: Option<(Market, Ticket)>,
}

impl Parts {
    async fn start(
        options: &Options,
        folder: &Folder,
        runtime: &tokio::runtime::Handle,
    ) -> anyhow::Result<Self> {
        let data = folder.path().to_owned();
        let market = if options.free { None } else { Some(Market::open().await?) };
        let chain = market.as_ref().map(Market::config);
        let config = NodeConfig { chain, ..NodeConfig::loopback(data.join("node")) };
        let node = Node::start(config).await.context("the node")?;
        let client = Client::new(format!("http://{}", node.addresses().http))?;
        let main = match &market {
            Some(market) => market.create(&client, "Tickcast demo").await?,
            None => create(&client, "Tickcast demo").await?,
        };
        let second = create(&client, "Tickcast demo by RTMP").await?;
        let file = scene::broadcast(&options.preset, &main, &second, &folder.recording())?;
        let paid = match market {
            Some(market) => {
                let ticket = market.join(&client, &main, data.join("tab")).await?;
                say(&format!("Paid by the second: {}", main.watch_url));
                Some((market, ticket))
            }
            None => {
                say(&format!("Watch at {}", main.watch_url));
                None
            }
        };
        say(&format!("The RTMP output's own stream: {}", second.watch_url));
        let engine =
            Engine::start(&file, Network::Loopback, &http_signalling(), runtime).context("the studio")?;
        wait_until_live(&client, &main.playback_id, &engine).await?;
        let config =
            PlayerConfig { network: Network::Loopback, ladder: file.ladder()?, ..PlayerConfig::default() };
        let player = match &paid {
            Some((_, ticket)) => {
                let bearer = ticket.joined.viewer_token.clone();
                let signalling = Arc::new(HttpSignalling::new(&ticket.joined.whep_url, bearer)?);
                Player::start_paying(config, signalling, runtime, ticket.handle())
            }
            None => Player::start(config, Arc::new(HttpSignalling::new(&main.whep_url, None)?), runtime),
        };
        let player = player.context("the viewer")?;
        Ok(Self { data, frame_rate: file.programme.fps.0, node, engine, player, paid })
    }

    /// Renews the live report until `limit` has passed since the broadcast began.
    async fn show(&self, limit: Option<Duration>) -> anyhow::Result<()> {
        let mut turns = tokio::time::interval(LIVE_REPORT);
        let end = limit.map(|limit| self.engine.epoch().instant() + limit);
        loop {
            turns.tick().await;
            let failures = self.engine.failures();
            anyhow::ensure!(failures.is_empty(), "the studio: {}", failures.join("; "));
            say(&live::line(&self.engine.snapshot(), &self.player.snapshot()));
            if end.is_some_and(|end| std::time::Instant::now() >= end) {
                return Ok(());
            }
        }
    }

    /// Ends everything in order and reports.
    async fn end(self) -> anyhow::Result<Report> {
        let Self { data, frame_rate, node, engine, player, paid } = self;
        // Before the payment is settled, during which nothing is shown any more.
        let viewer = player.snapshot();
        let paid = match paid {
            Some((mut market, ticket)) => {
                let paid = ticket.end().await;
                let settled = market.settled(&paid).await?;
                Some((market, paid, settled))
            }
            None => None,
        };
        player.close().await;
        let last: Snapshot = engine.stop().await;
        node.stop().await;
        let payment = match paid {
            Some((market, paid, settled)) => {
                let delivered = viewer.report.frames_presented as f64 / frame_rate.as_f64();
                Some(market.report(paid, settled, delivered, &data.join("node")).await?)
            }
            None => None,
        };
        Report::new(&last, &[viewer], payment)
    }
}

async fn create(client: &Client, title: &str) -> anyhow::Result<CreatedStream> {
    let request = CreateStream { title: title.into(), category: "demo".into(), ..CreateStream::default() };
    client.create_stream(&request).await.context("a stream on the node")
}

/// Waits until every rendition has come through the node.
async fn wait_until_live(client: &Client, playback_id: &str, engine: &Engine) -> anyhow::Result<()> {
    let wanted = engine.snapshot().renditions.len();
    let mut turns = tokio::time::interval(Duration::from_millis(100));
    let waiting = async {
        loop {
            turns.tick().await;
            if client.stream(playback_id).await?.renditions.len() >= wanted {
                return anyhow::Ok(());
            }
        }
    };
    let outcome = tokio::time::timeout(LIVE_LIMIT, waiting).await;
    outcome.unwrap_or_else(|_| {
        let outputs = engine.snapshot().outputs.into_iter();
        let states: Vec<_> = outputs
            .map(|output| format!("{} {}: {}", output.kind, output.state, output.message.unwrap_or_default()))
            .collect();
        Err(anyhow::anyhow!(
            "the stream did not become live within {} s ({})",
            LIVE_LIMIT.as_secs(),
            states.join("; ")
        ))
    })
}
