//! A creator lets a node sign offers and receipts: logs in there, signs the delegation, and hands it over.

use anyhow::{Context, bail};
use api::Client;
use api::pay::{LoggedIn, PayInfo};
use clap::Args;
use pay::login::Host;
use pay::{Delegation, RailInfo, Signed, UnixMillis};
use serde_json::json;
use wallet::approval::{self, Act};
use wallet::{Account, Address, Approved, Unit, calendar};

use super::{Shell, now};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// A node whose clock is behind by less takes it at once.
const EARLIER_MS: u64 = 5 * 60 * 1_000;

#[derive(Args, Debug)]
pub(super) struct Delegate {
    /// The creator's account: name or address.
    account: String,
    /// The node's address, as in https://node.example.
    #[arg(long, value_name = "URL")]
    node: String,
    /// For how long.
    #[arg(long, default_value_t = DAYS, value_parser = clap::value_parser!(u16).range(1..=400))]
    days: u16,
}

/// For how long, where nobody says so.
pub(super) const DAYS: u16 = 90;

pub(super) async fn run(shell: &Shell, options: &Delegate) -> anyhow::Result<()> {
    let account = shell.wallet.account(&options.account)?;
    let client = Client::new(&options.node)?;
    let info = client.pay_info().await.context("the node does not say how it is paid")?;
    let rail = info.rail.as_ref().context("this node takes no payments: there is nothing to sign for it")?;
    // As it was asked, not as the node calls itself.
    let host = Host::new(&client.host()?)?;
    let delegation = drawn_up(&account, &info, rail, options.days)?;
    let (login, delegate) = (Act::Login { host: host.clone() }, Act::Delegate { delegation, host });
    let (unit, book) = (Unit::new(&rail.symbol, rail.decimals), shell.wallet.book()?);
    let context = approval::Context { unit: &unit, book: &book, chain: &rail.chain, fee: None };
    shell.ask.approve(&login.approval(&context))?;
    shell.ask.approve(&delegate.approval(&context))?;
    let key = shell.unlock(&account)?;
    let creator =
        client.login(&Approved::new(key.clone(), login)).await.context("the node did not log you in")?;
    hand_over(&client, &creator, delegation, &Approved::new(key, delegate)).await?;
    let node_account = Address::generic(info.node_key.account());
    let text = format!(
        "the node at {} may sign offers and receipts for \"{}\" until {}\nit pays the chain's fees from an account of \
         its own: send something to {node_account}, or nothing is settled",
        options.node,
        account.name.as_str(),
        calendar::utc(delegation.until)
    );
    let json = json!({
        "account": account.address().to_string(), "node": options.node, "node_key": info.node_key,
        "node_account": node_account.to_string(),
        "genesis": rail.genesis, "from": delegation.from, "until": delegation.until,
    });
    shell.report.done(&json, &text);
    Ok(())
}

/// What a creator signs so that the node may sign for it.
pub(super) fn drawn_up(
    account: &Account,
    info: &PayInfo,
    rail: &RailInfo,
    days: u16,
) -> anyhow::Result<Delegation> {
    let Some(payee) = account.public() else {
        bail!("\"{}\" is only watched: its key is elsewhere", account.name.as_str());
    };
    let from = UnixMillis(now().0.saturating_sub(EARLIER_MS));
    let until = now().plus(u64::from(days) * DAY_MS);
    Ok(Delegation { genesis: rail.genesis, payee, node: info.node_key, from, until })
}

pub(super) async fn hand_over(
    client: &Client,
    creator: &LoggedIn,
    delegation: Delegation,
    signer: &Approved,
) -> anyhow::Result<()> {
    let signed = Signed::sign(delegation, signer)?;
    client.delegate(creator, &signed).await.context("the node did not take the delegation")?;
    Ok(())
}
