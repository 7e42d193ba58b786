//! What the engine asks of the owner's half: peers that come and go, and the ends of passes.

use super::{state::Owner, workers::WorkerAccount};
use crate::{
    engine::{
        config::EngineConfig,
        keys::PeerKey,
        node::{Cx, Node},
    },
    reason::Reason,
    task::{GroupId, TaskId},
    time::Time,
};

impl Owner {
    /// A peer has come to this place of the directory.
    pub(in crate::engine) fn add_peer(&mut self, key: PeerKey) {
        self.workers.set(key, WorkerAccount::new(self.came_back));
    }

    /// A peer was forgotten.
    pub(in crate::engine) fn remove_peer(&mut self, key: PeerKey) {
        self.workers.set(key, WorkerAccount::default());
    }

    /// Whether nothing is at a peer and it has no session.
    pub(in crate::engine) fn is_idle(&self, key: PeerKey) -> bool {
        self.workers.get(key).is_none_or(WorkerAccount::is_idle) && !self.workers.has_session(key)
    }

    /// A peer is ready, or its advert changed.
    pub(in crate::engine) fn on_ready(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        self.workers.on_ready(cx, key);
    }

    /// A peer has no connection any longer.
    pub(in crate::engine) fn on_gone(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        if self.workers.has_session(key) {
            self.workers.on_session_lost(cx, key);
        }
    }

    /// A session may be worth having: the trust in a peer or its distance has changed.
    pub(in crate::engine) fn prepare_session(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        self.workers.prepare_session(cx, key);
    }

    pub(in crate::engine) fn on_session(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        cx.node.peers.changed();
        self.store.queue.look_again();
        self.workers.on_session(cx, key);
    }

    pub(in crate::engine) fn on_session_lost(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        cx.node.peers.changed();
        self.store.queue.look_again();
        self.workers.on_session_lost(cx, key);
    }

    /// A lease may have ended.
    pub(in crate::engine) fn on_lease_timer(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        let lost = self.workers.on_lease_timer(cx, key);
        if !lost.is_empty() {
            self.store.queue.look_again();
        }
        for (epoch, attempt) in lost {
            if let Some(task) = attempt.task {
                self.lose(cx, task, epoch, "nothing was heard of the worker within the lease");
            }
        }
    }

    /// A rest of a worker is over.
    pub(in crate::engine) fn on_rest_over(&mut self, cx: &mut Cx<'_>, key: PeerKey, at: Time) {
        if self.workers.on_rest_over(cx, key, at) {
            self.store.queue.look_again();
        }
    }

    /// Acknowledgements have waited long enough for company.
    pub(in crate::engine) fn send_acks(&mut self, node: &mut Node) {
        self.workers.send_acks(node);
    }

    /// A pass ends: acknowledgements for a worker leave, or wait for company.
    pub(in crate::engine) fn flush_acks(&mut self, node: &mut Node, key: PeerKey, now: Time) {
        self.workers.flush_acks(node, key, now);
    }

    /// A pass ends: what is too old is forgotten, and what has ended is handed to the archive.
    pub(in crate::engine) fn flush_ended(&mut self, cx: &mut Cx<'_>) {
        self.store.forget_old(cx);
        self.store.archive_ended(cx);
    }

    /// A pass ends: what changed of groups and archived tasks is journalled.
    pub(in crate::engine) fn flush_records(&mut self, node: &mut Node) {
        self.store.archive.record_read(&mut node.gate);
        for tally in self.store.groups.take_tallies() {
            node.gate.record(tally);
        }
    }

    /// Whether ended tasks wait for being forgotten.
    pub(in crate::engine) fn is_forgetting(&self) -> bool {
        self.store.retention.is_forgetting()
    }

    /// The volume that begins with this number is on disk.
    pub(in crate::engine) fn on_archived(&mut self, node: &mut Node, first: u64) {
        self.store.on_archived(node, first);
    }

    /// A result was given to somebody who asked for it.
    pub(in crate::engine) fn note_read(&mut self, node: &mut Node, id: TaskId) {
        self.store.note_read(node, id);
    }

    /// An attempt at a task of this node starts here. True if that is to be on disk first.
    pub(in crate::engine) fn note_start(&self, cx: &mut Cx<'_>, id: TaskId, attempt: u32) -> bool {
        self.store.record_start(cx, id, attempt)
    }

    /// Why nothing is known of a task.
    pub(in crate::engine) fn unknown_task(&self, config: &EngineConfig, id: TaskId) -> Reason {
        self.store.unknown_task(config, id)
    }

    /// Why nothing is known of a group.
    pub(in crate::engine) fn unknown_group(&self, config: &EngineConfig, id: GroupId) -> Reason {
        self.store.unknown_group(config, id)
    }

    /// Whether every connected worker has confirmed our cancellations.
    pub(in crate::engine) fn cancels_confirmed(&self) -> bool {
        self.workers.cancels_confirmed()
    }
}
