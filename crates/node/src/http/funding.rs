//! A browser wallet's deposit for a paying page: the node makes the transaction and sends it, the wallet signs it. It is
//! made for a channel to this node alone, and only the payer's signature over exactly that is taken.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use api::pay::{
    FundingPrepared, FundingRequest, FundingSignature, FundingState, SignerPayload, WireHex, hex,
};
use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use chain::{Call, RailError, SignerFields, Unsigned};
use pay::{AccountId, Amount, AssetId, ChannelId, ChannelTerms, RailKind, Signer, UnixMillis};
use tokio::time::timeout;

use super::pay::{CHAIN_TIME, Taken, paid, pass, taken};
use super::refusal::Refusal;
use super::rights::person;
use crate::app::App;
use crate::billing::{NotFunded, Paid, Person};

/// Makes the transaction that the payer's wallet is to sign.
pub async fn prepare(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Taken<FundingRequest>,
) -> Result<Json<FundingPrepared>, Refusal> {
    let request = taken(body)?;
    let billing = app.billing();
    pass(&billing.funding_throttle, peer)?;
    let (person, paid) = (person(&app, &headers)?, paid(&app)?);
    if paid.rail.info().kind != RailKind::Escrow {
        return Err(wrong("The chain locks no deposits: this node is paid by transfers."));
    }
    billing.fundings.is_free(&person.account).map_err(not_funded)?;
    let (call, payer, amount) = match request {
        FundingRequest::Open { terms: WireHex(terms), deposit, expires_at } => {
            check(&app, paid, &person, &terms, expires_at).await?;
            (Call::Open { terms, deposit, expires_at }, terms.payer, deposit)
        }
        FundingRequest::TopUp { channel, by } => {
            let payer = payer_of(paid, &person, channel).await?;
            (Call::TopUp { channel, by }, payer, by)
        }
    };
    if amount.is_zero() {
        return Err(wrong("A deposit is not nothing."));
    }
    let prepared = async {
        let fee = paid.rail.fee(call.clone(), payer).await?;
        let balance = paid.rail.balance(payer).await?;
        Ok::<_, RailError>((fee, balance, paid.rail.prepare(call, payer).await?))
    };
    let (fee, balance, unsigned) = match timeout(CHAIN_TIME, prepared).await {
        Ok(Ok(prepared)) => prepared,
        Ok(Err(RailError::Refused(why))) => return Err(wrong(&why)),
        Ok(Err(_)) | Err(_) => return Err(chain_silent()),
    };
    // Fees are in the chain's own unit, whatever the deposit is in.
    let own_fee = if paid.rail.info().asset == AssetId::Native { fee } else { Amount::ZERO };
    if amount.checked_add(own_fee).is_none_or(|needed| balance < needed) {
        let title = "The account has too little for this deposit and the chain's fee.";
        return Err(Refusal::new(StatusCode::PAYMENT_REQUIRED, "too_little", title)
            .with_detail("Choose another account, or send something to this one first."));
    }
    let payload = payload(unsigned.shown());
    billing.fundings.prepare(person.account, unsigned, Instant::now()).map_err(not_funded)?;
    Ok(Json(FundingPrepared { payload, fee }))
}

/// Sends it, once the payer's wallet has signed it.
pub async fn sign(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Taken<FundingSignature>,
) -> Result<(StatusCode, Json<FundingState>), Refusal> {
    let FundingSignature { signature } = taken(body)?;
    let billing = app.billing();
    pass(&billing.funding_throttle, peer)?;
    let (person, paid) = (person(&app, &headers)?, paid(&app)?);
    let rail = Arc::clone(&paid.rail);
    let is_signed = |unsigned: &Unsigned| unsigned.verify(&signature).is_ok();
    let send = move |unsigned| async move {
        match rail.send(unsigned, signature).await {
            Ok(_) => FundingState::Final,
            Err(error) => failed(&error),
        }
    };
    billing.fundings.send(person.account, Instant::now(), is_signed, send).map_err(not_funded)?;
    Ok((StatusCode::ACCEPTED, Json(FundingState::Sent)))
}

