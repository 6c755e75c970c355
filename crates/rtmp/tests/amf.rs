//! AMF 0 and AMF 3, on bytes written out from their specifications.
#![allow(clippy::unwrap_used, reason = "a test and its builders may panic")]

use bytes::Bytes;
use proptest::prelude::*;
use tickcast_rtmp::amf::{
    AmfError, MAX_DEPTH, MAX_TEXT_BYTES, MAX_VALUES, Value, decode_amf0, decode_amf3, decode_first_amf0,
    encode_amf0, encode_amf3,
};

fn amf0(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    encode_amf0(&mut out, value);
    out
}

fn amf3(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    encode_amf3(&mut out, value);
    out
}

fn members(members: &[(&str, Value)]) -> Vec<(String, Value)> {
    members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

/// Both ways.
fn is_amf0(bytes: &[u8], value: Value) {
    assert_eq!(decode_amf0(bytes).unwrap(), std::slice::from_ref(&value));
    assert_eq!(amf0(&value), bytes);
}

#[test]
fn amf0_scalars_are_as_specified() {
    // IEEE 754: 1.0 is 0x3ff0000000000000, −2.5 is 0xc004000000000000.
    is_amf0(&[0, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0], Value::Number(1.0));
    is_amf0(&[0, 0xc0, 0x04, 0, 0, 0, 0, 0, 0], Value::Number(-2.5));
    is_amf0(&[1, 1], Value::Boolean(true));
    is_amf0(&[1, 0], Value::Boolean(false));
    is_amf0(&[2, 0, 4, b'l', b'i', b'v', b'e'], Value::text("live"));
    is_amf0(&[5], Value::Null);
    is_amf0(&[6], Value::Undefined);
    is_amf0(&[7, 1, 2], Value::Reference(0x0102));
}

#[test]
fn amf0_objects_and_arrays_are_as_specified() {
    is_amf0(&[3, 0, 1, b'a', 1, 1, 0, 0, 9], Value::object([("a", true.into())]));
    is_amf0(&[8, 0, 0, 0, 1, 0, 1, b'a', 5, 0, 0, 9], Value::EcmaArray(members(&[("a", Value::Null)])));
    is_amf0(&[10, 0, 0, 0, 2, 5, 6], Value::StrictArray(vec![Value::Null, Value::Undefined]));
}

#[test]
fn amf0_dates_are_milliseconds_with_a_reserved_zone() {
    is_amf0(&[11, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0, 0], Value::Date(1.0));
    assert_eq!(decode_amf0(&[11, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xff, 0xc4]).unwrap(), [Value::Date(1.0)]);
}

#[test]
fn amf0_text_over_65535_bytes_is_a_long_string() {
    let text = "x".repeat(65_536);
    let bytes = amf0(&Value::text(text.as_str()));
    assert_eq!(bytes[..5], [12, 0, 1, 0, 0]);
    assert_eq!(decode_amf0(&bytes).unwrap(), [Value::Text(text)]);
    assert_eq!(amf0(&Value::text("x".repeat(65_535)))[..3], [2, 0xff, 0xff]);
    assert_eq!(decode_amf0(&[12, 0, 0, 0, 1, b'x']).unwrap(), [Value::text("x")]);
}

#[test]
fn amf0_typed_objects_lose_their_class_and_xml_stays_text() {
    let typed = [16, 0, 2, b'C', b'c', 0, 1, b'a', 5, 0, 0, 9];
    assert_eq!(decode_amf0(&typed).unwrap(), [Value::object([("a", Value::Null)])]);
    is_amf0(&[15, 0, 0, 0, 1, b'x'], Value::Xml("x".to_owned()));
}

#[test]
fn an_ecma_arrays_count_is_only_a_hint() {
    let bytes = [8, 0, 0, 0, 0, 0, 1, b'a', 5, 0, 1, b'b', 6, 0, 0, 9];
    let expected = Value::EcmaArray(members(&[("a", Value::Null), ("b", Value::Undefined)]));
    assert_eq!(decode_amf0(&bytes).unwrap(), [expected]);
}

#[test]
fn a_last_array_without_its_end_marker_is_taken() {
    let expected = Value::EcmaArray(members(&[("a", Value::Null)]));
    assert_eq!(decode_amf0(&[8, 0, 0, 0, 1, 0, 1, b'a', 5]).unwrap(), [expected]);
}

#[test]
fn text_that_is_not_utf8_is_replaced() {
    assert_eq!(decode_amf0(&[2, 0, 1, 0xe9]).unwrap(), [Value::text("\u{fffd}")]);
}

#[test]
fn an_avm_plus_marker_switches_one_value_to_amf3() {
    assert_eq!(decode_amf0(&[17, 4, 5, 5]).unwrap(), [Value::Number(5.0), Value::Null]);
    is_amf0(&[17, 12, 5, 7, 8], Value::Binary(Bytes::from_static(&[7, 8])));
}

#[test]
fn amf3_integers_have_29_bits_and_a_sign() {
    // AMF3 §1.3.1: 7 bits a byte, the fourth byte all 8; §3.6: two's complement.
    let cases: [(&[u8], f64); 6] = [
        (&[4, 0x7f], 127.0),
        (&[4, 0x81, 0x00], 128.0),
        (&[4, 0xff, 0x7f], 16_383.0),
        (&[4, 0x81, 0x80, 0x00], 16_384.0),
        (&[4, 0xbf, 0xff, 0xff, 0xff], 268_435_455.0),
        (&[4, 0xff, 0xff, 0xff, 0xff], -1.0),
    ];
    for (bytes, number) in cases {
        assert_eq!(decode_amf3(bytes).unwrap(), [Value::Number(number)]);
    }
}

#[test]
fn amf3_text_is_named_again_by_its_index() {
    // "a", "b", then references 0 and 1; the empty string is not in the table (§1.3.2).
    let bytes = [6, 3, b'a', 6, 1, 6, 3, b'b', 6, 0, 6, 2];
    let expected = ["a", "", "b", "a", "b"].map(Value::text);
    assert_eq!(decode_amf3(&bytes).unwrap(), expected);
    assert_eq!(decode_amf3(&[6, 0]), Err(AmfError::BadReference));
}

#[test]
fn amf3_objects_share_their_traits() {
    // Sealed: one member "a", class "". Then a second object with traits 0; then an object reference.
    let bytes = [10, 0x13, 1, 3, b'a', 3, 10, 0x01, 2, 10, 0x02];
    let with = |value: bool| Value::object([("a", value.into())]);
    assert_eq!(decode_amf3(&bytes).unwrap(), [with(true), with(false), Value::Reference(1)]);
}

#[test]
fn amf3_arrays_have_named_and_dense_parts() {
    assert_eq!(
        decode_amf3(&[9, 5, 1, 1, 0]).unwrap(),
        [Value::StrictArray(vec![Value::Null, Value::Undefined])]
    );
    let both = [9, 3, 3, b'n', 1, 1, 2];
    let expected = Value::EcmaArray(members(&[("n", Value::Null), ("0", false.into())]));
    assert_eq!(decode_amf3(&both).unwrap(), [expected]);
}

#[test]
fn amf3_vectors_and_externalizable_classes_are_refused() {
    assert_eq!(decode_amf3(&[0x0d, 3, 0]), Err(AmfError::Marker(0x0d)));
    assert_eq!(decode_amf3(&[10, 0x07, 1]), Err(AmfError::Marker(10)));
}

#[test]
fn nesting_ends_at_its_bound() {
    let nested = |depth: usize| [[10, 0, 0, 0, 1].repeat(depth), vec![5]].concat();
    assert!(decode_amf0(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(decode_amf0(&nested(MAX_DEPTH + 1)), Err(AmfError::TooDeep));
    assert_eq!(decode_amf0(&nested(100_000)), Err(AmfError::TooDeep));
    let nested3 = [[9, 3, 1].repeat(MAX_DEPTH + 1), vec![1]].concat();
    assert_eq!(decode_amf3(&nested3), Err(AmfError::TooDeep));
    // Through the switch from one encoding to the other too.
    assert_eq!(decode_amf0(&[vec![17], nested3].concat()), Err(AmfError::TooDeep));
}

#[test]
fn a_short_message_cannot_become_many_values_or_much_text() {
    assert_eq!(decode_amf0(&[10, 0xff, 0xff, 0xff, 0xff]), Err(AmfError::Truncated));
    let many = [vec![10, 0xff, 0xff, 0xff, 0xff], vec![5; MAX_VALUES + 1]].concat();
    assert_eq!(decode_amf0(&many), Err(AmfError::TooMany));
    assert_eq!(decode_amf0(&[12, 0xff, 0xff, 0xff, 0xff, 1]), Err(AmfError::Truncated));
    // 1 000 bytes of text once, then named again until the bound: (1 000 << 1 | 1) = 2 001 as 0x8f 0x51.
    let mut again = [vec![6, 0x8f, 0x51], vec![b'x'; 1_000]].concat();
    again.extend([6, 0].repeat(MAX_TEXT_BYTES / 1_000));
    assert_eq!(decode_amf3(&again), Err(AmfError::TooMuchText));
}

#[test]
fn every_shortening_of_a_value_is_truncated() {
    let value = Value::object([
        ("a", Value::StrictArray(vec![1.0.into(), "text".into(), Value::Date(5.0)])),
        ("b", Value::object([("c", true.into())])),
    ]);
    let bytes = amf0(&Value::StrictArray(vec![value.clone()]));
    for length in 1..bytes.len() {
        assert_eq!(decode_first_amf0(&bytes[..length]), Err(AmfError::Truncated), "{length}");
    }
    let bytes = amf3(&value);
    for length in 1..bytes.len() {
        assert_eq!(decode_amf3(&bytes[..length]), Err(AmfError::Truncated), "{length}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    let name = "[a-zA-Z0-9é]{1,12}";
    let leaf = prop_oneof![
        (-1e12f64..1e12).prop_map(Value::Number),
        any::<bool>().prop_map(Value::Boolean),
        "\\PC{0,30}".prop_map(Value::Text),
        (-1e12f64..1e12).prop_map(Value::Date),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| Value::Binary(bytes.into())),
        Just(Value::Null),
        Just(Value::Undefined),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let members = prop::collection::vec((name, inner.clone()), 1..5);
        prop_oneof![
            members.clone().prop_map(Value::Object),
            members.prop_map(Value::EcmaArray),
            prop::collection::vec(inner, 0..5).prop_map(Value::StrictArray),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_again(value in value()) {
        prop_assert_eq!(decode_amf0(&amf0(&value)).unwrap(), std::slice::from_ref(&value));
        prop_assert_eq!(decode_amf3(&amf3(&value)).unwrap(), [value]);
    }

    #[test]
    fn a_damaged_value_is_read_or_refused(value in value(), at: prop::sample::Index, byte: u8) {
        for mut bytes in [amf0(&value), amf3(&value)] {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = decode_amf0(&bytes);
            let _ = decode_amf3(&bytes);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = decode_amf0(&bytes);
        let _ = decode_amf3(&bytes);
    }
}
