//! Calls as a chain's runtime takes them. Fields go by their names, so that their order and numbers may change.

use pay::key::KeyScheme;
use pay::{AccountId, AssetId, PublicKey, Signature, Signed, Voucher};
use subxt::ext::scale_encode::{EncodeAsFields, EncodeAsType, Error, FieldIter};
use subxt::ext::scale_type_resolver::TypeResolver;
use subxt::transactions::DynamicPayload;

use crate::rail::Call;

#[derive(EncodeAsType)]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
pub(crate) enum Bytes<const N: usize> {
    Ed25519([u8; N]),
    Sr25519([u8; N]),
}

impl<const N: usize> Bytes<N> {
    const fn of(scheme: KeyScheme, bytes: [u8; N]) -> Self {
        match scheme {
            KeyScheme::Ed25519 => Self::Ed25519(bytes),
            KeyScheme::Sr25519 => Self::Sr25519(bytes),
        }
    }
}

fn key(key: PublicKey) -> Bytes<32> {
    Bytes::of(key.scheme, key.bytes)
}

fn signature(signature: Signature) -> Bytes<64> {
    Bytes::of(signature.scheme, signature.bytes)
}

#[derive(EncodeAsType)]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
pub(crate) enum Address {
    Id([u8; 32]),
}

#[derive(EncodeAsType)]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
pub(crate) struct SignedVoucher {
    genesis: [u8; 32],
    channel: [u8; 32],
    offer: [u8; 32],
    tick: u64,
    cumulative: u128,
    signature: Bytes<64>,
}

impl From<&Signed<Voucher>> for SignedVoucher {
    fn from(voucher: &Signed<Voucher>) -> Self {
        Self {
            genesis: voucher.body.genesis.0,
            channel: voucher.body.channel.0,
            offer: voucher.body.offer.0,
            tick: voucher.body.tick.0,
            cumulative: voucher.body.cumulative.units(),
            signature: signature(voucher.signature),
        }
    }
}

#[derive(EncodeAsType)]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
pub(crate) struct Open {
    asset: Option<u32>,
    payee: [u8; 32],
    node: Bytes<32>,
    session: Bytes<32>,
    nonce: u64,
    dispute_window_ms: u64,
    deposit: u128,
    expires_at: u64,
}

#[derive(EncodeAsType)]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
pub(crate) struct TopUp {
    channel: [u8; 32],
    by: u128,
}

#[derive(EncodeAsType)]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
pub(crate) struct SettleMany {
    vouchers: Vec<SignedVoucher>,
}

#[derive(EncodeAsType)]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
pub(crate) struct CooperativeClose {
    channel: [u8; 32],
    cumulative: u128,
    session_signature: Bytes<64>,
    node_signature: Bytes<64>,
}

#[derive(EncodeAsType)]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
pub(crate) struct OfChannel {
    channel: [u8; 32],
}

#[derive(EncodeAsType)]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
pub(crate) struct Transfer {
    dest: Address,
    value: u128,
}

#[derive(EncodeAsType)]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
pub(crate) struct TransferAsset {
    id: u32,
    target: Address,
    amount: u128,
}

#[derive(EncodeAsType)]
#[encode_as_type(crate_path = "subxt::ext::scale_encode")]
pub(crate) struct PublishStream {
    stream: [u8; 16],
    metadata: Vec<u8>,
}

pub(crate) enum Fields {
    Open(Open),
    TopUp(TopUp),
    SettleMany(SettleMany),
    CooperativeClose(CooperativeClose),
    OfChannel(OfChannel),
    Transfer(Transfer),
    TransferAsset(TransferAsset),
    PublishStream(PublishStream),
}

impl EncodeAsFields for Fields {
    fn encode_as_fields_to<R: TypeResolver>(
        &self,
        fields: &mut dyn FieldIter<'_, R::TypeId>,
        types: &R,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        match self {
            Self::Open(call) => call.encode_as_fields_to(fields, types, out),
            Self::TopUp(call) => call.encode_as_fields_to(fields, types, out),
            Self::SettleMany(call) => call.encode_as_fields_to(fields, types, out),
            Self::CooperativeClose(call) => call.encode_as_fields_to(fields, types, out),
            Self::OfChannel(call) => call.encode_as_fields_to(fields, types, out),
            Self::Transfer(call) => call.encode_as_fields_to(fields, types, out),
            Self::TransferAsset(call) => call.encode_as_fields_to(fields, types, out),
            Self::PublishStream(call) => call.encode_as_fields_to(fields, types, out),
        }
    }
}

pub(crate) type Payload = DynamicPayload<Fields>;

fn escrow(name: &str, fields: Fields) -> Payload {
    subxt::dynamic::tx("Escrow", name, fields)
}

/// The call, in a rail's `asset` where it moves money.
pub(crate) fn payload(call: &Call, asset: AssetId) -> Payload {
    match call {
        Call::Open { terms, deposit, expires_at } => escrow(
            "open",
            Fields::Open(Open {
                asset: match terms.asset {
                    AssetId::Native => None,
                    AssetId::Asset(id) => Some(id),
                },
                payee: terms.payee.0,
                node: key(terms.node),
                session: key(terms.session),
                nonce: terms.nonce,
                dispute_window_ms: terms.dispute_window_ms,
                deposit: deposit.units(),
                expires_at: expires_at.0,
            }),
        ),
        Call::TopUp { channel, by } => {
            escrow("top_up", Fields::TopUp(TopUp { channel: channel.0, by: by.units() }))
        }
        Call::Settle(vouchers) => {
            let vouchers = vouchers.iter().map(SignedVoucher::from).collect();
            escrow("settle_many", Fields::SettleMany(SettleMany { vouchers }))
        }
        Call::CooperativeClose { session, node } => escrow(
            "cooperative_close",
            Fields::CooperativeClose(CooperativeClose {
                channel: session.body.channel.0,
                cumulative: session.body.cumulative.units(),
                session_signature: signature(session.signature),
                node_signature: signature(node.signature),
            }),
        ),
        Call::StartClose(channel) => {
            escrow("start_close", Fields::OfChannel(OfChannel { channel: channel.0 }))
        }
        Call::Close(channel) => escrow("close", Fields::OfChannel(OfChannel { channel: channel.0 })),
        Call::Transfer { to, amount } => transfer(*to, amount.units(), asset),
        Call::PublishStream { stream, metadata } => escrow(
            "publish_stream",
            Fields::PublishStream(PublishStream { stream: *stream, metadata: metadata.clone() }),
        ),
    }
}

fn transfer(to: AccountId, amount: u128, asset: AssetId) -> Payload {
    let to = Address::Id(to.0);
    match asset {
        AssetId::Native => {
            let fields = Fields::Transfer(Transfer { dest: to, value: amount });
            subxt::dynamic::tx("Balances", "transfer_keep_alive", fields)
        }
        AssetId::Asset(id) => {
            let fields = Fields::TransferAsset(TransferAsset { id, target: to, amount });
            subxt::dynamic::tx("Assets", "transfer_keep_alive", fields)
        }
    }
}
