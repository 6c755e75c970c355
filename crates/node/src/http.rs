//! The HTTP side: API, WHIP, WHEP, LL-HLS and the pages, on one router.

mod hls;
mod links;
mod pages;
mod refusal;
mod session;
mod streams;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::map_response;
use axum::routing::{any, get, post};
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use tower_http::cors::{Any, CorsLayer};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::app::App;

/// No SDP and no request of the API is larger.
const BODY_MAX: usize = 64 * 1024;

/// Everything but what only the HLS port needs.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/api/v1/clock", get(clock))
        .route("/api/v1/streams", get(streams::list))
        .route("/api/v1/streams/{playback_id}", get(streams::show))
        .route("/api/stream/{playback_id}", get(streams::show))
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
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(map_response(refusal::explain))
        .layer(safe_content())
        .with_state(app)
}

/// What pages of other hosts may not ask: a browser on this machine would else make streams for them.
fn private() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/streams", post(streams::create))
        .route("/api/stream/create", post(streams::create))
}

/// LL-HLS alone, for a CDN to pull from.
pub fn hls_router(app: Arc<App>) -> Router {
    hls::routes().layer(map_response(refusal::explain)).layer(cors()).layer(safe_content()).with_state(app)
}

/// Serves `router` until the task is aborted.
pub async fn serve(listener: TcpListener, router: Router) -> std::io::Result<()> {
    axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await
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
