//! Reading and writing single bits, most significant first.

/// Bits ran out, or a code was longer than its type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OutOfBits;

/// Reads from the most significant bit of the first byte.
#[derive(Clone, Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() * 8 - self.position
    }

    pub(crate) fn bit(&mut self) -> Result<bool, OutOfBits> {
        let byte = self.bytes.get(self.position / 8).ok_or(OutOfBits)?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Ok(bit == 1)
    }

    /// The next `count` bits (at most 32) as a number.
    pub(crate) fn bits(&mut self, count: usize) -> Result<u32, OutOfBits> {
        debug_assert!(count <= 32);
        if self.remaining() < count {
            return Err(OutOfBits);
        }
        let mut value = 0u32;
        for _ in 0..count {
            value = value << 1 | u32::from(self.bit()?);
        }
        Ok(value)
    }

    pub(crate) fn skip(&mut self, count: usize) -> Result<(), OutOfBits> {
        if self.remaining() < count {
            return Err(OutOfBits);
        }
        self.position += count;
        Ok(())
    }

    /// ue(v) of ITU-T H.264 §9.1: at most 31 leading zeros, so that it fits 32 bits.
    pub(crate) fn unsigned_exp_golomb(&mut self) -> Result<u32, OutOfBits> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return Err(OutOfBits);
            }
        }
        // With 31 zeros the largest is 2^31 − 1 + 2^31 − 1, which fits.
        Ok((1u32 << zeros) - 1 + self.bits(zeros)?)
    }

    /// se(v) of ITU-T H.264 §9.1.1.
    pub(crate) fn signed_exp_golomb(&mut self) -> Result<i32, OutOfBits> {
        let code = self.unsigned_exp_golomb()?;
        let magnitude = i32::try_from(code.div_ceil(2)).map_err(|_| OutOfBits)?;
        Ok(if code % 2 == 1 { magnitude } else { -magnitude })
    }
}

/// Writes from the most significant bit of the first byte; the last byte is filled with zeros.
#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    used: usize,
}

impl BitWriter {
    pub(crate) fn bits(&mut self, value: u32, count: usize) {
        for shift in (0..count).rev() {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if value >> shift & 1 == 1
                && let Some(last) = self.bytes.last_mut()
            {
                *last |= 0x80 >> (self.used % 8);
            }
            self.used += 1;
        }
    }

    #[cfg(test)]
    pub(crate) fn unsigned_exp_golomb(&mut self, value: u32) {
        let code = value + 1;
        let length = 32 - code.leading_zeros() as usize;
        self.bits(0, length - 1);
        self.bits(code, length);
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_codes_are_those_of_table_9_2() {
        // ITU-T H.264 table 9-2: 1, 010, 011, 00100, 00101 are 0, 1, 2, 3, 4.
        let mut reader = BitReader::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let codes: Vec<_> = (0..5).map(|_| reader.unsigned_exp_golomb().unwrap()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn signed_codes_alternate_from_plus() {
        // Table 9-3: code numbers 0 to 4 are 0, 1, −1, 2, −2.
        let mut reader = BitReader::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let codes: Vec<_> = (0..5).map(|_| reader.signed_exp_golomb().unwrap()).collect();
        assert_eq!(codes, [0, 1, -1, 2, -2]);
    }

    #[test]
    fn a_code_that_never_ends_is_refused() {
        assert_eq!(BitReader::new(&[0; 64]).unsigned_exp_golomb(), Err(OutOfBits));
        assert_eq!(BitReader::new(&[]).bit(), Err(OutOfBits));
    }
}
