//! A browser wallet's deposit for a paying page, and what comes back of it: the node makes the transaction and sends it, the
//! wallet signs it. It is made for a channel to this node alone, and only the payer's signature over exactly that is taken.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::pay::{
    ChannelStanding, FundingPrepared, FundingRequest, FundingSignature, FundingState, SignerPayload, WireHex,
    hex,
};
use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use chain::{Call, ChannelState, Rail, RailError, SignerFields, Unsigned};
use pay::{AccountId, Amount, AssetId, ChannelId, ChannelTerms, Phase, RailKind, Signer, UnixMillis};
use tokio::time::timeout;

use super::pay::{CHAIN_TIME, Taken, chain_away, paid, pass, taken, too_often};
use super::refusal::Refusal;
use super::rights::{is_creator, person};
use crate::app::App;
use crate::billing::{Fate, NotFunded, Paid, Person};

/// Blocks take less time on all chains that are known, which make one in six seconds, or in twelve.
const BLOCK_AT_MOST: Duration = Duration::from_secs(12);

/// What a wallet is to sign, by whom, and what that locks.
struct Order {
    call: Call,
    payer: AccountId,
    locks: Amount,
}

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
    billing.page_throttle.count(person.account, Instant::now()).map_err(too_often)?;
    if paid.rail.info().kind != RailKind::Escrow {
        return Err(wrong("The chain locks no deposits: this node is paid by transfers."));
    }
    let free = match &request {
        FundingRequest::Open { .. } | FundingRequest::TopUp { .. } => {
            billing.fundings.may_lock(&person.account, Instant::now())
        }
        FundingRequest::StartClose { .. } | FundingRequest::Close { .. } => {
            billing.fundings.is_free(&person.account)
        }
    };
    free.map_err(not_funded)?;
    let _turn = billing.fundings.turn().await.map_err(not_funded)?;
    let order = order(&app, paid, &person, request).await?;
    let locks = !order.locks.is_zero();
    let (unsigned, fee) = made(paid.rail.as_ref(), order).await?;
    let payload = payload(unsigned.shown());
    let now = Instant::now();
    let locks_until = locks.then(|| now + BLOCK_AT_MOST * unsigned.lives_blocks());
    billing.fundings.prepare(person.account, unsigned, locks_until, now).map_err(not_funded)?;
    Ok(Json(FundingPrepared { payload, fee }))
}

/// The escrow's call, where it may be made for that key.
async fn order(app: &App, paid: &Paid, person: &Person, request: FundingRequest) -> Result<Order, Refusal> {
    let locked = |call, payer, locks: Amount| {
        if locks.is_zero() {
            Err(wrong("A deposit is not nothing."))
        } else {
            Ok(Order { call, payer, locks })
        }
    };
    match request {
        FundingRequest::Open { terms: WireHex(terms), deposit, expires_at } => {
            check(app, paid, person, &terms, expires_at).await?;
            locked(Call::Open { terms, deposit, expires_at }, terms.payer, deposit)
        }
        FundingRequest::TopUp { channel, by } => {
            let payer = payer_of(paid, person, channel).await?;
            locked(Call::TopUp { channel, by }, payer, by)
        }
        FundingRequest::StartClose { channel } => {
            let state = of_key(app, paid, person, channel).await?;
            match state.head {
                Phase::Open(_) => {
                    let (call, payer) = (Call::StartClose(channel), state.terms.payer);
                    Ok(Order { call, payer, locks: Amount::ZERO })
                }
                Phase::Closing { .. } => Err(wrong("The channel is being closed already.")),
                Phase::Absent | Phase::Closed { .. } => Err(wrong("The channel is closed already.")),
            }
        }
        FundingRequest::Close { channel } => {
            let state = of_key(app, paid, person, channel).await?;
            let closes_at = match state.head {
                Phase::Open(funds) => funds.expires_at,
                Phase::Closing { closes_at, .. } => closes_at,
                Phase::Absent | Phase::Closed { .. } => return Err(wrong("The channel is closed already.")),
            };
            if app.billing().clock.now() < closes_at {
                // The chain would take the fee and do nothing.
                return Err(wrong("Neither the channel's dispute window nor its time is over yet."));
            }
            Ok(Order { call: Call::Close(channel), payer: state.terms.payer, locks: Amount::ZERO })
        }
    }
}

