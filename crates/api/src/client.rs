//! The HTTP client: the one place that builds a request to a node.

use std::time::Duration;

use pay::{CreditTerms, Delegation, Signature, Signed, Signer};
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::pay::{
    Account, AuditedAct, ChallengeAnswer, ChallengeRequest, CreditAccount, CreditRequest, DelegationRequest,
    FundingPrepared, FundingRequest, FundingSignature, FundingState, JoinRequest, Joined, LoggedIn,
    LoginRequest, OfferInfo, PayInfo, PaymentRequired, PriceTier, PricesRequest, SessionChannel, Signaling,
    WireHex,
};
use crate::problem::Problem;
use crate::stream::{ArchiveRequest, CreateStream, CreatedStream, StreamEarnings, StreamInfo};

/// Encoders and players give up on a signalling request after about this long; so do we.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);
/// No answer of a node's API is larger.
pub(crate) const BODY_MAX: usize = 1 << 20;

#[derive(Debug, Error)]
pub enum ClientError {
    /// Without the address itself: it may hold a key.
    #[error("the address cannot be used: {0}")]
    BadAddress(String),
    #[error("the server could not be reached: {0}")]
    Unreachable(#[source] reqwest::Error),
    #[error("the server refused: {0}")]
    Refused(Problem),
    /// Of a paid stream that nobody can be seen to pay for: what would be taken.
    #[error("the stream is paid for: {}", .0.problem)]
    PaymentRequired(Box<PaymentRequired>),
    #[error("the server's answer cannot be used: {0}")]
    BadAnswer(String),
    /// Signed, it would log somebody else in elsewhere.
    #[error("the server wants a login at {theirs} signed, and was asked at {ours}: do not trust it")]
    ForeignChallenge { ours: String, theirs: String },
    #[error(transparent)]
    NotSigned(#[from] pay::key::SignRefused),
}

impl From<reqwest::Error> for ClientError {
    fn from(err: reqwest::Error) -> Self {
        // The address may hold a stream key.
        Self::Unreachable(err.without_url())
    }
}

/// Calls one node's API.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    /// `base` is scheme, host and port: `http://127.0.0.1:8080`.
    pub fn new(base: impl Into<String>) -> Result<Self, ClientError> {
        let base = base.into().trim_end_matches('/').to_owned();
        let is_base = Url::parse(&base).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !is_base {
            return Err(ClientError::BadAddress("it is to be like http://HOST:8080".to_owned()));
        }
        Ok(Self { http: http_client()?, base })
    }

    pub async fn create_stream(&self, request: &CreateStream) -> Result<CreatedStream, ClientError> {
        json(self.request(Method::POST, "/api/v1/streams", None).json(request).send().await?).await
    }

    /// In a creator's name: of a stream with prices.
    pub async fn create_stream_as(
        &self,
        creator: &LoggedIn,
        request: &CreateStream,
    ) -> Result<CreatedStream, ClientError> {
        let request = self.request(Method::POST, "/api/stream/create", Some(&creator.token)).json(request);
        json(request.send().await?).await
    }

    pub async fn stream(&self, playback_id: &str) -> Result<StreamInfo, ClientError> {
        json(self.http.get(format!("{}/api/v1/streams/{playback_id}", self.base)).send().await?).await
    }

    /// The node's streams, the newest first; a node lists a bounded number.
    pub async fn streams(&self) -> Result<Vec<StreamInfo>, ClientError> {
        json(self.http.get(format!("{}/api/v1/streams", self.base)).send().await?).await
    }

    /// How this node is paid.
    pub async fn pay_info(&self) -> Result<PayInfo, ClientError> {
        json(self.request(Method::GET, "/api/pay", None).send().await?).await
    }

    /// Logs the signer's account in: a challenge is fetched, held against the address that was asked, signed, and sent
    /// back.
    pub async fn login(&self, signer: &(dyn Signer + Sync)) -> Result<LoggedIn, ClientError> {
        let account = signer.public();
        let asked = self.post("/api/login/challenge", None, &ChallengeRequest { account }).await?;
        let ChallengeAnswer { challenge: WireHex(challenge), .. } = asked;
        let (ours, theirs) = (self.host()?, challenge.host.as_str());
        if ours != theirs || challenge.account != account {
            return Err(ClientError::ForeignChallenge { ours, theirs: theirs.to_owned() });
        }
        let Signed { body, signature } = Signed::sign(challenge, signer)?;
        self.post("/api/login", None, &LoginRequest { challenge: WireHex(body), signature }).await
    }

    /// Host and port, as a challenge names them.
    pub fn host(&self) -> Result<String, ClientError> {
        let bad = |reason: &str| ClientError::BadAddress(reason.to_owned());
        let base = Url::parse(&self.base).map_err(|err| ClientError::BadAddress(err.to_string()))?;
        let host = base.host_str().ok_or_else(|| bad("it names no host"))?;
        let port = base.port_or_known_default().ok_or_else(|| bad("it names no port"))?;
        Ok(format!("{host}:{port}"))
    }

    /// Names the node's hot key, in the creator's name.
    pub async fn delegate(
        &self,
        creator: &LoggedIn,
        delegation: &Signed<Delegation>,
    ) -> Result<(), ClientError> {
        let body = DelegationRequest { delegation: WireHex(*delegation) };
        let request = self.request(Method::PUT, "/api/creator/delegation", Some(&creator.token)).json(&body);
        done(request.send().await?).await
    }

    /// Opens the credit account that the payer signed, or asks how it stands.
    pub async fn open_credit(
        &self,
        payer: &LoggedIn,
        opening: &Signed<CreditTerms>,
    ) -> Result<CreditAccount, ClientError> {
        let request = CreditRequest { opening: WireHex(*opening) };
        self.post("/api/pay/credit", Some(&payer.token), &request).await
    }

    /// New prices for a paid stream: new offers, which viewers may take or leave.
    pub async fn set_prices(
        &self,
        creator: &LoggedIn,
        playback_id: &str,
        prices: Vec<PriceTier>,
    ) -> Result<Vec<OfferInfo>, ClientError> {
        let path = format!("/api/stream/{playback_id}/prices");
        let request = self.request(Method::PUT, &path, Some(&creator.token)).json(&PricesRequest { prices });
        json(request.send().await?).await
    }

    /// Over for good; without a login where this machine's own programs made it.
    pub async fn archive(
        &self,
        keeper: Option<&LoggedIn>,
        playback_id: &str,
        request: &ArchiveRequest,
    ) -> Result<StreamInfo, ClientError> {
        let token = keeper.map(|keeper| keeper.token.as_str());
        self.post(&format!("/api/v1/streams/{playback_id}/archive"), token, request).await
    }

    /// Another stream key, with which alone the stream is published from then on.
    pub async fn rotate_key(
        &self,
        keeper: Option<&LoggedIn>,
        playback_id: &str,
    ) -> Result<CreatedStream, ClientError> {
        let token = keeper.map(|keeper| keeper.token.as_str());
        let request = self.request(Method::POST, &format!("/api/v1/streams/{playback_id}/key"), token);
        json(request.send().await?).await
    }

    /// What streams have earned: those of the account that logged in, or, asked from the node's own machine, all of them.
    pub async fn earnings(&self, login: Option<&LoggedIn>) -> Result<Vec<StreamEarnings>, ClientError> {
        let token = login.map(|login| login.token.as_str());
        json(self.request(Method::GET, "/api/v1/earnings", token).send().await?).await
    }

    /// Who the login's account is to the node.
    pub async fn account(&self, login: &LoggedIn) -> Result<Account, ClientError> {
        json(self.request(Method::GET, "/api/me", Some(&login.token)).send().await?).await
    }

    /// What was done there after that row, for its administrators.
    pub async fn acts(&self, admin: &LoggedIn, after: u64) -> Result<Vec<AuditedAct>, ClientError> {
        let path = format!("/api/v1/audit?after={after}");
        json(self.request(Method::GET, &path, Some(&admin.token)).send().await?).await
    }

    /// Joins as a viewer; a paid stream wants a login and a channel, and says in
    /// [`ClientError::PaymentRequired`] what they are for.
    pub async fn join(
        &self,
        viewer: Option<&LoggedIn>,
        playback_id: &str,
        request: &JoinRequest,
    ) -> Result<Joined, ClientError> {
        let token = viewer.map(|viewer| viewer.token.as_str());
        self.post(&format!("/api/stream/{playback_id}/join"), token, request).await
    }

    /// The channels that may be paid from by the session key that logged in.
    pub async fn session_channels(&self, key: &LoggedIn) -> Result<Vec<SessionChannel>, ClientError> {
        json(self.request(Method::GET, "/api/pay/channels", Some(&key.token)).send().await?).await
    }

    /// Has the node make the transaction of a deposit for the session key that logged in, for a wallet to sign.
    pub async fn prepare_funding(
        &self,
        key: &LoggedIn,
        request: &FundingRequest,
    ) -> Result<FundingPrepared, ClientError> {
        self.post("/api/pay/funding", Some(&key.token), request).await
    }

    /// Has the node send it, with the wallet's signature.
    pub async fn sign_funding(
        &self,
        key: &LoggedIn,
        signature: Signature,
    ) -> Result<FundingState, ClientError> {
        let request = self.request(Method::PUT, "/api/pay/funding", Some(&key.token));
        json(request.json(&FundingSignature { signature }).send().await?).await
    }

    /// What has become of it.
    pub async fn funding(&self, key: &LoggedIn) -> Result<FundingState, ClientError> {
        json(self.request(Method::GET, "/api/pay/funding", Some(&key.token)).send().await?).await
    }

    pub async fn signaling(&self, playback_id: &str) -> Result<Signaling, ClientError> {
        let path = format!("/api/stream/{playback_id}/signaling");
        json(self.request(Method::GET, &path, None).send().await?).await
    }

    fn request(&self, method: Method, path: &str, bearer: Option<&str>) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match bearer {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn post<B: Serialize, A: DeserializeOwned>(
        &self,
        path: &str,
        bearer: Option<&str>,
        body: &B,
    ) -> Result<A, ClientError> {
        json(self.request(Method::POST, path, bearer).json(body).send().await?).await
    }
}

pub(crate) fn http_client() -> Result<reqwest::Client, ClientError> {
    Ok(reqwest::Client::builder()
        .timeout(REQUEST_TIMEOUT)
        .redirect(reqwest::redirect::Policy::limited(3))
        .build()?)
}

/// The body, refused as soon as it grows over [`BODY_MAX`].
pub(crate) async fn bounded_body(mut response: reqwest::Response) -> Result<Vec<u8>, ClientError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > BODY_MAX {
            return Err(ClientError::BadAnswer(format!("it is longer than {BODY_MAX} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What a refusal says of itself, or its status where it says nothing.
pub(crate) async fn refusal(response: reqwest::Response) -> ClientError {
    let status = response.status();
    let said = bounded_body(response).await.unwrap_or_default();
    if status == StatusCode::PAYMENT_REQUIRED
        && let Ok(required) = serde_json::from_slice(&said)
    {
        return ClientError::PaymentRequired(Box::new(required));
    }
    ClientError::Refused(serde_json::from_slice(&said).unwrap_or_else(|_| {
        Problem::new(status.as_u16(), "http_status", format!("the server answered {status}"))
    }))
}

async fn json<A: DeserializeOwned>(response: reqwest::Response) -> Result<A, ClientError> {
    if !response.status().is_success() {
        return Err(refusal(response).await);
    }
    serde_json::from_slice(&bounded_body(response).await?)
        .map_err(|err| ClientError::BadAnswer(err.to_string()))
}

async fn done(response: reqwest::Response) -> Result<(), ClientError> {
    if response.status().is_success() { Ok(()) } else { Err(refusal(response).await) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_called_by_host_and_port_whatever_its_address_leaves_out() {
        let host = |base: &str| Client::new(base).unwrap().host().unwrap();
        assert_eq!(host("http://127.0.0.1:8080/"), "127.0.0.1:8080");
        assert_eq!(host("https://Live.Example.org"), "live.example.org:443");
        assert_eq!(host("http://[::1]:80"), "[::1]:80");
        for no_address in ["nowhere", "127.0.0.1:8080", "ftp://node.example", ""] {
            assert!(matches!(Client::new(no_address), Err(ClientError::BadAddress(_))), "{no_address}");
        }
    }
}
