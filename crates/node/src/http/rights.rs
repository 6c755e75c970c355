//! Who may do what: everybody watches; an account with a delegation makes streams, whoever made one keeps it, and the
//! administrators of the settings keep all of them and read the log.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use api::AuditedAct;
use api::pay::{Account, Role};
use axum::Json;
use axum::extract::{Query, State};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use pay::AccountId;
use serde::Deserialize;

use super::refusal::Refusal;
use super::session::bearer_text;
use crate::app::App;
use crate::billing::Person;
use crate::store::StreamRow;

/// The name of whoever works on this machine itself, without a login.
pub const LOCAL: &str = "local";
/// What proxies say of those for whom they ask.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
/// So many rows of the log are read at once.
const ACTS_MAX: u32 = 200;

/// Who sent the bearer token of a login.
pub fn person(app: &App, headers: &HeaderMap) -> Result<Person, Refusal> {
    let billing = app.billing();
    let known = bearer_text(headers).and_then(|token| billing.logins.person(token, billing.clock.now()));
    known.ok_or_else(|| {
        Refusal::new(StatusCode::UNAUTHORIZED, "login_required", "Log in first.")
            .with_detail("Sign a challenge of POST /api/login/challenge, and send the token as bearer.")
    })
}

/// Who sent it, if this node may ask for money in that account's name.
pub async fn creator(app: &App, headers: &HeaderMap) -> Result<Person, Refusal> {
    let person = person(app, headers)?;
    if is_creator(app, person.account.account()).await? {
        return Ok(person);
    }
    Err(Refusal::new(
        StatusCode::FORBIDDEN,
        "not_a_creator",
        "This account has not named this node's key, or no longer.",
    )
    .with_detail("Sign a delegation and send it to PUT /api/creator/delegation."))
}

/// Whether the node may ask for money in that account's name now, and the settings let it.
pub async fn is_creator(app: &App, account: AccountId) -> Result<bool, Refusal> {
    let delegation = app.store().delegation(account).await?;
    let now = app.billing().clock.now();
    Ok(is_invited(app, account) && delegation.is_some_and(|delegation| delegation.body.is_in_force(now)))
}

/// Whether the settings let that account make streams here.
pub fn is_invited(app: &App, account: AccountId) -> bool {
    let invited = &app.config().creators;
    invited.is_empty() || invited.contains(&account)
}

pub fn is_admin(app: &App, account: AccountId) -> bool {
    app.config().admins.contains(&account)
}

/// In whose name a stream's own matters are done: that of whoever made it, or an administrator's.
pub fn keeper(app: &App, peer: SocketAddr, headers: &HeaderMap, row: &StreamRow) -> Result<String, Refusal> {
    if row.creator == LOCAL && !headers.contains_key(AUTHORIZATION) && is_local(peer, headers) {
        return Ok(LOCAL.to_owned());
    }
    let account: AccountId = person(app, headers)?.account.account();
    let name = account.to_string();
    if row.creator == name || is_admin(app, account) {
        return Ok(name);
    }
    Err(Refusal::new(StatusCode::FORBIDDEN, "not_yours", "The stream is another creator's."))
}

/// Whether a request was made on this machine, to this machine by a name or an address that can mean nothing else, and
/// not for somebody elsewhere.
pub fn is_local(peer: SocketAddr, headers: &HeaderMap) -> bool {
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

/// Who the bearer is to this node.
pub async fn account(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Account>, Refusal> {
    let person = person(&app, &headers)?;
    let id: AccountId = person.account.account();
    let mut roles = vec![Role::Viewer];
    if is_creator(&app, id).await? {
        roles.push(Role::Creator);
    }
    if is_admin(&app, id) {
        roles.push(Role::Admin);
    }
    Ok(Json(Account { account: person.account, roles, expires_at: person.until }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Since {
    /// The number of the last row that is known.
    #[serde(default)]
    after: u64,
}

/// The audit log, the oldest first, for administrators alone.
pub async fn acts(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Query(Since { after }): Query<Since>,
) -> Result<Json<Vec<AuditedAct>>, Refusal> {
    let account: AccountId = person(&app, &headers)?.account.account();
    if !is_admin(&app, account) {
        let title = "Only an administrator of this node may read what was done here.";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "not_an_admin", title)
            .with_detail("Its operator names them in its settings, under `admins`."));
    }
    Ok(Json(app.store().acts(after, ACTS_MAX).await?))
}
