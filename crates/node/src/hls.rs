//! LL-HLS of one stream.
use bytes::Bytes;
use media::{Packet, StudioEpoch};
use crate::stream::Lane;
pub struct HlsStream;
impl HlsStream {
    pub fn new() -> Self { Self }
    pub fn begin(&self, _epoch: StudioEpoch) {}
    pub fn mark_discontinuity(&self) {}
    pub fn end(&self) {}
    pub fn set_aac(&self, _config: &Bytes) {}
    pub fn push(&self, _lane: Lane, _packet: &Packet) {}
}
