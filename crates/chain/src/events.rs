//! What a block's events say, in the words of a rail: which channels, which transfers, which transaction did what.

use std::collections::BTreeMap;

use pay::key::KeyScheme;
use pay::{
    AccountId, Amount, AssetId, ChannelEvent, ChannelId, ChannelTerms, Genesis, PublicKey, RailKind,
    UnixMillis,
};
use subxt::SubstrateConfig;
use subxt::error::{DispatchError, TokenError};
use subxt::events::{Event, Events, Phase};
use subxt::ext::scale_decode::DecodeAsType;
use subxt::metadata::ArcMetadata;

use crate::link::Fault;
use crate::rail::{ChannelNews, News, RailError, SettleRefused, TransferNews};

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub(crate) enum Key {
    Ed25519([u8; 32]),
    Sr25519([u8; 32]),
}

impl From<Key> for PublicKey {
    fn from(key: Key) -> Self {
        match key {
            Key::Ed25519(bytes) => Self { scheme: KeyScheme::Ed25519, bytes },
            Key::Sr25519(bytes) => Self { scheme: KeyScheme::Sr25519, bytes },
        }
    }
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub(crate) struct Terms {
    asset: Option<u32>,
    payer: [u8; 32],
    payee: [u8; 32],
    node: Key,
    session: Key,
    nonce: u64,
    dispute_window_ms: u64,
}

impl Terms {
    pub fn on(self, genesis: Genesis) -> ChannelTerms {
        ChannelTerms {
            genesis,
            asset: self.asset.map_or(AssetId::Native, AssetId::Asset),
            payer: AccountId(self.payer),
            payee: AccountId(self.payee),
            node: self.node.into(),
            session: self.session.into(),
            nonce: self.nonce,
            dispute_window_ms: self.dispute_window_ms,
        }
    }
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct Opened {
    channel: [u8; 32],
    terms: Terms,
    deposit: u128,
    expires_at: u64,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct ToppedUp {
    channel: [u8; 32],
    deposit: u128,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct Settled {
    channel: [u8; 32],
    cumulative: u128,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct ClosingStarted {
    channel: [u8; 32],
    closes_at: u64,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct Closed {
    channel: [u8; 32],
    paid: u128,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct OfChannel {
    channel: [u8; 32],
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct Transferred {
    from: [u8; 32],
    to: [u8; 32],
    amount: u128,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct AssetTransferred {
    asset_id: u32,
    from: [u8; 32],
    to: [u8; 32],
    amount: u128,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct FeePaid {
    actual_fee: u128,
}

/// What one transaction did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Effects {
    pub news: News,
    pub refused: Vec<SettleRefused>,
    pub fee: Amount,
    pub failure: Option<Failure>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    TooLittle(String),
    Refused(String),
}

impl From<Failure> for RailError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::TooLittle(text) => Self::TooLittle(text),
            Failure::Refused(text) => Self::Refused(text),
        }
    }
}

/// By the transaction's place in the block; what no transaction did is under `None`.
pub(crate) type ByTransaction = BTreeMap<Option<u32>, Effects>;

/// Which events are a rail's.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    pub genesis: Genesis,
    pub asset: AssetId,
    /// Channels are the escrow's alone, on whatever chain.
    pub kind: RailKind,
}

impl Reading {
    pub fn read(
        self,
        events: &Events<SubstrateConfig>,
        metadata: &ArcMetadata,
    ) -> Result<(News, ByTransaction), Fault> {
        let mut all = News::default();
        let mut each = ByTransaction::new();
        for event in events.iter() {
            let event = event.map_err(Fault::other)?;
            let place = match event.phase() {
                Phase::ApplyExtrinsic(at) => Some(at),
                Phase::Finalization | Phase::Initialization => None,
            };
            let effects = each.entry(place).or_default();
            let before = (effects.news.channels.len(), effects.news.transfers.len());
            self.note(&event, metadata, effects)?;
            // In the order of the block over all transactions.
            all.channels.extend_from_slice(&effects.news.channels[before.0..]);
            all.transfers.extend_from_slice(&effects.news.transfers[before.1..]);
        }
        Ok((all, each))
    }

    fn note(
        self,
        event: &Event<'_, SubstrateConfig>,
        metadata: &ArcMetadata,
        effects: &mut Effects,
    ) -> Result<(), Fault> {
        match (event.pallet_name(), event.event_name()) {
            ("Escrow", name) if self.kind == RailKind::Escrow => {
                if let Some(news) = self.channel_news(event, name)? {
                    effects.news.channels.push(news);
                } else if name == "SettleRefused" {
                    let OfChannel { channel } = decode(event)?;
                    // The error is what comes after the channel.
                    let reason = failure(event.field_bytes().get(32..).unwrap_or_default(), metadata)?;
                    let (Failure::TooLittle(reason) | Failure::Refused(reason)) = reason;
                    effects.refused.push(SettleRefused { channel: ChannelId(channel), reason });
                }
            }
            ("Balances", "Transfer") if self.asset == AssetId::Native => {
                let Transferred { from, to, amount } = decode(event)?;
                effects.news.transfers.push(transfer(from, to, amount));
            }
            ("Assets", "Transferred") => {
                let AssetTransferred { asset_id, from, to, amount } = decode(event)?;
                if self.asset == AssetId::Asset(asset_id) {
                    effects.news.transfers.push(transfer(from, to, amount));
                }
            }
            ("TransactionPayment", "TransactionFeePaid") => {
                let FeePaid { actual_fee } = decode(event)?;
                effects.fee = Amount::new(actual_fee);
            }
            ("System", "ExtrinsicFailed") => {
                effects.failure = Some(failure(event.field_bytes(), metadata)?);
            }
            _ => {}
        }
        Ok(())
    }

    fn channel_news(
        self,
        event: &Event<'_, SubstrateConfig>,
        name: &str,
    ) -> Result<Option<ChannelNews>, Fault> {
        let mut terms = None;
        let (channel, event) = match name {
            "Opened" => {
                let opened: Opened = decode(event)?;
                terms = Some(opened.terms.on(self.genesis));
                let deposit = Amount::new(opened.deposit);
                (opened.channel, ChannelEvent::Opened { deposit, expires_at: UnixMillis(opened.expires_at) })
            }
            "ToppedUp" => {
                let ToppedUp { channel, deposit } = decode(event)?;
                (channel, ChannelEvent::ToppedUp { deposit: Amount::new(deposit) })
            }
            "Settled" => {
                let Settled { channel, cumulative } = decode(event)?;
                (channel, ChannelEvent::Settled { cumulative: Amount::new(cumulative) })
            }
            "ClosingStarted" => {
                let ClosingStarted { channel, closes_at } = decode(event)?;
                (channel, ChannelEvent::ClosingStarted { closes_at: UnixMillis(closes_at) })
            }
            "Closed" => {
                let Closed { channel, paid } = decode(event)?;
                (channel, ChannelEvent::Closed { paid: Amount::new(paid) })
            }
            _ => return Ok(None),
        };
        Ok(Some(ChannelNews { channel: ChannelId(channel), event, terms }))
    }
}

fn decode<T: subxt::ext::scale_decode::DecodeAsFields>(
    event: &Event<'_, SubstrateConfig>,
) -> Result<T, Fault> {
    event.decode_fields_unchecked_as().map_err(Fault::other)
}

fn transfer(from: [u8; 32], to: [u8; 32], amount: u128) -> TransferNews {
    TransferNews { from: AccountId(from), to: AccountId(to), amount: Amount::new(amount) }
}

fn failure(bytes: &[u8], metadata: &ArcMetadata) -> Result<Failure, Fault> {
    let error = DispatchError::decode_from(bytes, metadata.clone()).map_err(Fault::other)?;
    let text = match &error {
        DispatchError::Module(error) => error.details_string(),
        error => error.to_string(),
    };
    let too_little = match &error {
        DispatchError::Token(error) => {
            matches!(error, TokenError::FundsUnavailable | TokenError::OnlyProvider)
        }
        DispatchError::Module(_) => {
            ["InsufficientBalance", "BalanceLow"].iter().any(|name| text.ends_with(name))
        }
        _ => false,
    };
    Ok(if too_little { Failure::TooLittle(text) } else { Failure::Refused(text) })
}
