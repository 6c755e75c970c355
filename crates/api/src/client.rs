//! The HTTP client: the one place that builds a request to a node.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::problem::Problem;
use crate::stream::{CreateStream, CreatedStream, StreamInfo};

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
    #[error("the server's answer cannot be used: {0}")]
    BadAnswer(String),
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
        Ok(Self { http: http_client()?, base })
    }

    pub async fn create_stream(&self, request: &CreateStream) -> Result<CreatedStream, ClientError> {
        self.post("/api/v1/streams", request).await
    }

    pub async fn stream(&self, playback_id: &str) -> Result<StreamInfo, ClientError> {
        json(self.http.get(format!("{}/api/v1/streams/{playback_id}", self.base)).send().await?).await
    }

    /// The node's streams, the newest first; a node lists a bounded number.
    pub async fn streams(&self) -> Result<Vec<StreamInfo>, ClientError> {
        json(self.http.get(format!("{}/api/v1/streams", self.base)).send().await?).await
    }

    async fn post<B: Serialize, A: DeserializeOwned>(&self, path: &str, body: &B) -> Result<A, ClientError> {
        json(self.http.post(format!("{}{path}", self.base)).json(body).send().await?).await
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
