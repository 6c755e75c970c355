//! What a person is asked before an account's key signs: every act in words, amounts in units and exactly.

use std::fmt;

use pay::login::Host;
use pay::{AccountId, Amount, AssetId, ChannelTerms, Delegation, Genesis, Price, UnixMillis};

use crate::address::Address;
use crate::book::{Book, Name};
use crate::calendar;
use crate::unit::Unit;

/// What is to be signed, decoded. [`crate::Approved`] signs that and nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    /// At the host that was asked for a challenge.
    Login {
        host: Host,
    },
    /// A node's hot key may speak for the account.
    Delegate {
        delegation: Delegation,
        host: Host,
    },
    Open {
        terms: ChannelTerms,
        deposit: Amount,
        expires_at: UnixMillis,
    },
    TopUp {
        terms: ChannelTerms,
        by: Amount,
    },
    /// The payer alone; then the dispute window runs.
    StartClose {
        terms: ChannelTerms,
    },
    /// After the window, or the expiry.
    Close {
        terms: ChannelTerms,
    },
    /// By the session key, together with the node.
    CooperativeClose {
        terms: ChannelTerms,
        deposit: Amount,
        cumulative: Amount,
    },
    /// By the session key: vouchers, by the second, up to so much in this session.
    Watch {
        terms: ChannelTerms,
        price: Price,
        at_most: Amount,
    },
    Transfer {
        genesis: Genesis,
        asset: AssetId,
        to: Address,
        amount: Amount,
    },
}

/// Something that a person should know before saying yes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Warning {
    /// The address begins and ends like this entry's, and is another.
    LooksLike(Name),
    /// Nobody of the address book.
    NotInBook,
    /// A whole balance, or nearly.
    Irreversible,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LooksLike(name) => write!(
                f,
                "this address begins and ends like that of \"{}\", and is ANOTHER: somebody may have made it so that \
                 you take it for that one. Compare every character",
                name.as_str()
            ),
            Self::NotInBook => f.write_str("this address is not in your address book"),
            Self::Irreversible => f.write_str("nobody can take this back"),
        }
    }
}

/// To be shown whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Approval {
    pub title: String,
    /// Label and value.
    pub lines: Vec<(&'static str, String)>,
    pub warnings: Vec<Warning>,
}

impl fmt::Display for Approval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        let width = self.lines.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
        self.lines.iter().try_for_each(|(label, value)| writeln!(f, "  {label:width$}  {value}"))?;
        self.warnings.iter().try_for_each(|warning| writeln!(f, "  WARNING: {warning}"))
    }
}

/// What is known of the chain and of people, for putting an act into words.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub unit: &'a Unit,
    pub book: &'a Book,
    /// What the chain calls itself.
    pub chain: &'a str,
    /// What the transaction will cost besides; `None` where there is none.
    pub fee: Option<Amount>,
}

impl Context<'_> {
    fn about(&self, address: &Address) -> Option<Warning> {
        if self.book.name_of(&address.account).is_some() {
            return None;
        }
        let alike = self.book.look_alike(address).map(|entry| Warning::LooksLike(entry.name.clone()));
        Some(alike.unwrap_or(Warning::NotInBook))
    }

    fn chain(&self, genesis: Genesis) -> String {
        let name: String = self.chain.chars().filter(|c| !c.is_control()).take(40).collect();
        format!("{name} (genesis {genesis})")
    }
}

impl Act {
    /// One line for a history.
    pub fn summary(&self, unit: &Unit) -> String {
        let money = |amount: &Amount| format!("{} {}", unit.decimal(*amount), unit.symbol());
        match self {
            Self::Login { host } => format!("Log in at {}", host.as_str()),
            Self::Delegate { host, .. } => {
                format!("Let the node at {} sign offers and receipts", host.as_str())
            }
            Self::Open { terms, deposit, .. } => {
                format!("Open a channel of {} to {}", money(deposit), Address::generic(terms.payee))
            }
            Self::TopUp { terms, by } => format!("Add {} to channel {}", money(by), terms.id()),
            Self::StartClose { terms } => format!("Begin to close channel {}", terms.id()),
            Self::Close { terms } => format!("Close channel {}", terms.id()),
            Self::CooperativeClose { terms, cumulative, .. } => {
                format!("Close channel {} with {} paid", terms.id(), money(cumulative))
            }
            Self::Watch { terms, at_most, .. } => {
                format!("Pay up to {} to {} by the second", money(at_most), Address::generic(terms.payee))
            }
            Self::Transfer { to, amount, .. } => format!("Send {} to {to}", money(amount)),
        }
    }

    /// What leaves the account at once, without the fee.
    pub fn amount(&self) -> Option<Amount> {
        match self {
            Self::Open { deposit, .. } => Some(*deposit),
            Self::TopUp { by, .. } => Some(*by),
            Self::Transfer { amount, .. } => Some(*amount),
            _ => None,
        }
    }

