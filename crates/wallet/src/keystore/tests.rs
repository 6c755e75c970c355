use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::base64;
use crate::path::key_from_secret;

const DEV: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
const PASSPHRASE: &str = "correct horse battery staple";

fn text(text: &str) -> SecretText {
    SecretText::new(text).unwrap()
}

fn alice(scheme: KeyScheme) -> SecretKey {
    key_from_secret(scheme, &format!("{DEV}//Alice")).unwrap()
}

fn sealed(scheme: KeyScheme) -> Keystore {
    let created = UnixMillis(1_700_000_000_000);
    Keystore::seal_with(&alice(scheme), &text(PASSPHRASE), "Alice", created, &[7; 32], &[9; 24]).unwrap()
}

/// The envelope's bytes, changed.
fn changed(mut keystore: Keystore, change: impl FnOnce(&mut Vec<u8>)) -> Keystore {
    let mut bytes = base64::decode(&keystore.encoded).unwrap();
    change(&mut bytes);
    keystore.encoded = base64::encode(&bytes);
    keystore
}

#[test]
fn what_is_published_as_exported_is_what_is_exported() {
    let exported: Vec<Value> = [KeyScheme::Sr25519, KeyScheme::Ed25519]
        .map(|scheme| {
            json!({
                "public": pay::AccountId(alice(scheme).public().bytes),
                "passphrase": PASSPHRASE,
                "json": sealed(scheme),
            })
        })
        .into();
    let published: Vec<Value> =
        serde_json::from_str(include_str!("../../vectors/exported.json")).expect("the vectors are JSON");
    assert_eq!(published, exported, "{}", serde_json::to_string_pretty(&exported).unwrap());
}

#[test]
fn a_keystore_opens_with_its_passphrase_alone() {
    for scheme in [KeyScheme::Sr25519, KeyScheme::Ed25519] {
        let keystore = Keystore::seal(&alice(scheme), &text("swordfish"), "A", UnixMillis(1)).unwrap();
        let KeystoreFile::One(read) = KeystoreFile::parse(keystore.to_json().as_bytes()).unwrap() else {
            panic!("one account is no batch");
        };
        assert_eq!(read.open(&text("swordfish")).unwrap().public(), alice(scheme).public());
        let wrong = read.open(&text("swordfisH")).unwrap_err();
        assert!(matches!(wrong, KeystoreError::Envelope(EnvelopeError::Refused)), "{wrong}");
    }
}

#[test]
fn a_file_that_asks_for_more_work_than_wallets_do_is_refused_before_any_is_done() {
    // 2^31 · 8 · 128 bytes would be 2 TiB.
    for (n, p, r) in
        [(1_u32 << 31, 1_u32, 8_u32), (1 << 15, 1 << 20, 8), (1 << 15, 1, 1 << 20), (0, 0, 0), (3, 1, 8)]
    {
        let hostile = changed(sealed(KeyScheme::Sr25519), |bytes| {
            bytes[32..36].copy_from_slice(&n.to_le_bytes());
            bytes[36..40].copy_from_slice(&p.to_le_bytes());
            bytes[40..44].copy_from_slice(&r.to_le_bytes());
        });
        let err = hostile.open(&text(PASSPHRASE)).unwrap_err();
        assert!(matches!(err, KeystoreError::Envelope(EnvelopeError::Work { .. })), "{err}");
    }
}

#[test]
fn a_keystore_that_is_cut_off_is_refused() {
    for length in [0, 1, 31, 43, 44, 67, 68, 83] {
        let short = changed(sealed(KeyScheme::Sr25519), |bytes| bytes.truncate(length));
        let err = short.open(&text(PASSPHRASE)).unwrap_err();
        assert!(matches!(err, KeystoreError::Envelope(EnvelopeError::Malformed)), "{length}: {err}");
    }
}

#[test]
fn a_keystore_under_another_accounts_address_is_refused() {
    let mut keystore = sealed(KeyScheme::Sr25519);
    keystore.address = Address::generic(pay::AccountId([5; 32])).to_string();
    assert!(matches!(keystore.open(&text(PASSPHRASE)), Err(KeystoreError::AnotherKey)));
    let mut keystore = sealed(KeyScheme::Sr25519);
    keystore.encoding.content = vec!["pkcs8".into(), "ed25519".into()];
    assert!(keystore.open(&text(PASSPHRASE)).is_err());
}

#[test]
fn files_that_are_no_encrypted_keystores_say_what_they_are() {
    let parse = |json: Value| KeystoreFile::parse(json.to_string().as_bytes()).unwrap_err().to_string();
    let with = |change: fn(&mut Keystore)| {
        let mut keystore = sealed(KeyScheme::Sr25519);
        change(&mut keystore);
        parse(serde_json::to_value(keystore).unwrap())
    };
    assert!(with(|k| k.encoding.r#type = vec!["none".into()]).contains("not encrypted"));
    assert!(with(|k| k.encoding.version = "2".into()).contains("version 2"));
    assert!(with(|k| k.encoding.content = vec!["pkcs8".into(), "ecdsa".into()]).contains("ecdsa"));
    assert!(parse(json!({"address": "x"})).contains("no keystore"));
    let long = vec![b' '; KeystoreFile::MAX_BYTES + 1];
    assert!(matches!(KeystoreFile::parse(&long), Err(KeystoreError::TooLong)));
    assert!(KeystoreFile::parse(&b"[".repeat(100_000)).is_err());
}

proptest! {
    // Each opening costs a passphrase's work.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_keystore_with_a_changed_byte_never_opens_as_another_key(at: prop::sample::Index, with: u8) {
        let keystore = changed(sealed(KeyScheme::Sr25519), |bytes| {
            let at = at.index(bytes.len());
            bytes[at] = with;
        });
        let is_changed = keystore != sealed(KeyScheme::Sr25519);
        match keystore.open(&text(PASSPHRASE)) {
            Ok(key) => prop_assert!(!is_changed && key.public() == alice(KeyScheme::Sr25519).public()),
            Err(_) => prop_assert!(is_changed),
        }
    }
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = KeystoreFile::parse(&bytes);
    }

    #[test]
    fn no_mutated_file_makes_the_reader_panic(at: prop::sample::Index, with in "\\PC{0,8}", length in 0_usize..20) {
        let json = sealed_once().to_owned();
        let mut chars: Vec<char> = json.chars().collect();
        let at = at.index(chars.len());
        let end = (at + length).min(chars.len());
        chars.splice(at..end, with.chars());
        let json: String = chars.into_iter().collect();
        if let Ok(KeystoreFile::One(keystore)) = KeystoreFile::parse(json.as_bytes()) {
            let _ = (keystore.public(), keystore.name().len(), keystore.created());
        }
    }

    #[test]
    fn nothing_that_an_envelope_may_hold_makes_the_key_reader_panic(
        mut plain in prop::collection::vec(any::<u8>(), 117),
        framed: bool,
    ) {
        if framed {
            plain[..SECRET].copy_from_slice(&HEADER);
            plain[SECRET + 64..PUBLIC].copy_from_slice(&DIVIDER);
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(&plain[PUBLIC..]);
        for scheme in [KeyScheme::Sr25519, KeyScheme::Ed25519] {
            let read = SecretKey::from_polkadot_js(&plain[SECRET..SECRET + 64], PublicKey { scheme, bytes });
            prop_assert!(read.is_err(), "random bytes are nobody's key pair");
        }
    }
}

/// The passphrase's work is done once.
fn sealed_once() -> &'static str {
    static SEALED: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    SEALED.get_or_init(|| sealed(KeyScheme::Sr25519).to_json())
}
