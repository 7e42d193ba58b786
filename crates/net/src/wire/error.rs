//! Errors in messages.

/// The error in a message whose sender broke the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// The length before the message is not a shortest-form varint of at most ten bytes.
    #[error("a malformed length before a message")]
    Length,
    /// The announced length is above the limit.
    #[error("a message of {length} bytes or more; at most {limit} are allowed")]
    TooLarge {
        /// The announced bytes, from the part of the length that was read: a lower bound.
        length: u64,
        /// Bytes allowed.
        limit: usize,
    },
    /// The message has no bytes or no kind.
    #[error("an empty message")]
    Empty,
    /// The bytes do not follow the schema.
    #[error("a malformed message: {0}")]
    Malformed(&'static str),
    /// Only the other side may send this kind of message.
    #[error("a message in the wrong direction (kind {0})")]
    WrongDirection(u32),
    /// A list is longer than its limit.
    #[error("a list of more than {limit} {what}")]
    TooMany {
        /// The name of the elements.
        what: &'static str,
        /// Elements allowed.
        limit: usize,
    },
    /// More messages of unknown kinds than a session answers.
    #[error("more than {0} messages of unknown kinds")]
    TooManyUnknown(usize),
}

impl WireError {
    /// Whether the same message may be accepted later: never.
    pub(crate) fn is_retryable(&self) -> bool {
        false
    }
}

impl From<prost::DecodeError> for WireError {
    fn from(_: prost::DecodeError) -> Self {
        // prost's text depends on its version and repeats parts of the input.
        Self::Malformed("the bytes do not follow the schema")
    }
}
