//! The watch page and its files, embedded in the executable.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::RustEmbed;

use super::refusal::Refusal;
use crate::app::App;
use crate::id::PlaybackId;

#[derive(RustEmbed)]
// Relative to this package.
#[folder = "../../ui/dist"]
#[allow_missing = true]
struct Files;

/// Only our own scripts and media: a stream's title can't become one.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; media-src 'self' blob:; \
                      img-src 'self' data:; worker-src 'self' blob:; connect-src 'self'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/watch/{playback_id}", get(watch)).route("/watch/assets/{file}", get(asset))
}

async fn watch(Path(playback_id): Path<String>) -> Response {
    if PlaybackId::parse(&playback_id).is_none() {
        return Refusal::no_such_stream().into_response();
    }
    match Files::get("watch.html") {
        Some(file) => (
            [
                (header::CONTENT_TYPE, "text/html; charset=utf-8"),
                (header::CACHE_CONTROL, "no-cache"),
                (header::CONTENT_SECURITY_POLICY, POLICY),
            ],
            Body::from(file.data.into_owned()),
        )
            .into_response(),
        None => {
            Refusal::new(StatusCode::NOT_IMPLEMENTED, "no_pages", "This node was built without its pages.")
                .with_detail("Build with cargo xtask, which makes them first.")
                .into_response()
        }
    }
}

async fn asset(Path(file): Path<String>) -> Response {
    match Files::get(&format!("assets/{file}")) {
        Some(found) => {
            let kind = found.metadata.mimetype().to_owned();
            // Their names hold a hash of what is in them.
            let headers = [
                (header::CONTENT_TYPE, kind),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned()),
            ];
            (headers, Body::from(found.data.into_owned())).into_response()
        }
        None => Refusal::new(StatusCode::NOT_FOUND, "not_found", "There is no such file.").into_response(),
    }
}
