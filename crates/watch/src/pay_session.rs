//! One viewer's paying: what plays is counted and signed for, what does not is named, and nothing plays that cannot be
//! paid. Time, messages and pictures come in; what is to be stored and sent comes out. It knows no socket and no file.

mod leaving;
mod outbox;
mod plays;
mod said;

pub use leaving::Leaving;
pub use outbox::Batch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use media::Timescale;
use pay::tab::TabTotals;
use pay::{
    Amount, CloseTerms, Offer, OfferHash, Receipt, Signed, Signer, Tab, TabError, Tick, ToNode, UnixMillis,
    VerifiedOffer, Wire,
};

use crate::played_seconds::PlayedSeconds;
use crate::playout::Lane;
use outbox::Outbox;

/// A picture that is shown this much after its instant froze what was before it; see [`crate::FreezeMeter`].
const IN_TIME: Duration = Duration::from_millis(150);
/// Nothing came for so long: what should have did not play. Longer than any playout delay.
const STALL: Duration = Duration::from_secs(2);
/// Seconds that came wait at most so many others for being shown.
const BEHIND: u64 = 4;
/// What is not acknowledged is sent again this often.
const AGAIN: Duration = Duration::from_secs(2);
/// What was refused for the moment only is.
const SOON: Duration = Duration::from_millis(500);
/// Nothing played for so long, though the node counts on: the viewer leaves.
const NOTHING_PLAYS: Duration = Duration::from_secs(60);
/// A node that ended the session for want of payment is asked so many times in a row to go on.
const RESTARTS: u32 = 5;
/// How long a viewer that left waits for what is not acknowledged, and for the node's half of a close.
const FAREWELL: Duration = Duration::from_secs(5);
/// Seconds may be counted so much before their time, all in all. Beyond that the node's clock runs too fast.
const BURST: Duration = Duration::from_secs(3);

pub type SharedSigner = Arc<dyn Signer + Send + Sync>;

/// Whether an offer that asks more, or gives less, than the present one is taken without asking a person.
pub type Consent = Arc<dyn Fn(&Offer, &Offer) -> bool + Send + Sync>;

/// By two clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub instant: Instant,
    pub wall: UnixMillis,
}

/// What becomes of the picture that was asked about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Show,
    /// It is not paid and will not be.
    Leave,
}

/// How the paying stands.
#[derive(Clone, Debug)]
pub struct PayStatus {
    /// The channel's, over all of its sessions.
    pub totals: TabTotals,
    /// The running total that was signed.
    pub spent: Amount,
    /// What the cap leaves.
    pub left: Amount,
    /// Whether the node has stored all that was signed.
    pub is_acknowledged: bool,
    /// Whether there is a connection to the node.
    pub is_connected: bool,
    pub offer: VerifiedOffer,
    /// Made by the node, and not consented to.
    pub offered: Option<VerifiedOffer>,
    pub receipt: Option<Signed<Receipt>>,
    /// Set once nothing more is watched.
    pub left_because: Option<Leaving>,
    /// Both halves of a cooperative close, ours first.
    pub closed: Option<(Signed<CloseTerms>, Signed<CloseTerms>)>,
}

/// Where a session is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// No connection, no media, or a pause.
    Away,
    /// A start was sent.
    Starting,
    Watching,
}

/// A cooperative close.
#[derive(Clone, Copy, Debug)]
enum Close {
    No,
    Wanted,
    Asked(Signed<CloseTerms>),
    Agreed(Signed<CloseTerms>, Signed<CloseTerms>),
    Refused,
}

/// One channel's, over as many connections as it takes.
pub struct PaySession {
    tab: Tab,
    /// The newest offer that was consented to; the next voucher names it.
    agreed: VerifiedOffer,
    signer: SharedSigner,
    consent: Consent,
    phase: Phase,
    is_connected: bool,
    has_media: bool,
    is_paused: bool,
    left: Option<(Leaving, Instant)>,
    must_say_stop: bool,
    close: Close,
    offered: Option<VerifiedOffer>,
    video: PlayedSeconds,
    audio: PlayedSeconds,
    /// The line by which seconds are counted.
    counted: Lane,
    /// When the newest unit of it came.
    came: Option<Instant>,
    /// When a second was counted as played last, and how many may be before their time from then on. It outlives
    /// sessions, which a node can end as it likes.
    pace: Option<(Instant, Duration)>,
    /// The newest second that was let play.
    entered: Option<Tick>,
    /// When a second played last, or watching began.
    alive: Option<Instant>,
    restarts: u32,
    restart_at: Option<Instant>,
    again_at: Option<Instant>,
    outbox: Outbox,
}

impl PaySession {
    /// Watches by `offer`, which a person consented to; the tab may be one that was kept, with another offer.
    ///
    /// # Errors
    /// When the offer is for something else than the tab's channel.
    pub fn new(
        mut tab: Tab,
        offer: VerifiedOffer,
        signer: SharedSigner,
        consent: Consent,
    ) -> Result<Self, TabError> {
        if tab.offer().hash() != offer.hash() {
            tab.offered(offer)?;
            tab.consent(&offer.hash())?;
        }
        Ok(Self {
            tab,
            agreed: offer,
            signer,
            consent,
            phase: Phase::Away,
            is_connected: false,
            has_media: false,
            is_paused: false,
            left: None,
            must_say_stop: false,
            close: Close::No,
            offered: None,
            video: PlayedSeconds::new(Timescale::VIDEO),
            audio: PlayedSeconds::new(Timescale::AUDIO),
            counted: Lane::Video,
            came: None,
            pace: None,
            entered: None,
            alive: None,
            restarts: 0,
            restart_at: None,
            again_at: None,
            outbox: Outbox::default(),
        })
    }

