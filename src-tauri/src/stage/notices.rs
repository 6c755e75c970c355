//! What the node that the Stage goes live to says of its stream.

use std::time::Duration;

use api::Client;
use stage::Notices;

use crate::supervised::Outputs;

/// How old its word may be.
const REFRESH: Duration = Duration::from_secs(2);

/// The node's API and the stream's id in it, where the supervisor named both.
pub struct Node {
    client: Client,
    playback_id: String,
}

impl Node {
    pub fn of(outputs: &Outputs) -> Option<Self> {
        let base = outputs.whip.first()?.url.strip_suffix("/whip")?;
        let (_, playback_id) = outputs.watch_url.as_deref()?.rsplit_once("/watch/")?;
        let client = Client::new(base).inspect_err(|err| tracing::debug!("the node: {err}")).ok()?;
        Some(Self { client, playback_id: playback_id.to_owned() })
    }

    /// Keeps `notices` as the node has them, for as long as it is polled.
    pub async fn follow(self, notices: Notices) {
        let mut turns = tokio::time::interval(REFRESH);
        loop {
            turns.tick().await;
            notices.set(self.ask().await);
        }
    }

    /// Nothing where the node does not answer: of that the output tells.
    async fn ask(&self) -> Vec<String> {
        self.client.stream(&self.playback_id).await.map(|stream| stream.notices).unwrap_or_default()
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
        let node = Node::of(&Outputs { whip, watch_url, on_loopback: true }).unwrap();
        let (said, asked) = tokio::join!(node.ask(), answer_once(listener));
        assert_eq!(said, [SAID]);
        assert_eq!(asked, "GET /api/v1/streams/p1 HTTP/1.1");
        assert!(node.ask().await.is_empty());
    }

    #[test]
    fn without_a_node_nobody_is_asked() {
        assert!(Node::of(&Outputs::default()).is_none());
        let whip = vec![WhipOutput { url: "http://node.example/whip".into(), key: String::new() }];
        assert!(Node::of(&Outputs { whip, ..Outputs::default() }).is_none());
    }
}
