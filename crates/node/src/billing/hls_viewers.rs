//! Viewers of paid streams by LL-HLS: each has an address of its own, and is counted second by second, as a WebRTC
//! viewer is by the media plane.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use media::RenditionName;
use mux::hls::{Extent, TrackName};
use tokio::sync::watch;

use super::hls_meter::{HlsMeter, Passage, Verdict, Withheld};
use super::meter_inbox::MeterInbox;
use super::tickets::{Ticket, TicketId};
use crate::id::session_token;
use crate::stream::{Live, StreamHandle};

/// Each ticket has one, and there are as many tickets. Full: the next is refused until one has gone.
const VIEWERS_MAX: usize = 8_192;
/// A player asks at least each target duration; one that did not ask for so long is gone.
const IDLE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HlsViewerId(pub(super) u64);

/// A player, and whether nobody was told of it before.
pub struct Entered {
    pub viewer: Arc<HlsViewer>,
    pub is_new: bool,
}

/// The node has as many as it takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ViewersFull;

#[derive(Default)]
struct Tables {
    viewers: BTreeMap<HlsViewerId, Arc<HlsViewer>>,
    by_token: HashMap<String, HlsViewerId>,
    by_ticket: BTreeMap<TicketId, HlsViewerId>,
}

pub struct HlsViewers {
    tables: Mutex<Tables>,
    meters: Arc<MeterInbox>,
    next: AtomicU64,
}

/// One player.
pub struct HlsViewer {
    pub id: HlsViewerId,
    /// Stands in the addresses of all that it plays: who knows it plays for its payer. Not to be logged.
    pub token: String,
    /// That of the stream which it began with.
    pub broadcast: u64,
    ticket: Arc<Ticket>,
    live: watch::Receiver<Live>,
    state: Mutex<State>,
    /// Counts changes: waiting requests look again.
    changes: watch::Sender<u64>,
    meters: Arc<MeterInbox>,
}

struct State {
    meter: HlsMeter,
    asked: Instant,
    is_over: bool,
}

impl HlsViewers {
    pub fn new(meters: Arc<MeterInbox>) -> Self {
        Self { tables: Mutex::default(), meters, next: AtomicU64::new(1) }
    }

    /// A further player; one of the same ticket before it is over. Where that was sent nothing yet it is the same one still:
    /// a playlist may be asked for twice.
    pub fn enter(&self, ticket: &Arc<Ticket>, stream: &StreamHandle) -> Result<Entered, ViewersFull> {
        let before = {
            let tables = self.tables();
            tables.by_ticket.get(&ticket.id).and_then(|id| tables.viewers.get(id)).cloned()
        };
        if let Some(before) = before {
            if before.broadcast == stream.hls.number() && before.is_untouched() {
                before.note_asked();
                return Ok(Entered { viewer: before, is_new: false });
            }
            self.close(before.id);
        }
        let id = HlsViewerId(self.next.fetch_add(1, Ordering::Relaxed));
        let state = State { meter: HlsMeter::default(), asked: Instant::now(), is_over: false };
        let viewer = Arc::new(HlsViewer {
            id,
            token: session_token(),
            broadcast: stream.hls.number(),
            ticket: Arc::clone(ticket),
            live: stream.watch(),
            state: Mutex::new(state),
            changes: watch::Sender::new(0),
            meters: Arc::clone(&self.meters),
        });
        let mut tables = self.tables();
        if tables.viewers.len() >= VIEWERS_MAX {
            return Err(ViewersFull);
        }
        tables.by_token.insert(viewer.token.clone(), id);
        let other = tables.by_ticket.insert(ticket.id, id);
        tables.viewers.insert(id, Arc::clone(&viewer));
        drop(tables);
        // Of two that came at once the later one stays.
        if let Some(other) = other {
            self.close(other);
        }
        Ok(Entered { viewer, is_new: true })
    }

    /// The player of an address; it is there for a while longer.
    pub fn by_token(&self, token: &str) -> Option<Arc<HlsViewer>> {
        let tables = self.tables();
        let viewer = tables.viewers.get(tables.by_token.get(token)?).cloned()?;
        drop(tables);
        viewer.note_asked();
        Some(viewer)
    }

    pub fn meter(&self, id: HlsViewerId, session: u32) {
        self.with(id, |meter| meter.begin(session));
    }

    pub fn allow(&self, id: HlsViewerId, session: u32, until: u64) {
        self.with(id, |meter| meter.allow(session, until));
    }

    pub fn cap(&self, id: HlsViewerId, cap: RenditionName) {
        self.with(id, |meter| meter.set_cap(cap));
    }

