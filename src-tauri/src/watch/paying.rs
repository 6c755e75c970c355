//! Paying for a stream: the wallet opens or tops up a channel to its creator, and the player gets that channel's session
//! key, which signs up to the cap and nothing else. Where the chain locks nothing, the account itself pays as it plays.

mod channel;
mod credit;
mod offer;
mod rejoin;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::wallet::approval::Context as Words;
use ::wallet::{Act, Approved, ChannelStatus, Folder, KeyHandle, NewChannel, Session, Unit, Wallet};
use ::watch::{Admission, Admissions, Consent, PayHandle, PaySession, PaySocket, PayStatus, TabStore};
use anyhow::{Context, bail};
use api::pay::{JoinRequest, PayInfo};
use api::{Client, StreamInfo};
use chain::{Rail, Settings};
use pay::login::Host;
use pay::{Amount, AssetId, ChannelId, Genesis, Phase, Tab, VerifiedOffer, Wire};
use tokio::runtime::Handle;

use channel::Step;
use credit::{Credit, Parties, Purse, PurseTask, Transferred};
use rejoin::{Identity, Return, Seat, Terms};

use super::address::StreamAddress;
use super::progress::Spending;
use super::report::{PaymentReport, SignedClose};
use crate::wallet::ask::Ask;
use crate::wallet::chain_link::{NamedBy, unit_of};
use crate::wallet::now;

/// A channel that was just opened may be unknown to the node for a block or two.
const KNOWN_WITHIN: Duration = Duration::from_secs(60);
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// A close that both have signed is final on the chain within this, or is looked for later.
const CLOSED_WITHIN: Duration = Duration::from_secs(60);

/// Of another name than [`super::Options`]: clap takes it for the group's.
#[derive(clap::Args, Debug)]
pub(super) struct PayingOptions {
    /// The account that pays, by name or address.
    #[arg(long, value_name = "ACCOUNT", requires = "cap", conflicts_with = "free")]
    pub wallet: Option<String>,
    /// What watching may cost at most; a channel that is opened for it holds so much.
    #[arg(long, value_name = "AMOUNT", requires = "wallet")]
    pub cap: Option<String>,
    /// Takes dearer offers that come while watching, up to this price a second.
    #[arg(long, value_name = "AMOUNT", requires = "wallet")]
    max_price: Option<String>,
    /// The quality to pay for, 0 being the lowest; the best by default.
    #[arg(long, value_name = "N", requires = "wallet")]
    tier: Option<u8>,
    /// Closes the channel afterwards, and gets the rest of the deposit back.
    #[arg(long, requires = "wallet")]
    close: bool,
    /// The wallet's folder, where it is not the person's own.
    #[arg(long, value_name = "FOLDER", requires = "wallet")]
    wallet_folder: Option<std::path::PathBuf>,
    /// The chain's address, where it is not to be the one that the node names.
    #[arg(long, value_name = "URL", requires = "wallet")]
    chain: Vec<String>,
    #[command(flatten)]
    ask: Ask,
}

/// What was agreed on, as far as it goes without an account.
struct Bargain {
    rail: Arc<dyn Rail>,
    genesis: Genesis,
    asset: AssetId,
    /// What it calls itself.
    chain: String,
    unit: Unit,
    cap: Amount,
    max_price: Option<Amount>,
    offer: VerifiedOffer,
}

/// Ready to pay: nothing is connected yet.
pub(super) struct Payer {
    /// Shared by the player.
    pub admissions: Arc<Admissions>,
    account: Payment,
    store: Arc<WalletTab>,
    session: PaySession,
    /// Where nothing is locked.
    purse: Option<Purse>,
}

/// What is paid from, and what was paid before.
struct Payment {
    unit: Unit,
    wallet: Wallet,
    rail: Arc<dyn Rail>,
    channel: ChannelId,
    before: PayStatus,
    is_closing: bool,
    rejoining: Arc<Return>,
}

/// While it is paid.
pub(super) struct Paying {
    socket: PaySocket,
    account: Payment,
    purse: Option<PurseTask>,
    /// Held until all is transferred.
    store: Arc<WalletTab>,
}

