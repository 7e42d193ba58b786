//! Decoded frames of a session, and the decoding that both directions share.

use std::ops::RangeInclusive;

use meshwork_core::{Epoch, Reason};

use crate::wire::{
    error::WireError,
    fields::{Fields, Value},
};

/// Decoded frames that wait for the session's consumer, and answers that wait for its writer.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    /// For the session's consumer, in the order of arrival.
    pub(crate) frames: Vec<T>,
    /// For the session's writer, in the order of arrival.
    pub(crate) answers: Vec<Answer>,
}

/// An answer that a session sends without its consumer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// This node does not know the kind with this number.
    Unsupported(u32),
    /// The assignment with this epoch is out of its bounds.
    Refused(Epoch, Reason),
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self { frames: Vec::new(), answers: Vec::new() }
    }
}

/// The kind of a message, and its body if the field holds bytes.
pub(crate) type Kind<'a> = (u32, Option<&'a [u8]>);

/// Finds the kind of `message`: its only field in the range `own`. Without such a field, the number
/// of the first field counts as an unknown kind.
pub(crate) fn kind_of<'a>(
    message: &'a [u8],
    own: &RangeInclusive<u32>,
    other: &RangeInclusive<u32>,
) -> Result<Kind<'a>, WireError> {
    let mut found = None;
    let mut stranger = None;
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        if other.contains(&number) {
            return Err(WireError::WrongDirection(number));
        }
        if own.contains(&number) {
            if found.is_some() {
                return Err(WireError::Malformed("two kinds in one message"));
            }
            let body = match value {
                Value::Bytes(body) => Some(body),
                Value::Varint(_) | Value::Fixed => None,
            };
            found = Some((number, body));
        } else {
            stranger.get_or_insert(number);
        }
    }
    found.or_else(|| stranger.map(|number| (number, None))).ok_or(WireError::Empty)
}

/// Unwraps the body of a kind that must have one.
pub(crate) fn body(body: Option<&[u8]>) -> Result<&[u8], WireError> {
    body.ok_or(WireError::Malformed("a kind without a body"))
}
