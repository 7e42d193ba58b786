//! Second attempts: which one counts, and what happens when only one of two ends.

use super::{state::Owner, task::End};
use crate::{
    engine::{keys::TaskKey, node::Cx},
    frame::Epoch,
    time::Time,
};

impl Owner {
    /// This attempt brought the result that counts. Returns its number.
    pub(super) fn win(&mut self, cx: &mut Cx<'_>, key: TaskKey, epoch: Epoch) -> Option<u32> {
        let task = self.store.tasks.get(key)?;
        let (kind, first) = (task.kind, task.open()?.first);
        let so_far = cx.now.since(first.at);
        if first.epoch == epoch {
            self.placement.hedging.on_first_result(kind, so_far);
            return Some(first.number);
        }
        self.placement.hedging.on_overtaken(kind, so_far);
        self.lead(cx, key, epoch)
    }

    /// This attempt ends the task. Returns its number.
    pub(super) fn lead(&mut self, cx: &mut Cx<'_>, key: TaskKey, epoch: Epoch) -> Option<u32> {
        let open = self.store.tasks.get_mut(key)?.open_mut()?;
        let had_lead = open.first.epoch == epoch;
        open.lead(epoch);
        let number = open.first.number;
        if !had_lead {
            self.tell_state(cx, key);
        }
        Some(number)
    }

    /// Closes an ended attempt if another one is open beside it; otherwise returns false without a
    /// change.
    pub(super) fn close_one_of_two(
        &mut self,
        cx: &mut Cx<'_>,
        key: TaskKey,
        epoch: Epoch,
        how: &str,
    ) -> bool {
        let Some(task) = self.store.tasks.get_mut(key) else { return false };
        let kind = task.kind;
        let Some(open) = task.open_mut() else { return false };
        let was_first = open.first.epoch == epoch;
        let Some(over) = open.take(epoch) else { return false };
        open.look = self.placement.hedging.next_look(kind, open.first.at, cx.now);
        if let Some(peer) = cx.node.peers.get(over.peer) {
            task.past().add(over.closed(&peer.id, cx.now, how));
        }
        if was_first {
            self.tell_state(cx, key);
        }
        self.store.arm(cx.node, key);
        true
    }

    /// The task ends: closes its open attempts. The attempt that brought the result has left its
    /// worker's account already, and the result names it.
    pub(super) fn close_open(&mut self, cx: &mut Cx<'_>, key: TaskKey, end: &End) {
        let Some(task) = self.store.tasks.get_mut(key) else { return };
        let Some(open) = task.open_mut() else { return };
        let (first, second) = (open.first, open.take_second());
        let state = end.state().as_str();
        let also = match end {
            End::Succeeded { .. } => "given up: another attempt was faster",
            End::Failed(_) => "given up: another attempt has failed for good",
            End::Cancelled { .. } | End::Expired(_) => state,
        };
        let first = Some((first, state)).filter(|_| !end.is_success());
        let second = second.map(|sent| (sent, also));
        for (sent, how) in [first, second].into_iter().flatten() {
            if let Some(peer) = cx.node.peers.get(sent.peer) {
                task.past().add_at_end(sent.closed(&peer.id, cx.now, how));
            }
            self.workers.withdraw(cx.node, sent.peer, sent.epoch);
        }
    }

    /// Checks whether a task needs a second attempt.
    pub(super) fn on_look(&mut self, cx: &Cx<'_>, key: TaskKey) {
        let Some(task) = self.store.tasks.get_mut(key) else { return };
        let kind = task.kind;
        let Some(open) = task.open_mut().filter(|open| open.look <= cx.now) else { return };
        open.look = self.placement.hedging.on_look(key, kind, open.first.at, cx.now);
        if open.look == Time::NEVER {
            self.store.queue.look_again();
        }
    }
}
