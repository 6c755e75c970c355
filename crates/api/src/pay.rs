//! Paying as the API speaks of it: login, delegation, prices, offers, joining, and the texts of the pay socket. What is
//! signed has its bytes from `pay`, and stands in JSON as their hexadecimal digits.

mod funding;
mod wire_hex;

use pay::login::Host;
use pay::{
    Amount, ChannelId, ChannelTerms, CreditTerms, Delegation, LoginChallenge, Price, PublicKey,
    PublishedOffer, RailInfo, Signature, Signed, UnixMillis,
};
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

pub use funding::{FundingPrepared, FundingRequest, FundingSignature, FundingState, SignerPayload};
pub use wire_hex::{WireHex, hex};

/// The WebSocket subprotocol of `…/pay`.
pub const PAY_SUBPROTOCOL: &str = "tickcast.pay.1";
/// A pay socket is closed with this where the node does not know its viewer token, or no longer: the stream is to be
/// joined again. From the range that applications have (RFC 6455 §7.4.2).
pub const TOKEN_UNKNOWN: u16 = 4_401;
/// The longest `viewerId`, in bytes.
pub const VIEWER_ID_MAX: usize = 255;
/// A stream has at most this many tiers, one for each step of the ladder.
pub const TIERS_MAX: usize = 5;

/// `GET /api/pay`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PayInfo {
    /// `None`: everything here is free.
    pub rail: Option<RailInfo>,
    /// What a creator's delegation and a viewer's channel name.
    pub node_key: PublicKey,
    /// What the node's login challenges name.
    pub host: Host,
    /// WebSocket addresses of the chain.
    pub endpoints: Vec<String>,
    /// A channel whose dispute window is shorter is not served.
    pub dispute_window_ms: u64,
    /// Where vouchers are paid by transfers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<CreditInfo>,
}

/// How far a viewer is trusted where nothing is locked. Amounts are in smallest units.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CreditInfo {
    /// What may be owed to one creator: nothing is sent beyond it.
    pub window: Amount,
    /// The least that is worth a transfer.
    pub least: Amount,
    /// How long a transfer takes until it counts.
    pub finality_s: u64,
}

/// `POST /api/pay/credit`, by the payer: opens a credit account, or asks how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreditRequest {
    pub opening: WireHex<Signed<CreditTerms>>,
}

/// Its answer: a credit account as the node has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CreditAccount {
    pub channel: ChannelId,
    /// The payer's transfers to the payee in the final blocks after this one count.
    pub since: u32,
    pub window: Amount,
    /// Transferred so far, in final blocks.
    pub paid: Amount,
    /// Signed for so far.
    pub accepted: Amount,
}

/// `POST /api/login/challenge`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChallengeRequest {
    pub account: PublicKey,
}

/// Its answer: what a wallet signs, and the same for a person to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeAnswer {
    pub challenge: WireHex<LoginChallenge>,
    pub host: Host,
    pub until: UnixMillis,
}

/// `POST /api/login`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    pub challenge: WireHex<LoginChallenge>,
    pub signature: Signature,
}

/// Who somebody is to this node, until then.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedIn {
    /// Sent as bearer.
    pub token: String,
    pub account: PublicKey,
    pub expires_at: UnixMillis,
}

impl std::fmt::Debug for LoggedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoggedIn").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// What an account may do on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Every account.
    Viewer,
    /// Makes streams, and keeps those that it made.
    Creator,
    /// Keeps every stream, and reads the audit log.
    Admin,
}

/// `GET /api/me`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub account: PublicKey,
    pub roles: Vec<Role>,
    /// Of the login.
    pub expires_at: UnixMillis,
}

/// One row of `GET /api/v1/audit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditedAct {
    /// From 1 on, without a gap.
    pub number: u64,
    pub at: UnixMillis,
    /// Such as `stream.archived`.
    pub act: String,
    /// JSON, byte for byte as it was hashed.
    pub detail: String,
    /// Of this row and the one before, in hexadecimal digits.
    pub hash: String,
}

/// `PUT /api/creator/delegation`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelegationRequest {
    pub delegation: WireHex<Signed<Delegation>>,
}

/// What a creator asks for a second of one tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceTier {
    /// 0 is the lowest of the ladder, 4 the highest: such a viewer is sent nothing above it.
    pub tier: u8,
    /// In smallest units.
    pub price: Price,
    /// 2 to 60.
    pub grace_ticks: u16,
    /// Of the picture, at most.
    pub max_lines: u16,
    pub max_kbps: u32,
}

/// `PUT /api/stream/{id}/prices`, of a stream that was made with prices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PricesRequest {
    pub prices: Vec<PriceTier>,
}

/// An offer that is in force: the signed bytes, and what they say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferInfo {
    pub published: WireHex<PublishedOffer>,
    pub tier: u8,
    pub price: Price,
    pub grace_ticks: u16,
    pub max_lines: u16,
    pub max_kbps: u32,
    pub until: UnixMillis,
}

