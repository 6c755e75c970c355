//! Waiting for what an async task sends, on a thread of one's own and by no runtime's clock: a runtime that is shut down
//! waits for this thread, and its clock stands still by then.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use tokio::sync::mpsc::Receiver;

#[derive(PartialEq, Eq, Debug)]
pub(super) enum Next<T> {
    Came(T),
    /// Nothing more will.
    Closed,
    /// Nothing came in time.
    NotYet,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// What comes next, waited for until that instant.
pub(super) fn next_by<T>(events: &mut Receiver<T>, until: Instant) -> Next<T> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match events.poll_recv(&mut context) {
            Poll::Ready(Some(event)) => return Next::Came(event),
            Poll::Ready(None) => return Next::Closed,
            Poll::Pending => {}
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Next::NotYet;
        }
        thread::park_timeout(left);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc::channel;

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn what_is_sent_wakes_whoever_waits_and_an_end_does() {
        let (sender, mut events) = channel(1);
        let waiting = thread::spawn(move || {
            let until = Instant::now() + LONG;
            [next_by(&mut events, until), next_by(&mut events, until), next_by(&mut events, until)]
        });
        sender.blocking_send(1).unwrap();
        sender.blocking_send(2).unwrap();
        drop(sender);
        assert_eq!(waiting.join().unwrap(), [Next::Came(1), Next::Came(2), Next::Closed]);
    }

    #[test]
    fn nothing_is_waited_for_longer_than_until_then() {
        let (_sender, mut events) = channel::<u8>(1);
        let until = Instant::now() + Duration::from_millis(5);
        assert_eq!(next_by(&mut events, until), Next::NotYet);
        assert!(Instant::now() >= until);
        assert_eq!(next_by(&mut events, until), Next::NotYet, "and what is past not at all");
    }
}
