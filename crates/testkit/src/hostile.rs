//! Hostile peers: connections made by hand from the TCP socket up, on which a test can send bytes
//! and messages that no node sends.
//!
//! There are three levels: [`Socket`] lies below Yamux and takes any bytes; [`Frames`] writes valid
//! or invalid Yamux frames; [`Hostile`] has streams, which carry any bytes under any protocol's
//! name, or valid [`message`]s at the wrong time. The only code shared with `meshwork-net` is
//! generated from the schema: everything else is independent, to test `meshwork-net` against it.
//!
//! Absent on purpose: QUIC, whose frames are quinn's.

mod channel;
mod frames;
pub mod message;
mod mux;
mod peer;
mod socket;

pub use self::{
    channel::Channel,
    frames::{Frames, Header, frame},
    peer::Hostile,
    socket::Socket,
};

/// Protocol name of hellos.
pub const HELLO: &str = "/meshwork/hello/1.0.0";
/// Protocol name of resource links.
pub const RESOURCE: &str = "/meshwork/resource/1.0.0";
/// Protocol name of health links.
pub const HEALTH: &str = "/meshwork/health/1.0.0";
/// Protocol name of task sessions.
pub const TASK: &str = "/meshwork/task/1.0.0";
