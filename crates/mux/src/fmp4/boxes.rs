//! Writing and reading boxes (ISO/IEC 14496-12 §4.2).

/// A box type.
pub(super) type Kind = [u8; 4];

/// Appends a box whose body `fill` writes.
pub(super) fn put_box(out: &mut Vec<u8>, kind: &Kind, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(kind);
    fill(out);
    // Metadata boxes and fragments of a second are far from 4 GiB.
    let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends a full box: version and 24 bits of flags first.
pub(super) fn put_full_box(
    out: &mut Vec<u8>,
    kind: &Kind,
    version: u8,
    flags: u32,
    fill: impl FnOnce(&mut Vec<u8>),
) {
    put_box(out, kind, |out| {
        put_u32(out, u32::from(version) << 24 | flags);
        fill(out);
    });
}

pub(super) fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(super) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(super) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(super) fn put_zeros(out: &mut Vec<u8>, count: usize) {
    out.resize(out.len() + count, 0);
}

/// A box header: its type, the bytes it takes itself, and those of the whole box (`None`: to the end).
pub(super) struct Header {
    pub kind: Kind,
    pub header_bytes: u64,
    pub total_bytes: Option<u64>,
}

/// Reads a header from its first 16 bytes (8 do for a short one); `None` when it is impossible or cut off.
pub(super) fn read_header(bytes: &[u8]) -> Option<Header> {
    let (size, rest) = bytes.split_first_chunk::<4>()?;
    let (kind, rest) = rest.split_first_chunk::<4>()?;
    let (header_bytes, total_bytes) = match u32::from_be_bytes(*size) {
        0 => (8, None),
        1 => (16, Some(u64::from_be_bytes(*rest.first_chunk::<8>()?))),
        size => (8, Some(u64::from(size))),
    };
    if total_bytes.is_some_and(|total| total < header_bytes) {
        return None;
    }
    Some(Header { kind: *kind, header_bytes, total_bytes })
}

/// The boxes that lie side by side in `bytes`, as type and body; ends at the first that does not fit.
pub(super) fn children(mut bytes: &[u8]) -> impl Iterator<Item = (Kind, &[u8])> {
    std::iter::from_fn(move || {
        let header = read_header(bytes)?;
        let total = match header.total_bytes {
            Some(total) => usize::try_from(total).ok()?,
            None => bytes.len(),
        };
        let (whole, rest) = bytes.split_at_checked(total)?;
        bytes = rest;
        Some((header.kind, &whole[header.header_bytes as usize..]))
    })
}

/// The body of the first child of a type.
pub(super) fn child<'a>(bytes: &'a [u8], kind: &Kind) -> Option<&'a [u8]> {
    children(bytes).find(|(found, _)| found == kind).map(|(_, body)| body)
}

/// The body of a descendant along a path.
pub(super) fn descendant<'a>(bytes: &'a [u8], path: &[&Kind]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |bytes, kind| child(bytes, kind))
}

/// Reads big-endian numbers; `None` at the end.
pub(super) struct Fields<'a>(pub &'a [u8]);

impl Fields<'_> {
    pub(super) fn u32(&mut self) -> Option<u32> {
        let (value, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*value))
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        Some(u64::from(self.u32()?) << 32 | u64::from(self.u32()?))
    }

    pub(super) fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }

    /// Version and flags of a full box.
    pub(super) fn version_and_flags(&mut self) -> Option<(u8, u32)> {
        let word = self.u32()?;
        Some(((word >> 24) as u8, word & 0xff_ffff))
    }
}
