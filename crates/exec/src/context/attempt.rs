//! The state of one attempt that its handler, supervisor and executor share.

use std::{collections::BTreeMap, convert::Infallible, sync::OnceLock, time::Instant};

use meshwork_core::{PeerId, TaskId, engine::RunId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use crate::{
    files::{Files, work::Work},
    report::Report,
};

/// The parameters of one attempt. They do not change while it runs.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) run: RunId,
    pub(crate) task: TaskId,
    pub(crate) number: u32,
    pub(crate) owner: PeerId,
    pub(crate) params: BTreeMap<String, String>,
    pub(crate) deadline: Option<Instant>,
}

/// Why an attempt was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Cancelled,
    TimedOut,
    Shutdown,
}

/// What decides how an attempt ends; the first one counts.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    Finished,
    Stopped(Cause),
}

#[derive(Debug)]
pub(crate) struct Attempt {
    order: Order,
    verdict: OnceLock<Verdict>,
    /// Cancelled when the attempt is stopped.
    stop: CancellationToken,
    progress: Progress,
    /// When the handler had returned and its output went to the store; unset for small outputs.
    collecting: OnceLock<Instant>,
    files: Option<Files>,
    work: Work,
}

impl Attempt {
    /// No progress is sent before `quiet_until`.
    pub(crate) fn new(
        order: Order,
        quiet_until: Option<Instant>,
        reports: mpsc::Sender<Report>,
        files: Option<Files>,
    ) -> Self {
        Self {
            order,
            verdict: OnceLock::new(),
            stop: CancellationToken::new(),
            progress: Progress::new(reports, quiet_until),
            collecting: OnceLock::new(),
            files,
            work: Work::default(),
        }
    }

    /// Reuses an attempt that ended without being stopped, and without a folder, so that an attempt that runs in place
    /// allocates nothing. Returns the order if it cannot be reused.
    pub(crate) fn renew(&mut self, order: Order, quiet_until: Option<Instant>) -> Option<Order> {
        if self.is_stopped() || self.work.is_used() {
            return Some(order);
        }
        self.order = order;
        self.progress.reset(quiet_until);
        None
    }

    pub(crate) fn order(&self) -> &Order {
        &self.order
    }

    /// Records that the handler returned. Its outcome counts unless the attempt was stopped before.
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

    /// Records that the handler returned, and that its output goes to the store now. The time limit
    /// of the attempt holds no longer; it can still be stopped.
    pub(crate) fn note_collecting(&self) {
        self.collecting.get_or_init(Instant::now);
    }

    /// When the handler had returned, if its output goes or went to the store.
    pub(crate) fn collecting_since(&self) -> Option<Instant> {
        self.collecting.get().copied()
    }

    /// The files of this node, if it has any.
    pub(crate) fn files(&self) -> Option<&Files> {
        self.files.as_ref()
    }

    /// The attempt's folder.
    pub(crate) fn work(&self) -> &Work {
        &self.work
    }

    /// Whether the handler has returned, or was told to stop.
    pub(crate) fn is_over(&self) -> bool {
        self.verdict.get().is_some()
    }

    /// Why the attempt was stopped; `None` if it runs, or if its handler returned first.
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

    /// Sends delayed progress when its interval ends; never returns.
    pub(crate) async fn pump_progress(&self) -> Infallible {
        self.progress.pump(self.order.run).await
    }

    /// Sends progress that still waits. None is sent after this call.
    pub(crate) fn close_progress(&self) {
        self.progress.close(self.order.run);
    }
}
