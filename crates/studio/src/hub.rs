//! Fan-out of encoded packets: each output has a bounded queue and a fate of its own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use media::{Packet, RenditionName};
use tokio::sync::Notify;

/// Two seconds of four renditions at 30 fps with both sound codecs: what an output may fall behind.
const CAPACITY: usize = 512;

/// What a packet belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Lane {
    Video(RenditionName),
    Opus,
    Aac,
}

#[derive(Default)]
struct State {
    packets: VecDeque<(Lane, Packet)>,
    /// Video lanes that wait for their next key frame after a drop.
    broken: BTreeMap<RenditionName, bool>,
    closed: bool,
}

struct Queue {
    /// The hub that it was subscribed through.
    branch: u64,
    lanes: Box<dyn Fn(Lane) -> bool + Send + Sync>,
    state: Mutex<State>,
    ready: Condvar,
    notify: Notify,
    dropped: AtomicU64,
}

impl Queue {
    /// Full: the packet is dropped and counted; a video lane then stays silent until its next key frame,
    /// since nothing before it could be decoded.
    fn push(&self, lane: Lane, packet: &Packet) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let full = state.packets.len() >= CAPACITY;
        if let Lane::Video(name) = lane {
            let broken = state.broken.entry(name).or_insert(false);
            if full {
                *broken = true;
            } else if packet.key {
                *broken = false;
            }
            if *broken {
                drop(state);
                self.dropped.fetch_add(1, Ordering::Relaxed);
                return;
            }
        } else if full {
            drop(state);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.packets.push_back((lane, packet.clone()));
        drop(state);
        self.ready.notify_one();
        self.notify.notify_one();
    }

    fn take(&self) -> Option<Option<(Lane, Packet)>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.packets.pop_front() {
            Some(packet) => Some(Some(packet)),
            None => state.closed.then_some(None),
        }
    }
}

/// One output's end of the hub; dropping it leaves.
pub struct Subscription {
    queue: Arc<Queue>,
    hub: Arc<Mutex<Vec<Arc<Queue>>>>,
}

impl Subscription {
    /// The next packet; `None` at the end of the broadcast.
    pub async fn next(&self) -> Option<(Lane, Packet)> {
        loop {
            // Registered before looking, so that a packet in between wakes it.
            let woken = self.queue.notify.notified();
            if let Some(taken) = self.queue.take() {
                return taken;
            }
            woken.await;
        }
    }

    /// Returns at the end of the broadcast, whatever waits. Not beside [`Subscription::next`].
    pub async fn closed(&self) {
        loop {
            let woken = self.queue.notify.notified();
            if self.queue.state.lock().unwrap_or_else(PoisonError::into_inner).closed {
                return;
            }
            woken.await;
        }
    }

    /// As [`Subscription::next`], for a thread: `Ok(None)` when nothing came within `limit`, `Err` at the end.
    pub fn next_within(&self, limit: Duration) -> Result<Option<(Lane, Packet)>, Ended> {
        let state = self.queue.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = |state: &mut State| state.packets.is_empty() && !state.closed;
        let (mut state, _) = self
            .queue
            .ready
            .wait_timeout_while(state, limit, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        match state.packets.pop_front() {
            Some(packet) => Ok(Some(packet)),
            None if state.closed => Err(Ended),
            None => Ok(None),
        }
    }

    /// Packets that this output was too slow for.
    pub fn dropped(&self) -> u64 {
        self.queue.dropped.load(Ordering::Relaxed)
    }

    /// Throws away what waits, as after a reconnect: it would arrive late.
    pub fn skip_to_now(&self) {
        let mut state = self.queue.state.lock().unwrap_or_else(PoisonError::into_inner);
        let skipped = state.packets.len() as u64;
        state.packets.clear();
        for broken in state.broken.values_mut() {
            *broken = true;
        }
        drop(state);
        self.queue.dropped.fetch_add(skipped, Ordering::Relaxed);
    }
}

/// The broadcast is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended;

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut queues = self.hub.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|queue| !Arc::ptr_eq(queue, &self.queue));
    }
}

/// The hub itself; branches count from there.
const TRUNK: u64 = 0;

/// Takes every packet once and hands it to whoever asked for its lane. Clones are the same hub.
#[derive(Clone, Default)]
pub struct Hub {
    queues: Arc<Mutex<Vec<Arc<Queue>>>>,
    branches: Arc<AtomicU64>,
    branch: u64,
}

