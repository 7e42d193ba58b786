//! Effects of lost workers and ended rests on own tasks.

use super::state::Owner;
use crate::{
    engine::{keys::PeerKey, node::Cx},
    time::Time,
};

impl Owner {
    /// A peer's last connection closed.
    pub(in crate::engine) fn on_gone(&mut self, cx: &mut Cx<'_>, key: PeerKey) {
        if self.workers.has_session(key) {
            self.workers.on_session_lost(cx, key);
        }
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
                self.lose(cx, task, epoch, "the worker was silent for the whole lease");
            }
        }
    }

    /// A worker's rest is over.
    pub(in crate::engine) fn on_rest_over(&mut self, cx: &mut Cx<'_>, key: PeerKey, at: Time) {
        if self.workers.on_rest_over(cx, key, at) {
            self.store.queue.look_again();
        }
    }
}
