//! What can be wrong with a message.

/// What is wrong with a message. Its sender broke the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// The length before the message is not a shortest-form varint of at most ten bytes.
    #[error("a malformed length before a message")]
    Length,
    /// The message is announced longer than it may be.
    #[error("a message of {length} bytes or more; at most {limit} are allowed")]
    TooLarge {
        /// Bytes announced, as far as they were read.
        length: u64,
        /// Bytes allowed.
        limit: usize,
    },
    /// A message of no bytes.
    #[error("an empty message")]
    Empty,
    /// The bytes are not what the schema says.
    #[error("a malformed message: {0}")]
    Malformed(&'static str),
    /// A kind of message that only the other side may send.
    #[error("a message in the wrong direction (kind {0})")]
    WrongDirection(u32),
    /// A list is longer than it may be.
    #[error("a list of more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// Elements allowed.
        limit: usize,
    },
    /// More messages of unknown kinds than a session answers.
    #[error("more than {0} messages of unknown kinds")]
    TooManyUnknown(usize),
}

impl WireError {
    /// Whether the same bytes may be right another time: never.
    pub(crate) fn is_retryable(&self) -> bool {
        false
    }
}

impl From<prost::DecodeError> for WireError {
    fn from(_: prost::DecodeError) -> Self {
        // prost's words depend on its version and repeat parts of the input.
        Self::Malformed("not as the schema says")
    }
}
