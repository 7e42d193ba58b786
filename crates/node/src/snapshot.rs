//! The state that the driver publishes after each of its passes, read without waiting for it.

use meshwork_core::engine::{Accounts, view::BlobSpace};
use tokio::sync::watch;

use crate::health::Handlers;

/// The state of the driver at the end of a pass.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) accounts: Accounts,
    /// The space of blobs.
    pub(crate) blobs: BlobSpace,
    /// Results that nobody has read and that are forgotten next.
    pub(crate) unread_due: u64,
    /// Whether the node accepts no attempts for now.
    pub(crate) draining: bool,
    /// Whether the node is stopping, and refuses tasks of its own callers as well.
    pub(crate) stopping: bool,
    /// Free slots of this node.
    pub(crate) free_slots: u32,
    /// The threads that run handlers.
    pub(crate) handlers: Handlers,
}

/// Reads the latest snapshot.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotReader(watch::Receiver<Snapshot>);

impl SnapshotReader {
    pub(crate) fn now(&self) -> Snapshot {
        *self.0.borrow()
    }
}

/// Reads the snapshot of a driver that has made no pass.
impl Default for SnapshotReader {
    fn default() -> Self {
        channel().1
    }
}

/// The two ends of the published snapshot. It is empty before the first pass.
pub(crate) fn channel() -> (watch::Sender<Snapshot>, SnapshotReader) {
    let (published, reader) = watch::channel(Snapshot::default());
    (published, SnapshotReader(reader))
}
