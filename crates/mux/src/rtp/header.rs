//! The RTP fixed header and its extensions.

use bytes::{Buf, Bytes};

use super::RtpError;

const VERSION: u8 = 2;
const FIXED_BYTES: usize = 12;
/// RFC 8285 §4.2 and §4.3.
const ONE_BYTE_PROFILE: u16 = 0xbede;
const TWO_BYTE_PROFILE: u16 = 0x1000;
const TWO_BYTE_MASK: u16 = 0xfff0;

/// One header extension element (RFC 8285).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extension {
    /// 1 to 14 in the one-byte form, 1 to 255 in the two-byte form.
    pub id: u8,
    pub data: Bytes,
}

/// An RTP header without what is derived (version, padding, counts).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RtpHeader {
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    /// At most 15.
    pub csrcs: Vec<u32>,
    pub extensions: Vec<Extension>,
}

/// A parsed packet; its parts share the memory it came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RtpPacket {
    pub header: RtpHeader,
    /// Without padding.
    pub payload: Bytes,
}

impl RtpPacket {
    /// # Errors
    /// [`RtpError`] when it is not RTP version 2 or a length lies outside. An extension block of an
    /// unknown profile is skipped, as RFC 3550 §5.3.1 asks.
    pub fn parse(packet: Bytes) -> Result<Self, RtpError> {
        let mut rest = packet;
        if rest.len() < FIXED_BYTES {
            return Err(RtpError::TooShort);
        }
        let first = rest.get_u8();
        if first >> 6 != VERSION {
            return Err(RtpError::Version(first >> 6));
        }
        let second = rest.get_u8();
        let mut header = RtpHeader {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: rest.get_u16(),
            timestamp: rest.get_u32(),
            ssrc: rest.get_u32(),
            ..RtpHeader::default()
        };
        for _ in 0..first & 0x0f {
            header.csrcs.push(rest.try_get_u32().map_err(|_| RtpError::TooShort)?);
        }
        if first & 0x10 != 0 {
            header.extensions = take_extensions(&mut rest)?;
        }
        if first & 0x20 != 0 {
            let padding = usize::from(*rest.last().ok_or(RtpError::Padding)?);
            if padding == 0 || padding > rest.len() {
                return Err(RtpError::Padding);
            }
            rest.truncate(rest.len() - padding);
        }
        Ok(Self { header, payload: rest })
    }

    /// # Errors
    /// As [`RtpHeader::write`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, RtpError> {
        let mut out = Vec::with_capacity(FIXED_BYTES + 16 + self.payload.len());
        self.header.write(&mut out)?;
        out.extend_from_slice(&self.payload);
        Ok(out)
    }
}

fn take_extensions(rest: &mut Bytes) -> Result<Vec<Extension>, RtpError> {
    if rest.len() < 4 {
        return Err(RtpError::TooShort);
    }
    let profile = rest.get_u16();
    let length = usize::from(rest.get_u16()) * 4;
    if rest.len() < length {
        return Err(RtpError::TooShort);
    }
    let block = rest.split_to(length);
    if profile == ONE_BYTE_PROFILE {
        parse_elements(block, |head, _| {
            // Id 15 ends the block, and so does id 0 with a length (§4.2); it is not to be read further.
            (!matches!(head >> 4, 0 | 15)).then_some((head >> 4, usize::from(head & 0x0f) + 1))
        })
    } else if profile & TWO_BYTE_MASK == TWO_BYTE_PROFILE {
        parse_elements(block, |head, block| block.try_get_u8().ok().map(|length| (head, length.into())))
    } else {
        Ok(Vec::new())
    }
}

/// Reads elements until the block ends; `split` takes the head byte (and what else belongs to the head)
/// and says id and length, or that the block ends here.
fn parse_elements(
    mut block: Bytes,
    split: impl Fn(u8, &mut Bytes) -> Option<(u8, usize)>,
) -> Result<Vec<Extension>, RtpError> {
    let mut extensions = Vec::new();
    while block.has_remaining() {
        let head = block.get_u8();
        if head == 0 {
            continue; // padding
        }
        let Some((id, length)) = split(head, &mut block) else { break };
        if block.len() < length {
            return Err(RtpError::TooShort);
        }
        extensions.push(Extension { id, data: block.split_to(length) });
    }
    Ok(extensions)
}

impl RtpHeader {
    /// The data of the first extension element with `id`.
    pub fn extension(&self, id: u8) -> Option<&Bytes> {
        self.extensions.iter().find(|extension| extension.id == id).map(|extension| &extension.data)
    }

