//! Paying for a stream: the wallet opens or tops up a channel to its creator, and the player gets that channel's session
//! key, which signs up to the cap and nothing else. Where the chain locks nothing, the account itself pays as it plays.

mod channel;
mod credit;
mod offer;
mod rejoin;

#[cfg(feature = "windows")]
pub(super) use offer::tier_of;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::wallet::approval::{Approval, Context as Words};
use ::wallet::{
    Account, Act, Approved, ChannelRecord, ChannelStatus, Folder, KeyHandle, NewChannel, SecretText, Session,
    Unit, Wallet,
};
use ::watch::{Admission, Admissions, Consent, PayHandle, PaySession, PaySocket, PayStatus, TabStore};
use anyhow::{Context, bail};
use api::pay::{JoinRequest, OfferInfo, PayInfo};
use api::{Client, StreamInfo};
use chain::{Rail, Settings};
use pay::login::Host;
use pay::{Amount, ChannelId, Phase, RailInfo, Tab, VerifiedOffer, Wire};
use tokio::runtime::Handle;
use tokio::time::timeout;

use channel::{Confirming, Hand, Ready, Step};
use credit::{Credit, Parties, Purse, PurseTask, Transferred};
use rejoin::{Identity, Return, Seat, Terms};

use super::address::StreamAddress;
use super::progress::Spending;
use super::report::{PaymentReport, SignedClose};
use crate::in_words;
use crate::wallet::ask::Ask;
use crate::wallet::chain_link::{NamedBy, must_afford, unit_of};
use crate::wallet::now;

/// A channel that was just opened may be unknown to the node for a block or two.
const KNOWN_WITHIN: Duration = Duration::from_secs(60);
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// A channel's opening is final within this, or is looked for later.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(60);
/// A close that both have signed is final on the chain within this, or is looked for later.
const CLOSED_WITHIN: Duration = Duration::from_secs(60);

/// Of another name than [`super::Options`]: clap takes it for the group's.
#[derive(clap::Args, Debug)]
pub(super) struct PayingOptions {
    /// The account that pays, by name or address.
    #[arg(long, value_name = "ACCOUNT", conflicts_with = "free")]
    pub wallet: Option<String>,
    /// What watching may cost at most; a channel that is opened for it holds so much.
    #[arg(long, value_name = "AMOUNT")]
    pub cap: Option<String>,
    /// Pays so much a second at most: nothing is watched that costs more, and a price that rises to this is taken.
    #[arg(long, value_name = "AMOUNT")]
    max_price: Option<String>,
    /// The quality to pay for, of those that the stream offers: very_low, low, medium, high or ultra. The best by default.
    #[arg(long, value_name = "QUALITY", value_parser = offer::tier)]
    pub tier: Option<u8>,
    /// Closes the channel afterwards, and gets the rest of the deposit back.
    #[arg(long)]
    pub close: bool,
    /// The wallet's folder, where it is not the person's own.
    #[arg(long, value_name = "FOLDER")]
    wallet_folder: Option<std::path::PathBuf>,
    /// The chain's address, where it is not to be the one that the node names.
    #[arg(long, value_name = "URL")]
    chain: Vec<String>,
    #[command(flatten)]
    ask: Ask,
}

/// Where a stream is paid: its node and chain answer, and nobody was asked anything.
pub(super) struct Checkout<'a> {
    address: &'a StreamAddress,
    client: &'a Client,
    offers: Vec<OfferInfo>,
    info: PayInfo,
    pub wallet: Wallet,
    pub rail: Arc<dyn Rail>,
    pub named_by: NamedBy,
}

/// What a person wants, in the chain's unit.
pub(super) struct Wish {
    pub account: Account,
    pub unit: Unit,
    pub cap: Amount,
    pub max_price: Option<Amount>,
    pub tier: Option<u8>,
    /// The channel is closed at the end.
    pub is_closing: bool,
}

/// What a wish takes: all that is to be signed for it.
pub(super) struct Plan {
    wish: Wish,
    offer: VerifiedOffer,
    step: Step,
    credit: Option<Credit>,
    host: Host,
    login: Act,
    watch: Act,
    pub approvals: Vec<Approval>,
    /// The chain takes it for what is sent there now.
    pub fee: Option<Amount>,
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
    confirming: Option<Confirming>,
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
    confirming: Option<Confirming>,
}

