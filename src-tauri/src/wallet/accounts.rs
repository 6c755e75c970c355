//! Accounts and the address book: what needs no chain.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use pay::KeyScheme;
use serde_json::{Value, json};
use wallet::{
    Account, Address, Entry, KeystoreFile, Name, Ownership, Path, Prefix, SecretKey, SecretText, Shelf,
    WordCount, Words, calendar, key_from_secret,
};

use super::report::table;
use super::{Shell, now};

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Scheme {
    Sr25519,
    Ed25519,
}

impl From<Scheme> for KeyScheme {
    fn from(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Sr25519 => Self::Sr25519,
            Scheme::Ed25519 => Self::Ed25519,
        }
    }
}

#[derive(Args, Debug)]
pub(super) struct Kind {
    #[arg(long, value_enum, default_value_t = Scheme::Sr25519)]
    scheme: Scheme,
    /// Derives from it, as in //main or //0/1.
    #[arg(long, default_value = "", hide_default_value = true)]
    path: String,
}

#[derive(Args, Debug)]
pub(super) struct New {
    name: String,
    /// 12 or 24.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u8).range(12..=24))]
    words: u8,
    #[command(flatten)]
    kind: Kind,
    /// Writes the words to this open descriptor instead of showing them at the terminal.
    #[arg(long, value_name = "N")]
    words_fd: Option<u32>,
}

#[derive(Subcommand, Debug)]
pub(super) enum Import {
    /// From the words that were written down, with a path and a ///password if there are any.
    Words(FromSecret),
    /// From a seed: 0x and 64 hexadecimal digits.
    Seed(FromSecret),
    /// From a keystore file as polkadot-js wallets export it.
    Keystore {
        file: PathBuf,
        /// Another name than the file has.
        #[arg(long)]
        name: Option<String>,
    },
}

#[derive(Args, Debug)]
pub(super) struct FromSecret {
    name: String,
    #[command(flatten)]
    kind: Kind,
    /// Reads the secret from this open descriptor instead of asking at the terminal.
    #[arg(long, value_name = "N")]
    secret_fd: Option<u32>,
}

#[derive(Args, Debug)]
pub(super) struct Derive {
    /// Name or address.
    account: String,
    /// As in //main; without a password.
    path: String,
    /// What the new one is called. It has the same passphrase.
    name: String,
}

#[derive(Args, Debug)]
pub(super) struct Named {
    name: String,
    address: String,
}

#[derive(Args, Debug)]
pub(super) struct One {
    /// Name or address.
    account: String,
}

#[derive(Args, Debug)]
pub(super) struct List {
    /// Writes addresses for the network with this number (42: any; 0: Polkadot).
    #[arg(long, default_value_t = 42)]
    prefix: u16,
}