    /// Nothing more is sent to a player before the next run.
    pub fn rest(&self, id: HlsViewerId) {
        self.with(id, HlsMeter::end);
    }

    /// Ends a player; nothing more is sent to it.
    pub fn close(&self, id: HlsViewerId) {
        let mut tables = self.tables();
        let Some(viewer) = tables.viewers.remove(&id) else { return };
        tables.by_token.remove(&viewer.token);
        let ticket = viewer.ticket.id;
        if tables.by_ticket.get(&ticket) == Some(&id) {
            tables.by_ticket.remove(&ticket);
        }
        drop(tables);
        viewer.state().is_over = true;
        viewer.change(HlsMeter::end);
        let is_over = viewer.live.borrow().epoch.is_none();
        self.meters.gone(id, is_over);
    }

    /// Ends those that have not asked for anything for long.
    pub fn forget_idle(&self, now: Instant) {
        let is_idle = |viewer: &HlsViewer| now.saturating_duration_since(viewer.state().asked) >= IDLE;
        let idle: Vec<_> = {
            let tables = self.tables();
            tables.viewers.values().filter(|viewer| is_idle(viewer)).map(|viewer| viewer.id).collect()
        };
        idle.into_iter().for_each(|id| self.close(id));
    }

    fn with(&self, id: HlsViewerId, change: impl FnOnce(&mut HlsMeter)) {
        let viewer = self.tables().viewers.get(&id).cloned();
        if let Some(viewer) = viewer {
            viewer.change(change);
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Whole between any two operations, also when a holder panicked.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HlsViewer {
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub fn is_over(&self) -> bool {
        self.state().is_over
    }

    fn is_untouched(&self) -> bool {
        let state = self.state();
        !state.is_over && state.meter.is_untouched()
    }

    /// What it watches.
    pub fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// The best rendition that it pays for; `None` before it pays.
    pub fn cap(&self) -> Option<RenditionName> {
        self.state().meter.cap()
    }

    pub fn note_asked(&self) {
        self.state().asked = Instant::now();
    }

    fn change<T>(&self, change: impl FnOnce(&mut HlsMeter) -> T) -> T {
        let changed = change(&mut self.state().meter);
        self.tell();
        changed
    }

    /// Says what is new, and wakes who waits.
    fn tell(&self) {
        // One after the other: what comes later is newer.
        let mut state = self.state();
        for (run, news) in state.meter.news() {
            self.meters.note(self.id, run, news);
        }
        drop(state);
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request for a file; while it waits it has a place among others. Dropped, it waits no longer.
pub struct Asking {
    viewer: Arc<HlsViewer>,
    place: Option<i64>,
}

/// What a request gets.
pub enum Answered {
    Send(Sending),
    Wait,
    Refused(Withheld),
}

impl Asking {
    pub fn new(viewer: &Arc<HlsViewer>) -> Self {
        Self { viewer: Arc::clone(viewer), place: None }
    }

    /// May be asked again after each change.
    pub fn look(&mut self, file: &Extent, has_pictures: bool) -> Answered {
        let mut state = self.viewer.state();
        if state.is_over {
            return Answered::Refused(Withheld::Over);
        }
        let verdict = state.meter.ask(file, has_pictures);
        let leads = matches!(file.track, TrackName::Video(_)) || !has_pictures;
        if verdict == Verdict::Wait && self.place.is_none() && leads {
            self.place = Some(state.meter.queue(file));
        }
        let news = state.meter.news();
        for (run, news) in news {
            self.viewer.meters.note(self.viewer.id, run, news);
        }
        drop(state);
        match verdict {
            Verdict::Wait => Answered::Wait,
            Verdict::Refused(why) => Answered::Refused(why),
            Verdict::Send(passage) => {
                self.leave();
                let viewer = Arc::clone(&self.viewer);
                // Sound may wait for just these pictures.
                viewer.tell();
                Answered::Send(Sending { viewer, passage: Some(passage), is_whole: false })
            }
        }
    }

    fn leave(&mut self) {
        if let Some(place) = self.place.take() {
            self.viewer.change(|meter| meter.leave_queue(place));
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.leave();
        self.viewer.note_asked();
    }
}

/// A file on its way to a viewer. Dropped without [`Sending::done`], it was not delivered.
pub struct Sending {
    viewer: Arc<HlsViewer>,
    passage: Option<Passage>,
    is_whole: bool,
}

impl Sending {
    /// All of it was written.
    pub fn done(mut self) {
        self.is_whole = true;
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let is_whole = self.is_whole;
        if let Some(passage) = self.passage.take() {
            self.viewer.change(|meter| meter.finished(passage, is_whole));
        }
    }
}
