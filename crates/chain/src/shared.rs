//! What both rails are made of: one chain, its nodes, its blocks, and the transactions that are on their way.

use std::sync::Arc;
use std::time::Duration;

use codec::Decode as _;
use pay::{AccountId, Amount, AssetId, Genesis, RailInfo, RailKind};
use serde::{Deserialize, Serialize};
use subxt::config::substrate::H256;
use subxt::ext::frame_decode::storage::{IntoDecodableValues, IntoEncodableValues};
use subxt::ext::scale_decode::DecodeAsType;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::blocks::Blocks;
use crate::endpoints::Endpoints;
use crate::events::Reading;
use crate::heads::{self, View};
use crate::link::{Client, Fault, Link};
use crate::nonces::Nonces;
use crate::rail::{BlockRef, Call, RailError, Update};
use crate::submission;
use crate::watching;

/// Updates that wait for a reader; then the rail waits for it.
const UPDATES: usize = 64;

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `wss://…`, or `ws://…` on this machine; the first that answers is used until it fails or falls behind.
    pub endpoints: Vec<String>,
    /// That of the chain that is meant. Without one, the first endpoint's is believed.
    pub genesis: Option<Genesis>,
    pub asset: AssetId,
    /// How long an endpoint may take to answer, in milliseconds.
    pub answer_within_ms: u64,
    /// After how long without a new block other endpoints are asked whether they have one, in milliseconds.
    pub stalled_after_ms: u64,
    /// After how long without a final block a transaction's fate is given up as unknown, in milliseconds.
    pub give_up_after_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            genesis: None,
            asset: AssetId::Native,
            answer_within_ms: 10_000,
            stalled_after_ms: 30_000,
            give_up_after_ms: 300_000,
        }
    }
}

impl Settings {
    pub fn new(endpoints: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { endpoints: endpoints.into_iter().map(Into::into).collect(), ..Self::default() }
    }
}

