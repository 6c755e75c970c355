//! Channels: what was paid from them, and how their deposits come back.

use anyhow::{Context, bail};
use chain::Call;
use clap::{Args, Subcommand};
use pay::{Amount, ChannelId, ChannelTerms, Phase, UnixMillis};
use serde_json::{Value, json};
use wallet::approval::Act;
use wallet::{Account, Address, ChannelRecord, ChannelStatus, calendar};

use super::chain_link::{Chain, ChainAddress};
use super::report::table;
use super::{Shell, now};

#[derive(Args, Debug)]
pub(super) struct Channels {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// The channels, as this wallet last knew them.
    List,
    /// Asks the chain what has become of them.
    Refresh {
        #[command(flatten)]
        chain: ChainAddress,
    },
    /// Adds to a channel's deposit.
    TopUp {
        channel: ChannelId,
        /// In units, as in 1.5.
        amount: String,
        #[command(flatten)]
        chain: ChainAddress,
    },
    /// Gets the rest of a deposit back without the node: begins the dispute window, and after it closes.
    Close {
        channel: ChannelId,
        #[command(flatten)]
        chain: ChainAddress,
    },
}

pub(super) async fn run(shell: &Shell, channels: &Channels) -> anyhow::Result<()> {
    match &channels.command {
        None | Some(Command::List) => list(shell),
        Some(Command::Refresh { chain }) => {
            let chain = chain.escrow(shell).await?;
            for channel in shell.wallet.channels()? {
                if channel.terms.genesis == chain.info().genesis {
                    refresh(shell, &chain, channel.terms.id()).await?;
                }
            }
            list(shell)
        }
        Some(Command::TopUp { channel, amount, chain }) => {
            let (chain, terms, account) = here(shell, *channel, chain).await?;
            let by = chain.unit().parse(amount)?;
            let act = Act::TopUp { terms, by };
            chain.submit(shell, &account, act, Call::TopUp { channel: *channel, by }).await?;
            refresh(shell, &chain, *channel).await?;
            list(shell)
        }
        Some(Command::Close { channel, chain }) => close(shell, *channel, chain).await,
    }
}

/// The channel on its chain, with the account that it belongs to.
async fn here(
    shell: &Shell,
    id: ChannelId,
    chain: &ChainAddress,
) -> anyhow::Result<(Chain, ChannelTerms, Account)> {
    let known = record(shell, id)?;
    let chain = chain.escrow(shell).await?;
    let terms = match known {
        Some(known) => known.terms,
        // A copy of this wallet opened it.
        None => {
            let state = chain.rail().channel(id).await?;
            state.with_context(|| format!("neither this wallet nor the chain has a channel {id}"))?.terms
        }
    };
    let account = shell.wallet.account(&Address::generic(terms.payer).to_string())?;
    if chain.info().genesis != terms.genesis {
        bail!("the channel is on the chain with genesis {}, not on this one", terms.genesis);
    }
    Ok((chain, terms, account))
}

fn record(shell: &Shell, id: ChannelId) -> anyhow::Result<Option<ChannelRecord>> {
    Ok(shell.wallet.channels()?.into_iter().find(|known| known.terms.id() == id))
}

/// What was sent and not seen on the chain may get there for so long: 128 blocks of six seconds, and a little more.
pub(crate) const ON_ITS_WAY_MS: u64 = 15 * 60_000;

/// Whether its opening may have been sent, and may still come into a block.
pub(super) fn may_be_on_its_way(record: &ChannelRecord) -> bool {
    record.status == ChannelStatus::Prepared && now().millis_since(record.created) < ON_ITS_WAY_MS
}

