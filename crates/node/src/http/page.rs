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
use pay::{AccountId, ChannelId};

use super::pay::{paid, pass};
use super::refusal::Refusal;
use super::rights::person;
use crate::app::App;
use crate::billing::{PageChannel, Paid, Person};

/// The channels that may be paid from by the session key that logged in.
pub async fn channels(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    pass(&app.billing().join_throttle, peer)?;
    let (paid, person) = (paid(&app)?, person(&app, &headers)?);
    let known: Vec<_> = paid.cashier.of_session(person.account).await.into_iter().map(told).collect();
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(known)).into_response())
}

fn told(PageChannel { terms, deposit, spent, expires_at, is_closing }: PageChannel) -> SessionChannel {
    SessionChannel { terms: WireHex(terms), deposit, spent, expires_at, is_closing }
}

/// In whose name somebody joins with a channel: whoever logged in by its session key does so for its payer, of whom
/// nothing else is open to that key.
pub async fn payer(paid: &Paid, person: &Person, channel: Option<ChannelId>) -> AccountId {
    let own = person.account.account();
    let Some(channel) = channel else { return own };
    let of_key = paid.cashier.of_session(person.account).await;
    let named = of_key.into_iter().find(|known| known.terms.id() == channel);
    named.map_or(own, |known| known.terms.payer)
}
