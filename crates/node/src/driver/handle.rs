//! The handle of the driver: sends it calls, and reads what it has published.

use tokio::sync::{mpsc, oneshot, watch};

use super::{
    call::Call,
    question::{Answer, Question},
};
use crate::{
    error::InternalError,
    limits,
    snapshot::{self, Snapshot, SnapshotReader},
};

/// Sends calls to the driver. All clones reach the same driver, which stops when the last one is
/// dropped.
#[derive(Clone, Debug)]
pub(crate) struct DriverHandle {
    entries: mpsc::Sender<Call>,
    calls: mpsc::Sender<Call>,
    snapshot: SnapshotReader,
}

/// The driver's end of its handle.
#[derive(Debug)]
pub(crate) struct CallQueues {
    /// Calls that may add to what is kept on disk; see [`Call::is_entry`].
    pub(crate) entries: mpsc::Receiver<Call>,
    /// All other calls.
    pub(crate) calls: mpsc::Receiver<Call>,
    pub(crate) snapshot: watch::Sender<Snapshot>,
}

impl DriverHandle {
    /// A handle, and what the driver is started with.
    pub(crate) fn new() -> (Self, CallQueues) {
        let (entries, entry_queue) = mpsc::channel(limits::CALLS);
        let (calls, call_queue) = mpsc::channel(limits::CALLS);
        let (published, snapshot) = snapshot::channel();
        let queues = CallQueues { entries: entry_queue, calls: call_queue, snapshot: published };
        (Self { entries, calls, snapshot }, queues)
    }

    /// Sends a call. Waits while the driver's queue is full.
    ///
    /// # Errors
    ///
    /// The driver has stopped.
    pub(crate) async fn call(&self, call: Call) -> Result<(), InternalError> {
        let channel = if call.is_entry() { &self.entries } else { &self.calls };
        channel.send(call).await.map_err(|_| InternalError::Stopped)
    }

    /// Sends a call that may be lost: drops it if the driver's queue is full.
    pub(crate) fn try_call(&self, call: Call) {
        self.calls.try_send(call).ok();
    }

    /// Asks about the engine's state.
    ///
    /// # Errors
    ///
    /// The driver has stopped.
    pub(crate) async fn ask<T>(
        &self,
        question: impl FnOnce(Answer<T>) -> Question,
    ) -> Result<T, InternalError> {
        let (answer, answered) = oneshot::channel();
        self.call(Call::Ask(question(answer))).await?;
        answered.await.map_err(|_| InternalError::Stopped)
    }

    /// The state that the driver published last, without waiting for it. It contains everything
    /// that the driver has answered; an event or a frame may be a moment ahead of it.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.snapshot.now()
    }

    /// Reads snapshots, without keeping the driver alive.
    pub(crate) fn snapshots(&self) -> SnapshotReader {
        self.snapshot.clone()
    }

    /// Sends calls, without keeping the driver alive.
    pub(crate) fn downgrade(&self) -> mpsc::WeakSender<Call> {
        self.calls.downgrade()
    }

    /// Whether the driver takes no more calls.
    pub(crate) fn is_closed(&self) -> bool {
        self.calls.is_closed()
    }

    /// Waits until the driver takes no more calls.
    pub(crate) async fn closed(&self) {
        self.calls.closed().await;
    }
}
