//! What an error looks like: RFC 9457, with a code and a hint.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An error of the API, sent as `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:meshwork:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the HTTP status means.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, in a sentence.
    pub detail: String,
    /// The stable code, the same in the library, on the wire and on the command line.
    pub code: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The task that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// When the same request may be answered otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// How far a node that recovers is, 0 to 99.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
}

impl Problem {
    /// Whether asking again may help without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        self.retry_after_ms.is_some()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}
