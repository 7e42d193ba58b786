//! What becomes of a task that a worker refuses.
//!
//! A refusal for a while, and one that concerns this worker alone, leave the task in line: another worker
//! may take it, or this one later. A refusal of the task itself ends it.
//!
//! A task that names its targets is told their reason at once if they never offered to run it, because its
//! submitter can still do something about it. One that a target has offered to run waits for that target to
//! offer it again, until its time limits end it: trust that is withdrawn may come back.

use std::{sync::Arc, time::Duration};

use libp2p_identity::PeerId;

use super::{
    Cx, Engine,
    kinds::Kind,
    past::Refusal,
    peers::{PeerKey, Recall},
    queue::Needs,
    tasks::{End, TaskKey},
};
use crate::{
    failure::{FailureCode, TaskFailure},
    frame::Epoch,
    limits,
    reason::{Reason, not_accepted_hint},
};

/// What a refusal is about, if it is not only for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// The worker has seen later epochs of this owner.
    Epoch,
    /// The worker does not know the attempt.
    Attempt,
    /// This worker, whatever the task.
    Worker,
    /// The task, whichever the worker.
    Task,
}

impl About {
    fn of(reason: &Reason) -> Self {
        match reason {
            Reason::Conflict { .. } => Self::Epoch,
            Reason::NotFound => Self::Attempt,
            Reason::NotAccepted { .. }
            | Reason::UnknownHandler { .. }
            | Reason::NotAdmitted { .. }
            | Reason::WrongNetwork { .. }
            | Reason::IncompatibleVersion { .. }
            | Reason::Unsupported { .. } => Self::Worker,
            Reason::TooLarge { .. }
            | Reason::QueueFull { .. }
            | Reason::DiskFull { .. }
            | Reason::Busy { .. }
            | Reason::PeersFull { .. }
            | Reason::Recovering { .. }
            | Reason::ShuttingDown
            | Reason::MemberDiffers { .. }
            | Reason::Denied { .. }
            | Reason::Forgotten { .. }
            | Reason::Damaged { .. }
            | Reason::InvalidTask { .. }
            | Reason::GroupStopped { .. }
            | Reason::GroupCancelled
            | Reason::InvalidMessage { .. } => Self::Task,
        }
    }
}

impl Engine {
    pub(super) fn on_refused(
        &mut self,
        cx: &mut Cx<'_>,
        key: PeerKey,
        epoch: Epoch,
        reason: Reason,
    ) {
        let Some(attempt) = self.peers.close_attempt(key, epoch) else { return };
        let Some(task) = attempt.task else { return };
        if let Some(retry_after) = reason.retry_after() {
            self.rest(cx, key, retry_after.min(limits::MAX_RETRY_AFTER));
            return self.requeue(cx, Some(task), epoch, reason.code(), Duration::ZERO);
        }
        match About::of(&reason) {
            // Its answer was lost with a session.
            About::Attempt if attempt.recall != Recall::Not => {
                self.on_handed_back(cx, key, epoch, &attempt);
            }
            // By a restart as a rule.
            About::Attempt => {
                self.lose(cx, task, epoch, "the worker does not know the attempt any more");
            }
            // This node came back with an earlier state. Other workers have not seen higher epochs.
            About::Epoch => {
                self.rest(cx, key, limits::MAX_RETRY_AFTER);
                self.requeue(cx, Some(task), epoch, reason.code(), Duration::ZERO);
            }
            About::Worker => self.on_refused_by(cx, key, (task, epoch), &reason),
            About::Task => {
                self.lead(cx, task, epoch);
                self.end_refused(cx, task, key, &reason);
            }
        }
    }

