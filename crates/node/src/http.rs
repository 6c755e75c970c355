//! The HTTP side: API, WHIP, WHEP, LL-HLS and the pages, on one router.

mod connection;
mod credit;
mod earnings;
mod funding;
mod hls;
mod ipfs;
mod links;
mod page;
mod pages;
mod paid_hls;
mod pay;
mod pay_socket;
mod refusal;
mod rights;
mod session;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post, put};
use axum::{Json, Router};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower_http::cors::{Any, CorsLayer};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::app::App;
use crate::door::Door;

/// No SDP and no request of the API is larger.
const BODY_MAX: usize = 64 * 1024;
/// For all of a request's body, however it trickles in: at [`BODY_MAX`], 52 kbit/s.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Everything but what only the HLS port needs.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/api/v1/clock", get(clock))
        .route("/api/v1/streams", get(streams::list))
        .route("/api/v1/streams/{playback_id}", get(streams::show))
        .route("/api/stream/{playback_id}", get(streams::show))
        .route("/api/stream/{playback_id}/join", post(pay::join))
        .route("/api/stream/{playback_id}/signaling", get(pay::signaling))
        .route("/api/stream/{playback_id}/pay", get(pay_socket::open))
        .route("/api/pay", get(pay::info))
        .route("/api/pay/channels", get(page::channels))
        .route("/api/pay/credit", post(credit::open))
        .route("/api/login/challenge", post(pay::challenge))
        .route("/api/login", post(pay::login))
        .route("/api/me", get(rights::account))
        .route("/api/v1/audit", get(rights::acts))
        .route("/api/v1/earnings", get(earnings::list))
        .route("/ipfs/{cid}", get(ipfs::show))
        .route("/whip", post(session::whip).options(session::describe))
        .route("/whep/{playback_id}", post(session::whep).options(session::describe))
        .route(
            "/session/{token}",
            any(session::unsupported).patch(session::trickle).delete(session::end).options(session::describe),
        )
        .route("/session/{token}/layer", post(session::layer))
        .merge(hls::routes())
        .merge(pages::routes())
        .layer(cors())
        .merge(private())
        .layer(from_fn(read_whole))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(map_response(refusal::explain))
        .layer(safe_content())
        .with_state(app)
}

/// What pages of other hosts may not ask: a browser on this machine would else make streams for them. Nor does any but the
/// node's own page have a wallet asked here.
fn private() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/streams", post(streams::create))
        .route("/api/stream/create", post(streams::create))
        .route("/api/stream/{playback_id}/prices", put(pay::set_prices))
        .route("/api/v1/streams/{playback_id}/archive", post(streams::archive))
        .route("/api/v1/streams/{playback_id}/key", post(streams::rotate_key))
        .route("/api/creator/delegation", put(pay::delegate))
        .route("/api/pay/funding", post(funding::prepare).put(funding::sign).get(funding::state))
}

/// LL-HLS alone, for a CDN to pull from.
pub fn hls_router(app: Arc<App>) -> Router {
    hls::routes().layer(map_response(refusal::explain)).layer(cors()).layer(safe_content()).with_state(app)
}

/// Serves `router` until the task is aborted. HTTP/1 alone: whoever speaks HTTP/2 does so to the proxy that holds the
/// certificate.
pub async fn serve(mut door: Door, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        // What has ended is forgotten, so that the set holds only what runs.
        while connections.try_join_next().is_some() {}
        let (socket, peer, place) = door.next().await;
        connections.spawn(connection::run(socket, peer, place, router.clone()));
    }
}

/// Reads a request's body before anything is done for it, so that its time is limited in one place.
async fn read_whole(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let reading = Bytes::from_request(Request::from_parts(parts.clone(), body), &());
    match timeout(BODY_TIME, reading).await {
        Ok(Ok(body)) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Ok(Err(rejection)) => rejection.into_response(),
        Err(_) => {
            let title = "The request did not come in time.";
            refusal::Refusal::new(StatusCode::REQUEST_TIMEOUT, "too_slow", title).into_response()
        }
    }
}

/// Pages of other hosts may publish and play; what they may read of the answers is what WHIP needs
/// (RFC 9725 §4.2 and §4.6).
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE, Method::OPTIONS])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::IF_MATCH])
        .expose_headers([header::LOCATION, header::ETAG, header::LINK])
}

fn safe_content() -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    )
}

/// The node's wall clock, from which viewers measure the offset of theirs.
async fn clock() -> Json<serde_json::Value> {
    let now = media::WallTime::from_system(std::time::SystemTime::now());
    Json(json!({ "unix_micros": now.unix_micros().to_string() }))
}
