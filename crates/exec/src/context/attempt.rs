//! What handler, supervisor and executor share of one attempt.

use std::{collections::BTreeMap, convert::Infallible, sync::OnceLock, time::Instant};

use meshwork_core::{PeerId, TaskId, engine::RunId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use crate::report::Report;

/// What was ordered. Fixed for the life of an attempt.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) run: RunId,
    pub(crate) task: TaskId,
    pub(crate) number: u32,
    pub(crate) owner: PeerId,
    pub(crate) params: BTreeMap<String, String>,
    pub(crate) deadline: Option<Instant>,
}

/// Why an attempt was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Cancelled,
    TimedOut,
    Shutdown,
}

/// What decides how an attempt ends: whichever comes first.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    Finished,
    Stopped(Cause),
}

#[derive(Debug)]
pub(crate) struct Attempt {
    order: Order,
    verdict: OnceLock<Verdict>,
    /// Wakes those who wait for the attempt to be stopped.
    stop: CancellationToken,
    progress: Progress,
}

impl Attempt {
    /// `quiet_until`: no progress goes out before.
    pub(crate) fn new(
        order: Order,
        quiet_until: Option<Instant>,
        reports: mpsc::Sender<Report>,
    ) -> Self {
        let progress = Progress::new(reports, quiet_until);
        Self { order, verdict: OnceLock::new(), stop: CancellationToken::new(), progress }
    }

    /// Turns one that has ended without being stopped into a new one, so that an attempt that runs
    /// in place allocates nothing. Gives the order back if it was stopped.
    pub(crate) fn renew(&mut self, order: Order, quiet_until: Option<Instant>) -> Option<Order> {
        if self.is_stopped() {
            return Some(order);
        }
        self.order = order;
        self.progress.reset(quiet_until);
        None
    }

    pub(crate) fn order(&self) -> &Order {
        &self.order
    }

    /// The handler has returned. What it returned counts, unless the attempt was stopped before.
    pub(crate) fn finish(&self) {
        self.verdict.get_or_init(|| Verdict::Finished);
    }

    /// Tells the handler to stop, unless it has returned.
    pub(crate) fn stop(&self, cause: Cause) {
        match self.verdict.get_or_init(|| Verdict::Stopped(cause)) {
            Verdict::Stopped(_) => self.stop.cancel(),
            Verdict::Finished => {}
        }
    }

    /// Why it was stopped, if it was before its handler returned.
    pub(crate) fn cause(&self) -> Option<Cause> {
        match self.verdict.get()? {
            Verdict::Stopped(cause) => Some(*cause),
            Verdict::Finished => None,
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.cause().is_some()
    }

    pub(crate) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    pub(crate) fn report(&self, fraction: f32, message: &str) {
        self.progress.report(self.order.run, fraction, message);
    }

    /// Sends progress that had to wait, for ever.
    pub(crate) async fn pump_progress(&self) -> Infallible {
        self.progress.pump(self.order.run).await
    }

    /// Sends progress that still waits; none goes out after this.
    pub(crate) fn close_progress(&self) {
        self.progress.close(self.order.run);
    }
}
