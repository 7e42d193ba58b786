//! Bytes inside JSON: as text where that is possible and short, in base64 elsewhere.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use meshwork_core::TaskInput;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Bytes inside JSON: `{"text": "…"}` or `{"base64": "…"}` (standard alphabet, padded).
///
/// The largest input, 1 MiB, is 1.4 MiB in base64, and [`Payload::of`] never chooses the longer
/// form: it always fits in a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// UTF-8 text.
    Text(String),
    /// Any bytes.
    Base64(#[serde(serialize_with = "encode", deserialize_with = "decode")] Bytes),
}

impl Payload {
    /// The shorter form of these bytes.
    pub fn of(bytes: Bytes) -> Self {
        match std::str::from_utf8(&bytes) {
            Ok(text) if escaped_len(text) <= bytes.len().div_ceil(3) * 4 => {
                Self::Text(text.to_owned())
            }
            _ => Self::Base64(bytes),
        }
    }

    /// The bytes.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into(),
            Self::Base64(bytes) => bytes,
        }
    }
}

impl From<Payload> for TaskInput {
    fn from(payload: Payload) -> Self {
        match payload {
            Payload::Text(text) => Self::Text(text),
            Payload::Base64(bytes) => Self::Bytes(bytes),
        }
    }
}

/// Bytes of `text` inside a JSON string.
fn escaped_len(text: &str) -> usize {
    text.bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
            0x00..=0x1f => 6,
            _ => 1,
        })
        .sum()
}

fn encode<S: Serializer>(bytes: &Bytes, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&STANDARD.encode(bytes))
}

fn decode<'de, D: Deserializer<'de>>(d: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(d)?;
    STANDARD.decode(text).map(Bytes::from).map_err(D::Error::custom)
}
