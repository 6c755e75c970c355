//! What the Desk's page is shown: one value, all of it, as JSON.

use std::time::Instant;

use api::pay::PayInfo;
use api::{RenditionInfo, StreamInfo, StreamStatus};
use serde::Serialize;

use super::child::{View, failure_of};
use super::child_log::LogLine;
use super::lifecycle::{Exit, Phase, Reason};
use super::wallet::Accounts;

#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    pub version: &'static str,
    /// Grows with every change; what [`super::Desk::changes`] waits by.
    pub revision: u64,
    pub node: ChildSnapshot,
    pub stage: ChildSnapshot,
    pub streams: Streams,
    pub wallet: Accounts,
    /// The window was asked to close while something is live.
    pub closing: bool,
    pub paths: Paths,
}

/// Where things lie, for what a person is to do by hand.
#[derive(Clone, Debug, Serialize)]
pub struct Paths {
    pub node_config: String,
    pub node_config_exists: bool,
    pub data: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct ChildSnapshot {
    pub state: &'static str,
    /// Where it listens.
    pub http: Option<String>,
    pub rtmp: Option<String>,
    /// A Stage that broadcasts.
    pub live: bool,
    /// Of a failed or restarting child.
    pub failure: Option<FailureSnapshot>,
    /// Until it is started again.
    pub restart_in_seconds: Option<u64>,
    pub restarts: u32,
    pub log: Vec<LogLine>,
}

#[derive(Clone, Debug, Serialize)]
pub struct FailureSnapshot {
    pub reason: Reason,
    /// Its exit status, where it had one.
    pub status: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    pub last_words: Option<String>,
}

impl ChildSnapshot {
    pub fn new(view: View, now: Instant) -> Self {
        let running = matches!(view.phase, Phase::Running { .. });
        let fact = |name: &str| view.facts.get(name).filter(|_| running).cloned();
        let failure = failure_of(view.phase).map(|failure| FailureSnapshot {
            reason: failure.reason,
            status: failure
                .exit
                .and_then(|exit| if let Exit::Status(code) = exit { Some(code) } else { None }),
            signal: failure.exit.and_then(|exit| if let Exit::Signal(no) = exit { Some(no) } else { None }),
            last_words: view.last_words.clone(),
        });
        let restart_in_seconds = match view.phase {
            Phase::Restarting { until, .. } => Some(until.saturating_duration_since(now).as_secs() + 1),
            _ => None,
        };
        Self {
            state: state(view.phase),
            http: fact("http"),
            rtmp: fact("rtmp"),
            live: fact("broadcast").is_some_and(|what| super::is_live(&what)),
            failure,
            restart_in_seconds,
            restarts: view.restarts,
            log: view.log,
        }
    }
}

fn state(phase: Phase) -> &'static str {
    match phase {
        Phase::Stopped => "stopped",
        Phase::Starting { .. } => "starting",
        Phase::Running { .. } => "running",
        Phase::Stopping { .. } => "stopping",
        Phase::Failed(_) => "failed",
        Phase::Restarting { .. } => "restarting",
    }
}

/// The streams of the node, while it runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Streams {
    /// `None` until the node has told.
    pub known: Option<Vec<Stream>>,
    /// What the node is paid in, where it reaches a chain.
    pub money: Option<Money>,
    /// Why they could not be asked for.
    pub trouble: Option<String>,
}

impl Streams {
    pub fn any_live(&self) -> bool {
        self.known.iter().flatten().any(|stream| stream.status == StreamStatus::Live)
    }

    /// The stream that the node listed under this playback id.
    pub fn find(&self, playback_id: &str) -> Option<&Stream> {
        self.known.iter().flatten().find(|stream| stream.playback_id == playback_id)
    }
}

/// What a node is paid in. Amounts are in smallest units, of which `10^decimals` are one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Money {
    pub symbol: String,
    pub decimals: u8,
    pub chain: String,
    /// Where the chain answers.
    pub endpoints: Vec<String>,
}

