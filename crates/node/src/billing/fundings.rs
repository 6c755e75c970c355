//! Deposits that browser wallets sign: for each page's session key one, from the transaction that was made for it to what
//! became of it. Nothing of it is stored; the node has no account's key, and sends what was signed as it is.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use api::pay::FundingState;
use chain::Unsigned;
use pay::PublicKey;
use thiserror::Error;
use tokio::task::{AbortHandle, JoinSet};

/// Nobody looks at a wallet's question for longer, and no chain takes the transaction much later.
const KEPT_FOR: Duration = Duration::from_secs(300);
/// Of all session keys; beyond it newcomers are refused until some are old.
const KEPT_MAX: usize = 1_024;
/// On their way at once: each looks into every block.
const SENT_MAX: usize = 128;

/// Why one is not prepared, or not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum NotFunded {
    #[error("another deposit for this page is on its way")]
    OnItsWay,
    #[error("nothing waits for a signature")]
    NothingWaits,
    #[error("the signature is not the payer's over the transaction that waits")]
    BadSignature,
    #[error("too many deposits wait")]
    Full,
}

pub struct Fundings<Tx = Unsigned> {
    table: Mutex<Table<Tx>>,
}

struct Table<Tx> {
    known: HashMap<PublicKey, Funding<Tx>>,
    /// One task for each that was sent; they end when this is dropped.
    sent: JoinSet<(PublicKey, FundingState)>,
}

struct Funding<Tx> {
    since: Instant,
    stage: Stage<Tx>,
}

enum Stage<Tx> {
    Prepared(Box<Tx>),
    Sent(AbortHandle),
    Ended(FundingState),
}

impl<Tx> Default for Fundings<Tx> {
    fn default() -> Self {
        Self { table: Mutex::new(Table { known: HashMap::new(), sent: JoinSet::new() }) }
    }
}

impl<Tx> Fundings<Tx> {
    /// It takes the place of what waited for that key's page before, unless that is on its way.
    pub fn prepare(&self, session: PublicKey, unsigned: Tx, now: Instant) -> Result<(), NotFunded> {
        let mut table = self.table();
        table.free(&session)?;
        let Table { known, .. } = &mut *table;
        if known.len() >= KEPT_MAX && !known.contains_key(&session) {
            known.retain(|_, funding| funding.is_sent() || !funding.is_old(now));
            if known.len() >= KEPT_MAX {
                return Err(NotFunded::Full);
            }
        }
        known.insert(session, Funding { since: now, stage: Stage::Prepared(Box::new(unsigned)) });
        Ok(())
    }

    /// Whether another one may be prepared for that key.
    pub fn is_free(&self, session: &PublicKey) -> Result<(), NotFunded> {
        self.table().free(session)
    }

    /// Has `send` bring it to the chain, if it waits and is signed. So nothing is sent twice.
    pub fn send<Sending>(
        &self,
        session: PublicKey,
        now: Instant,
        is_signed: impl FnOnce(&Tx) -> bool,
        send: impl FnOnce(Tx) -> Sending,
    ) -> Result<(), NotFunded>
    where
        Sending: Future<Output = FundingState> + Send + 'static,
    {
        let mut table = self.table();
        let Table { known, sent } = &mut *table;
        let Some(funding) = known.get(&session).filter(|funding| !funding.is_old(now)) else {
            return Err(NotFunded::NothingWaits);
        };
        match &funding.stage {
            Stage::Prepared(unsigned) if is_signed(unsigned) => {}
            Stage::Prepared(_) => return Err(NotFunded::BadSignature),
            Stage::Sent(_) => return Err(NotFunded::OnItsWay),
            Stage::Ended(_) => return Err(NotFunded::NothingWaits),
        }
        if sent.len() >= SENT_MAX {
            return Err(NotFunded::Full);
        }
        if let Some(Funding { stage: Stage::Prepared(unsigned), .. }) = known.remove(&session) {
            let sending = send(*unsigned);
            let task = sent.spawn(async move { (session, sending.await) });
            known.insert(session, Funding { since: now, stage: Stage::Sent(task) });
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
            Some(Stage::Ended(state)) => state.clone(),
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

impl<Tx> Table<Tx> {
    fn free(&self, session: &PublicKey) -> Result<(), NotFunded> {
        let is_sent = self.known.get(session).is_some_and(Funding::is_sent);
        if is_sent { Err(NotFunded::OnItsWay) } else { Ok(()) }
    }

    fn note_ended(&mut self) {
        while let Some(ended) = self.sent.try_join_next() {
            let Ok((session, state)) = ended else { continue };
            if let Some(funding) = self.known.get_mut(&session) {
                funding.stage = Stage::Ended(state);
            }
        }
    }
}

impl<Tx> Funding<Tx> {
    /// One whose task panicked is not on its way any more, whatever became of it.
    fn is_sent(&self) -> bool {
        matches!(&self.stage, Stage::Sent(task) if !task.is_finished())
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

    fn key(number: usize) -> PublicKey {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        PublicKey { scheme: KeyScheme::Ed25519, bytes }
    }

    #[test]
    fn strangers_fill_the_table_for_five_minutes_and_no_longer() {
        let (fundings, start) = (Fundings::<u8>::default(), Instant::now());
        for number in 0..KEPT_MAX {
            fundings.prepare(key(number), 0, start).unwrap();
        }
        let late = key(KEPT_MAX);
        assert_eq!(fundings.prepare(late, 0, start), Err(NotFunded::Full));
        assert_eq!(fundings.prepare(key(3), 1, start), Ok(()), "who is in it may ask anew");
        assert_eq!(
            fundings.prepare(late, 0, start + KEPT_FOR - Duration::from_millis(1)),
            Err(NotFunded::Full)
        );
        assert_eq!(fundings.prepare(late, 0, start + KEPT_FOR), Ok(()));
    }

    #[test]
    fn a_signature_that_comes_after_five_minutes_is_for_nothing() {
        let (fundings, start) = (Fundings::<u8>::default(), Instant::now());
        fundings.prepare(key(0), 0, start).unwrap();
        let sent = fundings.send(key(0), start + KEPT_FOR, |_| true, |_| ready(FundingState::Final));
        assert_eq!(sent, Err(NotFunded::NothingWaits));
    }

    #[tokio::test]
    async fn what_is_on_its_way_is_not_replaced_and_there_is_only_so_much_of_it() {
        let (fundings, now) = (Fundings::<u8>::default(), Instant::now());
        let send = |number| fundings.send(key(number), now, |_| true, |_| pending());
        for number in 0..=SENT_MAX {
            fundings.prepare(key(number), 0, now).unwrap();
            let expected = if number < SENT_MAX { Ok(()) } else { Err(NotFunded::Full) };
            assert_eq!(send(number), expected, "{number}");
        }
        assert_eq!(fundings.prepare(key(0), 1, now), Err(NotFunded::OnItsWay));
        assert_eq!(send(0), Err(NotFunded::OnItsWay));
        assert_eq!(fundings.state(&key(0)), FundingState::Sent);
        assert_eq!(fundings.state(&key(SENT_MAX)), FundingState::Prepared);
        assert_eq!(fundings.state(&key(SENT_MAX + 1)), FundingState::None);
    }
}
