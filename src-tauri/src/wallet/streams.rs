//! `tickcast stream`: a creator's streams on a node. Those with a price are made and priced in an account's name.

use std::fs::File;
use std::str::FromStr;

use anyhow::{Context, bail};
use api::pay::{LoggedIn, OfferInfo, PayInfo, PriceTier};
use api::{ArchiveRequest, Cid, Client, ClientError, CreateStream, CreatedStream};
use clap::{Args, Subcommand};
use media::RenditionName;
use pay::login::Host;
use pay::{Amount, Price, RailInfo};
use serde_json::{Value, json};
use wallet::approval::{self, Act, Approval};
use wallet::{Account, Approved, KeyHandle, Unit};

use super::report::table;
use super::{Shell, delegate};

/// A node that does not know who may pay whom answers with this.
const NOT_DELEGATED: &str = "not_a_creator";
/// The same where nobody was named.
const NOT_LOGGED_IN: &str = "login_required";

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Makes a stream, and tells once the key by which it is published. Without a price it is free.
    Create(Create),
    /// Gives a paid stream new prices. Viewers who do not take them leave.
    Price(Reprice),
    /// Makes a new stream key, and tells it once: whoever publishes with the one before is cut off.
    Key(Keep),
    /// Ends a stream for good: its key publishes no more, and what it says of itself names its recordings.
    Archive(Archive),
    /// The node's streams.
    List(Node),
}

#[derive(Args, Debug)]
pub(super) struct Node {
    /// The node's address, as in https://node.example.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    node: String,
}

#[derive(Args, Debug)]
pub(super) struct Create {
    title: String,
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    #[arg(long, default_value = "", hide_default_value = true)]
    category: String,
    /// Who is paid: name or address of an account of the wallet.
    #[arg(long, value_name = "ACCOUNT", requires = "price")]
    account: Option<String>,
    /// What a second costs: 0.001, or for one quality, high=0.001. Once for each.
    #[arg(long, value_name = "[QUALITY=]AMOUNT", requires = "account")]
    price: Vec<Tier>,
    #[command(flatten)]
    grace: Grace,
    #[command(flatten)]
    node: Node,
}

#[derive(Args, Debug)]
pub(super) struct Reprice {
    /// The stream's playback id, as in its watch address.
    stream: String,
    /// Who made it, where the wallet does not find that by itself.
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// What a second costs: 0.001, or for one quality, high=0.001. Once for each.
    #[arg(long, value_name = "[QUALITY=]AMOUNT", required = true)]
    price: Vec<Tier>,
    #[command(flatten)]
    grace: Grace,
    #[command(flatten)]
    node: Node,
}

// Not a documentation comment: clap would take it for that of whatever this is flattened into.
#[derive(Args, Debug)]
pub(super) struct Keep {
    /// The stream's playback id, as in its watch address.
    stream: String,
    /// Who made it, where it has a price and the wallet does not find that by itself.
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    #[command(flatten)]
    node: Node,
}

#[derive(Args, Debug)]
pub(super) struct Archive {
    #[command(flatten)]
    keep: Keep,
    /// What was recorded of it, by its content id, or a file to make that of. Once for each.
    #[arg(long, value_name = "CID|FILE")]
    recording: Vec<String>,
}

#[derive(Args, Debug)]
struct Grace {
    /// Seconds that a viewer is sent ahead of its payments, at most: what a viewer who goes without paying can cost.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..=60))]
    grace: u16,
}

/// A quality and its price, not yet in anybody's unit.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Tier {
    best: RenditionName,
    amount: String,
}

impl FromStr for Tier {
    type Err = media::rendition::UnknownRendition;

    /// Without a quality it is for the best, and so for all.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (best, amount) = match text.split_once('=') {
            Some((quality, amount)) => (quality.trim().parse()?, amount),
            None => (RenditionName::Ultra, text),
        };
        Ok(Self { best, amount: amount.trim().to_owned() })
    }
}

