//! What streams have earned: told to their creator, to administrators, and to programs of the node's own machine.

use std::net::SocketAddr;
use std::sync::Arc;

use api::StreamEarnings;
use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use pay::AccountId;

use super::refusal::Refusal;
use super::rights;
use crate::app::App;

/// At most this many streams are listed.
const LIST_MAX: u32 = 100;

pub async fn list(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<Json<Vec<StreamEarnings>>, Refusal> {
    let creator = if headers.contains_key(AUTHORIZATION) {
        let account: AccountId = rights::person(&app, &headers)?.account.account();
        (!rights::is_admin(&app, account)).then(|| account.to_string())
    } else if rights::is_local(peer, &headers) {
        None
    } else {
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "login_required", "Log in first.")
            .with_detail("Earnings are told to their creator, and to programs of the node's own machine."));
    };
    Ok(Json(app.store().earnings(creator.as_deref(), LIST_MAX).await?))
}
