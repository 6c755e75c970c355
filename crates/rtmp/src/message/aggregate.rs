//! Aggregates (§7.1.6): several messages in one, each with an FLV tag header and a length behind it.

use super::{MessageError, type_id};
use crate::chunk::RawMessage;

/// Tag header: type 1, size 3, time 3 + 1, stream 3.
const TAG_HEADER: usize = 11;
const BACK_POINTER: usize = 4;

/// The messages of an aggregate, one by one. Its own timestamp is that of the first part, which shifts the
/// others'.
#[derive(Debug)]
pub struct Parts {
    aggregate: RawMessage,
    at: usize,
    shift: Option<u32>,
}

impl Parts {
    pub fn new(aggregate: RawMessage) -> Self {
        Self { aggregate, at: 0, shift: None }
    }

    fn part(&mut self) -> Option<RawMessage> {
        let payload = &self.aggregate.payload;
        let header = payload.get(self.at..self.at + TAG_HEADER)?;
        let size = u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
        let time = u32::from_be_bytes([header[7], header[4], header[5], header[6]]);
        let start = self.at + TAG_HEADER;
        if payload.len() < start + size || header[0] == type_id::AGGREGATE {
            return None;
        }
        let shift = *self.shift.get_or_insert(self.aggregate.timestamp.wrapping_sub(time));
        // Some senders leave the back pointer of the last part out.
        self.at = start + size + BACK_POINTER;
        Some(RawMessage {
            csid: self.aggregate.csid,
            timestamp: time.wrapping_add(shift),
            type_id: header[0],
            stream_id: self.aggregate.stream_id,
            payload: payload.slice(start..start + size),
        })
    }
}

impl Iterator for Parts {
    type Item = Result<RawMessage, MessageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.aggregate.payload.len() {
            return None;
        }
        let part = self.part();
        if part.is_none() {
            self.at = usize::MAX;
        }
        Some(part.ok_or(MessageError::BrokenAggregate))
    }
}
