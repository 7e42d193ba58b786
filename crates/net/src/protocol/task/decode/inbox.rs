//! What is decoded and not yet handed on, and what the two directions have in common.

use std::ops::RangeInclusive;

use meshwork_core::{Epoch, Reason};

use crate::wire::{
    error::WireError,
    fields::{Fields, Value},
};

/// What has been decoded and not yet handed on.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    /// For the session's consumer, in order.
    pub(crate) frames: Vec<T>,
    /// For the session's writer, in order.
    pub(crate) answers: Vec<Answer>,
}

/// What a session answers by itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// The kind with this number is not known here.
    Unsupported(u32),
    /// This assignment cannot be used.
    Refused(Epoch, Reason),
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self { frames: Vec::new(), answers: Vec::new() }
    }
}

/// The kind of a message, and its body if it has one of a known sort.
pub(crate) type Kind<'a> = (u32, Option<&'a [u8]>);

/// Finds the kind of `message`, in which there must be exactly one.
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

/// The body of a kind that must have one.
pub(crate) fn body(body: Option<&[u8]>) -> Result<&[u8], WireError> {
    body.ok_or(WireError::Malformed("a kind without a body"))
}
