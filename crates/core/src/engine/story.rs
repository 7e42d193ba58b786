//! What has become of a task so far, in the form in which it outlives the process: how often it was
//! tried, and how the latest attempts ended.
//!
//! A first attempt leaves nothing behind until it ends: its story is that of the end. Only what came
//! to nothing is recorded, and that a task of an earlier life starts on this very machine: it may be
//! the reason why that life ended.

use std::{sync::Arc, time::Duration};

use libp2p_identity::PeerId;
use smallvec::SmallVec;

use super::{
    Engine, Record,
    tasks::{Attempt, End, Owned, Phase, TaskKey},
};
use crate::{
    failure::{FailureCode, TaskFailure},
    task::TaskId,
    time::Time,
};

/// What has become of a task so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Story {
    /// Attempts made.
    pub attempts: u32,
    /// Of these, how many failed with their handler.
    pub failures: u32,
    /// And how many were lost with their worker.
    pub crashes: u32,
    /// The latest attempts, at most [`KEPT_ATTEMPTS`](crate::limits::KEPT_ATTEMPTS).
    pub latest: Vec<PastAttempt>,
}

/// An attempt that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastAttempt {
    /// Which one, from 1.
    pub number: u32,
    /// Where.
    pub peer: PeerId,
    /// How long before the record it was sent.
    pub ago: Duration,
    /// How long it took, from then on.
    pub took: Duration,
    /// How it ended, in words.
    pub end: String,
}

impl Story {
    /// Bytes of the words in it.
    pub(super) fn weight(&self) -> usize {
        self.latest.iter().map(|attempt| attempt.end.len()).sum()
    }

    /// The attempts as they are remembered, if the record was made at `at`.
    pub(super) fn history(self, at: Time) -> SmallVec<[Attempt; 1]> {
        let attempt = |past: PastAttempt| {
            let started = at.before(past.ago);
            Attempt {
                number: past.number,
                peer: Arc::new(past.peer),
                started,
                ended: started + past.took,
                end: Some(past.end.into_boxed_str()),
            }
        };
        let skipped = self.latest.len().saturating_sub(crate::limits::KEPT_ATTEMPTS);
        self.latest.into_iter().skip(skipped).map(attempt).collect()
    }
}

impl Owned {
    fn story(&self, now: Time) -> Story {
        let past = |attempt: &Attempt| {
            Some(PastAttempt {
                number: attempt.number,
                peer: *attempt.peer,
                ago: now.since(attempt.started),
                took: attempt.ended.since(attempt.started),
                end: attempt.end.as_deref()?.to_owned(),
            })
        };
        Story {
            attempts: self.attempts,
            failures: self.failures,
            crashes: self.crashes,
            latest: self.history.iter().filter_map(past).collect(),
        }
    }

    /// The same, as far as the end does not tell it.
    pub(super) fn story_beside(&self, end: &End, now: Time) -> Story {
        match end {
            End::Succeeded { attempt: 1, .. } => Story::default(),
            End::Succeeded { .. } | End::Failed(_) | End::Cancelled { .. } | End::Expired(_) => {
                self.story(now)
            }
        }
    }

    /// What is known of the one attempt of a task that succeeded at once, if that was at `at`.
    pub(super) fn history_of_end(end: &End, at: Time) -> SmallVec<[Attempt; 1]> {
        let End::Succeeded { worker, attempt, took, .. } = end else { return SmallVec::new() };
        let only = Attempt {
            number: *attempt,
            peer: Arc::clone(worker),
            started: at.before(*took),
            ended: at,
            end: Some("succeeded".into()),
        };
        [only].into_iter().collect()
    }

    /// Why a task is not tried again, if it was lost too often.
    pub(super) fn is_lost_for_good(&self, how: &str) -> Option<TaskFailure> {
        if self.crashes < self.retry.crashes {
            return None;
        }
        let mut failure = TaskFailure::new(
            FailureCode::Lost,
            format!("lost {} times with its worker; the last time: {how}", self.crashes),
        );
        // The one that is left is not the latest if a second attempt was lost before it.
        let number = match &self.phase {
            Phase::Open(open) => open.first.number,
            Phase::Queued { .. } | Phase::Ended { .. } => self.attempts,
        };
        let last = self.history.iter().rfind(|attempt| attempt.number == number);
        failure.worker = last.map(|attempt| Box::new(*attempt.peer));
        Some(failure)
    }
}

impl Engine {
    /// An attempt came to nothing, and another may follow: also in a later life.
    pub(super) fn record_story(&mut self, key: TaskKey, now: Time) {
        if let Some(task) = self.tasks.get(key).filter(|task| task.durable) {
            let story = task.story(now);
            self.gate.record(Record::Tried { id: task.id, story });
        }
    }

    /// A task of an earlier life is about to start here. If this life ends before the attempt does,
    /// it was lost with its worker.
    pub(super) fn record_start(&mut self, id: TaskId, attempt: u32, now: Time) {
        let task = self.tasks.by_id(&id).and_then(|key| self.tasks.get(key));
        let Some(task) = task.filter(|task| task.came_back) else { return };
        let mut story = task.story(now);
        story.crashes = story.crashes.saturating_add(1);
        story.latest.push(PastAttempt {
            number: attempt,
            peer: self.config.local,
            ago: Duration::ZERO,
            took: Duration::ZERO,
            end: "this node ended before it did".to_owned(),
        });
        self.gate.record(Record::Tried { id, story });
    }

    /// Whether this is a task of this node that has been one in an earlier life.
    pub(super) fn came_back(&self, id: TaskId) -> bool {
        let task = self.tasks.by_id(&id).and_then(|key| self.tasks.get(key));
        task.is_some_and(|task| task.came_back)
    }
}
