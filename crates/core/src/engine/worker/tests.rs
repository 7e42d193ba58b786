//! Access of tests to the state of the worker half.

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

    /// Whether no attempt of an owner waits for a slot.
    pub(in crate::engine) fn line_is_empty(&self, key: PeerKey) -> bool {
        self.owners.get(key).unwrap().line_is_empty()
    }

    /// The epochs of an owner's unacknowledged attempts.
    pub(in crate::engine) fn epochs_of(&self, key: PeerKey) -> Vec<Epoch> {
        self.owners.get(key).unwrap().held.iter().map(|(epoch, _)| epoch).collect()
    }

    /// Number of owners with waiting attempts.
    pub(in crate::engine) fn owners_in_turn(&self) -> usize {
        self.turn.len()
    }

    /// Number of attempts, and bytes of unacknowledged results.
    pub(in crate::engine) fn held_and_unacked(&self) -> (usize, usize) {
        (self.held.len(), self.held.unacked_bytes())
    }

    /// Number of unfinished attempts by the owners' accounts.
    pub(in crate::engine) fn unfinished(&self) -> usize {
        self.owners.iter().map(|(_, owner)| owner.unfinished() as usize).sum()
    }
}
