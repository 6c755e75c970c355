//! AMF 0 (specification of 2007).

use super::decoder::Decoder;
use super::{AmfError, Value, amf3};

const NUMBER: u8 = 0x00;
const BOOLEAN: u8 = 0x01;
const STRING: u8 = 0x02;
const OBJECT: u8 = 0x03;
const NULL: u8 = 0x05;
const UNDEFINED: u8 = 0x06;
const REFERENCE: u8 = 0x07;
const ECMA_ARRAY: u8 = 0x08;
const OBJECT_END: u8 = 0x09;
const STRICT_ARRAY: u8 = 0x0a;
const DATE: u8 = 0x0b;
const LONG_STRING: u8 = 0x0c;
const UNSUPPORTED: u8 = 0x0d;
const XML: u8 = 0x0f;
const TYPED_OBJECT: u8 = 0x10;
const AVM_PLUS: u8 = 0x11;

/// One value with its marker (§2.1).
pub fn decode(decoder: &mut Decoder<'_>, depth: usize) -> Result<Value, AmfError> {
    decoder.enter(depth)?;
    Ok(match decoder.u8()? {
        NUMBER => Value::Number(decoder.f64()?),
        BOOLEAN => Value::Boolean(decoder.u8()? != 0),
        STRING => Value::Text(short_text(decoder)?),
        OBJECT => Value::Object(members(decoder, depth)?),
        NULL => Value::Null,
        UNDEFINED | UNSUPPORTED => Value::Undefined,
        REFERENCE => Value::Reference(u32::from(u16::from_be_bytes(decoder.array()?))),
        ECMA_ARRAY => {
            // Its count is only a hint (§2.10): encoders send 0 or a wrong one.
            decoder.array::<4>()?;
            Value::EcmaArray(members(decoder, depth)?)
        }
        STRICT_ARRAY => {
            let count = u32::from_be_bytes(decoder.array()?);
            let mut values = Vec::new();
            for _ in 0..count {
                values.push(decode(decoder, depth + 1)?);
            }
            Value::StrictArray(values)
        }
        DATE => {
            let millis = decoder.f64()?;
            // The time zone is reserved and to be ignored (§2.13).
            decoder.array::<2>()?;
            Value::Date(millis)
        }
        LONG_STRING => Value::Text(long_text(decoder)?),
        XML => Value::Xml(long_text(decoder)?),
        TYPED_OBJECT => {
            short_text(decoder)?;
            Value::Object(members(decoder, depth)?)
        }
        AVM_PLUS => amf3::decode(decoder, depth + 1)?,
        marker => return Err(AmfError::Marker(marker)),
    })
}

fn short_text(decoder: &mut Decoder<'_>) -> Result<String, AmfError> {
    let count = u16::from_be_bytes(decoder.array()?);
    decoder.text(usize::from(count))
}

fn long_text(decoder: &mut Decoder<'_>) -> Result<String, AmfError> {
    let count = u32::from_be_bytes(decoder.array()?);
    decoder.text(count as usize)
}

/// Members up to the empty name with its end marker (§2.5). At the end of the message the list may stop
/// short: encoders leave the end marker of a last ECMA array out.
fn members(decoder: &mut Decoder<'_>, depth: usize) -> Result<Vec<(String, Value)>, AmfError> {
    let mut members = Vec::new();
    loop {
        if decoder.rest().is_empty() && depth == 0 {
            return Ok(members);
        }
        let name = short_text(decoder)?;
        if name.is_empty() && decoder.rest().first() == Some(&OBJECT_END) {
            decoder.u8()?;
            return Ok(members);
        }
        members.push((name, decode(decoder, depth + 1)?));
    }
}

/// Appends `value`. Text over 65 535 bytes becomes a long string; a member's name that long is cut.
pub fn encode(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Number(number) => {
            out.push(NUMBER);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Boolean(boolean) => out.extend_from_slice(&[BOOLEAN, u8::from(*boolean)]),
        Value::Text(text) => match u16::try_from(text.len()) {
            Ok(count) => {
                out.push(STRING);
                out.extend_from_slice(&count.to_be_bytes());
                out.extend_from_slice(text.as_bytes());
            }
            Err(_) => encode_long(out, LONG_STRING, text),
        },
        Value::Object(members) => {
            out.push(OBJECT);
            encode_members(out, members);
        }
        Value::EcmaArray(members) => {
            out.push(ECMA_ARRAY);
            out.extend_from_slice(&(members.len() as u32).to_be_bytes());
            encode_members(out, members);
        }
        Value::StrictArray(values) => {
            out.push(STRICT_ARRAY);
            out.extend_from_slice(&(values.len() as u32).to_be_bytes());
            values.iter().for_each(|value| encode(out, value));
        }
        Value::Date(millis) => {
            out.push(DATE);
            out.extend_from_slice(&millis.to_be_bytes());
            out.extend_from_slice(&[0, 0]);
        }
        Value::Xml(text) => encode_long(out, XML, text),
        // AMF0 has no byte array of its own; an AVM+ marker switches to AMF3 (§3.1).
        Value::Binary(_) => {
            out.push(AVM_PLUS);
            amf3::encode(out, value);
        }
        Value::Reference(index) => {
            out.push(REFERENCE);
            out.extend_from_slice(&(*index as u16).to_be_bytes());
        }
        Value::Null => out.push(NULL),
        Value::Undefined => out.push(UNDEFINED),
    }
}

fn encode_long(out: &mut Vec<u8>, marker: u8, text: &str) {
    out.push(marker);
    out.extend_from_slice(&(text.len() as u32).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn encode_members(out: &mut Vec<u8>, members: &[(String, Value)]) {
    for (name, value) in members {
        let name = &name[..name.floor_char_boundary(usize::from(u16::MAX))];
        out.extend_from_slice(&(name.len() as u16).to_be_bytes());
        out.extend_from_slice(name.as_bytes());
        encode(out, value);
    }
    out.extend_from_slice(&[0, 0, OBJECT_END]);
}
