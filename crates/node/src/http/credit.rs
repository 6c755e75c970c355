//! Credit accounts: opened by their payer where nothing is locked.

use std::net::SocketAddr;
use std::sync::Arc;

use api::pay::{CreditAccount, CreditRequest, WireHex};
use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use pay::AccountId;

use super::pay::{CHAIN_TIME, Taken, paid, pass, sentence, taken};
use super::refusal::Refusal;
use super::rights::person;
use crate::app::App;
use crate::billing::{Credit, CreditStanding, Paid, Unable};

/// A payer lets a session key speak for its account, on credit; or asks how the account stands.
pub async fn open(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Taken<CreditRequest>,
) -> Result<Json<CreditAccount>, Refusal> {
    let CreditRequest { opening: WireHex(opening) } = taken(body)?;
    pass(&app.billing().join_throttle, peer)?;
    let person = person(&app, &headers)?;
    let paid = paid(&app)?;
    let (terms, channel) = (*opening.body.terms(), opening.body.id());
    let wrong = |detail: String| {
        Refusal::new(StatusCode::BAD_REQUEST, "wrong_credit", "The credit account is not opened.")
            .with_detail(detail)
    };
    if terms.payer != person.account.account() {
        return Err(wrong("It is another account's than the one that is logged in.".to_owned()));
    }
    let told = |standing: CreditStanding| {
        let CreditStanding { since, window, paid, accepted } = standing;
        Json(CreditAccount { channel, since, window, paid, accepted })
    };
    match paid.cashier.credit(channel).await {
        Ok(standing) => return Ok(told(standing)),
        Err(Unable::Unknown) => {}
        Err(why) => return Err(wrong(sentence(&why))),
    }
    // What nobody could ever be paid by is not kept.
    if app.store().delegation(terms.payee).await?.is_none() {
        return Err(wrong("Its payee is no creator of this node.".to_owned()));
    }
    if let Some(credit) = paid.credit {
        let poor = |detail: String| {
            let title = "The account must be able to pay the credit window.";
            Refusal::new(StatusCode::PAYMENT_REQUIRED, "too_little", title).with_detail(detail)
        };
        solvent(paid, credit, terms.payer).await.map_err(poor)?;
    }
    paid.cashier.open_credit(opening).await.map(told).map_err(|why| match why {
        Unable::NoBlock => {
            let title = "The node has read no block of the chain yet.";
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "not_yet", title).with_detail("Try again soon.")
        }
        why => wrong(sentence(&why)),
    })
}

/// Whoever could not pay what may be owed is not trusted with it.
pub async fn solvent(paid: &Paid, credit: Credit, payer: AccountId) -> Result<(), String> {
    match tokio::time::timeout(CHAIN_TIME, paid.rail.balance(payer)).await {
        Ok(Ok(balance)) if balance >= credit.window => Ok(()),
        Ok(Ok(_)) => {
            Err(format!("The account holds less than the credit window of {} smallest units.", credit.window))
        }
        Ok(Err(_)) | Err(_) => Err("The chain does not say what the account holds. Try again.".to_owned()),
    }
}
