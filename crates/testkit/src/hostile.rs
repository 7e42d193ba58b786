//! Ends of connections that are made by hand, from the TCP socket up, so that a test can say on
//! them what no node would.
//!
//! Three depths: [`Socket`] lies below Yamux and takes any bytes; [`Frames`] writes Yamux frames,
//! sound or not; [`Hostile`] has streams, on which any bytes can be said under any protocol's name,
//! or sound [`message`]s at the wrong time. Of `meshwork-net` nothing but
//! the code that is generated from the schema is used: what lies below and beside the messages is
//! compared with it.
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

/// What is negotiated for hellos.
pub const HELLO: &str = "/meshwork/hello/1.0.0";
/// What is negotiated for links that tell of resources.
pub const RESOURCE: &str = "/meshwork/resource/1.0.0";
/// What is negotiated for links that tell of health.
pub const HEALTH: &str = "/meshwork/health/1.0.0";
/// What is negotiated for task sessions.
pub const TASK: &str = "/meshwork/task/1.0.0";
