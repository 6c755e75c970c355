//! A development chain with the escrow of channels, in one process: the runtime run natively behind the RPC of a Substrate
//! node. One block maker, no network, no consensus: what a chain's clients see of it is what they would see of a real one.

mod accounts;
mod archive;
mod block_log;
mod chain;
mod devchain;
mod draft;
mod endpoint;
mod pool;
mod rpc;
mod spec;

pub use accounts::{Account, AccountScheme, development_accounts};
pub use chain::{BlockId, Fate, Transactions};
pub use devchain::{Config, Devchain, DevchainError, Finality, Sealing};
pub use endpoint::Endpoint;
pub use spec::spec;