    /// A worker takes no such tasks of this owner.
    fn on_refused_by(
        &mut self,
        cx: &mut Cx<'_>,
        key: PeerKey,
        (task_key, epoch): (TaskKey, Epoch),
        reason: &Reason,
    ) {
        let Some(task) = self.tasks.get(task_key) else { return };
        let is_new = task.attempts == 1 && cx.now < task.submitted + limits::OFFER_NEWS;
        let Some(needs) = self.queue.group(task.group).map(|group| Arc::clone(&group.needs)) else {
            return;
        };
        if !needs.targets.is_empty()
            && self.refused_by_all(key, task_key, &needs, reason)
            && (needs.asks || is_new)
        {
            return self.end_refused(cx, task_key, key, reason);
        }
        self.note_refuses(key, &needs);
        self.requeue(cx, Some(task_key), epoch, reason.code(), Duration::ZERO);
    }

    /// Such tasks are not sent there until it offers something else, so that one that waits at the head of
    /// a line keeps none behind it from other targets.
    fn note_refuses(&mut self, key: PeerKey, needs: &Needs) {
        if let Some(peer) = self.peers.get_mut(key) {
            let named = !needs.targets.is_empty();
            let refuses =
                if named { &mut peer.worker.refuses_named } else { &mut peer.worker.refuses };
            if !refuses.contains(&needs.kind) {
                refuses.push(needs.kind);
            }
            self.peers.offers_changed();
        }
    }

    /// A target has refused a task. Whether all targets have.
    fn refused_by_all(
        &mut self,
        key: PeerKey,
        task: TaskKey,
        needs: &Needs,
        reason: &Reason,
    ) -> bool {
        let Some(peer) = self.peers.get(key) else { return false };
        let refusal =
            Refusal { by: Arc::clone(&peer.id), offers: peer.offers, reason: reason.clone() };
        let Some(task) = self.tasks.get_mut(task) else { return false };
        task.past().refuse(refusal);
        let peers = &self.peers;
        needs.targets.iter().all(|target| {
            let peer = peers.key(target).and_then(|key| peers.get(key));
            peer.is_some_and(|peer| task.refused().iter().any(|refusal| refusal.is_by(peer)))
        })
    }

    fn end_refused(&mut self, cx: &mut Cx<'_>, task: TaskKey, by: PeerKey, reason: &Reason) {
        let unknown = matches!(reason, Reason::UnknownHandler { .. });
        let code = if unknown { FailureCode::UnknownHandler } else { FailureCode::Refused };
        let hint = if let Reason::NotAccepted { family, accepts } = reason {
            not_accepted_hint(family, accepts, &self.config.local)
        } else {
            reason.hint().into_owned()
        };
        let words = format!("{reason} ({}); {hint}", reason.code());
        let mut failure = TaskFailure::new(code, words);
        failure.worker = self.peers.get(by).map(|peer| Box::new(*peer.id));
        self.end_task(task, cx.now, End::Failed(Box::new(failure)));
    }

    /// Whether targets of a new task are to be asked though none of them offers to run it: they answer
    /// with their reason.
    pub(super) fn asks(&self, kind: Kind, targets: &[PeerId]) -> bool {
        let Some(name) = self.kinds.name(kind) else { return false };
        let offers = |target: &PeerId| {
            let peer = self.peers.key(target).and_then(|key| self.peers.get(key));
            let advert = peer.and_then(|peer| peer.advert.as_ref());
            advert.is_some_and(|advert| advert.handlers.contains(name))
        };
        !targets.is_empty() && !targets.iter().any(offers)
    }

    /// A target runs this task: from now on it waits until one offers to.
    pub(super) fn stop_asking(&mut self, key: TaskKey) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let before = task.group;
        let Some(needs) = self.queue.group(before).map(|group| &group.needs) else { return };
        if !needs.asks {
            return;
        }
        let needs = Needs { asks: false, ..(**needs).clone() };
        let group = self.queue.join(needs);
        self.queue.leave(before);
        task.group = group;
        if let Some(slot) = task.member {
            self.groups.change_needs(slot, before, group);
        }
    }
}
