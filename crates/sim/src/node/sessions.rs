//! The sessions of one process, as owner and as worker.
//!
//! Absent on purpose: the connection that carries them, see `wires`.

use std::collections::BTreeMap;

/// A session with the process as owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AsOwner {
    /// The worker has not accepted it yet.
    Opening(u64),
    Open(u64),
}

/// At most two sessions with each peer: one in each role. Each session has a number of its own.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    /// Sessions with the process as owner, by worker.
    to_workers: BTreeMap<usize, AsOwner>,
    /// Sessions with the process as worker, by owner.
    to_owners: BTreeMap<usize, u64>,
}

impl Sessions {
    /// The process asks a worker for a session.
    pub(crate) fn ask(&mut self, worker: usize, session: u64) {
        self.to_workers.insert(worker, AsOwner::Opening(session));
    }

    /// A worker has accepted a session. Returns false if the process does not wait for it.
    pub(crate) fn on_accepted(&mut self, worker: usize, session: u64) -> bool {
        if !self.is_asking(worker, session) {
            return false;
        }
        self.to_workers.insert(worker, AsOwner::Open(session));
        true
    }

    /// Whether the process waits for the worker to accept this session.
    pub(crate) fn is_asking(&self, worker: usize, session: u64) -> bool {
        self.to_workers.get(&worker) == Some(&AsOwner::Opening(session))
    }

    /// The open session with this worker, if any.
    pub(crate) fn to_worker(&self, worker: usize) -> Option<u64> {
        match self.to_workers.get(&worker) {
            Some(AsOwner::Open(session)) => Some(*session),
            Some(AsOwner::Opening(_)) | None => None,
        }
    }

    /// All workers with an open session, and its number.
    pub(crate) fn to_workers(&self) -> impl Iterator<Item = (usize, u64)> {
        self.to_workers.keys().filter_map(|worker| Some((*worker, self.to_worker(*worker)?)))
    }

    pub(crate) fn close_to_worker(&mut self, worker: usize) {
        self.to_workers.remove(&worker);
    }

    /// The worker has closed a session. Returns false if the process does not have it.
    pub(crate) fn on_closed_by_worker(&mut self, worker: usize, session: u64) -> bool {
        let ours = match self.to_workers.get(&worker) {
            Some(AsOwner::Opening(ours) | AsOwner::Open(ours)) => *ours,
            None => return false,
        };
        if ours == session {
            self.to_workers.remove(&worker);
        }
        ours == session
    }

    /// The process accepts a session of an owner.
    pub(crate) fn accept(&mut self, owner: usize, session: u64) {
        self.to_owners.insert(owner, session);
    }

    /// The session with this owner, if any.
    pub(crate) fn to_owner(&self, owner: usize) -> Option<u64> {
        self.to_owners.get(&owner).copied()
    }

    /// Returns false if there is no session with this owner.
    pub(crate) fn close_to_owner(&mut self, owner: usize) -> bool {
        self.to_owners.remove(&owner).is_some()
    }

    /// The owner has closed a session. Returns false if the process does not have it.
    pub(crate) fn on_closed_by_owner(&mut self, owner: usize, session: u64) -> bool {
        self.to_owner(owner) == Some(session) && self.close_to_owner(owner)
    }
}
