//! Tasks that wait for a worker, in equivalence classes: tasks with the same handler, targets and
//! requirements. Placement looks at classes, not at tasks, so a million waiting tasks cost it no more
//! than one.

use std::{collections::VecDeque, sync::Arc};

use libp2p_identity::PeerId;
use rustc_hash::FxHashMap;
use slab::Slab;

use crate::{
    engine::{
        keys::{ClassKey, PeerKey, TaskKey},
        kinds::Kind,
        lanes::{Lanes, Rank, Turns},
    },
    task::Requirements,
};

/// What the tasks of a class have in common.
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
pub(super) struct Class {
    pub(super) needs: Arc<Needs>,
    /// First come first served within a priority. A task that ended in line leaves it when its turn
    /// comes, or with the next sweep.
    waiting: Lanes<TaskKey>,
    /// About how many tasks in `waiting` have ended. It decides when to sweep, and nothing else.
    stale: usize,
    /// Whether it is on the queue's list of active classes.
    listed: bool,
    /// Tasks of this class, waiting or not.
    members: usize,
    /// Those of them that have ended, and may be tried again.
    resting: usize,
    /// The peers that may run its tasks, as of `version` of the peer table.
    pub(super) eligible: Arc<[PeerKey]>,
    pub(super) version: u64,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    classes: Slab<Class>,
    index: FxHashMap<Arc<Needs>, ClassKey>,
    /// Classes in which something waits, in the order in which they are looked at.
    active: VecDeque<ClassKey>,
    /// Over all classes.
    turns: Turns,
    /// Something happened that may let a waiting task go.
    is_due: bool,
    /// Classes that have not been looked at since.
    unlooked: usize,
}

impl Queue {
    /// Something happened that may let a waiting task go: placement looks at all classes again.
    pub(super) fn look_again(&mut self) {
        self.is_due = true;
    }

    /// Whether placement has something to look at.
    pub(super) fn is_due(&self) -> bool {
        self.is_due || self.unlooked > 0
    }

    /// Whether something happened since the last call: then all classes are to be looked at, or none
    /// if nothing is placed any more.
    pub(super) fn begin_look(&mut self, closing: bool) -> bool {
        let is_due = std::mem::take(&mut self.is_due);
        if is_due {
            self.unlooked = if closing { 0 } else { self.active.len() };
        }
        is_due
    }

    /// Classes that have not been looked at.
    pub(super) fn unlooked(&self) -> usize {
        self.unlooked
    }

    /// Takes up to `most` of them, to be looked at now.
    pub(super) fn take_unlooked(&mut self, most: usize) -> usize {
        let taken = self.unlooked.min(most);
        self.unlooked -= taken;
        taken
    }

    /// Nothing is placed any more.
    pub(super) fn stop_looking(&mut self) {
        self.unlooked = 0;
    }

    /// Classes that have a member that has not ended.
    pub(super) fn classes(&self) -> usize {
        self.classes.iter().filter(|(_, class)| class.members > class.resting).count()
    }

    /// The class of tasks with these needs; one more task is a member of it now.
    pub(super) fn join(&mut self, needs: Needs) -> ClassKey {
        if let Some(key) = self.index.get(&needs).copied() {
            if let Some(class) = self.classes.get_mut(key.at()) {
                class.members += 1;
            }
            return key;
        }
        let needs = Arc::new(needs);
        let index = self.classes.insert(Class {
            needs: Arc::clone(&needs),
            waiting: Lanes::default(),
            stale: 0,
            listed: false,
            members: 1,
            resting: 0,
            eligible: Arc::default(),
            version: 0,
        });
        let key = ClassKey::of(index);
        self.index.insert(needs, key);
        key
    }

    /// One task less is a member of the class; without members it is gone.
    pub(super) fn leave(&mut self, key: ClassKey) {
        let Some(class) = self.classes.get_mut(key.at()) else { return };
        class.members = class.members.saturating_sub(1);
        if class.members == 0 {
            let needs = Arc::clone(&class.needs);
            self.index.remove(&needs);
            self.classes.remove(key.at());
        }
    }

    /// A task that has ended stays a member: what is worked out for those that wait is let go of if
    /// there are none.
    pub(super) fn rest(&mut self, key: ClassKey) {
        let Some(class) = self.classes.get_mut(key.at()) else { return };
        class.resting += 1;
        if class.waiting.is_empty() {
            class.eligible = Arc::default();
            class.version = 0;
        }
    }

    /// A task that rested is a member no longer.
    pub(super) fn leave_rest(&mut self, key: ClassKey) {
        if let Some(class) = self.classes.get_mut(key.at()) {
            class.resting = class.resting.saturating_sub(1);
        }
        self.leave(key);
    }

    /// A task waits, behind those of its priority, or before them if it waited already.
    pub(super) fn push(&mut self, key: ClassKey, priority: i8, task: TaskKey, front: bool) {
        let Some(class) = self.classes.get_mut(key.at()) else { return };
        if !class.listed {
            class.listed = true;
            self.active.push_back(key);
        }
        class.waiting.push(priority, task, front, &self.turns);
        self.is_due = true;
    }

