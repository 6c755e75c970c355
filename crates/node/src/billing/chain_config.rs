//! Where and how a node is paid: the table `[chain]` of its settings. Without it everything is free.

use pay::{Amount, AssetId, Genesis, LedgerConfig, RailKind};
use serde::Deserialize;

/// Half of it is what finality takes on public chains, and a block.
const SHORT_WINDOW_S: u64 = 60;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChainConfig {
    /// WebSocket addresses of the chain's nodes, the best first.
    pub endpoints: Vec<String>,
    pub rail: RailKind,
    /// The chain that is meant; without it the first endpoint's is believed.
    pub genesis: Option<Genesis>,
    pub asset: AssetId,
    /// The host and port by which people reach this node, as login challenges name it; empty: `public_host` and the
    /// HTTP port.
    pub login_host: String,
    /// A channel whose payer could close it sooner is not served: the node must have time to settle. Half of it without a
    /// final block, and nobody is served.
    pub dispute_window_s: u64,
    /// How long an offer is in force. A new price counts at the latest when the last offer of the old one ends.
    pub offer_s: u64,
    /// Unsettled amounts from this on go on chain, in smallest units; so do older ones.
    pub settle_from: Amount,
    pub settle_after_s: u64,
    /// Of a channel that a block has which is not final yet so much is served, and the grace at least. A creator loses it
    /// should that block lose, and the channel with it.
    pub unconfirmed_s: u16,
    /// So long after its viewer left, a channel is settled.
    pub settle_idle_s: u64,
    /// Less than this is not worth a fee, unless the channel ends. Left out: what the fee was when the node began; where
    /// that is in another asset, any amount is.
    pub settle_at_least: Option<Amount>,
    /// On a chain without the escrow: how much a viewer may owe a creator, and so what a creator can lose to it.
    pub credit_window: Amount,
    /// There: how long a transfer takes to be final, with some seconds to spare.
    pub finality_s: u64,
    /// Whether paid streams, and each change of them, are recorded on chain. Each costs the node a fee.
    pub record_streams: bool,
    /// The RPC address of an IPFS node that is to have what is recorded; empty: none.
    pub ipfs_api: String,
}

impl Default for ChainConfig {
    fn default() -> Self {
        Self {
            endpoints: vec!["ws://127.0.0.1:9944".to_owned()],
            rail: RailKind::Escrow,
            genesis: None,
            asset: AssetId::Native,
            login_host: String::new(),
            dispute_window_s: 3_600,
            offer_s: 900,
            unconfirmed_s: 30,
            settle_from: Amount::MAX,
            settle_after_s: 3_600,
            settle_idle_s: 5,
            settle_at_least: None,
            credit_window: Amount::ZERO,
            finality_s: 30,
            record_streams: true,
            ipfs_api: String::new(),
        }
    }
}

impl ChainConfig {
    /// What may be meant, but costs money on most chains.
    pub(crate) fn warning(&self) -> Option<&'static str> {
        let is_short = self.rail == RailKind::Escrow && self.dispute_window_s < SHORT_WINDOW_S;
        is_short.then_some(
            "chain.dispute_window_s is less than a minute: where blocks take seconds, what viewers owe may not get on chain \
             in time, and they are held while a block takes longer",
        )
    }

    pub(crate) fn mistake(&self) -> Option<&'static str> {
        let is_host = self.login_host.is_empty() || pay::login::Host::new(&self.login_host).is_ok();
        let is_ipfs = self.ipfs_api.is_empty() || api::ipfs::Ipfs::new(&self.ipfs_api).is_ok();
        let days = |seconds: u64| seconds <= 365 * 86_400;
        if self.endpoints.is_empty() || !self.endpoints.iter().all(|url| chain::is_endpoint(url)) {
            Some(
                "chain.endpoints are addresses that begin with wss:// (ws:// of this machine alone), at least one",
            )
        } else if !is_host {
            Some("chain.login_host is a host and a port in lower case, as in live.example.org:443")
        } else if !is_ipfs {
            Some("chain.ipfs_api is the address of an IPFS node's RPC, as in http://127.0.0.1:5001, or empty")
        } else if !(60..=86_400).contains(&self.offer_s) {
            Some("chain.offer_s is between a minute and a day")
        } else if self.rail == RailKind::Escrow && self.dispute_window_s == 0 {
            Some(
                "chain.dispute_window_s is how long the node has for settling once a payer closes alone: without it, \
                 payers could take everything back",
            )
        } else if !days(self.dispute_window_s) || !days(self.settle_after_s) || !days(self.settle_idle_s) {
            Some("chain: no time is longer than a year")
        } else if self.rail == RailKind::Transfer && self.credit_window.is_zero() {
            Some(
                "chain.credit_window says what a viewer may owe where nothing is locked: set it, in smallest units",
            )
        } else if self.unconfirmed_s > 3_600 {
            Some("chain.unconfirmed_s is at most an hour")
        } else if !(1..=3_600).contains(&self.finality_s) {
            Some("chain.finality_s is between a second and an hour")
        } else {
            None
        }
    }

    pub(crate) const fn dispute_window_ms(&self) -> u64 {
        self.dispute_window_s * 1_000
    }

    pub(crate) fn ledger(&self) -> LedgerConfig {
        LedgerConfig {
            settle_from: self.settle_from,
            settle_after_ms: self.settle_after_s * 1_000,
            unconfirmed_ticks: self.unconfirmed_s,
            ..LedgerConfig::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NodeConfig;

    #[test]
    fn a_node_has_time_to_settle_and_is_told_where_it_has_little() {
        let with = |dispute_window_s, rail| ChainConfig {
            dispute_window_s,
            rail,
            credit_window: Amount::new(1),
            ..ChainConfig::default()
        };
        assert!(with(0, RailKind::Escrow).mistake().is_some_and(|why| why.contains("dispute_window_s")));
        for (seconds, is_short) in [(1, true), (59, true), (60, false), (3_600, false)] {
            let config = with(seconds, RailKind::Escrow);
            assert_eq!((config.mistake(), config.warning().is_some()), (None, is_short), "{seconds}");
        }
        // Where nothing is locked there is none.
        let credit = with(0, RailKind::Transfer);
        assert_eq!((credit.mistake(), credit.warning()), (None, None));
    }

    #[test]
    fn the_table_in_the_commented_sample_is_the_default() {
        let sample = include_str!("../../../../assets/tickcast.toml");
        let table = sample.split_once("# [chain]\n").expect("the sample has it").1;
        let is_key = |line: &&str| line.contains(" = ") && line.starts_with("# ");
        let keys: Vec<&str> = table.lines().filter(is_key).map(|line| &line[2..]).collect();
        let read: NodeConfig = toml::from_str(&format!("[chain]\n{}", keys.join("\n"))).unwrap();
        // What the sample says of these is what it would be, or an example.
        let (genesis, settle_at_least) = (Some(Genesis([0; 32])), Some(Amount::new(1)));
        assert_eq!(read.chain, Some(ChainConfig { genesis, settle_at_least, ..ChainConfig::default() }));
        assert_eq!(keys.len(), 16);
    }
}