impl Money {
    /// `None` where everything is free.
    pub fn of(info: PayInfo) -> Option<Self> {
        let rail = info.rail?;
        // As short as the wallet makes it: it comes from a chain.
        let symbol = rail.symbol.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
        let (decimals, chain, endpoints) = (rail.decimals, rail.chain, info.endpoints);
        Some(Self { symbol, decimals, chain, endpoints })
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stream {
    pub playback_id: String,
    pub title: String,
    pub status: StreamStatus,
    pub viewer_count: u32,
    pub renditions: Vec<RenditionInfo>,
    pub watch_url: String,
    pub started_at: Option<String>,
    pub is_paid: bool,
    /// What a second costs at least and at most, in smallest units, while the node knows.
    pub price: Option<[String; 2]>,
    /// What its viewers lack, and why: the node's sentences.
    pub notices: Vec<String>,
}

impl Stream {
    /// `base` is the node's address as a browser on this machine has it.
    pub fn new(info: StreamInfo, base: &str) -> Self {
        let prices = || info.offers.iter().map(|offer| offer.price.per_tick());
        let price = prices().min().zip(prices().max());
        Self {
            price: price.map(|(least, most)| [least, most].map(|amount| amount.to_string())),
            is_paid: info.is_paid,
            watch_url: format!("{base}/watch/{}", info.playback_id),
            playback_id: info.playback_id,
            title: info.title,
            status: info.status,
            viewer_count: info.viewer_count,
            renditions: info.renditions,
            started_at: info.started_at,
            notices: info.notices,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::time::Duration;

    use super::super::lifecycle::Failure;
    use super::super::wallet::Account;
    use super::*;

    fn view(phase: Phase, restarts: u32) -> View {
        View { phase, restarts, facts: BTreeMap::new(), log: Vec::new(), last_words: None }
    }

    fn node(now: Instant) -> View {
        let facts = [("http", "0.0.0.0:8080"), ("rtmp", "0.0.0.0:1935"), ("hls", "0.0.0.0:8081")];
        View {
            facts: facts.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            log: vec![LogLine { number: 0, text: "ready".into() }],
            ..view(Phase::Running { since: now }, 1)
        }
    }

    fn stage(now: Instant) -> View {
        let failure = Failure { reason: Reason::EndedWhileRunning, exit: Some(Exit::Signal(11)) };
        let until = now + Duration::from_millis(3500);
        View { last_words: Some("it broke".into()), ..view(Phase::Restarting { until, failure }, 2) }
    }

    fn stream() -> Stream {
        let rendition =
            |name: &str, width, height, kbps| RenditionInfo { name: name.into(), width, height, kbps };
        let info = StreamInfo {
            playback_id: "p1".into(),
            title: "On air".into(),
            description: String::new(),
            category: String::new(),
            status: StreamStatus::Live,
            viewer_count: 3,
            renditions: vec![rendition("low", 640, 360, 1000.0), rendition("high", 1280, 720, 4000.0)],
            whep_url: String::new(),
            hls_url: String::new(),
            started_at: Some("2026-01-01T00:00:00Z".into()),
            is_paid: false,
            offers: Vec::new(),
            metadata: None,
            notices: vec!["Viewers in browsers hear nothing: this node cannot make Opus now.".into()],
        };
        Stream::new(info, "http://127.0.0.1:8080")
    }

    #[test]
    fn the_page_reads_what_is_written_here() {
        let now = Instant::now();
        let money = Money {
            symbol: "UNIT".into(),
            decimals: 12,
            chain: "dev".into(),
            endpoints: vec!["ws://a".into()],
        };
        let account = Account { name: "me".into(), address: "5F".into(), kind: "own".into() };
        let wallet = Accounts { known: Some(vec![account]), trouble: None, is_asking: true };
        let snapshot = Snapshot {
            version: "0.1.0",
            revision: 7,
            node: ChildSnapshot::new(node(now), now),
            stage: ChildSnapshot::new(stage(now), now),
            streams: Streams { known: Some(vec![stream()]), money: Some(money), trouble: None },
            wallet,
            closing: true,
            paths: super::super::places::Places::new(Path::new("/data"), Path::new("/config")).shown(),
        };
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/tests/snapshot.json");
        let read: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(file).unwrap()).expect("the page's sample");
        assert_eq!(serde_json::to_value(&snapshot).unwrap(), read);
    }

    #[test]
    fn what_has_ended_offers_nothing_and_is_not_live() {
        let now = Instant::now();
        let mut view = node(now);
        view.facts.insert("broadcast".into(), "live".into());
        assert!(ChildSnapshot::new(view.clone(), now).live);
        view.phase = Phase::Stopped;
        let shown = ChildSnapshot::new(view, now);
        assert_eq!((shown.live, shown.http), (false, None));
    }
}
