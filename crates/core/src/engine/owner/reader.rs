//! Read access to the owner half, at one moment.

use std::collections::BTreeSet;

use libp2p_identity::PeerId;

use super::{state::Owner, workers::OpenAttempt};
use crate::{
    engine::{
        input::{Accounts, PeerLoad},
        keys::PeerKey,
        node::Node,
        view::Sizes,
    },
    frame::Epoch,
    limits,
    time::Time,
};

/// What callers may ask about own tasks, groups and workers: see [`Engine::read`](crate::engine::Engine::read).
#[derive(Clone, Copy, Debug)]
pub struct Reader<'e> {
    pub(super) owner: &'e Owner,
    pub(super) node: &'e Node,
    pub(super) now: Time,
}

impl<'e> Reader<'e> {
    pub(in crate::engine) fn new(owner: &'e Owner, node: &'e Node, now: Time) -> Self {
        Self { owner, node, now }
    }

    /// The number of tasks that are forgotten next, because of age or lack of space, and whose results
    /// nobody has read. A lower bound: examines the first
    /// [`EXAMINED_DUE`](crate::limits::EXAMINED_DUE) tasks of the archive, as many that are not archived
    /// yet, and every ended group.
    pub fn unread_due(&self) -> u64 {
        self.owner.store.unread_due(self.node, self.now)
    }

    /// The targets of waiting tasks that are not ready; at most `most`, in the order of their ids.
    /// Examines a bounded number of classes.
    pub fn absent_targets(&self, most: usize) -> Vec<PeerId> {
        let is_ready =
            |id: &PeerId| self.node.peers.by_id(id).is_some_and(|peer| peer.advert.is_some());
        let targets = self.owner.store.queue.targets(limits::PLACEMENT_CLASSES);
        let absent: BTreeSet<PeerId> = targets.filter(|id| !is_ready(id)).copied().collect();
        absent.into_iter().take(most).collect()
    }

    /// The epochs of this node's open attempts at `peer`.
    pub fn attempts_at(self, peer: &PeerId) -> impl Iterator<Item = Epoch> + use<'e> {
        let worker = self.node.peers.key(peer).and_then(|key| self.owner.workers.get(key));
        worker.into_iter().flat_map(|worker| worker.open().map(|(epoch, _)| epoch))
    }

    /// Adds this node's open attempts at a worker.
    pub(in crate::engine) fn load(&self, key: PeerKey, load: &mut PeerLoad) {
        if let Some(worker) = self.owner.workers.get(key) {
            load.assigned = worker.assigned();
            load.reputation = worker.conduct.reputation();
        }
    }

    /// Adds the counts of the owner half.
    pub(in crate::engine) fn count(&self, accounts: &mut Accounts) {
        let (tasks, counts) = (&self.owner.store.tasks, &self.owner.counts);
        accounts.queued = tasks.live().saturating_sub(tasks.open());
        accounts.running = tasks.open() + self.node.gate.unpersisted_ends();
        accounts.succeeded = counts.succeeded;
        accounts.failed = counts.failed;
        accounts.cancelled = counts.cancelled;
        accounts.expired = counts.expired;
        accounts.late = counts.late;
        accounts.kept = self.owner.store.kept(self.node);
        accounts.second_attempts = self.owner.placement.second_attempts();
    }

    /// Adds the sizes of the owner half's tables. Examines every worker.
    pub(in crate::engine) fn measure(&self, sizes: &mut Sizes) {
        sizes.groups = self.owner.store.queue.classes();
        for (_, worker) in self.owner.workers.iter() {
            let is_unwanted = |attempt: &OpenAttempt| {
                let task = attempt.task.map(|key| self.owner.store.tasks.get(key));
                task.is_some_and(|task| task.is_none_or(|task| task.open().is_none()))
            };
            sizes.open += worker.assigned() as usize;
            sizes.progress += worker.progress_len();
            sizes.unwanted += worker.open().filter(|(_, open)| is_unwanted(open)).count();
            sizes.open_bytes += worker.open_bytes();
            sizes.unsent += worker.acks.epochs.len();
        }
    }
}
