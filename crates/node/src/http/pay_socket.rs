//! The pay socket: a viewer's vouchers come in, what is stored of them goes out, over one WebSocket for each viewer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use api::pay::{PAY_SUBPROTOCOL, TOKEN_UNKNOWN};
use api::{PaySocketHello, PaySocketText};
use axum::Extension;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use pay::Wire;
use pay::message::{MAX_MESSAGE_BYTES, ToNode};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::pay::paid;
use super::refusal::Refusal;
use crate::app::App;
use crate::billing::{CashierHandle, ConnId, Input, Priced, SAYINGS, Saying, Ticket};
use crate::id::PlaybackId;
use crate::places::Place;
use crate::store::StreamRow;

/// For the first message, and for a peer to take one of ours.
const HELLO_TIME: Duration = Duration::from_secs(10);
const SEND_TIME: Duration = Duration::from_secs(10);
/// Each second a viewer signs one voucher, and now and then repeats or reports one.
const MESSAGES_A_SECOND: u32 = 32;
/// A viewer that says nothing for so long, not even that it is there, is gone.
const SILENCE: Duration = Duration::from_secs(45);
const PING_EACH_SECONDS: u64 = 15;

/// As RFC 6455 §7.4.1 has them.
const GOING_AWAY: u16 = 1001;
const NOT_UNDERSTOOD: u16 = 1003;
const NOT_ALLOWED: u16 = 1008;
const FAILED: u16 = 1011;

pub async fn open(
    State(app): State<Arc<App>>,
    Path(playback_id): Path<String>,
    Extension(place): Extension<Arc<Place>>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Refusal> {
    paid(&app)?;
    let id = PlaybackId::parse(&playback_id).ok_or_else(Refusal::no_such_stream)?;
    let row = app.store().stream_by_playback_id(&id).await?.ok_or_else(Refusal::no_such_stream)?;
    if !row.is_paid {
        return Err(Refusal::new(
            StatusCode::CONFLICT,
            "free",
            "This stream is free: there is nothing to pay.",
        ));
    }
    if !upgrade.requested_protocols().any(|protocol| protocol == PAY_SUBPROTOCOL) {
        let title = format!("The pay socket speaks {PAY_SUBPROTOCOL}.");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "wrong_protocol", title));
    }
    let upgrade = upgrade.protocols([PAY_SUBPROTOCOL]).max_message_size(MAX_MESSAGE_BYTES);
    Ok(upgrade.max_frame_size(MAX_MESSAGE_BYTES).on_upgrade(move |socket| run(app, row, place, socket)))
}

/// Why a socket ends.
type End = (u16, &'static str);

async fn run(app: Arc<App>, row: StreamRow, place: Arc<Place>, mut socket: WebSocket) {
    // Safe while somebody pays by it.
    let end = if place.keep(0) {
        match welcome(&app, &row, &mut socket).await {
            Ok((ticket, priced)) => match app.billing().paid() {
                Some(paid) => serve(&paid.cashier, ticket, priced, &mut socket).await,
                None => (FAILED, "the node is not paid"),
            },
            Err(end) => end,
        }
    } else {
        (GOING_AWAY, "the node has all the connections it may have")
    };
    let (code, why) = end;
    // A peer that is gone needs no goodbye.
    let _ =
        timeout(SEND_TIME, socket.send(Message::Close(Some(CloseFrame { code, reason: why.into() })))).await;
}

/// The first message: whose socket it is.
async fn welcome(
    app: &App,
    row: &StreamRow,
    socket: &mut WebSocket,
) -> Result<(Arc<Ticket>, Arc<Priced>), End> {
    let Ok(Some(Ok(Message::Text(text)))) = timeout(HELLO_TIME, socket.recv()).await else {
        return Err((NOT_ALLOWED, "the first message is the viewer token, as text, and soon"));
    };
    let hello: PaySocketHello = serde_json::from_str(text.as_str())
        .map_err(|_| (NOT_UNDERSTOOD, "the first message is {\"viewer_token\": \"…\"}"))?;
    let billing = app.billing();
    let ticket = billing.tickets.redeem(&hello.viewer_token, billing.clock.now());
    let ticket = ticket.filter(|ticket| ticket.stream == row.playback_id);
    let ticket = ticket.ok_or((TOKEN_UNKNOWN, "the viewer token is wrong, over, or another stream's"))?;
    let paid = billing.paid().ok_or((FAILED, "the node is not paid"))?;
    let priced = paid.catalogue.offers(row).await;
    let priced = priced.map_err(|_| (FAILED, "the stream cannot be paid for at present"))?;
    Ok((ticket, priced))
}

async fn serve(
    cashier: &CashierHandle,
    ticket: Arc<Ticket>,
    priced: Arc<Priced>,
    socket: &mut WebSocket,
) -> End {
    let (conn, (says, mut sayings)) = (cashier.new_conn(), mpsc::channel(SAYINGS));
    cashier.tell(Input::Opened { conn, ticket, priced, says }).await;
    let end = exchange(cashier, conn, &mut sayings, socket).await;
    cashier.tell(Input::Gone { conn }).await;
    end
}

async fn exchange(
    cashier: &CashierHandle,
    conn: ConnId,
    sayings: &mut mpsc::Receiver<Saying>,
    socket: &mut WebSocket,
) -> End {
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut heard, mut count, mut second) = (Instant::now(), 0, 0_u64);
    loop {
        let answer = tokio::select! {
            message = socket.recv() => {
                heard = Instant::now();
                count += 1;
                if count > MESSAGES_A_SECOND {
                    return (NOT_ALLOWED, "it says too much");
                }
                match message {
                    Some(Ok(Message::Binary(bytes))) => match ToNode::from_bytes(&bytes) {
                        Ok(message) => cashier.tell(Input::Said { conn, message }).await,
                        Err(_) => return (NOT_UNDERSTOOD, "this is no message of the protocol"),
                    },
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Text(_))) => return (NOT_UNDERSTOOD, "payments are binary"),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return (GOING_AWAY, "the viewer is gone"),
                }
                continue;
            }
            saying = sayings.recv() => match saying {
                Some(Saying::Message(message)) => Message::Binary(message.to_bytes().into()),
                Some(Saying::Begin(begin)) => match serde_json::to_string(&PaySocketText::Begin(begin)) {
                    Ok(text) => Message::text(text),
                    Err(_) => return (FAILED, "the node could not say when it began"),
                },
                Some(Saying::Close(why)) => return (NOT_ALLOWED, why),
                None => return (GOING_AWAY, "the node takes no more payments"),
            },
            _ = seconds.tick() => {
                count = 0;
                second += 1;
                if heard.elapsed() > SILENCE {
                    return (GOING_AWAY, "nothing was heard of the viewer");
                }
                if !second.is_multiple_of(PING_EACH_SECONDS) {
                    continue;
                }
                Message::Ping(bytes::Bytes::new())
            }
        };
        if !matches!(timeout(SEND_TIME, socket.send(answer)).await, Ok(Ok(()))) {
            return (GOING_AWAY, "the viewer takes nothing any more");
        }
    }
}
