//! Handing blocks to an IPFS node by its HTTP RPC, as Kubo serves it under `/api/v0`.

use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;

use crate::client::{ClientError, bounded_body, http_client, refusal};

/// Between the parts of a form; the blocks that are sent are JSON, and hold no such line.
const BOUNDARY: &str = "tickcast-block-5f1d0f6c2a";

/// One IPFS node.
#[derive(Clone)]
pub struct Ipfs {
    http: reqwest::Client,
    put: Url,
}

#[derive(Deserialize)]
struct Put {
    #[serde(rename = "Key")]
    key: String,
}

impl Ipfs {
    /// `base` is the RPC's scheme, host and port, as in `http://127.0.0.1:5001`.
    ///
    /// # Errors
    /// Where that is no address by HTTP.
    pub fn new(base: &str) -> Result<Self, ClientError> {
        let bad = |reason: String| ClientError::BadAddress(reason);
        let base = Url::parse(base).map_err(|err| bad(err.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(bad(format!(
                "an IPFS node's RPC is reached by http or https, not {}",
                base.scheme()
            )));
        }
        let path = "/api/v0/block/put?cid-codec=raw&mhtype=sha2-256&pin=true";
        Ok(Self { http: http_client()?, put: base.join(path).map_err(|err| bad(err.to_string()))? })
    }

    /// Gives it a block to keep, and returns what it calls it: a CIDv1 in base32.
    ///
    /// # Errors
    /// Where it does not answer, or not with a name.
    pub async fn put(&self, block: &[u8]) -> Result<String, ClientError> {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"data\"; filename=\"block\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        let body = [head.as_bytes(), block, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat();
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let response = self.http.post(self.put.clone()).header(CONTENT_TYPE, kind).body(body).send().await?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let answer = bounded_body(response).await?;
        let put: Put =
            serde_json::from_slice(&answer).map_err(|err| ClientError::BadAnswer(err.to_string()))?;
        Ok(put.key)
    }
}
