//! Places in the engine's tables, as small numbers. Each table makes and resolves its own.

use std::num::NonZeroU32;

/// A place in the table of peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PeerKey(u32);

impl PeerKey {
    /// The node itself. It is interned first and never removed.
    pub(super) const LOCAL: Self = Self(0);

    /// None if the table is larger than its bound.
    pub(super) fn of(at: usize) -> Option<Self> {
        u32::try_from(at).ok().map(Self)
    }

    pub(super) fn at(self) -> usize {
        self.0 as usize
    }
}

/// A place in the table of own tasks, and which of its successive tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TaskKey {
    pub(super) index: u32,
    pub(super) tenant: u32,
}

/// A place in the table of classes: tasks with equal needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ClassKey(u32);

impl ClassKey {
    /// The number of classes is bounded by that of own tasks, which fits.
    pub(super) fn of(at: usize) -> Self {
        Self(u32::try_from(at).unwrap_or(u32::MAX))
    }

    pub(super) fn at(self) -> usize {
        self.0 as usize
    }
}

/// A place in the table of groups, in four bytes also where there may be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct GroupSlot(NonZeroU32);

impl GroupSlot {
    pub(super) fn at(self) -> usize {
        self.0.get() as usize - 1
    }

    pub(super) fn of(at: usize) -> Option<Self> {
        u32::try_from(at + 1).ok().and_then(NonZeroU32::new).map(Self)
    }
}
