//! Second attempts: which of two counts, and when one goes on without the other.

use super::{
    state::Owner,
    task::{End, Owned},
};
use crate::{
    engine::{
        keys::{ClassKey, PeerKey, TaskKey},
        node::Cx,
    },
    frame::Epoch,
    limits,
    time::Time,
};

impl Owner {
    /// This attempt has brought a result: it is the one that counts. Its number.
    pub(super) fn win(&mut self, cx: &mut Cx<'_>, key: TaskKey, epoch: Epoch) -> Option<u32> {
        let task = self.store.tasks.get(key)?;
        let (kind, first) = (task.kind, task.open()?.first);
        let so_far = cx.now.since(first.at);
        if first.epoch == epoch {
            self.hedging.on_first_result(kind, so_far);
            return Some(first.number);
        }
        self.hedging.on_overtaken(kind, so_far);
        self.lead(cx, key, epoch)
    }

    /// This attempt ends the task. Its number.
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

    /// The attempt is over. False, and nothing changes, if there is no other beside it.
    pub(super) fn goes_on_without(
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
        open.look = self.hedging.next_look(kind, open.first.at, cx.now);
        if let Some(peer) = cx.node.peers.get(over.peer) {
            task.past().add(over.closed(&peer.id, cx.now, how));
        }
        if was_first {
            self.tell_state(cx, key);
        }
        self.store.arm(cx.node, key);
        true
    }

    /// A task ends: no attempt at it is waited for any longer. The one whose result this is has been
    /// taken off its worker's account already, and is remembered by it.
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

    /// It may be time to see whether a task needs a second attempt.
    pub(super) fn on_look(&mut self, cx: &Cx<'_>, key: TaskKey) {
        let Some(task) = self.store.tasks.get_mut(key) else { return };
        let kind = task.kind;
        let Some(open) = task.open_mut().filter(|open| open.look <= cx.now) else { return };
        open.look = self.hedging.on_look(key, kind, open.first.at, cx.now);
        if open.look == Time::NEVER {
            self.store.queue.look_again();
        }
    }

    /// Sends second attempts to workers with a slot to spare. Looks at a bounded number of tasks; the
    /// rest have their turn in the passes that follow.
    pub(super) fn place_overdue(&mut self, cx: &mut Cx<'_>) {
        for _ in 0..self.hedging.take_unlooked(limits::PLACEMENT_OVERDUE) {
            let Some(key) = self.hedging.next_overdue() else { return };
            let groups = &self.store.groups;
            let needs_another = |task: &&Owned| task.is_overdue() && !groups.stops(task);
            let Some(task) = self.store.tasks.get(key).filter(needs_another) else { continue };
            match self.spare(cx, key, task.class) {
                Some(peer) => self.assign(cx, key, peer),
                None => self.hedging.put_back(key),
            }
        }
    }

    /// The best of the workers that have a free slot, and not this very task.
    pub(super) fn spare(
        &mut self,
        cx: &mut Cx<'_>,
        key: TaskKey,
        class: ClassKey,
    ) -> Option<PeerKey> {
        let (kind, eligible) = self.eligible_for(cx, class)?;
        let has_it = self.store.tasks.get(key)?.open()?.first.peer;
        let is_free =
            |peer: &PeerKey| self.workers.get(*peer).is_some_and(|worker| worker.free_slots() > 0);
        let spare: Vec<PeerKey> =
            eligible.iter().filter(|peer| **peer != has_it && is_free(peer)).copied().collect();
        self.choose(cx, &spare, kind, key)
    }
}
