//! LL-HLS of a stream that is paid by the second. Whoever shows a viewer token gets a multivariant playlist with addresses
//! of its own in it, `/live/{playback id}/{viewer}/…`, and by these what it pays for.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Extension;
use axum::body::{Body, HttpBody};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use mux::hls::File;

use super::hls::{live, media_playlist, no_such_file, playlist, waiting};
use super::refusal::Refusal;
use crate::app::App;
use crate::billing::{Answered, Asking, Entered, HlsViewer, Input, Sending, ViewersFull, Withheld};
use crate::id::PlaybackId;
use crate::places::Place;
use crate::stream::StreamHandle;

/// Nobody but the viewer may keep what it paid for, nor the addresses.
const CACHE: &str = "private, no-store";
/// A segment lasts two seconds, and a second is paid once the next one shows: with less grace a player of whole segments
/// waits for what it cannot have paid yet.
const GRACE_LEAST: u16 = 4;
/// A connection is handed so much at once: only when it has written that is it given more.
const PIECE: usize = 16 * 1024;

/// A player begins: one that its ticket had before is over.
pub async fn master(app: &App, stream: &StreamHandle, place: &Place, query: &str) -> Response {
    private(enter(app, stream, place, query).await)
}

/// Everything that a player's own addresses name.
pub async fn file(
    State(app): State<Arc<App>>,
    Extension(place): Extension<Arc<Place>>,
    Path((playback_id, viewer, name)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    private(serve(&app, &place, (&playback_id, &viewer, &name), &query).await)
}

/// Refusals are nobody else's, either.
pub fn private(answer: Result<Response, Refusal>) -> Response {
    let mut response = answer.into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHE));
    response
}

async fn enter(app: &App, stream: &StreamHandle, place: &Place, query: &str) -> Result<Response, Refusal> {
    let billing = app.billing();
    let ticket = token_in(query).and_then(|token| billing.tickets.redeem(token, billing.clock.now()));
    let ticket = ticket.filter(|ticket| ticket.stream == stream.row.playback_id).ok_or_else(not_joined)?;
    let paid = super::pay::paid(app)?;
    let priced = paid.catalogue.offers(&stream.row).await.map_err(super::pay::not_offered)?;
    if priced.current.iter().any(|offer| offer.offer.body.grace_ticks < GRACE_LEAST) {
        return Err(hasty());
    }
    let Entered { viewer, is_new } = paid.cashier.hls.enter(&ticket, stream).map_err(full)?;
    let peer = viewer.id.into();
    if is_new {
        paid.cashier.tell(Input::Peer { peer, ticket, priced }).await;
    }
    if viewer.is_over() {
        // It went meanwhile, and was nobody's when that was told.
        paid.cashier.meters.gone(peer, false);
    }
    stream.ask_hls().await;
    let folder = format!("{}/{}/", stream.row.playback_id, viewer.token);
    let whole = waiting(stream, Some(viewer.changes()), place, || {
        if viewer.is_over() {
            return Some(Err(over()));
        }
        stream.hls.master_up_to(&folder, viewer.cap()?).map(Ok)
    });
    let text = match whole.await {
        Ok(text) => text?,
        // What does not come in time is left out, as where nothing is paid.
        Err(refusal) => {
            let cap = viewer.cap().ok_or_else(unpaid)?;
            stream.hls.master_of_playable_up_to(&folder, cap).ok_or(refusal)?
        }
    };
    Ok(playlist(text, CACHE))
}

fn token_in(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("token="))
}

async fn serve(
    app: &App,
    place: &Place,
    (playback_id, viewer, name): (&str, &str, &str),
    query: &str,
) -> Result<Response, Refusal> {
    let id = PlaybackId::parse(playback_id).ok_or_else(Refusal::no_such_stream)?;
    let stream = live(app, &id)?;
    let viewers = app.billing().paid().map(|paid| &paid.cashier.hls);
    let viewer = viewers.and_then(|viewers| viewers.by_token(viewer));
    let viewer = viewer.filter(|viewer| viewer.ticket().stream == id).ok_or_else(over)?;
    stream.presence.hls_asked();
    if name.ends_with(".m3u8") {
        let (text, _) = media_playlist(&stream, None, place, name, query).await?;
        return Ok(playlist(text, CACHE));
    }
    media(&stream, &viewer, place, name).await
}