#[derive(Args, Debug)]
pub(super) struct Export {
    /// Name or address.
    account: String,
    /// A new file; otherwise it is printed.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
pub(super) enum AddressBook {
    Add(Named),
    Remove { name: String },
    List,
}

fn as_json(account: &Account, prefix: Prefix) -> Value {
    let address = Address { prefix, ..account.address() };
    let (kind, scheme) = match account.ownership {
        Ownership::Own(scheme) => ("own", Some(scheme)),
        Ownership::Watched => ("watched", None),
    };
    json!({
        "name": account.name, "address": address.to_string(), "account": account.account,
        "kind": kind, "scheme": scheme, "created": account.created,
    })
}

fn told(shell: &Shell, account: &Account, what: &str) {
    let text = format!("{what} \"{}\": {}", account.name.as_str(), account.address());
    shell.report.done(&as_json(account, Prefix::GENERIC), &text);
}

/// The secret, derived along the path of the arguments.
fn key(secret: &SecretText, kind: &Kind) -> anyhow::Result<SecretKey> {
    let root = key_from_secret(kind.scheme.into(), secret.as_str()?)?;
    Ok(Path::parse(&kind.path)?.derive(&root)?)
}

pub(super) fn new(shell: &Shell, new: &New) -> anyhow::Result<()> {
    let (name, count) = (
        Name::new(&new.name)?,
        match new.words {
            12 => WordCount::Twelve,
            24 => WordCount::TwentyFour,
            other => bail!("{other} words are no choice: take 12 or 24"),
        },
    );
    let words = Words::generate(count)?.text()?;
    let key = key(&words, &new.kind)?;
    let passphrase = shell.ask.new_passphrase()?;
    shell.wallet.may_add(&name, &key, &passphrase)?;
    // First the words, then the account: one that nobody can restore is never paid to.
    shell.ask.show_words(&words, new.words_fd)?;
    let account = shell.wallet.add(&name, &key, &passphrase, now())?;
    told(shell, &account, "new account");
    Ok(())
}

pub(super) fn import(shell: &Shell, import: &Import) -> anyhow::Result<()> {
    let (from, is_seed) = match import {
        Import::Words(from) => (from, false),
        Import::Seed(from) => (from, true),
        Import::Keystore { file, name } => return import_keystore(shell, file, name.as_deref()),
    };
    let name = Name::new(&from.name)?;
    let what = if is_seed { "the seed" } else { "the words" };
    let secret = shell.ask.secret(what, from.secret_fd)?;
    if secret.as_str()?.trim_start().starts_with("0x") != is_seed {
        bail!("this is not {what}: seeds begin with 0x, words do not");
    }
    let key = key(&secret, &from.kind)?;
    let account = shell.wallet.add(&name, &key, &shell.ask.new_passphrase()?, now())?;
    told(shell, &account, "imported");
    Ok(())
}

fn import_keystore(shell: &Shell, file: &std::path::Path, name: Option<&str>) -> anyhow::Result<()> {
    let mut json = Vec::new();
    let most = KeystoreFile::MAX_BYTES as u64 + 1;
    let opened = std::fs::File::open(file).and_then(|opened| opened.take(most).read_to_end(&mut json));
    opened.with_context(|| format!("{} cannot be read", file.display()))?;
    let keystores = KeystoreFile::parse(&json)?;
    let passphrase = shell.ask.passphrase()?;
    let keystores = keystores.keystores(&passphrase)?;
    if name.is_some() && keystores.len() > 1 {
        bail!(
            "the file holds {} accounts, which cannot all have one name: leave --name out",
            keystores.len()
        );
    }
    let mut imported = Vec::new();
    for keystore in keystores {
        let name =
            Name::new(name.unwrap_or(keystore.name())).context("give the account a name with --name")?;
        imported.push(shell.wallet.import(&name, keystore, &passphrase)?);
    }
    if let [account] = &imported[..] {
        told(shell, account, "imported");
        return Ok(());
    }
    let json = imported.iter().map(|account| as_json(account, Prefix::GENERIC)).collect();
    shell.report.done(&Value::Array(json), &format!("imported {} accounts", imported.len()));
    Ok(())
}

pub(super) fn derive(shell: &Shell, derive: &Derive) -> anyhow::Result<()> {
    let (from, name) = (shell.wallet.account(&derive.account)?, Name::new(&derive.name)?);
    let path = Path::parse(&derive.path)?;
    let passphrase = shell.ask.passphrase()?;
    let key = path.derive(&shell.wallet.unlock(&from, &passphrase)?)?;
    let account = shell.wallet.add(&name, &key, &passphrase, now())?;
    told(shell, &account, "derived");
    Ok(())
}

fn entry(named: &Named) -> anyhow::Result<Entry> {
    Ok(Entry { name: Name::new(&named.name)?, address: named.address.parse()? })
}

pub(super) fn watch(shell: &Shell, named: &Named) -> anyhow::Result<()> {
    shell.wallet.add_entry(Shelf::Watched, entry(named)?)?;
    told(shell, &shell.wallet.account(named.name.trim())?, "watching");
    Ok(())
}

pub(super) fn list(shell: &Shell, list: &List) -> anyhow::Result<()> {
    let prefix = Prefix::new(list.prefix).context("a prefix is below 16384, and 46 and 47 are reserved")?;
    let accounts = shell.wallet.accounts()?;
    let rows = accounts.iter().map(|account| {
        let kind = match account.ownership {
            Ownership::Own(scheme) => format!("{scheme:?}").to_lowercase(),
            Ownership::Watched => "watched".to_owned(),
        };
        let made = if account.created.0 == 0 { String::new() } else { calendar::utc(account.created) };
        [account.name.as_str().to_owned(), Address { prefix, ..account.address() }.to_string(), kind, made]
    });
    let rows: Vec<_> = rows.collect();
    let text = match &rows[..] {
        [] => "there is no account yet: `tickcast wallet new NAME` makes one".to_owned(),
        rows => table(["name", "address", "kind", "made"], rows),
    };
    shell.report.done(&accounts.iter().map(|account| as_json(account, prefix)).collect(), &text);
    Ok(())
}

pub(super) fn export(shell: &Shell, export: &Export) -> anyhow::Result<()> {
    let account = shell.wallet.account(&export.account)?;
    let keystore = shell.wallet.keystore(&account)?;
    // So that nobody keeps a file whose passphrase is not known.
    keystore.open(&shell.ask.passphrase()?)?;
    let Some(path) = &export.to else {
        crate::say(&keystore.to_json());
        return Ok(());
    };
    let written = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(keystore.to_json().as_bytes())?;
        file.sync_all()
    };
    written().with_context(|| format!("{} cannot be written", path.display()))?;
    let text = format!("exported \"{}\" to {}, under its passphrase", account.name.as_str(), path.display());
    shell.report.done(&json!({"address": account.address().to_string(), "file": path}), &text);
    Ok(())
}

