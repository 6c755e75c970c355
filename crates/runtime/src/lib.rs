//! The development chain's runtime: balances, assets, and the escrow of channels that are paid by the second. It must not
//! know of streams, offers or nodes: only of deposits, and of the vouchers that are claims on them.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub mod api;
pub mod construction;
pub mod escrow;
#[cfg(feature = "std")]
pub mod genesis;
pub mod transaction;

pub use construction::{
    Address, AllPalletsWithSystem, Assets, Balances, Block, Escrow, Executive, Header, Runtime, RuntimeCall,
    RuntimeEvent, RuntimeGenesisConfig, RuntimeOrigin, Signature, System, Timestamp, TxExtension,
    UncheckedExtrinsic, VERSION,
};
#[cfg(feature = "std")]
pub use genesis::Genesis;

/// The unit of an account's balance: 10^12 of them are one `DEV`.
pub type Balance = u128;
pub type AccountId = sp_runtime::AccountId32;
pub type Nonce = u32;
pub type BlockNumber = u32;
pub type Hash = sp_core::H256;

pub const SYMBOL: &str = "DEV";
pub const DECIMALS: u8 = 12;
/// One `DEV`.
pub const UNIT: Balance = 1_000_000_000_000;
/// An account that holds less is none.
pub const EXISTENTIAL_DEPOSIT: Balance = UNIT / 1_000;
/// Any Substrate chain.
pub const SS58_PREFIX: u16 = 42;
