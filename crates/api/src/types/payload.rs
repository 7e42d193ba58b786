//! Inputs and results inside JSON: UTF-8 as text, other bytes in base64, blobs by their hash.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use meshwork_core::{BlobRef, TaskInput};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// An input or a result inside JSON: `{"text": "…"}`, `{"base64": "…"}` (standard alphabet, padded),
/// or `{"blob": {"hash": "…", "size": 5, "form": "file"}}` for a file or a folder of the node.
///
/// The form of bytes depends only on whether the bytes are UTF-8, so a reader of text results need not know
/// both forms. The largest input, 1 MiB of control characters, takes 6 MiB in JSON and fits in a
/// request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// UTF-8 text.
    Text(String),
    /// Any bytes.
    Base64(#[serde(serialize_with = "encode", deserialize_with = "decode")] Bytes),
    /// A file or a folder in the store of the node.
    Blob(BlobRef),
}

impl Payload {
    /// Text if the bytes are UTF-8, else base64; a blob by its name.
    pub fn of(payload: impl Into<meshwork_core::Payload>) -> Self {
        let bytes = match payload.into() {
            meshwork_core::Payload::Inline(bytes) => bytes,
            meshwork_core::Payload::Blob(blob) => return Self::Blob(*blob),
        };
        match std::str::from_utf8(&bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(bytes),
        }
    }

    /// Number of bytes inside the task.
    pub fn weight(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Base64(bytes) => bytes.len(),
            Self::Blob(_) => meshwork_core::Payload::BLOB_WEIGHT,
        }
    }

    /// Whether the bytes are text that contains this word.
    pub(super) fn contains(&self, word: &str) -> bool {
        match self {
            Self::Text(text) => text.contains(word),
            Self::Base64(bytes) => std::str::from_utf8(bytes).is_ok_and(|text| text.contains(word)),
            Self::Blob(_) => false,
        }
    }

    /// Number of bytes that the value takes inside JSON.
    pub fn json_len(&self) -> usize {
        match self {
            Self::Text(text) => escaped_len(text),
            Self::Base64(bytes) => bytes.len().div_ceil(3) * 4,
            Self::Blob(_) => BLOB_JSON,
        }
    }

    /// The decoded bytes; `None` for a blob.
    pub fn into_bytes(self) -> Option<Bytes> {
        match self {
            Self::Text(text) => Some(text.into()),
            Self::Base64(bytes) => Some(bytes),
            Self::Blob(_) => None,
        }
    }
}

impl From<Payload> for TaskInput {
    fn from(payload: Payload) -> Self {
        match payload {
            Payload::Text(text) => Self::Text(text),
            Payload::Base64(bytes) => Self::Bytes(bytes),
            Payload::Blob(blob) => Self::Blob(blob),
        }
    }
}

/// Number of bytes that a blob takes inside JSON, rounded up.
const BLOB_JSON: usize = 160;

/// Number of bytes that `text` takes inside a JSON string.
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
