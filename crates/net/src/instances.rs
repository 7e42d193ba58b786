//! The starts of one peer, as its hellos name them: whether two machines use its key.
//!
//! Each start of a node draws a random number, its *instance*. A restart brings a new one and never
//! an old one back. So an instance that is heard again after another one proves that two run at once,
//! and only the holder of the key can give that proof.
//!
//! Absent on purpose: what follows from it (`event_loop/copies`).

use tokio::time::Instant;

use crate::limits;

/// The starts of a peer that were heard of lately.
#[derive(Debug, Default)]
pub(crate) struct Instances {
    /// The one that was heard last comes last; at most [`limits::INSTANCES`].
    heard: Vec<Heard>,
    /// When two were last seen to be at work.
    proven: Option<Instant>,
    /// When that was last told.
    told: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    instance: u64,
    first: Instant,
    last: Instant,
}

impl Instances {
    /// The peer has said hello at `now` as `instance`, on a connection that was made at `connected`.
    /// True if that proves that two machines use its key. 0 is a peer that names none.
    ///
    /// What counts is a connection that is younger than the last word of the other instance: on an
    /// older one a late message of a start that has ended may arrive.
    pub(crate) fn hear(&mut self, instance: u64, connected: Instant, now: Instant) -> bool {
        if instance == 0 {
            return false;
        }
        let is_old =
            |heard: &Heard| now.saturating_duration_since(heard.last) >= limits::COPIED_TIME;
        if self.heard.last().is_some_and(is_old) {
            self.heard.clear();
        }
        let known = self.heard.iter().position(|heard| heard.instance == instance);
        let first = known.map_or(now, |at| self.heard.remove(at).first);
        let came_between = |other: &Heard| first < other.last && other.last < connected;
        let is_proof = self.heard.iter().any(came_between);
        if self.heard.len() >= limits::INSTANCES {
            self.heard.remove(0);
        }
        self.heard.push(Heard { instance, first, last: now });
        if is_proof {
            self.proven = Some(now);
        }
        is_proof
    }

    /// Whether two machines were seen to use the key within [`limits::COPIED_TIME`].
    pub(crate) fn is_copied(&self, now: Instant) -> bool {
        self.proven.is_some_and(|at| is_recent(at, now))
    }

    /// Whether it is to be told now that two machines use the key: not again within
    /// [`limits::COPIED_TIME`].
    pub(crate) fn take_alarm(&mut self, now: Instant) -> bool {
        let is_due = self.is_copied(now) && !self.told.is_some_and(|at| is_recent(at, now));
        if is_due {
            self.told = Some(now);
        }
        is_due
    }
}

fn is_recent(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) < limits::COPIED_TIME
}

#[cfg(test)]
mod tests;
