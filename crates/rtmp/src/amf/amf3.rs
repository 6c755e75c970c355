//! AMF 3 (specification of 2013), as commands carry it.

use bytes::Bytes;

use super::decoder::Decoder;
use super::{AmfError, Value};

const UNDEFINED: u8 = 0x00;
const NULL: u8 = 0x01;
const FALSE: u8 = 0x02;
const TRUE: u8 = 0x03;
const INTEGER: u8 = 0x04;
const DOUBLE: u8 = 0x05;
const STRING: u8 = 0x06;
const XML_DOCUMENT: u8 = 0x07;
const DATE: u8 = 0x08;
const ARRAY: u8 = 0x09;
const OBJECT: u8 = 0x0a;
const XML: u8 = 0x0b;
const BYTE_ARRAY: u8 = 0x0c;

/// The members that all objects of one class have (§3.12).
#[derive(Clone)]
pub struct Traits {
    names: Vec<String>,
    dynamic: bool,
}

/// A length of bytes that follow, or the index of something sent before (§1.3.1).
enum Sent {
    Now(usize),
    Before(u32),
}

/// One value with its marker (§3.1). Vectors, dictionaries and classes with an encoding of their own
/// (externalizable) are refused: no command carries them.
pub fn decode(decoder: &mut Decoder<'_>, depth: usize) -> Result<Value, AmfError> {
    decoder.enter(depth)?;
    Ok(match decoder.u8()? {
        UNDEFINED => Value::Undefined,
        NULL => Value::Null,
        FALSE => Value::Boolean(false),
        TRUE => Value::Boolean(true),
        INTEGER => Value::Number(f64::from(sign_extend(u29(decoder)?))),
        DOUBLE => Value::Number(decoder.f64()?),
        STRING => Value::Text(text(decoder)?),
        XML_DOCUMENT | XML => match sent(decoder)? {
            Sent::Now(count) => Value::Xml(decoder.text(count)?),
            Sent::Before(index) => Value::Reference(index),
        },
        DATE => match sent(decoder)? {
            Sent::Now(_) => Value::Date(decoder.f64()?),
            Sent::Before(index) => Value::Reference(index),
        },
        ARRAY => match sent(decoder)? {
            Sent::Now(count) => array(decoder, count, depth)?,
            Sent::Before(index) => Value::Reference(index),
        },
        OBJECT => object(decoder, depth)?,
        BYTE_ARRAY => match sent(decoder)? {
            Sent::Now(count) => Value::Binary(Bytes::copy_from_slice(decoder.take(count)?)),
            Sent::Before(index) => Value::Reference(index),
        },
        marker => return Err(AmfError::Marker(marker)),
    })
}

