//! The parts of the wire format that all protocols share: framing, fields, reasons, and the code
//! generated from `proto/meshwork.proto`. `docs/protocol.md` is the normative description.
//!
//! Hand-written code encodes and decodes the frequent messages (assignments, results, lists of
//! epochs) without intermediate structs; the tests compare it with the generated code. All other
//! messages go through the generated structs.
//!
//! Absent on purpose: streams and time (see [`session`](crate::protocol::task::session)), and the
//! meaning of messages.

mod codec;
pub(crate) mod error;
pub(crate) mod fields;
pub(crate) mod generated;
pub(crate) mod reason;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    codec::{Decoder, Message, ReadError, read_expected, read_message, read_next, write_message},
    error::WireError,
};
