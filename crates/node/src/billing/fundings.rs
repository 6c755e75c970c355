//! What browser wallets sign: for each page's session key one transaction, from when it was made for it to what became of
//! it. Nothing of it is stored; the node has no account's key, and sends what was signed as it is.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use api::pay::FundingState;
use chain::Unsigned;
use pay::PublicKey;
use thiserror::Error;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::timeout;

/// Nobody looks at a wallet's question for longer, and no chain takes the transaction much later.
const KEPT_FOR: Duration = Duration::from_secs(300);
/// Of all session keys; beyond it the oldest that nobody signed makes room.
const KEPT_MAX: usize = 1_024;
/// On their way at once: each looks into every block.
const SENT_MAX: usize = 128;
/// Made at once: for each the chain is asked some questions.
const MADE_AT_ONCE: usize = 8;
/// Who waits longer for that is refused.
const TURN_WITHIN: Duration = Duration::from_secs(1);
const UNKNOWN: &str = "The chain did not say what became of it. If it took it, this page finds that by itself. No other deposit \
                       is prepared before it is sure that it does not take this one any more.";

/// Why one is not prepared, or not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum NotFunded {
    #[error("another one for this page is on its way")]
    OnItsWay,
    #[error(
        "what became of the last deposit is not known, and it may still be taken for so long: {for_another:?}"
    )]
    Unknown { for_another: Duration },
    #[error("nothing waits for a signature")]
    NothingWaits,
    #[error("another transaction was made for the same key after the one that was signed")]
    Replaced,
    #[error("the signature is not the payer's over the transaction that waits")]
    BadSignature,
    #[error("too many of them wait")]
    Full,
}

/// What became of one that was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    Final,
    /// It did nothing, and never will.
    Failed {
        code: &'static str,
        words: String,
    },
    Unknown,
}

pub struct Fundings<Tx = Unsigned> {
    table: Mutex<Table<Tx>>,
    making: Semaphore,
}

struct Table<Tx> {
    known: HashMap<PublicKey, Funding<Tx>>,
    /// One task for each that was sent; they end when this is dropped.
    sent: JoinSet<(PublicKey, Fate)>,
}

struct Funding<Tx> {
    since: Instant,
    stage: Stage<Tx>,
    /// What waited before it: whoever signs that did so in another tab.
    replaced: Option<Box<Tx>>,
    /// Until then it locks a deposit, if it is sent. What locks nothing has none.
    locks_until: Option<Instant>,
    /// Until then one whose fate is not known may still lock a deposit.
    doubtful_until: Option<Instant>,
}

enum Stage<Tx> {
    Prepared(Box<Tx>),
    Sent(AbortHandle),
    Ended(Fate),
}

impl<Tx> Default for Fundings<Tx> {
    fn default() -> Self {
        let table = Table { known: HashMap::new(), sent: JoinSet::new() };
        Self { table: Mutex::new(table), making: Semaphore::new(MADE_AT_ONCE) }
    }
}

