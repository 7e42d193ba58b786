//! The owner's half: its parts.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{
    hedging::Hedging,
    offers::Offers,
    store::Store,
    workers::{WorkerAccount, Workers},
};
use crate::{
    engine::{
        keys::{ClassKey, PeerKey, TaskKey},
        lanes::Rank,
    },
    task::TaskState,
};

/// Own tasks, and the workers to which they go.
#[derive(Debug)]
pub(in crate::engine) struct Owner {
    pub(super) store: Store,
    pub(super) workers: Workers,
    pub(super) offers: Offers,
    pub(super) hedging: Hedging,
    /// Tasks that were submitted in this pass, if [`TaskChanged`](crate::engine::Effect::TaskChanged)
    /// is wanted.
    pub(super) submitted: Vec<TaskKey>,
    pub(super) next_epoch: u64,
    /// Reused by placement.
    pub(super) turns: BinaryHeap<Reverse<Turn>>,
    /// This node was here before: any worker may hold results of its tasks.
    pub(super) came_back: bool,
    pub(super) counts: Counts,
}

/// A class's turn in placement: the most urgent of its lines, its place, which class.
pub(super) type Turn = (Rank, usize, ClassKey);

/// What has happened since the start.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) cancelled: u64,
    pub(super) expired: u64,
    pub(super) late: u64,
    pub(super) second_attempts: u64,
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
    /// An owner without tasks. `came_back`: this node was here before.
    pub(in crate::engine) fn new(came_back: bool) -> Self {
        let mut workers = Workers::default();
        workers.set(PeerKey::LOCAL, WorkerAccount::local());
        Self {
            store: Store::default(),
            workers,
            offers: Offers::default(),
            hedging: Hedging::default(),
            submitted: Vec::new(),
            next_epoch: 1,
            turns: BinaryHeap::new(),
            came_back,
            counts: Counts::default(),
        }
    }
}
