//! Real networks over loopback. No test waits for a fixed time: each wait is for an event, with a
//! timeout that only a fault exceeds. mDNS is off everywhere.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test waits for one kind of event among many"
)]

mod support;

mod bare;
mod blobs;
mod copied_key;
mod crowds;
mod dialing;
mod discovery;
mod hostile;
mod links;
mod listening;
mod readiness;
mod remembered;
mod sessions;
