//! H.264 over RTP in packetization-mode 1 (RFC 6184): single NAL units, STAP-A, FU-A.

use bytes::{Bytes, BytesMut};

use super::RtpError;
use crate::h264::{NalType, annex_b_units, nal_type, push_annex_b};

const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const FU_START: u8 = 0x80;
const FU_END: u8 = 0x40;
const FU_HEADER_BYTES: usize = 2;
/// Below this a header would outweigh what it carries.
const MIN_PAYLOAD: usize = 64;
/// More than any level's largest access unit at the rates of a live stream.
const MAX_ACCESS_UNIT_BYTES: usize = 8 << 20;

/// One RTP payload; the caller adds the header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payload {
    pub bytes: Bytes,
    /// The header's marker bit: this ends the access unit.
    pub marker: bool,
}

/// Splits access units into payloads.
#[derive(Clone, Copy, Debug)]
pub struct H264Packetizer {
    max_payload: usize,
}

impl H264Packetizer {
    /// `max_payload` is in bytes, without the RTP header; at least 64.
    pub fn new(max_payload: usize) -> Self {
        Self { max_payload: max_payload.max(MIN_PAYLOAD) }
    }

    /// The payloads of one Annex B access unit. Neighbouring small NAL units (SPS and PPS) share one;
    /// delimiters and filler are left out, since RTP frames access units itself. All fragments of a NAL
    /// unit but the last are equally long, so that they can leave as one segmented send.
    pub fn packetize(&self, access_unit: &Bytes) -> Vec<Payload> {
        let mut out = Vec::with_capacity(access_unit.len() / self.max_payload + 2);
        let mut together: Vec<&[u8]> = Vec::new();
        let mut together_bytes = 1;
        for nal in annex_b_units(access_unit) {
            if matches!(nal_type(nal), Some(NalType::AccessUnitDelimiter | NalType::Filler)) {
                continue;
            }
            let aggregated = 2 + nal.len();
            if together_bytes + aggregated > self.max_payload {
                flush(&mut together, access_unit, &mut out);
                together_bytes = 1;
            }
            if nal.len() > self.max_payload {
                self.fragment(nal, &mut out);
            } else {
                together.push(nal);
                together_bytes += aggregated;
            }
        }
        flush(&mut together, access_unit, &mut out);
        if let Some(last) = out.last_mut() {
            last.marker = true;
        }
        out
    }

    fn fragment(&self, nal: &[u8], out: &mut Vec<Payload>) {
        let (header, body) = (nal[0], &nal[1..]);
        let mut chunks = body.chunks(self.max_payload - FU_HEADER_BYTES).peekable();
        let mut edge = FU_START;
        while let Some(chunk) = chunks.next() {
            if chunks.peek().is_none() {
                edge |= FU_END;
            }
            let mut bytes = BytesMut::with_capacity(FU_HEADER_BYTES + chunk.len());
            bytes.extend_from_slice(&[header & 0xe0 | FU_A, edge | header & 0x1f]);
            bytes.extend_from_slice(chunk);
            out.push(Payload { bytes: bytes.freeze(), marker: false });
            edge = 0;
        }
    }
}

/// Sends what has gathered: alone as it is, several as one STAP-A.
fn flush(together: &mut Vec<&[u8]>, access_unit: &Bytes, out: &mut Vec<Payload>) {
    let bytes = match together.as_slice() {
        [] => return,
        [alone] => access_unit.slice_ref(alone),
        several => {
            // §5.7.1: the forbidden bit is set if any has it, NRI is the highest of all.
            let forbidden = several.iter().fold(0, |bits, nal| bits | nal[0] & 0x80);
            let importance = several.iter().map(|nal| nal[0] & 0x60).max().unwrap_or(0);
            let mut bytes = BytesMut::new();
            bytes.extend_from_slice(&[forbidden | importance | STAP_A]);
            for nal in several {
                // Fits: an aggregate is no larger than a payload, and no datagram is over 64 KiB.
                bytes.extend_from_slice(&(nal.len() as u16).to_be_bytes());
                bytes.extend_from_slice(nal);
            }
            bytes.freeze()
        }
    };
    out.push(Payload { bytes, marker: false });
    together.clear();
}

