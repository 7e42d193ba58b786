//! Blobs: bytes outside a task, known by their BLAKE3 hash.
//!
//! Absent on purpose: the bytes themselves. They are in the store of a node (`meshwork-blob`).

use std::{fmt, str::FromStr};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::limits;

#[cfg(test)]
mod tests;

/// The BLAKE3 hash of some bytes: 32 bytes, written as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobHash([u8; 32]);

impl BlobHash {
    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The hash with these 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first ten hex digits: the short form that people see.
    pub fn short(&self) -> String {
        let [a, b, c, d, e, ..] = self.0;
        format!("{a:02x}{b:02x}{c:02x}{d:02x}{e:02x}")
    }
}

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is not the hash of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the hash of a blob: it has 64 hex digits")]
pub struct InvalidBlobHash;

impl FromStr for BlobHash {
    type Err = InvalidBlobHash;

    fn from_str(text: &str) -> Result<Self, InvalidBlobHash> {
        let mut bytes = [0; 32];
        if text.len() != 2 * bytes.len() {
            return Err(InvalidBlobHash);
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = str::from_utf8(digits).map_err(|_| InvalidBlobHash)?;
            // `from_str_radix` accepts a sign.
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(InvalidBlobHash);
            }
            *byte = u8::from_str_radix(digits, 16).map_err(|_| InvalidBlobHash)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for BlobHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BlobHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A file or a folder in the store of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlobRef {
    /// The hash of the file's bytes, or of the folder's list.
    pub hash: BlobHash,
    /// Size in bytes: of the file, or of all files of the folder.
    pub size: u64,
    /// Whether it is a file or a folder.
    pub form: BlobForm,
    /// Bytes of a folder's list, which is the blob with this hash; 0 for a file.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub list: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl BlobRef {
    /// A file of this size.
    pub fn file(hash: BlobHash, size: u64, executable: bool) -> Self {
        Self { hash, size, form: BlobForm::File { executable }, list: 0 }
    }

    /// Whether both have the same contents. For files, whether they may be executed does not count.
    pub fn is_same_content(&self, other: &Self) -> bool {
        let form = |blob: &Self| match blob.form {
            BlobForm::File { .. } => BlobForm::FILE,
            BlobForm::Folder => BlobForm::Folder,
        };
        Self { form: form(self), ..*self } == Self { form: form(other), ..*other }
    }

    /// Bytes of the blob with this hash: of the file, or of the folder's list.
    pub fn blob_bytes(&self) -> u64 {
        match self.form {
            BlobForm::File { .. } => self.size,
            BlobForm::Folder => self.list.into(),
        }
    }
}

/// The form of the contents of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum BlobForm {
    /// A file.
    File {
        /// Whether its owner may execute the file.
        executable: bool,
    },
    /// A folder: a list of names, whose files are blobs of their own.
    Folder,
}

impl BlobForm {
    /// A file that is not executable.
    pub const FILE: Self = Self::File { executable: false };

    /// The form with this name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::FILE, Self::File { executable: true }, Self::Folder];
        all.into_iter().find(|form| form.as_str() == name)
    }

    /// The form's name in JSON and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File { executable: false } => "file",
            Self::File { executable: true } => "program",
            Self::Folder => "folder",
        }
    }
}

impl From<BlobForm> for &'static str {
    fn from(form: BlobForm) -> Self {
        form.as_str()
    }
}

impl TryFrom<String> for BlobForm {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::parse(&name).ok_or("a form is file, program or folder")
    }
}

/// The input or the output of an attempt: bytes inside the task, or a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Payload {
    /// The bytes, at most [`INLINE_BYTES`](limits::INLINE_BYTES).
    Inline(Bytes),
    /// A blob in the store of the node that has the payload. Boxed: most payloads are inline.
    Blob(Box<BlobRef>),
}

impl Payload {
    /// Bytes that the name of a blob counts as: hash, size and form, rounded up.
    pub const BLOB_WEIGHT: usize = 64;

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Blob(blob) => blob.size,
        }
    }

    /// Bytes that it takes in a frame, in memory and in a record.
    pub fn weight(&self) -> usize {
        match self {
            Self::Inline(bytes) => bytes.len(),
            Self::Blob(_) => Self::BLOB_WEIGHT,
        }
    }

    /// The blob, if it is one.
    pub fn blob(&self) -> Option<BlobRef> {
        match self {
            Self::Inline(_) => None,
            Self::Blob(blob) => Some(**blob),
        }
    }

    /// The bytes, unless it is a blob.
    pub fn inline(&self) -> Option<&Bytes> {
        match self {
            Self::Inline(bytes) => Some(bytes),
            Self::Blob(_) => None,
        }
    }

    /// Whether the bytes are more than travel inside a task.
    pub fn is_too_large(&self) -> bool {
        self.weight() > limits::INLINE_BYTES
    }
}

/// Inline bytes are equal to the same bytes; a blob is equal to none.
impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for Payload {
    fn eq(&self, other: &T) -> bool {
        self.inline().is_some_and(|bytes| bytes.as_ref() == other.as_ref())
    }
}

impl From<BlobRef> for Payload {
    fn from(blob: BlobRef) -> Self {
        Self::Blob(Box::new(blob))
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self::Inline(Bytes::new())
    }
}

impl<T: Into<Bytes>> From<T> for Payload {
    fn from(bytes: T) -> Self {
        Self::Inline(bytes.into())
    }
}
