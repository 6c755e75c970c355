//! Balances, transfers, what was sent, and what watching may cost.

use anyhow::bail;
use chain::Call;
use clap::Args;
use pay::Amount;
use serde_json::{Value, json};
use wallet::approval::Act;
use wallet::history::Outcome;
use wallet::{Account, Address, Caps, Shelf, Unit, calendar};

use super::Shell;
use super::chain_link::ChainAddress;
use super::report::table;

#[derive(Args, Debug)]
pub(super) struct Balance {
    /// Name or address; all of them where none is given.
    account: Option<String>,
    #[command(flatten)]
    chain: ChainAddress,
}

#[derive(Args, Debug)]
pub(super) struct Send {
    /// From which account: name or address.
    account: String,
    /// An address, or a name of the address book.
    to: String,
    /// In units, as in 1.5.
    amount: String,
    /// The amount is in smallest units.
    #[arg(long)]
    smallest_units: bool,
    #[command(flatten)]
    chain: ChainAddress,
}

#[derive(Args, Debug)]
pub(super) struct History {
    /// Name or address; all of them where none is given.
    account: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct SetCaps {
    /// In units, between the beginning and the end of watching; "none" for no cap.
    #[arg(long, value_name = "AMOUNT")]
    per_session: Option<String>,
    /// In units, to one creator, over all times.
    #[arg(long, value_name = "AMOUNT")]
    per_creator: Option<String>,
    /// In units, in a day (UTC), to all creators.
    #[arg(long, value_name = "AMOUNT")]
    per_day: Option<String>,
    #[command(flatten)]
    chain: ChainAddress,
}

/// What a chain is and how its amounts are read, once somebody has compared it.
pub(super) async fn meet(shell: &Shell, chain: &ChainAddress) -> anyhow::Result<()> {
    let (info, unit) = chain.meet(shell).await?;
    let text = format!("\"{}\" is known, and counts in {}.", info.chain, unit.symbol());
    let json = json!({
        "chain": info.chain, "genesis": info.genesis, "symbol": unit.symbol(), "decimals": unit.decimals(),
    });
    shell.report.done(&json, &text);
    Ok(())
}

pub(super) async fn balance(shell: &Shell, options: &Balance) -> anyhow::Result<()> {
    let accounts = match &options.account {
        Some(account) => vec![shell.wallet.account(account)?],
        None => shell.wallet.accounts()?,
    };
    let chain = options.chain.money(shell).await?;
    let unit = chain.unit();
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for account in accounts {
        let free = chain.rail().balance(account.account).await?;
        let address = account.address().to_string();
        values.push(json!({
            "name": account.name, "address": address, "free": free,
            "symbol": unit.symbol(), "decimals": unit.decimals(), "genesis": chain.info().genesis,
        }));
        let amount = format!("{} {}", unit.decimal(free), unit.symbol());
        rows.push([account.name.as_str().to_owned(), amount, free.to_string(), address]);
    }
    let mut text = table(["name", "free", "smallest units", "address"], &rows);
    let kept = chain.info().existential_deposit;
    if !kept.is_zero() {
        text += &format!("\nThe chain keeps {} more in each account that has something.", unit.exactly(kept));
    }
    shell.report.done(&Value::Array(values), &text);
    Ok(())
}

/// Whom a name or an address means.
fn payee(shell: &Shell, text: &str) -> anyhow::Result<Address> {
    if let Ok(address) = text.parse::<Address>() {
        return Ok(address);
    }
    let book = shell.wallet.book()?;
    let entry = book.entries(Shelf::Contacts).iter().find(|entry| entry.name.as_str() == text);
    if let Some(entry) = entry {
        return Ok(entry.address);
    }
    let own = shell.wallet.accounts()?.into_iter().find(|account| account.name.as_str() == text);
    match (own, text.parse::<Address>()) {
        (Some(account), _) => Ok(account.address()),
        (None, Err(why)) => bail!("\"{text}\" is no name of the address book, and as an address: {why}"),
        (None, Ok(address)) => Ok(address),
    }
}

pub(super) async fn send(shell: &Shell, options: &Send) -> anyhow::Result<()> {
    let account = shell.wallet.account(&options.account)?;
    let to = payee(shell, &options.to)?;
    let chain = options.chain.money(shell).await?;
    let (info, unit) = (chain.info().clone(), chain.unit());
    let amount = if options.smallest_units { options.amount.parse()? } else { unit.parse(&options.amount)? };
    if amount.is_zero() {
        bail!("nothing is sent by an amount of 0");
    }
    let has = chain.rail().balance(to.account).await?;
    let would_have = has.checked_add(amount).unwrap_or(Amount::MAX);
    if would_have < info.existential_deposit {
        bail!(
            "{to} would have less than {}, which this chain does not keep: send more",
            unit.exactly(info.existential_deposit)
        );
    }
    let act = Act::Transfer { genesis: info.genesis, asset: info.asset, to, amount };
    let included = chain.submit(shell, &account, act, Call::Transfer { to: to.account, amount }).await?;
    let text = format!(
        "sent {} {} to {to}: final in block {}, for a fee of {}",
        unit.decimal(amount),
        unit.symbol(),
        included.block.number,
        unit.exactly(included.fee)
    );
    let json = json!({
        "to": to.to_string(), "amount": amount, "fee": included.fee, "block": included.block,
        "hash": pay::Genesis(included.hash),
    });
    shell.report.done(&json, &text);
    Ok(())
}

pub(super) fn history(shell: &Shell, options: &History) -> anyhow::Result<()> {
    let only: Option<Account> =
        options.account.as_deref().map(|text| shell.wallet.account(text)).transpose()?;
    let mut events = shell.wallet.history()?;
    events.retain(|event| only.as_ref().is_none_or(|account| account.account == event.account));
    let rows = events.iter().map(|event| {
        let outcome = match event.outcome {
            Outcome::Sending => "sending",
            Outcome::Done => "done",
            Outcome::Failed => "failed",
            Outcome::Unknown => "not known",
        };
        let block = event.block.map(|block| block.to_string()).unwrap_or_default();
        [calendar::utc(event.at), outcome.to_owned(), block, event.what.clone()]
    });
    let rows: Vec<_> = rows.collect();
    let text = match &rows[..] {
        [] => "nothing was sent from here yet".to_owned(),
        rows => table(["when", "outcome", "block", "what"], rows),
    };
    shell.report.done(&serde_json::to_value(&events)?, &text);
    Ok(())
}

fn cap(given: Option<&str>, before: Option<Amount>, unit: &Unit) -> anyhow::Result<Option<Amount>> {
    match given {
        None => Ok(before),
        Some("none") => Ok(None),
        Some(text) => Ok(Some(unit.parse(text)?)),
    }
}

/// Sets those that are given, and says what holds.
pub(super) async fn caps(shell: &Shell, options: &SetCaps) -> anyhow::Result<()> {
    let chain = options.chain.money(shell).await?;
    let (unit, genesis, asset) = (chain.unit(), chain.info().genesis, chain.info().asset);
    let before = shell.wallet.book()?.caps(genesis, asset);
    let caps = Caps {
        per_session: cap(options.per_session.as_deref(), before.per_session, &unit)?,
        per_creator: cap(options.per_creator.as_deref(), before.per_creator, &unit)?,
        per_day: cap(options.per_day.as_deref(), before.per_day, &unit)?,
    };
    if caps != before {
        shell.wallet.set_caps(genesis, asset, caps)?;
    }
    let told = |cap: Option<Amount>| cap.map_or_else(|| "no cap".to_owned(), |cap| unit.exactly(cap));
    let text = format!(
        "in a session: {}\nto one creator: {}\nin a day: {}",
        told(caps.per_session),
        told(caps.per_creator),
        told(caps.per_day)
    );
    shell.report.done(&serde_json::to_value(caps)?, &text);
    Ok(())
}