/// Why an access unit is not whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Damage {
    /// Packets are missing that were, or may have been, part of it.
    Lost,
    Malformed(RtpError),
    /// It grew over what any level allows.
    TooLarge,
}

/// One access unit as it came out of RTP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessUnit {
    pub timestamp: u32,
    /// Whether it is (or was to be) an IDR picture, as far as what arrived tells.
    pub key: bool,
    /// `None` for a whole one. A damaged one holds the NAL units that arrived whole.
    pub damage: Option<Damage>,
    /// Packets missing between the access unit before and this one: after any, pictures up to the next
    /// IDR may refer to what is not there.
    pub lost_before: u64,
    pub annex_b: Bytes,
}

#[derive(Debug)]
struct Assembly {
    timestamp: u32,
    annex_b: Vec<u8>,
    key: bool,
    damage: Option<Damage>,
    lost_before: u64,
    has_slice: bool,
    /// Where the NAL unit that is being put together from fragments begins in `annex_b`.
    fragment_at: Option<usize>,
}

/// Puts access units together from payloads in order; reordering is done before.
#[derive(Debug, Default)]
pub struct H264Depacketizer {
    current: Option<Assembly>,
    last_sequence: Option<u64>,
}

impl H264Depacketizer {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one payload with its unwrapped sequence number ([`super::SequenceUnwrapper`]); late ones and
    /// repetitions are passed over. Says which access units ended: the one before, where its end was
    /// lost or not marked, then this packet's own. Nothing that comes in here is an error to the caller:
    /// a malformed payload damages its access unit.
    pub fn push(
        &mut self,
        sequence: u64,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
    ) -> impl Iterator<Item = AccessUnit> + use<> {
        let mut ended = [None, None];
        let lost = match self.last_sequence {
            Some(last) if sequence <= last => return ended.into_iter().flatten(),
            Some(last) => sequence - last - 1,
            None => 0,
        };
        self.last_sequence = Some(sequence);
        if lost > 0
            && let Some(current) = &mut self.current
        {
            current.lose();
        }
        if self.current.as_ref().is_some_and(|current| current.timestamp != timestamp) {
            ended[0] = self.end();
        }
        let current = self.current.get_or_insert_with(|| Assembly::new(timestamp, lost));
        // A padding-only packet (bandwidth probing) has no payload and says nothing.
        if !payload.is_empty()
            && let Err(err) = current.take(payload)
        {
            current.drop_fragment();
            current.damage.get_or_insert(Damage::Malformed(err));
        }
        if current.annex_b.len() > MAX_ACCESS_UNIT_BYTES {
            current.annex_b = Vec::new();
            current.fragment_at = None;
            current.damage = Some(Damage::TooLarge);
        }
        if marker {
            ended[1] = self.end();
        }
        ended.into_iter().flatten()
    }

    /// Ends the access unit that is being put together, at the end of the stream. Since its marker has
    /// not come, neither may have its last packets: it counts as damaged.
    pub fn finish(&mut self) -> Option<AccessUnit> {
        self.current.as_mut()?.lose();
        self.end()
    }

    fn end(&mut self) -> Option<AccessUnit> {
        let mut done = self.current.take()?;
        if done.fragment_at.is_some() {
            done.lose();
        }
        if done.annex_b.is_empty() && done.damage.is_none() {
            return None;
        }
        Some(AccessUnit {
            timestamp: done.timestamp,
            key: done.key,
            damage: done.damage,
            lost_before: done.lost_before,
            annex_b: done.annex_b.into(),
        })
    }
}

impl Assembly {
    fn new(timestamp: u32, lost_before: u64) -> Self {
        Self {
            timestamp,
            annex_b: Vec::new(),
            key: false,
            damage: None,
            lost_before,
            has_slice: false,
            fragment_at: None,
        }
    }

    fn lose(&mut self) {
        self.drop_fragment();
        self.damage.get_or_insert(Damage::Lost);
    }

    fn drop_fragment(&mut self) {
        if let Some(at) = self.fragment_at.take() {
            self.annex_b.truncate(at);
        }
    }

