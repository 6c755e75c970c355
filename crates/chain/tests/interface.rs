//! The escrow's calls, events and errors, as every chain with the pallet must have them: whoever changes one of them
//! breaks wallets that know them by their numbers.

mod world;

use devchain::Config;
use subxt::{OnlineClient, SubstrateConfig};
use world::start;

#[tokio::test]
async fn the_escrow_is_called_as_it_was() {
    let devchain = start(Config::by_hand()).await;
    let client = OnlineClient::<SubstrateConfig>::from_url(devchain.url()).await.unwrap();
    let at = client.at_current_block().await.unwrap();
    let pallet = at.metadata_ref().pallet_by_name("Escrow").unwrap();
    let kinds = [
        ("call", pallet.call_variants().unwrap()),
        ("event", pallet.event_variants().unwrap()),
        ("error", pallet.error_variants().unwrap()),
    ];
    let mut lines = Vec::new();
    for (kind, variants) in kinds {
        for variant in variants {
            let fields = variant.fields.iter().map(|field| {
                let name = field.name.as_deref().unwrap_or_default();
                format!("{name}: {}", field.type_name.as_deref().unwrap_or_default())
            });
            let fields: Vec<_> = fields.collect();
            lines.push(format!("{kind} {} {}({})", variant.index, variant.name, fields.join(", ")));
        }
    }
    let known: Vec<_> = include_str!("escrow.txt").lines().collect();
    assert_eq!(lines, known);
}
