use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::{Path, State as Kept};
use axum::http::{StatusCode, header};
use axum::routing::post;
use axum::{Json, Router};
use media::RenditionName::{High, Low, Medium};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;

const LIMIT: Duration = Duration::from_secs(60);

fn info(name: &str, height: u32) -> RenditionInfo {
    RenditionInfo { name: name.into(), width: height * 16 / 9, height, kbps: 0.0 }
}

#[test]
fn what_is_offered_is_what_the_stream_has_and_the_price_includes() {
    let quality = Quality::up_to(480);
    quality.offer(&[info("low", 360), info("medium", 480), info("high", 720), info("very_low", 0)]);
    assert_eq!(quality.view().offered, [(Medium, 480), (Low, 360)]);
    quality.offer(&[info("another", 360)]);
    assert_eq!(quality.view().offered, []);
}

/// The part of a node that hears wishes: it takes all but `high`. Of two of its sessions it knows no more, or cannot follow
/// the first wish just now.
async fn node() -> (String, mpsc::Receiver<String>) {
    let (wishes, heard) = mpsc::channel(8);
    let is_busy = Arc::new(AtomicBool::new(true));
    let layer = move |Path(session): Path<String>,
                      Kept(wishes): Kept<mpsc::Sender<String>>,
                      Json(body): Json<Value>| {
        let wish = body["rendition"].as_str().unwrap_or_default().to_owned();
        let is_busy = session == "busy" && is_busy.swap(false, Ordering::Relaxed);
        async move {
            let is_taken = wish != "high";
            wishes.send(wish).await.expect("the test listens");
            match session.as_str() {
                "gone" => StatusCode::NOT_FOUND,
                _ if is_busy => StatusCode::SERVICE_UNAVAILABLE,
                _ if is_taken => StatusCode::NO_CONTENT,
                _ => StatusCode::BAD_REQUEST,
            }
        }
    };
    // The offer names the session.
    let offer = |name: String| async move {
        (StatusCode::CREATED, [(header::LOCATION, format!("/session/{name}"))], "v=0")
    };
    let routes = Router::new().route("/whep", post(offer)).route("/session/{name}/layer", post(layer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/whep", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, routes.with_state(wishes)).await });
    (url, heard)
}

async fn next(heard: &mut mpsc::Receiver<String>) -> String {
    timeout(LIMIT, heard.recv()).await.expect("in time").expect("the node runs")
}

#[tokio::test]
async fn a_wish_is_told_to_each_connection_and_one_that_is_refused_is_none() {
    let (url, mut heard) = node().await;
    let session = api::SessionClient::new(&url, None).expect("an address");
    let session = session.offer("1".into()).await.expect("an answer").resource;
    let quality = Quality::default();
    let running = tokio::spawn({
        let quality = quality.clone();
        async move { quality.run().await }
    });
    // Before there is a connection; then over it, and over the next one.
    quality.choose(Some(Low));
    quality.connected(&session);
    assert_eq!(next(&mut heard).await, "low");
    quality.connected(&session);
    assert_eq!(next(&mut heard).await, "low");
    quality.choose(None);
    assert_eq!(next(&mut heard).await, "auto");
    // A connection begins with the node's choice: there is nothing to tell it.
    quality.connected(&session);
    quality.choose(Some(High));
    assert_eq!(next(&mut heard).await, "high");
    timeout(LIMIT, async {
        while quality.view().refused.is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it says so");
    assert_eq!(quality.view().wish, None);
    quality.choose(Some(Low));
    assert_eq!((next(&mut heard).await, quality.view().refused), ("low".to_owned(), None));
    running.abort();
}

#[tokio::test]
async fn a_wish_outlives_connections_that_are_gone_and_a_node_that_is_busy() {
    let (url, mut heard) = node().await;
    let sessions = api::SessionClient::new(&url, None).expect("an address");
    let session = async |name: &str| sessions.offer(name.into()).await.expect("an answer").resource;
    let quality = Quality::default();
    let running = tokio::spawn({
        let quality = quality.clone();
        async move { quality.run().await }
    });
    quality.connected(&session("gone").await);
    quality.choose(Some(Low));
    assert_eq!(next(&mut heard).await, "low");
    // To one that cannot just now it is told again.
    quality.connected(&session("busy").await);
    assert_eq!(next(&mut heard).await, "low");
    assert_eq!(next(&mut heard).await, "low");
    assert_eq!(quality.view(), QualityView { wish: Some(Low), ..QualityView::default() });
    running.abort();
}
