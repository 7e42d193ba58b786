//! Tests of the binary as a process: output, exit codes, signals.
//!
//! Each test uses its own homes and ports, and every process ends with its test.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

mod accept;
mod archive;
mod blob_kills;
mod blob_power;
mod blob_traces;
mod blob_trial;
mod blobs;
mod broken_socket;
mod churn;
mod clock;
mod control_group;
mod daemon;
mod demo;
mod durable;
mod events;
mod exhaustion;
mod extremes;
mod faults;
mod groups;
mod home_files;
mod load;
mod measured;
mod names;
mod near;
mod order;
mod pair;
mod peer_book;
mod peers;
mod power;
mod printing;
mod recovering;
mod release;
mod requests;
mod shapes;
mod slow_disk;
mod stopping;
mod support;
mod tasks;
mod trace;
mod trace_disk;
mod two_nodes;
mod verbs;
