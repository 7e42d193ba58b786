//! The wire format as far as all protocols share it: framing, fields, reasons, and the code that is
//! generated from `proto/meshwork.proto`. `docs/protocol.md` is its normative description.
//!
//! What is on the hot path (assignments, results, lists of epochs) is encoded and decoded by hand,
//! straight between frames and bytes; the tests hold it equal to the generated code. Everything
//! else goes through the generated structs.
//!
//! Absent on purpose: streams and time (see [`session`](crate::protocol::task::session)), and what a message means.

mod codec;
pub(crate) mod error;
pub(crate) mod fields;
pub(crate) mod generated;
pub(crate) mod reason;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    codec::{Decoder, Message, ReadError, read_message, read_next, write_message},
    error::WireError,
};