    pub fn status(&self) -> PayStatus {
        PayStatus {
            totals: *self.tab.totals(),
            spent: self.tab.spent(),
            left: self.tab.left(),
            is_acknowledged: self.tab.unacknowledged().is_none(),
            is_connected: self.is_connected,
            offer: self.agreed,
            offered: self.offered,
            receipt: self.tab.last_receipt().copied(),
            left_because: self.left.as_ref().map(|(why, _)| why.clone()),
            closed: match self.close {
                Close::Agreed(ours, theirs) => Some((ours, theirs)),
                _ => None,
            },
        }
    }

    /// What is stored and then sent, in this order; `None` while there is nothing.
    pub fn take(&mut self) -> Option<Batch> {
        let tab = &self.tab;
        self.outbox.take(self.is_connected, || tab.to_bytes())
    }

    /// Whether [`PaySession::take`] may have something, or the session is at its end.
    pub fn has_output(&self) -> bool {
        !self.outbox.is_empty() || self.left.is_some()
    }

    /// Nothing more will come out: the connection may be closed.
    pub fn is_over(&self, now: Now) -> bool {
        let Some((why, at)) = &self.left else { return false };
        let is_settled = match self.close {
            Close::No | Close::Agreed(..) | Close::Refused => self.tab.unacknowledged().is_none(),
            Close::Wanted | Close::Asked(_) => false,
        };
        let is_late = now.instant.saturating_duration_since(*at) >= FAREWELL;
        (is_settled && self.outbox.is_empty()) || is_late || why.is_useless()
    }

    /// A connection to the node is there.
    pub fn connected(&mut self, now: Now) {
        self.is_connected = true;
        self.start(now);
    }

    /// What still comes is counted; what was not sent will be after the next start.
    pub fn disconnected(&mut self) {
        self.is_connected = false;
        self.outbox.forget();
        if self.phase == Phase::Starting {
            self.phase = Phase::Away;
        }
    }

    /// Media can come: timestamps begin anew.
    pub fn media_up(&mut self, now: Now) {
        self.has_media = true;
        self.start(now);
    }

    pub fn media_lost(&mut self, now: Now) {
        self.finish(now);
        self.has_media = false;
        self.phase = Phase::Away;
        self.forget_media();
    }

    /// What is paused does not play, and the node sends nothing.
    pub fn pause(&mut self, now: Now) {
        if !self.is_paused && self.left.is_none() {
            self.is_paused = true;
            self.finish(now);
            if self.phase != Phase::Away {
                self.outbox.say(ToNode::Stop(self.tab.channel()));
            }
            self.rest();
        }
    }

    pub fn resume(&mut self, now: Now) {
        if std::mem::take(&mut self.is_paused) {
            self.start(now);
        }
    }

    /// The viewer stops: a second that is not over yet is paid if nine tenths of it were shown.
    pub fn stop(&mut self, now: Now) {
        self.finish(now);
        self.leave(Leaving::Stopped, now);
    }

    /// Closes the channel together with the node, once nothing more is watched and all is acknowledged.
    pub fn close(&mut self, now: Now) {
        self.stop(now);
        if matches!(self.close, Close::No) {
            self.close = Close::Wanted;
        }
        self.settle(now);
    }

    /// On the channel's running total; see [`Tab::set_limit`].
    pub fn set_limit(&mut self, limit: Amount) {
        self.tab.set_limit(limit);
    }

    /// A person takes the offer that [`PayStatus::offered`] shows.
    pub fn consent(&mut self, offer: &OfferHash) -> bool {
        let Some(offered) = self.offered.take_if(|offered| offered.hash() == *offer) else { return false };
        self.accept(&offered)
    }

    fn accept(&mut self, offered: &VerifiedOffer) -> bool {
        let taken = self.tab.offered(*offered).and_then(|()| self.tab.consent(&offered.hash()));
        if taken.is_ok() {
            self.agreed = *offered;
        }
        taken.is_ok()
    }

    fn start(&mut self, now: Now) {
        let can_start = self.is_connected && self.has_media && !self.is_paused && self.left.is_none();
        if !can_start {
            return;
        }
        self.finish(now);
        match self.tab.start() {
            Ok(start) => {
                self.forget_media();
                self.phase = Phase::Starting;
                self.again_at = None;
                self.restart_at = None;
                self.outbox.start(start);
            }
            Err(err) => self.leave(err.into(), now),
        }
    }

    fn forget_media(&mut self) {
        self.video.reset();
        self.audio.reset();
        (self.came, self.entered) = (None, None);
    }

    /// Nothing is watched for now.
    fn rest(&mut self) {
        self.tab.stop();
        self.phase = Phase::Away;
        self.forget_media();
    }

    fn leave(&mut self, why: Leaving, now: Now) {
        if self.left.is_some() {
            return;
        }
        self.must_say_stop = self.phase != Phase::Away;
        self.rest();
        self.outbox.store();
        self.left = Some((why, now.instant));
        self.settle(now);
    }

    /// Once all is acknowledged the node is told that nothing more is watched; before that it would refuse what is on
    /// its way. Then the channel is closed, where that is wanted.
    fn settle(&mut self, now: Now) {
        if self.left.is_none() || self.tab.unacknowledged().is_some() {
            return;
        }
        if std::mem::take(&mut self.must_say_stop) {
            self.outbox.say(ToNode::Stop(self.tab.channel()));
        }
        if !matches!(self.close, Close::Wanted) {
            return;
        }
        match self.tab.close(self.signer.as_ref()) {
            Ok(ours) => {
                self.close = Close::Asked(ours);
                self.outbox.close(ours);
                // The wait for the answer begins here.
                self.left.iter_mut().for_each(|(_, at)| *at = now.instant);
            }
            Err(_) => self.close = Close::Refused,
        }
    }
}
