//! Streams: made by whoever may, shown to everybody who has the playback id.

use std::net::SocketAddr;
use std::sync::Arc;

use api::stream::{CATEGORY_MAX, DESCRIPTION_MAX, RECORDINGS_MAX, TITLE_MAX};
use api::{ArchiveRequest, Cid, CreateStream, CreatedStream, NotACid, StreamInfo};
use axum::Json;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use serde_json::json;

use super::links::Links;
use super::pay::{self, Taken};
use super::refusal::Refusal;
use super::rights::{self, LOCAL};
use crate::app::App;
use crate::billing::log::Act;
use crate::store::{ArchiveError, StoreError, StreamRow};

/// At most this many streams are listed.
const LIST_MAX: u32 = 100;
/// Of a name that is none, in characters: as much as shows which one is meant.
const SHOWN_OF_NAME: usize = 64;

pub async fn create(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Taken<CreateStream>,
) -> Result<(StatusCode, Json<CreatedStream>), Refusal> {
    let creator =
        if headers.contains_key(AUTHORIZATION) { Some(rights::creator(&app, &headers).await?) } else { None };
    // Without a creator's name only this machine's own programs make streams; and not for a page whose host's name
    // was made to mean this machine.
    if creator.is_none() && !rights::is_local(peer, &headers) {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "only_local",
            "Streams are made on the node's own machine, or by a creator that has logged in.",
        ));
    }
    let request = pay::taken(body)?;
    check(&request)?;
    let mut notices = Vec::new();
    if !request.prices.is_empty() {
        let paid = pay::paid(&app)?;
        pay::check_prices(&request.prices, paid)?;
        match creator {
            Some(person) => pay::pass_change(&app, peer, person.account.account())?,
            // Says that a login is needed.
            None => drop(rights::person(&app, &headers)?),
        }
        notices.extend(paid.lacks_fees().await);
    }
    let creator = creator.map_or_else(|| LOCAL.to_owned(), |person| person.account.account().to_string());
    let row = app.store().create_stream(&creator, &request).await?;
    let created = CreatedStream { notices, ..created(&app, &headers, row).await };
    Ok((StatusCode::CREATED, Json(created)))
}

/// Another stream key: with the one before nobody publishes any more, and whoever does is cut off. The broadcast waits
/// for a moment, so that its creator goes on with it under the new key.
pub async fn rotate_key(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(playback_id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<CreatedStream>, Refusal> {
    let row = pay::open_stream(&app, &playback_id).await?;
    let by = rights::keeper(&app, peer, &headers, &row)?;
    let detail = json!({ "stream": row.playback_id.as_str(), "by": by });
    let act = (Act::new("stream.key_rotated", detail), app.billing().clock.now());
    // One goes with the other, though whoever asked may have gone.
    let (node, stream) = (Arc::clone(&app), row.clone());
    let rotated = tokio::spawn(async move {
        let key = node.store().rotate_key(stream.id, act).await?;
        if let Some(stream) = node.running(&stream.playback_id) {
            stream.oust().await;
        }
        Ok::<_, StoreError>(key)
    });
    let ending = || Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "node_ending", "The node is ending.");
    let key = rotated.await.map_err(|_| ending())??;
    Ok(Json(created(&app, &headers, StreamRow { key, ..row }).await))
}

async fn created(app: &App, headers: &HeaderMap, row: StreamRow) -> CreatedStream {
    let links = Links::new(app, headers);
    CreatedStream {
        id: row.id.to_string(),
        playback_id: row.playback_id.to_string(),
        stream_key: row.key.expose().to_owned(),
        whip_url: links.whip(),
        rtmp_url: links.rtmp(&row.key),
        whep_url: links.whep(&row.playback_id),
        hls_url: links.hls(&row.playback_id),
        watch_url: links.watch(&row.playback_id),
        offers: pay::offers_of(app, &row).await,
        notices: Vec::new(),
    }
}

fn check(request: &CreateStream) -> Result<(), Refusal> {
    let too_long = |what: &str, max: usize| {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            "too_long",
            format!("The {what} is longer than {max} characters."),
        )
    };
    if request.title.trim().is_empty() {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "no_title", "A stream needs a title."));
    }
    for (what, text, max) in [
        ("title", &request.title, TITLE_MAX),
        ("description", &request.description, DESCRIPTION_MAX),
        ("category", &request.category, CATEGORY_MAX),
    ] {
        if text.chars().count() > max {
            return Err(too_long(what, max));
        }
    }
    Ok(())
}