impl PayingOptions {
    /// Asks at the terminal.
    pub async fn prepare(
        &self,
        address: &StreamAddress,
        client: &Client,
        stream: &StreamInfo,
    ) -> anyhow::Result<Payer> {
        let checkout = self.checkout(address, client, stream).await?;
        let Checkout { wallet, rail, .. } = &checkout;
        let unit = unit_of(wallet, &self.ask, rail.info(), checkout.named_by)?;
        let account = wallet.account(self.wallet.as_deref().unwrap_or_default())?;
        let cap = parsed(&unit, self.cap.as_deref().unwrap_or_default())?;
        let wish = self.wish(account, unit, cap)?;
        let plan = checkout.plan(wish).await?;
        plan.approvals.iter().try_for_each(|approval| self.ask.approve(approval))?;
        let key = plan.unlock(&checkout.wallet, &self.ask.passphrase()?)?;
        checkout.carry_out(plan, key).await
    }

    /// Nobody has to be asked: everything was named.
    #[cfg(feature = "windows")]
    pub fn is_complete(&self) -> bool {
        self.wallet.is_some() && self.cap.is_some() && self.ask.is_silent()
    }

    /// What was named goes with the rest.
    pub fn wish(&self, account: Account, unit: Unit, cap: Amount) -> anyhow::Result<Wish> {
        let max_price = self.max_price.as_deref().map(|text| parsed(&unit, text)).transpose()?;
        Ok(Wish { account, unit, cap, max_price, tier: self.tier, is_closing: self.close })
    }

    /// Finds the node's terms, its chain and the wallet.
    pub async fn checkout<'a>(
        &self,
        address: &'a StreamAddress,
        client: &'a Client,
        stream: &StreamInfo,
    ) -> anyhow::Result<Checkout<'a>> {
        let info = client.pay_info().await?;
        let wallet = Wallet::open(self.wallet_folder.clone().map_or_else(Folder::default_path, Ok)?)?;
        let described = info.rail.as_ref().context("the node names no chain to pay on")?;
        let endpoints = if self.chain.is_empty() { info.endpoints.clone() } else { self.chain.clone() };
        let settings =
            Settings { genesis: Some(described.genesis), asset: described.asset, ..Settings::new(endpoints) };
        let rail = chain::connect(described.kind, settings)
            .await
            .context("the chain that it is paid on cannot be used")?;
        let named_by = if self.chain.is_empty() { NamedBy::Node } else { NamedBy::Person };
        let offers = stream.offers.clone();
        Ok(Checkout { address, client, offers, info, wallet, rail, named_by })
    }
}

fn parsed(unit: &Unit, text: &str) -> anyhow::Result<Amount> {
    unit.parse(text).with_context(|| format!("\"{text}\""))
}

