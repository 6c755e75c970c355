//! Places for the connections of one port. Whoever is served keeps its place; one that is not gives it to the next that
//! comes, so that strangers who only hold connections shut nobody out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Room for so many connections.
pub struct Places {
    /// For the log.
    what: &'static str,
    limit: usize,
    /// Of one remote network that is not this machine.
    per_network: usize,
    seats: Mutex<Seats>,
}

#[derive(Default)]
struct Seats {
    /// Counts turns: one for each seat and each time that one is no longer served.
    turn: u64,
    taken: HashMap<u64, Seat>,
    /// Since the start, for the log: that many connections came when there was no free place.
    pressed: u64,
}

struct Seat {
    network: IpAddr,
    /// The turn since which it is not served; `None` while it is.
    idle_since: Option<u64>,
    displaced: Arc<Notify>,
}

/// Every place is taken by connections that are being served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

impl Places {
    pub fn new(what: &'static str, limit: usize, per_network: usize) -> Arc<Self> {
        Arc::new(Self { what, limit, per_network, seats: Mutex::default() })
    }

    pub fn what(&self) -> &'static str {
        self.what
    }

    /// A place for a connection that came from `address`, not served yet. Where there is none left, the connection
    /// that has waited longest loses its own: of the same network, if that has as many as it may have.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Place, Full> {
        let network = network(address);
        let mut seats = self.seats();
        let own = seats.taken.values().filter(|seat| seat.network == network).count();
        let crowds = !network.is_loopback() && own >= self.per_network;
        if crowds || seats.taken.len() >= self.limit {
            seats.pressed += 1;
            if seats.pressed.is_power_of_two() {
                let (pressed, places) = (seats.pressed, self.limit);
                tracing::warn!(
                    pressed,
                    places,
                    one_network = crowds,
                    "no place is free for another {} connection",
                    self.what
                );
            }
            let who = seats.taken.iter().filter(|(_, seat)| !crowds || seat.network == network);
            let waiting = who.filter_map(|(id, seat)| Some((seat.idle_since?, *id)));
            let (_, longest) = waiting.min().ok_or(Full)?;
            if let Some(seat) = seats.taken.remove(&longest) {
                seat.displaced.notify_one();
            }
        }
        seats.turn += 1;
        let (id, displaced) = (seats.turn, Arc::new(Notify::new()));
        let seat = Seat { network, idle_since: Some(id), displaced: Arc::clone(&displaced) };
        seats.taken.insert(id, seat);
        drop(seats);
        Ok(Place { places: Arc::clone(self), id, displaced })
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        // Whole between any two operations, also when a holder panicked.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place; free again when this is dropped.
pub struct Place {
    places: Arc<Places>,
    id: u64,
    displaced: Arc<Notify>,
}

impl Place {
    /// From here on the connection is served, and stays. Not where it has lost its place, nor where fewer than `left`
    /// places would be left to others than those that are served.
    pub fn keep(&self, left: usize) -> bool {
        let mut seats = self.places.seats();
        let others = seats.taken.iter().filter(|(id, seat)| **id != self.id && seat.idle_since.is_none());
        if others.count() + left >= self.places.limit {
            return false;
        }
        let Some(seat) = seats.taken.get_mut(&self.id) else { return false };
        seat.idle_since = None;
        true
    }

    /// It is not served any more, and may lose its place.
    pub fn release(&self) {
        let mut seats = self.places.seats();
        seats.turn += 1;
        let turn = seats.turn;
        if let Some(seat) = seats.taken.get_mut(&self.id) {
            seat.idle_since = Some(turn);
        }
    }

    /// Whether a connection that is served may wait for something, and keep its place meanwhile. A quarter of all places
    /// is left to others, and a quarter of what a network may have to its others.
    pub fn may_wait(&self) -> bool {
        let Places { limit, per_network, .. } = *self.places;
        let seats = self.places.seats();
        let Some(own) = seats.taken.get(&self.id) else { return false };
        let others = || seats.taken.iter().filter(|(id, seat)| **id != self.id && seat.idle_since.is_none());
        let beside = others().filter(|(_, seat)| seat.network == own.network).count();
        let crowds = !own.network.is_loopback() && beside >= waiting(per_network);
        !crowds && others().count() < waiting(limit)
    }

    /// How many places there are in all.
    pub fn of(&self) -> usize {
        self.places.limit
    }

