//! What a page that pays asks a wallet for by a link: a deposit for a session key that the page has. The page is the
//! payee's, so it is trusted with a few minutes' price and no more, and whatever it says is asked anew where it counts.

mod request;

use anyhow::{Context, bail};
use api::pay::WireHex;
use api::{Client, StreamInfo};
use chain::{Call, RailError, Settings};
use clap::Args;
use pay::id::blake2_256;
use pay::{
    Amount, ChannelId, ChannelTerms, ContentId, Phase, PublicKey, RailInfo, RailKind, UnixMillis,
    VerifiedOffer,
};
use serde_json::json;
use wallet::approval::{Act, Approval};
use wallet::{Account, Address, ChannelRecord, ChannelStatus, NewChannel, calendar};

use self::request::Request;
use super::chain_link::{Chain, NamedBy};
use super::channels;
use super::{Shell, now};

/// So many seconds' price is the most that one approval gives.
const SECONDS_MAX: u64 = 300;
/// After so long the payer gets the rest without a dispute window, whatever has become of page and node.
const GOOD_FOR_MS: u64 = 24 * 3_600_000;
/// A longer dispute window would lock a deposit of five minutes for too long.
const WINDOW_MAX_MS: u64 = 24 * 3_600_000;
/// Two clicks on one link come within this.
const FRESH_MS: u64 = 10_000;
/// Of a stream's title.
const TITLE_CHARS: usize = 80;

#[derive(Args, Debug)]
pub(super) struct Approve {
    /// What the page shows: `tickcast:approve?…`.
    link: String,
    /// The account that pays, by name or address; the only one whose key is here, where there is but one.
    #[arg(long, value_name = "ACCOUNT")]
    from: Option<String>,
    /// The chain's address, where it is not to be the one that the node names.
    #[arg(long, value_name = "URL")]
    chain: Vec<String>,
    /// Opens another channel for a page that has one already.
    #[arg(long)]
    again: bool,
}

/// What is signed, and for whom.
struct Asked {
    account: Account,
    act: Act,
    call: Call,
    terms: ChannelTerms,
}

/// Says in words what the page may do then.
pub(super) async fn run(shell: &Shell, options: &Approve) -> anyhow::Result<String> {
    let request = Request::parse(&options.link)?;
    let client = Client::new(&request.node)?;
    let info = client.pay_info().await.context("the node does not say how it is paid")?;
    let rail = info.rail.context("this node takes no payments: there is nothing to approve")?;
    if rail.kind != RailKind::Escrow {
        bail!("the node is paid by transfers: a page cannot pay it, and `tickcast watch` can");
    }
    if info.dispute_window_ms > WINDOW_MAX_MS {
        bail!(
            "the node wants a dispute window of {} h: that would lock the deposit for too long",
            info.dispute_window_ms / 3_600_000
        );
    }
    let endpoints = if options.chain.is_empty() { info.endpoints } else { options.chain.clone() };
    let settings =
        Settings { genesis: Some(rail.genesis), asset: rail.asset, ..Settings::new(endpoints.clone()) };
    let by = if options.chain.is_empty() { NamedBy::Node } else { NamedBy::Person };
    let chain = Chain::escrow(settings, shell, by).await?;
    let stream =
        client.stream(&request.playback_id).await.context("the node does not have the page's stream")?;
    let offer = offer(&stream, &request, chain.info())?;
    let price = offer.offer().price;
    let most = price.times(SECONDS_MAX).unwrap_or(Amount::MAX);
    if request.deposit > most || request.deposit < price.per_tick() {
        let unit = chain.unit();
        bail!(
            "the page asks for {}; a deposit is at least a second's price and at most five minutes', {}: do not trust it",
            unit.exactly(request.deposit),
            unit.exactly(most)
        );
    }
    let asked = match request.channel {
        Some(channel) => top_up(shell, &chain, &request, &offer, channel).await?,
        None => {
            must_be_first(shell, &chain, &request, &offer, options.again).await?;
            open(shell, options, &chain, &request, &offer, info.dispute_window_ms)?
        }
    };
    shell.ask.show(&introduction(&chain, &request, &stream, &offer));
    let (channel, payer) = (asked.terms.id(), asked.account.address().to_string());
    send(shell, &chain, &request.node, asked, options.again).await?;
    let unit = chain.unit();
    let text = format!(
        "the page may pay {} from channel {channel}. The rest comes back when the page closes the channel, or with \
         `tickcast wallet channels close {channel} --chain {}`",
        unit.exactly(request.deposit),
        endpoints.iter().find(|endpoint| is_plain(endpoint)).map_or("URL", String::as_str),
    );
    let json = json!({ "channel": channel, "deposit": request.deposit, "account": payer });
    shell.report.done(&json, &text);
    Ok(format!(
        "the page may pay {} now. What is not watched comes back when the page closes the channel",
        unit.shortly(request.deposit)
    ))
}

