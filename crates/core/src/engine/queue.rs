//! Tasks that wait for a worker, in groups of which any member is as good for a worker as any
//! other: same handler, same targets, same requirements. Placement looks at groups, not at tasks,
//! so a million waiting tasks cost it no more than one.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use libp2p_identity::PeerId;
use rustc_hash::FxHashMap;
use slab::Slab;

use super::{kinds::Kind, peers::PeerKey, tasks::TaskKey};
use crate::task::Requirements;

/// Names a group. Groups live as long as a task is in them, waiting or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct GroupKey(u32);

/// What the members of a group have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Needs {
    pub(super) kind: Kind,
    /// Run on these only; empty: on this node or any peer that it trusts.
    pub(super) targets: Box<[PeerId]>,
    pub(super) requirements: Option<Box<HashableRequirements>>,
}

/// [`Requirements`] as a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HashableRequirements(pub(super) Requirements);

impl std::hash::Hash for HashableRequirements {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let Requirements { capabilities, labels, cpus, memory_bytes, gpus } = &self.0;
        (capabilities, labels, cpus, memory_bytes, gpus).hash(state);
    }
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) needs: Arc<Needs>,
    /// Highest priority first (the key is negated), first come first served within one.
    waiting: BTreeMap<i16, VecDeque<TaskKey>>,
    /// Tasks that wait. More may stand in line: those that have ended meanwhile.
    count: usize,
    stale: usize,
    /// Whether it is on the queue's list of active groups.
    listed: bool,
    /// Tasks that name this group, waiting or not.
    members: usize,
    /// Those of them that have ended, and may be tried again.
    resting: usize,
    /// The peers that may run its tasks, as of `version` of the peer table.
    pub(super) eligible: Arc<[PeerKey]>,
    pub(super) version: u64,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    groups: Slab<Group>,
    index: FxHashMap<Arc<Needs>, GroupKey>,
    /// Groups in which something waits, in the order in which they are looked at.
    active: VecDeque<GroupKey>,
    waiting: usize,
}

impl Queue {
    /// Tasks that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// Groups that have a member that has not ended.
    pub(super) fn groups(&self) -> usize {
        self.groups.iter().filter(|(_, group)| group.members > group.resting).count()
    }

    /// The group of tasks with these needs; one more task is a member of it now.
    pub(super) fn join(&mut self, needs: Needs) -> GroupKey {
        if let Some(key) = self.index.get(&needs).copied() {
            if let Some(group) = self.groups.get_mut(key.0 as usize) {
                group.members += 1;
            }
            return key;
        }
        let needs = Arc::new(needs);
        let index = self.groups.insert(Group {
            needs: Arc::clone(&needs),
            waiting: BTreeMap::new(),
            count: 0,
            stale: 0,
            listed: false,
            members: 1,
            resting: 0,
            eligible: Arc::default(),
            version: 0,
        });
        // Bounded by the number of owned tasks, which fits.
        let key = GroupKey(u32::try_from(index).unwrap_or(u32::MAX));
        self.index.insert(needs, key);
        key
    }

    /// One task less is a member of the group; without members it is gone.
    pub(super) fn leave(&mut self, key: GroupKey) {
        let Some(group) = self.groups.get_mut(key.0 as usize) else { return };
        group.members = group.members.saturating_sub(1);
        if group.members == 0 {
            self.waiting -= group.count;
            let needs = Arc::clone(&group.needs);
            self.index.remove(&needs);
            self.groups.remove(key.0 as usize);
        }
    }

    /// A task that has ended stays a member: what is worked out for those that wait is let go of if
    /// there are none.
    pub(super) fn rest(&mut self, key: GroupKey) {
        let Some(group) = self.groups.get_mut(key.0 as usize) else { return };
        group.resting += 1;
        if group.count == 0 {
            group.eligible = Arc::default();
            group.version = 0;
        }
    }

    /// A task that rested is a member no longer.
    pub(super) fn leave_rest(&mut self, key: GroupKey) {
        if let Some(group) = self.groups.get_mut(key.0 as usize) {
            group.resting = group.resting.saturating_sub(1);
        }
        self.leave(key);
    }

    /// A task waits, behind those of its priority, or before them if it waited already.
    pub(super) fn push(&mut self, key: GroupKey, priority: i8, task: TaskKey, front: bool) {
        let Some(group) = self.groups.get_mut(key.0 as usize) else { return };
        if !group.listed {
            group.listed = true;
            self.active.push_back(key);
        }
        group.count += 1;
        self.waiting += 1;
        let line = group.waiting.entry(-i16::from(priority)).or_default();
        if front { line.push_front(task) } else { line.push_back(task) }
    }

    /// The group at place `at` of those in which something waits.
    pub(super) fn active(&self, at: usize) -> Option<(GroupKey, i16)> {
        let key = *self.active.get(at)?;
        Some((key, self.head(key)?))
    }

    /// The priority of what is next in the group, negated: the lowest number is the most urgent.
    pub(super) fn head(&self, key: GroupKey) -> Option<i16> {
        let group = self.groups.get(key.0 as usize)?;
        Some(*group.waiting.first_key_value()?.0)
    }

    pub(super) fn active_len(&self) -> usize {
        self.active.len()
    }

    /// Takes empty and vanished groups off the list, and puts the first `looked_at` last; if that
    /// is all of them, the first one, so that each is looked at first in its turn.
    pub(super) fn rotate(&mut self, looked_at: usize) {
        let turn = if looked_at < self.active.len() { looked_at } else { 1 };
        let turn = turn.min(self.active.len());
        self.active.rotate_left(turn);
        let groups = &mut self.groups;
        self.active.retain(|key| {
            let Some(group) = groups.get_mut(key.0 as usize) else { return false };
            group.listed = group.count > 0;
            group.listed
        });
    }

    pub(super) fn group(&self, key: GroupKey) -> Option<&Group> {
        self.groups.get(key.0 as usize)
    }

    pub(super) fn group_mut(&mut self, key: GroupKey) -> Option<&mut Group> {
        self.groups.get_mut(key.0 as usize)
    }

    /// The task of the group that is next. `is_live` tells those that still wait.
    pub(super) fn pop(
        &mut self,
        key: GroupKey,
        is_live: impl Fn(TaskKey) -> bool,
    ) -> Option<TaskKey> {
        let group = self.groups.get_mut(key.0 as usize)?;
        while let Some(mut line) = group.waiting.first_entry() {
            let task = line.get_mut().pop_front();
            if line.get().is_empty() {
                line.remove();
            }
            match task {
                Some(task) if is_live(task) => {
                    group.count -= 1;
                    self.waiting -= 1;
                    return Some(task);
                }
                Some(_) => group.stale = group.stale.saturating_sub(1),
                None => {}
            }
        }
        None
    }

    /// A task that waited has ended. It leaves the line when its turn comes, or when half of the
    /// line is gone.
    pub(super) fn note_gone(&mut self, key: GroupKey, is_live: impl Fn(TaskKey) -> bool) {
        let Some(group) = self.groups.get_mut(key.0 as usize) else { return };
        group.count = group.count.saturating_sub(1);
        self.waiting = self.waiting.saturating_sub(1);
        group.stale += 1;
        if group.stale > group.count + SLACK {
            for line in group.waiting.values_mut() {
                line.retain(|task| is_live(*task));
            }
            group.waiting.retain(|_, line| !line.is_empty());
            group.stale = 0;
        }
    }
}

/// Ended tasks that are tolerated in a line beyond as many as wait in it.
const SLACK: usize = 64;
