//! The watch page of a paid stream in a Chromium that has a wallet: the page's deposit is signed there, by an account that
//! neither page nor node has a key of, and what is not used comes back to it.

use std::sync::Arc;

use api::pay::{FundingPrepared, FundingRequest};
use chain::Rail;
use pay::{AccountId, Amount, ChannelTerms, Signer};
use serde_json::Value;
use testkit::browser::Script;
use wallet::key_from_secret;

use crate::broadcasts::{engine, root, whip_output};
use crate::paying::{Market, PRICE};
use crate::paying_page::{DEPOSIT, closed, keep_pictures, number};

const SECONDS: u128 = 5;

/// Of the wallet, as `extension.mjs` names it.
fn payer() -> AccountId {
    let phrase = "bottom drive obey lake curtain smoke basket hold race lonely fit walk//Bob";
    let key = key_from_secret(pay::KeyScheme::Sr25519, phrase).expect("a development account");
    key.public().account()
}

/// What the page asked the node for, and what the node made of it.
fn prepared(page: &Value) -> (ChannelTerms, FundingPrepared) {
    let request = serde_json::from_value(page["prepared"]["request"].clone()).expect("a request");
    let FundingRequest::Open { terms, deposit, .. } = request else { panic!("{request:?}") };
    assert_eq!(deposit, Amount::new(DEPOSIT), "five minutes and no more");
    (terms.0, serde_json::from_value(page["prepared"]["answer"].clone()).expect("an answer"))
}

#[test]
fn a_page_pays_from_a_deposit_that_the_browsers_wallet_signed_and_the_rest_comes_back_to_it() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let market = Market::open().await;
        let stream = market.create().await;
        let folder = market.folder.path().to_owned();
        let engine = engine(&folder, &whip_output(&stream));
        market.wait_until_live(&stream).await;
        let before = market.rail.balance(payer()).await.expect("the chain answers");

        let page = tokio::task::block_in_place(|| {
            let seconds = SECONDS.to_string();
            let arguments = [stream.watch_url.as_ref(), folder.as_os_str(), seconds.as_ref()];
            let page = Script::start(root(), "extension.mjs", arguments).and_then(Script::result);
            keep_pictures(&folder, "wallet", &["fund", "choosing", "ready", "closed"]);
            page.unwrap_or_else(|err| panic!("{}\n{err}", engine.log()))
        });
        println!("{page:#}");

        // Whoever scans the code gets the link.
        assert_eq!(page["scanned"], page["link"]);
        // The wallet was asked who it is for; what the lying node made never came to it, and the rest came twice, since the
        // person said no once.
        assert_eq!(page["enabled"][0], "Tickcast");
        assert_eq!((&page["askedByLiar"], page["signed"].as_array().map(Vec::len)), (&0.into(), Some(2)));
        let said: Vec<_> =
            page["said"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        assert!(said[0].contains("Allow this site") && said[2].contains("“Cancelled”"), "{said:?}");

        // What it signed is what the node made, for a channel from its account to the creator at this node.
        let (terms, prepared) = prepared(&page);
        let payload = serde_json::to_value(&prepared.payload).expect("it is JSON");
        assert_eq!(page["signed"][1], payload);
        assert_eq!(page["shown"][1], payload["method"], "what the page shows for comparing");
        assert_eq!((terms.payer, terms.payee), (payer(), market.creator.public().account()));
        assert_eq!(number(&page, "left"), DEPOSIT);

        // Seconds are paid, and what is left comes back: all that the account has lost are these and the fee that it was told.
        let spent = number(&page["stopped"], "spent");
        assert!(spent >= SECONDS * PRICE && spent.is_multiple_of(PRICE), "{page}");
        assert_eq!(closed(&market, terms.id()).await, Amount::new(spent));
        let after = market.rail.balance(payer()).await.expect("the chain answers");
        assert_eq!(before.units() - after.units(), spent + prepared.fee.units());

        drop(engine);
        let Market { node, chain, rail, folder, .. } = market;
        node.stop().await;
        let audit =
            node::audit(&folder.path().join("node"), Some(rail as Arc<dyn Rail>)).await.expect("an audit");
        assert!(audit.is_clean(), "{:?}", audit.findings);
        chain.stop().await;
    });
}

/// Long enough for the page to see it, and for no test to wait for long.
const WINDOW_S: u64 = 10;

#[test]
fn a_deposit_of_which_nothing_was_spent_comes_back_by_two_more_signatures_of_the_browsers_wallet() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let market = Market::open_with(PRICE, |paid| paid.dispute_window_s = WINDOW_S).await;
        let stream = market.create().await;
        let folder = market.folder.path().to_owned();
        let mut engine = engine(&folder, &whip_output(&stream));
        market.wait_until_live(&stream).await;
        let before = market.rail.balance(payer()).await.expect("the chain answers");

        let page = tokio::task::block_in_place(|| {
            let arguments = [stream.watch_url.as_ref(), folder.as_os_str()];
            let mut script = Script::start(root(), "take_back.mjs", arguments).expect("a script");
            let page = script.wait_for("asked").and_then(|_| {
                assert!(engine.stop().expect("the engine ends").success(), "{}", engine.log());
                script.result()
            });
            let names = ["ready", "away", "wait", "finish", "back", "digits", "late"];
            keep_pictures(&folder, "take", &names);
            page.unwrap_or_else(|err| panic!("{}\n{err}", engine.log()))
        });
        println!("{page:#}");

        // Three calls of that channel's, each as the page showed it; and one that was signed when the broadcast was over,
        // which went nowhere.
        assert_eq!(page["sent"], 3);
        assert!(page["late"].as_str().is_some_and(|words| words.contains("broadcast has ended")), "{page}");
        let asked = page["prepared"].as_array().expect("a list");
        let prepared: Vec<FundingPrepared> = asked
            .iter()
            .map(|one| serde_json::from_value(one["answer"].clone()).expect("an answer"))
            .collect();
        let requests: Vec<FundingRequest> = asked
            .iter()
            .map(|one| serde_json::from_value(one["request"].clone()).expect("a request"))
            .collect();
        let FundingRequest::Open { terms, .. } = requests[0].clone() else { panic!("{requests:?}") };
        let channel = terms.0.id();
        let back = [FundingRequest::StartClose { channel }, FundingRequest::Close { channel }];
        assert_eq!(requests[1..3], back);
        let payloads: Vec<_> = prepared.iter().map(|one| serde_json::to_value(&one.payload)).collect();
        let payloads: Vec<Value> = payloads.into_iter().map(|one| one.expect("it is JSON")).collect();
        assert_eq!(page["signed"], Value::from(payloads.clone()));
        let methods: Vec<Value> = payloads.iter().map(|payload| payload["method"].clone()).collect();
        assert_eq!(page["shown"], Value::from(methods));
        assert_eq!(page["away"], channel.to_string());

        // All that the account has lost are the fees that it was told.
        assert_eq!(closed(&market, channel).await, Amount::ZERO);
        let after = market.rail.balance(payer()).await.expect("the chain answers");
        let fees: u128 = prepared[..3].iter().map(|one| one.fee.units()).sum();
        assert_eq!(before.units() - after.units(), fees);

        let Market { node, chain, .. } = market;
        node.stop().await;
        chain.stop().await;
    });
}