pub(super) async fn run(shell: &Shell, command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Create(create) => make(shell, create).await,
        Command::Price(reprice) => set_prices(shell, reprice).await,
        Command::Key(keep) => rotate_key(shell, keep).await,
        Command::Archive(options) => archive(shell, options).await,
        Command::List(node) => list(shell, node).await,
    }
}

async fn make(shell: &Shell, options: &Create) -> anyhow::Result<()> {
    let client = Client::new(&options.node.node)?;
    let mut request = CreateStream {
        title: options.title.clone(),
        description: options.description.clone(),
        category: options.category.clone(),
        prices: Vec::new(),
    };
    let (made, unit) = match &options.account {
        None => (client.create_stream(&request).await?, None),
        Some(account) => {
            let purpose = Purpose {
                title: "Make a paid stream",
                stream: &options.title,
                meaning: None,
                prices: Some((&options.price, &options.grace)),
            };
            let creator = Creator::log_in(shell, &client, account, &purpose).await?;
            request.prices.clone_from(&creator.prices);
            let mut made = client.create_stream_as(&creator.login, &request).await;
            if made.as_ref().is_err_and(is_not_delegated) && !shell.ask.is_script() {
                creator.delegate(shell, &client).await?;
                made = client.create_stream_as(&creator.login, &request).await;
            }
            (made.map_err(|err| advised(err, account, &options.node))?, Some(creator.unit))
        }
    };
    let costs = unit.map(|unit| in_words(&made.offers, &unit)).unwrap_or_default();
    let notices: String = made.notices.iter().map(|notice| format!("\nNote: {notice}")).collect();
    let text = format!("\"{}\" is made.{costs}{}{notices}", options.title, publishing(&made));
    shell.report.done(&serde_json::to_value(&made)?, &text);
    Ok(())
}

/// Where to, and with what.
fn publishing(stream: &CreatedStream) -> String {
    format!(
        "\nPublish by WHIP   {}\nPublish by RTMP   {}\nStream key        {}\nWatch at          {}\n\
         Whoever has the key can broadcast here. It is not shown again.",
        stream.whip_url, stream.rtmp_url, stream.stream_key, stream.watch_url
    )
}

impl Keep {
    /// Without an account it is the node's own machine that asks.
    async fn log_in(
        &self,
        shell: &Shell,
        title: &'static str,
        meaning: &'static str,
    ) -> anyhow::Result<(Client, Option<LoggedIn>)> {
        let client = Client::new(&self.node.node)?;
        let purpose = Purpose { title, stream: &self.stream, meaning: Some(meaning), prices: None };
        let keeper = match creator_of(shell, &client, &self.stream, self.account.as_deref()).await? {
            Some(account) => Some(Creator::log_in(shell, &client, &account, &purpose).await?.login),
            None => None,
        };
        Ok((client, keeper))
    }
}

async fn set_prices(shell: &Shell, options: &Reprice) -> anyhow::Result<()> {
    let client = Client::new(&options.node.node)?;
    let purpose = Purpose {
        title: "Change what a stream costs",
        stream: &options.stream,
        meaning: Some("viewers who do not take the new price leave"),
        prices: Some((&options.price, &options.grace)),
    };
    let account = creator_of(shell, &client, &options.stream, options.account.as_deref()).await?;
    let account =
        account.context("the stream's creator is none of this wallet: name the account with --account")?;
    let Creator { login, unit, prices, .. } = Creator::log_in(shell, &client, &account, &purpose).await?;
    let offers = client.set_prices(&login, &options.stream, prices).await;
    let offers = offers.map_err(|err| advised(err, &account, &options.node))?;
    let text = format!("\"{}\" has new prices.{}", options.stream, in_words(&offers, &unit));
    shell.report.done(&serde_json::to_value(&offers)?, &text);
    Ok(())
}

