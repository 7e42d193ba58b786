//! Real nodes over loopback: the service for users, and the defence against hostile peers. Each
//! hostile test names its row of the threat model.
//!
//! Tests wait for conditions, never for a time, within a bound that only an error exceeds. mDNS is
//! off everywhere. Elsewhere: `crates/net/tests` tests a bare rust-libp2p node over TCP and QUIC, and
//! unit tests of that crate, with paused time, the 30 s limit for a peer that does not read or does
//! not finish a frame.
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

mod blobs;
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
