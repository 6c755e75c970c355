//! Streams: made by whoever may, shown to everybody who has the playback id.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use api::stream::{CATEGORY_MAX, DESCRIPTION_MAX, TITLE_MAX};
use api::{CreateStream, CreatedStream, StreamInfo};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};

use super::links::Links;
use super::pay;
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
    let creator =
        if headers.contains_key(AUTHORIZATION) { Some(pay::creator(&app, &headers).await?) } else { None };
    // Without a creator's name only this machine's own programs make streams; and not for a page whose host's name
    // was made to mean this machine.
    if creator.is_none() && !is_local(peer, &headers) {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "only_local",
            "Streams are made on the node's own machine, or by a creator that has logged in.",
        ));
    }
    let request = pay::taken(body)?;
    check(&request)?;
    if !request.prices.is_empty() {
        let paid = pay::paid(&app)?;
        pay::check_prices(&request.prices, paid)?;
        if creator.is_none() {
            // Says that a login is needed.
            pay::person(&app, &headers)?;
        }
    }
    let creator = creator.map_or_else(|| "local".to_owned(), |person| person.account.account().to_string());
    let row = app.store().create_stream(&creator, &request).await?;
    let links = Links::new(&app, &headers);
    let offers = pay::offers_of(&app, &row).await;
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
            offers,
        }),
    ))
}

/// What proxies say of those for whom they ask.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// Whether a request was made on this machine, to this machine by a name or an address that can mean nothing else, and
/// not for somebody elsewhere.
fn is_local(peer: SocketAddr, headers: &HeaderMap) -> bool {
    if !peer.ip().to_canonical().is_loopback() || FORWARDED.iter().any(|name| headers.contains_key(*name)) {
        return false;
    }
    let Some(host) = headers.get(HOST) else { return true };
    let Some(authority) = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()) else {
        return false;
    };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
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
    let id = PlaybackId::parse(&playback_id).ok_or_else(Refusal::no_such_stream)?;
    let row = app.store().stream_by_playback_id(&id).await?.ok_or_else(Refusal::no_such_stream)?;
    Ok(Json(info(&app, &Links::new(&app, &headers), row).await))
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
        offers,
        metadata,
        notices: live.notices,
    }
}
