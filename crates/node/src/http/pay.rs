//! Logins, delegations, prices and joining.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::pay::{
    ChallengeAnswer, ChallengeRequest, CreditInfo, DelegationRequest, LoginRequest, PricesRequest, Signaling,
    TIERS_MAX, VIEWER_ID_MAX,
};
use api::{
    JoinRequest, Joined, LoggedIn, OfferInfo, PayInfo, PaymentRequired, PriceTier, Problem, StreamStatus,
    WireHex,
};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pay::login::{Host, LoginError};
use pay::{AccountId, ChannelId, Delegation, Offer, Signed, Signer};
use serde_json::json;

use super::credit::solvent;
use super::links::Links;
use super::page::payer;
use super::refusal::Refusal;
use super::rights::{creator, is_invited, person};
use crate::app::App;
use crate::billing::log::Act;
use crate::billing::{Credit, Input, NoOffers, Paid, Party, Priced, Throttle, TicketsFull, TooOften, Unable};
use crate::id::PlaybackId;
use crate::store::StreamRow;

/// A chain that has not said by then whether it knows a channel is asked again by the next join.
pub const CHAIN_TIME: Duration = Duration::from_secs(4);

/// An answer that was older than what a block said by then is not taken.
const IMPORTS: usize = 2;

pub type Taken<T> = Result<Json<T>, JsonRejection>;

/// How this node is paid, and by what name people log in.
pub async fn info(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<Json<PayInfo>, Refusal> {
    let billing = app.billing();
    let paid = match app.config().chain {
        Some(_) => Some(paid(&app)?),
        None => None,
    };
    Ok(Json(PayInfo {
        rail: paid.map(|paid| paid.rail.info().clone()),
        node_key: billing.key.public(),
        host: login_host(&app, &headers, peer)?,
        endpoints: paid.map(|paid| paid.config.endpoints.clone()).unwrap_or_default(),
        dispute_window_ms: paid.map_or(0, |paid| paid.config.dispute_window_ms()),
        credit: paid.and_then(|paid| paid.credit).map(|Credit { window, least, finality_s }| CreditInfo {
            window,
            least,
            finality_s,
        }),
    }))
}

/// What to sign, to log in.
pub async fn challenge(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Taken<ChallengeRequest>,
) -> Result<Json<ChallengeAnswer>, Refusal> {
    let request = taken(body)?;
    let billing = app.billing();
    pass(&billing.login_throttle, peer)?;
    let host = login_host(&app, &headers, peer)?;
    let challenge =
        billing.logins.challenge(&host, request.account, billing.clock.now()).map_err(not_logged_in)?;
    let until = challenge.until;
    Ok(Json(ChallengeAnswer { challenge: WireHex(challenge), host, until }))
}

pub async fn login(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    body: Taken<LoginRequest>,
) -> Result<Response, Refusal> {
    let LoginRequest { challenge: WireHex(body), signature } = taken(body)?;
    let billing = app.billing();
    pass(&billing.login_throttle, peer)?;
    let answer = Signed { body, signature };
    let (token, person) = billing.logins.answer(&answer, billing.clock.now()).map_err(not_logged_in)?;
    let logged_in = LoggedIn { token, account: person.account, expires_at: person.until };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(logged_in)).into_response())
}

/// A creator lets this node ask for money in its name; the money goes to the creator alone.
pub async fn delegate(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Taken<DelegationRequest>,
) -> Result<StatusCode, Refusal> {
    let DelegationRequest { delegation: WireHex(delegation) } = taken(body)?;
    let person = person(&app, &headers)?;
    if !is_invited(&app, person.account.account()) {
        let title = "This node takes the streams of those alone whom its operator has named.";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "not_invited", title)
            .with_detail("Ask its operator to add your account to `creators`, or run a node of your own."));
    }
    let paid = paid(&app)?;
    let now = app.billing().clock.now();
    let Delegation { genesis, payee, node, until, .. } = delegation.body;
    let wrong = |detail: &str| {
        Refusal::new(StatusCode::BAD_REQUEST, "wrong_delegation", "The delegation is not one for this node.")
            .with_detail(detail)
    };
    if payee != person.account {
        return Err(wrong("It is another account's than the one that is logged in."));
    } else if node != app.billing().key.public() {
        return Err(wrong("It names another node's key; GET /api/pay tells this one's."));
    } else if genesis != paid.rail.info().genesis {
        return Err(wrong("It is for another chain."));
    } else if !delegation.body.is_in_force(now) {
        return Err(wrong("It is not in force now."));
    }
    delegation.verify(&payee).map_err(|_| wrong("Its signature is not the account's."))?;
    pass_change(&app, peer, payee.account())?;
    let detail = json!({ "account": payee.account(), "delegation": delegation.body.hash(), "until": until });
    app.store().set_delegation(&delegation, (Act::new("creator.delegated", detail), now)).await?;
    paid.cashier.tell(Input::Payee(payee.account())).await;
    Ok(StatusCode::NO_CONTENT)
}

