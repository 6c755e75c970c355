//! The signalling that WHIP (RFC 9725) and WHEP share: an SDP offer is posted, the answer names a resource,
//! which takes trickled candidates by PATCH and ends by DELETE.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderMap, IF_MATCH, LINK, LOCATION};
use reqwest::{StatusCode, Url};

use crate::client::{ClientError, bounded_body, http_client, refusal};

/// One endpoint that takes offers.
#[derive(Clone)]
pub struct SessionClient {
    http: reqwest::Client,
    endpoint: Url,
    bearer: Option<String>,
}

/// What an accepted offer gave.
#[derive(Clone)]
pub struct SessionOffered {
    pub answer_sdp: String,
    pub resource: Resource,
    /// The `Link` headers as they came; ICE servers are among them (RFC 9725 §4.6).
    pub links: Vec<String>,
}

/// The session at the server, until it is deleted.
#[derive(Clone)]
pub struct Resource {
    http: reqwest::Client,
    url: Url,
    bearer: Option<String>,
    etag: Option<String>,
}

impl SessionClient {
    /// `endpoint` is the whole WHIP or WHEP address, `bearer` what `Authorization` carries.
    pub fn new(endpoint: &str, bearer: Option<String>) -> Result<Self, ClientError> {
        let endpoint = Url::parse(endpoint).map_err(|err| ClientError::BadAddress(err.to_string()))?;
        if !matches!(endpoint.scheme(), "http" | "https") {
            let scheme = endpoint.scheme();
            return Err(ClientError::BadAddress(format!("WHIP and WHEP use http or https, not {scheme}")));
        }
        Ok(Self { http: http_client()?, endpoint, bearer })
    }

    /// Posts `sdp`. Both 201 and 200 count as accepted: servers in use send either.
    pub async fn offer(&self, sdp: String) -> Result<SessionOffered, ClientError> {
        let request = self.http.post(self.endpoint.clone()).header(CONTENT_TYPE, "application/sdp").body(sdp);
        let response = authorized(request, self.bearer.as_deref()).send().await?;
        if !matches!(response.status(), StatusCode::CREATED | StatusCode::OK) {
            return Err(refusal(response).await);
        }
        let headers = response.headers();
        let location = text(headers, &LOCATION)
            .ok_or_else(|| ClientError::BadAnswer("it names no session (no Location header)".into()))?;
        // Relative to what was asked in the end, after redirects.
        let url = response
            .url()
            .join(&location)
            .map_err(|err| ClientError::BadAnswer(format!("its Location is no address: {err}")))?;
        let etag = text(headers, &ETAG);
        let links = headers.get_all(LINK).iter().filter_map(|v| v.to_str().ok().map(str::to_owned)).collect();
        let answer_sdp = String::from_utf8(bounded_body(response).await?)
            .map_err(|_| ClientError::BadAnswer("its SDP is not text".into()))?;
        let resource = Resource { http: self.http.clone(), url, bearer: self.bearer.clone(), etag };
        Ok(SessionOffered { answer_sdp, resource, links })
    }
}

impl Resource {
    /// Sends candidates (RFC 8840 `application/trickle-ice-sdpfrag`); an ICE restart answers with a body.
    pub async fn patch(&self, fragment: String) -> Result<Option<String>, ClientError> {
        let mut request = self
            .http
            .patch(self.url.clone())
            .header(CONTENT_TYPE, "application/trickle-ice-sdpfrag")
            .body(fragment);
        if let Some(etag) = &self.etag {
            request = request.header(IF_MATCH, etag);
        }
        let response = authorized(request, self.bearer.as_deref()).send().await?;
        match response.status() {
            StatusCode::NO_CONTENT => Ok(None),
            StatusCode::OK => String::from_utf8(bounded_body(response).await?)
                .map(Some)
                .map_err(|_| ClientError::BadAnswer("its SDP fragment is not text".into())),
            _ => Err(refusal(response).await),
        }
    }

    /// Asks for a rendition by its name, or `auto`. No part of WHEP: our own node's.
    pub async fn choose_layer(&self, rendition: &str) -> Result<(), ClientError> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/layer", self.url.path()));
        let request = self.http.post(url).json(&serde_json::json!({ "rendition": rendition }));
        let response = authorized(request, self.bearer.as_deref()).send().await?;
        match response.status() {
            status if status.is_success() => Ok(()),
            _ => Err(refusal(response).await),
        }
    }

    /// Ends the session. One that is gone already is no error.
    pub async fn delete(&self) -> Result<(), ClientError> {
        let response = authorized(self.http.delete(self.url.clone()), self.bearer.as_deref()).send().await?;
        match response.status() {
            status if status.is_success() || status == StatusCode::NOT_FOUND => Ok(()),
            _ => Err(refusal(response).await),
        }
    }
}

fn authorized(request: reqwest::RequestBuilder, bearer: Option<&str>) -> reqwest::RequestBuilder {
    match bearer {
        Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
        None => request,
    }
}

fn text(headers: &HeaderMap, name: &reqwest::header::HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