/// An unsigned integer of 29 bits in one to four bytes (§1.3.1).
fn u29(decoder: &mut Decoder<'_>) -> Result<u32, AmfError> {
    let mut value = 0;
    for _ in 0..3 {
        let byte = u32::from(decoder.u8()?);
        value = value << 7 | byte & 0x7f;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Ok(value << 8 | u32::from(decoder.u8()?))
}

/// The integers are signed, in 29 bits of two's complement (§3.6).
fn sign_extend(value: u32) -> i32 {
    ((value << 3) as i32) >> 3
}

fn sent(decoder: &mut Decoder<'_>) -> Result<Sent, AmfError> {
    let head = u29(decoder)?;
    Ok(if head & 1 == 1 { Sent::Now((head >> 1) as usize) } else { Sent::Before(head >> 1) })
}

fn text(decoder: &mut Decoder<'_>) -> Result<String, AmfError> {
    match sent(decoder)? {
        Sent::Now(count) => {
            let text = decoder.text(count)?;
            // The empty string is never sent by reference (§1.3.2).
            if !text.is_empty() {
                decoder.texts.push(text.clone());
            }
            Ok(text)
        }
        Sent::Before(index) => {
            let text = decoder.texts.get(index as usize).ok_or(AmfError::BadReference)?.clone();
            decoder.count_text(text.len())?;
            Ok(text)
        }
    }
}

/// Named members up to the empty name, then `count` dense ones (§3.11).
fn array(decoder: &mut Decoder<'_>, count: usize, depth: usize) -> Result<Value, AmfError> {
    let mut named = dynamic_members(decoder, depth)?;
    let mut dense = Vec::new();
    for _ in 0..count {
        dense.push(decode(decoder, depth + 1)?);
    }
    if named.is_empty() {
        return Ok(Value::StrictArray(dense));
    }
    named.extend(dense.into_iter().enumerate().map(|(index, value)| (index.to_string(), value)));
    Ok(Value::EcmaArray(named))
}

fn dynamic_members(decoder: &mut Decoder<'_>, depth: usize) -> Result<Vec<(String, Value)>, AmfError> {
    let mut members = Vec::new();
    loop {
        let name = text(decoder)?;
        if name.is_empty() {
            return Ok(members);
        }
        members.push((name, decode(decoder, depth + 1)?));
    }
}

/// An object, with traits sent now or before, or a reference to one (§3.12).
fn object(decoder: &mut Decoder<'_>, depth: usize) -> Result<Value, AmfError> {
    let head = u29(decoder)?;
    let traits = match head & 0b111 {
        bits if bits & 1 == 0 => return Ok(Value::Reference(head >> 1)),
        bits if bits & 2 == 0 => {
            decoder.traits.get((head >> 2) as usize).ok_or(AmfError::BadReference)?.clone()
        }
        bits if bits & 4 == 0 => {
            text(decoder)?;
            let mut names = Vec::new();
            for _ in 0..head >> 4 {
                decoder.enter(depth)?;
                names.push(text(decoder)?);
            }
            let traits = Traits { names, dynamic: head & 8 != 0 };
            decoder.traits.push(traits.clone());
            traits
        }
        _ => return Err(AmfError::Marker(OBJECT)),
    };
    let mut members = Vec::new();
    for name in traits.names {
        decoder.count_text(name.len())?;
        members.push((name, decode(decoder, depth + 1)?));
    }
    if traits.dynamic {
        members.extend(dynamic_members(decoder, depth)?);
    }
    Ok(Value::Object(members))
}

/// Appends `value`, sending everything anew. What is over 2^28 − 1 bytes does not fit: callers bound it
/// far below.
pub fn encode(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Undefined => out.push(UNDEFINED),
        Value::Null => out.push(NULL),
        Value::Boolean(boolean) => out.push(if *boolean { TRUE } else { FALSE }),
        Value::Number(number) => {
            out.push(DOUBLE);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Text(text) => {
            out.push(STRING);
            encode_text(out, text);
        }
        Value::Xml(text) => {
            out.push(XML);
            encode_text(out, text);
        }
        Value::Date(millis) => {
            out.extend_from_slice(&[DATE, 1]);
            out.extend_from_slice(&millis.to_be_bytes());
        }
        Value::Binary(bytes) => {
            out.push(BYTE_ARRAY);
            encode_u29(out, (bytes.len() as u32) << 1 | 1);
            out.extend_from_slice(bytes);
        }
        Value::StrictArray(values) => {
            out.push(ARRAY);
            encode_u29(out, (values.len() as u32) << 1 | 1);
            encode_text(out, "");
            values.iter().for_each(|value| encode(out, value));
        }
        Value::EcmaArray(members) => {
            out.extend_from_slice(&[ARRAY, 1]);
            encode_members(out, members);
        }
        Value::Object(members) => {
            // Traits sent now, dynamic, no sealed members, no class name.
            out.extend_from_slice(&[OBJECT, 0b1011]);
            encode_text(out, "");
            encode_members(out, members);
        }
        Value::Reference(index) => {
            out.push(OBJECT);
            encode_u29(out, index << 1);
        }
    }
}

fn encode_members(out: &mut Vec<u8>, members: &[(String, Value)]) {
    for (name, value) in members.iter().filter(|(name, _)| !name.is_empty()) {
        encode_text(out, name);
        encode(out, value);
    }
    encode_text(out, "");
}

fn encode_text(out: &mut Vec<u8>, text: &str) {
    encode_u29(out, (text.len() as u32) << 1 | 1);
    out.extend_from_slice(text.as_bytes());
}

fn encode_u29(out: &mut Vec<u8>, value: u32) {
    let seven = |shift: u32| (value >> shift) as u8 & 0x7f;
    match value {
        0..0x80 => out.push(value as u8),
        0x80..0x4000 => out.extend_from_slice(&[seven(7) | 0x80, seven(0)]),
        0x4000..0x20_0000 => out.extend_from_slice(&[seven(14) | 0x80, seven(7) | 0x80, seven(0)]),
        _ => out.extend_from_slice(&[seven(22) | 0x80, seven(15) | 0x80, seven(8) | 0x80, value as u8]),
    }
}
