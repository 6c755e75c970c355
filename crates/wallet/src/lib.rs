//! A person's keys: keystores, derivation, addresses, approvals that can be read, session keys that keep to their caps.
//! It knows no chain and no node: what is signed is handed in, and everything that signs looks at what it signs.

pub mod address;
pub mod approval;
mod approved;
mod base58;
mod base64;
pub mod book;
pub mod calendar;
mod channel_store;
mod harden;
pub mod history;
mod key;
mod keyring;
pub mod keystore;
pub mod path;
pub mod secret;
mod secret_box;
mod session;
mod session_key;
mod store;
pub mod terminal;
pub mod unit;
mod wallet;
mod words;

pub use address::{Address, AddressError, Prefix};
pub use approval::{Act, Approval};
pub use approved::Approved;
pub use book::{Book, BookError, Caps, Entry, Name, Shelf};
pub use channel_store::{ChannelRecord, ChannelStatus, ChannelStoreError, SentTopUp};
pub use harden::harden_process;
pub use key::{KeyError, SecretKey};
pub use keyring::{KeyHandle, Keyring};
pub use keystore::{Keystore, KeystoreError, KeystoreFile};
pub use path::{Path, PathError, key_from_secret};
pub use secret::{SecretBytes, SecretText};
pub use session::{Session, SessionError};
pub use session_key::{SessionKey, SessionLogin};
pub use store::{Folder, StoreError};
pub use terminal::{Asked, PromptError};
pub use unit::Unit;
pub use wallet::{Account, NewChannel, Ownership, Wallet, WalletError};
pub use words::{WordCount, Words, WordsError};