    /// The class at place `at` of those in which something waits.
    pub(super) fn active(&self, at: usize) -> Option<(ClassKey, Rank)> {
        let key = *self.active.get(at)?;
        Some((key, self.head(key)?))
    }

    /// The most urgent lines of all classes in which something waits.
    #[cfg(test)]
    pub(super) fn heads(&self) -> Vec<(ClassKey, Rank)> {
        (0..self.active.len()).filter_map(|at| self.active(at)).collect()
    }

    /// The most urgent line of the class.
    pub(super) fn head(&self, key: ClassKey) -> Option<Rank> {
        self.classes.get(key.at())?.waiting.head()
    }

    /// Whether tasks of different priorities wait in the first `looked_at` classes.
    pub(super) fn is_mixed(&self, looked_at: usize) -> bool {
        let mut classes = self.window(looked_at);
        let Some((_, first)) = classes.next() else { return false };
        let head = first.waiting.head();
        first.waiting.is_mixed()
            || classes.any(|(_, next)| next.waiting.is_mixed() || next.waiting.head() != head)
    }

    /// Whether there may be a line that has its turn, whatever its priority.
    pub(super) fn is_turn(&self) -> bool {
        self.turns.is_due()
    }

    /// The lines that have their turn, at most one of each of the first `looked_at` classes. The one
    /// that has had no start for longest comes first.
    pub(super) fn in_turn(&mut self, looked_at: usize) -> Vec<(ClassKey, Rank)> {
        let line = |(key, class): (ClassKey, &Class)| {
            let (served, rank) = class.waiting.longest()?;
            Some((served, rank, key))
        };
        let mut lines: Vec<(u64, Rank, ClassKey)> =
            self.window(looked_at).filter_map(line).collect();
        lines.sort_unstable();
        if let Some((served, ..)) = lines.first() {
            self.turns.wait_for(*served);
        }
        lines.retain(|(served, ..)| self.turns.has_turn(*served));
        lines.into_iter().map(|(_, rank, key)| (key, rank)).collect()
    }

    fn window(&self, looked_at: usize) -> impl Iterator<Item = (ClassKey, &Class)> {
        let keys = self.active.iter().take(looked_at);
        keys.filter_map(|key| Some((*key, self.classes.get(key.at())?)))
    }

    /// The targets that tasks name which have not ended, in the first `looked_at` classes.
    pub(super) fn targets(&self, looked_at: usize) -> impl Iterator<Item = &PeerId> {
        let waiting = self.window(looked_at).filter(|(_, class)| class.members > class.resting);
        waiting.flat_map(|(_, class)| class.needs.targets.iter())
    }

    /// Takes empty and vanished classes off the list, and puts the first `looked_at` last; if that
    /// is all of them, the first one, so that each is looked at first in its turn.
    pub(super) fn rotate(&mut self, looked_at: usize) {
        let turn = if looked_at < self.active.len() { looked_at } else { 1 };
        let turn = turn.min(self.active.len());
        self.active.rotate_left(turn);
        let classes = &mut self.classes;
        self.active.retain(|key| {
            let Some(class) = classes.get_mut(key.at()) else { return false };
            class.listed = !class.waiting.is_empty();
            class.listed
        });
    }

    pub(super) fn class(&self, key: ClassKey) -> Option<&Class> {
        self.classes.get(key.at())
    }

    /// The peers that may run the tasks of a class, as of `version` of the directory of peers.
    pub(super) fn set_eligible(&mut self, key: ClassKey, version: u64, eligible: Arc<[PeerKey]>) {
        if let Some(class) = self.classes.get_mut(key.at()) {
            (class.version, class.eligible) = (version, eligible);
        }
    }

    /// The task that is next in a line of the class. `is_live` tells those that still wait.
    pub(super) fn front(
        &mut self,
        key: ClassKey,
        rank: Rank,
        is_live: impl Fn(TaskKey) -> bool,
    ) -> Option<TaskKey> {
        let class = self.classes.get_mut(key.at())?;
        let mut gone = 0;
        let task = class.waiting.front(rank, is_live, &mut gone);
        class.stale = class.stale.saturating_sub(gone);
        task
    }

    /// The task that is next in a line of the class goes to a worker. `in_turn`: not by its priority.
    pub(super) fn take(&mut self, key: ClassKey, rank: Rank, in_turn: bool) {
        let Some(class) = self.classes.get_mut(key.at()) else { return };
        self.turns.note_start(in_turn);
        class.waiting.take(rank, &self.turns);
    }

    /// A task that waited has ended. Sweeps the line if few of those in it still wait.
    pub(super) fn note_gone(&mut self, key: ClassKey, is_live: impl Fn(TaskKey) -> bool) {
        let Some(class) = self.classes.get_mut(key.at()) else { return };
        class.stale += 1;
        let live = class.waiting.len().saturating_sub(class.stale);
        if live == 0 || class.stale > live + SLACK {
            class.waiting.retain(is_live);
            class.stale = 0;
        }
    }
}

/// Ended tasks that are tolerated in a line beyond as many as wait in it.
const SLACK: usize = 64;
