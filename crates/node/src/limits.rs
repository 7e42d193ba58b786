//! Every bound of the node, with its reason (I4). What happens when one is full is said here.

use std::time::Duration;

/// Calls of handles that wait for the driver; callers wait when it is full.
pub(crate) const CALLS: usize = 4_096;
/// Events kept for a slow subscriber; a slower one is told how many it missed.
pub(crate) const EVENTS: usize = 4_096;
/// Calls that one pass of the driver takes before it looks at everything else again.
pub(crate) const CALLS_PER_PASS: usize = 1_024;
/// Facts about the network that one pass takes: all that its channel holds.
pub(crate) const FACTS_PER_PASS: usize = meshwork_net::limits::EVENTS;
/// Batches of frames that one pass takes.
pub(crate) const BATCHES_PER_PASS: usize = 16;
/// Reports of handlers that wait for the driver; a handler that ends waits when it is full.
pub(crate) const REPORTS: usize = 1_024;
/// Addresses to listen on.
pub(crate) const LISTEN_ADDRS: usize = 16;
/// Bootstrap addresses.
pub(crate) const BOOTSTRAP: usize = 64;
/// Trusted peers, by configuration and in the home.
pub(crate) const TRUSTED: usize = 1_024;
/// From the call of `shutdown` until the node ends without waiting for anything any more.
pub(crate) const SHUTDOWN: Duration = Duration::from_secs(10);