async fn rotate_key(shell: &Shell, keep: &Keep) -> anyhow::Result<()> {
    let meaning = "whoever publishes with the key before is cut off";
    let (client, keeper) = keep.log_in(shell, "Make a new stream key", meaning).await?;
    let rotated = client.rotate_key(keeper.as_ref(), &keep.stream).await.map_err(|err| whose(err, keep))?;
    let text = format!(
        "The stream has a new key. Whoever published with the old one was cut off.{}",
        publishing(&rotated)
    );
    shell.report.done(&serde_json::to_value(&rotated)?, &text);
    Ok(())
}

async fn archive(shell: &Shell, options: &Archive) -> anyhow::Result<()> {
    let recordings = options.recording.iter().map(|name| content_id(name));
    let recordings: Vec<String> = recordings.collect::<anyhow::Result<_>>()?;
    let meaning = "its key publishes no more, and nobody joins it again";
    let (client, keeper) = options.keep.log_in(shell, "End a stream for good", meaning).await?;
    let request = ArchiveRequest { recordings: recordings.clone() };
    let archived = client.archive(keeper.as_ref(), &options.keep.stream, &request).await;
    let archived = archived.map_err(|err| whose(err, &options.keep))?;
    let named: String = recordings.iter().map(|name| format!("\nRecording         {name}")).collect();
    let text = format!("\"{}\" is over for good.{named}", archived.title);
    shell.report.done(&serde_json::to_value(&archived)?, &text);
    Ok(())
}

/// As it was given, or that of the file's bytes.
fn content_id(name: &str) -> anyhow::Result<String> {
    if let Ok(cid) = name.parse::<Cid>() {
        return Ok(cid.to_string());
    }
    let file = File::open(name).with_context(|| format!("\"{name}\" is neither a content id nor a file"))?;
    let cid = Cid::read(file).with_context(|| format!("\"{name}\" could not be read"))?;
    Ok(cid.to_string())
}

async fn list(shell: &Shell, node: &Node) -> anyhow::Result<()> {
    let client = Client::new(&node.node)?;
    let streams = client.streams().await?;
    let has_offers = streams.iter().any(|stream| !stream.offers.is_empty());
    let rail = if has_offers { client.pay_info().await?.rail } else { None };
    let unit = rail.map(|rail| Unit::new(&rail.symbol, rail.decimals));
    let row = |stream: &api::StreamInfo| {
        let least = stream.offers.iter().map(|offer| offer.price.per_tick()).min();
        let price = match (least, &unit) {
            (Some(least), Some(unit)) => format!("from {}", unit.exactly(least)),
            (Some(_), None) => "paid".to_owned(),
            (None, _) if stream.is_paid => "paid, no price now".to_owned(),
            (None, _) => "free".to_owned(),
        };
        let (id, status) = (stream.playback_id.clone(), stream.status.as_str().to_owned());
        [id, status, stream.viewer_count.to_string(), price, stream.title.clone()]
    };
    let rows: Vec<_> = streams.iter().map(row).collect();
    let text = match rows.as_slice() {
        [] => "The node has no stream.".to_owned(),
        rows => table(["stream", "status", "viewers", "a second", "title"], rows),
    };
    let json: Vec<Value> = streams.iter().map(|stream| json!(stream)).collect();
    shell.report.done(&json!(json), &text);
    Ok(())
}

/// Whoever was named, else the account of this wallet that is paid for the stream; nobody where it is free.
async fn creator_of(
    shell: &Shell,
    client: &Client,
    stream: &str,
    named: Option<&str>,
) -> anyhow::Result<Option<String>> {
    if let Some(named) = named {
        return Ok(Some(named.to_owned()));
    }
    let offers = client.stream(stream).await?.offers;
    let payee = offers.first().map(|offer| offer.published.0.offer.body.payee.account());
    let own = shell.wallet.accounts()?.into_iter().find(|own| Some(own.account) == payee);
    Ok(own.map(|own| own.address().to_string()))
}

