//! What the node that the Stage goes live to says of its stream: what viewers lack, how many there are, what it earns.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use api::{Client, StreamInfo};
use stage::{Audience, Earned, Feedback, Heard};

use crate::supervised::Outputs;

/// How old its word may be.
const REFRESH: Duration = Duration::from_secs(2);
/// What comes in is taken over this.
const RATE_OVER: Duration = Duration::from_secs(10);

/// The node's API and the stream's id in it, where the supervisor named both.
pub struct Node {
    client: Client,
    playback_id: String,
    money: Option<Money>,
}

/// Smallest units, of which `10^decimals` are one.
struct Money {
    symbol: String,
    decimals: u8,
    /// When, and how much had been earned; the oldest first.
    seen: VecDeque<(Instant, u128)>,
}

impl Node {
    pub fn of(outputs: &Outputs) -> Option<Self> {
        let base = outputs.whip.first()?.url.strip_suffix("/whip")?;
        let (_, playback_id) = outputs.watch_url.as_deref()?.rsplit_once("/watch/")?;
        let client = Client::new(base).inspect_err(|err| tracing::debug!("the node: {err}")).ok()?;
        Some(Self { client, playback_id: playback_id.to_owned(), money: None })
    }

    /// Keeps `feedback` as the node has it, for as long as it is polled.
    pub async fn follow(mut self, feedback: Feedback) {
        let mut turns = tokio::time::interval(REFRESH);
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            feedback.set(self.ask().await);
        }
    }

    /// Nothing where the node does not answer: of that the output tells.
    async fn ask(&mut self) -> Heard {
        let Ok(stream) = self.client.stream(&self.playback_id).await else { return Heard::default() };
        let earned = if stream.is_paid { self.earned(&stream).await } else { None };
        let audience = Some(Audience { viewers: stream.viewer_count, earned });
        Heard { notices: stream.notices, audience }
    }

    /// `None` where the node tells no unit, or is on another machine, which tells earnings to nobody who has not logged in.
    async fn earned(&mut self, stream: &StreamInfo) -> Option<Earned> {
        if self.money.is_none() {
            let rail = self.client.pay_info().await.ok()?.rail?;
            self.money = Some(Money { symbol: rail.symbol, decimals: rail.decimals, seen: VecDeque::new() });
        }
        let rows = self.client.earnings(None).await.ok()?;
        let row = rows.iter().find(|row| row.playback_id == stream.playback_id);
        Some(self.money.as_mut()?.take(Instant::now(), row.map_or(0, |row| row.earned.units())))
    }
}

impl Money {
    fn take(&mut self, now: Instant, earned: u128) -> Earned {
        if self.seen.back().is_some_and(|(_, before)| *before > earned) {
            // Another node, or another database.
            self.seen.clear();
        }
        self.seen.push_back((now, earned));
        // The oldest that is kept is as old as the rate's span, or the first.
        while self.seen.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= RATE_OVER) {
            self.seen.pop_front();
        }
        let a_second =
            self.seen.front().filter(|(at, _)| now.duration_since(*at) >= REFRESH).map(|(at, before)| {
                let millis = now.duration_since(*at).as_millis().max(1);
                (earned - before).saturating_mul(1_000) / millis
            });
        Earned { a_second: a_second.map(|units| self.words(units)), total: self.words(earned) }
    }

    #[cfg(feature = "wallet")]
    fn words(&self, units: u128) -> String {
        wallet::Unit::new(&self.symbol, self.decimals).shortly(pay::Amount::new(units))
    }

    /// Units are the wallet's matter: without one there are smallest ones.
    #[cfg(not(feature = "wallet"))]
    fn words(&self, units: u128) -> String {
        format!("{units} of 10^-{} {}", self.decimals, self.symbol)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;

    use super::*;
    use crate::supervised::WhipOutput;

    const SAID: &str = "There is no sound for WebRTC viewers: the transcoder failed several times.";

    /// Answers one request as a node does, and is gone then. Returns what was asked for.
    async fn answer_once(listener: TcpListener) -> String {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut lines = BufReader::new(&mut socket).lines();
        let asked = lines.next_line().await.unwrap().unwrap();
        while lines.next_line().await.unwrap().is_some_and(|line| !line.is_empty()) {}
        drop(lines);
        let body = serde_json::json!({
            "playback_id": "p1", "title": "On air", "description": "", "category": "", "status": "live",
            "viewer_count": 1, "renditions": [], "whep_url": "", "hls_url": "", "notices": [SAID],
        });
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        socket.write_all((head + &body).as_bytes()).await.unwrap();
        asked
    }

    #[tokio::test]
    async fn the_nodes_word_on_the_stream_is_taken_and_a_node_that_is_gone_says_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let whip = vec![WhipOutput { url: format!("{base}/whip"), key: "hunter2".into() }];
        let watch_url = Some("http://node.example/watch/p1".to_owned());
        let mut node = Node::of(&Outputs { whip, watch_url, on_loopback: true }).unwrap();
        let (heard, asked) = tokio::join!(node.ask(), answer_once(listener));
        let audience = Some(Audience { viewers: 1, earned: None });
        assert_eq!(heard, Heard { notices: vec![SAID.to_owned()], audience });
        assert_eq!(asked, "GET /api/v1/streams/p1 HTTP/1.1");
        assert_eq!(node.ask().await, Heard::default());
    }

    #[cfg(feature = "wallet")]
    #[test]
    fn what_comes_in_is_taken_over_ten_seconds() {
        let mut money = Money { symbol: "DEV".into(), decimals: 3, seen: VecDeque::new() };
        let begun = Instant::now();
        let mut at = |second: u64, earned| money.take(begun + Duration::from_secs(second), earned);
        let of = |a_second: Option<&str>, total: &str| Earned {
            a_second: a_second.map(str::to_owned),
            total: total.to_owned(),
        };
        assert_eq!(at(0, 0), of(None, "0 DEV"));
        assert_eq!(at(2, 1_000), of(Some("0.5 DEV"), "1 DEV"));
        for second in (4..=18).step_by(2) {
            at(second, 1_000);
        }
        assert_eq!(at(20, 1_000), of(Some("0 DEV"), "1 DEV"));
        // A node that forgot begins anew.
        assert_eq!(at(22, 200), of(None, "0.2 DEV"));
    }

    #[test]
    fn without_a_node_nobody_is_asked() {
        assert!(Node::of(&Outputs::default()).is_none());
        let whip = vec![WhipOutput { url: "http://node.example/whip".into(), key: String::new() }];
        assert!(Node::of(&Outputs { whip, ..Outputs::default() }).is_none());
    }
}
