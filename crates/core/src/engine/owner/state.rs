//! The owner half and its parts.

use std::time::Duration;

use rustc_hash::FxHashMap;

use super::{
    placement::{Board, Placement},
    store::Store,
    workers::{WorkerAccount, Workers},
};
use crate::{
    blob::BlobRef,
    engine::{
        keys::{PeerKey, TaskKey},
        node::{Cx, Node},
    },
    frame::Epoch,
    task::TaskState,
};

/// Own tasks, and the workers that they go to.
#[derive(Debug)]
pub(in crate::engine) struct Owner {
    pub(in crate::engine) store: Store,
    pub(in crate::engine) workers: Workers,
    pub(super) placement: Placement,
    /// Tasks submitted in this pass, if [`TaskChanged`](crate::engine::Effect::TaskChanged) is
    /// observed.
    pub(super) submitted: Vec<TaskKey>,
    pub(super) counts: Counts,
    pub(super) collecting: Collecting,
}

/// Outputs that are being fetched from workers, with the run times of their attempts.
type Collecting = FxHashMap<(PeerKey, Epoch), (BlobRef, Duration)>;

/// Counts of events since the start.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) cancelled: u64,
    pub(super) expired: u64,
    pub(super) late: u64,
}

impl Counts {
    pub(super) fn on_end(&mut self, state: &TaskState) {
        match state {
            TaskState::Succeeded => self.succeeded += 1,
            TaskState::Failed => self.failed += 1,
            TaskState::Cancelled => self.cancelled += 1,
            TaskState::Expired => self.expired += 1,
            TaskState::Queued | TaskState::Assigned { .. } | TaskState::Running { .. } => {}
        }
    }
}

impl Owner {
    /// An owner without tasks. `came_back`: this node has run before, so any worker may hold
    /// results of its tasks.
    pub(in crate::engine) fn new(came_back: bool) -> Self {
        let mut workers = Workers::new(came_back);
        workers.set(PeerKey::LOCAL, WorkerAccount::local());
        Self {
            store: Store::default(),
            workers,
            placement: Placement::default(),
            submitted: Vec::new(),
            collecting: FxHashMap::default(),
            counts: Counts::default(),
        }
    }

    /// Sends waiting tasks to workers.
    pub(in crate::engine) fn place_waiting(&mut self, cx: &mut Cx<'_>) {
        let Self { placement, store, workers, .. } = self;
        placement.place_waiting(cx, &mut Board { store, workers });
    }

    /// Asks back attempts that wait at one worker while another has a free slot. `idle`: this pass
    /// has sent nothing; otherwise a later pass does it.
    pub(in crate::engine) fn take_back(&mut self, cx: &mut Cx<'_>, idle: bool) {
        let Self { placement, store, workers, .. } = self;
        placement.take_back(cx, &mut Board { store, workers }, idle);
    }

    /// Attempts sent since the start.
    pub(in crate::engine) fn sent(&self) -> u64 {
        self.placement.sent()
    }

    /// Whether placement has tasks to examine.
    pub(in crate::engine) fn is_due(&self) -> bool {
        self.store.queue.is_due() || self.placement.hedging.is_due()
    }

    /// A waiting task may have become placeable.
    pub(in crate::engine) fn look_again(&mut self) {
        self.store.queue.look_again();
    }

    /// Stops placement, including the part left for later passes.
    pub(in crate::engine) fn on_close(&mut self, node: &mut Node) {
        self.store.queue.stop_looking();
        self.placement.hedging.look_again(true);
        self.workers.send_acks(node);
    }
}
