//! Viewer tokens: each lets one account watch one paid stream, by one peer and one pay socket at a time.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use pay::{AccountId, UnixMillis};
use uuid::Uuid;

use crate::id::{PlaybackId, session_token};

/// How long a token is good, and for how long one is kept that nobody uses.
const LIFETIME_MS: u64 = 12 * 3_600_000;
const UNUSED_MS: u64 = 120_000;
const TICKETS_MAX: usize = 8_192;
/// Of one account: it has fewer screens than that. Its oldest one that nobody uses makes room for another.
const TICKETS_OF_ONE: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TicketId(pub u64);

/// What a viewer token stands for.
#[derive(Debug)]
pub struct Ticket {
    pub id: TicketId,
    pub account: AccountId,
    pub stream: PlaybackId,
    pub stream_id: Uuid,
    pub payee: AccountId,
    /// The viewer's row.
    pub viewer: Uuid,
    pub until: UnixMillis,
}

#[derive(Default)]
struct Tables {
    by_token: HashMap<String, Entry>,
    next: u64,
}

struct Entry {
    ticket: Arc<Ticket>,
    made: UnixMillis,
}

/// Why there is no further ticket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TicketsFull {
    /// The account watches by each of its own.
    OfAccount,
    OfNode,
}

#[derive(Default)]
pub struct Tickets(Mutex<Tables>);

impl Tickets {
    pub fn issue(
        &self,
        account: AccountId,
        (stream, stream_id): (PlaybackId, Uuid),
        payee: AccountId,
        viewer: Uuid,
        now: UnixMillis,
    ) -> Result<String, TicketsFull> {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever watches holds the ticket, too.
        let is_idle = |entry: &Entry| Arc::strong_count(&entry.ticket) == 1;
        tables.by_token.retain(|_, entry| {
            now < entry.ticket.until && (!is_idle(entry) || now.millis_since(entry.made) < UNUSED_MS)
        });
        let own = tables.by_token.iter().filter(|(_, entry)| entry.ticket.account == account);
        if own.clone().count() >= TICKETS_OF_ONE {
            let oldest = own.filter(|(_, entry)| is_idle(entry)).min_by_key(|(_, entry)| entry.ticket.id);
            let token = oldest.map(|(token, _)| token.clone()).ok_or(TicketsFull::OfAccount)?;
            tables.by_token.remove(&token);
        }
        if tables.by_token.len() >= TICKETS_MAX {
            return Err(TicketsFull::OfNode);
        }
        tables.next += 1;
        let (id, token) = (TicketId(tables.next), session_token());
        let until = now.plus(LIFETIME_MS);
        let ticket = Arc::new(Ticket { id, account, stream, stream_id, payee, viewer, until });
        tables.by_token.insert(token.clone(), Entry { ticket, made: now });
        Ok(token)
    }

    /// `None` where it is no token, or no longer.
    pub fn redeem(&self, token: &str, now: UnixMillis) -> Option<Arc<Ticket>> {
        let tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = tables.by_token.get(token).filter(|entry| now < entry.ticket.until)?;
        Some(Arc::clone(&entry.ticket))
    }
}

/// Of sessions, by their tickets.
pub type ByTicket<T> = BTreeMap<TicketId, T>;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn issue(tickets: &Tickets, account: u8, now: UnixMillis) -> Result<String, TicketsFull> {
        let stream = (PlaybackId::random(), Uuid::new_v4());
        tickets.issue(AccountId([account; 32]), stream, AccountId([9; 32]), Uuid::new_v4(), now)
    }

    #[test]
    fn a_ticket_in_use_stays_and_an_unused_one_makes_room() {
        let tickets = Tickets::default();
        let (used, unused) = (issue(&tickets, 1, NOW).unwrap(), issue(&tickets, 1, NOW).unwrap());
        let held = tickets.redeem(&used, NOW).unwrap();
        let later = NOW.plus(UNUSED_MS);
        issue(&tickets, 2, later).unwrap();
        assert!(tickets.redeem(&used, later).is_some() && tickets.redeem(&unused, later).is_none());
        assert!(tickets.redeem(&used, held.until).is_none());
    }

    #[test]
    fn one_account_has_a_bounded_number() {
        let tickets = Tickets::default();
        let held: Vec<_> = (0..TICKETS_OF_ONE)
            .map(|_| tickets.redeem(&issue(&tickets, 1, NOW).unwrap(), NOW).unwrap())
            .collect();
        assert_eq!(issue(&tickets, 1, NOW), Err(TicketsFull::OfAccount));
        assert!(issue(&tickets, 2, NOW).is_ok());
        drop(held);
    }

    /// An account whose viewer dies again and again comes back as often.
    #[test]
    fn the_oldest_that_an_account_does_not_use_makes_room_for_its_next() {
        let tickets = Tickets::default();
        let other = issue(&tickets, 2, NOW).unwrap();
        let own: Vec<_> = (0..TICKETS_OF_ONE).map(|_| issue(&tickets, 1, NOW).unwrap()).collect();
        let held = tickets.redeem(&own[0], NOW).unwrap();
        let next = issue(&tickets, 1, NOW).unwrap();
        let good = |token: &String| tickets.redeem(token, NOW).is_some();
        assert!(good(&own[0]) && !good(&own[1]) && own[2..].iter().all(good) && good(&next) && good(&other));
        drop(held);
    }
}
