//! `text/upper` and `text/lower`.

use bytes::Bytes;

use crate::{context::TaskContext, handler::HandlerError};

pub(super) fn upper(_cx: &TaskContext, input: &[u8]) -> Result<Bytes, HandlerError> {
    Ok(str::from_utf8(input)?.to_uppercase().into())
}

pub(super) fn lower(_cx: &TaskContext, input: &[u8]) -> Result<Bytes, HandlerError> {
    Ok(str::from_utf8(input)?.to_lowercase().into())
}
