//! The wire format: framing, the messages of `proto/meshwork.proto`, and their translation from and
//! to what the rest of the program speaks. `docs/protocol.md` is its normative description.
//!
//! What is on the hot path (assignments, results, lists of epochs) is encoded and decoded by hand,
//! straight between frames and bytes; the tests hold it equal to the generated code. Everything
//! else goes through the generated structs.
//!
//! Absent on purpose: streams and time (see [`session`](crate::session)), and what a message means.

mod codec;
mod decode;
mod discovery;
mod encode;
mod fields;
mod generated;
mod health;
mod hello;
mod names;
mod reason;
mod resource;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    codec::{Decoder, Message, ReadError, read_message, read_next, write_message},
    decode::{Answer, Inbox, to_owner, to_worker},
    discovery::{DiscoveryReply, DiscoveryRequest, Forged, SignedAdvert},
    encode::Encoder,
    health::{HealthBody, HealthFrame, HealthReport},
    hello::{Hello, HelloReply, MAX_VERSION, MIN_VERSION},
    names::Names,
    resource::{ResourceBody, ResourceFrame, ResourceReport},
};

/// Numbers of the message kinds in the frames of a session.
pub(crate) mod kind {
    use std::ops::RangeInclusive;

    /// All kinds that an owner sends, known or not.
    pub(crate) const TO_WORKER: RangeInclusive<u32> = 1..=63;
    pub(crate) const ASSIGN: u32 = 1;
    pub(crate) const CANCEL: u32 = 2;
    pub(crate) const ACK: u32 = 3;
    pub(crate) const RESUME: u32 = 4;
    pub(crate) const OWNER_UNSUPPORTED: u32 = 5;
    pub(crate) const HAND_BACK: u32 = meshwork_core::ToWorker::HAND_BACK;

    /// All kinds that a worker sends, known or not.
    pub(crate) const TO_OWNER: RangeInclusive<u32> = 64..=127;
    pub(crate) const CREDIT: u32 = 64;
    pub(crate) const ACCEPTED: u32 = 65;
    pub(crate) const BUSY: u32 = 66;
    pub(crate) const REFUSED: u32 = 67;
    pub(crate) const WORKER_UNSUPPORTED: u32 = 68;
    pub(crate) const PROGRESS: u32 = 69;
    pub(crate) const RESULT: u32 = 70;
    pub(crate) const HEARTBEAT: u32 = 71;
}

/// What is wrong with a message. Whoever sent it broke the protocol.
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
