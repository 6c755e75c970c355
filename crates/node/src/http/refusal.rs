//! Refusals as `application/problem+json`.

use api::Problem;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::store::StoreError;

pub const PROBLEM: &str = "application/problem+json";

/// What a handler answers when it does not do what was asked.
#[derive(Debug)]
pub struct Refusal {
    problem: Problem,
    /// Seconds.
    retry_after: Option<u32>,
}

impl Refusal {
    pub fn new(status: StatusCode, code: &str, title: impl Into<String>) -> Self {
        Self { problem: Problem::new(status.as_u16(), code, title), retry_after: None }
    }

    #[must_use]
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        Self { problem: self.problem.with_detail(detail), ..self }
    }

    /// When it is worth to ask again (RFC 9110 §10.2.3).
    #[must_use]
    pub fn with_retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    pub fn no_such_stream() -> Self {
        Self::new(StatusCode::NOT_FOUND, "stream_not_found", "There is no such stream.")
            .with_detail("Check the link, or ask whoever sent it.")
    }

    pub fn no_such_session() -> Self {
        Self::new(StatusCode::NOT_FOUND, "session_not_found", "There is no such session; it may have ended.")
    }
}

impl From<StoreError> for Refusal {
    fn from(err: StoreError) -> Self {
        // The cause is for the operator: it may name files.
        tracing::error!("the store failed: {err}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "store_failed", "The node could not read its database.")
    }
}

/// Gives the refusals of the framework (a body over the limit, an unknown path, a wrong method) the form that
/// ours have. Pages say it themselves.
pub async fn explain(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let explained = kind.is_some_and(|kind| kind == PROBLEM || kind.as_bytes().starts_with(b"text/html"));
    if explained || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let code = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "too_large",
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "wrong_content_type",
        _ if status.is_server_error() => "failed",
        _ => "bad_request",
    };
    let title = status.canonical_reason().unwrap_or("The request was refused");
    let mut explained = Refusal::new(status, code, format!("{title}.")).into_response();
    // What a wrong method may be replaced by.
    if let Some(allowed) = response.headers().get(header::ALLOW) {
        explained.headers_mut().insert(header::ALLOW, allowed.clone());
    }
    explained
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(self.problem)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