    /// Returns when the place is another's: the connection must end.
    pub async fn displaced(&self) {
        self.displaced.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.seats().taken.remove(&self.id);
    }
}

/// Of so many places, those that may be taken by whoever waits; one at least.
fn waiting(places: usize) -> usize {
    (places - places / 4).max(1)
}

/// What one peer has at its hands: an IPv4 address, or the 64 bits that IPv6 gives to every subscriber.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::{Context, Waker};

    use super::*;

    const HERE: &str = "127.0.0.1";

    fn come(places: &Arc<Places>, from: &str) -> Result<Place, Full> {
        places.enter(from.parse().unwrap())
    }

    fn is_displaced(place: &Place) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        std::pin::pin!(place.displaced()).poll(&mut context).is_ready()
    }

    #[test]
    fn a_newcomer_takes_the_place_of_whoever_waited_longest_and_of_nobody_who_is_served() {
        let places = Places::new("test", 3, 3);
        let held: Vec<_> = (0..3).map(|_| come(&places, HERE).ok().unwrap()).collect();
        assert!(held[0].keep(0));
        let new = come(&places, HERE).ok().unwrap();
        assert_eq!(held.iter().map(is_displaced).collect::<Vec<_>>(), [false, true, false]);
        assert!(!held[1].keep(0), "what is lost is not served");
        // The third, and then the newcomer itself, are the next to go.
        assert!(held[2].keep(0) && new.keep(0));
        assert_eq!(come(&places, HERE).err(), Some(Full));
        held[0].release();
        assert!(come(&places, HERE).is_ok() && is_displaced(&held[0]));
    }

    #[test]
    fn a_place_is_free_when_its_connection_ended() {
        let places = Places::new("test", 1, 1);
        for _ in 0..10 {
            assert!(come(&places, HERE).ok().unwrap().keep(0));
        }
    }

    #[test]
    fn some_may_not_take_the_last_places() {
        let places = Places::new("test", 5, 5);
        let held: Vec<_> = (0..5).map(|_| come(&places, HERE).ok().unwrap()).collect();
        let kept = held.iter().filter(|place| place.keep(2)).count();
        assert_eq!(kept, 3);
        assert!(held[3].keep(0) && held[4].keep(0));
        // Who is served already asks for nothing more.
        assert!(held[4].keep(0));
    }

    #[test]
    fn whoever_waits_leaves_a_quarter_of_all_places_and_of_its_networks_to_others() {
        let places = Places::new("test", 12, 8);
        let served = |from: &str| {
            let place = come(&places, from).ok().unwrap();
            assert!(place.keep(0));
            place
        };
        let crowd: Vec<_> = (0..7).map(|_| served("203.0.113.9")).collect();
        assert_eq!(crowd.iter().filter(|place| place.may_wait()).count(), 0, "six others wait already");
        crowd[0].release();
        assert!(crowd[1..].iter().all(Place::may_wait));
        // Of twelve places nine may be kept by waiting, also by this machine.
        let here: Vec<_> = (0..3).map(|_| served(HERE)).collect();
        assert!(here.iter().all(Place::may_wait));
        let last = served("198.51.100.1");
        assert!(!last.may_wait() && !here[0].may_wait());
        drop(last);
        // There is a place for whoever comes, however long those wait.
        let more: Vec<_> = (0..20).map(|_| come(&places, HERE).ok().unwrap()).collect();
        assert!(!here.iter().chain(&crowd[1..]).any(is_displaced) && is_displaced(&more[0]));
    }

    #[test]
    fn a_network_displaces_its_own_and_this_machine_has_no_limit() {
        let places = Places::new("test", 10, 2);
        let elsewhere = come(&places, "203.0.113.9").ok().unwrap();
        let first = come(&places, "2001:db8:1:2::1").ok().unwrap();
        let second = come(&places, "2001:db8:1:2:ffff::9").ok().unwrap();
        let third = come(&places, "2001:db8:1:2::3").ok().unwrap();
        assert!(is_displaced(&first) && !is_displaced(&elsewhere) && !is_displaced(&second));
        assert!(second.keep(0) && third.keep(0));
        assert_eq!(come(&places, "2001:db8:1:2::4").err(), Some(Full));
        assert!(come(&places, "2001:db8:1:3::4").is_ok());
        let here: Vec<_> = (0..7).map(|_| come(&places, "::ffff:127.0.0.1").ok().unwrap()).collect();
        assert!(!here.iter().any(is_displaced) && !is_displaced(&elsewhere));
    }
}
