//! Streams as the API shows them.

use pay::Amount;
use serde::{Deserialize, Serialize};

use crate::pay::{OfferInfo, PriceTier};

/// The longest title, in characters.
pub const TITLE_MAX: usize = 255;
/// The longest category, in characters.
pub const CATEGORY_MAX: usize = 100;
/// The longest description, in characters.
pub const DESCRIPTION_MAX: usize = 10_000;

/// `POST /api/v1/streams`, and `POST /api/stream/create`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateStream {
    pub title: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub category: String,
    /// None: the stream is free. With some, the bearer is a creator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prices: Vec<PriceTier>,
}

/// A stream names at most so many recordings.
pub const RECORDINGS_MAX: usize = 100;

/// `POST /api/v1/streams/{playback id}/archive`: the stream is over for good.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveRequest {
    /// Content ids (CIDv1) of what was recorded of it.
    #[serde(default)]
    pub recordings: Vec<String>,
}

/// What the owner of a new stream is told, once: the stream key publishes and is secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedStream {
    pub id: String,
    pub playback_id: String,
    /// The bearer token of WHIP and the last part of the RTMP address.
    pub stream_key: String,
    /// Publish here by WebRTC (RFC 9725), with the stream key as bearer token.
    pub whip_url: String,
    /// Publish here by RTMP; the address holds the stream key.
    pub rtmp_url: String,
    pub whep_url: String,
    pub hls_url: String,
    /// A page for people.
    pub watch_url: String,
    /// Of a paid stream.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<OfferInfo>,
    /// What is in the way of its being paid, in words for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
}

impl std::fmt::Debug for CreatedStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No stream key in any log line: the RTMP address holds it too.
        f.debug_struct("CreatedStream").field("playback_id", &self.playback_id).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamStatus {
    Pending,
    Live,
    Ended,
    Archived,
}

impl StreamStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Live => "live",
            Self::Ended => "ended",
            Self::Archived => "archived",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Live, Self::Ended, Self::Archived].into_iter().find(|s| s.as_str() == text)
    }
}

/// One rendition that a live stream has now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RenditionInfo {
    pub name: String,
    /// In pixels; 0 until the first key frame told it.
    pub width: u32,
    pub height: u32,
    /// Measured over the last seconds.
    pub kbps: f64,
}

/// What anybody may know of a stream: `GET /api/v1/streams/{playback id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamInfo {
    pub playback_id: String,
    pub title: String,
    pub description: String,
    pub category: String,
    pub status: StreamStatus,
    pub viewer_count: u32,
    pub renditions: Vec<RenditionInfo>,
    pub whep_url: String,
    pub hls_url: String,
    /// RFC 3339; absent before the first broadcast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// Whether it is paid for by the second.
    #[serde(default)]
    pub is_paid: bool,
    /// Of a paid stream, lowest tier first; a free one has none, nor has any while the node does not reach its chain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<OfferInfo>,
    /// Of a paid stream: the content id of what it says of itself, which the node serves under `/ipfs/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// What its viewers lack now, and why, in words for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
}

/// One row of `GET /api/v1/earnings`: a stream that was paid for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamEarnings {
    pub playback_id: String,
    pub title: String,
    /// Accounts that have paid.
    pub payers: u64,
    /// That were paid for, by all of them together.
    pub seconds: u64,
    /// Signed for, in smallest units.
    pub earned: Amount,
    /// RFC 3339.
    pub last_paid_at: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_created_stream_keeps_its_key_out_of_logs() {
        let created = CreatedStream {
            id: "1".into(),
            playback_id: "p".into(),
            stream_key: "hunter2".into(),
            whip_url: String::new(),
            rtmp_url: "rtmp://host/live/hunter2".into(),
            whep_url: String::new(),
            hls_url: String::new(),
            watch_url: String::new(),
            offers: Vec::new(),
            notices: Vec::new(),
        };
        assert!(!format!("{created:?}").contains("hunter2"));
    }

    #[test]
    fn an_unknown_field_in_a_request_is_refused() {
        let parsed = serde_json::from_str::<CreateStream>(r#"{"title":"a","titel":"b"}"#);
        assert!(parsed.unwrap_err().to_string().contains("titel"));
    }

    #[test]
    fn every_status_is_found_again_from_its_text() {
        for status in [StreamStatus::Pending, StreamStatus::Live, StreamStatus::Ended, StreamStatus::Archived]
        {
            assert_eq!(StreamStatus::parse(status.as_str()), Some(status));
        }
    }
}
