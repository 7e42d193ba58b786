//! Sends at most one progress report per interval and attempt, and always sends the latest.

use std::{
    convert::Infallible,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use meshwork_core::{engine::RunId, limits::MESSAGE_BYTES};
use tokio::sync::{Notify, mpsc};

use crate::{limits::PROGRESS_INTERVAL, report::Report};

#[derive(Debug)]
pub(super) struct Progress {
    reports: mpsc::Sender<Report>,
    throttle: Mutex<Throttle>,
    /// Wakes the pump when a step is held back.
    held: Notify,
}

impl Progress {
    pub(super) fn new(reports: mpsc::Sender<Report>, quiet_until: Option<Instant>) -> Self {
        Self { reports, throttle: Mutex::new(Throttle::new(quiet_until)), held: Notify::new() }
    }

    pub(super) fn reset(&mut self, quiet_until: Option<Instant>) {
        *self.throttle.get_mut().unwrap_or_else(PoisonError::into_inner) =
            Throttle::new(quiet_until);
    }

    pub(super) fn report(&self, run: RunId, fraction: f32, message: &str) {
        let step = Step::new(fraction, message);
        let offered = self.throttle().offer(Instant::now(), step);
        match offered {
            Offered::Send(step) => self.send(run, step),
            Offered::Held => self.held.notify_one(),
            Offered::Closed => {}
        }
    }

    /// Sends each held step when its interval ends; never returns.
    pub(super) async fn pump(&self, run: RunId) -> Infallible {
        loop {
            let due = self.throttle().due(Instant::now());
            match due {
                Due::Nothing => self.held.notified().await,
                Due::After(wait) => tokio::time::sleep(wait).await,
                Due::Now(step) => self.send(run, step),
            }
        }
    }

    /// Sends the held step. Nothing is sent after this call.
    pub(super) fn close(&self, run: RunId) {
        let last = self.throttle().close();
        if let Some(step) = last {
            self.send(run, step);
        }
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, run: RunId, step: Step) {
        let Step { fraction, message } = step;
        // The channel is full: the driver is behind, and the next step replaces this one.
        if self.reports.try_send(Report::Progress { run, fraction, message }).is_err() {
            tracing::trace!(run = run.0, "progress dropped");
        }
    }
}

/// One progress report: a fraction from 0 to 1 and a message.
#[derive(Debug, PartialEq)]
pub(super) struct Step {
    pub(super) fraction: f32,
    pub(super) message: String,
}

impl Step {
    pub(super) fn new(fraction: f32, message: &str) -> Self {
        let fraction = if fraction.is_nan() { 0.0 } else { fraction.clamp(0.0, 1.0) };
        let (message, _) = message.split_at(message.floor_char_boundary(MESSAGE_BYTES));
        Self { fraction, message: message.to_owned() }
    }
}

/// Decides when a step is sent. Pure: time is an argument.
#[derive(Debug)]
pub(super) struct Throttle {
    /// No step is sent before this time.
    quiet_until: Option<Instant>,
    /// The latest step that was offered too early.
    held: Option<Step>,
    closed: bool,
}

#[derive(Debug, PartialEq)]
pub(super) enum Offered {
    Send(Step),
    Held,
    Closed,
}

#[derive(Debug, PartialEq)]
pub(super) enum Due {
    Nothing,
    After(Duration),
    Now(Step),
}

impl Throttle {
    pub(super) fn new(quiet_until: Option<Instant>) -> Self {
        Self { quiet_until, held: None, closed: false }
    }

    pub(super) fn offer(&mut self, now: Instant, step: Step) -> Offered {
        if self.closed {
            return Offered::Closed;
        }
        if self.quiet(now).is_some() {
            self.held = Some(step);
            return Offered::Held;
        }
        self.held = None;
        self.quiet_until = now.checked_add(PROGRESS_INTERVAL);
        Offered::Send(step)
    }

    pub(super) fn due(&mut self, now: Instant) -> Due {
        if self.held.is_some()
            && let Some(wait) = self.quiet(now)
        {
            return Due::After(wait);
        }
        match self.held.take() {
            None => Due::Nothing,
            Some(step) => {
                self.quiet_until = now.checked_add(PROGRESS_INTERVAL);
                Due::Now(step)
            }
        }
    }

    pub(super) fn close(&mut self) -> Option<Step> {
        self.closed = true;
        self.held.take()
    }

    /// Time until a step may be sent; `None` if it may be sent now.
    fn quiet(&self, now: Instant) -> Option<Duration> {
        self.quiet_until?.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }
}
