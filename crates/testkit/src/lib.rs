//! Networks of real nodes for tests, and hostile peers.
//!
//! [`TestNode`] is a [`NetworkManager`](meshwork_node::NetworkManager) on loopback with a free port
//! and without mDNS; [`TestNet`] is an owner with workers that trust each other. [`eventually`]
//! waits for a condition, never for a time, and reports the state of the nodes if it times out.
//! [`hostile`] is an independent implementation from the TCP socket up, which shares the messages'
//! schema with `meshwork-net`, and [`Honest`] shows that honest peers are served meanwhile.
//!
//! Absent on purpose: processes (the tests of the binary have those), and access to a node beyond
//! its public interface.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in a test a panic is the report"
)]

mod honest;
pub mod hostile;
mod net;
mod node;
pub mod panics;
mod wait;

pub use self::{
    honest::Honest,
    net::{TestNet, Wiring},
    node::{Spec, TestNode},
    wait::{eventually, within},
};
