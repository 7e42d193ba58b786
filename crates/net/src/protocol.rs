//! The protocols, one folder each: the messages, one exchange of them, and the part of the event
//! loop that owns the state and the rules.
//!
//! The resource and the health protocol travel on [`links`]. Absent on purpose: what
//! protocols share on the wire (`wire`), and the event loop itself (`event_loop`).

pub mod blob;
pub(crate) mod discovery;
pub(crate) mod health;
pub(crate) mod hello;
pub(crate) mod links;
pub(crate) mod resource;
pub(crate) mod task;