/// New prices of a paid stream: new offers, beside which the old ones stand until their end.
pub async fn set_prices(
    State(app): State<Arc<App>>,
    Path(playback_id): Path<String>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Taken<PricesRequest>,
) -> Result<Json<Vec<OfferInfo>>, Refusal> {
    let PricesRequest { prices } = taken(body)?;
    let row = open_stream(&app, &playback_id).await?;
    let person = creator(&app, &headers).await?;
    if row.creator != person.account.account().to_string() {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "not_yours", "The stream is another creator's."));
    }
    if !row.is_paid || prices.is_empty() {
        return Err(Refusal::new(
            StatusCode::CONFLICT,
            "free_or_paid",
            "A stream is free or paid from its beginning on: make another one.",
        ));
    }
    let paid = paid(&app)?;
    check_prices(&prices, paid)?;
    pass_change(&app, peer, person.account.account())?;
    let detail = json!({ "stream": row.playback_id.as_str(), "prices": prices });
    let now = app.billing().clock.now();
    app.store().set_prices(row.id, &prices, (Act::new("stream.priced", detail), now)).await?;
    let priced = paid.catalogue.remake(&row).await.map_err(not_offered)?;
    paid.cashier.tell(Input::Offers(Arc::clone(&priced))).await;
    Ok(Json(infos(&priced)))
}

/// Joins as a viewer. Of a paid stream, whoever is seen to be able to pay gets a token.
pub async fn join(
    State(app): State<Arc<App>>,
    Path(playback_id): Path<String>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Taken<JoinRequest>,
) -> Result<Response, Refusal> {
    let JoinRequest { viewer_id, channel } = taken(body)?;
    pass(&app.billing().join_throttle, peer)?;
    if viewer_id.trim().is_empty() || viewer_id.len() > VIEWER_ID_MAX {
        let title = format!("A viewerId has 1 to {VIEWER_ID_MAX} bytes.");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "bad_viewer_id", title));
    }
    let row = open_stream(&app, &playback_id).await?;
    let links = Links::new(&app, &headers);
    let joined = |viewer_token, pay_url, offers| Joined {
        viewer_token,
        whep_url: links.whep(&row.playback_id),
        hls_url: links.hls(&row.playback_id),
        pay_url,
        offers,
    };
    if !row.is_paid {
        app.store().join(row.id, &viewer_id).await?;
        return Ok(Json(joined(None, None, Vec::new())).into_response());
    }
    let paid = paid(&app)?;
    let person = person(&app, &headers)?;
    let priced = paid.catalogue.offers(&row).await.map_err(not_offered)?;
    let account = payer(paid, &person, channel).await;
    match able(&app, paid, account, &priced, channel).await {
        Ok(()) => {}
        Err(NotAble::ChainAway) => return Err(chain_away()),
        Err(NotAble::Unpaid(why)) => return Ok(payment_required(&priced, why)),
    }
    let viewer = app.store().join(row.id, &viewer_id).await?;
    let stream = (row.playback_id.clone(), row.id);
    let now = app.billing().clock.now();
    let token = app.billing().tickets.issue(account, stream, priced.payee, viewer, now).map_err(|full| {
        let (title, detail) = match full {
            TicketsFull::OfAccount => {
                ("This account watches on as many screens as it may.", "Close one of them.")
            }
            TicketsFull::OfNode => ("There are too many viewers waiting.", "Try again in two minutes."),
        };
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_tokens", title).with_detail(detail)
    })?;
    let body = Json(joined(Some(token), Some(links.pay(&row.playback_id)), infos(&priced)));
    Ok(([(header::CACHE_CONTROL, "no-store")], body).into_response())
}

