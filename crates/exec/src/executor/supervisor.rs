//! Supervises one attempt from the driver's runtime: its limit, its cancellation, its end.

use std::{
    future,
    sync::Arc,
    time::{Duration, Instant},
};

use meshwork_core::{AttemptEnd, FailureCode, TaskFailure};
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinHandle},
    time,
};

use super::{end_of, panics::panicked, watch::Watch};
use crate::{
    context::attempt::{Attempt, Cause},
    limits::STOP_GRACE,
    registry::erased::Outcome,
    report::{Ended, Report},
};

type Joined = Result<Outcome, JoinError>;

pub(super) struct Supervisor {
    pub(super) attempt: Arc<Attempt>,
    pub(super) join: JoinHandle<Outcome>,
    pub(super) watch: Arc<Watch>,
    pub(super) limit: Option<Duration>,
    pub(super) started: Instant,
    pub(super) reports: mpsc::Sender<Report>,
}

impl Supervisor {
    /// Waits for the attempt's end and reports it.
    pub(super) async fn run(mut self) {
        let end = self.end().await;
        self.attempt.close_progress();
        let run = self.attempt.order().run;
        let ended = Ended { run, end, took: self.started.elapsed() };
        if self.reports.send(Report::Ended(ended)).await.is_err() {
            tracing::debug!(run = run.0, "an attempt ended after the driver stopped");
        }
    }

    async fn end(&mut self) -> AttemptEnd {
        if let Some(joined) = self.undisturbed().await {
            return match self.attempt.cause() {
                None => joined_end(joined),
                Some(cause) => self.stopped_end(cause),
            };
        }
        let Some(cause) = self.attempt.cause() else {
            // The handler returned just before the limit.
            return joined_end((&mut self.join).await);
        };
        if time::timeout(STOP_GRACE, &mut self.join).await.is_err() {
            self.join.abort();
            self.watch.abandon();
        }
        self.stopped_end(cause)
    }

    /// Waits until the handler has ended; `None` if the attempt must stop first. Forwards progress
    /// meanwhile.
    async fn undisturbed(&mut self) -> Option<Joined> {
        tokio::select! {
            biased;
            joined = &mut self.join => Some(joined),
            () = self.attempt.stopped() => None,
            () = elapsed(self.limit) => {
                self.attempt.stop(Cause::TimedOut);
                None
            }
            never = self.attempt.pump_progress() => match never {},
        }
    }

    fn stopped_end(&self, cause: Cause) -> AttemptEnd {
        let limit = self.limit.unwrap_or_default();
        let (code, message) = match cause {
            Cause::Cancelled => return AttemptEnd::Cancelled,
            Cause::TimedOut => (FailureCode::TimedOut, format!("not finished within {limit:?}")),
            Cause::Shutdown => (FailureCode::Lost, "the worker is shutting down".to_owned()),
        };
        AttemptEnd::Failed(TaskFailure::new(code, message))
    }
}

async fn elapsed(limit: Option<Duration>) {
    match limit {
        Some(limit) => time::sleep(limit).await,
        None => future::pending().await,
    }
}

fn joined_end(joined: Joined) -> AttemptEnd {
    match joined.map_err(JoinError::try_into_panic) {
        Ok(outcome) => end_of(outcome),
        Err(Ok(payload)) => panicked(payload.as_ref()),
        // A run that was not stopped is dropped only when its runtime shuts down.
        Err(Err(_)) => {
            AttemptEnd::Failed(TaskFailure::new(FailureCode::Lost, "the worker is shutting down"))
        }
    }
}