/// Whether a text of the node's is nothing but an address, also to a shell that it is pasted into.
fn is_plain(endpoint: &str) -> bool {
    endpoint.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/.-_[]".contains(&byte))
}

/// Writes down the channel before anything is sent for it, and what became of it.
async fn send(
    shell: &Shell,
    chain: &Chain,
    node_url: &str,
    asked: Asked,
    is_again: bool,
) -> anyhow::Result<()> {
    let Asked { account, act, call, terms } = asked;
    let id = terms.id();
    if let Act::Open { .. } = act {
        shell.wallet.note_page_channel(terms, node_url, now())?;
        // The same link may have been opened twice at once: what is noted first is seen by both.
        let is_same = |known: &ChannelRecord| {
            let is_there = matches!(known.status, ChannelStatus::Prepared | ChannelStatus::Open);
            is_there && known.terms.session == terms.session && known.terms.id() != id
        };
        if !is_again && shell.wallet.channels()?.iter().any(|known| is_same(known) && is_fresh(known)) {
            shell.wallet.update_channel(id, |record| record.status = ChannelStatus::Failed)?;
            bail!(
                "this page's link is open already, or was a moment ago. --again opens another channel all the same"
            );
        }
    }
    let sent = chain.submit(shell, &account, act.clone(), call).await;
    let is_unknown =
        sent.as_ref().is_err_and(|err| matches!(err.downcast_ref::<RailError>(), Some(RailError::Unknown)));
    let is_known = shell.wallet.channels()?.iter().any(|known| known.terms.id() == id);
    if is_known {
        shell.wallet.update_channel(id, |record| match (&act, sent.is_ok()) {
            (act, true) => record.apply(act),
            // One whose fate is not known is looked for on the chain the next time.
            (Act::Open { .. }, false) if !is_unknown => record.status = ChannelStatus::Failed,
            _ => {}
        })?;
    }
    sent.map(|_| ())
}

/// So new that it was noted while this one was asked about.
fn is_fresh(known: &ChannelRecord) -> bool {
    now().millis_since(known.created) < FRESH_MS
}

/// A link that is approved twice would lock two deposits, of which the page needs one. What the chain says of the
/// channels to the same payee is written down meanwhile: pages close them without asking the wallet.
async fn must_be_first(
    shell: &Shell,
    chain: &Chain,
    request: &Request,
    offer: &VerifiedOffer,
    is_again: bool,
) -> anyhow::Result<()> {
    let payee = offer.offer().payee.account();
    let known = shell.wallet.channels()?.into_iter().filter(|known| {
        let terms = &known.terms;
        matches!(known.status, ChannelStatus::Prepared | ChannelStatus::Open)
            && (terms.genesis, terms.asset, terms.payee, terms.node)
                == (chain.info().genesis, chain.info().asset, payee, offer.node())
    });
    for record in known {
        let (id, terms) = (record.terms.id(), record.terms);
        channels::refresh(shell, chain, id).await?;
        if is_again || terms.session != request.session {
            continue;
        }
        match chain.rail().channel(id).await?.map_or(Phase::Absent, |state| state.head) {
            Phase::Open(funds) if lasts(&terms, funds.expires_at) => bail!(
                "channel {id} was opened for this page already. When it is spent the page shows a link that adds to it; \
                 --again opens another one all the same"
            ),
            Phase::Open(_) => shell
                .ask
                .note(&format!("channel {id} of this page is at its end. Its rest comes back by closing it")),
            Phase::Absent if channels::may_be_on_its_way(&record) => bail!(
                "channel {id} for this page may be on its way still: look again in a quarter of an hour. --again opens \
                 another one all the same"
            ),
            Phase::Absent | Phase::Closing { .. } | Phase::Closed { .. } => {}
        }
    }
    Ok(())
}

/// A node serves no channel in the dispute window before its end.
fn lasts(terms: &ChannelTerms, expires_at: UnixMillis) -> bool {
    now() < UnixMillis(expires_at.0.saturating_sub(terms.dispute_window_ms))
}

/// By which a person knows a page's key again: anybody can name the page's address in a link of their own.
fn code(session: &PublicKey) -> String {
    let digits: Vec<String> = session.bytes.iter().take(4).map(|byte| format!("{byte:02X}")).collect();
    digits.concat().as_bytes().chunks(4).map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ")
}

/// What the approval itself cannot know: where the money is asked for, and what it buys.
fn introduction(chain: &Chain, request: &Request, stream: &StreamInfo, offer: &VerifiedOffer) -> Approval {
    let title: String = stream.title.chars().filter(|c| !c.is_control()).take(TITLE_CHARS).collect();
    let price = offer.offer().price.per_tick();
    let seconds = request.deposit.units() / price.units().max(1);
    let (unit, deposit) = (chain.unit(), request.deposit);
    Approval {
        title: "A page asks for a deposit".to_owned(),
        lines: vec![
            ("to watch", format!("{}/watch/{}", request.node, request.playback_id)),
            ("code", format!("{}: the page that you opened shows the same", code(&request.session))),
            ("stream", title),
            ("price", format!("{} a second", unit.exactly(price))),
            ("deposit", format!("{}, which is {seconds} s", unit.exactly(deposit))),
            (
                "meaning",
                "whoever made the link pays from it with a key of their own and does not ask again: they and this site could take \
                 ALL of the deposit, and never more. A link that you were sent is somebody else's"
                    .to_owned(),
            ),
        ],
        warnings: Vec::new(),
    }
}

