//! Where key pictures begin in H.264 RTP (RFC 6184), and the parameter sets that must precede them.

use std::sync::Arc;

const IDR: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
/// Parameter sets are tens of bytes; longer ones are not kept.
const MAX_PARAMETER_SET: usize = 512;

/// The NAL units that begin in a payload: type and, where whole, bytes. Total on any bytes.
pub fn nal_units(payload: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let kind = payload.first().map_or(0, |b| b & 0x1f);
    let (mut single, mut rest): (Option<(u8, &[u8])>, &[u8]) = (None, &[]);
    match kind {
        1..=23 => single = Some((kind, payload)),
        STAP_A => rest = &payload[1..],
        FU_A => single = payload.get(1).filter(|fu| *fu & 0x80 != 0).map(|fu| (fu & 0x1f, &[] as &[u8])),
        _ => {}
    }
    std::iter::from_fn(move || {
        if let Some(unit) = single.take() {
            return Some(unit);
        }
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (unit, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        rest = after;
        Some((unit.first()? & 0x1f, unit))
    })
}

/// What a packet means for those who want to start with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Start {
    /// Decoding can begin with this packet.
    pub key: bool,
    /// Parameter sets to send in front of it, since its picture came without any: an RTP payload.
    pub prefix: Option<Arc<[u8]>>,
}

/// Follows one layer's packets in order.
#[derive(Debug, Default)]
pub(crate) struct KeyFinder {
    sps: Option<Box<[u8]>>,
    pps: Option<Box<[u8]>>,
    /// The picture (by RTP timestamp) whose start was found.
    started: Option<u32>,
}

impl KeyFinder {
    pub fn inspect(&mut self, timestamp: u32, payload: &[u8]) -> Start {
        let (mut idr, mut sets) = (false, false);
        for (kind, unit) in nal_units(payload) {
            match kind {
                IDR => idr = true,
                SPS | PPS => {
                    sets |= kind == SPS;
                    let slot = if kind == SPS { &mut self.sps } else { &mut self.pps };
                    if !unit.is_empty() && unit.len() <= MAX_PARAMETER_SET && slot.as_deref() != Some(unit) {
                        *slot = Some(unit.into());
                    }
                }
                _ => {}
            }
        }
        // The second slice of an IDR picture, and the slices after its parameter sets, start nothing.
        if !(idr || sets) || self.started == Some(timestamp) {
            return Start::default();
        }
        self.started = Some(timestamp);
        let prefix = if sets { None } else { self.parameter_sets() };
        Start { key: true, prefix }
    }

    /// A STAP-A of the latest SPS and PPS (RFC 6184 §5.7.1).
    fn parameter_sets(&self) -> Option<Arc<[u8]>> {
        let (sps, pps) = (self.sps.as_deref()?, self.pps.as_deref()?);
        // The highest importance of those inside: NRI of parameter sets is 3.
        let mut payload = vec![0x60 | STAP_A];
        for unit in [sps, pps] {
            payload.extend_from_slice(&(unit.len() as u16).to_be_bytes());
            payload.extend_from_slice(unit);
        }
        Some(payload.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPS_UNIT: [u8; 4] = [0x67, 0x42, 0xe0, 0x1f];
    const PPS_UNIT: [u8; 3] = [0x68, 0xce, 0x3c];

    /// Types as RFC 6184 table 1 and figure 7 lay them out.
    fn stap() -> Vec<u8> {
        [&[0x78, 0, 4][..], &SPS_UNIT, &[0, 3], &PPS_UNIT].concat()
    }

    #[test]
    fn a_stap_with_parameter_sets_starts_a_key_picture_and_its_slices_do_not() {
        let mut finder = KeyFinder::default();
        assert_eq!(finder.inspect(1, &stap()), Start { key: true, prefix: None });
        assert_eq!(finder.inspect(1, &[0x7c, 0x85, 1]), Start::default());
        assert_eq!(finder.inspect(2, &[0x41, 0x9a]), Start::default());
    }

    #[test]
    fn an_idr_without_parameter_sets_gets_the_last_ones_in_front() {
        let mut finder = KeyFinder::default();
        finder.inspect(1, &stap());
        let start = finder.inspect(3_000, &[0x7c, 0x85, 1]);
        assert!(start.key);
        assert_eq!(start.prefix.as_deref(), Some(&stap()[..]));
    }

    #[test]
    fn an_idr_is_found_as_a_whole_unit_and_at_the_start_of_a_fragment_only() {
        assert!(KeyFinder::default().inspect(1, &[0x65, 0x88]).key);
        assert!(KeyFinder::default().inspect(1, &[0x7c, 0x85, 0]).key);
        assert!(!KeyFinder::default().inspect(1, &[0x7c, 0x05, 0]).key, "a later fragment");
        assert!(!KeyFinder::default().inspect(1, &[0x7c, 0x45, 0]).key, "the last fragment");
    }

    proptest! {
        #[test]
        fn any_payload_is_inspected(payloads: Vec<Vec<u8>>) {
            let mut finder = KeyFinder::default();
            for (at, payload) in payloads.iter().enumerate() {
                finder.inspect(at as u32, payload);
            }
        }
    }
}