impl<Tx> Fundings<Tx> {
    /// To be held while the chain is asked: strangers take the chain's time for so many at once, wherever they come from.
    pub async fn turn(&self) -> Result<SemaphorePermit<'_>, NotFunded> {
        match timeout(TURN_WITHIN, self.making.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(NotFunded::Full),
        }
    }

    /// It takes the place of what waited for that key's page before, unless that is on its way. It can lock a deposit until
    /// `locks_until`, where it locks any.
    pub fn prepare(
        &self,
        session: PublicKey,
        unsigned: Tx,
        locks_until: Option<Instant>,
        now: Instant,
    ) -> Result<(), NotFunded> {
        let mut table = self.table();
        table.is_free(&session)?;
        if locks_until.is_some() {
            table.may_lock(&session, now)?;
        }
        let before = table.known.remove(&session);
        if before.is_none() && table.known.len() >= KEPT_MAX {
            table.make_room(now)?;
        }
        let doubtful_until = before.as_ref().and_then(|before| before.doubtful_until);
        let replaced = before.and_then(|before| match before.stage {
            Stage::Prepared(unsigned) => Some(unsigned),
            Stage::Sent(_) | Stage::Ended(_) => None,
        });
        let stage = Stage::Prepared(Box::new(unsigned));
        table.known.insert(session, Funding { since: now, stage, replaced, locks_until, doubtful_until });
        Ok(())
    }

    /// Whether something that locks nothing may be prepared for that key.
    pub fn is_free(&self, session: &PublicKey) -> Result<(), NotFunded> {
        self.table().is_free(session)
    }

    /// Whether a deposit may be.
    pub fn may_lock(&self, session: &PublicKey, now: Instant) -> Result<(), NotFunded> {
        let table = self.table();
        table.is_free(session)?;
        table.may_lock(session, now)
    }

    /// Has `send` bring it to the chain, if it waits and is signed. So nothing is sent twice.
    pub fn send<Sending>(
        &self,
        session: PublicKey,
        now: Instant,
        is_signed: impl Fn(&Tx) -> bool,
        send: impl FnOnce(Tx) -> Sending,
    ) -> Result<(), NotFunded>
    where
        Sending: Future<Output = Fate> + Send + 'static,
    {
        let mut table = self.table();
        let Table { known, sent } = &mut *table;
        let Some(funding) = known.get(&session).filter(|funding| !funding.is_old(now)) else {
            return Err(NotFunded::NothingWaits);
        };
        match &funding.stage {
            Stage::Prepared(unsigned) if is_signed(unsigned) => {}
            Stage::Prepared(_) if funding.replaced.as_deref().is_some_and(&is_signed) => {
                return Err(NotFunded::Replaced);
            }
            Stage::Prepared(_) => return Err(NotFunded::BadSignature),
            Stage::Sent(_) => return Err(NotFunded::OnItsWay),
            Stage::Ended(_) => return Err(NotFunded::NothingWaits),
        }
        if sent.len() >= SENT_MAX {
            return Err(NotFunded::Full);
        }
        if let Some(Funding { stage: Stage::Prepared(unsigned), locks_until, doubtful_until, .. }) =
            known.remove(&session)
        {
            let sending = send(*unsigned);
            let stage = Stage::Sent(sent.spawn(async move { (session, sending.await) }));
            let replaced = None;
            known.insert(session, Funding { since: now, stage, replaced, locks_until, doubtful_until });
        }
        Ok(())
    }

    /// What has become of that key's newest one.
    pub fn state(&self, session: &PublicKey) -> FundingState {
        let table = self.table();
        match table.known.get(session).map(|funding| &funding.stage) {
            None => FundingState::None,
            Some(Stage::Prepared(_)) => FundingState::Prepared,
            Some(Stage::Sent(_)) => FundingState::Sent,
            Some(Stage::Ended(fate)) => told(fate),
        }
    }

    /// As it stands now.
    fn table(&self) -> MutexGuard<'_, Table<Tx>> {
        // Whole between any two operations, also when a holder panicked.
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.note_ended();
        table
    }
}

fn told(fate: &Fate) -> FundingState {
    let failed =
        |code: &str, words: &str| FundingState::Failed { code: code.to_owned(), words: words.to_owned() };
    match fate {
        Fate::Final => FundingState::Final,
        Fate::Failed { code, words } => failed(code, words),
        Fate::Unknown => failed("unknown", UNKNOWN),
    }
}

impl<Tx> Table<Tx> {
    fn is_free(&self, session: &PublicKey) -> Result<(), NotFunded> {
        let is_sent = self.known.get(session).is_some_and(Funding::is_sent);
        if is_sent { Err(NotFunded::OnItsWay) } else { Ok(()) }
    }

    fn may_lock(&self, session: &PublicKey, now: Instant) -> Result<(), NotFunded> {
        match self.known.get(session).and_then(|funding| funding.doubt(now)) {
            Some(for_another) => Err(NotFunded::Unknown { for_another }),
            None => Ok(()),
        }
    }

    /// The oldest goes of those that nobody signed, and of those whose end was told long enough.
    fn make_room(&mut self, now: Instant) -> Result<(), NotFunded> {
        let may_go = self.known.iter().filter(|(_, funding)| funding.may_go(now));
        let oldest = may_go.min_by_key(|(_, funding)| funding.since).map(|(session, _)| *session);
        self.known.remove(&oldest.ok_or(NotFunded::Full)?);
        Ok(())
    }

