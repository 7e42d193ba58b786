//! What tests may look at inside the worker's half.

use super::state::Worker;
use crate::{
    engine::keys::PeerKey,
    frame::{Credit, Epoch},
};

impl Worker {
    pub(in crate::engine) fn credit_of(&self, key: PeerKey) -> Credit {
        self.owners.get(key).unwrap().grant.credit()
    }

    pub(in crate::engine) fn has_session(&self, key: PeerKey) -> bool {
        self.owners.get(key).unwrap().has_session()
    }

    /// Whether nothing of an owner waits for a slot.
    pub(in crate::engine) fn line_is_empty(&self, key: PeerKey) -> bool {
        self.owners.get(key).unwrap().line_is_empty()
    }

    /// Attempts of an owner that it has not acknowledged.
    pub(in crate::engine) fn epochs_of(&self, key: PeerKey) -> Vec<Epoch> {
        self.owners.get(key).unwrap().held.iter().map(|(epoch, _)| epoch).collect()
    }

    /// Owners whose turn comes.
    pub(in crate::engine) fn owners_in_turn(&self) -> usize {
        self.turn.len()
    }

    /// Attempts, and bytes of results that are not acknowledged.
    pub(in crate::engine) fn held_and_unacked(&self) -> (usize, usize) {
        (self.held.len(), self.held.unacked_bytes())
    }

    /// Unfinished attempts, as their owners' accounts tell.
    pub(in crate::engine) fn unfinished(&self) -> usize {
        self.owners.iter().map(|(_, owner)| owner.unfinished() as usize).sum()
    }
}
