//! An address where the chain is served, and the ways in which one can fail its clients.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jsonrpsee::server::{Server, ServerConfig, ServerHandle};

use crate::chain::Heads;
use crate::devchain::Shared;
use crate::rpc::{self, Context};

/// What it shows of the chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Manner {
    #[default]
    Prompt,
    /// It stopped with these, and what is given to it goes nowhere.
    Frozen(Heads),
    /// It passes transactions on, and does not answer.
    Silent,
}

pub(crate) struct View {
    pub shared: Arc<Shared>,
    manner: Mutex<Manner>,
    /// Transactions that were taken and went nowhere.
    pub lost: AtomicUsize,
}

impl View {
    pub fn manner(&self) -> Manner {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn heads(&self) -> Heads {
        match self.manner() {
            Manner::Frozen(heads) => heads,
            Manner::Prompt | Manner::Silent => *self.shared.chain().heads().borrow(),
        }
    }
}

/// Ends when it is dropped.
pub struct Endpoint {
    address: SocketAddr,
    server: ServerHandle,
    view: Arc<View>,
}

impl Endpoint {
    pub(crate) async fn open(shared: Arc<Shared>, port: u16) -> std::io::Result<Self> {
        let view = Arc::new(View { shared, manner: Mutex::default(), lost: AtomicUsize::new(0) });
        let module = rpc::module(Context { view: view.clone() }).map_err(std::io::Error::other)?;
        let config = ServerConfig::builder().max_connections(256).max_response_body_size(32 << 20).build();
        let server = Server::builder().set_config(config).build((Ipv4Addr::LOCALHOST, port)).await?;
        let address = server.local_addr()?;
        Ok(Self { address, server: server.start(module), view })
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// From now on it shows the chain as it is now, and takes transactions without passing them on.
    pub fn freeze(&self) {
        let heads = self.view.heads();
        self.set(Manner::Frozen(heads));
    }

    /// From now on it passes transactions on, but its answer to who sent them is lost.
    pub fn fall_silent(&self) {
        self.set(Manner::Silent);
    }

    /// How many transactions it took and did not pass on.
    pub fn lost(&self) -> usize {
        self.view.lost.load(Ordering::Relaxed)
    }

    pub fn recover(&self) {
        self.set(Manner::Prompt);
    }

    fn set(&self, manner: Manner) {
        *self.view.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
        self.view.shared.chain().announce();
    }

    /// Ends every connection, and returns when the address is free.
    pub async fn close(self) {
        self.shut().await;
    }

    pub(crate) async fn shut(&self) {
        // An error says that it ended before.
        let _ = self.server.stop();
        self.server.clone().stopped().await;
    }
}
