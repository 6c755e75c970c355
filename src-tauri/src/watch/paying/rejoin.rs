//! Joining: until the node has heard of the channel, and again where it has forgotten us, as it has when it was started
//! anew.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ::wallet::{Act, Approved, KeyHandle, SessionKey, SessionLogin};
use ::watch::{Admission, NotAdmitted, Rejoin};
use api::pay::{JoinRequest, Joined, LoggedIn};
use api::{Client, ClientError};
use pay::login::Host;
use pay::{AssetId, Genesis};
use rtc::BoxFuture;

use super::offer::{self, Wanted};
use super::{ASK_AGAIN, KNOWN_WITHIN};
use crate::wallet::now;

/// A node that answers and does not let us in is asked for so long.
const PATIENCE: Duration = Duration::from_secs(120);
const UNAUTHORIZED: u16 = 401;

/// What is joined.
pub(super) struct Seat {
    pub client: Client,
    pub playback_id: String,
    pub request: JoinRequest,
}

impl Seat {
    async fn ask(&self, logged_in: &LoggedIn) -> Result<Joined, ClientError> {
        self.client.join(Some(logged_in), &self.playback_id, &self.request).await
    }

    /// For the first time: a node hears of a new channel by its own chain endpoint.
    pub async fn take(&self, logged_in: &LoggedIn) -> anyhow::Result<Joined> {
        let end = Instant::now() + KNOWN_WITHIN;
        let mut turns = tokio::time::interval(ASK_AGAIN);
        loop {
            turns.tick().await;
            match self.ask(logged_in).await {
                Err(ClientError::PaymentRequired(_)) if Instant::now() < end => {}
                answer => return Ok(answer?),
            }
        }
    }
}

/// By which key it is logged in again. Neither needs a person: the first is the one that pays, the second is at hand
/// only where it pays by transfers.
pub(super) enum Identity {
    Session(Arc<SessionKey>),
    Account(KeyHandle),
}

/// What is taken of the offers that there are then.
pub(super) struct Terms {
    pub genesis: Genesis,
    pub asset: AssetId,
    pub tier: u8,
}

/// How a viewer comes back.
pub(super) struct Return {
    seat: Seat,
    identity: Identity,
    terms: Terms,
    /// As it is asked, not as it calls itself.
    host: Host,
    login: Mutex<Option<LoggedIn>>,
    /// Since when the node has answered and not let us in.
    refused_since: Mutex<Option<Instant>>,
    times: AtomicU32,
}

impl Return {
    pub fn new(seat: Seat, identity: Identity, terms: Terms, host: Host) -> Self {
        let (login, refused_since, times) = (Mutex::default(), Mutex::default(), AtomicU32::new(0));
        Self { seat, identity, terms, host, login, refused_since, times }
    }

    /// How often it was joined again.
    pub fn times(&self) -> u32 {
        self.times.load(Ordering::Relaxed)
    }

    async fn ask(&self) -> Result<Joined, ClientError> {
        let known = lock(&self.login).clone();
        if let Some(login) = known {
            match self.seat.ask(&login).await {
                Err(ClientError::Refused(problem)) if problem.status == UNAUTHORIZED => {}
                answer => return answer,
            }
        }
        let login = self.log_in().await?;
        *lock(&self.login) = Some(login.clone());
        self.seat.ask(&login).await
    }

    async fn log_in(&self) -> Result<LoggedIn, ClientError> {
        let (client, host) = (&self.seat.client, self.host.clone());
        match &self.identity {
            Identity::Session(key) => client.login(&SessionLogin::new(Arc::clone(key), host)).await,
            Identity::Account(key) => client.login(&Approved::new(key.clone(), Act::Login { host })).await,
        }
    }

    fn admission(&self, joined: &Joined) -> Option<Admission> {
        let Terms { genesis, asset, tier } = self.terms;
        let wanted = Wanted { playback_id: &self.seat.playback_id, genesis, asset, tier: Some(tier) };
        let offer = offer::choose(&joined.offers, &wanted, now()).ok();
        Admission::of(joined).map(|admission| Admission { offer, ..admission })
    }

    fn refused(&self, err: &ClientError) -> NotAdmitted {
        let mut since = lock(&self.refused_since);
        if matches!(err, ClientError::Unreachable(_)) {
            *since = None;
        }
        judged(err, since.get_or_insert_with(Instant::now).elapsed())
    }
}

impl Rejoin for Return {
    fn rejoin(&self) -> BoxFuture<'_, Result<Admission, NotAdmitted>> {
        Box::pin(async move {
            let joined = self.ask().await.map_err(|err| self.refused(&err))?;
            let nowhere = || NotAdmitted::Refused("the node names no place to pay at".to_owned());
            let admission = self.admission(&joined).ok_or_else(nowhere)?;
            *lock(&self.refused_since) = None;
            self.times.fetch_add(1, Ordering::Relaxed);
            tracing::info!("the node had forgotten this viewer, and has let it in again");
            Ok(admission)
        })
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an error means that has been answered with for so long.
fn judged(err: &ClientError, lasted: Duration) -> NotAdmitted {
    let patience = match err {
        // Who waits for it to come back gives up by himself.
        ClientError::Unreachable(_) => Duration::MAX,
        // It may not have read the chain yet.
        ClientError::PaymentRequired(_) => KNOWN_WITHIN,
        ClientError::Refused(problem)
            if problem.status >= 500 || matches!(problem.status, 408 | 409 | 425 | 429) =>
        {
            PATIENCE
        }
        ClientError::BadAnswer(_) => PATIENCE,
        ClientError::Refused(_)
        | ClientError::BadAddress(_)
        | ClientError::ForeignChallenge { .. }
        | ClientError::NotSigned(_) => Duration::ZERO,
    };
    if lasted < patience {
        NotAdmitted::Later(err.to_string())
    } else {
        NotAdmitted::Refused(format!("it does not let us in again: {err}"))
    }
}

#[cfg(test)]
mod tests {
    use api::{PaymentRequired, Problem};

    use super::*;

    fn refused(status: u16) -> ClientError {
        ClientError::Refused(Problem::new(status, "a_code", "A title."))
    }

    fn is_later(err: &ClientError, seconds: u64) -> bool {
        matches!(judged(err, Duration::from_secs(seconds)), NotAdmitted::Later(_))
    }

    #[test]
    fn what_may_change_is_waited_for_and_for_a_bounded_time() {
        for status in [409, 425, 429, 500, 502, 503] {
            assert!(is_later(&refused(status), 0) && is_later(&refused(status), 119), "{status}");
            assert!(!is_later(&refused(status), 120), "{status}");
        }
        let problem = Problem::new(402, "payment_required", "A title.");
        let unpaid = ClientError::PaymentRequired(Box::new(PaymentRequired { problem, offers: Vec::new() }));
        assert!(is_later(&unpaid, 59) && !is_later(&unpaid, 60));
    }

    #[test]
    fn what_will_not_change_is_told_at_once() {
        let foreign = ClientError::ForeignChallenge { ours: "here:80".into(), theirs: "there:80".into() };
        for err in [refused(400), refused(401), refused(403), refused(404), foreign] {
            let said = err.to_string();
            assert!(matches!(judged(&err, Duration::ZERO), NotAdmitted::Refused(why) if why.contains(&said)));
        }
    }
}
