//! The watch page, the page that says where there is none, and their files, embedded in the executable.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
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

/// Nothing but its own style, which lies at one path though the page is shown at any.
const SCRIPTLESS: &str = "default-src 'none'; style-src 'self' 'unsafe-inline'; font-src 'self'; img-src 'self'; \
                          frame-ancestors 'none'; base-uri 'self'; form-action 'none'";

/// With what is answered where nothing else is.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(root))
        .route("/watch/{playback_id}", get(watch))
        .route("/watch/assets/{file}", get(asset))
        .fallback(unknown)
}

async fn root(headers: HeaderMap) -> Response {
    no_stream(StatusCode::OK, &headers, no_such_page())
}

async fn unknown(method: Method, headers: HeaderMap) -> Response {
    match method {
        Method::GET | Method::HEAD => no_stream(StatusCode::NOT_FOUND, &headers, no_such_page()),
        _ => no_such_page().into_response(),
    }
}

async fn watch(Path(playback_id): Path<String>, headers: HeaderMap) -> Response {
    if PlaybackId::parse(&playback_id).is_none() {
        return no_stream(StatusCode::NOT_FOUND, &headers, Refusal::no_such_stream());
    }
    page("watch.html", StatusCode::OK, POLICY).unwrap_or_else(|| {
        Refusal::new(StatusCode::NOT_IMPLEMENTED, "no_pages", "This node was built without its pages.")
            .with_detail("Build with cargo xtask, which makes them first.")
            .into_response()
    })
}

/// A page for browsers, which says what this is and how to watch; the refusal for all others.
fn no_stream(status: StatusCode, headers: &HeaderMap, refusal: Refusal) -> Response {
    let shown = prefers_html(headers).then(|| page("node.html", status, SCRIPTLESS)).flatten();
    let mut response = shown.unwrap_or_else(|| refusal.into_response());
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

fn no_such_page() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "not_found", "There is nothing at this address.")
}

/// `None` where the pages were not built.
fn page(name: &str, status: StatusCode, policy: &'static str) -> Option<Response> {
    let file = Files::get(name)?;
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    Some((status, headers, Body::from(file.data.into_owned())).into_response())
}

/// Whether a request names HTML among what it accepts (RFC 9110 §12.5.1) and nothing that it likes better. A tie
/// with JSON goes to JSON, one with `*/*` to HTML: whoever takes anything has not asked for a page.
fn prefers_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let (mut html, mut json, mut anything) = (0.0_f32, 0.0_f32, 0.0_f32);
    for range in accepted.flat_map(|list| list.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let quality = quality.map_or(1.0, |text| text.trim().parse().unwrap_or(0.0));
        match &*kind {
            "text/html" => html = html.max(quality),
            "application/json" | "application/problem+json" => json = json.max(quality),
            "*/*" => anything = anything.max(quality),
            _ => {}
        }
    }
    html > 0.0 && html > json && html >= anything
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

#[cfg(test)]
mod tests {
    use super::*;

    fn prefers(accept: &[&str]) -> bool {
        let values = accept.iter().map(|text| (header::ACCEPT, text.parse().unwrap()));
        prefers_html(&values.collect())
    }

    #[test]
    fn a_page_is_for_those_who_ask_for_one() {
        // Browsers that follow a link, in the words of Chromium and of Firefox.
        assert!(prefers(&[
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
        ]));
        assert!(prefers(&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"]));
        assert!(prefers(&["text/html, */*"]));
        assert!(prefers(&["application/json;q=0.5", "TEXT/HTML; q=0.8"]));
        // Programs, and scripts in pages.
        assert!(!prefers(&[]));
        assert!(!prefers(&["*/*"]));
        assert!(!prefers(&["application/json, text/plain, */*"]));
        assert!(!prefers(&["text/html, application/json"]));
        assert!(!prefers(&["text/html;q=0.2, */*"]));
        assert!(!prefers(&["text/html;q=0"]));
        assert!(!prefers(&["text/html;q=lots, text/html;level=1;q=0"]));
    }
}