impl PayingOptions {
    /// Which offer is taken, and where it is paid.
    async fn bargain(
        &self,
        wallet: &Wallet,
        info: &PayInfo,
        address: &StreamAddress,
        stream: &StreamInfo,
    ) -> anyhow::Result<Bargain> {
        let described = info.rail.as_ref().context("the node names no chain to pay on")?;
        let endpoints = if self.chain.is_empty() { info.endpoints.clone() } else { self.chain.clone() };
        if is_credit(info) && self.close {
            bail!("the node is paid by transfers: nothing is locked, so there is no channel to close");
        }
        let settings =
            Settings { genesis: Some(described.genesis), asset: described.asset, ..Settings::new(endpoints) };
        let rail = chain::connect(described.kind, settings)
            .await
            .context("the chain that it is paid on cannot be used")?;
        let about = rail.info();
        let by = if self.chain.is_empty() { NamedBy::Node } else { NamedBy::Person };
        let unit = unit_of(wallet, &self.ask, about, by)?;
        let parse = |text: &str| unit.parse(text).with_context(|| format!("\"{text}\""));
        let cap = parse(self.cap.as_deref().unwrap_or_default())?;
        let max_price = self.max_price.as_deref().map(parse).transpose()?;
        let wanted = offer::Wanted {
            playback_id: &address.playback_id,
            genesis: about.genesis,
            asset: about.asset,
            tier: self.tier,
        };
        let offer = offer::choose(&stream.offers, &wanted, now())?;
        let price = offer.offer().price;
        if price.per_tick() > cap {
            bail!("a second costs {}, which is more than the cap", unit.exactly(price.per_tick()));
        }
        let (genesis, asset, chain) = (about.genesis, about.asset, about.chain.clone());
        Ok(Bargain { rail, genesis, asset, chain, unit, cap, max_price, offer })
    }

    /// Everything up to the first second: the offer, the channel, the login, and a person's consent to all of it.
    pub async fn prepare(
        &self,
        address: &StreamAddress,
        client: &Client,
        stream: &StreamInfo,
    ) -> anyhow::Result<Payer> {
        let info = client.pay_info().await?;
        let wallet = Wallet::open(self.wallet_folder.clone().map_or_else(Folder::default_path, Ok)?)?;
        let Bargain { rail, genesis, asset, chain, unit, cap, max_price, offer } =
            self.bargain(&wallet, &info, address, stream).await?;
        let price = offer.offer().price;

        let account = wallet.account(self.wallet.as_deref().unwrap_or_default())?;
        let public = account.public().context("the account's key is not here: it is only watched")?;
        let new = NewChannel {
            genesis,
            asset,
            payer: account.account,
            payee: offer.offer().payee.account(),
            node: offer.node(),
            dispute_window_ms: if is_credit(&info) { 0 } else { info.dispute_window_ms },
            node_url: address.node.clone(),
        };
        let (step, credit) = if is_credit(&info) {
            let credit = Credit::of(rail.as_ref(), info.credit, &new).await?;
            (Step::Nothing(credit::record(&wallet, &new)?), Some(credit))
        } else {
            (channel::find(&wallet, rail.as_ref(), &new, cap, price).await?, None)
        };

        // As it was asked, not as the node calls itself.
        let host = Host::new(&client.host()?)?;
        let login = Act::Login { host: host.clone() };
        let watch = Act::Watch { terms: step.record().terms, price, at_most: cap };
        let fee = match step.call() {
            Some(call) => Some(rail.fee(call, public.account()).await?),
            None => credit.map(|credit| credit.fee),
        };
        let book = wallet.book()?;
        let words = Words { unit: &unit, book: &book, chain: &chain, fee };
        let acts: Vec<_> =
            [Some(login.clone()), step.act(), Some(watch.clone())].into_iter().flatten().collect();
        acts.iter().try_for_each(|act| self.ask.approve(&act.approval(&words)))?;
        let key: KeyHandle = wallet.unlock(&account, &self.ask.passphrase()?)?.into();

        let record = channel::take(step, &wallet, rail.as_ref(), &account, &key, &unit).await?;
        let logged_in = client.login(&Approved::new(key.clone(), login)).await?;
        let id = record.terms.id();
        // From here on no other program of this wallet pays from it.
        let mut session = wallet.begin_session(id)?;
        let (purse, identity) = match credit {
            Some(credit) => {
                let identity = Identity::Account(key.clone());
                let (wallet, rail, terms) = (wallet.clone(), Arc::clone(&rail), record.terms);
                let parties = Parties { wallet, rail, key, terms, unit: unit.clone() };
                let purse = Purse::open(parties, credit, price, (client, &logged_in, watch)).await?;
                (Some(purse), identity)
            }
            // From here on nothing needs the account.
            None => {
                key.lock();
                (None, Identity::Session(session.signer()))
            }
        };
        let request = JoinRequest { viewer_id: account.account.to_string(), channel: Some(id) };
        let seat = Seat { client: client.clone(), playback_id: address.playback_id.clone(), request };
        let admission = Admission::of(&seat.take(&logged_in).await?)
            .context("the node asks for payment and names no place for it")?;
        let terms = Terms { genesis, asset, tier: offer.offer().quality.tier };
        let rejoining = Arc::new(Return::new(seat, identity, terms, host));

        let limit = session.grant(Some(cap), now())?;
        let mut tab = match session.tab() {
            Some(tab) => tab.clone(),
            None => Tab::new(record.terms, offer, limit)?,
        };
        tab.set_limit(limit);
        let consent: Consent = Arc::new(move |_, asked| Some(asked.price.per_tick()) <= max_price);
        let pay = PaySession::new(tab, offer, session.signer(), consent)?;
        let before = pay.status();
        let store = Arc::new(WalletTab(Mutex::new(session)));
        let admissions = Admissions::renewed_by(admission, Arc::clone(&rejoining) as _);
        let account = Payment { unit, wallet, rail, channel: id, before, is_closing: self.close, rejoining };
        Ok(Payer { admissions, account, store, session: pay, purse })
    }
}

