//! The chain that a command asks, and what it is asked to do.

use std::sync::Arc;

use anyhow::{Context, bail};
use chain::{Call, EscrowRail, Included, Rail, RailError, Settings, TransferRail};
use clap::Args;
use pay::{Amount, AssetId, Genesis, RailInfo};
use wallet::approval::{self, Act};
use wallet::history::{Event, Outcome};
use wallet::{Account, Approved, Unit, Wallet};

use super::ask::{Ask, stranger};
use super::{Shell, now};

#[derive(Args, Debug)]
pub(super) struct ChainAddress {
    /// The chain's address, as in wss://rpc.example; several may be given, for when one fails.
    #[arg(long, required = true, value_name = "URL")]
    chain: Vec<String>,
    /// Refuses any chain but the one with this genesis hash.
    #[arg(long, value_name = "HASH")]
    genesis: Option<Genesis>,
    /// An asset of the assets pallet, by its number, instead of the chain's own.
    #[arg(long, value_name = "NUMBER")]
    asset: Option<u32>,
}

impl ChainAddress {
    fn settings(&self) -> Settings {
        let asset = self.asset.map_or(AssetId::Native, AssetId::Asset);
        Settings { genesis: self.genesis, asset, ..Settings::new(&self.chain) }
    }

    /// Balances and transfers, which every chain has.
    pub(super) async fn money(&self, shell: &Shell) -> anyhow::Result<Chain> {
        let rail = TransferRail::connect(self.settings()).await.context(UNREACHED)?;
        Chain::of(Box::new(rail), shell, NamedBy::Person)
    }

    /// Shows what the chain says of itself, and takes it for that only where somebody has compared it, each time anew: the
    /// address may be a page's.
    pub(super) async fn meet(&self, shell: &Shell) -> anyhow::Result<(RailInfo, Unit)> {
        let rail = TransferRail::connect(self.settings()).await.context(UNREACHED)?;
        let info = rail.info().clone();
        let (ChainUnit::Known(unit) | ChainUnit::Said(unit)) = chain_unit(&shell.wallet, &info)?;
        let mut approval = stranger(&info, &unit);
        approval.title = "A chain to be paid on".to_owned();
        approval.lines.insert(0, ("address", self.chain.join(", ")));
        shell.ask.agree(&approval, "That is the chain")?;
        shell.wallet.know_unit(info.genesis, info.asset, &unit)?;
        Ok((info, unit))
    }

    /// Channels too.
    pub(super) async fn escrow(&self, shell: &Shell) -> anyhow::Result<Chain> {
        Chain::escrow(self.settings(), shell, NamedBy::Person).await
    }
}

/// Who said where the chain is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NamedBy {
    /// Whoever runs this.
    Person,
    /// Who is to be paid.
    Node,
}

/// The unit in which this wallet reads amounts on a chain.
pub(crate) enum ChainUnit {
    Known(Unit),
    /// As the chain's endpoint says, and nobody has compared it.
    Said(Unit),
}

/// An endpoint could claim any number of decimals, and an amount that is typed in would mean a hundred times as much: so what
/// it said the first time holds for ever.
pub(crate) fn chain_unit(wallet: &Wallet, info: &RailInfo) -> anyhow::Result<ChainUnit> {
    let said = Unit::new(&info.symbol, info.decimals);
    let known = wallet.book()?.unit(info.genesis, info.asset, &said)?;
    Ok(known.map_or(ChainUnit::Said(said), ChainUnit::Known))
}

/// Where the endpoint is the node's, the first time is asked for.
pub(crate) fn unit_of(wallet: &Wallet, ask: &Ask, info: &RailInfo, by: NamedBy) -> anyhow::Result<Unit> {
    let said = match chain_unit(wallet, info)? {
        ChainUnit::Known(known) => return Ok(known),
        ChainUnit::Said(said) => said,
    };
    if by == NamedBy::Node {
        ask.trust(info, &said)?;
    }
    wallet.know_unit(info.genesis, info.asset, &said)?;
    Ok(said)
}

const UNREACHED: &str = "the chain that --chain or the node names cannot be used";

pub(super) struct Chain {
    rail: Box<dyn Rail>,
    unit: Unit,
}

impl Chain {
    pub(super) async fn escrow(settings: Settings, shell: &Shell, by: NamedBy) -> anyhow::Result<Self> {
        let rail = EscrowRail::connect(settings).await.context(UNREACHED)?;
        Self::of(Box::new(rail), shell, by)
    }

    fn of(rail: Box<dyn Rail>, shell: &Shell, by: NamedBy) -> anyhow::Result<Self> {
        let unit = unit_of(&shell.wallet, &shell.ask, rail.info(), by)?;
        Ok(Self { rail, unit })
    }

    pub(super) fn rail(&self) -> &dyn Rail {
        &*self.rail
    }

    pub(super) fn info(&self) -> &RailInfo {
        self.rail.info()
    }

    pub(super) fn unit(&self) -> Unit {
        self.unit.clone()
    }

    /// Estimates, asks, signs and sends, and follows it until it is final. What is about to be sent is noted before.
    pub(super) async fn submit(
        &self,
        shell: &Shell,
        account: &Account,
        act: Act,
        call: Call,
    ) -> anyhow::Result<Included> {
        let unit = self.unit();
        if account.public().is_none() {
            bail!("\"{}\" is only watched: its key is elsewhere", account.name.as_str());
        }
        let fee = self.rail.fee(call.clone(), account.account).await.context("the fee is not known")?;
        must_afford(&*self.rail, account, act.amount().unwrap_or(Amount::ZERO), fee, &unit).await?;
        let book = shell.wallet.book()?;
        let context =
            approval::Context { unit: &unit, book: &book, chain: &self.info().chain, fee: Some(fee) };
        shell.ask.approve(&act.approval(&context))?;
        let key = shell.unlock(account)?;
        let (what, amount) = (act.summary(&unit), act.amount());
        let event = |outcome| Event {
            at: now(),
            account: account.account,
            what: what.clone(),
            outcome,
            amount,
            fee: None,
            block: None,
            hash: None,
        };
        shell.wallet.note(&event(Outcome::Sending))?;
        let ended = self.rail.submit(call, Arc::new(Approved::new(key, act))).await;
        let noted = match &ended {
            Ok(included) => Event {
                fee: Some(included.fee),
                block: Some(included.block.number),
                hash: Some(Genesis(included.hash).to_string()),
                ..event(Outcome::Done)
            },
            Err(RailError::Unknown) => event(Outcome::Unknown),
            Err(_) => event(Outcome::Failed),
        };
        shell.wallet.note(&noted)?;
        Ok(ended?)
    }
}

/// Before anything is asked or signed.
pub(crate) async fn must_afford(
    rail: &dyn Rail,
    account: &Account,
    amount: Amount,
    fee: Amount,
    unit: &Unit,
) -> anyhow::Result<()> {
    let balance = rail.balance(account.account).await.context("the balance is not known")?;
    // An asset's fee is paid in the chain's own money, of which this says nothing.
    let fee = if rail.info().asset == AssetId::Native { fee } else { Amount::ZERO };
    let needed = amount.checked_add(fee).context("the amount is larger than any balance")?;
    if needed > balance {
        bail!(
            "\"{}\" has {}, and this needs {} with its fee: send less, or fund {}",
            account.name.as_str(),
            unit.exactly(balance),
            unit.exactly(needed),
            account.address()
        );
    }
    Ok(())
}
