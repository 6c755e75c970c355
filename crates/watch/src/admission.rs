//! What lets a viewer in to a paid stream, as its player and its pay socket share it. A node keeps tokens in its memory
//! alone: where it no longer knows ours, because it was started anew or we were away too long, the stream is joined again.

use std::sync::{Arc, Mutex, PoisonError};

use api::Joined;
use pay::VerifiedOffer;
use rtc::BoxFuture;
use thiserror::Error;

/// What joining gave.
#[derive(Clone)]
pub struct Admission {
    pub whep_url: String,
    /// `ws` or `wss`.
    pub pay_url: String,
    pub viewer_token: String,
    /// What is asked now, where that may be another offer than before.
    pub offer: Option<VerifiedOffer>,
}

/// Without the token.
impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { whep_url, pay_url, .. } = self;
        f.debug_struct("Admission")
            .field("whep_url", whep_url)
            .field("pay_url", pay_url)
            .finish_non_exhaustive()
    }
}

impl Admission {
    /// `None` where the node named no place to pay at.
    pub fn of(joined: &Joined) -> Option<Self> {
        let (viewer_token, pay_url) = (joined.viewer_token.clone()?, joined.pay_url.clone()?);
        Some(Self { whep_url: joined.whep_url.clone(), pay_url, viewer_token, offer: None })
    }
}

/// Why somebody was not let in again.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum NotAdmitted {
    /// The node is away, or not ready yet: the same may work later.
    #[error("{0}")]
    Later(String),
    /// Asking again is in vain.
    #[error("{0}")]
    Refused(String),
}

/// Joins the same stream again, in the same account's name and with the same channel.
pub trait Rejoin: Send + Sync + 'static {
    /// Asks once; whoever wants it asks again. Dropping it is no harm.
    fn rejoin(&self) -> BoxFuture<'_, Result<Admission, NotAdmitted>>;
}

/// The newest admission, for all who need it.
pub struct Admissions {
    newest: Mutex<Admission>,
    rejoin: Option<Arc<dyn Rejoin>>,
    /// Held by the one who asks: the others get what that brings.
    asking: tokio::sync::Mutex<()>,
}

impl Admissions {
    /// Where the node no longer knows it, that is the end.
    pub fn once(admission: Admission) -> Arc<Self> {
        Self::new(admission, None)
    }

    pub fn renewed_by(admission: Admission, rejoin: Arc<dyn Rejoin>) -> Arc<Self> {
        Self::new(admission, Some(rejoin))
    }

    fn new(admission: Admission, rejoin: Option<Arc<dyn Rejoin>>) -> Arc<Self> {
        Arc::new(Self { newest: Mutex::new(admission), rejoin, asking: tokio::sync::Mutex::new(()) })
    }

    pub fn newest(&self) -> Admission {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One in place of `stale`, which the node did not know, for that reason.
    pub(crate) async fn instead_of(&self, stale: &Admission, why: &str) -> Result<Admission, NotAdmitted> {
        let Some(rejoin) = &self.rejoin else { return Err(NotAdmitted::Refused(why.to_owned())) };
        let _asking = self.asking.lock().await;
        let newest = self.newest();
        if newest.viewer_token != stale.viewer_token {
            return Ok(newest);
        }
        let renewed = rejoin.rejoin().await?;
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = renewed.clone();
        Ok(renewed)
    }
}