/// Writes down what the last final block says.
pub(super) async fn refresh(shell: &Shell, chain: &Chain, id: ChannelId) -> anyhow::Result<Phase> {
    let phase = chain.rail().channel(id).await?.map_or(Phase::Absent, |state| state.finalized);
    if record(shell, id)?.is_none() {
        return Ok(phase);
    }
    shell.wallet.update_channel(id, |record| match phase {
        // Final blocks have it by then, if they ever will: a chain that begins anew has none.
        Phase::Absent if now().millis_since(record.created) >= ON_ITS_WAY_MS => {
            record.status = ChannelStatus::Failed;
        }
        Phase::Absent => {}
        Phase::Open(funds) => {
            (record.status, record.deposit, record.expires_at) =
                (ChannelStatus::Open, funds.deposit, funds.expires_at);
        }
        Phase::Closing { funds, .. } => {
            (record.status, record.deposit) = (ChannelStatus::Closing, funds.deposit);
        }
        Phase::Closed { .. } => record.status = ChannelStatus::Closed,
    })?;
    Ok(phase)
}

async fn close(shell: &Shell, id: ChannelId, chain: &ChainAddress) -> anyhow::Result<()> {
    let (chain, terms, account) = here(shell, id, chain).await?;
    let start = (Act::StartClose { terms }, Call::StartClose(id));
    let finish = (Act::Close { terms }, Call::Close(id));
    let (act, call) = match refresh(shell, &chain, id).await? {
        Phase::Absent => bail!("the chain has no such channel: nothing is locked in it"),
        Phase::Closed { .. } => bail!("the channel is closed already"),
        Phase::Open(funds) if now() < funds.expires_at => start,
        Phase::Open(_) => finish,
        Phase::Closing { closes_at, .. } if now() < closes_at => {
            bail!("the dispute window is open until {}: close it then", calendar::utc(closes_at))
        }
        Phase::Closing { .. } => finish,
    };
    chain.submit(shell, &account, act, call).await?;
    let text = match refresh(shell, &chain, id).await? {
        Phase::Closing { closes_at, .. } => {
            let when = calendar::utc(closes_at);
            format!("the dispute window is open until {when}; then the same command gets the rest back")
        }
        Phase::Closed { paid } => format!("closed: {} went to the payee", chain.unit().exactly(paid)),
        _ => "sent, and not yet final".to_owned(),
    };
    let status = record(shell, id)?.map(|known| known.status);
    shell.report.done(&json!({"channel": id, "status": status}), &text);
    Ok(())
}

/// `spent`: what was signed; not known of a channel from which a page pays.
fn as_json(record: &ChannelRecord, spent: Option<Amount>) -> Value {
    json!({
        "channel": record.terms.id(), "terms": record.terms, "status": record.status, "deposit": record.deposit,
        "signed": spent, "of_page": record.is_pages(), "expires_at": record.expires_at, "node_url": record.node_url,
        "created": record.created,
    })
}

fn list(shell: &Shell) -> anyhow::Result<()> {
    let (mut rows, mut values, book) = (Vec::new(), Vec::new(), shell.wallet.book()?);
    let mut never_opened = 0;
    for record in shell.wallet.channels()? {
        let spent = if record.is_pages() { None } else { Some(shell.wallet.spent(record.terms.id())?) };
        values.push(as_json(&record, spent));
        if record.status == ChannelStatus::Failed {
            never_opened += 1;
            continue;
        }
        let unit = book.known_unit(record.terms.genesis, record.terms.asset);
        let words =
            |amount: Amount| unit.as_ref().map_or_else(|| amount.to_string(), |unit| unit.exactly(amount));
        let expires =
            if record.expires_at == UnixMillis(0) { String::new() } else { calendar::utc(record.expires_at) };
        rows.push([
            record.terms.id().to_string(),
            format!("{:?}", record.status).to_lowercase(),
            words(record.deposit),
            spent.map_or_else(|| "by a page".to_owned(), words),
            expires,
            Address::generic(record.terms.payee).to_string(),
        ]);
    }
    let mut text = match &rows[..] {
        [] => "no channel was opened from here yet".to_owned(),
        rows => table(["channel", "status", "deposit", "signed", "expires", "payee"], rows),
    };
    if never_opened > 0 {
        text += &format!("\n{never_opened} more never came to be: nothing is locked in them");
    }
    shell.report.done(&Value::Array(values), &text);
    Ok(())
}
