//! The counts of the worker half.

use super::state::Worker;
use crate::engine::{input::Accounts, keys::PeerKey, view::Sizes};

impl Worker {
    /// Adds the counts of this half.
    pub(in crate::engine) fn count(&self, accounts: &mut Accounts) {
        accounts.held = self.held.unfinished();
        accounts.executed = self.executed;
        accounts.unacked = self.held.len() - self.held.unfinished();
        accounts.dropped_results = self.dropped_results;
    }

    /// Adds the sizes of this half's tables. Takes time proportional to the number of owners.
    pub(in crate::engine) fn measure(&self, sizes: &mut Sizes) {
        sizes.held = self.held.len();
        let waiting: u64 = self.owners.iter().map(|(_, owner)| owner.unfinished_bytes()).sum();
        sizes.held_bytes = self.held.unacked_bytes() as u64 + waiting;
    }

    /// Number of attempts that run here.
    pub(in crate::engine) fn running(&self) -> u32 {
        self.held.running()
    }

    /// Number of a peer's unfinished attempts.
    pub(in crate::engine) fn unfinished_of(&self, key: PeerKey) -> u32 {
        self.owners.get(key).map_or(0, |owner| owner.unfinished())
    }

    /// Whether a peer has no unfinished attempt here and no session.
    pub(in crate::engine) fn is_idle(&self, key: PeerKey) -> bool {
        self.owners.get(key).is_none_or(|owner| owner.unfinished() == 0 && !owner.has_session())
    }

    /// Whether a peer has any attempt here, finished ones included.
    pub(in crate::engine) fn holds(&self, key: PeerKey) -> bool {
        self.owners.get(key).is_some_and(|owner| !owner.held.is_empty())
    }
}