/// What an account logs in for.
struct Purpose<'a> {
    title: &'static str,
    /// By its title, or its playback id.
    stream: &'a str,
    meaning: Option<&'static str>,
    prices: Option<(&'a [Tier], &'a Grace)>,
}

impl Purpose<'_> {
    /// What a person consents to: the login says whom it concerns and what it is for.
    fn told(&self, account: &Account, prices: &[PriceTier], unit: &Unit, login: Approval) -> Approval {
        let mut lines = vec![("account", account.labelled()), ("stream", self.stream.to_owned())];
        lines.extend(prices.iter().map(|price| ("a second", a_second(price.tier, price.price, unit))));
        lines.extend(self.meaning.map(|meaning| ("which means", meaning.to_owned())));
        lines.extend(login.lines);
        Approval { title: self.title.to_owned(), lines, ..login }
    }
}

/// Who makes and keeps streams at a node.
struct Creator {
    account: Account,
    key: KeyHandle,
    login: LoggedIn,
    info: PayInfo,
    unit: Unit,
    /// In the chain's unit, what it logged in for.
    prices: Vec<PriceTier>,
}

impl Creator {
    /// Logs the account in at the node, with a person's consent.
    async fn log_in(
        shell: &Shell,
        client: &Client,
        account: &str,
        purpose: &Purpose<'_>,
    ) -> anyhow::Result<Self> {
        let account = shell.wallet.account(account)?;
        let info = client.pay_info().await.context("the node does not say how it is paid")?;
        let rail = info.rail.as_ref().context("this node takes no payments: its streams are free")?;
        let unit = Unit::new(&rail.symbol, rail.decimals);
        // As it was asked, not as the node calls itself.
        let act = Act::Login { host: Host::new(&client.host()?)? };
        let prices = match purpose.prices {
            Some((tiers, grace)) => prices(tiers, grace, &unit)?,
            None => Vec::new(),
        };
        shell.ask.approve(&purpose.told(&account, &prices, &unit, approval(shell, &act, rail)?))?;
        let key = shell.unlock(&account)?;
        let login = client.login(&Approved::new(key.clone(), act)).await;
        Ok(Self { account, key, login: login.context("the node did not log you in")?, info, unit, prices })
    }

    /// Lets the node sign for this account, which it has to for whatever costs something.
    async fn delegate(&self, shell: &Shell, client: &Client) -> anyhow::Result<()> {
        let rail = self.info.rail.as_ref().context("this node takes no payments any more")?;
        let delegation = delegate::drawn_up(&self.account, &self.info, rail, delegate::DAYS)?;
        let act = Act::Delegate { delegation, host: Host::new(&client.host()?)? };
        shell.ask.agree(&approval(shell, &act, rail)?, "Allow it")?;
        let signer = Approved::new(self.key.clone(), act);
        delegate::hand_over(client, &self.login, delegation, &signer).await
    }
}

fn approval(shell: &Shell, act: &Act, rail: &RailInfo) -> anyhow::Result<Approval> {
    let (unit, book) = (Unit::new(&rail.symbol, rail.decimals), shell.wallet.book()?);
    Ok(act.approval(&approval::Context { unit: &unit, book: &book, chain: &rail.chain, fee: None }))
}

fn is_not_delegated(err: &ClientError) -> bool {
    matches!(err, ClientError::Refused(problem) if problem.code == NOT_DELEGATED)
}