/// Where to watch.
pub async fn signaling(
    State(app): State<Arc<App>>,
    Path(playback_id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Signaling>, Refusal> {
    let row = stream(&app, &playback_id).await?;
    let links = Links::new(&app, &headers);
    Ok(Json(Signaling {
        whep_url: links.whep(&row.playback_id),
        hls_url: links.hls(&row.playback_id),
        pay_url: row.is_paid.then(|| links.pay(&row.playback_id)),
        ice_servers: app.config().ice_servers.clone(),
    }))
}

/// The offers of a stream, as far as there are some: none of a free one.
pub async fn offers_of(app: &App, row: &StreamRow) -> Vec<OfferInfo> {
    let Some(paid) = app.billing().paid().filter(|_| row.is_paid) else { return Vec::new() };
    match paid.catalogue.offers(row).await {
        Ok(priced) => infos(&priced),
        Err(err) => {
            tracing::debug!(stream = %row.playback_id, "there are no offers: {err}");
            Vec::new()
        }
    }
}

/// Why somebody is not let in.
enum NotAble {
    /// In words.
    Unpaid(String),
    ChainAway,
}

impl From<Unable> for NotAble {
    fn from(why: Unable) -> Self {
        match why {
            Unable::ChainAway => Self::ChainAway,
            why => Self::Unpaid(sentence(&why)),
        }
    }
}

/// Whether the account can pay for a second from that channel, for all that the chain says.
async fn able(
    app: &App,
    paid: &Paid,
    payer: AccountId,
    priced: &Priced,
    channel: Option<ChannelId>,
) -> Result<(), NotAble> {
    let Some(channel) = channel else {
        let why = match paid.credit {
            None => "Open a channel to the creator at this node, and name it.",
            Some(_) => "Open a credit account for the creator at POST /api/pay/credit, and name it.",
        };
        return Err(NotAble::Unpaid(why.to_owned()));
    };
    if let Some(credit) = paid.credit {
        solvent(paid, credit, payer).await.map_err(NotAble::Unpaid)?;
    }
    let party = Party { payer, payee: priced.payee };
    let least = priced.least().ok_or_else(|| NotAble::Unpaid("There is no offer in force.".to_owned()))?;
    let mut judged = paid.cashier.is_able(party, channel, least).await;
    for _ in 0..IMPORTS {
        if judged == Err(Unable::Unknown)
            && let Ok(Ok(Some(state))) = tokio::time::timeout(CHAIN_TIME, paid.rail.channel(channel)).await
            && state.terms.id() == channel
            && state.terms.node == app.billing().key.public()
        {
            paid.cashier.tell(Input::Import(Box::new(state))).await;
            judged = paid.cashier.is_able(party, channel, least).await;
        }
    }
    Ok(judged?)
}

/// What a channel is good for is not known any more.
pub fn chain_away() -> Refusal {
    Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "chain_unreachable",
        "The chain was not heard for so long that nobody is let in until it is.",
    )
    .with_detail("Channels stay as they are, and what was paid for is not lost. Try again later.")
}

pub fn sentence(why: &Unable) -> String {
    let mut said = why.to_string();
    if let Some(first) = said.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    said + "."
}

fn payment_required(priced: &Priced, why: String) -> Response {
    let status = StatusCode::PAYMENT_REQUIRED;
    let problem = Problem::new(status.as_u16(), "payment_required", "This stream is paid for by the second.")
        .with_detail(why);
    let body = Json(PaymentRequired { problem, offers: infos(priced) });
    (status, [(header::CONTENT_TYPE, super::refusal::PROBLEM)], body).into_response()
}

fn infos(priced: &Priced) -> Vec<OfferInfo> {
    priced.current.iter().copied().map(OfferInfo::from).collect()
}

/// What a stream may be priced with.
pub fn check_prices(prices: &[PriceTier], paid: &Paid) -> Result<(), Refusal> {
    let wrong = |title: &str| Err(Refusal::new(StatusCode::BAD_REQUEST, "bad_prices", title));
    if let Some(credit) = paid.credit
        && !prices.iter().all(|tier| credit.bears(tier.price))
    {
        return wrong("A price is so high that the credit window is full before a transfer is final.");
    }
    let mut tiers: Vec<u8> = prices.iter().map(|tier| tier.tier).collect();
    tiers.sort_unstable();
    tiers.dedup();
    if tiers.len() != prices.len() {
        return wrong("Each tier has one price.");
    }
    let mut by_tier: Vec<&PriceTier> = prices.iter().collect();
    by_tier.sort_by_key(|tier| tier.tier);
    if by_tier.windows(2).any(|pair| pair[0].price.per_tick() > pair[1].price.per_tick()) {
        return wrong("A better quality costs no less than a lower one.");
    }
    if prices.len() > TIERS_MAX || prices.iter().any(|tier| usize::from(tier.tier) >= TIERS_MAX) {
        return wrong("Tiers are 0 to 4.");
    }
    if prices.iter().any(|tier| !(2..=Offer::MAX_GRACE_TICKS).contains(&tier.grace_ticks)) {
        return wrong("The grace is 2 to 60 seconds.");
    }
    if prices.iter().any(|tier| tier.max_lines == 0 || tier.max_kbps == 0) {
        return wrong("A tier has lines and a bitrate.");
    }
    Ok(())
}

pub fn paid(app: &App) -> Result<&Paid, Refusal> {
    app.billing().paid().ok_or_else(|| match app.config().chain {
        Some(_) => Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "chain_unreachable",
            "The chain has not answered since this node was started: nothing can be paid yet.",
        )
        .with_detail("Streams without prices play. The others will as soon as the chain answers."),
        None => Refusal::new(StatusCode::CONFLICT, "no_chain", "This node is not paid: no chain is set.")
            .with_detail("Streams without prices are free and need no wallet."),
    })
}

