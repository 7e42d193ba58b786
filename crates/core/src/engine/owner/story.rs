//! A task's [`Story`]: how often it was tried and how its latest attempts ended, in the form in which it
//! outlives the process.
//!
//! A first attempt leaves nothing behind until it ends: its story is that of the end. Only unsuccessful
//! attempts are recorded, and that a task of an earlier start runs on this very machine: it may be the
//! reason why that start ended.

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

    /// The same, as far as the end does not tell it: that it is about to end like this, now.
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

    /// Its story once an attempt is about to start here that may be the last thing this node does.
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

    /// Why a task is not tried again, if it was lost too often, now with this worker.
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

/// How an attempt ended that was running when this node stopped.
pub(super) const NODE_STOPPED: &str = "the node stopped before the attempt finished";