pub(crate) struct Shared {
    pub info: RailInfo,
    pub blocks: Blocks,
    pub nonces: Nonces,
    pub give_up_after: Duration,
    endpoints: Arc<Endpoints>,
    attempts: usize,
    view: watch::Receiver<View>,
    follower: JoinHandle<()>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl Shared {
    pub async fn connect(settings: Settings, kind: RailKind) -> Result<Arc<Self>, RailError> {
        let patience = Duration::from_millis(settings.answer_within_ms);
        let attempts = settings.endpoints.len();
        let endpoints = Arc::new(Endpoints::new(settings.endpoints, settings.genesis, patience));
        let asset = settings.asset;
        let described = ask_each(&endpoints, attempts, |link| async move {
            let at = link.at(link.finalized().await?).await?;
            if kind == RailKind::Escrow && at.metadata_ref().pallet_by_name("Escrow").is_none() {
                return Ok(None);
            }
            describe(&link, &at, kind, asset).await.map(Some)
        });
        let info = described.await?.ok_or(RailError::Unsupported("the chain has no escrow of channels"))?;
        let (sender, view) = watch::channel(View::Connecting);
        let stall_after = Duration::from_millis(settings.stalled_after_ms);
        let follower = tokio::spawn(heads::follow(endpoints.clone(), sender, stall_after));
        Ok(Arc::new(Self {
            blocks: Blocks::new(Reading { genesis: info.genesis, asset, kind }),
            info,
            nonces: Nonces::default(),
            give_up_after: Duration::from_millis(settings.give_up_after_ms),
            endpoints,
            attempts,
            view,
            follower,
        }))
    }

    pub fn view(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// Asks the endpoint in use, and after a fault the next one, each once.
    pub async fn ask<T, F, A>(&self, question: F) -> Result<T, RailError>
    where
        F: Fn(Arc<Link>) -> A + Send + Sync,
        A: Future<Output = Result<T, Fault>> + Send,
        T: Send,
    {
        ask_each(&self.endpoints, self.attempts, question).await
    }

    pub async fn link(&self) -> Result<Arc<Link>, RailError> {
        self.endpoints.link().await
    }

    /// What the account may spend in the best block without ceasing to be one.
    pub async fn balance(&self, account: AccountId) -> Result<Amount, RailError> {
        let info = &self.info;
        self.ask(|link| async move {
            let at = link.at(link.best().await?).await?;
            let spendable = match info.asset {
                AssetId::Native => native_balance(&at, account, info.existential_deposit).await?,
                AssetId::Asset(id) => asset_balance(&at, account, id, info.existential_deposit).await?,
            };
            Ok(Amount::new(spendable))
        })
        .await
    }

    /// The same in the chain's own unit.
    pub async fn fee_balance(&self, account: AccountId) -> Result<Amount, RailError> {
        self.ask(|link| async move {
            let at = link.at(link.best().await?).await?;
            let least = Amount::new(native_least(&at)?);
            native_balance(&at, account, least).await.map(Amount::new)
        })
        .await
    }

    pub async fn fee(&self, call: &Call, signer: AccountId) -> Result<Amount, RailError> {
        self.ask(|link| async move {
            let transaction = submission::unsigned(&link, self.info.asset, call, signer).await?;
            let mut arguments = transaction.clone();
            arguments.extend(u32::try_from(transaction.len()).map_err(Fault::other)?.to_le_bytes());
            let method = "TransactionPaymentApi_query_info";
            let best = link.best().await?;
            let answer =
                link.ask(link.rpc.state_call(method, Some(&arguments), Some(H256(best.hash)))).await?;
            // Weight (time and size), class, fee.
            type Answer = (codec::Compact<u64>, codec::Compact<u64>, u8, u128);
            let (_, _, _, fee) = Answer::decode(&mut &answer[..]).map_err(Fault::other)?;
            Ok(Amount::new(fee))
        })
        .await
    }

    pub fn watch(self: &Arc<Self>, since: Option<BlockRef>) -> mpsc::Receiver<Update> {
        let (sender, receiver) = mpsc::channel(UPDATES);
        tokio::spawn(watching::watch(self.clone(), since, sender));
        receiver
    }
}

async fn ask_each<T, F, A>(endpoints: &Endpoints, attempts: usize, question: F) -> Result<T, RailError>
where
    F: Fn(Arc<Link>) -> A + Send + Sync,
    A: Future<Output = Result<T, Fault>> + Send,
    T: Send,
{
    let mut last = String::from("there is none");
    for _ in 0..attempts {
        let link = endpoints.link().await?;
        match question(link.clone()).await {
            Ok(answer) => return Ok(answer),
            Err(fault) => {
                last = fault.to_string();
                link.fail();
            }
        }
    }
    Err(RailError::Unreachable(last))
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct AssetDetails {
    min_balance: u128,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct AssetMetadata {
    symbol: Vec<u8>,
    decimals: u8,
}

async fn describe(link: &Link, at: &Client, kind: RailKind, asset: AssetId) -> Result<RailInfo, Fault> {
    let chain = link.ask(link.rpc.system_chain()).await?;
    let (symbol, decimals, existential_deposit) = match asset {
        AssetId::Native => {
            let properties = link.ask(link.rpc.system_properties()).await?;
            // A chain of several tokens lists them, its own first.
            let first = |name: &str| {
                let value = properties.get(name)?;
                Some(value.get(0).unwrap_or(value).clone())
            };
            let symbol = first("tokenSymbol").and_then(|symbol| symbol.as_str().map(str::to_owned));
            let decimals = first("tokenDecimals").and_then(|decimals| u8::try_from(decimals.as_u64()?).ok());
            (symbol.unwrap_or_else(|| "UNIT".into()), decimals.unwrap_or(0), native_least(at)?)
        }
        AssetId::Asset(id) => {
            let details = entry::<_, AssetDetails>(at, "Assets", "Asset", (id,)).await?;
            let details = details.ok_or_else(|| Fault::Other(format!("it has no asset {id}")))?;
            let metadata = entry::<_, AssetMetadata>(at, "Assets", "Metadata", (id,)).await?;
            let metadata = metadata.unwrap_or(AssetMetadata { symbol: Vec::new(), decimals: 0 });
            (String::from_utf8_lossy(&metadata.symbol).into_owned(), metadata.decimals, details.min_balance)
        }
    };
    Ok(RailInfo {
        kind,
        chain,
        genesis: link.genesis(),
        asset,
        symbol,
        decimals,
        existential_deposit: Amount::new(existential_deposit),
    })
}

/// A value of a map; `None` where there is none.
pub(crate) async fn entry<K, V>(at: &Client, pallet: &str, name: &str, keys: K) -> Result<Option<V>, Fault>
where
    K: IntoEncodableValues + IntoDecodableValues + Send + Sync,
    V: DecodeAsType + Send + Sync,
{
    let address = subxt::dynamic::storage::<K, V>(pallet, name);
    let value = at.storage().try_fetch(address, keys).await.map_err(Fault::other)?;
    value.map(|value| value.decode().map_err(Fault::other)).transpose()
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct AccountInfo {
    data: AccountData,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct AccountData {
    free: u128,
    reserved: u128,
    frozen: u128,
}

/// Accounts hold as much of the chain's own unit at least.
fn native_least(at: &Client) -> Result<u128, Fault> {
    let least = subxt::dynamic::constant::<u128>("Balances", "ExistentialDeposit");
    at.constants().entry(least).map_err(Fault::other)
}

async fn native_balance(at: &Client, account: AccountId, least: Amount) -> Result<u128, Fault> {
    let Some(AccountInfo { data }) = entry::<_, AccountInfo>(at, "System", "Account", (account.0,)).await?
    else {
        return Ok(0);
    };
    // What is on hold counts towards what is frozen.
    let kept = data.frozen.saturating_sub(data.reserved).max(least.units());
    Ok(data.free.saturating_sub(kept))
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct AssetAccount {
    balance: u128,
}

async fn asset_balance(at: &Client, account: AccountId, id: u32, least: Amount) -> Result<u128, Fault> {
    let held = entry::<_, AssetAccount>(at, "Assets", "Account", (id, account.0)).await?;
    Ok(held.map_or(0, |held| held.balance.saturating_sub(least.units())))
}
