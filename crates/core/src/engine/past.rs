//! What came to nothing on the way to a task's end: attempts that were not the one that counts, and
//! refusals. Most tasks have no such past, and carry none.

use std::sync::Arc;

use libp2p_identity::PeerId;

use super::{peers::Peer, tasks::Owned};
use crate::{limits, reason::Reason, time::Time};

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

/// A target's refusal; it counts as long as the target offers what it offered then.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) by: Arc<PeerId>,
    pub(super) offers: u32,
    pub(super) reason: Reason,
}

impl Refusal {
    /// Whether it still counts for this peer.
    pub(super) fn is_by(&self, peer: &Peer) -> bool {
        *self.by == *peer.id && self.offers == peer.offers
    }
}

impl Past {
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

    /// A peer has refused the task, whatever it said before.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.refused.retain(|earlier| earlier.by != refusal.by);
        self.refused.push(refusal);
    }
}

impl Owned {
    /// To be added to.
    pub(super) fn past(&mut self) -> &mut Past {
        self.past.get_or_insert_default()
    }

    /// Attempts that failed with the handler.
    pub(super) fn failures(&self) -> u32 {
        self.past.as_ref().map_or(0, |past| past.failures)
    }

    /// Attempts that were lost with their worker.
    pub(super) fn crashes(&self) -> u32 {
        self.past.as_ref().map_or(0, |past| past.crashes)
    }

    /// Attempts that are over, but for the one that succeeded.
    pub(super) fn history(&self) -> &[Attempt] {
        self.past.as_ref().map_or(&[], |past| &past.history)
    }

    /// How many of them, the last ones, were open until the task ended.
    pub(super) fn open_at_end(&self) -> usize {
        self.past.as_ref().map_or(0, |past| past.open_at_end)
    }

    /// Refusals that may still count.
    pub(super) fn refused(&self) -> &[Refusal] {
        self.past.as_ref().map_or(&[], |past| &past.refused)
    }

    /// It is over: who refused it does not matter any more.
    pub(super) fn forget_refusals(&mut self) {
        if let Some(past) = &mut self.past {
            past.refused = Vec::new();
        }
    }
}
