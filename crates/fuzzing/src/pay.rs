//! Everything about payment that is read from somebody else or from a store: what is taken is written again in the same
//! bytes, and a ledger and a tab survive whatever they are told.

use pay::login::LoginChallenge;
use pay::{
    AccountId, AssetId, Channel, ChannelTerms, Delegation, Genesis, KeyScheme, Ledger, LedgerConfig,
    OfferBook, PublicKey, PublishedOffer, Signed, Tab, ToNode, ToViewer, UnixMillis, Wire,
};

use crate::decoded;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn one_spelling<T: Wire>(bytes: &[u8]) -> Option<T> {
    let value = T::from_bytes(bytes).ok()?;
    assert!(value.to_bytes() == bytes, "two spellings of one value");
    Some(value)
}

fn channel() -> Channel {
    let key = PublicKey { scheme: KeyScheme::Ed25519, bytes: [0; 32] };
    Channel::new(ChannelTerms {
        genesis: Genesis([0; 32]),
        asset: AssetId::Native,
        payer: AccountId([0; 32]),
        payee: AccountId([0; 32]),
        node: key,
        session: key,
        nonce: 0,
        dispute_window_ms: 0,
    })
}

pub fn run(data: &[u8]) {
    let Some((what, bytes)) = decoded::<(u8, &[u8])>(data) else { return };
    let config = LedgerConfig::default();
    match what % 8 {
        0 => match one_spelling(bytes) {
            Some(ToNode::Pay(pay)) => {
                let ledger = Ledger::new(config, channel());
                let _ = ledger.examine(pay, &OfferBook::default(), NOW);
            }
            Some(ToNode::Report(report)) => {
                let _ = Ledger::new(config, channel()).report(&report, NOW);
            }
            _ => {}
        },
        1 => _ = one_spelling::<ToViewer>(bytes),
        2 => {
            if let Some(offer) = one_spelling::<PublishedOffer>(bytes) {
                let genesis = offer.offer.body.genesis;
                let _ = offer.verify(&genesis, NOW);
            }
        }
        3 => _ = one_spelling::<Signed<LoginChallenge>>(bytes),
        4 => _ = one_spelling::<Signed<Delegation>>(bytes),
        5 => _ = one_spelling::<Channel>(bytes),
        // What was stored by an earlier version is stored by the present one next.
        6 if bytes.first() == Some(&1) => {
            if let Ok(tab) = Tab::from_bytes(bytes) {
                assert!(one_spelling::<Tab>(&tab.to_bytes()).is_some());
            }
        }
        6 => _ = one_spelling::<Tab>(bytes),
        _ => {
            if let Ok(ledger) = Ledger::restore(config, channel(), bytes) {
                let _ = ledger.audit();
                let _ = ledger.settlement_due(NOW);
                assert!(ledger.final_record().is_some());
            }
        }
    }
}