    fn take(&mut self, payload: &[u8]) -> Result<(), RtpError> {
        let Some((&header, body)) = payload.split_first() else { return Ok(()) };
        if self.fragment_at.is_some() && header & 0x1f != FU_A {
            return Err(RtpError::BadPayload("another NAL unit between fragments"));
        }
        match header & 0x1f {
            1..=23 => {
                self.begin(header, body.first());
                push_annex_b(&mut self.annex_b, payload);
                Ok(())
            }
            STAP_A => self.take_aggregate(body),
            FU_A => self.take_fragment(header, body),
            other => Err(RtpError::UnsupportedPayload(other)),
        }
    }

    /// Notes what the first two bytes of a NAL unit say.
    fn begin(&mut self, header: u8, second: Option<&u8>) {
        let Some(kind) = nal_type(&[header]) else { return };
        self.key |= kind == NalType::IdrSlice;
        if !kind.is_vcl() {
            return;
        }
        // A slice begins with first_mb_in_slice as ue(v), and a leading 1 is zero. If the first slice that
        // came after a gap is not the picture's first, then the gap took part of this picture.
        let is_first_of_picture = second.is_some_and(|byte| byte & 0x80 != 0);
        if !self.has_slice && self.lost_before > 0 && !is_first_of_picture {
            self.damage.get_or_insert(Damage::Lost);
        }
        self.has_slice = true;
    }

