//! WHIP (RFC 9725) and WHEP: offers in, answers out, trickle, ICE restart and the end.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::refusal::Refusal;
use crate::app::App;
use crate::billing::{Input, Priced, Ticket};
use crate::id::{PlaybackId, StreamKey};
use crate::session::{Role, Session, layers};
use crate::store::StreamRow;
use crate::stream::{Departure, Message, PublishRefused, PublisherKind};

const SDP: &str = "application/sdp";
const SDP_FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// A database that is busy is waited for five seconds; one that fails may take longer to be mended.
const STORE_RETRY_S: u32 = 5;

/// `OPTIONS`, without authentication: which offers are taken here (RFC 9725 §4.2).
pub async fn describe() -> Response {
    ([("accept-post", SDP), ("accept-patch", SDP_FRAGMENT)], StatusCode::NO_CONTENT).into_response()
}

/// A session's address takes PATCH and DELETE alone (RFC 9725 §4.2).
pub async fn unsupported() -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "A session takes PATCH and DELETE.")
}

/// Publishes: the bearer token is the stream key.
pub async fn whip(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Refusal> {
    let offer = offered(&headers, &body, SDP)?;
    let key = bearer(&headers).ok_or_else(unauthorized)?;
    let row = app.store().stream_by_key(&key).await?.ok_or_else(unauthorized)?;
    let stream = app.stream(row).map_err(|_| too_many("streams"))?;
    // The offer is read first: one that cannot be used must not make the stream live.
    let newcomer = app.sfu().answer_publisher(&offer).map_err(refused)?;
    // Given back where anything goes wrong from here on.
    let offered = stream.offer_grant(PublisherKind::Whip).await.map_err(not_published)?;
    // A key that was replaced meanwhile: whoever had the grant before this one was cut off then.
    app.store().stream_by_key(&key).await?.ok_or_else(unauthorized)?;
    let rids = sfu::sdp::Offer::inspect(&offer).ok().and_then(|offer| offer.video).map(|video| video.rids);
    let layers = Arc::new(layers(&rids.unwrap_or_default()));
    let role = Role::Publisher { publisher: offered.publisher(), layers };
    let etag = etag(&newcomer.accepted().ufrag);
    let entered = app.sessions().enter(newcomer, stream, role, etag, None);
    let (session, answer) = entered.map_err(refused)?;
    offered.take();
    Ok(created(&app, &session, answer))
}

/// Plays.
pub async fn whep(
    State(app): State<Arc<App>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Path(playback_id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let offer = offered(&headers, &body, SDP)?;
    let id = PlaybackId::parse(&playback_id).ok_or_else(Refusal::no_such_stream)?;
    let stream = match app.running(&id) {
        Some(stream) if stream.live().epoch.is_some() => stream,
        _ => {
            let row = app.store().stream_by_playback_id(&id).await?.ok_or_else(Refusal::no_such_stream)?;
            let (title, detail) = match row.status {
                api::StreamStatus::Pending => ("The broadcast has not begun yet.", "Try again when it has."),
                // Also one whose end is not stored yet.
                _ => ("The broadcast has ended.", "Try again when there is another."),
            };
            return Err(Refusal::new(StatusCode::CONFLICT, "not_live", title).with_detail(detail));
        }
    };
    let payer = if stream.row.is_paid { Some(payer(&app, &stream.row, &headers).await?) } else { None };
    // A viewer that pays gets nothing before it does; its offer then says how good a layer it may have.
    let max_layer = if payer.is_some() { media::RenditionName::VeryLow } else { media::RenditionName::Ultra };
    let viewer = sfu::ViewerConfig {
        stream: stream.media_id,
        max_layer,
        choice: sfu::LayerChoice::Auto,
        metered: payer.is_some(),
    };
    let (limit, sessions) = (app.config().max_peers, app.sessions());
    sessions.make_room(from.ip(), limit, |peer| app.sfu().close(peer)).map_err(refused)?;
    let newcomer = app.sfu().answer_viewer(&offer, viewer).map_err(refused)?;
    let (peer, etag) = (newcomer.accepted().peer, etag(&newcomer.accepted().ufrag));
    let entered = sessions.enter(newcomer, stream, Role::Viewer, etag, Some(from.ip()));
    let (session, answer) = entered.map_err(refused)?;
    if let (Some((ticket, priced)), Some(paid)) = (payer, app.billing().paid()) {
        paid.cashier.tell(Input::Peer { peer: peer.into(), ticket, priced }).await;
        if app.sessions().by_peer(peer).is_none() {
            // It went meanwhile, and was nobody's when that was told.
            paid.cashier.meters.gone(peer, false);
        }
    }
    Ok(created(&app, &session, answer))
}

/// Whose viewer token came, and what the stream costs.
async fn payer(
    app: &App,
    row: &StreamRow,
    headers: &HeaderMap,
) -> Result<(Arc<Ticket>, Arc<Priced>), Refusal> {
    let paid = super::pay::paid(app)?;
    let billing = app.billing();
    let known = bearer_text(headers).and_then(|token| billing.tickets.redeem(token, billing.clock.now()));
    let ticket = known.ok_or_else(|| {
        Refusal::new(
            StatusCode::UNAUTHORIZED,
            "viewer_token_required",
            "This stream is paid for by the second.",
        )
        .with_detail("Join it first, and send the viewer token as bearer.")
    })?;
    if ticket.stream != row.playback_id {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "wrong_stream",
            "The viewer token is another stream's.",
        ));
    }
    let priced = paid.catalogue.offers(row).await.map_err(super::pay::not_offered)?;
    Ok((ticket, priced))
}

