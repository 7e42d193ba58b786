//! Real nodes over loopback: what a node does for its users, and what it does when peers do not
//! keep to the rules. Each hostile test names its row of the threat model.
//!
//! Nothing here waits for a time to pass: every wait is for a condition, within a bound that only a
//! fault exceeds. mDNS is off everywhere. That a bare rust-libp2p node is understood, over TCP and
//! over QUIC, is shown in `crates/net/tests`, as are the 30 s of a peer that does not read or does
//! not finish a frame in that crate's unit tests, where time can be turned.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test waits for one kind of message, or of end, among many"
)]

mod support;

mod configured;
mod flooding;
mod hedging;
mod hellos;
mod lying_owners;
mod lying_workers;
mod malformed;
mod protocols;
mod running;
mod stopping;
mod wires;
mod yamux;
