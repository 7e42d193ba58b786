//! A task's unsuccessful attempts and refusals. Most tasks have none, and carry no [`Past`].

use std::sync::Arc;

use libp2p_identity::PeerId;

use crate::{
    engine::{
        peers::Peer,
        story::{PastAttempt, Story},
    },
    limits,
    reason::Reason,
    time::Time,
};

#[derive(Debug, Default)]
pub(super) struct Past {
    /// Attempts that failed with the handler.
    pub(super) failures: u32,
    pub(super) crashes: u32,
    /// Ended attempts in the order of their ends, at most [`limits::KEPT_ATTEMPTS`].
    history: Vec<Attempt>,
    /// Number of attempts at the end of `history` that the task's end closed.
    open_at_end: usize,
    /// Targets that have refused this task for good; at most one entry per target.
    refused: Vec<Refusal>,
    /// Why the task rests, if it does.
    pub(super) rest: Rest,
}

/// Why a task rests before its next attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Rest {
    /// Its attempt failed.
    #[default]
    Failed,
    /// The worker had no space for its files, which is no fault of the task.
    WorkerFull,
    /// This node had no space for its output, which is no fault of the task.
    OwnerFull,
}

impl Rest {
    /// The reason for people.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "the task failed and rests before its next attempt",
            Self::WorkerFull => {
                "the worker had no space for the task's files: the task is placed again soon"
            }
            Self::OwnerFull => {
                "this node had no space for the task's output: the task is placed again soon"
            }
        }
    }
}

/// An ended attempt, as it is kept.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) number: u32,
    pub(super) peer: Arc<PeerId>,
    pub(super) started: Time,
    pub(super) ended: Time,
    /// How it ended, in words.
    pub(super) end: Box<str>,
}

/// A target's refusal; valid until the target sends another advert.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) by: Arc<PeerId>,
    pub(super) adverts: u32,
    pub(super) reason: Reason,
}

impl Refusal {
    /// Whether this is a valid refusal by this peer.
    pub(super) fn is_by(&self, peer: &Peer) -> bool {
        *self.by == *peer.id && self.adverts == peer.adverts
    }
}

impl Past {
    /// The past in a story recorded at `at`; `None` if the story has no unsuccessful attempt.
    pub(super) fn of(story: Story, at: Time) -> Option<Box<Self>> {
        let Story { failures, crashes, latest, .. } = story;
        if latest.is_empty() && failures == 0 && crashes == 0 {
            return None;
        }
        let mut past = Box::<Self>::default();
        (past.failures, past.crashes) = (failures, crashes);
        for PastAttempt { number, peer, ago, took, end } in latest {
            let started = at.before(ago);
            let (peer, ended, end) = (Arc::new(peer), started + took, end.into_boxed_str());
            past.add(Attempt { number, peer, started, ended, end });
        }
        Some(past)
    }

    /// Adds an ended attempt. Drops the earliest one if there are too many.
    pub(super) fn add(&mut self, attempt: Attempt) {
        if self.history.len() >= limits::KEPT_ATTEMPTS {
            self.history.remove(0);
        }
        self.history.push(attempt);
    }

    /// Adds an attempt that the task's end closed.
    pub(super) fn add_at_end(&mut self, attempt: Attempt) {
        self.add(attempt);
        self.open_at_end += 1;
    }

    /// Ended attempts, except the successful one.
    pub(super) fn history(&self) -> &[Attempt] {
        &self.history
    }

    /// How many of the last ones were closed by the task's end.
    pub(super) fn open_at_end(&self) -> usize {
        self.open_at_end
    }

    /// Refusals that may still be valid.
    pub(super) fn refused(&self) -> &[Refusal] {
        &self.refused
    }

    /// Drops the refusals, because the task has ended.
    pub(super) fn forget_refusals(&mut self) {
        self.refused = Vec::new();
    }

    /// Adds a peer's refusal, replacing an earlier one.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.refused.retain(|earlier| earlier.by != refusal.by);
        self.refused.push(refusal);
    }
}