fn prices(tiers: &[Tier], grace: &Grace, unit: &Unit) -> anyhow::Result<Vec<PriceTier>> {
    let mut prices = Vec::new();
    for Tier { best, amount } in tiers {
        let amount: Amount = unit.parse(amount).with_context(|| format!("\"{amount}\""))?;
        let price =
            Price::new(amount).context("a price is more than nothing: without one a stream is free")?;
        let tier =
            RenditionName::ALL.iter().position(|name| name == best).unwrap_or(RenditionName::ALL.len() - 1);
        let tier = u8::try_from(tier).context("a quality")?;
        if prices.iter().any(|known: &PriceTier| known.tier == tier) {
            bail!("{best} has two prices");
        }
        let (max_lines, max_kbps) = (lines_of(*best), best.default_kbps() * 2);
        prices.push(PriceTier { tier, price, grace_ticks: grace.grace, max_lines, max_kbps });
    }
    prices.sort_by_key(|price| price.tier);
    Ok(prices)
}

/// The most that a quality is expected to have; what is sent is bounded by its name.
const fn lines_of(name: RenditionName) -> u16 {
    match name {
        RenditionName::VeryLow => 240,
        RenditionName::Low => 480,
        RenditionName::Medium => 720,
        RenditionName::High => 1_080,
        RenditionName::Ultra => 2_160,
    }
}

fn in_words(offers: &[OfferInfo], unit: &Unit) -> String {
    let line = |offer: &OfferInfo| format!("\nA second          {}", a_second(offer.tier, offer.price, unit));
    offers.iter().map(line).collect()
}

fn a_second(tier: u8, price: Price, unit: &Unit) -> String {
    let price = unit.exactly(price.per_tick());
    match RenditionName::ALL.get(usize::from(tier)) {
        Some(RenditionName::Ultra) | None => format!("{price}, in every quality"),
        Some(best) => format!("{price}, up to {}", best.as_str().replace('_', " ")),
    }
}

/// Whoever keeps a stream has not said who that is.
fn whose(err: ClientError, keep: &Keep) -> anyhow::Error {
    match &err {
        ClientError::Refused(problem) if problem.code == NOT_LOGGED_IN && keep.account.is_none() => {
            anyhow::anyhow!("the stream was made by an account: name it with --account")
        }
        _ => err.into(),
    }
}

fn advised(err: ClientError, account: &str, Node { node }: &Node) -> anyhow::Error {
    let is_missing = is_not_delegated(&err);
    let err = anyhow::Error::from(err);
    if is_missing {
        return err.context(format!(
            "the node may not sign for this account yet; allow it with: tickcast wallet delegate {account} --node {node}"
        ));
    }
    err
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_for_one_quality_or_for_all() {
        let tier = |text: &str| text.parse::<Tier>().unwrap();
        assert_eq!(tier("0.5"), Tier { best: RenditionName::Ultra, amount: "0.5".into() });
        assert_eq!(tier("low = 1"), Tier { best: RenditionName::Low, amount: "1".into() });
        assert!("best=1".parse::<Tier>().is_err());
    }

    #[test]
    fn a_recording_is_named_or_is_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("recording.mp4");
        // As IPFS names it.
        std::fs::write(&file, "hello world").unwrap();
        let name = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
        assert_eq!(content_id(name).unwrap(), name);
        assert_eq!(content_id(&file.to_string_lossy()).unwrap(), name);
        assert!(content_id("nowhere.mp4").unwrap_err().to_string().contains("nowhere.mp4"));
    }

    #[test]
    fn prices_come_in_the_order_of_their_qualities_and_each_once() {
        let unit = Unit::new("DEV", 3);
        let grace = Grace { grace: 7 };
        let tiers = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Tier>>();
        let priced = prices(&tiers(&["high=0.004", "very_low=0.001"]), &grace, &unit).unwrap();
        let told: Vec<_> =
            priced.iter().map(|p| (p.tier, p.price.per_tick().units(), p.grace_ticks)).collect();
        assert_eq!(told, [(0, 1, 7), (3, 4, 7)]);
        for bad in [&["0"][..], &["low=1", "low=2"], &["low=1.0001"], &["low=much"]] {
            assert!(prices(&tiers(bad), &grace, &unit).is_err(), "{bad:?}");
        }
    }
}