/// What has become of it.
pub async fn state(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<Json<FundingState>, Refusal> {
    pass(&app.billing().join_throttle, peer)?;
    let person = person(&app, &headers)?;
    Ok(Json(app.billing().fundings.state(&person.account)))
}

/// Only a channel that this node would serve: for the key that asks, to a creator of its own.
async fn check(
    app: &App,
    paid: &Paid,
    person: &Person,
    terms: &ChannelTerms,
    expires_at: UnixMillis,
) -> Result<(), Refusal> {
    let info = paid.rail.info();
    let billing = app.billing();
    let why = if terms.session != person.account {
        "Its session key is another one than the one that is logged in."
    } else if terms.node != billing.key.public() {
        "It names another node's key; GET /api/pay tells this one's."
    } else if terms.genesis != info.genesis || terms.asset != info.asset {
        "It is for another chain, or in another asset."
    } else if terms.dispute_window_ms != paid.config.dispute_window_ms() {
        "Its dispute window is another one than GET /api/pay tells."
    } else if terms.payer == terms.payee {
        "Nobody pays themselves: choose another account."
    } else if expires_at <= billing.clock.now().plus(terms.dispute_window_ms) {
        "It would expire within its dispute window."
    } else if app.store().delegation(terms.payee).await?.is_none() {
        "Its payee is no creator of this node."
    } else {
        return Ok(());
    };
    Err(wrong(why))
}

/// Only of a channel that the node knows, and that pays by the key that asks.
async fn payer_of(paid: &Paid, person: &Person, channel: ChannelId) -> Result<AccountId, Refusal> {
    let known = paid.cashier.of_session(person.account).await;
    let named = known.into_iter().find(|known| known.terms.id() == channel && !known.is_closing);
    named
        .map(|known| known.terms.payer)
        .ok_or_else(|| wrong("The channel is not open, or not of this key's."))
}

/// As browser wallets take it.
fn payload(shown: &SignerFields) -> SignerPayload {
    SignerPayload {
        block_hash: hex(&shown.born.hash),
        block_number: hex(&shown.born.number.to_be_bytes()),
        era: hex(&shown.era),
        genesis_hash: hex(&shown.genesis),
        method: hex(&shown.method),
        nonce: hex(&shown.nonce.to_be_bytes()),
        signed_extensions: shown.extensions.clone(),
        spec_version: hex(&shown.spec_version.to_be_bytes()),
        tip: hex(&0_u128.to_be_bytes()),
        transaction_version: hex(&shown.transaction_version.to_be_bytes()),
        version: chain::FORMAT,
    }
}

/// Why it did nothing, for whoever pays.
fn failed(error: &RailError) -> FundingState {
    let (code, words) = match error {
        RailError::TooLittle(_) => {
            ("too_little", "The account has too little for this deposit and the chain's fee.".to_owned())
        }
        RailError::Unknown | RailError::Unreachable(_) => (
            "unknown",
            "The chain did not say what became of the deposit. If it took it, this page finds it by itself: wait some \
             minutes before you try again."
                .to_owned(),
        ),
        error => ("refused", format!("The deposit was not made: {error}. Try again.")),
    };
    FundingState::Failed { code: code.to_owned(), words }
}

fn wrong(detail: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "wrong_funding", "This deposit is not prepared.")
        .with_detail(detail)
}

fn chain_silent() -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "chain_unreachable", "The chain does not answer now.")
        .with_detail("Nothing was signed, and nothing is lost. Try again in a minute.")
}

fn not_funded(why: NotFunded) -> Refusal {
    match why {
        NotFunded::OnItsWay => {
            let title = "A deposit for this page is on its way already.";
            Refusal::new(StatusCode::CONFLICT, "on_its_way", title)
                .with_detail("Wait until the chain has it: the page goes on by itself.")
        }
        NotFunded::NothingWaits => {
            let title = "Nothing waits for this signature.";
            Refusal::new(StatusCode::CONFLICT, "nothing_waits", title)
                .with_detail("It was used, or came too late. Ask your wallet again.")
        }
        NotFunded::BadSignature => {
            let title = "The signature is not the account's over this deposit.";
            Refusal::new(StatusCode::BAD_REQUEST, "bad_signature", title)
                .with_detail("Nothing was sent. Choose the account anew, and sign what your wallet shows.")
        }
        NotFunded::Full => {
            let title = "Too many deposits wait here.";
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_fundings", title)
                .with_detail("Try again in some minutes, or use `tickcast wallet approve`.")
        }
    }
}
