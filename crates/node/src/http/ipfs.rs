//! What streams say of themselves, by content id, as IPFS gateways serve it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::refusal::Refusal;
use crate::app::App;

/// The name is the hash of the bytes, so what it names never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

pub async fn show(
    State(app): State<Arc<App>>,
    Path(cid): Path<String>,
) -> Result<impl IntoResponse, Refusal> {
    let Some(body) = app.store().document(&cid).await? else {
        let title = "This node has nothing of that name.";
        return Err(Refusal::new(StatusCode::NOT_FOUND, "content_not_found", title)
            .with_detail("It serves what its own streams say of themselves; other gateways may have more."));
    };
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CACHE_CONTROL, FOR_EVER.to_owned()),
        (header::ETAG, format!("\"{cid}\"")),
    ];
    Ok((headers, body))
}