/// A header, or a file of media once its seconds may be sent.
async fn media(
    stream: &StreamHandle,
    viewer: &Arc<HlsViewer>,
    place: &Place,
    name: &str,
) -> Result<Response, Refusal> {
    let (mut asking, mut is_held) = (Asking::new(viewer), false);
    let found = waiting(stream, Some(viewer.changes()), place, || {
        let (file, extent) = stream.hls.metered_file(viewer.broadcast, name);
        match (file, extent) {
            (File::Missing, _) => Some(Err(no_such_file())),
            (File::Wait, _) => None,
            (File::Ready(pieces), None) => Some(Ok((pieces, None))),
            (File::Ready(pieces), Some(extent)) => match asking.look(&extent, stream.hls.has_video()) {
                Answered::Send(sending) => Some(Ok((pieces, Some(sending)))),
                Answered::Refused(why) => Some(Err(withheld(why))),
                Answered::Wait => {
                    is_held = true;
                    None
                }
            },
        }
    });
    let found = found.await;
    let (pieces, sending) = found.map_err(|refusal| if is_held { unpaid() } else { refusal })??;
    let written = move || sending.into_iter().for_each(Sending::done);
    let body = Body::new(Watched::new(pieces, written));
    Ok(([(header::CONTENT_TYPE, "video/mp4")], body).into_response())
}

/// A body that says when the last of it was handed to its connection, which had written all before it by then.
struct Watched<F> {
    pieces: VecDeque<Bytes>,
    bytes: u64,
    /// Dropped where the body is not read to its end.
    written: Option<F>,
}

impl<F: FnOnce()> Watched<F> {
    fn new(whole: Vec<Bytes>, written: F) -> Self {
        let bytes = whole.iter().map(|bytes| bytes.len() as u64).sum();
        let cut = |mut bytes: Bytes| {
            std::iter::from_fn(move || {
                let length = bytes.len().min(PIECE);
                (length > 0).then(|| bytes.split_to(length))
            })
        };
        Self { pieces: whole.into_iter().flat_map(cut).collect(), bytes, written: Some(written) }
    }
}

impl<F: FnOnce() + Unpin> HttpBody for Watched<F> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.pop_front();
        if self.pieces.is_empty()
            && let Some(written) = self.written.take()
        {
            written();
        }
        self.bytes -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes)
    }
}

fn hasty() -> Refusal {
    let title = "This stream's price leaves too little time for LL-HLS.";
    Refusal::new(StatusCode::CONFLICT, "grace_too_short", title).with_detail(
        "Watch it by WebRTC, or in the app. Its creator can give a grace of four seconds or more.",
    )
}

/// Whoever has no token, or another stream's.
pub fn not_joined() -> Refusal {
    let title = "This stream is paid for by the second.";
    Refusal::new(StatusCode::PAYMENT_REQUIRED, "join_required", title)
        .with_detail("Join it first, and ask for its playlist with ?token= and the viewer token.")
}

fn unpaid() -> Refusal {
    let title = "The next second is not paid for.";
    Refusal::new(StatusCode::PAYMENT_REQUIRED, "not_paid", title)
        .with_detail("Start on the pay socket and pay for what played; then ask again.")
}

fn over() -> Refusal {
    let title = "Nobody plays by this address, or nobody does any more.";
    Refusal::new(StatusCode::GONE, "viewer_gone", title)
        .with_detail("A viewer token is used by one player at a time. Ask for the stream's playlist again.")
}

fn withheld(why: Withheld) -> Refusal {
    match why {
        Withheld::Over => over(),
        Withheld::AboveTier => {
            let title = "This quality is better than what is paid for.";
            Refusal::new(StatusCode::FORBIDDEN, "above_tier", title)
                .with_detail("Play a lower one, or pay by the offer of a higher tier.")
        }
        Withheld::TooOften => {
            let title = "This second was sent several times already.";
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, "sent_too_often", title).with_detail(
                "What is paid for is one player's. Whoever else watches joins with a channel of their own.",
            )
        }
        Withheld::Passed => {
            let title = "This second went by before, or lies before the beginning.";
            Refusal::new(StatusCode::GONE, "passed_over", title).with_detail("Go on with what comes next.")
        }
    }
}

fn full(_: ViewersFull) -> Refusal {
    let title = "The node has all the viewers it may have.";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "node_full", title)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::task::Waker;

    use super::*;

    fn read(body: &mut Watched<impl FnOnce() + Unpin>) -> usize {
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(body).poll_frame(&mut context) {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().map_or(0, |piece| piece.len()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_body_is_written_once_the_last_of_it_was_taken_and_not_where_it_was_left() {
        let written = Cell::new(false);
        let whole = || vec![Bytes::from(vec![1; PIECE + 1]), Bytes::from_static(&[2; 10])];
        let mut body = Watched::new(whole(), || written.set(true));
        assert_eq!(body.size_hint().exact(), Some(PIECE as u64 + 11));
        let taken = [read(&mut body), read(&mut body)];
        assert_eq!((taken, written.get(), body.is_end_stream()), ([PIECE, 1], false, false));
        drop(body);
        assert!(!written.get(), "its end was not reached");
        let mut body = Watched::new(whole(), || written.set(true));
        while !body.is_end_stream() {
            read(&mut body);
        }
        assert!(written.get());
    }
}
