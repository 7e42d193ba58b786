//! The fields of the loop: the swarm, the table of peers, and the parts.
//!
//! Absent on purpose: the reactions of the loop (`event_loop`, and the files beside this one).

use super::{
    admission::Admission, dialer::Dialer, facts::Facts, inbox::Inbox, listeners::Listeners,
    publisher::Publisher, shared::Shared, timers::Timers, wires::Wires,
};
use crate::protocol::{
    blob::blobs::Blobs,
    discovery::{Exchange, dht::Dht, searches::Searches},
    health::liveness::Liveness,
    hello::hellos::Hellos,
    links::Links,
    task::sessions::Sessions,
};

/// The network as a future. Spawn [`EventLoop::run`].
#[must_use = "the network does nothing until this runs"]
pub struct EventLoop {
    /// Dropped first: sockets must be closed when handles see that the network has ended.
    pub(super) wires: Wires,
    /// Commands from the handles.
    pub(super) inbox: Inbox,
    /// Events for the node.
    pub(super) facts: Facts,
    /// Tables for the handles.
    pub(super) publisher: Publisher,
    pub(super) timers: Timers,
    pub(super) shared: Shared,
    pub(super) listeners: Listeners,
    pub(super) admission: Admission,
    pub(super) hellos: Hellos,
    pub(super) work: Work,
    pub(super) links: Links,
    pub(super) liveness: Liveness,
    pub(super) dialer: Dialer,
    pub(super) exchange: Exchange,
    pub(super) searches: Searches,
    pub(super) dht: Dht,
}

/// The streams that carry tasks, and those that carry their files.
pub(super) struct Work {
    pub(super) sessions: Sessions,
    pub(super) blobs: Blobs,
}

impl std::fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let local_peer = &self.shared.local.peer;
        f.debug_struct("EventLoop").field("local_peer", local_peer).finish_non_exhaustive()
    }
}
