//! A viewer's line to the node as a bad network has it: of its packets some are lost both ways, and all of them while it
//! is cut. It lies between the viewer's socket and the node's, and the answer to the viewer's offer names it as the
//! node's address.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rtc::{Answer, BoxFuture, Signalling, SignallingError, SignallingSession};
use testkit::Dice;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use watch::HttpSignalling;

/// Larger than any packet of WebRTC.
const PACKET_MAX: usize = 2_048;

/// Packets so far, both ways.
#[derive(Clone, Copy, Default, Debug)]
pub struct Carried {
    pub passed: u64,
    pub lost: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Open,
    Cut,
    /// For good: whoever was at its end is no more.
    Dead,
}

struct State {
    dice: Dice,
    condition: Condition,
    carried: Carried,
    /// One for each connection, as a router has it: the newest.
    relay: Option<Relay>,
}

pub struct Line {
    node: SocketAddr,
    loss_percent: u64,
    state: Mutex<State>,
}

impl Line {
    /// To the node's media port; what is lost follows from `seed`.
    pub fn new(node: SocketAddr, loss_percent: u64, seed: u64) -> Arc<Self> {
        let (dice, carried) = (Dice::new(seed), Carried::default());
        let state = State { dice, condition: Condition::Open, carried, relay: None };
        Arc::new(Self { node, loss_percent, state: Mutex::new(state) })
    }

    pub fn cut(&self) {
        self.state().condition = Condition::Cut;
    }

    /// After a cut.
    pub fn mend(&self) {
        self.state().condition = Condition::Open;
    }

    /// Nothing more goes over it, not even a farewell.
    pub fn die(&self) {
        self.state().condition = Condition::Dead;
    }

    pub fn carried(&self) -> Carried {
        self.state().carried
    }

    fn is_dead(&self) -> bool {
        self.state().condition == Condition::Dead
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn passes(&self) -> bool {
        let mut state = self.state();
        let passes = !state.dice.happens(self.loss_percent) && state.condition == Condition::Open;
        *if passes { &mut state.carried.passed } else { &mut state.carried.lost } += 1;
        passes
    }

    /// The answer with the line in the node's place.
    async fn lead(self: &Arc<Self>, answer: &str) -> io::Result<String> {
        let relay = Relay::open(Arc::clone(self)).await?;
        let named = |at: SocketAddr| format!(" {} {} typ host", at.ip(), at.port());
        let (theirs, ours) = (named(self.node), named(relay.address));
        if !answer.contains(&theirs) {
            return Err(io::Error::other(format!("the answer does not name{theirs}: {answer}")));
        }
        self.state().relay = Some(relay);
        Ok(answer.replace(&theirs, &ours))
    }
}

/// Carries packets until it is dropped.
struct Relay {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Relay {
    async fn open(line: Arc<Line>) -> io::Result<Self> {
        let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let back = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        back.connect(line.node).await?;
        let address = front.local_addr()?;
        // The line owns the relay: it must not own the line.
        let line = Arc::downgrade(&line);
        let task = tokio::spawn(async move {
            let (mut out, mut home) = ([0; PACKET_MAX], [0; PACKET_MAX]);
            let mut viewer = None;
            loop {
                // An error is what the system tells of an earlier packet that found nobody.
                tokio::select! {
                    came = front.recv_from(&mut out) => {
                        let Some(line) = line.upgrade() else { return };
                        if let Ok((length, from)) = came {
                            viewer = Some(from);
                            if line.passes() {
                                let _ = back.send(&out[..length]).await;
                            }
                        }
                    }
                    came = back.recv(&mut home) => {
                        let Some(line) = line.upgrade() else { return };
                        if let (Ok(length), Some(viewer)) = (came, viewer)
                            && line.passes()
                        {
                            let _ = front.send_to(&home[..length], viewer).await;
                        }
                    }
                }
            }
        });
        Ok(Self { address, task })
    }
}

/// Asks the node by HTTP, as every viewer does, and has the media come over the line.
pub struct ByLine {
    pub http: HttpSignalling,
    pub line: Arc<Line>,
}

impl Signalling for ByLine {
    fn offer(&self, sdp: String) -> BoxFuture<'_, Result<Answer, SignallingError>> {
        Box::pin(async move {
            let Answer { sdp, session, ice_servers } = self.http.offer(sdp).await?;
            let led = self.line.lead(&sdp).await;
            let sdp = led.map_err(|err| SignallingError::BadAnswer(err.to_string()))?;
            let session = Box::new(Session { session, line: Arc::clone(&self.line) });
            Ok(Answer { sdp, session, ice_servers })
        })
    }
}

/// Who died does not end its session.
struct Session {
    session: Box<dyn SignallingSession>,
    line: Arc<Line>,
}

impl SignallingSession for Session {
    fn patch(&self, fragment: String) -> BoxFuture<'_, Result<Option<String>, SignallingError>> {
        self.session.patch(fragment)
    }

    fn delete(&self) -> BoxFuture<'_, Result<(), SignallingError>> {
        if self.line.is_dead() { Box::pin(async { Ok(()) }) } else { self.session.delete() }
    }
}
