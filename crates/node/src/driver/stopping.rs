//! How a node stops: it takes nothing more, lets what runs here end within its grace, stops what is
//! left, and closes the network before the journal.

use std::time::Duration;

use meshwork_core::{Time, engine::Input};
use tokio::{sync::oneshot, time::Instant};

use super::Driver;
use crate::{journal::Journal, limits};

/// A stop under way.
pub(super) struct Stopping {
    /// What runs here may go on until then.
    grace_ends: Instant,
    /// Once that was stopped: the node ends then, whatever is left.
    ends: Option<Instant>,
    /// Whom to tell.
    waiting: Vec<oneshot::Sender<()>>,
}

impl Stopping {
    /// When something is to be done about it, at the latest.
    pub(super) fn due(&self) -> Instant {
        self.ends.unwrap_or(self.grace_ends)
    }
}

impl Driver {
    /// Takes no new work from now on. Asked again, the shorter grace counts.
    pub(super) fn begin_stop(&mut self, grace: Duration, done: Option<oneshot::Sender<()>>) {
        let grace_ends = Instant::now() + grace;
        let stopping =
            self.stopping.get_or_insert(Stopping { grace_ends, ends: None, waiting: Vec::new() });
        stopping.grace_ends = stopping.grace_ends.min(grace_ends);
        stopping.waiting.extend(done);
        self.feed(Input::Close, self.clock.now());
    }

    /// Stops what runs here when the grace is over, or nothing runs here any more.
    pub(super) fn go_on_stopping(&mut self, now: Time) {
        let Some(stopping) = &mut self.stopping else { return };
        // Who is slow to acknowledge has no part in the grace, which is for what runs.
        let in_grace = Instant::now() < stopping.grace_ends && self.engine.is_at_work();
        if in_grace || stopping.ends.is_some() {
            return;
        }
        stopping.ends = Some(Instant::now() + limits::NOTICE);
        self.feed(Input::Abandon, now);
        self.settle(now);
    }

    /// Whether the node has nothing left to do, or no time.
    pub(super) fn may_stop(&self) -> bool {
        let Some(ends) = self.stopping.as_ref().and_then(|stopping| stopping.ends) else {
            return false;
        };
        let is_safe = self.outside.journal.as_ref().is_none_or(Journal::is_idle);
        let is_over = self.engine.is_at_rest() && self.engine.cancels_confirmed();
        (is_over && is_safe) || Instant::now() >= ends
    }

    pub(super) async fn stop(mut self) {
        // Sessions write what is queued for them when they are dropped.
        self.outside.workers.clear();
        self.outside.owners.clear();
        // A network that has more to say than anybody hears would not come to its end.
        self.feeds.facts.close();
        self.outside.net.stop().await;
        self.outside.executor.shutdown();
        if let Some(journal) = self.outside.journal {
            journal.close().await;
        }
        for done in self.stopping.into_iter().flat_map(|stopping| stopping.waiting) {
            // Whoever asked may have stopped waiting.
            done.send(()).ok();
        }
    }
}