impl Hub {
    /// The same packets for some outputs that end together, before the rest: what is subscribed through it
    /// ends when it is closed, or when the whole hub is.
    pub fn branch(&self) -> Self {
        let branch = self.branches.fetch_add(1, Ordering::Relaxed) + 1;
        Self { branch, ..self.clone() }
    }

    pub fn subscribe(&self, lanes: impl Fn(Lane) -> bool + Send + Sync + 'static) -> Subscription {
        let queue = Arc::new(Queue {
            branch: self.branch,
            lanes: Box::new(lanes),
            state: Mutex::default(),
            ready: Condvar::new(),
            notify: Notify::new(),
            dropped: AtomicU64::new(0),
        });
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&queue));
        Subscription { queue, hub: Arc::clone(&self.queues) }
    }

    pub fn publish(&self, lane: Lane, packet: &Packet) {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for queue in queues.iter().filter(|queue| (queue.lanes)(lane)) {
            queue.push(lane, packet);
        }
    }

    /// Ends the broadcast, or this branch of it: outputs finish what they have.
    pub fn close(&self) {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        for queue in queues.iter().filter(|queue| self.branch == TRUNK || queue.branch == self.branch) {
            queue.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
            queue.ready.notify_all();
            queue.notify.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use media::{Timescale, Timestamp};

    use super::*;

    const HIGH: Lane = Lane::Video(RenditionName::High);

    fn packet(number: i64, key: bool) -> Packet {
        let at = Timestamp::new(number, Timescale::VIDEO);
        Packet { pts: at, dts: at, duration_ticks: 1, key, payload: Default::default() }
    }

    fn drain(subscription: &Subscription) -> Vec<i64> {
        std::iter::from_fn(|| subscription.next_within(Duration::ZERO).ok().flatten())
            .map(|(_, p)| p.pts.ticks())
            .collect()
    }

    #[test]
    fn an_output_that_stalls_resumes_at_a_key_frame_and_another_loses_nothing() {
        let hub = Hub::default();
        let slow = hub.subscribe(|lane| lane == HIGH);
        let quick = hub.subscribe(|lane| lane == HIGH);
        let total = CAPACITY as i64 + 40;
        let mut seen = Vec::new();
        for number in 0..total {
            hub.publish(HIGH, &packet(number, number % 30 == 0));
            seen.extend(drain(&quick));
        }
        assert_eq!(seen, (0..total).collect::<Vec<_>>());
        assert_eq!(drain(&slow), (0..CAPACITY as i64).collect::<Vec<_>>());
        // The queue is free again, but what comes now cannot be decoded yet.
        hub.publish(HIGH, &packet(total, false));
        hub.publish(HIGH, &packet(total + 1, true));
        hub.publish(HIGH, &packet(total + 2, false));
        assert_eq!(drain(&slow), [total + 1, total + 2]);
        assert_eq!(slow.dropped(), 41);
        assert_eq!(quick.dropped(), 0);
    }

    #[test]
    fn the_end_comes_after_the_last_packet() {
        let hub = Hub::default();
        let output = hub.subscribe(|_| true);
        hub.publish(Lane::Aac, &packet(1, true));
        hub.close();
        assert!(output.next_within(Duration::ZERO).unwrap().is_some());
        assert_eq!(output.next_within(Duration::from_secs(1)).unwrap_err(), Ended);
    }

    #[test]
    fn a_branch_ends_alone_and_the_whole_hub_ends_every_branch() {
        let hub = Hub::default();
        let (first, second) = (hub.branch(), hub.branch());
        let (ending, going) = (first.subscribe(|_| true), second.subscribe(|_| true));
        first.close();
        hub.publish(HIGH, &packet(1, true));
        assert_eq!(drain(&going), [1]);
        assert_eq!(drain(&ending), [1]);
        assert_eq!(ending.next_within(Duration::ZERO).unwrap_err(), Ended);
        assert!(going.next_within(Duration::ZERO).unwrap().is_none());
        hub.close();
        assert_eq!(going.next_within(Duration::ZERO).unwrap_err(), Ended);
    }

    #[test]
    fn an_output_that_left_holds_nothing() {
        let hub = Hub::default();
        drop(hub.subscribe(|_| true));
        assert!(hub.queues.lock().unwrap().is_empty());
    }
}
