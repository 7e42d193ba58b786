//! An output of bounded size, so that a small input with a hostile parameter never becomes a large
//! allocation.

use std::io;

use bytes::Bytes;
use meshwork_core::limits::INLINE_BYTES;
use serde::Serialize;

use crate::handler::HandlerError;

/// The output so far; at most [`INLINE_BYTES`].
#[derive(Debug, Default)]
pub(super) struct Output(Vec<u8>);

impl Output {
    /// Appends a text.
    ///
    /// # Errors
    ///
    /// [`HandlerError::OutputTooLarge`] if the output would exceed [`INLINE_BYTES`].
    pub(super) fn push(&mut self, text: &str) -> Result<(), HandlerError> {
        if text.len() > INLINE_BYTES.saturating_sub(self.0.len()) {
            return Err(HandlerError::OutputTooLarge);
        }
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }

    /// Writes `value` as JSON.
    ///
    /// # Errors
    ///
    /// [`HandlerError::OutputTooLarge`] if the output would exceed [`INLINE_BYTES`].
    pub(super) fn json(value: &impl Serialize) -> Result<Bytes, HandlerError> {
        let mut output = Self::default();
        match serde_json::to_writer(&mut output, value) {
            Ok(()) => Ok(output.into()),
            Err(error) if error.is_io() => Err(HandlerError::OutputTooLarge),
            Err(error) => Err(HandlerError::permanent(error.to_string())),
        }
    }
}

impl io::Write for Output {
    /// Appends all of `bytes`, or fails if the output would exceed [`INLINE_BYTES`].
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > INLINE_BYTES.saturating_sub(self.0.len()) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl From<Output> for Bytes {
    fn from(output: Output) -> Self {
        output.0.into()
    }
}
