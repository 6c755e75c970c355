//! Paying where nothing is locked: the account stays at hand while it plays, and transfers what was signed for each time
//! that the credit window fills.

mod book;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::wallet::history::{Event, Outcome};
use ::wallet::{
    Act, Address, Approved, ChannelRecord, ChannelStatus, Folder, KeyHandle, NewChannel, Unit, Wallet,
};
use ::watch::PayHandle;
use anyhow::{Context, bail};
use api::pay::{CreditAccount, CreditInfo, LoggedIn};
use api::{Client, ClientError};
use chain::{Call, Included, Rail, RailError};
use pay::{Amount, ChannelTerms, CreditTerms, Price, Signed};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use super::{ASK_AGAIN, KNOWN_WITHIN};
use crate::wallet::now;
use book::Book;

/// How often it is looked whether something is due.
const LOOK: Duration = Duration::from_millis(500);
/// Transfers that are on their way at once; more wait until one is final.
const SENDING_MAX: usize = 8;
/// A chain that cannot be reached is tried again after this.
const PAUSE: Duration = Duration::from_secs(5);
/// A transfer pays at least so many times its fee.
const FEES: u128 = 10;
const BOOK_MAX: u64 = 64 << 10;

/// The wallet's own record of a credit account between the same, or a new one.
pub(super) fn record(wallet: &Wallet, new: &NewChannel) -> anyhow::Result<ChannelRecord> {
    let known = wallet.channels()?.into_iter().find(|known| {
        let terms = &known.terms;
        terms.is_credit()
            && matches!(known.status, ChannelStatus::Open | ChannelStatus::Prepared)
            && (terms.genesis, terms.asset, terms.payer, terms.payee, terms.node)
                == (new.genesis, new.asset, new.payer, new.payee, new.node)
    });
    Ok(match known {
        Some(known) => known,
        None => wallet.prepare_channel(new, now())?,
    })
}

/// What a node's credit means for a payer: when it transfers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Credit {
    window: Amount,
    /// Nothing smaller is transferred while it plays.
    least: Amount,
    existential_deposit: Amount,
    finality_s: u64,
    /// Of one transfer.
    pub fee: Amount,
}

impl Credit {
    pub async fn of(rail: &dyn Rail, told: Option<CreditInfo>, new: &NewChannel) -> anyhow::Result<Self> {
        let CreditInfo { window, finality_s, .. } = told.context("the node names no credit window")?;
        let transfer = Call::Transfer { to: new.payee, amount: window };
        let fee = rail.fee(transfer, new.payer).await?;
        let existential_deposit = rail.info().existential_deposit;
        let least = match new.asset {
            pay::AssetId::Native => Amount::new(fee.units().saturating_mul(FEES)).max(existential_deposit),
            // Fees are not in it.
            pay::AssetId::Asset(_) => existential_deposit,
        };
        if window < least {
            bail!(
                "the node's credit window is less than ten transfers cost: paying by it would cost too much"
            );
        }
        Ok(Self { window, least, existential_deposit, finality_s, fee })
    }

    /// What is due is transferred from here on: what plays until that is final has room in the window, too.
    fn trigger(&self, price: Price) -> Amount {
        let until_final = price.times(self.finality_s).unwrap_or(Amount::MAX);
        self.window.checked_sub(until_final).unwrap_or(Amount::ZERO).max(self.least)
    }
}

/// Who pays whom, and with what.
pub(super) struct Parties {
    pub wallet: Wallet,
    pub rail: Arc<dyn Rail>,
    pub key: KeyHandle,
    pub terms: ChannelTerms,
    pub unit: Unit,
}

/// The account, while it plays.
pub(super) struct Purse {
    parties: Parties,
    credit: Credit,
    folder: Folder,
    file: PathBuf,
    book: Book,
    sending: JoinSet<(u64, Event, Result<Included, RailError>)>,
    not_before: Option<Instant>,
    /// Nothing more is transferred.
    failed: Option<String>,
}

/// What became of it.
pub(super) struct Transferred {
    /// In final blocks, by this account in all.
    pub paid: Amount,
    /// Signed for, and neither transferred nor on its way.
    pub owed: Amount,
    pub failed: Option<String>,
}

impl Purse {
    /// Opens the account at the node, which is asked how it stands; and pays what was left open before, where that is
    /// so much that the node would not go on.
    pub async fn open(
        parties: Parties,
        credit: Credit,
        price: Price,
        (client, logged_in, watch): (&Client, &LoggedIn, Act),
    ) -> anyhow::Result<Self> {
        let terms = parties.terms;
        let opening = CreditTerms::try_from(terms).context("the wallet's record is of a channel")?;
        let opening = Signed::sign(opening, &Approved::new(parties.key.clone(), watch))?;
        let standing = ask(client, logged_in, &opening).await?;
        let id = terms.id();
        parties.wallet.update_channel(id, |record| record.status = ChannelStatus::Open)?;
        let folder = Folder::open(parties.wallet.folder().to_owned())?;
        let file = PathBuf::from("channels").join(&id.to_string()[2..]).join("transfers.json");
        let book = match folder.read(&file, BOOK_MAX)? {
            Some(bytes) => serde_json::from_slice(&bytes).context("the record of what was transferred")?,
            None => Book::default(),
        };
        // A window that was narrowed since is not: the account keeps the one that it was opened with.
        let credit = Credit { window: standing.window.max(credit.least), ..credit };
        let (sending, not_before, failed) = (JoinSet::new(), None, None);
        let mut purse = Self { parties, credit, folder, file, book, sending, not_before, failed };
        purse.book.resolve(standing.paid, now());
        purse.save()?;
        let signed = purse.parties.wallet.spent(id)?;
        if purse.book.due(signed) >= credit.trigger(price) {
            purse.transfer(purse.book.due(signed))?;
            purse.wait().await?;
        }
        if let Some(why) = &purse.failed {
            bail!("what was watched before could not be paid: {why}");
        }
        Ok(purse)
    }