impl From<PublishedOffer> for OfferInfo {
    fn from(published: PublishedOffer) -> Self {
        let offer = published.offer.body;
        Self {
            tier: offer.quality.tier,
            price: offer.price,
            grace_ticks: offer.grace_ticks,
            max_lines: offer.quality.max_height,
            max_kbps: offer.quality.max_bitrate_kbps,
            until: offer.until,
            published: WireHex(published),
        }
    }
}

/// `POST /api/stream/{id}/join`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    #[serde(rename = "viewerId")]
    pub viewer_id: String,
    /// What a paid stream is paid from: of the account that asks, to the stream's creator, at this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelId>,
}

/// Of `GET /api/pay/channels`: a channel of the session key that the login is of, until it is closed. A page that has only
/// such a key learns by it what a wallet opened for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionChannel {
    pub terms: WireHex<ChannelTerms>,
    pub deposit: Amount,
    /// Signed for, and stored.
    pub spent: Amount,
    pub expires_at: UnixMillis,
    pub standing: ChannelStanding,
    /// From then on its payer alone may take the rest: the end of the dispute window, or the expiry.
    pub closes_at: UnixMillis,
    /// By the clock by which the node judges, which is never behind the chain's.
    pub may_close: bool,
}

/// What a channel is to the page that has its session key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelStanding {
    /// It pays.
    Open,
    /// Both sides agreed to close it: nothing more is paid from it.
    Agreed,
    /// Its payer closes it alone: nothing more is paid from it.
    Closing,
    /// So near to its expiry, or beyond it, that nothing more is paid from it.
    Ending,
}

/// Where to watch. Only a paid stream has a token and a pay socket.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// The bearer of WHEP, and the first word on the pay socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewer_token: Option<String>,
    pub whep_url: String,
    pub hls_url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pay_url: Option<String>,
    #[serde(default)]
    pub offers: Vec<OfferInfo>,
}

impl std::fmt::Debug for Joined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Joined").field("whep_url", &self.whep_url).finish_non_exhaustive()
    }
}

/// `GET /api/stream/{id}/signaling`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signaling {
    pub whep_url: String,
    pub hls_url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pay_url: Option<String>,
    pub ice_servers: Vec<String>,
}

/// A refusal with status 402: what would be taken instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRequired {
    #[serde(flatten)]
    pub problem: Problem,
    pub offers: Vec<OfferInfo>,
}

/// A viewer's first message on the pay socket, as text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaySocketHello {
    pub viewer_token: String,
}

/// What a node says on the pay socket as text; all else is binary, in the messages of `pay`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PaySocketText {
    /// The session's first second begins here: `{"begin":{"tick":17,"rtp_timestamp":123456}}`.
    Begin(SessionBegin),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionBegin {
    pub tick: u64,
    /// Of the viewer's own line; second k of the session is `[k, k + 1)` line seconds later, modulo 2^32. By LL-HLS that of
    /// the media in its files.
    pub rtp_timestamp: u32,
    #[serde(default, skip_serializing_if = "MeteredLine::is_video")]
    pub line: MeteredLine,
    /// By LL-HLS: the same by `EXT-X-PROGRAM-DATE-TIME`, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u64>,
}

/// By whose timestamps a session's seconds are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MeteredLine {
    /// 90 kHz.
    #[default]
    Video,
    /// 48 kHz; of streams without pictures.
    Audio,
}

impl MeteredLine {
    fn is_video(&self) -> bool {
        *self == Self::Video
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_begin_of_a_session_reads_as_agreed() {
        let text = r#"{"begin":{"tick":17,"rtp_timestamp":123456}}"#;
        let line = MeteredLine::Video;
        let begin = SessionBegin { tick: 17, rtp_timestamp: 123_456, line, wall_ms: None };
        assert_eq!(serde_json::from_str::<PaySocketText>(text).unwrap(), PaySocketText::Begin(begin));
        assert_eq!(serde_json::to_string(&PaySocketText::Begin(begin)).unwrap(), text);
        let sound = PaySocketText::Begin(SessionBegin { line: MeteredLine::Audio, ..begin });
        assert!(serde_json::to_string(&sound).unwrap().contains(r#""line":"audio""#));
        let dated = PaySocketText::Begin(SessionBegin { wall_ms: Some(1_800_000_000_123), ..begin });
        assert!(serde_json::to_string(&dated).unwrap().contains(r#""wall_ms":1800000000123"#));
    }

    #[test]
    fn a_price_is_a_decimal_string_and_an_unknown_field_is_refused() {
        let text = r#"{"tier":1,"price":"250","grace_ticks":5,"max_lines":720,"max_kbps":2500}"#;
        let tier: PriceTier = serde_json::from_str(text).unwrap();
        assert_eq!(tier.price.per_tick(), Amount::new(250));
        assert!(serde_json::from_str::<PriceTier>(&text.replace("\"250\"", "250")).is_err());
        assert!(serde_json::from_str::<PriceTier>(&text.replace("tier", "teir")).is_err());
    }

    #[test]
    fn tokens_are_not_debugged() {
        let joined = Joined {
            viewer_token: Some("hunter2".into()),
            whep_url: String::new(),
            hls_url: String::new(),
            pay_url: None,
            offers: Vec::new(),
        };
        assert!(!format!("{joined:?}").contains("hunter2"));
    }
}
