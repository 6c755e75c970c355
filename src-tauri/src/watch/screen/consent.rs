//! Asking in the window: the account, the cap, the passphrase, and a yes to what is signed.

use ::wallet::{Account, SecretText, Unit};
use ::watch::window::{Choice, Draft, Question, Reply, Secret, Terms, WindowHandle};
use anyhow::{Context, bail};
use media::RenditionName;
use pay::{Amount, VerifiedOffer};

use super::super::paying::{Checkout, PayingOptions, Plan, Wish, tier_of};
use super::Payer;
use crate::in_words;
use crate::wallet::ask::{agreement, stranger};
use crate::wallet::chain_link::{ChainUnit, NamedBy, chain_unit};

/// The best tier there is: it has no bound that a person would notice.
const BEST: u8 = RenditionName::ALL.len() as u8 - 1;
/// A cap that is offered: ten minutes.
const SECONDS: u64 = 600;

/// Returns once a person has agreed and the payment is ready. Whoever closes the window drops this.
pub(super) async fn payer(
    options: &PayingOptions,
    mut checkout: Checkout<'_>,
    handle: &WindowHandle,
) -> anyhow::Result<Payer> {
    ::wallet::harden_process().context("the system does not let this process keep its memory to itself")?;
    let unit = unit(&checkout, handle).await?;
    let offered = Offered::find(options, &checkout, unit)?;
    let mut terms = offered.terms(&checkout)?;
    let mut plan = None;
    handle.ask(Question::Terms(Box::new(terms.clone())));
    loop {
        match handle.reply().await {
            Reply::Chosen(choice) => plan = offered.draft(&mut checkout, choice, &mut terms).await,
            Reply::Agreed(choice, passphrase) => {
                handle.say(plan.as_ref().map_or("Making the payment ready", Plan::waits_for));
                match carried_out(&checkout, plan.take(), passphrase).await {
                    Ok(payer) => return Ok(payer),
                    Err(err) => terms.failed = Some(in_words(&err)),
                }
                plan = offered.draft(&mut checkout, choice, &mut terms).await;
            }
            // Neither is an answer to these questions.
            Reply::Confirmed | Reply::Declined => {}
        }
        handle.ask(Question::Terms(Box::new(terms.clone())));
    }
}

async fn carried_out(
    checkout: &Checkout<'_>,
    plan: Option<Plan>,
    passphrase: Secret,
) -> anyhow::Result<Payer> {
    let plan = plan.context("nothing was planned that could be agreed to")?;
    let key = plan.unlock(&checkout.wallet, &SecretText::new(passphrase.as_str())?)?;
    drop(passphrase);
    checkout.carry_out(plan, key).await
}

/// The unit that the wallet knows; where the node alone says it, a person compares it the first time.
async fn unit(checkout: &Checkout<'_>, handle: &WindowHandle) -> anyhow::Result<Unit> {
    let info = checkout.rail.info();
    let said = match chain_unit(&checkout.wallet, info)? {
        ChainUnit::Known(known) => return Ok(known),
        ChainUnit::Said(said) => said,
    };
    if checkout.named_by == NamedBy::Node {
        let agreement = agreement(&stranger(info, &said));
        handle.ask(Question::Confirm { agreement, yes: "That is its unit".to_owned() });
        while !matches!(handle.reply().await, Reply::Confirmed) {}
    }
    checkout.wallet.know_unit(info.genesis, info.asset, &said)?;
    Ok(said)
}

/// What a person chooses among.
struct Offered<'a> {
    options: &'a PayingOptions,
    unit: Unit,
    accounts: Vec<Account>,
    tiers: Vec<VerifiedOffer>,
}

impl<'a> Offered<'a> {
    fn find(options: &'a PayingOptions, checkout: &Checkout<'_>, unit: Unit) -> anyhow::Result<Self> {
        let accounts = checkout.wallet.accounts()?;
        let accounts: Vec<_> = accounts.into_iter().filter(|account| account.public().is_some()).collect();
        if accounts.is_empty() {
            bail!(
                "this wallet has no account that can pay: make one with \"tickcast wallet new NAME\" and send it \
                 something, or import one with \"tickcast wallet import\""
            );
        }
        Ok(Self { options, unit, accounts, tiers: checkout.offers()? })
    }

    fn terms(&self, checkout: &Checkout<'_>) -> anyhow::Result<Terms> {
        let named = self.options.wallet.as_deref().map(|name| checkout.wallet.account(name)).transpose()?;
        let account =
            named.and_then(|named| self.accounts.iter().position(|one| one.account == named.account));
        let tier = self.options.tier.and_then(|tier| self.tiers.iter().position(|one| tier_of(one) == tier));
        let quality = tier.unwrap_or(0);
        let price = self.tiers[quality].offer().price;
        let usual = || self.unit.decimal(price.times(SECONDS).unwrap_or(Amount::MAX));
        let cap = self.options.cap.clone().unwrap_or_else(usual);
        let choice = Choice { account: account.unwrap_or(0), quality, cap, is_closing: self.options.close };
        let payee = self.tiers[quality].offer().payee.account();
        Ok(Terms {
            payee: checkout.wallet.book()?.called(&payee),
            accounts: self.accounts.iter().map(Account::labelled).collect(),
            qualities: self.tiers.iter().map(|offer| self.priced(offer)).collect(),
            unit: self.unit.symbol().to_owned(),
            choice,
            draft: None,
            failed: None,
        })
    }

    fn priced(&self, offer: &VerifiedOffer) -> String {
        let price = self.unit.shortly(offer.offer().price.per_tick());
        // What is sent under it is as good as it comes, whatever that is.
        if tier_of(offer) == BEST {
            return format!("Best quality for {price} a second");
        }
        format!("{}p for {price} a second", offer.offer().quality.max_height)
    }

    /// What a choice takes, and says so; a plan where it can be.
    async fn draft(&self, checkout: &mut Checkout<'_>, choice: Choice, terms: &mut Terms) -> Option<Plan> {
        let planned = self.plan(checkout, &choice).await;
        let (plan, draft) = match planned {
            Ok(plan) => {
                let agreements = plan.approvals.iter().map(agreement).collect();
                let draft = Draft::Ready { words: plan.in_words(), agreements };
                (Some(plan), draft)
            }
            Err(err) => (None, Draft::Wrong(in_words(&err))),
        };
        terms.draft = Some((choice, draft));
        plan
    }

    async fn plan(&self, checkout: &mut Checkout<'_>, choice: &Choice) -> anyhow::Result<Plan> {
        let account = self.accounts.get(choice.account).context("there is no such account")?.clone();
        let tier = tier_of(self.tiers.get(choice.quality).context("there is no such quality")?);
        let cap = self.unit.parse(choice.cap.trim()).with_context(|| format!("\"{}\"", choice.cap))?;
        let wish = self.options.wish(account, self.unit.clone(), cap)?;
        checkout.renew().await?;
        checkout.plan(Wish { tier: Some(tier), is_closing: choice.is_closing, ..wish }).await
    }
}
