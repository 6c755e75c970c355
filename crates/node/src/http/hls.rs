//! LL-HLS over HTTP: `/live/{playback id}.m3u8`, and beside it what it names.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use mux::hls::{Answer, File, ReloadRequest};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::paid_hls;
use super::refusal::Refusal;
use crate::app::App;
use crate::id::PlaybackId;
use crate::places::Place;
use crate::stream::StreamHandle;

/// A blocking request is answered with 503 after three target durations (RFC 8216bis §6.2.5.2).
const BLOCK_MAX: Duration = Duration::from_secs(6);
/// A part takes a third of that, a segment twice as long.
const RETRY_AFTER_S: u32 = 1;
/// Files never change under their name.
const CACHE_FILE: &str = "public, max-age=3600, immutable";

pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/live/{name}", get(master))
        .route("/live/{playback_id}/{file}", get(file))
        // To ask for the head of what is paid for would be to have it sent.
        .route(
            "/live/{playback_id}/{viewer}/{file}",
            get(paid_hls::file).head(StatusCode::METHOD_NOT_ALLOWED),
        )
}

async fn master(
    State(app): State<Arc<App>>,
    Extension(place): Extension<Arc<Place>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let id = name.strip_suffix(".m3u8").and_then(PlaybackId::parse).ok_or_else(Refusal::no_such_stream)?;
    let stream = live(&app, &id)?;
    if stream.row.is_paid {
        return Ok(paid_hls::master(&app, &stream, &place, query.as_deref().unwrap_or_default()).await);
    }
    let folder = format!("{id}/");
    stream.ask_hls().await;
    let whole = waiting(&stream, None, &place, || stream.hls.master(&folder)).await;
    // What does not come in time is left out: a picture without sound is better than nothing.
    let text = match whole {
        Ok(text) => text,
        Err(refusal) => stream.hls.master_of_playable(&folder).ok_or(refusal)?,
    };
    Ok(playlist(text, "no-cache"))
}

async fn file(
    State(app): State<Arc<App>>,
    Extension(place): Extension<Arc<Place>>,
    Path((playback_id, name)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let id = PlaybackId::parse(&playback_id).ok_or_else(Refusal::no_such_stream)?;
    let stream = live(&app, &id)?;
    if stream.row.is_paid {
        return Ok(paid_hls::private(Err(paid_hls::not_joined())));
    }
    stream.presence.hls_asked();
    if name.ends_with(".m3u8") {
        let answer = media_playlist(&stream, None, &place, &name, query.as_deref().unwrap_or_default());
        let (text, is_final) = answer.await?;
        // What was waited for never changes for the same request; without directives the next part changes it.
        return Ok(playlist(text, if is_final { "public, max-age=12" } else { "no-cache" }));
    }
    let found = waiting(&stream, None, &place, || match stream.hls.file(&name) {
        File::Ready(pieces) => Some(Ok(pieces)),
        File::Missing => Some(Err(no_such_file())),
        File::Wait => None,
    });
    let pieces = found.await??;
    Ok(([(header::CONTENT_TYPE, "video/mp4"), (header::CACHE_CONTROL, CACHE_FILE)], joined(pieces))
        .into_response())
}

/// A rendition's playlist, and whether the same request will always get the same.
pub async fn media_playlist(
    stream: &StreamHandle,
    also: Option<watch::Receiver<u64>>,
    place: &Place,
    name: &str,
    query: &str,
) -> Result<(String, bool), Refusal> {
    let bad = |reason: String| {
        Refusal::new(StatusCode::BAD_REQUEST, "bad_reload", "The playlist cannot be asked for like this.")
            .with_detail(reason)
    };
    let request = ReloadRequest::parse(query).map_err(|err| bad(err.to_string()))?;
    let answer = waiting(stream, also, place, || match stream.hls.playlist(name, &request) {
        Some(Answer::Ready(text)) => Some(Ok(text)),
        Some(Answer::BadRequest(reason)) => Some(Err(bad(reason.to_string()))),
        Some(Answer::Wait) => None,
        None => Some(Err(no_such_file())),
    });
    Ok((answer.await??, request.msn.is_some()))
}

/// Looks again after each change, until there is an answer or [`BLOCK_MAX`] has passed. Looks only once where so many
/// wait that others would find no place. `also`: counts changes of something else that is waited for.
pub async fn waiting<T>(
    stream: &StreamHandle,
    mut also: Option<watch::Receiver<u64>>,
    place: &Place,
    mut look: impl FnMut() -> Option<T>,
) -> Result<T, Refusal> {
    let deadline = Instant::now() + BLOCK_MAX;
    let mut changes = stream.hls.changes();
    let mut may_wait = None;
    loop {
        changes.mark_unchanged();
        also.iter_mut().for_each(watch::Receiver::mark_unchanged);
        if let Some(found) = look() {
            return Ok(found);
        }
        if !*may_wait.get_or_insert_with(|| place.may_wait()) {
            return Err(too_many_wait());
        }
        let changed = async {
            tokio::select! {
                changed = changes.changed() => changed,
                changed = next(&mut also) => changed,
            }
        };
        match timeout_at(deadline, changed).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Err(not_ready()),
        }
    }
}

