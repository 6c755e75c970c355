//! What the Desk asks its node over the node's own API, as any other program would.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api::{Client, ClientError, CreateStream, CreatedStream};
use tokio::sync::watch;

use super::child::Supervised;
use super::snapshot::{Money, Stream, Streams};

/// How old the list of streams may be.
const REFRESH: Duration = Duration::from_secs(1);

/// Keeps `streams` as the node has them, until the Desk is gone.
pub async fn follow(node: Supervised, streams: Arc<Mutex<Streams>>, changed: watch::Sender<u64>) {
    let mut changes = changed.subscribe();
    let mut turns = tokio::time::interval(REFRESH);
    let mut asked_at = None;
    loop {
        let base = base(&node);
        let turn = tokio::select! {
            biased;
            // A node that came or went is looked at now, a known one at its turn.
            _ = async {}, if base != asked_at => true,
            _ = turns.tick() => true,
            changed = changes.changed() => match changed {
                Ok(()) => false,
                Err(_) => return,
            },
        };
        if !turn {
            continue;
        }
        let found = match &base {
            Some(base) => {
                let money = streams.lock().unwrap_or_else(PoisonError::into_inner).money.clone();
                list(base, money.filter(|_| asked_at.as_ref() == Some(base))).await
            }
            None => Streams::default(),
        };
        asked_at = base;
        let mut known = streams.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != found {
            *known = found;
            changed.send_modify(|revision| *revision += 1);
        }
    }
}

/// What it is paid in stays what it was, as long as it is the same node.
async fn list(base: &str, money: Option<Money>) -> Streams {
    let asked = async {
        let client = Client::new(base)?;
        let streams = client.streams().await?;
        let money = match money {
            Some(known) => Some(known),
            None => Money::of(client.pay_info().await?),
        };
        Ok::<_, ClientError>((streams, money))
    };
    match asked.await {
        Ok((found, money)) => Streams {
            known: Some(found.into_iter().map(|info| Stream::new(info, base)).collect()),
            money,
            trouble: None,
        },
        Err(err) => Streams { known: None, money: None, trouble: Some(err.to_string()) },
    }
}

/// Makes a stream on the running node; its key is told here and never again.
pub async fn create(node: &Supervised, title: String) -> Result<CreatedStream, String> {
    let Some(base) = base(node) else { return Err("The node does not run. Start it first.".into()) };
    let request = CreateStream { title, ..CreateStream::default() };
    let asked = async { Client::new(base)?.create_stream(&request).await };
    asked.await.map_err(|err| refused(err, "The stream was not made"))
}

/// Another key for a free stream: whoever published with the one before is cut off.
pub async fn rotate_key(base: &str, playback_id: &str) -> Result<CreatedStream, String> {
    let asked = async { Client::new(base)?.rotate_key(None, playback_id).await };
    asked.await.map_err(|err| refused(err, "The key was not made"))
}

fn refused(err: ClientError, what: &str) -> String {
    match err {
        // It is a sentence already.
        ClientError::Refused(problem) => {
            [Some(problem.title), problem.detail].into_iter().flatten().collect::<Vec<_>>().join(" ")
        }
        other => format!("{what}: {other}."),
    }
}

/// Whether the node's media can be reached over the loopback interface.
pub fn is_on_loopback(node: &Supervised) -> bool {
    let media = node.fact("media").and_then(|address| address.parse::<SocketAddr>().ok());
    media.is_some_and(|address| address.ip().is_unspecified() || address.ip().is_loopback())
}

/// The running node's address as this machine reaches it.
pub fn base(node: &Supervised) -> Option<String> {
    let address = node.fact("http")?.parse().ok()?;
    Some(format!("http://{}", api::reachable(address)))
}