pub(super) fn change_passphrase(shell: &Shell, one: &One) -> anyhow::Result<()> {
    let account = shell.wallet.account(&one.account)?;
    // Refused before anything is asked.
    shell.wallet.keystore(&account)?;
    let (old, new) = shell.ask.old_and_new_passphrase()?;
    shell.wallet.change_passphrase(&account, &old, &new)?;
    told(shell, &account, "changed the passphrase of");
    Ok(())
}

pub(super) fn forget(shell: &Shell, one: &One) -> anyhow::Result<()> {
    let account = shell.wallet.account(&one.account)?;
    if account.public().is_some() {
        shell.ask.confirm(&format!(
            "The key of \"{}\" ({}) will be gone from this machine: only its words or an export bring it back.",
            account.name.as_str(),
            account.address()
        ))?;
    }
    shell.wallet.forget(&account)?;
    told(shell, &account, "forgot");
    Ok(())
}

pub(super) fn address_book(shell: &Shell, command: &AddressBook) -> anyhow::Result<()> {
    let as_json = |entry: &Entry| json!({"name": entry.name, "address": entry.address.to_string()});
    match command {
        AddressBook::Add(named) => {
            let entry = entry(named)?;
            if let Some(known) = shell.wallet.book()?.look_alike(&entry.address) {
                let alike = wallet::approval::Warning::LooksLike(known.name.clone());
                shell.ask.confirm(&format!("WARNING: {alike}."))?;
            }
            shell.wallet.add_entry(Shelf::Contacts, entry.clone())?;
            let text = format!("added \"{}\": {}", entry.name.as_str(), entry.address);
            shell.report.done(&as_json(&entry), &text);
        }
        AddressBook::Remove { name } => {
            let entry = shell.wallet.remove_entry(Shelf::Contacts, name)?;
            shell.report.done(&as_json(&entry), &format!("removed \"{}\"", entry.name.as_str()));
        }
        AddressBook::List => {
            let book = shell.wallet.book()?;
            let entries = book.entries(Shelf::Contacts);
            let rows: Vec<_> = entries
                .iter()
                .map(|entry| [entry.name.as_str().to_owned(), entry.address.to_string()])
                .collect();
            let text = if rows.is_empty() {
                "the address book is empty".to_owned()
            } else {
                table(["name", "address"], &rows)
            };
            shell.report.done(&entries.iter().map(as_json).collect(), &text);
        }
    }
    Ok(())
}
