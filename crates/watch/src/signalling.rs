//! WHEP and WHIP signalling over the HTTP client of `api`.

use std::sync::Arc;

use api::{ClientError, Resource, SessionClient, SessionOffered};
use rtc::{Answer, BoxFuture, Signalling, SignallingError, SignallingSession};

use crate::admission::{Admission, Admissions, NotAdmitted};
use crate::quality::Quality;

/// The node does not know the token.
const UNAUTHORIZED: u16 = 401;

/// Posts offers to one WHEP or WHIP address.
pub struct HttpSignalling {
    endpoint: Endpoint,
    quality: Option<Quality>,
}

enum Endpoint {
    One(SessionClient),
    /// Of a paid stream, which may have to be joined again.
    Admitted(Arc<Admissions>),
}

impl HttpSignalling {
    /// `bearer` is what `Authorization` carries.
    ///
    /// # Errors
    /// When `url` is no http or https address.
    pub fn new(url: &str, bearer: Option<String>) -> Result<Self, SignallingError> {
        let endpoint = SessionClient::new(url, bearer).map(Endpoint::One).map_err(told)?;
        Ok(Self { endpoint, quality: None })
    }

    /// Plays what `admissions` lets in to, as long as they do.
    pub fn admitted(admissions: Arc<Admissions>) -> Self {
        Self { endpoint: Endpoint::Admitted(admissions), quality: None }
    }

    /// `quality` hears of each connection.
    #[must_use]
    pub fn with_quality(self, quality: Quality) -> Self {
        Self { quality: Some(quality), ..self }
    }

    async fn post(&self, sdp: String) -> Result<SessionOffered, SignallingError> {
        let admissions = match &self.endpoint {
            Endpoint::One(client) => return client.offer(sdp).await.map_err(told),
            Endpoint::Admitted(admissions) => admissions,
        };
        let admission = admissions.newest();
        match client(&admission)?.offer(sdp.clone()).await {
            Err(ClientError::Refused(problem)) if problem.status == UNAUTHORIZED => {
                let renewed = admissions.instead_of(&admission, &problem.to_string()).await;
                client(&renewed.map_err(not_admitted)?)?.offer(sdp).await.map_err(told)
            }
            answer => answer.map_err(told),
        }
    }
}

fn client(admission: &Admission) -> Result<SessionClient, SignallingError> {
    SessionClient::new(&admission.whep_url, Some(admission.viewer_token.clone())).map_err(told)
}

fn not_admitted(why: NotAdmitted) -> SignallingError {
    match why {
        NotAdmitted::Later(reason) => SignallingError::Unreachable(reason),
        NotAdmitted::Refused(reason) => SignallingError::Refused { status: UNAUTHORIZED, reason },
    }
}

impl Signalling for HttpSignalling {
    fn offer(&self, sdp: String) -> BoxFuture<'_, Result<Answer, SignallingError>> {
        Box::pin(async move {
            let offered = self.post(sdp).await?;
            if let Some(quality) = &self.quality {
                quality.connected(&offered.resource);
            }
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
