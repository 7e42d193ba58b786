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

use super::{end::End, panics::panicked, watch::Watch};
use crate::{
    context::attempt::{Attempt, Cause},
    limits::STOP_GRACE,
    registry::erased::Outcome,
    report::Report,
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
        let ended = end.ended(run, Some(&self.attempt), self.started);
        if self.reports.send(Report::Ended(ended)).await.is_err() {
            tracing::debug!(run = run.0, "an attempt ended after the driver stopped");
        }
    }

    async fn end(&mut self) -> End {
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
            () = time_limit(self.limit, &self.attempt) => {
                self.attempt.stop(Cause::TimedOut);
                None
            }
            never = self.attempt.pump_progress() => match never {},
        }
    }

    fn stopped_end(&self, cause: Cause) -> End {
        let limit = self.limit.unwrap_or_default();
        let (code, message) = match cause {
            Cause::Cancelled => return AttemptEnd::Cancelled.into(),
            Cause::TimedOut => (FailureCode::TimedOut, format!("not finished within {limit:?}")),
            Cause::Shutdown => (FailureCode::Lost, "the worker is shutting down".to_owned()),
        };
        AttemptEnd::Failed(TaskFailure::new(code, message)).into()
    }
}

/// Completes when the handler runs for longer than `limit`.
async fn time_limit(limit: Option<Duration>, attempt: &Attempt) {
    if let Some(limit) = limit {
        time::sleep(limit).await;
        if attempt.collecting_since().is_none() {
            return;
        }
    }
    future::pending().await
}

fn joined_end(joined: Joined) -> End {
    match joined.map_err(JoinError::try_into_panic) {
        Ok(outcome) => End::of(outcome),
        Err(Ok(payload)) => panicked(payload.as_ref()).into(),
        // A run that was not stopped is dropped only when its runtime shuts down.
        Err(Err(_)) => {
            AttemptEnd::Failed(TaskFailure::new(FailureCode::Lost, "the worker is shutting down"))
                .into()
        }
    }
}
