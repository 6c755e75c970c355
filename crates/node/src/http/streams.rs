//! Streams: made by whoever may, shown to everybody who has the playback id.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use api::stream::{CATEGORY_MAX, DESCRIPTION_MAX, TITLE_MAX};
use api::{CreateStream, CreatedStream, StreamInfo};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};

use super::links::Links;
use super::refusal::Refusal;
use crate::app::App;
use crate::id::PlaybackId;
use crate::store::StreamRow;

/// At most this many streams are listed.
const LIST_MAX: u32 = 100;

pub async fn create(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Result<Json<CreateStream>, JsonRejection>,
) -> Result<(StatusCode, Json<CreatedStream>), Refusal> {
    // Until creators sign in, only this machine's own programs make streams; and not for a page whose host's name
    // was made to mean this machine.
    if !peer.ip().to_canonical().is_loopback() || !is_local_host(&headers) {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "only_local",
            "Streams are made on the node's own machine.",
        ));
    }
    let Json(request) = body.map_err(|err| {
        if err.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Refusal::new(err.status(), "too_large", "The request is too large.");
        }
        Refusal::new(StatusCode::BAD_REQUEST, "bad_json", "The request is not a stream's description.")
            .with_detail(err.body_text())
    })?;
    check(&request)?;
    let row = app.store().create_stream("local", &request).await?;
    let links = Links::new(&app, &headers);
    Ok((
        StatusCode::CREATED,
        Json(CreatedStream {
            id: row.id.to_string(),
            playback_id: row.playback_id.to_string(),
            stream_key: row.key.expose().to_owned(),
            whip_url: links.whip(),
            rtmp_url: links.rtmp(&row.key),
            whep_url: links.whep(&row.playback_id),
            hls_url: links.hls(&row.playback_id),
            watch_url: links.watch(&row.playback_id),
            offers: Vec::new(),
        }),
    ))
}

/// Whether a request was made to this machine by a name or an address that means nothing else.
fn is_local_host(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST) else { return true };
    let Some(authority) = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()) else {
        return false;
    };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok()
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
    Ok(Json(rows.into_iter().map(|row| info(&app, &links, row)).collect()))
}

pub async fn show(
    State(app): State<Arc<App>>,
    Path(playback_id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<StreamInfo>, Refusal> {
    let id = PlaybackId::parse(&playback_id).ok_or_else(Refusal::no_such_stream)?;
    let row = app.store().stream_by_playback_id(&id).await?.ok_or_else(Refusal::no_such_stream)?;
    Ok(Json(info(&app, &Links::new(&app, &headers), row)))
}

fn info(app: &App, links: &Links, row: StreamRow) -> StreamInfo {
    let live = app.live(&row.playback_id).unwrap_or_default();
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
        offers: Vec::new(),
    }
}
