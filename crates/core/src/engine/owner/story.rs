//! A task's [`Story`] in the form that the journal stores: how often it was tried, and how its
//! latest attempts ended.
//!
//! A first attempt is not recorded before its end. Only unsuccessful attempts are, and the start of
//! a restored task on this machine: it may have caused the restart.

use std::time::Duration;

use libp2p_identity::PeerId;

use super::{
    past::Attempt,
    task::{End, Owned},
};
use crate::{
    engine::story::{PastAttempt, Story},
    failure::{FailureCode, TaskFailure},
    time::Time,
};

impl Owned {
    pub(super) fn story(&self, now: Time) -> Story {
        let past = |attempt: &Attempt| PastAttempt {
            number: attempt.number,
            peer: *attempt.peer,
            ago: now.since(attempt.started),
            took: attempt.ended.since(attempt.started),
            end: attempt.end.as_ref().to_owned(),
        };
        Story {
            attempts: self.attempts(),
            failures: self.failures(),
            crashes: self.crashes(),
            latest: self.history().iter().map(past).collect(),
        }
    }

    /// The story, without the part that follows from the end, for a task that ends like this now.
    pub(super) fn story_beside(&self, end: &End, now: Time) -> Story {
        let End::Succeeded { worker, attempt, .. } = end else { return self.story(now) };
        if *attempt == 1 && !self.has_past() {
            return Story::default();
        }
        let mut story = self.story(now);
        if let Some(open) = self.open() {
            let took = now.since(open.first.at);
            story.latest.push(PastAttempt {
                number: *attempt,
                peer: **worker,
                ago: took,
                took,
                end: end.state().as_str().to_owned(),
            });
        }
        story
    }

    /// The story to journal before an attempt starts here that may crash this node.
    pub(super) fn story_before_start(&self, attempt: u32, local: PeerId, now: Time) -> Story {
        let mut story = self.story(now);
        story.crashes = story.crashes.saturating_add(1);
        story.latest.push(PastAttempt {
            number: attempt,
            peer: local,
            ago: Duration::ZERO,
            took: Duration::ZERO,
            end: NODE_STOPPED.to_owned(),
        });
        story
    }

    /// Why a task is not retried, if it was lost too often, this time with `how`.
    pub(super) fn is_lost_for_good(
        &self,
        worker: Option<PeerId>,
        how: &str,
    ) -> Option<TaskFailure> {
        let crashes = self.crashes();
        if crashes < self.retry().crashes {
            return None;
        }
        let mut failure = TaskFailure::new(
            FailureCode::Lost,
            format!("lost {crashes} times with its worker; the last time: {how}"),
        );
        failure.worker = worker.map(Box::new);
        Some(failure)
    }
}

/// How an attempt ended that ran when this node stopped.
pub(super) const NODE_STOPPED: &str = "the node stopped before the attempt finished";
