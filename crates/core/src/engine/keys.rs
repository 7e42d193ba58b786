//! Small integers that name entries of the engine's tables. Each table creates and resolves its
//! own.

use std::num::NonZeroU32;

/// Names an entry of the table of peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PeerKey(u32);

impl PeerKey {
    /// The node itself, which is the first entry and is never removed.
    pub(super) const LOCAL: Self = Self(0);

    /// The key for position `at`; `None` beyond the table's bound.
    pub(super) fn of(at: usize) -> Option<Self> {
        u32::try_from(at).ok().map(Self)
    }

    pub(super) fn at(self) -> usize {
        self.0 as usize
    }
}

/// Names an entry of the table of own tasks, and which of its successive occupants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TaskKey {
    pub(super) index: u32,
    pub(super) generation: u32,
}

/// Names an entry of the table of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ClassKey(u32);

impl ClassKey {
    /// Cannot overflow: there are at most as many classes as own tasks.
    pub(super) fn of(at: usize) -> Self {
        Self(u32::try_from(at).unwrap_or(u32::MAX))
    }

    pub(super) fn at(self) -> usize {
        self.0 as usize
    }
}

/// Names an entry of the table of groups; an `Option` of it takes four bytes too.
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
