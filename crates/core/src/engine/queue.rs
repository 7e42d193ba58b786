//! Tasks that wait for a worker, in groups of which any member is as good for a worker as any
//! other: same handler, same targets, same requirements. Placement looks at groups, not at tasks,
//! so a million waiting tasks cost it no more than one.

use std::{collections::VecDeque, sync::Arc};

use libp2p_identity::PeerId;
use rustc_hash::FxHashMap;
use slab::Slab;

use super::{
    kinds::Kind,
    lanes::{Lanes, Rank, Turns},
    peers::PeerKey,
    tasks::TaskKey,
};
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
    /// Whether targets are asked though they do not offer to run it.
    pub(super) asks: bool,
    pub(super) requirements: Option<Box<Requirements>>,
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) needs: Arc<Needs>,
    /// First come first served within a priority. A task that ended in line leaves it when its turn
    /// comes, or with the next sweep.
    waiting: Lanes<TaskKey>,
    /// About how many tasks in `waiting` have ended. It decides when to sweep, and nothing else.
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
    /// Over all groups.
    turns: Turns,
}

impl Queue {
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
            waiting: Lanes::default(),
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
        if group.waiting.is_empty() {
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
        group.waiting.push(priority, task, front, &self.turns);
    }

    /// The group at place `at` of those in which something waits.
    pub(super) fn active(&self, at: usize) -> Option<(GroupKey, Rank)> {
        let key = *self.active.get(at)?;
        Some((key, self.head(key)?))
    }

    /// The most urgent line of the group.
    pub(super) fn head(&self, key: GroupKey) -> Option<Rank> {
        self.groups.get(key.0 as usize)?.waiting.head()
    }

    /// Whether tasks of different priorities wait in the first `looked_at` groups.
    pub(super) fn is_mixed(&self, looked_at: usize) -> bool {
        let mut groups = self.window(looked_at);
        let Some((_, first)) = groups.next() else { return false };
        let head = first.waiting.head();
        first.waiting.is_mixed()
            || groups.any(|(_, next)| next.waiting.is_mixed() || next.waiting.head() != head)
    }

    /// Whether there may be a line that has its turn, whatever its priority.
    pub(super) fn is_turn(&self) -> bool {
        self.turns.is_due()
    }

    /// The lines that have their turn, at most one of each of the first `looked_at` groups. The one
    /// that has had no start for longest comes first.
    pub(super) fn in_turn(&mut self, looked_at: usize) -> Vec<(GroupKey, Rank)> {
        let line = |(key, group): (GroupKey, &Group)| {
            let (served, rank) = group.waiting.longest()?;
            Some((served, rank, key))
        };
        let mut lines: Vec<(u64, Rank, GroupKey)> =
            self.window(looked_at).filter_map(line).collect();
        lines.sort_unstable();
        if let Some((served, ..)) = lines.first() {
            self.turns.wait_for(*served);
        }
        lines.retain(|(served, ..)| self.turns.has_turn(*served));
        lines.into_iter().map(|(_, rank, key)| (key, rank)).collect()
    }

    fn window(&self, looked_at: usize) -> impl Iterator<Item = (GroupKey, &Group)> {
        let keys = self.active.iter().take(looked_at);
        keys.filter_map(|key| Some((*key, self.groups.get(key.0 as usize)?)))
    }

    /// The targets that tasks name which have not ended, in the first `looked_at` groups.
    pub(super) fn targets(&self, looked_at: usize) -> impl Iterator<Item = &PeerId> {
        let waiting = self.window(looked_at).filter(|(_, group)| group.members > group.resting);
        waiting.flat_map(|(_, group)| group.needs.targets.iter())
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
            group.listed = !group.waiting.is_empty();
            group.listed
        });
    }

    pub(super) fn group(&self, key: GroupKey) -> Option<&Group> {
        self.groups.get(key.0 as usize)
    }

    pub(super) fn group_mut(&mut self, key: GroupKey) -> Option<&mut Group> {
        self.groups.get_mut(key.0 as usize)
    }

    /// The task that is next in a line of the group. `is_live` tells those that still wait.
    pub(super) fn front(
        &mut self,
        key: GroupKey,
        rank: Rank,
        is_live: impl Fn(TaskKey) -> bool,
    ) -> Option<TaskKey> {
        let group = self.groups.get_mut(key.0 as usize)?;
        let mut gone = 0;
        let task = group.waiting.front(rank, is_live, &mut gone);
        group.stale = group.stale.saturating_sub(gone);
        task
    }

    /// The task that is next in a line of the group goes to a worker. `in_turn`: not by its priority.
    pub(super) fn take(&mut self, key: GroupKey, rank: Rank, in_turn: bool) {
        let Some(group) = self.groups.get_mut(key.0 as usize) else { return };
        self.turns.note_start(in_turn);
        group.waiting.take(rank, &self.turns);
    }

    /// A task that waited has ended. Sweeps the line if few of those in it still wait.
    pub(super) fn note_gone(&mut self, key: GroupKey, is_live: impl Fn(TaskKey) -> bool) {
        let Some(group) = self.groups.get_mut(key.0 as usize) else { return };
        group.stale += 1;
        let live = group.waiting.len().saturating_sub(group.stale);
        if live == 0 || group.stale > live + SLACK {
            group.waiting.retain(is_live);
            group.stale = 0;
        }
    }
}

/// Ended tasks that are tolerated in a line beyond as many as wait in it.
const SLACK: usize = 64;
