//! Hedging: beside an attempt that takes unusually long a second one runs at another worker. The first
//! result ends the task, and the slower one is cancelled (Dean and Barroso, "The tail at scale",
//! 2013).
//!
//! Unusually long is longer than 95 of 100 first attempts of its kind take to bring their results, from
//! being sent. A first attempt that is overtaken counts as one that would have taken longer: without it
//! the tail would be cut off, that time fall, and more and more be hedged.
//!
//! A second attempt takes a slot that is free after all that waits was placed, never a place in a line:
//! when every worker is slow, there is none.
//!
//! Absent on purpose: a third attempt, and a second one for tasks that do not ask for it.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::tail::Tail;
use crate::{
    engine::{keys::TaskKey, kinds::Kind},
    limits,
    time::Time,
};

/// What is known of how long attempts take, and the tasks that wait for a second one.
#[derive(Debug, Default)]
pub(super) struct Hedging {
    /// Tasks that wait for a second attempt, at most [`limits::OVERDUE_TASKS`]; some need none any
    /// more.
    overdue: VecDeque<TaskKey>,
    /// How many of these have not been looked at since something changed.
    unlooked: usize,
    /// How long attempts take, by handler; at most [`limits::KINDS`].
    tails: FxHashMap<Kind, Box<Tail>>,
}

impl Hedging {
    /// When to see whether an attempt that was sent at `sent` takes unusually long. While nobody knows
    /// what is usual, and after an unsuccessful second attempt, more and more rarely.
    pub(super) fn next_look(&self, kind: Kind, sent: Time, now: Time) -> Time {
        let usual = self.usual_end(kind, sent).filter(|end| *end > now);
        usual.unwrap_or_else(|| now + now.since(sent).max(limits::HEDGE_LEAST))
    }

    /// When an attempt that was sent at `sent` should have ended, as far as is known.
    fn usual_end(&self, kind: Kind, sent: Time) -> Option<Time> {
        let p95 = self.tails.get(&kind)?.p95()?;
        Some(sent + p95.max(limits::HEDGE_LEAST))
    }

    /// A first attempt has brought its result.
    pub(super) fn on_first_result(&mut self, kind: Kind, took: std::time::Duration) {
        self.tails.entry(kind).or_default().add_ended(took);
    }

    /// A first attempt was overtaken by a second after `so_far`.
    pub(super) fn on_overtaken(&mut self, kind: Kind, so_far: std::time::Duration) {
        self.tails.entry(kind).or_default().add_given_up(so_far);
    }

    /// When to look next at an attempt that was sent at `sent`. [`Time::NEVER`] if it takes unusually
    /// long now and its task waits for a second one from now on.
    pub(super) fn on_look(&mut self, key: TaskKey, kind: Kind, sent: Time, now: Time) -> Time {
        let is_late = self.usual_end(kind, sent).is_some_and(|end| end <= now);
        if is_late && self.overdue.len() < limits::OVERDUE_TASKS {
            self.overdue.push_back(key);
            return Time::NEVER;
        }
        self.next_look(kind, sent, now)
    }

    /// Something happened that may let a second attempt go: all are looked at again, or none if
    /// nothing is placed any more.
    pub(super) fn look_again(&mut self, closing: bool) {
        self.unlooked = if closing { 0 } else { self.overdue.len() };
    }

    /// Whether there are tasks to look at.
    pub(super) fn is_due(&self) -> bool {
        self.unlooked > 0
    }

    /// Takes up to `most` of them, to be looked at now.
    pub(super) fn take_unlooked(&mut self, most: usize) -> usize {
        let taken = self.unlooked.min(most);
        self.unlooked -= taken;
        taken
    }

    /// The task that has waited longest for a second attempt.
    pub(super) fn next_overdue(&mut self) -> Option<TaskKey> {
        self.overdue.pop_front()
    }

    /// There is no worker for a second attempt now.
    pub(super) fn put_back(&mut self, key: TaskKey) {
        self.overdue.push_back(key);
    }
}