    /// Appends the header; elements take the one-byte form where all of them fit it.
    ///
    /// # Errors
    /// [`RtpError::Extension`] for id 0 or over 255 bytes, [`RtpError::TooManySources`].
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), RtpError> {
        if self.csrcs.len() > 15 {
            return Err(RtpError::TooManySources);
        }
        let has_extensions = u8::from(!self.extensions.is_empty());
        out.push(VERSION << 6 | has_extensions << 4 | self.csrcs.len() as u8);
        out.push(u8::from(self.marker) << 7 | self.payload_type & 0x7f);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        self.csrcs.iter().for_each(|csrc| out.extend_from_slice(&csrc.to_be_bytes()));
        if has_extensions == 1 {
            self.write_extensions(out)?;
        }
        Ok(())
    }

    fn write_extensions(&self, out: &mut Vec<u8>) -> Result<(), RtpError> {
        let fits = |e: &Extension| (1..=14).contains(&e.id) && (1..=16).contains(&e.data.len());
        let one_byte = self.extensions.iter().all(fits);
        let profile = if one_byte { ONE_BYTE_PROFILE } else { TWO_BYTE_PROFILE };
        out.extend_from_slice(&profile.to_be_bytes());
        let length_at = out.len();
        out.extend_from_slice(&[0; 2]);
        for Extension { id, data } in &self.extensions {
            let length = u8::try_from(data.len()).ok().filter(|_| *id != 0);
            let length = length.ok_or(RtpError::Extension { id: *id, length: data.len() })?;
            if one_byte {
                out.push(id << 4 | (length - 1));
            } else {
                out.extend_from_slice(&[*id, length]);
            }
            out.extend_from_slice(data);
        }
        while !(out.len() - length_at - 2).is_multiple_of(4) {
            out.push(0);
        }
        let words = u16::try_from((out.len() - length_at - 2) / 4)
            .map_err(|_| RtpError::Extension { id: 0, length: out.len() })?;
        out[length_at..length_at + 2].copy_from_slice(&words.to_be_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_fixed_header_is_that_of_rfc_3550() {
        let header = RtpHeader {
            marker: true,
            payload_type: 96,
            sequence: 0x1234,
            timestamp: 0x5678_9abc,
            ssrc: 0xdead_beef,
            ..RtpHeader::default()
        };
        let mut out = Vec::new();
        header.write(&mut out).unwrap();
        assert_eq!(out, [0x80, 0xe0, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xad, 0xbe, 0xef]);
    }

    #[test]
    fn the_example_of_rfc_8285_is_read() {
        // §4.2: one-byte elements of 1, 2 and 4 bytes with padding between the second and third.
        let mut packet = vec![0x90, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0, 3];
        packet.extend_from_slice(&[0x10, 7, 0x21, 8, 9, 0, 0, 0x33, 1, 2, 3, 4, b'p']);
        let error = RtpPacket::parse(Bytes::from(packet[..packet.len() - 2].to_vec()));
        assert_eq!(error, Err(RtpError::TooShort));
        let packet = RtpPacket::parse(packet.into()).unwrap();
        assert_eq!(packet.header.extension(1).unwrap()[..], [7]);
        assert_eq!(packet.header.extension(2).unwrap()[..], [8, 9]);
        assert_eq!(packet.header.extension(3).unwrap()[..], [1, 2, 3, 4]);
        assert_eq!(packet.payload[..], *b"p");
    }

    #[test]
    fn an_element_without_an_id_ends_the_block() {
        // RFC 8285 §4.2: such ones are not elements, and what is behind them is not read.
        for end in [0x05, 0xf1] {
            let packet =
                [0x90, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0, 2, 0x10, 7, end, 9, 9, 9, 0x20, 8];
            let read = RtpPacket::parse(packet.to_vec().into()).unwrap();
            assert_eq!(read.header.extensions, [Extension { id: 1, data: vec![7].into() }]);
            assert_eq!(RtpPacket::parse(read.to_bytes().unwrap().into()).unwrap(), read);
        }
    }

    #[test]
    fn padding_is_taken_off_and_checked() {
        let head = [0xa0, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        let with = |tail: &[u8]| RtpPacket::parse([&head[..], tail].concat().into());
        assert_eq!(with(&[5, 0, 2]).unwrap().payload[..], [5]);
        for tail in [&[][..], &[0], &[4]] {
            assert_eq!(with(tail), Err(RtpError::Padding));
        }
    }

    fn extension() -> impl Strategy<Value = Extension> {
        (1u8.., prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(id, data)| Extension { id, data: data.into() })
    }

    proptest! {
        #[test]
        fn a_packet_is_read_as_written(
            marker: bool, payload_type in 0u8..128, sequence: u16, timestamp: u32, ssrc: u32,
            csrcs in prop::collection::vec(any::<u32>(), 0..16),
            extensions in prop::collection::vec(extension(), 0..5),
            payload in prop::collection::vec(any::<u8>(), 0..50),
        ) {
            let header = RtpHeader { marker, payload_type, sequence, timestamp, ssrc, csrcs, extensions };
            let packet = RtpPacket { header, payload: payload.into() };
            prop_assert_eq!(RtpPacket::parse(packet.to_bytes().unwrap().into()), Ok(packet));
        }

        #[test]
        fn random_bytes_give_an_answer_or_an_error(first in 0x80u8..0xc0, bytes in prop::collection::vec(any::<u8>(), 0..80), two: bool) {
            let mut packet = vec![first];
            packet.extend(bytes);
            if packet.len() > 14 {
                let profile = if two { [0x10, 0x00] } else { [0xbe, 0xde] };
                packet[12..14].copy_from_slice(&profile);
            }
            let _ = RtpPacket::parse(packet.into());
        }
    }
}
