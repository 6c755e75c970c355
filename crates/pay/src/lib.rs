//! Paying by the second: offers, vouchers and receipts, the viewer's tab, the node's ledger, the channel between them.
//! Time, chain events, keys and bytes come in; it must not know of clocks, sockets, databases or chains. `PROTOCOL.md`
//! beside it is the specification.

pub mod amount;
pub mod channel;
pub mod close;
pub mod credit;
pub mod delegation;
pub mod id;
pub mod key;
pub mod ledger;
pub mod login;
pub mod message;
pub mod offer;
pub mod offer_book;
pub mod rail;
pub mod receipt;
pub mod refusal;
pub mod signed;
pub mod tab;
pub mod tick;
pub mod time;
pub mod voucher;
pub mod wire;

pub use amount::{Amount, Price};
pub use channel::{Channel, ChannelEvent, ChannelTerms, Phase};
pub use close::CloseTerms;
pub use credit::CreditTerms;
pub use delegation::Delegation;
pub use id::{AccountId, ChannelId, ContentId, DelegationHash, Genesis, OfferHash, ReceiptHash};
pub use key::{KeyScheme, Keypair, PublicKey, Signature, Signer};
pub use ledger::{Committed, Hold, Ledger, LedgerConfig, Uncommitted};
pub use login::{Challenges, LoginChallenge};
pub use message::{ToNode, ToViewer};
pub use offer::{AssetId, Offer, PublishedOffer, Quality, VerifiedOffer};
pub use offer_book::OfferBook;
pub use rail::{RailInfo, RailKind};
pub use receipt::Receipt;
pub use refusal::Refusal;
pub use signed::{Signable, Signed};
pub use tab::{Tab, TabError};
pub use tick::{Tick, TickClock, TickRange, Unplayed};
pub use time::UnixMillis;
pub use voucher::Voucher;
pub use wire::{DecodeError, Wire};
