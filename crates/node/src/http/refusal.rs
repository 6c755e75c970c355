//! Refusals as `application/problem+json`.

use api::Problem;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::store::StoreError;

/// What a handler answers when it does not do what was asked.
#[derive(Debug)]
pub struct Refusal(Problem);

impl Refusal {
    pub fn new(status: StatusCode, code: &str, title: impl Into<String>) -> Self {
        Self(Problem::new(status.as_u16(), code, title))
    }

    #[must_use]
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        Self(self.0.with_detail(detail))
    }

    pub fn no_such_stream() -> Self {
        Self::new(StatusCode::NOT_FOUND, "stream_not_found", "There is no such stream.")
            .with_detail("Check the link with whom you had it from.")
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

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(self.0)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}
