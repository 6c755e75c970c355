//! The chain that money of these tests is on: the development chain in this process, or, where the run is about it, a real
//! node with its runtime.

use devchain::{Config, Devchain};
use testkit::{Solochain, SolochainSettings};

pub enum AnyChain {
    Devchain(Devchain),
    Solochain(Solochain),
}

impl AnyChain {
    /// Goes on with what lies in the folder that `config` names, if there is something.
    pub async fn start(config: Config) -> Self {
        let Some(built) = Solochain::wanted() else {
            return Self::Devchain(Devchain::start(config).await.expect("a chain"));
        };
        let wasm = Solochain::runtime(&built).expect("the runtime was built");
        let spec = devchain::spec(&config.genesis, &wasm).expect("the genesis is right");
        let (block_period, finality_blocks) = config.by_the_clock().expect("no finality by hand");
        let Config { port, data, .. } = config;
        let settings = SolochainSettings { built, spec, block_period, finality_blocks, port, data };
        let node = tokio::task::block_in_place(|| Solochain::start(&settings));
        Self::Solochain(node.expect("the node starts"))
    }

    pub fn url(&self) -> String {
        match self {
            Self::Devchain(devchain) => devchain.url(),
            Self::Solochain(node) => node.url().to_owned(),
        }
    }

    /// For what no real node can do: blocks by hand, a clock that is stepped.
    pub fn devchain(&self) -> &Devchain {
        match self {
            Self::Devchain(devchain) => devchain,
            Self::Solochain(_) => panic!("a real node makes its blocks by the clock"),
        }
    }

    pub async fn stop(self) {
        match self {
            Self::Devchain(devchain) => devchain.stop().await,
            Self::Solochain(node) => {
                tokio::task::block_in_place(|| node.stop()).expect("the node ends");
            }
        }
    }
}
