//! The stop of a node: running attempts may end within a grace; then they are stopped, and the
//! owners of what is left are told.

use std::time::Duration;

use tokio::{sync::oneshot, time::Instant};

use crate::limits;

/// A stop under way.
pub(super) struct Stopping {
    /// Running attempts may go on until then.
    grace_ends: Instant,
    /// Set when running attempts were stopped. The node ends then, whatever is left.
    ends: Option<Instant>,
    /// Callers that wait for the stop.
    waiting: Vec<oneshot::Sender<()>>,
}

impl Stopping {
    /// Begins a stop, or shortens the grace of the stop under way.
    pub(super) fn begin(
        under_way: &mut Option<Self>,
        grace: Duration,
        done: Option<oneshot::Sender<()>>,
    ) {
        let grace_ends = Instant::now() + grace.min(limits::LONGEST_GRACE);
        let stopping =
            under_way.get_or_insert(Self { grace_ends, ends: None, waiting: Vec::new() });
        stopping.grace_ends = stopping.grace_ends.min(grace_ends);
        stopping.waiting.extend(done);
    }

    /// The latest time of the next step.
    pub(super) fn due(&self) -> Instant {
        self.ends.unwrap_or(self.grace_ends)
    }

    /// Ends the grace if its time is over, or if no attempt is at work. Returns true once.
    pub(super) fn end_grace(&mut self, is_at_work: bool) -> bool {
        let is_in_grace = is_at_work && Instant::now() < self.grace_ends;
        if is_in_grace || self.ends.is_some() {
            return false;
        }
        self.ends = Some(Instant::now() + limits::NOTICE);
        true
    }

    /// Whether the node may end: it is at rest, or its time is over.
    pub(super) fn may_end(&self, is_at_rest: bool) -> bool {
        self.ends.is_some_and(|ends| is_at_rest || Instant::now() >= ends)
    }

    /// Tells the callers that the node has stopped. They may have stopped waiting.
    pub(super) fn finish(self) {
        for done in self.waiting {
            done.send(()).ok();
        }
    }
}
