//! Attempts that this node holds for owners: waiting, running, or finished and not acknowledged.

use std::time::Duration;

use slab::Slab;

use super::{RunId, kinds::Kind, peers::PeerKey};
use crate::{
    frame::{Assignment, AttemptEnd, Epoch},
    time::Time,
};

/// A place in the table, and which of its successive tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct HeldKey {
    index: u32,
    tenant: u32,
}

impl HeldKey {
    /// The execution of this attempt.
    pub(super) fn run(self) -> RunId {
        RunId((u64::from(self.tenant) << 32) | u64::from(self.index))
    }

    /// The attempt that `run` is the execution of.
    pub(super) fn of(run: RunId) -> Self {
        // Undoes `run`: the halves are taken apart again.
        Self { index: (run.0 & u64::from(u32::MAX)) as u32, tenant: (run.0 >> 32) as u32 }
    }
}

#[derive(Debug)]
pub(super) struct Held {
    tenant: u32,
    pub(super) owner: PeerKey,
    pub(super) epoch: Epoch,
    pub(super) bytes: u64,
    pub(super) expected: Expected,
    /// Whether its result outlives the process.
    pub(super) durable: bool,
    /// Whether its start has to be on disk before it starts.
    pub(super) noted: bool,
    pub(super) stage: Stage,
}

/// How long an attempt of another node is expected to run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Expected {
    /// Its handler; none for attempts of this node.
    pub(super) kind: Option<Kind>,
    /// 0 if it is unknown.
    pub(super) nanos: u64,
}

/// `Waiting → Running → Finished`, `Waiting → Finished` when it is cancelled first.
#[derive(Debug)]
pub(super) enum Stage {
    Waiting(Box<Assignment>),
    Running {
        task: crate::task::TaskId,
    },
    /// `since` when; `recorded`: it is in the journal.
    Finished {
        end: AttemptEnd,
        took: Duration,
        since: Time,
        recorded: bool,
    },
}

/// The table; bounded by [`HELD_ATTEMPTS`](crate::limits::HELD_ATTEMPTS) for what has not
/// finished, and by [`UNACKED_BYTES`](crate::limits::UNACKED_BYTES) for what has.
#[derive(Debug, Default)]
pub(super) struct HeldTable {
    slab: Slab<Held>,
    next_tenant: u32,
    /// Attempts that run.
    pub(super) running: u32,
    /// Attempts that wait or run.
    pub(super) unfinished: usize,
    /// Bytes of results that are not acknowledged.
    pub(super) unacked_bytes: usize,
}

impl HeldTable {
    pub(super) fn insert(
        &mut self,
        owner: PeerKey,
        work: Box<Assignment>,
        expected: Expected,
    ) -> Option<HeldKey> {
        let (epoch, bytes, durable) = (work.epoch, work.input.len() as u64, work.durable);
        let stage = Stage::Waiting(work);
        let noted = false;
        let key = self.place(|tenant| Held {
            tenant,
            owner,
            epoch,
            bytes,
            expected,
            durable,
            noted,
            stage,
        })?;
        self.unfinished += 1;
        Some(key)
    }

    /// One that has finished before, in an earlier life of the node.
    #[expect(clippy::too_many_arguments, reason = "the fields of an attempt")]
    pub(super) fn insert_finished(
        &mut self,
        owner: PeerKey,
        epoch: Epoch,
        end: AttemptEnd,
        took: Duration,
        since: Time,
    ) -> Option<HeldKey> {
        let stage = Stage::Finished { end, took, since, recorded: true };
        let (bytes, durable, noted, expected) = (0, true, false, Expected::default());
        self.place(|tenant| Held { tenant, owner, epoch, bytes, expected, durable, noted, stage })
    }

    fn place(&mut self, make: impl FnOnce(u32) -> Held) -> Option<HeldKey> {
        let entry = self.slab.vacant_entry();
        let index = u32::try_from(entry.key()).ok()?;
        self.next_tenant = self.next_tenant.wrapping_add(1);
        entry.insert(make(self.next_tenant));
        Some(HeldKey { index, tenant: self.next_tenant })
    }

    pub(super) fn get(&self, key: HeldKey) -> Option<&Held> {
        self.slab.get(key.index as usize).filter(|held| held.tenant == key.tenant)
    }

    pub(super) fn get_mut(&mut self, key: HeldKey) -> Option<&mut Held> {
        self.slab.get_mut(key.index as usize).filter(|held| held.tenant == key.tenant)
    }

    pub(super) fn remove(&mut self, key: HeldKey) -> Option<Held> {
        self.get(key)?;
        self.slab.try_remove(key.index as usize)
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }
}

/// What a finished attempt costs to keep, at least [`ENTRY`].
pub(super) fn weight(end: &AttemptEnd) -> usize {
    ENTRY
        + match end {
            AttemptEnd::Output(output) => output.len(),
            AttemptEnd::Failed(failure) => failure.message.len(),
            AttemptEnd::Cancelled => 0,
        }
}

/// What a result without content counts: several times its places in the tables, so that no more than
/// 262,144 results are kept in all.
const ENTRY: usize = 1_024;
