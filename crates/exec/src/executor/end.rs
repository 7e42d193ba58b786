//! The end of an attempt on its way to the driver.

use std::time::Instant;

use meshwork_blob::Ready;
use meshwork_core::{AttemptEnd, FailureCode, TaskFailure, engine::RunId};

use crate::{
    context::attempt::Attempt, files::collect::Product, registry::erased::Outcome, report::Ended,
};

/// How an attempt ended, and the blobs of its output.
#[derive(Debug)]
pub(super) struct End {
    end: AttemptEnd,
    blobs: Vec<Ready>,
}

impl End {
    /// The end of an attempt whose handler returned `outcome`.
    pub(super) fn of(outcome: Outcome) -> Self {
        match outcome {
            Ok(Product::Inline(bytes)) => AttemptEnd::Output(bytes.into()).into(),
            Ok(Product::Stored(stored)) => {
                let end = AttemptEnd::Output(stored.output.into());
                Self { end, blobs: stored.blobs }
            }
            Err(error) => AttemptEnd::Failed(error.into()).into(),
        }
    }

    /// A failure of this node; an attempt elsewhere may succeed.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        AttemptEnd::Failed(TaskFailure::new(FailureCode::Handler, message)).into()
    }

    /// The end of `run`, of which `attempt` is known if it ran.
    #[inline]
    pub(super) fn ended(self, run: RunId, attempt: Option<&Attempt>, started: Instant) -> Ended {
        let returned = attempt.and_then(Attempt::collecting_since).unwrap_or_else(Instant::now);
        Ended {
            run,
            end: self.end,
            blobs: self.blobs,
            written: attempt.map(|attempt| attempt.work().written()).unwrap_or_default(),
            took: returned.saturating_duration_since(started),
        }
    }
}

impl From<AttemptEnd> for End {
    fn from(end: AttemptEnd) -> Self {
        Self { end, blobs: Vec::new() }
    }
}
