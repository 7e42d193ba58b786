//! Hedging: beside an attempt that takes unusually long a second one runs at another worker. The first
//! result ends the task, and whoever is slower is told to stop (Dean and Barroso, "The tail at scale",
//! 2013).
//!
//! Unusually long is longer than 95 of 100 first attempts of its kind take to bring their results, from
//! being sent. A first attempt that is overtaken counts as one that would have taken longer: without it
//! the tail would be cut off, that time fall, and more and more be hedged.
//!
//! A second attempt takes a slot that is free after all that waits was placed, never a place in a line:
//! when every worker is slow, there is none.
//!
//! Absent on purpose: a third attempt, and a second one for tasks that do not ask for it.

use std::sync::Arc;

use libp2p_identity::PeerId;

use super::{
    Cx, Engine,
    kinds::Kind,
    past::Attempt,
    peers::PeerKey,
    queue::GroupKey,
    tasks::{End, Owned, Phase, TaskKey},
};
use crate::{frame::Epoch, limits, time::Time};

/// An attempt at a worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) peer: PeerKey,
    pub(super) epoch: Epoch,
    pub(super) at: Time,
    /// Which attempt at the task it is, from 1.
    pub(super) number: u32,
    /// Whether the worker has said that it has it.
    pub(super) accepted: bool,
}

impl Sent {
    /// As it is remembered once it is over.
    pub(super) fn closed(&self, peer: &Arc<PeerId>, at: Time, how: &str) -> Attempt {
        let Self { number, at: started, .. } = *self;
        Attempt { number, peer: Arc::clone(peer), started, ended: at, end: how.into() }
    }
}

/// The attempts at a task that are at workers: one, and perhaps another beside it.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) first: Sent,
    second: Option<Box<Sent>>,
    /// When to see whether it needs another; [`Time::NEVER`] if it has one, waits for one, or needs
    /// none.
    pub(super) look: Time,
}

impl Open {
    pub(super) fn new(first: Sent, look: Time) -> Self {
        Self { first, second: None, look }
    }

    /// Another attempt beside the first.
    pub(super) fn add(&mut self, second: Sent) {
        self.second = Some(Box::new(second));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Sent> {
        std::iter::once(&self.first).chain(self.second.as_deref())
    }

    pub(super) fn get_mut(&mut self, epoch: Epoch) -> Option<&mut Sent> {
        let second = self.second.as_deref_mut();
        std::iter::once(&mut self.first).chain(second).find(|sent| sent.epoch == epoch)
    }

    /// Puts this attempt first.
    fn lead(&mut self, epoch: Epoch) {
        if let Some(second) = self.second.as_deref_mut().filter(|sent| sent.epoch == epoch) {
            std::mem::swap(&mut self.first, second);
        }
    }

    /// Takes an attempt out. None, and nothing changes, if there is no other.
    fn take(&mut self, epoch: Epoch) -> Option<Sent> {
        let second = *self.second.take()?;
        if second.epoch == epoch {
            return Some(second);
        }
        Some(std::mem::replace(&mut self.first, second))
    }

    /// The only attempt, if it is this one.
    pub(super) fn only(&self, epoch: Epoch) -> Option<&Sent> {
        (self.second.is_none() && self.first.epoch == epoch).then_some(&self.first)
    }

    /// Whether it is time for another attempt, and there is none yet.
    fn is_overdue(&self) -> bool {
        self.second.is_none() && self.look == Time::NEVER
    }
}

impl Owned {
    /// Whether this is its first attempt of those that are open.
    pub(super) fn leads_with(&self, epoch: Epoch) -> bool {
        matches!(&self.phase, Phase::Open(open) if open.first.epoch == epoch)
    }

    /// Whether it is time for a second attempt, and none was sent yet.
    fn is_overdue(&self) -> bool {
        matches!(&self.phase, Phase::Open(open) if open.is_overdue())
    }
}

impl Engine {
    /// When to see whether an attempt that was sent at `sent` takes unusually long. While nobody knows
    /// what is usual, and after a second attempt that came to nothing, more and more rarely.
    pub(super) fn next_look(&self, kind: Kind, sent: Time, now: Time) -> Time {
        let usual = self.usual_end(kind, sent).filter(|end| *end > now);
        usual.unwrap_or_else(|| now + now.since(sent).max(limits::HEDGE_LEAST))
    }

    /// When an attempt that was sent at `sent` should have ended, as far as is known.
    fn usual_end(&self, kind: Kind, sent: Time) -> Option<Time> {
        let p95 = self.tails.get(&kind)?.p95()?;
        Some(sent + p95.max(limits::HEDGE_LEAST))
    }