pub fn not_offered(err: NoOffers) -> Refusal {
    match err {
        NoOffers::Store(err) => err.into(),
        NoOffers::NotDelegated | NoOffers::NotMade(_) => {
            Refusal::new(StatusCode::CONFLICT, "not_offered", "The stream cannot be paid for at present.")
                .with_detail(err.to_string())
        }
    }
}

/// One that may be on air again.
pub async fn open_stream(app: &App, playback_id: &str) -> Result<StreamRow, Refusal> {
    let row = stream(app, playback_id).await?;
    match row.status {
        StreamStatus::Archived => {
            Err(Refusal::new(StatusCode::GONE, "archived", "The stream is over for good."))
        }
        _ => Ok(row),
    }
}

pub async fn stream(app: &App, playback_id: &str) -> Result<StreamRow, Refusal> {
    let id = PlaybackId::parse(playback_id).ok_or_else(Refusal::no_such_stream)?;
    app.store().stream_by_playback_id(&id).await?.ok_or_else(Refusal::no_such_stream)
}

pub fn taken<T>(body: Taken<T>) -> Result<T, Refusal> {
    body.map(|Json(taken)| taken).map_err(|err| {
        if err.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Refusal::new(err.status(), "too_large", "The request is too large.");
        }
        Refusal::new(StatusCode::BAD_REQUEST, "bad_json", "The request is not what is taken here.")
            .with_detail(err.body_text())
    })
}

pub fn pass(throttle: &Throttle, peer: SocketAddr) -> Result<(), Refusal> {
    throttle.pass(peer.ip(), Instant::now()).map_err(too_often)
}

/// What a creator does that the node pays a fee for.
pub fn pass_change(app: &App, peer: SocketAddr, creator: AccountId) -> Result<(), Refusal> {
    let billing = app.billing();
    pass(&billing.change_throttle, peer)?;
    billing.creator_throttle.count(creator, Instant::now()).map_err(too_often)
}

pub fn too_often(_: TooOften) -> Refusal {
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_often", "This was asked for too often.")
        .with_detail("Try again in a minute.")
}

fn not_logged_in(err: LoginError) -> Refusal {
    let (status, code) = match err {
        LoginError::Full => (StatusCode::SERVICE_UNAVAILABLE, "logins_full"),
        LoginError::NotOpen | LoginError::Expired | LoginError::Altered | LoginError::BadSignature => {
            (StatusCode::UNAUTHORIZED, "login_refused")
        }
    };
    Refusal::new(status, code, "The login was refused.").with_detail(err.to_string())
}

/// The name of this node that a challenge may carry: as set, or else one that the request was made to and that can mean
/// nobody else.
fn login_host(app: &App, headers: &HeaderMap, peer: SocketAddr) -> Result<Host, Refusal> {
    let port = app.addresses().http.port();
    let set = app.config().chain.as_ref().map_or("", |chain| chain.login_host.as_str());
    let config = app.config();
    let name = match (set, config.public_authority(), config.public_host.as_str()) {
        ("", None, "") => asked_host(app, headers, peer, port),
        ("", Some((host, port)), _) => Some(format!("{host}:{port}")),
        ("", None, host) => Some(format!("{host}:{port}")),
        (set, _, _) => Some(set.to_owned()),
    };
    name.and_then(|name| Host::new(&name.to_ascii_lowercase()).ok()).ok_or_else(|| {
        Refusal::new(
            StatusCode::MISDIRECTED_REQUEST,
            "unknown_host",
            "This node does not know itself by the name that was asked.",
        )
        .with_detail(
            "Ask it by its address, or set public_url, public_host or chain.login_host in its settings.",
        )
    })
}

fn asked_host(app: &App, headers: &HeaderMap, peer: SocketAddr, port: u16) -> Option<String> {
    let asked: Authority = headers.get(header::HOST)?.to_str().ok()?.parse().ok()?;
    let is_ours = app.billing().is_own_name(asked.host(), peer) && asked.port_u16().unwrap_or(80) == port;
    is_ours.then(|| format!("{}:{port}", asked.host()))
}
