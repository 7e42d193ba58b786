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
mod error;
mod fields;
mod generated;
mod health;
mod hello;
pub(crate) mod kind;
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
    error::WireError,
    health::{HealthBody, HealthFrame, HealthReport},
    hello::{Hello, HelloReply, MAX_VERSION, MIN_VERSION},
    names::Names,
    resource::{ResourceBody, ResourceFrame, ResourceReport},
};
