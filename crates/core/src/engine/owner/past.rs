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
    /// Attempts that failed with the handler, and that were lost with their worker.
    pub(super) failures: u32,
    pub(super) crashes: u32,
    /// Attempts that are over, at most [`limits::KEPT_ATTEMPTS`], in the order in which they ended.
    history: Vec<Attempt>,
    /// Attempts at the end of `history` that were open until the task ended.
    open_at_end: usize,
    /// Peers that have refused this task for good, at most as many as there are targets.
    refused: Vec<Refusal>,
}

/// One attempt that is over, as it is remembered.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) number: u32,
    pub(super) peer: Arc<PeerId>,
    pub(super) started: Time,
    pub(super) ended: Time,
    /// How it ended, in words.
    pub(super) end: Box<str>,
}

/// A target's refusal; it counts until the target sends another advert.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) by: Arc<PeerId>,
    pub(super) adverts: u32,
    pub(super) reason: Reason,
}

impl Refusal {
    /// Whether it still counts for this peer.
    pub(super) fn is_by(&self, peer: &Peer) -> bool {
        *self.by == *peer.id && self.adverts == peer.adverts
    }
}

impl Past {
    /// That of a story which was recorded at `at`; none if it tells of no unsuccessful attempt.
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

    /// An attempt is over. The earliest is forgotten if there are too many.
    pub(super) fn add(&mut self, attempt: Attempt) {
        if self.history.len() >= limits::KEPT_ATTEMPTS {
            self.history.remove(0);
        }
        self.history.push(attempt);
    }

    /// The end of the task has ended this attempt.
    pub(super) fn add_at_end(&mut self, attempt: Attempt) {
        self.add(attempt);
        self.open_at_end += 1;
    }

    /// Attempts that are over, but for the one that succeeded.
    pub(super) fn history(&self) -> &[Attempt] {
        &self.history
    }

    /// How many of them, the last ones, were open until the task ended.
    pub(super) fn open_at_end(&self) -> usize {
        self.open_at_end
    }

    /// Refusals that may still count.
    pub(super) fn refused(&self) -> &[Refusal] {
        &self.refused
    }

    /// The task has ended: refusals do not matter any more.
    pub(super) fn forget_refusals(&mut self) {
        self.refused = Vec::new();
    }

    /// A peer has refused the task, whatever it said before.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.refused.retain(|earlier| earlier.by != refusal.by);
        self.refused.push(refusal);
    }
}