/// The transaction and its fee, where the payer has enough for both.
async fn made(rail: &dyn Rail, Order { call, payer, locks }: Order) -> Result<(Unsigned, Amount), Refusal> {
    // Fees are in the chain's own unit, whatever the deposit is in.
    let is_native = rail.info().asset == AssetId::Native;
    let asked = async {
        let fee = rail.fee(call.clone(), payer).await?;
        let balance = if locks.is_zero() { Amount::ZERO } else { rail.balance(payer).await? };
        let for_fees = rail.fee_balance(payer).await?;
        Ok::<_, RailError>((fee, balance, for_fees, rail.prepare(call, payer).await?))
    };
    let (fee, balance, for_fees, unsigned) = match timeout(CHAIN_TIME, asked).await {
        Ok(Ok(made)) => made,
        Ok(Err(RailError::Refused(why))) => return Err(wrong(&why)),
        Ok(Err(_)) | Err(_) => return Err(chain_silent()),
    };
    let needed = if is_native { locks.checked_add(fee) } else { Some(fee) };
    let title = if needed.is_none_or(|needed| for_fees < needed) {
        if is_native {
            "The account has too little for this and the chain's fee."
        } else {
            "The account has too little of the chain's own unit, which the fee is paid in."
        }
    } else if balance < locks {
        "The account has too little for this deposit."
    } else {
        return Ok((unsigned, fee));
    };
    Err(Refusal::new(StatusCode::PAYMENT_REQUIRED, "too_little", title)
        .with_detail("Send something to it first, or choose another account where that may pay."))
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
            Ok(_) => Fate::Final,
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
    } else if !is_creator(app, terms.payee).await? {
        "Its payee is no creator of this node, or no longer."
    } else {
        return Ok(());
    };
    Err(wrong(why))
}

/// Only of a channel that the node knows, and that pays by the key that asks.
async fn payer_of(paid: &Paid, person: &Person, channel: ChannelId) -> Result<AccountId, Refusal> {
    let known = paid.cashier.of_session(person.account).await.map_err(|_| chain_away())?;
    let named = known
        .into_iter()
        .find(|known| known.terms.id() == channel && known.standing == ChannelStanding::Open);
    named
        .map(|known| known.terms.payer)
        .ok_or_else(|| wrong("The channel is not open, or not of this key's."))
}

/// Of that key's, at this node, as the chain has it: also one of which the node's books say nothing any more.
async fn of_key(
    app: &App,
    paid: &Paid,
    person: &Person,
    channel: ChannelId,
) -> Result<ChannelState, Refusal> {
    let Ok(Ok(known)) = timeout(CHAIN_TIME, paid.rail.channel(channel)).await else {
        return Err(chain_silent());
    };
    let is_theirs = |state: &ChannelState| {
        let ChannelTerms { session, node, .. } = state.terms;
        session == person.account && node == app.billing().key.public()
    };
    known.filter(is_theirs).ok_or_else(|| wrong("The chain has no such channel of this key's."))
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
fn failed(error: &RailError) -> Fate {
    match error {
        RailError::TooLittle(_) => Fate::Failed {
            code: "too_little",
            words: "The account has too little for this and the chain's fee.".to_owned(),
        },
        RailError::Unknown | RailError::Unreachable(_) => Fate::Unknown,
        error => Fate::Failed { code: "refused", words: format!("It was not done: {error}. Try again.") },
    }
}

fn wrong(detail: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "wrong_funding", "This is not prepared for a wallet.")
        .with_detail(detail)
}

fn chain_silent() -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "chain_unreachable", "The chain does not answer now.")
        .with_detail("Nothing was signed, and nothing is lost. Try again in a minute.")
}

fn not_funded(why: NotFunded) -> Refusal {
    let (status, code, title, detail) = match why {
        NotFunded::OnItsWay => (
            StatusCode::CONFLICT,
            "on_its_way",
            "What a wallet signed for this page is on its way already.",
            "Wait until the chain has it: this page goes on by itself, and so does any other tab of it.".to_owned(),
        ),
        NotFunded::Unknown { for_another } => (
            StatusCode::CONFLICT,
            "fate_unknown",
            "It is not known what became of the deposit that was signed before.",
            format!(
                "If the chain took it, this page finds that by itself. A second one may be signed in {} min, when it is sure \
                 that the first is not taken any more.",
                for_another.as_secs().div_ceil(60),
            ),
        ),
        NotFunded::NothingWaits => (
            StatusCode::CONFLICT,
            "nothing_waits",
            "Nothing waits for this signature.",
            "It was used, or came too late, or another tab of this page asked a wallet. Ask your wallet again.".to_owned(),
        ),
        NotFunded::Replaced => (
            StatusCode::CONFLICT,
            "replaced",
            "Another tab of this page asked the wallet after this one.",
            "Nothing was sent. Sign what the other tab asks for, or close it and ask your wallet again.".to_owned(),
        ),
        NotFunded::BadSignature => (
            StatusCode::BAD_REQUEST,
            "bad_signature",
            "The signature is not the account's over what this page asked for.",
            "Nothing was sent. Choose the account anew, and sign what your wallet shows.".to_owned(),
        ),
        NotFunded::Full => (
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_fundings",
            "Too many wallets are asked at once.",
            "Try again in a minute, or use the command that this page shows.".to_owned(),
        ),
    };
    Refusal::new(status, code, title).with_detail(detail)
}