    fn take_aggregate(&mut self, mut rest: &[u8]) -> Result<(), RtpError> {
        while let Some((length, tail)) = rest.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let (nal, tail) =
                tail.split_at_checked(length).ok_or(RtpError::BadPayload("an aggregate is cut off"))?;
            let &[header, ..] = nal else { return Err(RtpError::BadPayload("an empty NAL unit")) };
            if !(1..=23).contains(&(header & 0x1f)) {
                return Err(RtpError::BadPayload("an aggregate in an aggregate"));
            }
            self.begin(header, nal.get(1));
            push_annex_b(&mut self.annex_b, nal);
            rest = tail;
        }
        if rest.is_empty() { Ok(()) } else { Err(RtpError::BadPayload("an aggregate is cut off")) }
    }

    fn take_fragment(&mut self, indicator: u8, body: &[u8]) -> Result<(), RtpError> {
        let (&header, body) = body.split_first().ok_or(RtpError::BadPayload("a fragment without header"))?;
        let nal_header = indicator & 0xe0 | header & 0x1f;
        match (header & FU_START != 0, self.fragment_at) {
            (true, Some(_)) => return Err(RtpError::BadPayload("a NAL unit begins inside another")),
            (true, None) => {
                self.begin(nal_header, body.first());
                self.fragment_at = Some(self.annex_b.len());
                push_annex_b(&mut self.annex_b, &[nal_header]);
            }
            (false, None) => {
                // Its start was lost; what it belongs to can still be told.
                self.key |= nal_type(&[nal_header]) == Some(NalType::IdrSlice);
                self.damage.get_or_insert(Damage::Lost);
                return Ok(());
            }
            (false, Some(_)) => {}
        }
        self.annex_b.extend_from_slice(body);
        if header & FU_END != 0 {
            self.fragment_at = None;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn annex_b(nals: &[Vec<u8>]) -> Bytes {
        let mut out = Vec::new();
        nals.iter().for_each(|nal| push_annex_b(&mut out, nal));
        out.into()
    }

    /// A slice whose first_mb_in_slice is 0 (a leading 1) when it is the first of its picture.
    fn slice(header: u8, first: bool, len: usize) -> Vec<u8> {
        let mut nal = vec![0x55; len.max(2)];
        nal[0] = header;
        nal[1] = if first { 0x88 } else { 0x48 };
        nal
    }

    fn idr(len: usize) -> Bytes {
        annex_b(&[vec![9, 0xf0], vec![0x67, 1, 2], vec![0x68, 3], slice(0x65, true, len)])
    }

    #[test]
    fn parameter_sets_share_a_packet_and_a_large_slice_is_cut_evenly() {
        let payloads = H264Packetizer::new(100).packetize(&idr(300));
        // STAP-A of 3 and 2 bytes, NRI 3; then 299 bytes in pieces of 98.
        assert_eq!(payloads[0].bytes[..], [0x78, 0, 3, 0x67, 1, 2, 0, 2, 0x68, 3]);
        let fragments: Vec<_> =
            payloads[1..].iter().map(|p| (p.bytes.len(), p.bytes[0], p.bytes[1])).collect();
        assert_eq!(fragments, [(100, 0x7c, 0x85), (100, 0x7c, 0x05), (100, 0x7c, 0x05), (7, 0x7c, 0x45)]);
        let markers: Vec<_> = payloads.iter().map(|p| p.marker).collect();
        assert_eq!(markers, [false, false, false, false, true]);
    }

    #[test]
    fn a_small_slice_is_sent_as_it_is_without_a_copy() {
        let unit = annex_b(&[slice(0x41, true, 50)]);
        let payloads = H264Packetizer::new(1200).packetize(&unit);
        assert_eq!(payloads.len(), 1);
        assert_eq!(payloads[0].bytes.as_ptr(), unit[4..].as_ptr());
    }

    fn send(depacketizer: &mut H264Depacketizer, packets: &[(u64, u32, Payload)]) -> Vec<AccessUnit> {
        packets
            .iter()
            .flat_map(|(seq, ts, p)| depacketizer.push(*seq, *ts, p.marker, &p.bytes).collect::<Vec<_>>())
            .collect()
    }

    fn stream(units: &[Bytes], max: usize) -> Vec<(u64, u32, Payload)> {
        let packetizer = H264Packetizer::new(max);
        let mut out = Vec::new();
        for (index, unit) in units.iter().enumerate() {
            for payload in packetizer.packetize(unit) {
                out.push((out.len() as u64, index as u32 * 3000, payload));
            }
        }
        out
    }

    #[test]
    fn a_lost_fragment_damages_its_picture_alone_and_says_that_it_was_key() {
        let units = [idr(300), annex_b(&[slice(0x41, true, 30)])];
        let mut packets = stream(&units, 100);
        packets.remove(1); // the fragment that starts the IDR slice
        let got = send(&mut H264Depacketizer::new(), &packets);
        assert_eq!(got.len(), 2);
        assert_eq!((got[0].key, &got[0].damage), (true, &Some(Damage::Lost)));
        assert_eq!(got[0].annex_b, annex_b(&[vec![0x67, 1, 2], vec![0x68, 3]]));
        assert_eq!((&got[1].damage, got[1].lost_before), (&None, 0));
    }

    #[test]
    fn a_picture_that_vanished_whole_is_counted_before_the_next() {
        let units: Vec<_> = (0..3).map(|_| annex_b(&[slice(0x41, true, 30)])).collect();
        let mut packets = stream(&units, 100);
        packets.remove(1);
        let got = send(&mut H264Depacketizer::new(), &packets);
        assert_eq!(
            got.iter().map(|u| (u.damage.clone(), u.lost_before)).collect::<Vec<_>>(),
            [(None, 0), (None, 1)]
        );
    }

    #[test]
    fn a_picture_whose_first_slice_is_missing_is_damaged() {
        let two = annex_b(&[slice(0x41, true, 80), slice(0x41, false, 80)]);
        let mut packets = stream(&[two.clone(), two], 100);
        packets.remove(2);
        let got = send(&mut H264Depacketizer::new(), &packets);
        assert_eq!(got[1].damage, Some(Damage::Lost));
    }

    #[test]
    fn a_picture_whose_marker_was_lost_ends_with_the_next_timestamp() {
        let two = annex_b(&[slice(0x41, true, 80), slice(0x41, false, 80)]);
        let mut packets = stream(&[two.clone(), two.clone()], 100);
        packets.remove(1);
        let got = send(&mut H264Depacketizer::new(), &packets);
        assert_eq!((&got[0].damage, got[0].timestamp), (&Some(Damage::Lost), 0));
        assert_eq!((got[1].timestamp, &got[1].annex_b), (3000, &two));
    }

    #[test]
    fn payload_types_of_other_modes_damage_the_picture() {
        for (payload, err) in [
            (vec![25, 0, 0], RtpError::UnsupportedPayload(25)),
            (vec![24, 0, 9, 1], RtpError::BadPayload("an aggregate is cut off")),
            (vec![24, 0, 1, 24], RtpError::BadPayload("an aggregate in an aggregate")),
            (vec![28], RtpError::BadPayload("a fragment without header")),
        ] {
            let mut depacketizer = H264Depacketizer::new();
            let got: Vec<_> = depacketizer.push(0, 0, true, &payload).collect();
            assert_eq!(got[0].damage, Some(Damage::Malformed(err)));
        }
    }

    #[test]
    fn a_nal_unit_that_never_ends_takes_bounded_memory() {
        let mut depacketizer = H264Depacketizer::new();
        let mut fragment = vec![0x55; 60_000];
        fragment[0] = 0x7c;
        fragment[1] = 0x85;
        for sequence in 0..1000 {
            assert_eq!(depacketizer.push(sequence, 0, false, &fragment).count(), 0);
            fragment[1] = 0x05;
            let held = depacketizer.current.as_ref().unwrap().annex_b.capacity();
            assert!(held <= 2 * MAX_ACCESS_UNIT_BYTES);
        }
        assert_eq!(depacketizer.finish().unwrap().damage, Some(Damage::TooLarge));
    }

    fn unit() -> impl Strategy<Value = Bytes> {
        (any::<bool>(), prop::collection::vec(2usize..700, 1..4)).prop_map(|(key, lengths)| {
            let mut nals = if key { vec![vec![0x67, 1, 2], vec![0x68, 3]] } else { vec![] };
            let header = if key { 0x65 } else { 0x41 };
            nals.extend(lengths.iter().enumerate().map(|(i, &len)| slice(header, i == 0, len)));
            annex_b(&nals)
        })
    }

    proptest! {
        #[test]
        fn what_is_packetized_comes_out_again(units in prop::collection::vec(unit(), 1..8), max in 64usize..400) {
            let packets = stream(&units, max);
            prop_assert!(packets.iter().all(|(_, _, p)| p.bytes.len() <= max));
            let got = send(&mut H264Depacketizer::new(), &packets);
            prop_assert_eq!(got.iter().map(|u| u.annex_b.clone()).collect::<Vec<_>>(), units.clone());
            for (unit, sent) in got.iter().zip(&units) {
                prop_assert_eq!((unit.key, unit.damage.clone()), (crate::h264::is_idr(sent), None));
            }
        }

        /// A unit that is called whole is byte for byte one that was sent, whatever was dropped.
        #[test]
        fn no_drop_passes_for_a_whole_picture(units in prop::collection::vec(unit(), 1..8), max in 64usize..200, drops in prop::collection::vec(any::<bool>(), 60)) {
            let mut packets = stream(&units, max);
            let mut drops = drops.into_iter().cycle();
            // Parameter sets travel alone in front of a slice they do not fit with; nothing in the stream
            // itself then says that they were there, so their loss shows in `lost_before` alone.
            packets.retain(|(_, _, p)| !drops.next().unwrap_or(false) || p.bytes[0] & 0x1f == STAP_A);
            let mut depacketizer = H264Depacketizer::new();
            let mut got = send(&mut depacketizer, &packets);
            got.extend(depacketizer.finish());
            for unit in got.iter().skip(1).filter(|unit| unit.damage.is_none()) {
                prop_assert_eq!(&unit.annex_b, &units[unit.timestamp as usize / 3000]);
            }
        }

        #[test]
        fn random_payloads_never_panic(payloads in prop::collection::vec((0u64..4, any::<bool>(), 0u8..32, prop::collection::vec(any::<u8>(), 0..30)), 0..40)) {
            let mut depacketizer = H264Depacketizer::new();
            let mut sequence = 0;
            for (index, (step, marker, kind, mut payload)) in payloads.into_iter().enumerate() {
                sequence += step;
                if let Some(first) = payload.first_mut() {
                    *first = *first & 0xe0 | kind;
                }
                depacketizer.push(sequence, index as u32 / 3, marker, &payload).for_each(drop);
            }
        }
    }
}