    fn note_ended(&mut self) {
        while let Some(ended) = self.sent.try_join_next_with_id() {
            match ended {
                Ok((_, (session, fate))) => {
                    if let Some(funding) = self.known.get_mut(&session) {
                        funding.end(fate);
                    }
                }
                // It panicked, perhaps after the chain had it.
                Err(error) => {
                    tracing::error!("a task that followed a wallet's transaction failed: {error}");
                    let failed = self.known.values_mut().find(|funding| funding.is_followed_by(error.id()));
                    if let Some(funding) = failed {
                        funding.end(Fate::Unknown);
                    }
                }
            }
        }
    }
}

impl<Tx> Funding<Tx> {
    fn is_sent(&self) -> bool {
        matches!(&self.stage, Stage::Sent(_))
    }

    fn is_followed_by(&self, task: Id) -> bool {
        matches!(&self.stage, Stage::Sent(own) if own.id() == task)
    }

    fn end(&mut self, fate: Fate) {
        if fate == Fate::Unknown {
            self.doubtful_until = self.doubtful_until.max(self.locks_until);
        }
        self.stage = Stage::Ended(fate);
    }

    /// For how long one whose fate is not known may still lock a deposit.
    fn doubt(&self, now: Instant) -> Option<Duration> {
        let left = self.doubtful_until?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    fn may_go(&self, now: Instant) -> bool {
        let may_go = match &self.stage {
            Stage::Prepared(_) => true,
            Stage::Sent(_) => false,
            Stage::Ended(_) => self.is_old(now),
        };
        may_go && self.doubt(now).is_none()
    }

    fn is_old(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= KEPT_FOR
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use pay::KeyScheme;

    use super::*;

    const LIVES: Duration = Duration::from_secs(1_536);

    fn key(number: usize) -> PublicKey {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        PublicKey { scheme: KeyScheme::Ed25519, bytes }
    }

    /// A deposit that is good for as long as most are.
    fn prepare(fundings: &Fundings<u8>, number: usize, tx: u8, now: Instant) -> Result<(), NotFunded> {
        fundings.prepare(key(number), tx, Some(now + LIVES), now)
    }

    /// Signed, and it ends so at once.
    async fn ends(fundings: &Fundings<u8>, number: usize, fate: Fate, now: Instant) {
        fundings.send(key(number), now, |_| true, |_| ready(fate)).unwrap();
        ended(fundings, number).await;
    }

    async fn ended(fundings: &Fundings<u8>, number: usize) {
        let ended = async {
            while fundings.state(&key(number)) == FundingState::Sent {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), ended).await.expect("its task ends, and that is noted");
    }

    fn code(fundings: &Fundings<u8>, number: usize) -> String {
        match fundings.state(&key(number)) {
            FundingState::Failed { code, .. } => code,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn strangers_who_sign_nothing_make_room_for_whoever_comes_and_what_is_sent_does_not() {
        let (fundings, start) = (Fundings::<u8>::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        prepare(&fundings, 0, 0, start).unwrap();
        fundings.send(key(0), start, |_| true, |_| pending()).unwrap();
        for number in 1..KEPT_MAX {
            prepare(&fundings, number, 0, at(1 + u64::from(number != 7))).unwrap();
        }
        // The oldest that nobody signed is the seventh.
        prepare(&fundings, KEPT_MAX, 0, at(3)).unwrap();
        assert_eq!(fundings.state(&key(7)), FundingState::None);
        assert_eq!(fundings.state(&key(0)), FundingState::Sent);
        assert_eq!(fundings.state(&key(KEPT_MAX)), FundingState::Prepared);
        // Who is in it may ask anew, and takes no further place.
        prepare(&fundings, 8, 1, at(3)).unwrap();
        assert_eq!(fundings.state(&key(9)), FundingState::Prepared);
    }

    #[tokio::test]
    async fn what_became_of_one_is_told_for_five_minutes_however_many_come() {
        let (fundings, start) = (Fundings::<u8>::default(), Instant::now());
        prepare(&fundings, 0, 0, start).unwrap();
        ends(&fundings, 0, Fate::Final, start).await;
        for number in 1..=KEPT_MAX {
            prepare(&fundings, number, 0, start + Duration::from_secs(1)).unwrap();
        }
        assert_eq!(fundings.state(&key(0)), FundingState::Final);
        prepare(&fundings, KEPT_MAX + 1, 0, start + KEPT_FOR).unwrap();
        assert_eq!(fundings.state(&key(0)), FundingState::None);
    }

    #[tokio::test]
    async fn the_chain_is_asked_for_so_many_at_once_and_whoever_waits_too_long_is_refused() {
        let fundings = Fundings::<u8>::default();
        let mut turns = Vec::new();
        for _ in 0..MADE_AT_ONCE {
            turns.push(fundings.turn().await.unwrap());
        }
        assert_eq!(fundings.turn().await.err(), Some(NotFunded::Full));
        turns.pop();
        assert!(fundings.turn().await.is_ok());
    }

    #[test]
    fn a_signature_that_comes_after_five_minutes_is_for_nothing() {
        let (fundings, start) = (Fundings::<u8>::default(), Instant::now());
        prepare(&fundings, 0, 0, start).unwrap();
        let sent = fundings.send(key(0), start + KEPT_FOR, |_| true, |_| ready(Fate::Final));
        assert_eq!(sent, Err(NotFunded::NothingWaits));
    }

    #[test]
    fn a_signature_of_an_earlier_one_is_another_tabs() {
        let (fundings, now) = (Fundings::<u8>::default(), Instant::now());
        prepare(&fundings, 0, 1, now).unwrap();
        prepare(&fundings, 0, 2, now).unwrap();
        let sent = |of: u8| fundings.send(key(0), now, |tx| *tx == of, |_| ready(Fate::Final));
        assert_eq!(sent(1), Err(NotFunded::Replaced));
        assert_eq!(sent(3), Err(NotFunded::BadSignature));
    }

    #[tokio::test]
    async fn no_second_deposit_is_prepared_before_it_is_sure_that_the_first_is_not_taken_any_more() {
        let (fundings, start) = (Fundings::<u8>::default(), Instant::now());
        prepare(&fundings, 0, 0, start).unwrap();
        ends(&fundings, 0, Fate::Unknown, start).await;
        assert_eq!(code(&fundings, 0), "unknown");
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let unknown = |for_another| Err(NotFunded::Unknown { for_another });
        assert_eq!(fundings.may_lock(&key(0), start + minute), unknown(LIVES - minute));
        // What takes something back locks nothing, and what is not known is not forgotten for it.
        fundings.prepare(key(0), 1, None, start + minute).unwrap();
        assert_eq!(prepare(&fundings, 0, 2, start + LIVES - second), unknown(second));
        assert_eq!(prepare(&fundings, 0, 2, start + LIVES), Ok(()));
    }

    #[tokio::test]
    async fn what_locks_nothing_leaves_no_doubt() {
        let (fundings, now) = (Fundings::<u8>::default(), Instant::now());
        fundings.prepare(key(0), 0, None, now).unwrap();
        ends(&fundings, 0, Fate::Unknown, now).await;
        assert_eq!((code(&fundings, 0).as_str(), fundings.may_lock(&key(0), now)), ("unknown", Ok(())));
    }

    #[tokio::test]
    async fn of_one_whose_task_panicked_nothing_is_known() {
        let (fundings, now) = (Fundings::<u8>::default(), Instant::now());
        for number in [0, 1] {
            prepare(&fundings, number, 0, now).unwrap();
        }
        fundings.send(key(1), now, |_| true, |_| pending()).unwrap();
        fundings.send(key(0), now, |_| true, |_| async { panic!("as a test has it") }).unwrap();
        ended(&fundings, 0).await;
        assert_eq!((code(&fundings, 0).as_str(), fundings.state(&key(1))), ("unknown", FundingState::Sent));
        assert!(fundings.may_lock(&key(0), now).is_err());
    }

    #[tokio::test]
    async fn what_is_on_its_way_is_not_replaced_and_there_is_only_so_much_of_it() {
        let (fundings, now) = (Fundings::<u8>::default(), Instant::now());
        let send = |number| fundings.send(key(number), now, |_| true, |_| pending());
        for number in 0..=SENT_MAX {
            prepare(&fundings, number, 0, now).unwrap();
            let expected = if number < SENT_MAX { Ok(()) } else { Err(NotFunded::Full) };
            assert_eq!(send(number), expected, "{number}");
        }
        assert_eq!(prepare(&fundings, 0, 1, now), Err(NotFunded::OnItsWay));
        assert_eq!(send(0), Err(NotFunded::OnItsWay));
        assert_eq!(fundings.state(&key(0)), FundingState::Sent);
        assert_eq!(fundings.state(&key(SENT_MAX)), FundingState::Prepared);
        assert_eq!(fundings.state(&key(SENT_MAX + 1)), FundingState::None);
    }
}
