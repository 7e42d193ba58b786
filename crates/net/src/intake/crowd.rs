//! Decides when shed connections are a crowd, which the user should see.

use rustc_hash::FxHashMap;
use tokio::time::Instant;

use crate::{limits, share::Net};

/// Number of networks that one window counts separately; others count only in the total.
const GROUPS: usize = 64;

/// A crowd: more inbound connections than this node has places for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// Number of connections that were displaced, refused or closed for silence within one minute.
    pub shed: u64,
    /// The network from which most of them came, such as `10.0.1.0/24`.
    pub mostly_from: String,
}

impl std::fmt::Display for Crowd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { shed, mostly_from } = self;
        write!(
            f,
            "{shed} inbound connections were shed in one minute, most of them from {mostly_from}: \
             they were silent, or no place was free. Known peers can still connect. If these are \
             not your nodes, block {mostly_from} in the firewall"
        )
    }
}

/// The shed connections of this minute and of the one before.
#[derive(Debug, Default)]
pub(super) struct Window {
    now: Option<Minute>,
    before: Option<Minute>,
    alarm: Option<Instant>,
}

#[derive(Debug)]
struct Minute {
    since: Instant,
    shed: u64,
    groups: FxHashMap<Net, u64>,
}

impl Window {
    /// Counts one shed connection of `group`.
    pub(super) fn add(&mut self, group: Net, now: Instant) {
        self.turn(now);
        let minute = self.now.get_or_insert_with(|| Minute {
            since: now,
            shed: 0,
            groups: FxHashMap::default(),
        });
        minute.shed += 1;
        if minute.groups.len() < GROUPS || minute.groups.contains_key(&group) {
            *minute.groups.entry(group).or_default() += 1;
        }
    }

    /// The larger of this minute and the one before, if either is a crowd.
    pub(super) fn crowd(&mut self, now: Instant) -> Option<Crowd> {
        self.turn(now);
        let minutes = self.now.iter().chain(&self.before);
        let most = minutes.max_by_key(|minute| minute.shed)?;
        if most.shed < limits::CROWD {
            return None;
        }
        let (group, _) = most.groups.iter().max_by_key(|(_, count)| **count)?;
        Some(Crowd { shed: most.shed, mostly_from: group.to_string() })
    }

    /// The crowd, but at most once in [`limits::SAME_COMPLAINT`].
    pub(super) fn take_alarm(&mut self, now: Instant) -> Option<Crowd> {
        let is_recent = |at: Instant| now.duration_since(at) < limits::SAME_COMPLAINT;
        if self.alarm.is_some_and(is_recent) {
            return None;
        }
        let crowd = self.crowd(now)?;
        self.alarm = Some(now);
        Some(crowd)
    }

    /// Begins the next minute if this one is over.
    fn turn(&mut self, now: Instant) {
        let age = |minute: &Minute| now.duration_since(minute.since);
        if self.now.as_ref().is_some_and(|minute| age(minute) >= limits::CROWD_WINDOW) {
            self.before = self.now.take();
        }
        if self.before.as_ref().is_some_and(|minute| age(minute) >= 2 * limits::CROWD_WINDOW) {
            self.before = None;
        }
    }
}

#[cfg(test)]
mod tests;