/// The tier's cheapest offer that is good. Only what is signed counts.
fn offer(stream: &StreamInfo, request: &Request, chain: &RailInfo) -> anyhow::Result<VerifiedOffer> {
    let content = ContentId(blake2_256(request.playback_id.as_bytes()));
    let verified = stream.offers.iter().filter_map(|made| {
        let WireHex(published) = made.published;
        published.verify(&chain.genesis, now()).ok()
    });
    let good = verified.filter(|offer| {
        let body = offer.offer();
        (body.content, body.asset, body.quality.tier) == (content, chain.asset, request.tier)
    });
    good.min_by_key(|offer| offer.offer().price.per_tick())
        .context("the node has no good offer for what the page asks for: load the page anew")
}

fn open(
    shell: &Shell,
    options: &Approve,
    chain: &Chain,
    request: &Request,
    offer: &VerifiedOffer,
    dispute_window_ms: u64,
) -> anyhow::Result<Asked> {
    let account = payer(shell, options.from.as_deref())?;
    let about = chain.info();
    let payee = offer.offer().payee.account();
    let new = NewChannel {
        genesis: about.genesis,
        asset: about.asset,
        payer: account.account,
        payee,
        node: offer.node(),
        dispute_window_ms,
        node_url: request.node.clone(),
    };
    if let Some(known) = shell.wallet.channel_for(&new)? {
        shell.ask.note(&format!(
            "this account has channel {} to the same payee already. The node settles it and leaves it for the page's; \
             it is not paid from again, and its rest comes back by closing it",
            known.terms.id()
        ));
    }
    let terms = ChannelTerms {
        genesis: about.genesis,
        asset: about.asset,
        payer: account.account,
        payee,
        node: offer.node(),
        session: request.session,
        // With a key that only one page has, this is one of its kind.
        nonce: now().0,
        dispute_window_ms,
    };
    let (deposit, expires_at) = (request.deposit, now().plus(dispute_window_ms + GOOD_FOR_MS));
    let call = Call::Open { terms, deposit, expires_at };
    Ok(Asked { account, act: Act::Open { terms, deposit, expires_at }, call, terms })
}

async fn top_up(
    shell: &Shell,
    chain: &Chain,
    request: &Request,
    offer: &VerifiedOffer,
    channel: ChannelId,
) -> anyhow::Result<Asked> {
    let state = chain
        .rail()
        .channel(channel)
        .await?
        .with_context(|| format!("the chain has no channel {channel}"))?;
    let terms = state.terms;
    let is_same = terms.id() == channel
        && (terms.session, terms.node, terms.payee)
            == (request.session, offer.node(), offer.offer().payee.account());
    if !is_same {
        bail!("channel {channel} is not this page's: do not trust it");
    }
    let Phase::Open(funds) = state.head else { bail!("channel {channel} is closed, or about to be") };
    if !lasts(&terms, funds.expires_at) {
        bail!("channel {channel} ends at {}: load the page anew then", calendar::utc(funds.expires_at));
    }
    let account = shell.wallet.account(&Address::generic(terms.payer).to_string())?;
    let by = request.deposit;
    Ok(Asked { account, act: Act::TopUp { terms, by }, call: Call::TopUp { channel, by }, terms })
}

fn payer(shell: &Shell, named: Option<&str>) -> anyhow::Result<Account> {
    if let Some(named) = named {
        return Ok(shell.wallet.account(named)?);
    }
    let mut own: Vec<_> =
        shell.wallet.accounts()?.into_iter().filter(|account| account.public().is_some()).collect();
    if own.len() > 1 {
        let names = own.iter().map(Account::labelled).collect();
        let chosen = shell.ask.choose("Which account pays?", "From account", names)?;
        let chosen = chosen.context("there are several accounts: say with --from which one pays")?;
        own = own.into_iter().skip(chosen).take(1).collect();
    }
    own.pop().context("there is no account to pay from: make one with `tickcast wallet new`")
}

#[cfg(test)]
mod tests {
    use pay::KeyScheme;

    use super::*;

    #[test]
    fn a_pages_key_is_known_again_by_its_first_digits_as_the_page_shows_them() {
        let mut bytes = [0; 32];
        bytes[..5].copy_from_slice(&[0x9c, 0x21, 0x05, 0xb9, 0x77]);
        assert_eq!(code(&PublicKey { scheme: KeyScheme::Ed25519, bytes }), "9C21 05B9");
    }
}
