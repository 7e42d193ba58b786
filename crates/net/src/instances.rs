//! Detects two machines that use copies of one peer's key, by the starts that its hellos name.
//!
//! A node draws a random number at each start, its *instance*. A restart never repeats an old
//! instance. So an instance that says hello again after another one proves that two machines run at
//! once; only holders of the key can produce that proof.
//!
//! Absent on purpose: the reaction (`event_loop/copies`).

use tokio::time::Instant;

use crate::limits;

/// The recent instances of a peer.
#[derive(Debug, Default)]
pub(crate) struct Instances {
    /// Sorted by the time of the last hello, the latest last; at most [`limits::INSTANCES`].
    starts: Vec<Start>,
    /// The time of the last proof that two machines use the key.
    proven: Option<Instant>,
    /// The time of the last alarm.
    alarm: Option<Instant>,
}

/// The first and the last hello of one instance.
#[derive(Clone, Copy, Debug)]
struct Start {
    instance: u64,
    first: Instant,
    last: Instant,
}

impl Instances {
    /// The peer has said hello at `now` as `instance` (0: not given), on a connection established
    /// at `connected`. True if that proves that two machines use its key.
    ///
    /// Only a connection younger than the last hello of the other instance is a proof: on an older
    /// one, a late message of an ended start may arrive.
    pub(crate) fn hear(&mut self, instance: u64, connected: Instant, now: Instant) -> bool {
        if instance == 0 {
            return false;
        }
        let is_old =
            |start: &Start| now.saturating_duration_since(start.last) >= limits::COPIED_TIME;
        if self.starts.last().is_some_and(is_old) {
            self.starts.clear();
        }
        let index = self.starts.iter().position(|start| start.instance == instance);
        let first = index.map_or(now, |at| self.starts.remove(at).first);
        let came_between = |other: &Start| first < other.last && other.last < connected;
        let is_proof = self.starts.iter().any(came_between);
        if self.starts.len() >= limits::INSTANCES {
            self.starts.remove(0);
        }
        self.starts.push(Start { instance, first, last: now });
        if is_proof {
            self.proven = Some(now);
        }
        is_proof
    }

    /// Whether two machines were seen to use the key within [`limits::COPIED_TIME`].
    pub(crate) fn is_copied(&self, now: Instant) -> bool {
        self.proven.is_some_and(|at| is_recent(at, now))
    }

    /// True if two machines use the key and no alarm was raised within [`limits::COPIED_TIME`]. The
    /// caller then raises one.
    pub(crate) fn take_alarm(&mut self, now: Instant) -> bool {
        let is_due = self.is_copied(now) && !self.alarm.is_some_and(|at| is_recent(at, now));
        if is_due {
            self.alarm = Some(now);
        }
        is_due
    }
}

fn is_recent(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) < limits::COPIED_TIME
}

#[cfg(test)]
mod tests;
