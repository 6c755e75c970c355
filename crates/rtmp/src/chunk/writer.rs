//! Messages to chunks: a full header (type 0) first, then type 3.
//!
//! Each message stands alone, so its bytes can be shared by every receiver of equal chunk size and message
//! stream, joining at any message. Delta headers would save at most 11 bytes a message.

use super::{EXTENDED, RawMessage};

/// The highest chunk stream id that a header can say (§5.3.1.1).
pub const MAX_CSID: u32 = 65_599;

/// How many bytes [`append`] adds for `message`.
pub fn encoded_bytes(message: &RawMessage, chunk_size: u32) -> usize {
    let basic = basic_header(0, message.csid).1;
    let extended = if message.timestamp >= EXTENDED { 4 } else { 0 };
    let more = message.payload.len().saturating_sub(1) / chunk_size.max(1) as usize;
    basic + 11 + extended + message.payload.len() + more * (basic + extended)
}

/// Appends the chunks of `message` to `out`.
///
/// A payload of more than 16 777 215 bytes does not fit the length field: callers bound it far below.
pub fn append(out: &mut Vec<u8>, message: &RawMessage, chunk_size: u32) {
    debug_assert!(message.payload.len() < 1 << 24, "a message length has 24 bits");
    out.reserve(encoded_bytes(message, chunk_size));
    let extended = message.timestamp >= EXTENDED;
    let mut parts = message.payload.chunks(chunk_size.max(1) as usize);
    let (first, first_len) = basic_header(0, message.csid);
    out.extend_from_slice(&first[..first_len]);
    out.extend_from_slice(&message.timestamp.min(EXTENDED).to_be_bytes()[1..]);
    out.extend_from_slice(&(message.payload.len() as u32).to_be_bytes()[1..]);
    out.push(message.type_id);
    // The one little-endian number of the protocol (§5.3.1.2.1).
    out.extend_from_slice(&message.stream_id.to_le_bytes());
    if extended {
        out.extend_from_slice(&message.timestamp.to_be_bytes());
    }
    out.extend_from_slice(parts.next().unwrap_or_default());
    let (next, next_len) = basic_header(3, message.csid);
    for part in parts {
        out.extend_from_slice(&next[..next_len]);
        if extended {
            out.extend_from_slice(&message.timestamp.to_be_bytes());
        }
        out.extend_from_slice(part);
    }
}

/// The basic header of 1 to 3 bytes (§5.3.1.1), and its length.
fn basic_header(format: u8, csid: u32) -> ([u8; 3], usize) {
    let format = format << 6;
    match csid {
        0..64 => ([format | csid as u8, 0, 0], 1),
        64..320 => ([format, (csid - 64) as u8, 0], 2),
        _ => {
            let rest = (csid.min(MAX_CSID) - 64) as u16;
            let [low, high] = rest.to_le_bytes();
            ([format | 1, low, high], 3)
        }
    }
}
