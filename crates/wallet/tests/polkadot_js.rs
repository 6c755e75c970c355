//! Keys, addresses and keystores are those that polkadot-js makes; the other way round is `vectors/verify`.

use pay::{KeyScheme, Signer};
use serde::Deserialize;
use serde_json::Value;
use tickcast_wallet::{Address, KeystoreFile, Prefix, SecretText, key_from_secret};

#[derive(Deserialize)]
struct Vectors {
    derivations: Vec<Derivation>,
    addresses: Vec<PrefixedAddress>,
    keystores: Vec<Sealed>,
    batch: Batch,
}

#[derive(Deserialize)]
struct Derivation {
    scheme: KeyScheme,
    secret: String,
    public: String,
}

#[derive(Deserialize)]
struct PrefixedAddress {
    prefix: u16,
    address: String,
}

#[derive(Deserialize)]
struct Sealed {
    scheme: KeyScheme,
    secret: String,
    passphrase: String,
    json: Value,
}

#[derive(Deserialize)]
struct Batch {
    passphrase: String,
    publics: Vec<String>,
    json: Value,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../vectors/polkadot-js.json")).expect("the vectors are JSON")
}

fn hex(bytes: &[u8; 32]) -> String {
    pay::AccountId(*bytes).to_string()
}

fn file(json: &Value) -> KeystoreFile {
    KeystoreFile::parse(json.to_string().as_bytes()).expect("a keystore")
}

#[test]
fn keys_are_derived_as_polkadot_js_derives_them() {
    let derivations = vectors().derivations;
    assert_eq!(derivations.len(), 20);
    for Derivation { scheme, secret, public } in derivations {
        let key = key_from_secret(scheme, &secret).unwrap_or_else(|err| panic!("{secret}: {err}"));
        assert_eq!(hex(&key.public().bytes), public, "{scheme:?} of {secret}");
    }
}

#[test]
fn addresses_are_those_of_every_network() {
    let addresses = vectors().addresses;
    assert_eq!(addresses.len(), 16);
    for PrefixedAddress { prefix, address } in addresses {
        let read: Address = address.parse().unwrap_or_else(|err| panic!("{address}: {err}"));
        assert_eq!((Some(read.prefix), read.to_string()), (Prefix::new(prefix), address));
        assert_eq!(
            Address::generic(read.account).to_string(),
            "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
        );
    }
}

#[test]
fn a_keystore_of_polkadot_js_opens_and_signs() {
    for Sealed { scheme, secret, passphrase, json } in vectors().keystores {
        let passphrase = SecretText::new(&passphrase).unwrap();
        let stores = file(&json).keystores(&passphrase).unwrap();
        let key = stores[0].open(&passphrase).unwrap();
        assert_eq!(key.public(), key_from_secret(scheme, &secret).unwrap().public());
        assert_eq!((stores.len(), stores[0].name()), (1, "from polkadot-js"));
        let signature = key.sign(b"hello").unwrap();
        assert_eq!(pay::key::verify(&key.public(), b"hello", &signature), Ok(()));
        assert!(stores[0].open(&SecretText::new("wrong").unwrap()).is_err());
    }
}

#[test]
fn a_batch_of_polkadot_js_opens_with_one_passphrase() {
    let Batch { passphrase, publics, json } = vectors().batch;
    let passphrase = SecretText::new(&passphrase).unwrap();
    let stores = file(&json).keystores(&passphrase).unwrap();
    let opened: Vec<_> =
        stores.iter().map(|one| hex(&one.open(&passphrase).unwrap().public().bytes)).collect();
    assert_eq!(opened, publics);
    assert!(file(&json).keystores(&SecretText::new("wrong").unwrap()).is_err());
}
