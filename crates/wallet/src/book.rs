//! What a wallet remembers that is no secret: names of addresses, accounts that are only watched, spending caps.

use pay::{AccountId, Amount, AssetId, Genesis};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::address::Address;
use crate::unit::Unit;

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BookError {
    #[error("a name has 1 to {} characters, none of them invisible", Name::MAX_CHARS)]
    BadName,
    #[error("there is a \"{0}\" already: take another name, or remove that one first")]
    NameTaken(String),
    #[error("there is no \"{0}\"")]
    Unknown(String),
    #[error("the address is in the book already, as \"{0}\"")]
    AddressTaken(String),
    #[error("there are more than {} entries", Book::MAX_ENTRIES)]
    Full,
    /// Whoever serves it lies, now or the first time: an amount that is typed in would mean another.
    #[error(
        "the chain is said to count with {found} decimals, and this wallet knows it with {known}: do not trust the \
         endpoint that says so"
    )]
    OtherDecimals { known: u8, found: u8 },
}

/// What a person calls something.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    pub const MAX_CHARS: usize = 64;

    /// Control characters, and those that are not seen or turn the text round, could make one name pass for another.
    pub fn new(text: &str) -> Result<Self, BookError> {
        let text = text.trim();
        let unseen =
            |c: char| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        let hidden = |c: char| c.is_control() || unseen(c) || ('\u{2028}'..='\u{202e}').contains(&c);
        let length = text.chars().count();
        let fits = (1..=Self::MAX_CHARS).contains(&length) && !text.chars().any(hidden);
        if fits { Ok(Self(text.to_owned())) } else { Err(BookError::BadName) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = BookError;

    fn try_from(text: String) -> Result<Self, BookError> {
        Self::new(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub name: Name,
    #[serde(serialize_with = "write_address", deserialize_with = "read_address")]
    pub address: Address,
}

fn write_address<S: Serializer>(address: &Address, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(address)
}

fn read_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// What may be spent of one asset; `None` is no bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Caps {
    /// Between the beginning and the end of watching.
    pub per_session: Option<Amount>,
    /// To one payee, over all of its channels, since the wallet was made.
    pub per_creator: Option<Amount>,
    /// In a day (UTC), over all payees.
    pub per_day: Option<Amount>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct AssetCaps {
    genesis: Genesis,
    asset: AssetId,
    caps: Caps,
}

/// How amounts of an asset were read the first time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct KnownUnit {
    genesis: Genesis,
    asset: AssetId,
    symbol: String,
    decimals: u8,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Book {
    contacts: Vec<Entry>,
    watched: Vec<Entry>,
    caps: Vec<AssetCaps>,
    units: Vec<KnownUnit>,
}

/// Which list of the book.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shelf {
    /// Others.
    Contacts,
    /// A person's own, whose keys are elsewhere.
    Watched,
}

impl Book {
    pub const MAX_ENTRIES: usize = 1_000;

    pub fn entries(&self, shelf: Shelf) -> &[Entry] {
        match shelf {
            Shelf::Contacts => &self.contacts,
            Shelf::Watched => &self.watched,
        }
    }

    fn shelf(&mut self, shelf: Shelf) -> &mut Vec<Entry> {
        match shelf {
            Shelf::Contacts => &mut self.contacts,
            Shelf::Watched => &mut self.watched,
        }
    }

    pub fn add(&mut self, shelf: Shelf, entry: Entry) -> Result<(), BookError> {
        let both = || self.contacts.iter().chain(&self.watched);
        if both().any(|known| known.name == entry.name) {
            return Err(BookError::NameTaken(entry.name.0));
        }
        if let Some(known) = both().find(|known| known.address.account == entry.address.account) {
            return Err(BookError::AddressTaken(known.name.0.clone()));
        }
        if self.shelf(shelf).len() >= Self::MAX_ENTRIES {
            return Err(BookError::Full);
        }
        self.shelf(shelf).push(entry);
        Ok(())
    }

    pub fn remove(&mut self, shelf: Shelf, name: &str) -> Result<Entry, BookError> {
        let entries = self.shelf(shelf);
        let at = entries.iter().position(|entry| entry.name.as_str() == name);
        Ok(entries.remove(at.ok_or_else(|| BookError::Unknown(name.to_owned()))?))
    }

    /// `Ana (5Grw…)` with the address in full, or that alone.
    pub fn called(&self, account: &AccountId) -> String {
        let address = Address::generic(*account);
        match self.name_of(account) {
            Some(name) => format!("{} ({address})", name.as_str()),
            None => address.to_string(),
        }
    }

    pub fn name_of(&self, account: &AccountId) -> Option<&Name> {
        let mut both = self.contacts.iter().chain(&self.watched);
        both.find(|entry| entry.address.account == *account).map(|entry| &entry.name)
    }

    /// The entry that an address begins and ends like without being it.
    pub fn look_alike(&self, address: &Address) -> Option<&Entry> {
        if self.name_of(&address.account).is_some() {
            return None;
        }
        self.contacts.iter().chain(&self.watched).find(|entry| entry.address.looks_like(address))
    }

    /// The unit of an asset that this wallet has met before.
    ///
    /// # Errors
    /// [`BookError::OtherDecimals`] where it was another than `found`.
    pub fn unit(&self, genesis: Genesis, asset: AssetId, found: &Unit) -> Result<Option<Unit>, BookError> {
        let known = self.units.iter().find(|known| (known.genesis, known.asset) == (genesis, asset));
        match known {
            None => Ok(None),
            Some(KnownUnit { decimals, .. }) if *decimals != found.decimals() => {
                Err(BookError::OtherDecimals { known: *decimals, found: found.decimals() })
            }
            Some(KnownUnit { symbol, decimals, .. }) => Ok(Some(Unit::new(symbol, *decimals))),
        }
    }

    /// How amounts of an asset are read here, where that is known.
    pub fn known_unit(&self, genesis: Genesis, asset: AssetId) -> Option<Unit> {
        let known = self.units.iter().find(|known| (known.genesis, known.asset) == (genesis, asset))?;
        Some(Unit::new(&known.symbol, known.decimals))
    }

    /// From now on amounts of this asset are read so. One that is known stays as it is.
    pub fn know_unit(&mut self, genesis: Genesis, asset: AssetId, unit: &Unit) -> Result<(), BookError> {
        if self.unit(genesis, asset, unit)?.is_some() {
            return Ok(());
        }
        if self.units.len() >= Self::MAX_ENTRIES {
            return Err(BookError::Full);
        }
        let (symbol, decimals) = (unit.symbol().to_owned(), unit.decimals());
        self.units.push(KnownUnit { genesis, asset, symbol, decimals });
        Ok(())
    }

    pub fn caps(&self, genesis: Genesis, asset: AssetId) -> Caps {
        let found = self.caps.iter().find(|caps| (caps.genesis, caps.asset) == (genesis, asset));
        found.map(|found| found.caps).unwrap_or_default()
    }

    pub fn set_caps(&mut self, genesis: Genesis, asset: AssetId, caps: Caps) -> Result<(), BookError> {
        self.caps.retain(|known| (known.genesis, known.asset) != (genesis, asset));
        if self.caps.len() >= Self::MAX_ENTRIES {
            return Err(BookError::Full);
        }
        self.caps.push(AssetCaps { genesis, asset, caps });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, byte: u8) -> Entry {
        Entry { name: Name::new(name).unwrap(), address: Address::generic(AccountId([byte; 32])) }
    }

    #[test]
    fn a_name_stands_for_one_address_and_an_address_has_one_name() {
        let mut book = Book::default();
        book.add(Shelf::Contacts, entry("Ana", 1)).unwrap();
        assert_eq!(book.add(Shelf::Watched, entry("Ana", 2)), Err(BookError::NameTaken("Ana".into())));
        assert_eq!(book.add(Shelf::Watched, entry("Bo", 1)), Err(BookError::AddressTaken("Ana".into())));
        book.add(Shelf::Watched, entry("Bo", 2)).unwrap();
        assert_eq!(book.name_of(&AccountId([2; 32])).map(Name::as_str), Some("Bo"));
        assert_eq!(book.remove(Shelf::Contacts, "Bo"), Err(BookError::Unknown("Bo".into())));
        assert_eq!(book.remove(Shelf::Contacts, "Ana"), Ok(entry("Ana", 1)));
    }

    #[test]
    fn a_name_that_could_pass_for_another_is_refused() {
        for wrong in ["", "  ", "An\u{200b}a", "a\nb", "\u{202e}ana", &"a".repeat(65)] {
            assert_eq!(Name::new(wrong), Err(BookError::BadName), "{wrong:?}");
        }
        assert_eq!(Name::new("  Zoë 🎥 ").unwrap().as_str(), "Zoë 🎥");
    }

    #[test]
    fn an_asset_keeps_the_decimals_that_it_was_met_with_and_the_symbol() {
        let mut book = Book::default();
        let (here, there, unit) = (Genesis([1; 32]), Genesis([2; 32]), Unit::new("DOT", 10));
        assert_eq!(book.unit(here, AssetId::Native, &unit), Ok(None));
        book.know_unit(here, AssetId::Native, &unit).unwrap();
        // Two decimals more make a hundred of one.
        let lie = Err(BookError::OtherDecimals { known: 10, found: 12 });
        assert_eq!(book.unit(here, AssetId::Native, &Unit::new("DOT", 12)).map(drop), lie);
        assert_eq!(book.know_unit(here, AssetId::Native, &Unit::new("DOT", 12)), lie);
        assert_eq!(book.unit(here, AssetId::Native, &Unit::new("EURO", 10)), Ok(Some(unit)));
        assert_eq!(book.unit(here, AssetId::Asset(1), &Unit::new("USD", 6)), Ok(None));
        assert_eq!(book.unit(there, AssetId::Native, &Unit::new("USD", 6)), Ok(None));
        let read: Book = serde_json::from_str(&serde_json::to_string(&book).unwrap()).unwrap();
        assert_eq!(read, book);
    }

    #[test]
    fn caps_are_those_of_one_asset_on_one_chain() {
        let mut book = Book::default();
        let (here, there) = (Genesis([1; 32]), Genesis([2; 32]));
        let caps = Caps { per_day: Some(Amount::new(5)), ..Caps::default() };
        book.set_caps(here, AssetId::Native, caps).unwrap();
        assert_eq!(book.caps(here, AssetId::Native), caps);
        assert_eq!(book.caps(there, AssetId::Native), Caps::default());
        assert_eq!(book.caps(here, AssetId::Asset(0)), Caps::default());
        let read: Book = serde_json::from_str(&serde_json::to_string(&book).unwrap()).unwrap();
        assert_eq!(read, book);
    }
}
