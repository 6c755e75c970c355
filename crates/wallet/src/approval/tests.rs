use pay::{KeyScheme, PublicKey};

use super::*;
use crate::book::{Entry, Shelf};

fn terms() -> ChannelTerms {
    ChannelTerms {
        genesis: Genesis([1; 32]),
        asset: AssetId::Native,
        payer: AccountId([2; 32]),
        payee: AccountId([3; 32]),
        node: PublicKey { scheme: KeyScheme::Ed25519, bytes: [4; 32] },
        session: PublicKey { scheme: KeyScheme::Ed25519, bytes: [5; 32] },
        nonce: 0,
        dispute_window_ms: 3_600_000,
    }
}

fn text(act: &Act, book: &Book) -> String {
    let unit = Unit::new("DEV", 12);
    let context =
        Context { unit: &unit, book, chain: "Test\u{1b}[2Jnet", fee: Some(Amount::new(1_500_000_000)) };
    act.approval(&context).to_string()
}

#[test]
fn every_act_says_what_it_costs_whom_and_where() {
    let book = Book::default();
    let terms = terms();
    let payee = Address::generic(terms.payee).to_string();
    let amount = Amount::new(2_500_000_000_001);
    let exact = "2.500000000001 DEV (exactly 2500000000001 of its smallest units)";
    let host = Host::new("node.example:443").unwrap();
    let delegation = Delegation {
        genesis: terms.genesis,
        payee: PublicKey { scheme: KeyScheme::Sr25519, bytes: terms.payee.0 },
        node: terms.node,
        from: UnixMillis(0),
        until: UnixMillis(951_782_400_000),
    };
    let price = Price::new(Amount::new(7)).unwrap();
    let to = Address::generic(terms.payee);
    let expires_at = UnixMillis(951_782_400_000);
    for (act, said) in [
        (Act::Login { host: host.clone() }, vec!["node.example:443"]),
        (Act::Delegate { delegation, host }, vec!["node.example:443", &payee, "2000-02-29 00:00 UTC"]),
        (
            Act::Open { terms, deposit: amount, expires_at },
            vec![&payee, exact, "2000-02-29 00:00 UTC", "3600 s"],
        ),
        (Act::TopUp { terms, by: amount }, vec![&payee, exact]),
        (Act::StartClose { terms }, vec![&payee, "dispute window"]),
        (Act::Close { terms }, vec![&payee]),
        (
            Act::CooperativeClose { terms, deposit: Amount::new(2_500_000_000_008), cumulative: amount },
            vec![&payee, exact, "exactly 7 of"],
        ),
        (
            Act::Watch { terms, price, at_most: amount },
            vec![&payee, "exactly 7 of its smallest units) a second", exact],
        ),
        (
            Act::Transfer { genesis: terms.genesis, asset: AssetId::Asset(9), to, amount },
            vec![&payee, exact, "number 9"],
        ),
    ] {
        let text = text(&act, &book);
        for part in said {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
        assert!(text.contains("0.0015 DEV"), "the fee is not in:\n{text}");
        assert!(!text.contains('\u{1b}'), "a chain's name acts on the terminal");
    }
}

#[test]
fn a_payee_is_called_by_the_name_that_the_person_gave_it() {
    let mut book = Book::default();
    let to = Address::generic(AccountId([3; 32]));
    let transfer =
        Act::Transfer { genesis: Genesis([1; 32]), asset: AssetId::Native, to, amount: Amount::new(1) };
    assert!(text(&transfer, &book).contains("not in your address book"));
    book.add(Shelf::Contacts, Entry { name: Name::new("Ana").unwrap(), address: to }).unwrap();
    let known = text(&transfer, &book);
    assert!(known.contains("(Ana)") && !known.contains("not in your address book"), "{known}");
}