pub async fn list(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Vec<StreamInfo>>, Refusal> {
    let links = Links::new(&app, &headers);
    let rows = app.store().streams(LIST_MAX).await?;
    let mut infos = Vec::with_capacity(rows.len());
    for row in rows {
        infos.push(info(&app, &links, row).await);
    }
    Ok(Json(infos))
}

pub async fn show(
    State(app): State<Arc<App>>,
    Path(playback_id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<StreamInfo>, Refusal> {
    let row = pay::stream(&app, &playback_id).await?;
    Ok(Json(info(&app, &Links::new(&app, &headers), row).await))
}

/// Over for good: its key publishes no more, nobody joins, and what it says of itself names its recordings.
pub async fn archive(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(playback_id): Path<String>,
    headers: HeaderMap,
    body: Taken<ArchiveRequest>,
) -> Result<Json<StreamInfo>, Refusal> {
    let ArchiveRequest { recordings } = pay::taken(body)?;
    let row = pay::stream(&app, &playback_id).await?;
    let by = rights::keeper(&app, peer, &headers, &row)?;
    let read = |name: &String| name.parse::<Cid>().map_err(|err| not_a_recording(name, &err));
    let recordings: Vec<Cid> = recordings.iter().map(read).collect::<Result<_, _>>()?;
    let detail = json!({ "stream": row.playback_id.as_str(), "recordings": recordings.len(), "by": by });
    let act = (Act::new("stream.archived", detail), app.billing().clock.now());
    app.store().archive(row.id, &recordings, act).await.map_err(not_archived)?;
    let row = pay::stream(&app, &playback_id).await?;
    Ok(Json(info(&app, &Links::new(&app, &headers), row).await))
}

fn not_a_recording(name: &str, err: &NotACid) -> Refusal {
    let start: String = name.chars().take(SHOWN_OF_NAME).collect();
    Refusal::new(StatusCode::BAD_REQUEST, "bad_content_id", "A recording is named by its content id.")
        .with_detail(format!("\"{start}\" is none: {err}."))
}

fn not_archived(err: ArchiveError) -> Refusal {
    match err {
        ArchiveError::Live => Refusal::new(StatusCode::CONFLICT, "on_air", "The stream is on air.")
            .with_detail("End the broadcast first."),
        ArchiveError::TooMany => {
            let title = format!("A stream has at most {RECORDINGS_MAX} recordings.");
            Refusal::new(StatusCode::BAD_REQUEST, "too_many_recordings", title)
        }
        ArchiveError::Store(err) => err.into(),
    }
}

async fn info(app: &App, links: &Links, row: StreamRow) -> StreamInfo {
    let live = app.live(&row.playback_id).unwrap_or_default();
    let offers = pay::offers_of(app, &row).await;
    // Whoever wants the stream does not go without it for that.
    let metadata = if row.is_paid { app.store().record_of(row.id).await.unwrap_or_default() } else { None };
    StreamInfo {
        playback_id: row.playback_id.to_string(),
        title: row.title,
        description: row.description,
        category: row.category,
        status: row.status,
        viewer_count: live.viewers,
        renditions: live.renditions,
        whep_url: links.whep(&row.playback_id),
        hls_url: links.hls(&row.playback_id),
        started_at: row.started_at,
        is_paid: row.is_paid,
        offers,
        metadata,
        notices: live.notices,
    }
}
