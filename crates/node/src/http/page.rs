//! What a paying page asks for besides: it holds no account's key but a channel's session key alone, and logs in as
//! nobody but that key.

use std::net::SocketAddr;
use std::sync::Arc;

use api::WireHex;
use api::pay::SessionChannel;
use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use pay::{AccountId, ChannelId, UnixMillis};

use super::pay::{chain_away, paid, pass};
use super::refusal::Refusal;
use super::rights::person;
use crate::app::App;
use crate::billing::{PageChannel, Paid, Person};

/// The channels of the session key that logged in: those that pay, and those of which something may come back.
pub async fn channels(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    pass(&app.billing().join_throttle, peer)?;
    let (paid, person) = (paid(&app)?, person(&app, &headers)?);
    let now = app.billing().clock.now();
    let known = paid.cashier.of_session(person.account).await.map_err(|_| chain_away())?;
    let known: Vec<_> = known.into_iter().map(|channel| told(channel, now)).collect();
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(known)).into_response())
}

fn told(channel: PageChannel, now: UnixMillis) -> SessionChannel {
    let PageChannel { terms, deposit, spent, expires_at, standing, closes_at } = channel;
    let may_close = now >= closes_at;
    SessionChannel { terms: WireHex(terms), deposit, spent, expires_at, standing, closes_at, may_close }
}

/// In whose name somebody joins with a channel: whoever logged in by its session key does so for its payer, of whom
/// nothing else is open to that key.
pub async fn payer(paid: &Paid, person: &Person, channel: Option<ChannelId>) -> AccountId {
    let own = person.account.account();
    let Some(channel) = channel else { return own };
    let of_key = paid.cashier.of_session(person.account).await;
    let named = of_key.into_iter().flatten().find(|known| known.terms.id() == channel);
    named.map_or(own, |known| known.terms.payer)
}
