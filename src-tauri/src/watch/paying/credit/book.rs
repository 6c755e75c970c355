//! What a credit account has transferred and what is on its way, as the wallet keeps it.

use pay::{Amount, UnixMillis};
use serde::{Deserialize, Serialize};

/// A transfer that nobody followed to its end is not waited for any longer: its transaction was good for a few minutes.
const DOUBT_MS: u64 = 3_600_000;

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Book {
    /// In final blocks.
    paid: Amount,
    sending: Vec<Sending>,
    next: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Sending {
    number: u64,
    amount: Amount,
    at: UnixMillis,
}

impl Book {
    pub const fn paid(&self) -> Amount {
        self.paid
    }

    /// What of that total is neither paid nor on its way.
    pub fn due(&self, signed: Amount) -> Amount {
        let sending = self.sending.iter().map(|one| one.amount);
        let covered = sending.fold(self.paid, |sum, one| sum.checked_add(one).unwrap_or(Amount::MAX));
        signed.checked_sub(covered).unwrap_or(Amount::ZERO)
    }

    pub fn begin(&mut self, amount: Amount, now: UnixMillis) -> u64 {
        let number = self.next;
        self.next += 1;
        self.sending.push(Sending { number, amount, at: now });
        number
    }

    pub fn done(&mut self, number: u64) {
        if let Some(one) = self.take(number) {
            self.paid = self.paid.checked_add(one.amount).unwrap_or(Amount::MAX);
        }
    }

    /// It will never be in a block.
    pub fn failed(&mut self, number: u64) {
        self.take(number);
    }

    fn take(&mut self, number: u64) -> Option<Sending> {
        let at = self.sending.iter().position(|one| one.number == number)?;
        Some(self.sending.remove(at))
    }

    /// What became of transfers that nobody followed, by what the node has counted. That it counted more is to our good;
    /// that it counted less than we have seen in final blocks is not believed.
    pub fn resolve(&mut self, counted: Amount, now: UnixMillis) {
        for one in self.sending.clone() {
            let with_it = self.paid.checked_add(one.amount);
            if with_it.is_some_and(|total| total <= counted) {
                self.done(one.number);
            } else if now.millis_since(one.at) >= DOUBT_MS {
                self.failed(one.number);
            }
        }
        self.paid = self.paid.max(counted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn units(units: u128) -> Amount {
        Amount::new(units)
    }

    #[test]
    fn what_is_on_its_way_is_not_due_again_and_what_failed_is() {
        let mut book = Book::default();
        let first = book.begin(units(30), NOW);
        let second = book.begin(units(20), NOW);
        assert_eq!((book.due(units(50)), book.due(units(60))), (units(0), units(10)));
        book.done(first);
        book.failed(second);
        assert_eq!((book.paid(), book.due(units(60))), (units(30), units(30)));
    }

    #[test]
    fn after_a_crash_a_transfer_that_the_node_counted_is_paid_and_another_one_is_in_doubt_for_an_hour() {
        let mut book = Book::default();
        book.begin(units(30), NOW);
        book.begin(units(20), NOW);
        let mut book: Book = serde_json::from_slice(&serde_json::to_vec(&book).unwrap()).unwrap();
        book.resolve(units(30), NOW.plus(1));
        assert_eq!((book.paid(), book.due(units(50))), (units(30), units(0)));
        book.resolve(units(30), NOW.plus(DOUBT_MS));
        assert_eq!((book.paid(), book.due(units(50))), (units(30), units(20)));
    }

    #[test]
    fn a_node_that_counts_less_than_was_paid_gets_nothing_twice() {
        let mut book = Book::default();
        let number = book.begin(units(30), NOW);
        book.done(number);
        book.resolve(units(0), NOW);
        assert_eq!(book.due(units(30)), units(0));
        // Somebody sent money by hand.
        book.resolve(units(40), NOW);
        assert_eq!(book.due(units(50)), units(10));
    }
}
