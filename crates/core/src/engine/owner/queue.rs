//! Waiting tasks in classes: tasks with the same handler, targets and requirements. Placement
//! examines classes, not tasks, so a million equal waiting tasks cost no more than one.

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

/// The common needs of a class's tasks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Needs {
    pub(super) kind: Kind,
    /// The tasks' targets; empty: this node and every peer that it trusts.
    pub(super) targets: Box<[PeerId]>,
    /// Whether targets are asked although they do not offer the handler.
    pub(super) asks: bool,
    pub(super) requirements: Option<Box<Requirements>>,
    /// Whether the input is a blob, which workers of version 1 do not understand.
    pub(super) blob: bool,
}

#[derive(Debug)]
pub(super) struct Class {
    pub(super) needs: Arc<Needs>,
    /// First come, first served within a priority. A task that ended while waiting is removed when
    /// it comes to the front, or by the next sweep.
    waiting: Lanes<TaskKey>,
    /// About how many tasks in `waiting` have ended. Decides only when to sweep.
    stale: usize,
    /// Whether the class is on the queue's list of active classes.
    listed: bool,
    /// Tasks of this class, waiting or not.
    members: usize,
    /// How many members have ended and may be retried.
    resting: usize,
    /// The peers eligible for its tasks, as of `version` of the peer directory.
    pub(super) eligible: Arc<[PeerKey]>,
    pub(super) version: u64,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    classes: Slab<Class>,
    index: FxHashMap<Arc<Needs>, ClassKey>,
    /// Classes with waiting tasks, in the order in which they are examined.
    active: VecDeque<ClassKey>,
    /// Counts starts over all classes.
    turns: Turns,
    /// Whether a waiting task may have become placeable.
    is_due: bool,
    /// Number of classes not examined since.
    unexamined: usize,
}

impl Queue {
    /// A waiting task may have become placeable: placement examines all classes again.
    pub(super) fn look_again(&mut self) {
        self.is_due = true;
    }

    /// Whether placement has something to look at.
    pub(super) fn is_due(&self) -> bool {
        self.is_due || self.unexamined > 0
    }

    /// Whether anything changed since the last call. If so, all classes are to be examined, or none
    /// if the node is closing.
    pub(super) fn begin_look(&mut self, closing: bool) -> bool {
        let is_due = std::mem::take(&mut self.is_due);
        if is_due {
            self.unexamined = if closing { 0 } else { self.active.len() };
        }
        is_due
    }

    /// Number of classes not examined yet.
    pub(super) fn unexamined(&self) -> usize {
        self.unexamined
    }

    /// Takes up to `most` classes to examine now.
    pub(super) fn take_unexamined(&mut self, most: usize) -> usize {
        let taken = self.unexamined.min(most);
        self.unexamined -= taken;
        taken
    }

    /// Stops placement.
    pub(super) fn stop_looking(&mut self) {
        self.unexamined = 0;
    }

    /// Number of classes with a member that has not ended.
    pub(super) fn classes(&self) -> usize {
        self.classes.iter().filter(|(_, class)| class.members > class.resting).count()
    }

    /// The class of tasks with these needs, with one more member.
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

    /// Removes a member from the class, and the class if it was the last.
    pub(super) fn leave(&mut self, key: ClassKey) {
        let Some(class) = self.classes.get_mut(key.at()) else { return };
        class.members = class.members.saturating_sub(1);
        if class.members == 0 {
            let needs = Arc::clone(&class.needs);
            self.index.remove(&needs);
            self.classes.remove(key.at());
        }
    }

    /// Marks a member as ended; it stays a member. Drops the cached eligible peers if no other
    /// member waits.
    pub(super) fn rest(&mut self, key: ClassKey) {
        let Some(class) = self.classes.get_mut(key.at()) else { return };
        class.resting += 1;
        if class.waiting.is_empty() {
            class.eligible = Arc::default();
            class.version = 0;
        }
    }

    /// Removes a member that had ended.
    pub(super) fn leave_rest(&mut self, key: ClassKey) {
        if let Some(class) = self.classes.get_mut(key.at()) {
            class.resting = class.resting.saturating_sub(1);
        }
        self.leave(key);
    }

    /// Adds a waiting task, behind those of its priority, or before them if it has waited already.
    pub(super) fn push(&mut self, key: ClassKey, priority: i8, task: TaskKey, front: bool) {
        let Some(class) = self.classes.get_mut(key.at()) else { return };
        if !class.listed {
            class.listed = true;
            self.active.push_back(key);
        }
        class.waiting.push(priority, task, front, &self.turns);
        self.is_due = true;
    }

    /// The class at position `at` of those with waiting tasks.
    pub(super) fn active(&self, at: usize) -> Option<(ClassKey, Rank)> {
        let key = *self.active.get(at)?;
        Some((key, self.head(key)?))
    }

    /// The most urgent lanes of all classes with waiting tasks.
    #[cfg(test)]
    pub(super) fn heads(&self) -> Vec<(ClassKey, Rank)> {
        (0..self.active.len()).filter_map(|at| self.active(at)).collect()
    }

    /// The most urgent lane of the class.
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

    /// Whether a lane may be due, whatever its priority.
    pub(super) fn is_turn(&self) -> bool {
        self.turns.is_due()
    }

    /// The lanes that are due, at most one from each of the first `looked_at` classes. The lane
    /// that has waited longest for a start comes first.
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

    /// The targets of unfinished tasks in the first `looked_at` classes.
    pub(super) fn targets(&self, looked_at: usize) -> impl Iterator<Item = &PeerId> {
        let waiting = self.window(looked_at).filter(|(_, class)| class.members > class.resting);
        waiting.flat_map(|(_, class)| class.needs.targets.iter())
    }

    /// Removes empty and vanished classes from the list, and moves the first `looked_at` to the
    /// end; if that is all of them, only the first, so that each class comes first in turn.
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

    /// Caches the peers eligible for a class, as of `version` of the peer directory.
    pub(super) fn set_eligible(&mut self, key: ClassKey, version: u64, eligible: Arc<[PeerKey]>) {
        if let Some(class) = self.classes.get_mut(key.at()) {
            (class.version, class.eligible) = (version, eligible);
        }
    }

    /// The next task of a class's lane. `is_live` says whether a task still waits.
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

    /// Removes the next task of a lane, because it goes to a worker. `in_turn`: the lane was chosen
    /// by its age, not by its priority.
    pub(super) fn take(&mut self, key: ClassKey, rank: Rank, in_turn: bool) {
        let Some(class) = self.classes.get_mut(key.at()) else { return };
        self.turns.note_start(in_turn);
        class.waiting.take(rank, &self.turns);
    }

    /// Notes that a waiting task has ended. Sweeps its lane if few tasks in it still wait.
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

/// Ended tasks tolerated in a lane beyond the number of waiting ones.
const SLACK: usize = 64;
