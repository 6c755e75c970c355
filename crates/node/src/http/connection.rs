//! One HTTP connection: how long its peer may take for everything, and when it may lose its place.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::places::Place;

/// From a connection's start, or from its last answer, to the end of the next request's head. Browsers and proxies
/// open another connection where they were idle for longer.
pub const HEAD_TIME: Duration = Duration::from_secs(15);
/// A peer that takes nothing of an answer for so long is given up; RTMP peers have as long.
pub const WRITE_TIME: Duration = Duration::from_secs(10);
/// The longest head of a request, which is also what is read ahead of a body. Proxies take 8 to 32 KiB; hyper's own
/// 400 KiB are much for somebody who only begins to ask.
const HEAD_BYTES: usize = 16 * 1024;

/// Serves `router` to one peer until either of them ends it. The place is safe from a request's head to its answer's:
/// what comes between is bounded by the router. While the peer asks for nothing, or only takes an answer, another
/// connection may need it more.
pub async fn run(socket: TcpStream, peer: SocketAddr, place: Place, router: Router) {
    let place = Arc::new(place);
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        // A WebSocket goes on in the same place.
        request.extensions_mut().insert(Arc::clone(&place));
        let (answer, place) = (router.call(request), Arc::clone(&place));
        async move {
            // One that has lost its place is cut below.
            place.keep(0);
            let answer = answer.await;
            place.release();
            answer
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(Patient::new(socket, WRITE_TIME)), service)
        .with_upgrades();
    tokio::select! {
        () = place.displaced() => tracing::debug!("an HTTP connection gave its place to another"),
        served = serving => if let Err(err) = served {
            tracing::debug!("an HTTP connection ended: {err}");
        },
    }
}

/// A socket whose peer must take something of what is written at least each `limit`.
struct Patient<S> {
    socket: S,
    limit: Duration,
    /// Runs while the socket takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    fn new(socket: S, limit: Duration) -> Self {
        Self { socket, limit, stalled: None }
    }

    fn judge<T>(&mut self, context: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.stalled = None;
            return done;
        }
        let timer = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.limit)));
        if timer.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.stalled = None;
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.judge(context, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.judge(context, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.socket).poll_flush(context);
        self.judge(context, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.socket).poll_shutdown(context);
        self.judge(context, done)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use axum::routing::post;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::places::Places;

    /// What a server whose one route says how long a body was answers to `request`, until it closes.
    async fn answer_to(request: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let asks = TcpStream::connect(listener.local_addr().unwrap());
        let (ours, theirs) = tokio::join!(listener.accept(), asks);
        let ((ours, peer), mut theirs) = (ours.unwrap(), theirs.unwrap());
        let place = Places::new("test", 1, 1).enter(peer.ip()).ok().unwrap();
        let router = Router::new().route("/", post(|body: Bytes| async move { body.len().to_string() }));
        let asking = async {
            theirs.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            theirs.read_to_string(&mut answer).await.unwrap();
            answer
        };
        tokio::join!(run(ours, peer, place, router), asking).1
    }

    #[tokio::test]
    async fn a_head_longer_than_16_kib_is_refused_before_it_is_whole() {
        let begun = "POST / HTTP/1.1\r\nhost: node\r\nx: ";
        let answer = answer_to(&format!("{begun}{}", "a".repeat(HEAD_BYTES - begun.len()))).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }

    #[tokio::test]
    async fn a_head_of_12_kib_is_taken_and_so_is_a_body_longer_than_any_head() {
        let (head, body) = ("a".repeat(12 * 1024), "b".repeat(64 * 1024));
        let request = format!("POST / HTTP/1.1\r\nhost: node\r\nconnection: close\r\nx: {head}");
        let answer = answer_to(&format!("{request}\r\ncontent-length: 65536\r\n\r\n{body}")).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n65536"), "{answer}");
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_of_an_answer_is_given_up_and_a_slow_one_is_not() {
        let (ours, mut theirs) = tokio::io::duplex(4);
        let mut patient = Patient::new(ours, Duration::from_millis(50));
        let failed = patient.write_all(b"12345678").await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
        // Each byte that is taken is a new start.
        let reads = async {
            let mut taken = [0; 1];
            for _ in 0..12 {
                theirs.read_exact(&mut taken).await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(patient.write_all(b"90abcdef"), reads);
        written.unwrap();
    }
}