/// Nothing is locked there.
fn is_credit(info: &PayInfo) -> bool {
    info.rail.as_ref().is_some_and(|rail| rail.kind == pay::RailKind::Transfer)
}

impl Payer {
    /// Of the quality that is paid for.
    pub fn lines(&self) -> u32 {
        self.session.status().offer.offer().quality.max_height.into()
    }

    /// Connects the pay socket; the player is to be started with its handle.
    pub fn start(self, runtime: &Handle) -> Paying {
        let store = Arc::clone(&self.store) as Arc<dyn TabStore>;
        let socket = PaySocket::connect(self.admissions, self.session, store, runtime);
        let purse = self.purse.map(|purse| purse.start(socket.handle(), runtime));
        Paying { socket, account: self.account, purse, store: self.store }
    }
}

impl Paying {
    pub fn handle(&self) -> PayHandle {
        self.socket.handle()
    }

    pub fn spending(&self) -> Spending {
        let before = &self.account.before;
        let (unit, seconds, before) = (self.account.unit.clone(), before.totals.played, before.spent);
        Spending { unit, seconds, before }
    }

    /// Nothing more is watched: what played is paid and acknowledged, and the channel is closed where that was asked
    /// for.
    pub async fn end(self) -> anyhow::Result<PaymentReport> {
        let Self { socket, account, purse, store } = self;
        let handle = socket.handle();
        if account.is_closing {
            handle.close();
        } else {
            handle.stop();
        }
        let status = socket.over().await;
        let is_closed = match status.closed {
            Some(_) => account.closed().await?,
            None => false,
        };
        let transferred = match purse {
            Some(purse) => Some(purse.end(status.spent).await?),
            None => None,
        };
        drop(store);
        Ok(account.report(&status, is_closed, transferred))
    }
}

impl Payment {
    /// Both have signed, and the node sends it to the chain.
    async fn closed(&self) -> anyhow::Result<bool> {
        self.wallet.update_channel(self.channel, |record| record.status = ChannelStatus::Closing)?;
        let (end, mut turns) = (Instant::now() + CLOSED_WITHIN, tokio::time::interval(ASK_AGAIN));
        while Instant::now() < end {
            turns.tick().await;
            let state = self.rail.channel(self.channel).await?;
            if state.is_some_and(|state| matches!(state.finalized, Phase::Closed { .. })) {
                self.wallet.update_channel(self.channel, |record| record.status = ChannelStatus::Closed)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn report(&self, status: &PayStatus, is_closed: bool, transferred: Option<Transferred>) -> PaymentReport {
        let (before, after) = (&self.before.totals, &status.totals);
        let price = status.offer.offer().price.per_tick();
        let paid = status.spent.checked_sub(self.before.spent).unwrap_or(Amount::ZERO);
        let by_transfers = transferred.as_ref().map_or_else(String::new, |transferred| {
            let (paid, owed) = (self.unit.exactly(transferred.paid), self.unit.exactly(transferred.owed));
            format!("; {paid} of it transferred, {owed} owed still")
        });
        PaymentReport {
            channel: self.channel,
            seconds_played: after.played - before.played,
            seconds_unplayed: after.unplayed - before.unplayed,
            price,
            paid,
            total: status.spent,
            is_acknowledged: status.is_acknowledged,
            joined_again: self.rejoining.times(),
            is_closed,
            close: status.closed.map(|(session, node)| SignedClose { session, node }),
            receipt: status.receipt,
            transferred: transferred.as_ref().map(|transferred| transferred.paid),
            owed: transferred.as_ref().map(|transferred| transferred.owed),
            not_transferred: transferred.and_then(|transferred| transferred.failed),
            words: format!(
                "paid {} for {} s ({} s did not play), {} in all on channel {}{by_transfers}",
                self.unit.exactly(paid),
                after.played - before.played,
                after.unplayed - before.unplayed,
                self.unit.exactly(status.spent),
                self.channel
            ),
        }
    }
}

/// The wallet's own record of the channel.
struct WalletTab(Mutex<Session>);

impl TabStore for WalletTab {
    fn save(&self, record: &[u8]) -> io::Result<()> {
        let tab = Tab::from_bytes(record).map_err(io::Error::other)?;
        let mut session = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        session.save(&tab, now()).map_err(io::Error::other)
    }
}
