//! Reads and writes the fields of a protobuf message one by one, without intermediate structs.

use prost::encoding::{decode_varint, encode_varint, encoded_len_varint};

use crate::wire::error::WireError;

/// The number and value of a field.
pub(crate) type Field<'a> = (u32, Value<'a>);

/// Reads the fields of one message in their order.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A number.
    Varint(u64),
    /// Text, bytes, a message or a packed list.
    Bytes(&'a [u8]),
    /// Four or eight bytes. No message that is read with [`Fields`] uses them.
    Fixed,
}

impl<'a> Fields<'a> {
    /// The fields of `message`.
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The number and value of the next field; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Field<'a>>, WireError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| WireError::Malformed("field number"))?;
        // Protobuf limits field numbers to 29 bits.
        if number == 0 || number >= 1 << 29 {
            return Err(WireError::Malformed("field number"));
        }
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            // Groups could nest without bound, and the schema has none.
            _ => return Err(WireError::Malformed("wire type")),
        };
        Ok(Some((number, value)))
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        varint(&mut self.rest)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], WireError> {
        let (taken, rest) = usize::try_from(length)
            .ok()
            .and_then(|length| self.rest.split_at_checked(length))
            .ok_or(WireError::Malformed("a field is longer than its message"))?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'a> Value<'a> {
    pub(crate) fn number(self) -> Result<u64, WireError> {
        match self {
            Self::Varint(number) => Ok(number),
            Self::Bytes(_) | Self::Fixed => Err(WireError::Malformed("a number was expected")),
        }
    }

    pub(crate) fn number32(self) -> Result<u32, WireError> {
        u32::try_from(self.number()?).map_err(|_| WireError::Malformed("a number over 32 bits"))
    }

    pub(crate) fn bytes(self) -> Result<&'a [u8], WireError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Fixed => Err(WireError::Malformed("bytes were expected")),
        }
    }

    pub(crate) fn text(self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| WireError::Malformed("text is not UTF-8"))
    }
}

/// Takes a varint off the front of `bytes`.
pub(crate) fn varint(bytes: &mut &[u8]) -> Result<u64, WireError> {
    match bytes.split_first() {
        Some((&first, rest)) if first < 0x80 => {
            *bytes = rest;
            Ok(u64::from(first))
        }
        _ => decode_varint(bytes).map_err(|_| WireError::Malformed("varint")),
    }
}

/// The zigzag encoding, in which small negative numbers are short.
pub(crate) fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

/// The inverse of [`zigzag`].
pub(crate) fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Bytes of a number field with a one-byte key. Zero is the default and is left out.
pub(crate) fn number_len(value: u64) -> usize {
    if value == 0 { 0 } else { 1 + encoded_len_varint(value) }
}

/// Writes a number field with a one-byte key, unless the value is zero.
pub(crate) fn put_number(out: &mut Vec<u8>, field: u8, value: u64) {
    if value != 0 {
        out.push(field << 3);
        encode_varint(value, out);
    }
}

/// Bytes of a field that holds `length` bytes and has a one-byte key.
pub(crate) fn bytes_len(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

/// Writes a field of bytes with a one-byte key, even if it is empty.
pub(crate) fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    put_head(out, field, bytes.len());
    out.extend_from_slice(bytes);
}

/// Writes the one-byte key and the length of a field of bytes.
pub(crate) fn put_head(out: &mut Vec<u8>, field: u8, length: usize) {
    out.push(field << 3 | 2);
    encode_varint(length as u64, out);
}

/// Decodes the name and value of a map entry.
pub(crate) fn map_entry(entry: &[u8]) -> Result<(&str, &str), WireError> {
    let (mut name, mut value) = ("", "");
    let mut fields = Fields::of(entry);
    while let Some((number, text)) = fields.next()? {
        match number {
            1 => name = text.text()?,
            2 => value = text.text()?,
            _ => {}
        }
    }
    Ok((name, value))
}

/// The number of the unknown kind in a frame: its first field other than the id (1).
pub(crate) fn unknown_kind(message: &[u8]) -> Result<u32, WireError> {
    let mut fields = Fields::of(message);
    while let Some((number, _)) = fields.next()? {
        if number != 1 {
            return Ok(number);
        }
    }
    Err(WireError::Empty)
}