impl Checkout<'_> {
    /// Of each tier one that can be taken, the best tier first.
    #[cfg(feature = "windows")]
    pub fn offers(&self) -> anyhow::Result<Vec<VerifiedOffer>> {
        offer::takeable(&self.offers, &self.wanted(None), now())
    }

    /// Offers do not hold for ever, and a person may think for long.
    #[cfg(feature = "windows")]
    pub async fn renew(&mut self) -> anyhow::Result<()> {
        self.offers = self.client.stream(&self.address.playback_id).await?.offers;
        Ok(())
    }

    /// Nothing is locked there.
    pub fn is_credit(&self) -> bool {
        self.info.rail.as_ref().is_some_and(|rail| rail.kind == pay::RailKind::Transfer)
    }

    fn wanted(&self, tier: Option<u8>) -> offer::Wanted<'_> {
        let RailInfo { genesis, asset, .. } = *self.rail.info();
        offer::Wanted { playback_id: &self.address.playback_id, genesis, asset, tier }
    }

    /// The offer, the channel, the login, and what a person is to consent to.
    pub async fn plan(&self, wish: Wish) -> anyhow::Result<Plan> {
        let Self { info, wallet, rail, .. } = self;
        let Wish { account, unit, cap, .. } = &wish;
        let about = rail.info();
        if self.is_credit() && wish.is_closing {
            bail!("the node is paid by transfers: nothing is locked, so there is no channel to close");
        }
        let offer = offer::choose(&self.offers, &self.wanted(wish.tier), now())?;
        let price = offer.offer().price;
        if price.per_tick() > *cap {
            bail!("a second costs {}, which is more than the cap", unit.exactly(price.per_tick()));
        }
        if wish.max_price.is_some_and(|most| price.per_tick() > most) {
            bail!("a second costs {}, which is more than --max-price allows", unit.exactly(price.per_tick()));
        }
        let public = account.public().context("the account's key is not here: it is only watched")?;
        let new = NewChannel {
            genesis: about.genesis,
            asset: about.asset,
            payer: account.account,
            payee: offer.offer().payee.account(),
            node: offer.node(),
            dispute_window_ms: if self.is_credit() { 0 } else { info.dispute_window_ms },
            node_url: self.address.node.clone(),
        };
        let (step, credit) = if self.is_credit() {
            let credit = Credit::of(rail.as_ref(), info.credit, &new).await?;
            (Step::Nothing(credit::record(wallet, &new)?), Some(credit))
        } else {
            (channel::find(wallet, rail.as_ref(), &new, *cap, price).await?, None)
        };
        // As it was asked, not as the node calls itself.
        let host = Host::new(&self.client.host()?)?;
        let login = Act::Login { host: host.clone() };
        let watch = Act::Watch { terms: step.record().terms, price, at_most: *cap };
        let fee = match step.call() {
            Some(call) => Some(rail.fee(call, public.account()).await?),
            None => credit.as_ref().map(|credit| credit.fee),
        };
        if let Some((amount, fee)) = step.act().and_then(|act| act.amount()).zip(fee) {
            must_afford(rail.as_ref(), account, amount, fee, unit).await?;
        }
        let book = wallet.book()?;
        let in_words = |act: &Act, fee| act.approval(&Words { unit, book: &book, chain: &about.chain, fee });
        // What costs a fee says so: the channel's transaction, or the transfers while it is watched.
        let by_transfers = fee.filter(|_| credit.is_some());
        let approvals = [(Some(login.clone()), None), (step.act(), fee), (Some(watch.clone()), by_transfers)];
        let approvals =
            approvals.iter().filter_map(|(act, fee)| Some(in_words(act.as_ref()?, *fee))).collect();
        Ok(Plan { wish, offer, step, credit, host, login, watch, approvals, fee })
    }

    /// Everything up to the first second, with the account's unlocked key.
    pub async fn carry_out(&self, plan: Plan, key: KeyHandle) -> anyhow::Result<Payer> {
        let (wallet, rail) = (self.wallet.clone(), Arc::clone(&self.rail));
        let Self { address, client, .. } = self;
        let Plan { wish, offer, step, credit, host, login, watch, .. } = plan;
        let Wish { account, unit, cap, max_price, is_closing, .. } = wish;
        let price = offer.offer().price;
        let hand = Hand {
            wallet: wallet.clone(),
            rail: Arc::clone(&rail),
            account: account.clone(),
            key: key.clone(),
            unit: unit.clone(),
        };
        let Ready { record, confirming } = channel::take(step, hand).await?;
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
        let seat = Seat { client: Client::clone(client), playback_id: address.playback_id.clone(), request };
        let admission = Admission::of(&seat.take(&logged_in).await?)
            .context("the node asks for payment and names no place for it")?;
        let RailInfo { genesis, asset, .. } = *rail.info();
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
        let account = Payment { unit, wallet, rail, channel: id, before, is_closing, rejoining };
        Ok(Payer { admissions, account, store, session: pay, purse, confirming })
    }
}

impl Plan {
    /// What happens to the money.
    #[cfg(feature = "windows")]
    pub fn in_words(&self) -> String {
        let unit = &self.wish.unit;
        let fee = self.fee.map(|fee| unit.shortly(fee)).unwrap_or_default();
        let left = if self.wish.is_closing {
            "What is left comes back when you stop."
        } else {
            "What is left stays for the next time, and comes back when the channel is closed."
        };
        match (&self.step, &self.credit) {
            (_, Some(_)) => {
                format!(
                    "Nothing is locked: while you watch, transfers pay what played. Each costs about {fee}."
                )
            }
            (Step::Open { deposit, .. }, None) => {
                format!("Locks {}; the chain takes about {fee}. {left}", unit.shortly(*deposit))
            }
            (Step::TopUp { by, .. }, None) => format!(
                "Adds {} to the channel that is open; the chain takes about {fee}. {left}",
                unit.shortly(*by)
            ),
            (Step::Nothing(_), None) => {
                format!("A channel is open that holds enough: nothing more is locked. {left}")
            }
        }
    }

