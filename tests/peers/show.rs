//! A broadcast that costs something, and its end, at which everything must be even.

use api::CreatedStream;
use testkit::tickcast::Engine;

use crate::broadcasts::{engine, whip_output};
use crate::market::{Market, PRICE, Place, Rules};
use crate::payer::Payer;

pub struct Show {
    pub market: Market,
    pub engine: Engine,
    pub place: Place,
    /// What the creator had before it.
    before: u128,
}

impl Show {
    pub async fn open(rules: Rules) -> Self {
        let market = Market::open(rules).await;
        let stream: CreatedStream = market.create("For a price").await;
        let engine = engine(market.folder.path(), &whip_output(&stream));
        market.wait_until_live(&stream).await;
        let place = market.place(&stream);
        let before = market.earned().await;
        Self { market, engine, place, before }
    }

    /// All payers have left. Each has paid for what played and for nothing else, the creator has got it, and the audit
    /// proves it.
    pub async fn close(self, payers: &[Payer]) {
        for payer in payers {
            self.market.received(payer, payer.disk.signed()).await;
            payer.assert_paid_for_what_played(&self.market).await;
        }
        let signed =
            payers.iter().filter_map(|payer| payer.status.as_ref()).map(|status| status.totals.signed);
        self.end(signed.sum()).await;
    }

    /// So many seconds were paid, and settled.
    pub async fn end(mut self, seconds: u64) {
        assert!(self.engine.stop().expect("the engine ends").success(), "{}", self.engine.log());
        assert!(self.market.node.stop().expect("the node ends").success(), "{}", self.market.node.log());
        let audit = self.market.audit().await;
        assert!(audit.is_clean(), "{:?}", audit.findings);
        let total = u128::from(seconds) * PRICE;
        assert_eq!((audit.ticks, audit.accepted.units(), audit.settled.units()), (seconds, total, total));
        assert_eq!(self.market.earned().await, self.before + total, "what the creator has on the chain");
        self.market.assert_clean();
    }
}
