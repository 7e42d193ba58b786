//! The 64 bytes kept of one archived task.

use crate::{
    engine::{keys::GroupSlot, kinds::Kind, view::Ending},
    task::TaskId,
    time::Time,
};

/// One archived task.
#[derive(Clone, Debug)]
pub(in crate::engine::owner) struct Entry {
    pub(in crate::engine::owner) id: TaskId,
    /// As [`Owned::digest`](crate::engine::owner::task::Owned::digest).
    pub(in crate::engine::owner) digest: u64,
    /// Hash of the idempotency key; 0 if the task has none.
    pub(in crate::engine::owner) key: u64,
    pub(in crate::engine::owner) submitted: Time,
    /// The node's uptime at the task's end, over all its starts.
    pub(in crate::engine::owner) up: Time,
    /// Bytes that count against the limit of kept tasks, at least
    /// [`ENDED_WEIGHT`](crate::limits::ENDED_WEIGHT).
    pub(in crate::engine::owner) weight: u32,
    pub(in crate::engine::owner) group: Option<GroupSlot>,
    pub(in crate::engine::owner) kind: Kind,
    pub(in crate::engine::owner) ending: Ending,
    /// Whether the result was handed out.
    pub(in crate::engine::owner) read: bool,
    /// The last digits of the task's number.
    at: u16,
}

impl Entry {
    /// The entry of a task that gets its number later.
    #[expect(clippy::too_many_arguments, reason = "one for each field")]
    pub(in crate::engine::owner) fn new(
        id: TaskId,
        (digest, key): (u64, u64),
        (submitted, up): (Time, Time),
        weight: u32,
        group: Option<GroupSlot>,
        kind: Kind,
        (ending, read): (Ending, bool),
    ) -> Self {
        Self { id, digest, key, submitted, up, weight, group, kind, ending, read, at: 0 }
    }

    /// The last digits of the task's number.
    pub(super) fn at(&self) -> u16 {
        self.at
    }

    pub(super) fn set_at(&mut self, at: u16) {
        self.at = at;
    }
}