    /// Pays until it is told to end.
    pub fn start(self, pay: PayHandle, runtime: &Handle) -> PurseTask {
        let (end, ended) = oneshot::channel();
        let stop = pay.clone();
        let task = runtime.spawn(async move {
            let paid = self.run(pay, ended).await;
            if paid.is_err() {
                // Nothing is watched that will not be paid.
                stop.stop();
            }
            paid
        });
        PurseTask { end, task }
    }

    async fn run(
        mut self,
        pay: PayHandle,
        mut ended: oneshot::Receiver<Amount>,
    ) -> anyhow::Result<Transferred> {
        let mut turns = tokio::time::interval(LOOK);
        let signed = loop {
            tokio::select! {
                signed = &mut ended => break signed.context("nobody waits for what is paid")?,
                Some(done) = self.sending.join_next() => self.settled(done)?,
                _ = turns.tick() => {
                    let status = pay.status();
                    self.look(status.spent, status.offer.offer().price)?;
                }
            }
            if self.failed.is_some() {
                pay.stop();
            }
        };
        // What is left, unless it is so little that the payee's account may not even hold it.
        let due = self.book.due(signed);
        if self.failed.is_none() && !due.is_zero() && due >= self.credit.existential_deposit {
            self.transfer(due)?;
        }
        self.wait().await?;
        self.parties.key.lock();
        Ok(Transferred { paid: self.book.paid(), owed: self.book.due(signed), failed: self.failed })
    }

    fn look(&mut self, signed: Amount, price: Price) -> anyhow::Result<()> {
        let due = self.book.due(signed);
        let may = self.failed.is_none()
            && self.sending.len() < SENDING_MAX
            && self.not_before.is_none_or(|at| Instant::now() >= at);
        if may && due >= self.credit.trigger(price) { self.transfer(due) } else { Ok(()) }
    }

    /// Written down before it is sent: after a crash nothing is paid twice.
    fn transfer(&mut self, amount: Amount) -> anyhow::Result<()> {
        let Parties { wallet, rail, key, terms, unit } = &self.parties;
        let to = Address::generic(terms.payee);
        let act = Act::Transfer { genesis: terms.genesis, asset: terms.asset, to, amount };
        let event = Event {
            at: now(),
            account: terms.payer,
            what: act.summary(unit),
            outcome: Outcome::Sending,
            amount: Some(amount),
            fee: None,
            block: None,
            hash: None,
        };
        let number = self.book.begin(amount, now());
        self.save()?;
        wallet.note(&event)?;
        let (rail, signer) = (Arc::clone(rail), Arc::new(Approved::new(key.clone(), act)));
        let call = Call::Transfer { to: terms.payee, amount };
        self.sending.spawn(async move {
            let result = rail.submit(call, signer).await;
            (number, event, result)
        });
        Ok(())
    }

    fn settled(
        &mut self,
        done: Result<(u64, Event, Result<Included, RailError>), tokio::task::JoinError>,
    ) -> anyhow::Result<()> {
        let (number, event, result) = done.context("a transfer's task")?;
        let mut after = Event { at: now(), outcome: Outcome::Failed, ..event };
        match result {
            Ok(included) => {
                self.book.done(number);
                after.outcome = Outcome::Done;
                (after.fee, after.block) = (Some(included.fee), Some(included.block.number));
                after.hash = Some(pay::Genesis(included.hash).to_string());
            }
            // It may still come: it counts as paid until that is known.
            Err(RailError::Unknown) => after.outcome = Outcome::Unknown,
            Err(RailError::Unreachable(_)) => {
                self.book.failed(number);
                self.not_before = Some(Instant::now() + PAUSE);
            }
            Err(err) => {
                self.book.failed(number);
                self.failed = Some(err.to_string());
            }
        }
        self.save()?;
        self.parties.wallet.note(&after)?;
        let paid = self.book.paid();
        self.parties.wallet.update_channel(self.parties.terms.id(), |record| record.deposit = paid)?;
        Ok(())
    }

    /// Until nothing is on its way.
    async fn wait(&mut self) -> anyhow::Result<()> {
        while let Some(done) = self.sending.join_next().await {
            self.settled(done)?;
        }
        Ok(())
    }

    fn save(&self) -> anyhow::Result<()> {
        Ok(self.folder.write(&self.file, &serde_json::to_vec(&self.book)?)?)
    }
}

/// A purse that pays.
pub(super) struct PurseTask {
    end: oneshot::Sender<Amount>,
    task: JoinHandle<anyhow::Result<Transferred>>,
}

impl PurseTask {
    /// So much was signed for in all, and nothing more will be.
    pub async fn end(self, signed: Amount) -> anyhow::Result<Transferred> {
        // One that has ended says why below.
        let _ = self.end.send(signed);
        self.task.await.context("the task that pays")?
    }
}

/// A node that has just started has read no block yet.
async fn ask(
    client: &Client,
    logged_in: &LoggedIn,
    opening: &Signed<CreditTerms>,
) -> anyhow::Result<CreditAccount> {
    let end = Instant::now() + KNOWN_WITHIN;
    let mut turns = tokio::time::interval(ASK_AGAIN);
    loop {
        turns.tick().await;
        match client.open_credit(logged_in, opening).await {
            Err(ClientError::Refused(problem)) if problem.code == "not_yet" && Instant::now() < end => {}
            answer => return answer.context("the node opens no credit account"),
        }
    }
}
