//! `tickcast wallet`: a person's keys and money, for people at a terminal and for scripts.
//!
//! Secrets come from a prompt or a descriptor, never from arguments or the environment. What is printed has none.

mod accounts;
mod approve;
pub(crate) mod ask;
pub(crate) mod chain_link;
pub(crate) mod channels;
mod delegate;
mod money;
mod report;
mod streams;
#[cfg(feature = "windows")]
mod window;

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::{Args, Subcommand};
use pay::UnixMillis;
use wallet::{Folder, Wallet};

use self::ask::Ask;
use self::report::Report;

#[derive(Args, Debug)]
pub struct Options {
    /// The wallet's folder, where it is not the person's own.
    #[arg(long, global = true, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Prints JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    ask: Ask,
    #[cfg(feature = "windows")]
    #[command(flatten)]
    window: window::InWindow,
    #[command(subcommand)]
    command: Command,
}

/// Of `tickcast stream`. Named otherwise than [`Options`]: clap takes that for the group's.
#[derive(Args, Debug)]
pub struct StreamOptions {
    /// The wallet's folder, where it is not the person's own.
    #[arg(long, global = true, value_name = "FOLDER")]
    wallet_folder: Option<PathBuf>,
    /// Prints JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    ask: Ask,
    #[cfg(feature = "windows")]
    #[command(flatten)]
    window: window::InWindow,
    #[command(subcommand)]
    command: streams::Command,
}

/// Of `tickcast approve`.
#[cfg(feature = "windows")]
#[derive(Args, Debug)]
pub struct ApproveOptions {
    #[command(flatten)]
    approve: approve::Approve,
    /// The wallet's folder, where it is not the person's own.
    #[arg(long, value_name = "FOLDER")]
    wallet_folder: Option<PathBuf>,
    /// Prints JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    look: crate::look::Look,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Makes an account, and shows once the words to write down.
    New(accounts::New),
    /// Takes in an account from words, a seed, or a keystore of polkadot-js.
    #[command(subcommand)]
    Import(accounts::Import),
    /// Another account from one that is here.
    Derive(accounts::Derive),
    /// An account whose key is elsewhere: seen here, not spent from.
    Watch(accounts::Named),
    /// The accounts.
    List(accounts::List),
    /// An account's keystore, which polkadot-js wallets read.
    Export(accounts::Export),
    /// Changes an account's passphrase.
    Passphrase(accounts::One),
    /// Removes an account's key from this machine.
    Forget(accounts::One),
    /// Names for other people's addresses.
    #[command(subcommand)]
    AddressBook(accounts::AddressBook),
    /// Shows what a chain says of itself, to be compared before anything is paid there.
    Meet(chain_link::ChainAddress),
    /// What an account has.
    Balance(money::Balance),
    /// Sends money.
    Send(money::Send),
    /// What was sent and signed from here.
    History(money::History),
    /// What watching may cost at most.
    Caps(money::SetCaps),
    /// Channels, and what was paid from them.
    Channels(channels::Channels),
    /// Lets a node sign offers and receipts for an account.
    Delegate(delegate::Delegate),
    /// Gives a page that pays by the second the deposit that it asks for.
    Approve(approve::Approve),
}

/// What every command has.
struct Shell {
    wallet: Wallet,
    ask: Ask,
    report: Report,
}

impl Shell {
    fn open(folder: Option<PathBuf>, ask: Ask, is_json: bool) -> anyhow::Result<Self> {
        wallet::harden_process().context("the system does not let this process keep its memory to itself")?;
        let folder = folder.map_or_else(Folder::default_path, Ok)?;
        Ok(Self { wallet: Wallet::open(folder)?, ask, report: Report::new(is_json) })
    }
}

/// `tickcast stream`.
pub fn run_stream(options: StreamOptions) -> anyhow::Result<()> {
    let StreamOptions { wallet_folder, json, ask, command, .. } = options;
    let work = move |ask| {
        let shell = Shell::open(wallet_folder, ask, json)?;
        wait_for(streams::run(&shell, &command))
    };
    #[cfg(feature = "windows")]
    if options.window.is_wanted() {
        return options.window.show(work);
    }
    work(ask)
}

/// `tickcast wallet`.
pub fn run(options: Options) -> anyhow::Result<()> {
    let Options { folder, json, ask, command, .. } = options;
    let work = move |ask| carry_out(&Shell::open(folder, ask, json)?, &command);
    #[cfg(feature = "windows")]
    if options.window.is_wanted() {
        return options.window.show(work);
    }
    work(ask)
}

fn carry_out(shell: &Shell, command: &Command) -> anyhow::Result<()> {
    match command {
        Command::New(new) => accounts::new(shell, new),
        Command::Import(import) => accounts::import(shell, import),
        Command::Derive(derive) => accounts::derive(shell, derive),
        Command::Watch(watch) => accounts::watch(shell, watch),
        Command::List(list) => accounts::list(shell, list),
        Command::Export(export) => accounts::export(shell, export),
        Command::Passphrase(one) => accounts::change_passphrase(shell, one),
        Command::Forget(one) => accounts::forget(shell, one),
        Command::AddressBook(book) => accounts::address_book(shell, book),
        Command::History(history) => money::history(shell, history),
        Command::Meet(chain) => wait_for(money::meet(shell, chain)),
        Command::Balance(balance) => wait_for(money::balance(shell, balance)),
        Command::Send(send) => wait_for(money::send(shell, send)),
        Command::Caps(caps) => wait_for(money::caps(shell, caps)),
        Command::Channels(channels) => wait_for(channels::run(shell, channels)),
        Command::Delegate(delegate) => wait_for(delegate::run(shell, delegate)),
        Command::Approve(approve) => wait_for(approve::run(shell, approve)).map(drop),
    }
}

/// `tickcast approve`: what became of it stays to be read.
#[cfg(feature = "windows")]
pub fn run_approve(options: ApproveOptions) -> anyhow::Result<()> {
    let ApproveOptions { approve, wallet_folder, json, look } = options;
    window::show_and_tell(&look, "Reaching the node and its chain", |ask| {
        let shell = Shell::open(wallet_folder, ask, json)?;
        wait_for(approve::run(&shell, &approve))
    })
}

/// Why a link could not be followed: whoever pressed it has no terminal.
#[cfg(feature = "windows")]
pub fn tell(err: &anyhow::Error) -> anyhow::Result<()> {
    let prompt = ::approve::Prompt::default();
    prompt.over("This link cannot be opened", &crate::in_words(err));
    Ok(::approve::run(&prompt, ::approve::Look::default())?)
}

fn wait_for<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Runtime::new().context("the async runtime could not be started")?.block_on(work)
}

pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
