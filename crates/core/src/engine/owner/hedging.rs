//! Hedging: when an attempt takes unusually long, a second one runs at another worker. The first
//! result ends the task, and the other attempt is cancelled (Dean and Barroso, "The tail at scale",
//! 2013).
//!
//! Unusually long means longer than the 95th percentile of first attempts of this handler, from
//! sending to result. A first attempt that was overtaken counts as one that would have taken
//! longer: without it the tail would be cut off, the percentile would fall, and more and more tasks
//! would be hedged.
//!
//! A second attempt only uses a slot that is free after all waiting tasks were placed: when every
//! worker is slow, nothing is hedged.
//!
//! Absent on purpose: a third attempt, and hedging of tasks that do not ask for it.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::tail::Tail;
use crate::{
    engine::{keys::TaskKey, kinds::Kind},
    limits,
    time::Time,
};

/// The known run times of attempts, and the tasks that wait for a second attempt.
#[derive(Debug, Default)]
pub(super) struct Hedging {
    /// Tasks that wait for a second attempt, at most [`limits::OVERDUE_TASKS`]; some no longer need
    /// one.
    overdue: VecDeque<TaskKey>,
    /// How many of these were not examined since the last change.
    unexamined: usize,
    /// Run times of attempts by handler; at most [`limits::KINDS`].
    tails: FxHashMap<Kind, Box<Tail>>,
}

impl Hedging {
    /// When to check whether an attempt sent at `sent` takes unusually long. The checks become
    /// rarer while the percentile is unknown, and after an unsuccessful second attempt.
    pub(super) fn next_look(&self, kind: Kind, sent: Time, now: Time) -> Time {
        let usual = self.usual_end(kind, sent).filter(|end| *end > now);
        usual.unwrap_or_else(|| now + now.since(sent).max(limits::HEDGE_LEAST))
    }

    /// The 95th percentile of the end of an attempt sent at `sent`, if known.
    fn usual_end(&self, kind: Kind, sent: Time) -> Option<Time> {
        let p95 = self.tails.get(&kind)?.p95()?;
        Some(sent + p95.max(limits::HEDGE_LEAST))
    }

    /// Learns from the result of a first attempt.
    pub(super) fn on_first_result(&mut self, kind: Kind, took: std::time::Duration) {
        self.tails.entry(kind).or_default().add_ended(took);
    }

    /// Learns that a second attempt overtook a first one after `so_far`.
    pub(super) fn on_overtaken(&mut self, kind: Kind, so_far: std::time::Duration) {
        self.tails.entry(kind).or_default().add_given_up(so_far);
    }

    /// When to check an attempt sent at `sent` again. [`Time::NEVER`] if it takes unusually long:
    /// its task then waits for a second attempt.
    pub(super) fn on_look(&mut self, key: TaskKey, kind: Kind, sent: Time, now: Time) -> Time {
        let is_late = self.usual_end(kind, sent).is_some_and(|end| end <= now);
        if is_late && self.overdue.len() < limits::OVERDUE_TASKS {
            self.overdue.push_back(key);
            return Time::NEVER;
        }
        self.next_look(kind, sent, now)
    }

    /// A second attempt may have become possible: all tasks are examined again, or none if the node
    /// is closing.
    pub(super) fn look_again(&mut self, closing: bool) {
        self.unexamined = if closing { 0 } else { self.overdue.len() };
    }

    /// Whether there are tasks to look at.
    pub(super) fn is_due(&self) -> bool {
        self.unexamined > 0
    }

    /// Takes up to `most` tasks to examine now.
    pub(super) fn take_unexamined(&mut self, most: usize) -> usize {
        let taken = self.unexamined.min(most);
        self.unexamined -= taken;
        taken
    }

    /// The task that has waited longest for a second attempt.
    pub(super) fn next_overdue(&mut self) -> Option<TaskKey> {
        self.overdue.pop_front()
    }

    /// Puts a task back because no worker is free for its second attempt.
    pub(super) fn put_back(&mut self, key: TaskKey) {
        self.overdue.push_back(key);
    }
}