    /// All that the signature will mean.
    pub fn approval(&self, context: &Context<'_>) -> Approval {
        let mut told = match self {
            Self::Login { host } => Told::new("Log in").line("host", host.as_str()).line(
                "meaning",
                "this host will act for you there until you are logged out; nothing is paid by it",
            ),
            Self::Delegate { delegation, host } => told_delegation(delegation, host, context),
            Self::Transfer { genesis, asset, to, amount } => Told::new("Send money")
                .line("amount", context.unit.exactly(*amount))
                .line("asset", asset_text(*asset))
                .line("to", format!("{to}{}", named(context, &to.account)))
                .line("chain", context.chain(*genesis))
                .warn(context.about(to))
                .warn(Some(Warning::Irreversible)),
            Self::Open { terms, .. }
            | Self::TopUp { terms, .. }
            | Self::StartClose { terms }
            | Self::Close { terms }
            | Self::CooperativeClose { terms, .. }
            | Self::Watch { terms, .. } => told_channel(self, terms, context),
        };
        if let Some(fee) = context.fee {
            told = told.line("fee", format!("about {}", context.unit.exactly(fee)));
        }
        told.0
    }
}

fn named(context: &Context<'_>, account: &AccountId) -> String {
    context.book.name_of(account).map_or_else(String::new, |name| format!(" ({})", name.as_str()))
}

fn asset_text(asset: AssetId) -> String {
    match asset {
        AssetId::Native => "the chain's own".to_owned(),
        AssetId::Asset(id) => format!("number {id} of the assets pallet"),
    }
}

fn told_delegation(delegation: &Delegation, host: &Host, context: &Context<'_>) -> Told {
    Told::new("Let a node sign offers and receipts for you")
        .line("node", host.as_str())
        .line("node's key", key_text(&delegation.node))
        .line("payee", context.book.called(&delegation.payee.account()))
        .line("from", calendar::utc(delegation.from))
        .line("until", calendar::utc(delegation.until))
        .line("chain", context.chain(delegation.genesis))
        .line(
            "meaning",
            "the node sets prices and confirms payments in your name; whatever is settled goes to your account, and \
             the node cannot spend from it",
        )
}

fn key_text(key: &pay::PublicKey) -> String {
    format!("{:?} {}", key.scheme, AccountId(key.bytes))
}

fn told_channel(act: &Act, terms: &ChannelTerms, context: &Context<'_>) -> Told {
    let unit = context.unit;
    let told = match act {
        Act::Open { deposit, expires_at, .. } => Told::new("Open a payment channel")
            .line("deposit", unit.exactly(*deposit))
            .line("cap", "the deposit: more than that can never be paid from the channel")
            .line("expires", calendar::utc(*expires_at)),
        Act::TopUp { by, .. } => {
            Told::new("Top a payment channel up").line("deposit rises by", unit.exactly(*by))
        }
        Act::StartClose { .. } => Told::new("Begin to close a payment channel").line(
            "meaning",
            "after the dispute window the channel can be closed; until then what you signed is still settled",
        ),
        Act::Close { .. } => {
            Told::new("Close a payment channel").line("meaning", "what was not paid comes back to the payer")
        }
        Act::CooperativeClose { deposit, cumulative, .. } => {
            let back = deposit.checked_sub(*cumulative).unwrap_or(Amount::ZERO);
            Told::new("Close a payment channel together with the node")
                .line("payee gets", unit.exactly(*cumulative))
                .line("comes back", unit.exactly(back))
        }
        Act::Watch { price, at_most, .. } => Told::new("Pay by the second while you watch")
            .line("price", format!("{} a second", unit.exactly(price.per_tick())))
            .line("cap", unit.exactly(*at_most)),
        _ => Told::new("Use a payment channel"),
    };
    let binding = if terms.is_credit() {
        (
            "paid by",
            "transfers from the account while you watch, up to the cap, without asking again".to_owned(),
        )
    } else {
        ("dispute window", format!("{} s", terms.dispute_window_ms.div_ceil(1_000)))
    };
    told.line("payee", context.book.called(&terms.payee))
        .line("payer", context.book.called(&terms.payer))
        .line("asset", asset_text(terms.asset))
        .line("node's key", key_text(&terms.node))
        .line("session key", key_text(&terms.session))
        .line(binding.0, binding.1)
        .line("channel", terms.id().to_string())
        .line("chain", context.chain(terms.genesis))
}

struct Told(Approval);

impl Told {
    fn new(title: &str) -> Self {
        Self(Approval { title: title.to_owned(), lines: Vec::new(), warnings: Vec::new() })
    }

    fn line(mut self, label: &'static str, value: impl Into<String>) -> Self {
        self.0.lines.push((label, value.into()));
        self
    }

    fn warn(mut self, warning: Option<Warning>) -> Self {
        self.0.warnings.extend(warning);
        self
    }
}

#[cfg(test)]
mod tests;