    /// What it is that takes a while once it is agreed to.
    #[cfg(feature = "windows")]
    pub const fn waits_for(&self) -> &'static str {
        match &self.step {
            Step::Open { .. } => "Opening your channel in the chain's next block",
            Step::TopUp { .. } => "Adding to your channel until the chain has it for good",
            Step::Nothing(_) => "Making the payment ready",
        }
    }

    /// Only with the passphrase of the account that pays.
    pub fn unlock(&self, wallet: &Wallet, passphrase: &SecretText) -> anyhow::Result<KeyHandle> {
        Ok(wallet.unlock(&self.wish.account, passphrase)?.into())
    }
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
        Paying { socket, account: self.account, purse, store: self.store, confirming: self.confirming }
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
        let Self { socket, account, purse, store, confirming } = self;
        let handle = socket.handle();
        if account.is_closing {
            handle.close();
        } else {
            handle.stop();
        }
        let status = socket.over().await;
        let transferred = match purse {
            Some(purse) => Some(purse.end(status.spent).await?),
            None => None,
        };
        // Another program of this wallet may go on with it.
        drop(store);
        let undone = match confirming {
            Some(confirming) => undone(confirming).await,
            None => None,
        };
        let returned = match status.closed {
            Some(_) => account.closed().await?,
            None => None,
        };
        Ok(account.report(&status, returned, transferred, undone))
    }
}

/// Why the opening is not in a final block, where the chain says that it never will be, or is silent for too long.
async fn undone(confirming: Confirming) -> Option<String> {
    match timeout(CONFIRMED_WITHIN, confirming).await {
        Ok(Ok(Ok(_))) => None,
        Ok(Ok(Err(err))) => Some(in_words(&err)),
        Ok(Err(err)) => Some(err.to_string()),
        Err(_) => Some("the chain has not said yet whether it stays".to_owned()),
    }
}

impl Payment {
    /// Both have signed, and the node sends it to the chain. What came back, once the chain shows it closed.
    async fn closed(&self) -> anyhow::Result<Option<Amount>> {
        self.wallet.update_channel(self.channel, |record| record.status = ChannelStatus::Closing)?;
        let (end, mut turns) = (Instant::now() + CLOSED_WITHIN, tokio::time::interval(ASK_AGAIN));
        while Instant::now() < end {
            turns.tick().await;
            let state = self.rail.channel(self.channel).await?;
            if let Some(Phase::Closed { paid }) = state.map(|state| state.finalized) {
                let close = |record: &mut ChannelRecord| record.status = ChannelStatus::Closed;
                let record = self.wallet.update_channel(self.channel, close)?;
                return Ok(Some(record.deposit.checked_sub(paid).unwrap_or_default()));
            }
        }
        Ok(None)
    }

    fn report(
        &self,
        status: &PayStatus,
        returned: Option<Amount>,
        transferred: Option<Transferred>,
        undone: Option<String>,
    ) -> PaymentReport {
        let (before, after) = (&self.before.totals, &status.totals);
        let price = status.offer.offer().price.per_tick();
        let paid = status.spent.checked_sub(self.before.spent).unwrap_or(Amount::ZERO);
        let by_transfers = transferred.as_ref().map_or_else(String::new, |transferred| {
            let (paid, owed) = (self.unit.exactly(transferred.paid), self.unit.exactly(transferred.owed));
            format!("; {paid} of it transferred, {owed} owed still")
        });
        let back = match returned {
            Some(amount) => format!("; it is closed, and {} came back", self.unit.exactly(amount)),
            None if self.is_closing => "; the chain does not show it closed yet".to_owned(),
            None => String::new(),
        };
        let doubt =
            undone.as_ref().map_or_else(String::new, |why| format!("; its opening is not final: {why}"));
        let unplayed = match after.unplayed - before.unplayed {
            0 => String::new(),
            seconds => format!(" ({seconds} s more did not play, and cost nothing)"),
        };
        PaymentReport {
            channel: self.channel,
            seconds_played: after.played - before.played,
            seconds_unplayed: after.unplayed - before.unplayed,
            price,
            paid,
            total: status.spent,
            is_acknowledged: status.is_acknowledged,
            joined_again: self.rejoining.times(),
            is_closed: returned.is_some(),
            close: status.closed.map(|(session, node)| SignedClose { session, node }),
            receipt: status.receipt,
            transferred: transferred.as_ref().map(|transferred| transferred.paid),
            owed: transferred.as_ref().map(|transferred| transferred.owed),
            not_transferred: transferred.and_then(|transferred| transferred.failed),
            not_final: undone,
            words: format!(
                "paid {} for {} s{unplayed}, {} in all on channel {}{by_transfers}{back}{doubt}",
                self.unit.exactly(paid),
                after.played - before.played,
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
