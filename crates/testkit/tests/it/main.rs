//! Real nodes over loopback: the service for users, and the defence against hostile peers. Each
//! hostile test names its row of the threat model.
//!
//! Tests wait for conditions, never for a time, within a bound that only an error exceeds. mDNS is
//! off everywhere. `crates/net/tests` shows that a bare rust-libp2p node is understood over TCP and
//! QUIC. Unit tests of that crate, with paused time, show the 30 s of a peer that does not read or
//! does not finish a frame.
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
