//! WHEP and WHIP signalling over the HTTP client of `api`.

use api::{ClientError, Resource, SessionClient};
use rtc::{Answer, BoxFuture, Signalling, SignallingError, SignallingSession};

/// Posts offers to one WHEP or WHIP address.
pub struct HttpSignalling(SessionClient);

impl HttpSignalling {
    /// `bearer` is what `Authorization` carries.
    ///
    /// # Errors
    /// When `url` is no http or https address.
    pub fn new(url: &str, bearer: Option<String>) -> Result<Self, SignallingError> {
        SessionClient::new(url, bearer).map(Self).map_err(told)
    }
}

impl Signalling for HttpSignalling {
    fn offer(&self, sdp: String) -> BoxFuture<'_, Result<Answer, SignallingError>> {
        Box::pin(async move {
            let offered = self.0.offer(sdp).await.map_err(told)?;
            let ice_servers = rtc::link::ice_servers(offered.links.iter().map(String::as_str));
            Ok(Answer { sdp: offered.answer_sdp, session: Box::new(Session(offered.resource)), ice_servers })
        })
    }
}

struct Session(Resource);

impl SignallingSession for Session {
    fn patch(&self, fragment: String) -> BoxFuture<'_, Result<Option<String>, SignallingError>> {
        Box::pin(async move { self.0.patch(fragment).await.map_err(told) })
    }

    fn delete(&self) -> BoxFuture<'_, Result<(), SignallingError>> {
        Box::pin(async move { self.0.delete().await.map_err(told) })
    }
}

fn told(err: ClientError) -> SignallingError {
    match err {
        ClientError::Unreachable(err) => SignallingError::Unreachable(err.to_string()),
        ClientError::Refused(problem) => {
            SignallingError::Refused { status: problem.status, reason: problem.to_string() }
        }
        ClientError::PaymentRequired(refused) => {
            SignallingError::Refused { status: refused.problem.status, reason: refused.problem.to_string() }
        }
        ClientError::BadAddress(reason) => SignallingError::BadAddress(reason),
        ClientError::BadAnswer(reason) => SignallingError::BadAnswer(reason),
        // Signalling logs nobody in.
        err @ (ClientError::ForeignChallenge { .. } | ClientError::NotSigned(_)) => {
            SignallingError::BadAnswer(err.to_string())
        }
    }
}
