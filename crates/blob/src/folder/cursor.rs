//! Reading and writing the numbers and byte strings of roots and parts.
//!
//! A number is a varint of seven bits a byte, lowest first, as short as possible: one number has one
//! encoding.

use meshwork_core::blob::BlobHash;

use super::error::FormatError;

/// Reads forward through some bytes. Every length is checked against the bytes that are left.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Number of bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], FormatError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(FormatError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, FormatError> {
        let (byte, rest) = self.rest.split_first().ok_or(FormatError::Truncated)?;
        self.rest = rest;
        Ok(*byte)
    }

    pub(super) fn number(&mut self) -> Result<u64, FormatError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(FormatError::Number);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                // A last byte without bits means that a shorter encoding exists.
                return if byte == 0 && shift > 0 { Err(FormatError::Number) } else { Ok(number) };
            }
        }
        Err(FormatError::Number)
    }

    /// A number of bytes, and the bytes: at most `most`.
    pub(super) fn string(&mut self, most: usize) -> Result<&'a [u8], FormatError> {
        let length = self.number()?;
        if length > most as u64 {
            return Err(FormatError::Length { length, limit: most as u64 });
        }
        self.take(length as usize)
    }

    pub(super) fn hash(&mut self) -> Result<BlobHash, FormatError> {
        let bytes = self.take(32)?.try_into().map_err(|_| FormatError::Truncated)?;
        Ok(BlobHash::from_bytes(bytes))
    }

    /// Reads the first bytes of a root or a part.
    pub(super) fn magic(&mut self, magic: &[u8]) -> Result<(), FormatError> {
        if self.take(magic.len()).ok() != Some(magic) {
            return Err(FormatError::Magic);
        }
        match self.byte()? {
            VERSION => Ok(()),
            version => Err(FormatError::Version { version }),
        }
    }
}

/// The version of the format, after the magic bytes.
pub(super) const VERSION: u8 = 1;

pub(super) fn put_number(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

pub(super) fn put_string(to: &mut Vec<u8>, bytes: &[u8]) {
    put_number(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}