/// Trickled candidates, or an ICE restart (RFC 9725 §4.3).
pub async fn trickle(
    State(app): State<Arc<App>>,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let session = app.sessions().by_token(&token).ok_or_else(Refusal::no_such_session)?;
    let fragment = offered(&headers, &body, SDP_FRAGMENT)?;
    let condition = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok());
    let restart = condition == Some("*");
    match condition {
        Some("*") => {}
        Some(etag) if etag == session.etag => {}
        Some(_) => {
            return Err(Refusal::new(
                StatusCode::PRECONDITION_FAILED,
                "etag_mismatch",
                "The session has been restarted since.",
            ));
        }
        None => {
            return Err(Refusal::new(
                StatusCode::PRECONDITION_REQUIRED,
                "no_etag",
                "A PATCH names the session's ETag in If-Match.",
            ));
        }
    }
    if !restart {
        app.sfu().add_remote_candidates(session.peer, &fragment).map_err(refused)?;
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let (sfu, peer) = (app.sfu().clone(), session.peer);
    // It waits for the media thread.
    let restarted = tokio::task::spawn_blocking(move || sfu.restart_ice(peer, &fragment)).await;
    let body = restarted.map_err(|_| refused(sfu::Refused::Stopped))?.map_err(refused)?;
    let ufrag = sfu::SdpFragment::parse(&body).ok().and_then(|fragment| fragment.ufrag).unwrap_or_default();
    let etag = etag(&ufrag);
    app.sessions().set_etag(&token, etag.clone());
    Ok(([(header::CONTENT_TYPE, SDP_FRAGMENT.to_owned()), (header::ETAG, etag)], body).into_response())
}

/// Ends a session. Whoever has its address may.
pub async fn end(State(app): State<Arc<App>>, Path(token): Path<String>) -> Result<StatusCode, Refusal> {
    let session = app.sessions().by_token(&token).ok_or_else(Refusal::no_such_session)?;
    app.sfu().close(session.peer).map_err(refused)?;
    app.sessions().retire(&token);
    // A publisher may come again as soon as it has its answer. Viewers come and go with the media plane's events
    // alone: told here, a viewer could leave before it joined.
    if let Role::Publisher { publisher, .. } = session.role {
        session.stream.tell(Message::Unpublish { publisher, departure: Departure::Ended }).await;
    }
    Ok(StatusCode::OK)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerWish {
    /// `auto`, or a rendition's name.
    rendition: String,
}

/// A viewer's wish for a layer.
pub async fn layer(
    State(app): State<Arc<App>>,
    Path(token): Path<String>,
    Json(wish): Json<LayerWish>,
) -> Result<StatusCode, Refusal> {
    let session = app.sessions().by_token(&token).ok_or_else(Refusal::no_such_session)?;
    let choice = match wish.rendition.as_str() {
        "auto" => sfu::LayerChoice::Auto,
        name => {
            sfu::LayerChoice::Fixed(name.parse().map_err(|err: media::rendition::UnknownRendition| {
                Refusal::new(StatusCode::BAD_REQUEST, "unknown_rendition", err.to_string())
            })?)
        }
    };
    app.sfu().set_layer(session.peer, choice).map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

fn offered(headers: &HeaderMap, body: &Bytes, wanted: &str) -> Result<String, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted) {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "wrong_content_type",
            format!("This address takes {wanted}."),
        ));
    }
    String::from_utf8(body.to_vec()).map_err(|_| {
        Refusal::new(StatusCode::BAD_REQUEST, "sdp_not_text", "The session description is not text.")
    })
}

fn bearer(headers: &HeaderMap) -> Option<StreamKey> {
    bearer_text(headers).map(StreamKey::presented)
}

pub fn bearer_text(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn unauthorized() -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "bad_stream_key", "The stream key is missing or wrong.")
        .with_detail("Send the key of your stream as bearer token.")
}

fn too_many(what: &str) -> Refusal {
    Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "node_full",
        format!("The node has all the {what} it may have."),
    )
}

fn not_published(err: PublishRefused) -> Refusal {
    match err {
        PublishRefused::AlreadyLive => {
            Refusal::new(StatusCode::CONFLICT, "already_live", "The stream is live from another publisher.")
                .with_detail(
                    "End that broadcast first. If it is not yours, make a new stream key: that cuts it off.",
                )
        }
        PublishRefused::Gone => {
            Refusal::new(StatusCode::CONFLICT, "not_live", "There is no broadcast to add to.")
        }
        PublishRefused::NotStored => Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "not_stored",
            "The node cannot store the broadcast, so it does not begin.",
        )
        .with_detail("Its disk may be full. Try again in a moment.")
        .with_retry_after(STORE_RETRY_S),
    }
}

fn refused(err: sfu::Refused) -> Refusal {
    match err {
        sfu::Refused::Sdp(err) => {
            Refusal::new(StatusCode::BAD_REQUEST, err.code(), "The session description cannot be used.")
                .with_detail(err.to_string())
        }
        sfu::Refused::Full => too_many("peers"),
        sfu::Refused::Busy | sfu::Refused::Stopped => Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "node_busy",
            "The node is busy; try again in a moment.",
        ),
    }
}

/// Quoted, as RFC 9110 §8.8.3 has it.
fn etag(ufrag: &str) -> String {
    format!("\"{ufrag}\"")
}

fn created(app: &App, session: &Session, answer: String) -> Response {
    let mut response = (StatusCode::CREATED, answer).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(SDP));
    let location = format!("/session/{}", session.token);
    for (name, value) in [(header::LOCATION, location.as_str()), (header::ETAG, session.etag.as_str())] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    for server in &app.config().ice_servers {
        if let Ok(link) = HeaderValue::from_str(&format!("<{server}>; rel=\"ice-server\"")) {
            headers.append(header::LINK, link);
        }
    }
    response
}
