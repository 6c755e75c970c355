//! Deposits that a browser wallet signs, and what it takes back of them. A page with a session key has the node make the
//! transaction, has the wallet sign it, and has the node send it.

use pay::{Amount, ChannelId, ChannelTerms, Signature, UnixMillis};
use serde::{Deserialize, Serialize};

use super::WireHex;

/// `POST /api/pay/funding`, by the session key that logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case", deny_unknown_fields)]
pub enum FundingRequest {
    /// A channel of these terms, for that key at this node.
    Open { terms: WireHex<ChannelTerms>, deposit: Amount, expires_at: UnixMillis },
    /// More for a channel of that key's, from its payer.
    TopUp { channel: ChannelId, by: Amount },
    /// The payer of a channel of that key's closes it alone: its dispute window begins.
    StartClose { channel: ChannelId },
    /// After that window, or after the expiry: the payer takes the rest.
    Close { channel: ChannelId },
}

/// Its answer: what the payer's wallet is to sign, and what the chain takes for it. For each session key the newest waits, for
/// a few minutes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FundingPrepared {
    pub payload: SignerPayload,
    /// In the chain's own unit.
    pub fee: Amount,
}

/// A transaction as browser wallets take it (`SignerPayloadJSON` of polkadot-js), but for `address`, which is whoever is
/// asked to sign. Everything is hexadecimal digits: of bytes as they are encoded, of numbers with the highest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignerPayload {
    pub block_hash: String,
    pub block_number: String,
    pub era: String,
    pub genesis_hash: String,
    /// Pallet, call and arguments.
    pub method: String,
    pub nonce: String,
    pub signed_extensions: Vec<String>,
    pub spec_version: String,
    pub tip: String,
    pub transaction_version: String,
    /// Of the transaction's format.
    pub version: u8,
}

/// `PUT /api/pay/funding`: the payer's signature over what was prepared last. It is taken once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FundingSignature {
    pub signature: Signature,
}

/// Its answer, and that of `GET /api/pay/funding`: what has become of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum FundingState {
    /// The node knows of nothing for that key: there was nothing, or it was started anew since.
    None,
    /// Nobody has signed it yet.
    Prepared,
    /// It is with the chain, and not final.
    Sent,
    /// It is in a final block, and did what it was to do.
    Final,
    /// It did nothing; with the code `unknown` that is not known.
    Failed { code: String, words: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_its_call_and_nothing_that_is_not_known() {
        let text = format!(r#"{{"call":"top_up","channel":"0x{}","by":"300"}}"#, "0a".repeat(32));
        let request: FundingRequest = serde_json::from_str(&text).unwrap();
        let channel = ChannelId([10; 32]);
        assert_eq!(request, FundingRequest::TopUp { channel, by: Amount::new(300) });
        let closes = format!(r#"{{"call":"start_close","channel":"0x{}"}}"#, "0a".repeat(32));
        let request: FundingRequest = serde_json::from_str(&closes).unwrap();
        assert_eq!(request, FundingRequest::StartClose { channel });
        assert!(serde_json::from_str::<FundingRequest>(&text.replace("top_up", "transfer")).is_err());
        assert!(serde_json::from_str::<FundingRequest>(&text.replace("\"by\"", "\"tip\":1,\"by\"")).is_err());
    }

    #[test]
    fn a_state_is_named_and_a_failure_has_words() {
        let said = |state: &FundingState| serde_json::to_string(state).unwrap();
        assert_eq!(said(&FundingState::Sent), r#"{"state":"sent"}"#);
        let failed = FundingState::Failed { code: "unknown".into(), words: "Wait.".into() };
        assert_eq!(said(&failed), r#"{"state":"failed","code":"unknown","words":"Wait."}"#);
    }
}