/// Waits for ever where nothing else is waited for.
async fn next(also: &mut Option<watch::Receiver<u64>>) -> Result<(), watch::error::RecvError> {
    match also {
        Some(changes) => changes.changed().await,
        None => std::future::pending().await,
    }
}

pub fn live(app: &App, id: &PlaybackId) -> Result<StreamHandle, Refusal> {
    let running = app.running(id);
    // A stream's task may run before its first broadcast; after the last one its files stay for a while.
    running.filter(|stream| stream.hls.has_begun()).ok_or_else(|| {
        Refusal::new(StatusCode::NOT_FOUND, "not_live", "The stream is not live.")
            .with_detail("Try again when the broadcast has begun.")
    })
}

pub fn no_such_file() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "not_found", "There is no such file, or no longer.")
}

fn not_ready() -> Refusal {
    Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "not_ready",
        "This is not ready; the stream may have stalled.",
    )
    .with_retry_after(RETRY_AFTER_S)
}

fn too_many_wait() -> Refusal {
    let title = "Too many wait for what comes next.";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "node_busy", title).with_retry_after(RETRY_AFTER_S)
}

pub fn playlist(text: String, cache: &'static str) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/vnd.apple.mpegurl"), (header::CACHE_CONTROL, cache)];
    (headers, text).into_response()
}

/// One body; a file of one piece, as parts are, is not copied.
fn joined(mut pieces: Vec<Bytes>) -> Body {
    match pieces.len() {
        1 => Body::from(pieces.remove(0)),
        _ => Body::from(pieces.concat()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NodeConfig;
    use crate::places::Places;
    use crate::server::Node;
    use crate::stream::PublisherKind;

    #[tokio::test]
    async fn whoever_would_wait_where_too_many_do_is_told_when_to_ask_again() {
        let folder = tempfile::tempdir().unwrap();
        let node = Node::start(NodeConfig::loopback(folder.path().to_owned())).await.unwrap();
        let app = Arc::clone(node.app());
        let request = api::CreateStream { title: "waits".into(), ..api::CreateStream::default() };
        let row = app.store().create_stream("local", &request).await.unwrap();
        let name = format!("{}.m3u8", row.playback_id);
        let stream = app.stream(row).unwrap();
        stream.publish(PublisherKind::Rtmp).await.unwrap();
        let places = Places::new("test", 4, 4);
        let come = || {
            let place = places.enter("127.0.0.1".parse().unwrap()).ok().unwrap();
            assert!(place.keep(0));
            place
        };
        let _others = [come(), come(), come()];
        // Of this broadcast nothing came yet.
        let answer =
            master(State(app), Extension(Arc::new(come())), Path(name), RawQuery(None)).await.into_response();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()[header::RETRY_AFTER], "1");
        let body = axum::body::to_bytes(answer.into_body(), 10_000).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains("node_busy"), "{body:?}");
        node.stop().await;
    }
}
