//! How often one remote network, or one account, may ask for what costs the node something: so many times in each minute.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::places::network;

const WINDOW: Duration = Duration::from_secs(60);
/// Networks, accounts or keys that are counted at once.
const COUNTED_MAX: usize = 8_192;

pub struct Throttle<Who = IpAddr> {
    per_window: u32,
    beyond: Beyond,
    counted: Mutex<HashMap<Who, Asked>>,
}

/// What becomes of newcomers where as many are counted as can be, until a window is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Beyond {
    Refused,
    /// Anybody makes keys, and must not lock others out by them: something else holds back all of them together.
    NotCounted,
}

struct Asked {
    since: Instant,
    times: u32,
}

/// Asked too often: try again in a minute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooOften;

impl Throttle {
    /// Proxies stand on this machine, and all of their clients come from there: loopback is not counted.
    pub fn pass(&self, from: IpAddr, now: Instant) -> Result<(), TooOften> {
        let network = network(from);
        if network.is_loopback() { Ok(()) } else { self.count(network, now) }
    }
}

impl<Who: Copy + Eq + Hash> Throttle<Who> {
    pub fn new(per_window: u32) -> Self {
        Self { per_window, beyond: Beyond::Refused, counted: Mutex::default() }
    }

    /// Of keys that whoever asks makes as many of as they like.
    pub fn of_keys(per_window: u32) -> Self {
        Self { per_window, beyond: Beyond::NotCounted, counted: Mutex::default() }
    }

    pub fn count(&self, who: Who, now: Instant) -> Result<(), TooOften> {
        // Whole between any two operations, also when a holder panicked.
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() >= COUNTED_MAX && !counted.contains_key(&who) {
            counted.retain(|_, asked| now.saturating_duration_since(asked.since) < WINDOW);
            if counted.len() >= COUNTED_MAX {
                return match self.beyond {
                    Beyond::Refused => Err(TooOften),
                    Beyond::NotCounted => Ok(()),
                };
            }
        }
        let asked = counted.entry(who).or_insert(Asked { since: now, times: 0 });
        if now.saturating_duration_since(asked.since) >= WINDOW {
            *asked = Asked { since: now, times: 0 };
        }
        asked.times += 1;
        if asked.times <= self.per_window { Ok(()) } else { Err(TooOften) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_waits_for_the_next_minute_and_another_does_not() {
        let (throttle, start) = (Throttle::new(3), Instant::now());
        let (one, other) = ("192.0.2.1".parse().unwrap(), "198.51.100.1".parse().unwrap());
        let pass = |from, seconds| throttle.pass(from, start + Duration::from_secs(seconds)).is_ok();
        assert_eq!([0, 1, 2, 3].map(|at| pass(one, at)), [true, true, true, false]);
        assert!(pass(other, 3) && !pass(one, 59) && pass(one, 60));
    }

    #[test]
    fn an_account_waits_wherever_it_asks_from() {
        let (throttle, now) = (Throttle::new(2), Instant::now());
        assert_eq!(
            [1, 1, 2, 1].map(|account: u8| throttle.count(account, now).is_ok()),
            [true, true, true, false]
        );
        assert!(throttle.count(1, now + WINDOW).is_ok());
    }

    #[test]
    fn so_many_keys_that_they_are_not_counted_lock_no_further_one_out() {
        let (keys, networks, now) = (Throttle::of_keys(1), Throttle::new(1), Instant::now());
        let counted = u32::try_from(COUNTED_MAX).unwrap();
        for key in 0..counted {
            assert!(keys.count(key, now).is_ok() && networks.count(key, now).is_ok());
        }
        assert_eq!([0, counted].map(|key| keys.count(key, now)), [Err(TooOften), Ok(())]);
        assert_eq!(networks.count(counted, now), Err(TooOften));
    }

    #[test]
    fn a_subscriber_of_ipv6_is_one_network_and_this_machine_is_none() {
        let (throttle, now) = (Throttle::new(1), Instant::now());
        assert!(throttle.pass("2001:db8:0:1::1".parse().unwrap(), now).is_ok());
        assert!(throttle.pass("2001:db8:0:1::2".parse().unwrap(), now).is_err());
        assert!(throttle.pass("2001:db8:0:2::1".parse().unwrap(), now).is_ok());
        assert!((0..10).all(|_| throttle.pass("127.0.0.1".parse().unwrap(), now).is_ok()));
    }
}
