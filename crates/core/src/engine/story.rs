//! What has become of a task so far, in the form in which it outlives the process: how often it was
//! tried, and how the latest attempts ended.
//!
//! A first attempt leaves nothing behind until it ends: its story is that of the end. Only what came
//! to nothing is recorded, and that a task of an earlier life starts on this very machine: it may be
//! the reason why that life ended.

use std::{sync::Arc, time::Duration};

use libp2p_identity::PeerId;

use super::{
    Engine, Record,
    past::{Attempt, Past},
    tasks::{End, Owned, Phase, TaskKey},
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
    /// The latest attempts, at most [`KEPT_ATTEMPTS`](crate::limits::KEPT_ATTEMPTS), and beside them
    /// the one that succeeded or that is about to start.
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

    /// What came to nothing, if anything did, and the record was made at `at`.
    pub(super) fn past(self, at: Time) -> Option<Box<Past>> {
        let Self { failures, crashes, latest, .. } = self;
        if latest.is_empty() && failures == 0 && crashes == 0 {
            return None;
        }
        let mut past = Box::<Past>::default();
        (past.failures, past.crashes) = (failures, crashes);
        for PastAttempt { number, peer, ago, took, end } in latest {
            let started = at.before(ago);
            let (peer, ended, end) = (Arc::new(peer), started + took, end.into_boxed_str());
            past.add(Attempt { number, peer, started, ended, end });
        }
        Some(past)
    }
}

impl Owned {
    fn story(&self, now: Time) -> Story {
        let past = |attempt: &Attempt| PastAttempt {
            number: attempt.number,
            peer: *attempt.peer,
            ago: now.since(attempt.started),
            took: attempt.ended.since(attempt.started),
            end: attempt.end.as_ref().to_owned(),
        };
        Story {
            attempts: self.attempts,
            failures: self.failures(),
            crashes: self.crashes(),
            latest: self.history().iter().map(past).collect(),
        }
    }

    /// The same, as far as the end does not tell it: that it is about to end like this, now.
    pub(super) fn story_beside(&self, end: &End, now: Time) -> Story {
        let End::Succeeded { worker, attempt, .. } = end else { return self.story(now) };
        if *attempt == 1 && self.past.is_none() {
            return Story::default();
        }
        let mut story = self.story(now);
        if let Phase::Open(open) = &self.phase {
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
