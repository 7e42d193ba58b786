//! What happens to a task when a worker refuses it.
//!
//! After a temporary refusal, or one that concerns only this worker, the task keeps waiting:
//! another worker may take it, or this one later. A refusal of the task itself ends it.
//!
//! If the targets of a task never offered its handler, the task fails with their reason at once,
//! because its submitter can still act on it. If a target did offer it, the task waits until a
//! target offers it again or a time limit ends it: withdrawn trust may be restored.

use std::{sync::Arc, time::Duration};

use super::{past::Refusal, queue::Needs, state::Owner, task::End, workers::Recall};
use crate::{
    engine::{
        keys::{PeerKey, TaskKey},
        node::Cx,
    },
    failure::{FailureCode, TaskFailure},
    frame::Epoch,
    limits,
    reason::{Reason, not_accepted_hint},
};

/// What a lasting refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// The worker has seen a later epoch of this owner.
    Epoch,
    /// The worker does not know the attempt.
    Attempt,
    /// The worker, for every task of this handler.
    Worker,
    /// The task, at every worker.
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
            | Reason::NoSpace { .. }
            | Reason::BlobMissing { .. }
            | Reason::BlobInUse { .. }
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

impl Owner {
    pub(super) fn on_refused(
        &mut self,
        cx: &mut Cx<'_>,
        key: PeerKey,
        epoch: Epoch,
        reason: Reason,
    ) {
        let Some(attempt) = self.workers.close_attempt(key, epoch) else { return };
        let Some(task) = attempt.task else { return };
        if let Some(retry_after) = reason.retry_after() {
            self.workers.rest(cx, key, retry_after.min(limits::MAX_RETRY_AFTER));
            return self.requeue(cx, Some(task), epoch, reason.code(), Duration::ZERO);
        }
        match About::of(&reason) {
            // Its answer was lost with a session.
            About::Attempt if attempt.recall != Recall::Not => {
                self.on_handed_back(cx, key, epoch, &attempt);
            }
            // Usually the worker was restarted.
            About::Attempt => {
                self.lose(cx, task, epoch, "the worker no longer knows the attempt");
            }
            // This node was restored from an older state. Other workers have not seen higher
            // epochs.
            About::Epoch => {
                self.workers.rest(cx, key, limits::MAX_RETRY_AFTER);
                self.requeue(cx, Some(task), epoch, reason.code(), Duration::ZERO);
            }
            About::Worker => self.on_refused_by(cx, key, (task, epoch), &reason),
            About::Task => {
                self.lead(cx, task, epoch);
                self.end_refused(cx, task, key, &reason);
            }
        }
    }

    /// The worker accepts no such tasks from this owner.
    fn on_refused_by(
        &mut self,
        cx: &mut Cx<'_>,
        key: PeerKey,
        (task_key, epoch): (TaskKey, Epoch),
        reason: &Reason,
    ) {
        let Some(task) = self.store.tasks.get(task_key) else { return };
        let is_new = task.attempts() == 1 && cx.now < task.submitted + limits::OFFER_NEWS;
        let Some(needs) = self.store.queue.class(task.class).map(|class| Arc::clone(&class.needs))
        else {
            return;
        };
        if !needs.targets.is_empty()
            && self.refused_by_all(cx, key, task_key, &needs, reason)
            && (needs.asks || is_new)
        {
            return self.end_refused(cx, task_key, key, reason);
        }
        // Such tasks skip this worker until its next advert, so that one at the head of a lane does
        // not hold up tasks for other targets.
        if let Some(worker) = self.workers.get_mut(key) {
            worker.on_refuses(needs.kind, !needs.targets.is_empty());
            cx.node.peers.adverts_changed();
        }
        self.requeue(cx, Some(task_key), epoch, reason.code(), Duration::ZERO);
    }

    /// Notes that a target has refused a task. Returns whether all targets have.
    #[expect(clippy::too_many_arguments, reason = "the refusal and its context")]
    fn refused_by_all(
        &mut self,
        cx: &Cx<'_>,
        key: PeerKey,
        task: TaskKey,
        needs: &Needs,
        reason: &Reason,
    ) -> bool {
        let peers = &cx.node.peers;
        let Some(peer) = peers.get(key) else { return false };
        let refusal =
            Refusal { by: Arc::clone(&peer.id), adverts: peer.adverts, reason: reason.clone() };
        let Some(task) = self.store.tasks.get_mut(task) else { return false };
        task.past().refuse(refusal);
        needs.targets.iter().all(|target| {
            peers
                .by_id(target)
                .is_some_and(|peer| task.refused().iter().any(|refusal| refusal.is_by(peer)))
        })
    }

    fn end_refused(&mut self, cx: &mut Cx<'_>, task: TaskKey, by: PeerKey, reason: &Reason) {
        let unknown = matches!(reason, Reason::UnknownHandler { .. });
        let code = if unknown { FailureCode::UnknownHandler } else { FailureCode::Refused };
        let hint = if let Reason::NotAccepted { family, accepts } = reason {
            not_accepted_hint(family, accepts, &cx.node.config.local)
        } else {
            reason.hint().into_owned()
        };
        let words = format!("{reason} ({}); {hint}", reason.code());
        let mut failure = TaskFailure::new(code, words);
        failure.worker = cx.node.peers.id(by).map(Box::new);
        self.end_task(cx, task, End::Failed(Box::new(failure)));
    }

    /// A target runs this task: from now on it waits until a target offers its handler.
    pub(super) fn stop_asking(&mut self, key: TaskKey) {
        let Some(task) = self.store.tasks.get_mut(key) else { return };
        let (queue, before) = (&mut self.store.queue, task.class);
        let Some(needs) = queue.class(before).map(|class| &class.needs) else { return };
        if !needs.asks {
            return;
        }
        let needs = Needs { asks: false, ..(**needs).clone() };
        let class = queue.join(needs);
        queue.leave(before);
        task.class = class;
        if let Some(slot) = task.member {
            self.store.groups.change_needs(slot, before, class);
        }
    }
}
