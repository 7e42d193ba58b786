//! What the driver holds, published after each of its passes: read without waiting for it.
//!
//! Absent on purpose: what is kept on disk, in numbers. Counting that takes the engine too long to do
//! it in each pass.

use meshwork_core::engine::Accounts;
use tokio::sync::watch;

use crate::health::Handlers;

/// The driver at the end of a pass.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Snapshot {
    /// Without what is kept.
    pub(crate) accounts: Accounts,
    /// Whether the node stops, and refuses tasks of its own callers.
    pub(crate) stopping: bool,
    /// Slots of this node that are free.
    pub(crate) free_slots: u32,
    /// The threads that run handlers.
    pub(crate) handlers: Handlers,
}

/// Reads the latest snapshot.
#[derive(Clone, Debug)]
pub(crate) struct Seen(watch::Receiver<Snapshot>);

impl Seen {
    pub(crate) fn now(&self) -> Snapshot {
        *self.0.borrow()
    }
}

/// A driver that has made no pass.
impl Default for Seen {
    fn default() -> Self {
        channel().1
    }
}

/// Where the driver publishes, and where others read. While there is no driver, nothing is held.
pub(crate) fn channel() -> (watch::Sender<Snapshot>, Seen) {
    let (published, seen) = watch::channel(Snapshot::default());
    (published, Seen(seen))
}