    /// This attempt has brought a result: it is the one that counts. Which one it is.
    pub(super) fn win(&mut self, cx: &mut Cx<'_>, key: TaskKey, epoch: Epoch) -> Option<u32> {
        let task = self.tasks.get(key)?;
        let Phase::Open(Open { first, .. }) = &task.phase else { return None };
        let (kind, first) = (task.kind, *first);
        let tail = self.tails.entry(kind).or_default();
        if first.epoch == epoch {
            tail.add_ended(cx.now.since(first.at));
            return Some(first.number);
        }
        tail.add_given_up(cx.now.since(first.at));
        self.lead(cx, key, epoch)
    }

    /// This attempt ends the task. Which one it is.
    pub(super) fn lead(&mut self, cx: &mut Cx<'_>, key: TaskKey, epoch: Epoch) -> Option<u32> {
        let Phase::Open(open) = &mut self.tasks.get_mut(key)?.phase else { return None };
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
        let Some(task) = self.tasks.get_mut(key) else { return false };
        let Phase::Open(open) = &mut task.phase else { return false };
        let was_first = open.first.epoch == epoch;
        let Some(over) = open.take(epoch) else { return false };
        let (first, kind) = (open.first, task.kind);
        if let Some(peer) = self.peers.get(over.peer) {
            task.past().add(over.closed(&peer.id, cx.now, how));
        }
        if was_first {
            self.tell_state(cx, key);
        }
        let look = self.next_look(kind, first.at, cx.now);
        if let Some(Owned { phase: Phase::Open(open), .. }) = self.tasks.get_mut(key) {
            open.look = look;
        }
        self.arm_task(key);
        true
    }

    /// A task ends: of its attempts none is waited for any more. The one whose result this is has been
    /// taken off its worker's account already, and is remembered by it.
    pub(super) fn close_open(&mut self, key: TaskKey, now: Time, end: &End) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let Phase::Open(Open { first, second, .. }) = &mut task.phase else { return };
        let (first, second) = (*first, second.take());
        let state = end.state().as_str();
        let also = match end {
            End::Succeeded { .. } => "given up: another attempt was faster",
            End::Failed(_) => "given up: another attempt has failed for good",
            End::Cancelled { .. } | End::Expired(_) => state,
        };
        let first = Some((first, state)).filter(|_| !end.is_success());
        let second = second.map(|sent| (*sent, also));
        for (sent, how) in [first, second].into_iter().flatten() {
            if let Some(peer) = self.peers.get(sent.peer)
                && let Some(task) = self.tasks.get_mut(key)
            {
                task.past().add_at_end(sent.closed(&peer.id, now, how));
            }
            self.withdraw(sent.peer, sent.epoch);
        }
    }

    /// It is time to see whether a task needs a second attempt.
    pub(super) fn on_look(&mut self, key: TaskKey, now: Time) {
        let Some(task) = self.tasks.get(key) else { return };
        let Phase::Open(Open { first, look, .. }) = &task.phase else { return };
        if *look > now {
            return;
        }
        let (kind, sent) = (task.kind, first.at);
        let is_late = self.usual_end(kind, sent).is_some_and(|end| end <= now);
        let look = if is_late && self.overdue.len() < limits::OVERDUE_TASKS {
            self.overdue.push_back(key);
            self.place = true;
            Time::NEVER
        } else {
            self.next_look(kind, sent, now)
        };
        if let Some(Owned { phase: Phase::Open(open), .. }) = self.tasks.get_mut(key) {
            open.look = look;
        }
    }

    /// Sends second attempts to workers with a slot to spare. Looks at a bounded number of tasks; the
    /// rest have their turn in the passes that follow.
    pub(super) fn place_overdue(&mut self, cx: &mut Cx<'_>) {
        let looked_at = self.unhedged.min(limits::PLACEMENT_OVERDUE);
        self.unhedged -= looked_at;
        for _ in 0..looked_at {
            let Some(key) = self.overdue.pop_front() else { return };
            let needs_another = |task: &&Owned| task.is_overdue() && !self.groups.stops(task);
            let Some(task) = self.tasks.get(key).filter(needs_another) else { continue };
            match self.spare(cx, key, task.group) {
                Some(peer) => self.assign(cx, key, peer),
                None => self.overdue.push_back(key),
            }
        }
    }

    /// The best of the workers that have a free slot, and not this very task.
    pub(super) fn spare(
        &mut self,
        cx: &mut Cx<'_>,
        key: TaskKey,
        group: GroupKey,
    ) -> Option<PeerKey> {
        let (kind, eligible) = self.eligible_for(cx, group)?;
        let Phase::Open(open) = &self.tasks.get(key)?.phase else { return None };
        let has_it = open.first.peer;
        let is_free =
            |peer: &PeerKey| self.peers.get(*peer).is_some_and(|peer| peer.worker.free_slots() > 0);
        let spare: Vec<PeerKey> =
            eligible.iter().filter(|peer| **peer != has_it && is_free(peer)).copied().collect();
        self.choose(cx, &spare, kind, key)
    }
}
