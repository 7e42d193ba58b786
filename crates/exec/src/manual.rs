//! Handlers whose attempts are completed from outside: by the program that embeds the node, or by
//! its user.
//!
//! ```text
//!  executor ── starts an attempt ──► ManualHandler ── ManualAttempt ──► bounded channel ──► program
//!                                        │ waits                                               │
//!  executor ◄── output or failure ───────┴──────────────── ManualDesk::complete ◄──────────────┘
//! ```
//!
//! A waiting attempt costs a table entry and no thread. It ends when it is completed, or like any
//! other by cancel, limit or shutdown; then its entry is removed.
//!
//! Absent on purpose: attempts that survive a restart, and deadlines other than the task's own.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use meshwork_core::{HandlerName, PeerId, TaskId, limits::INLINE_BYTES};
use tokio::sync::mpsc;

use crate::{
    context::TaskContext,
    handler::{Description, Failure, Handler, HandlerError},
};

mod error;
mod table;
#[cfg(test)]
mod tests;

pub use self::error::CompleteError;
use self::table::{Answer, Table, Waiting};

/// The desk where manual attempts wait until the program completes them. Cheap to clone; all
/// clones are the same desk.
///
/// At most [`MANUAL_ATTEMPTS`](crate::limits::MANUAL_ATTEMPTS) wait at once. A further attempt
/// fails at once (retryable), and so does one whose notice finds the channel full.
///
/// ```
/// use meshwork_core::{Assignment, AttemptEnd, Epoch, TaskId, engine::RunId};
/// use meshwork_exec::{Executor, ManualDesk, Registry, Report};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let owner = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN".parse()?;
/// let (notices, mut attempts) = tokio::sync::mpsc::channel(16);
/// let desk = ManualDesk::new(notices);
/// let mut registry = Registry::new();
/// registry.register(desk.handler("review/translate".parse()?))?;
///
/// # let (reports, mut from_executor) = tokio::sync::mpsc::channel(64);
/// # let mut executor = Executor::new(registry, 1, reports, None)?;
/// # let work = Assignment {
/// #     epoch: Epoch { boot: 1, number: 1 },
/// #     task: TaskId::new(),
/// #     attempt: 1,
/// #     handler: "review/translate".parse()?,
/// #     input: "guten Tag".into(),
/// #     params: Default::default(),
/// #     limit: None,
/// #     priority: 0,
/// #     durable: false,
/// # };
/// # executor.start(RunId(1), owner, work);
/// // A task is submitted, and an attempt of it starts here.
/// let attempt = attempts.recv().await.ok_or("the desk is gone")?;
/// assert_eq!(attempt.input, "guten Tag");
/// desk.complete(attempt.task, Ok("good day".into()))?;
/// # let Some(Report::Ended(ended)) = from_executor.recv().await else { return Err("lost".into()) };
/// # assert_eq!(ended.end, AttemptEnd::Output("good day".into()));
/// # executor.shutdown();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ManualDesk {
    table: Arc<Table>,
    /// Notifies the program of attempts that have started. If the channel is full, the attempt
    /// fails (retryable).
    notices: mpsc::Sender<ManualAttempt>,
}

/// An attempt that has started and waits for the program to complete it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManualAttempt {
    /// The task's id.
    pub task: TaskId,
    /// The number of this attempt among the task's attempts, from 1.
    pub attempt: u32,
    /// The task's owner; this node's own id for its own tasks.
    pub owner: PeerId,
    /// The name of the manual handler.
    pub handler: HandlerName,
    /// The task's parameters.
    pub params: BTreeMap<String, String>,
    /// The task's input.
    pub input: Bytes,
}

impl ManualDesk {
    /// A desk that sends each attempt that starts to `notices`.
    ///
    /// The caller chooses the channel's capacity; each notice may carry [`INLINE_BYTES`] of input.
    pub fn new(notices: mpsc::Sender<ManualAttempt>) -> Self {
        Self { table: Arc::default(), notices }
    }

    /// A handler named `name` whose attempts wait at this desk.
    pub fn handler(&self, name: HandlerName) -> ManualHandler {
        ManualHandler { desk: self.clone(), name, description: None }
    }

    /// Ends the waiting attempt of `task` with its output or its failure.
    ///
    /// An attempt that is stopped at the same moment may still end as stopped.
    ///
    /// # Errors
    ///
    /// No attempt of the task waits, attempts of several owners wait, or the output exceeds
    /// [`INLINE_BYTES`]. Attempts that wait then continue to wait.
    pub fn complete(
        &self,
        task: TaskId,
        result: Result<Bytes, HandlerError>,
    ) -> Result<(), CompleteError> {
        self.hand_over(task, None, result)
    }

    /// As [`complete`](Self::complete), for the task of `owner`: owners choose task ids, so two
    /// owners may use the same one.
    ///
    /// # Errors
    ///
    /// No attempt of the owner's task waits, or the output exceeds [`INLINE_BYTES`]. An attempt
    /// that waits then continues to wait.
    pub fn complete_for(
        &self,
        owner: PeerId,
        task: TaskId,
        result: Result<Bytes, HandlerError>,
    ) -> Result<(), CompleteError> {
        self.hand_over(task, Some(owner), result)
    }

    fn hand_over(
        &self,
        task: TaskId,
        owner: Option<PeerId>,
        result: Answer,
    ) -> Result<(), CompleteError> {
        if let Ok(output) = &result
            && output.len() > INLINE_BYTES
        {
            return Err(CompleteError::TooLarge { size: output.len(), limit: INLINE_BYTES });
        }
        let answer = self.table.take(task, owner)?;
        // The receiver is gone: the attempt was dropped just now.
        answer.send(result).map_err(|_| CompleteError::NotFound { task })
    }

    /// Adds an attempt to the table and notifies the program.
    fn open(
        &self,
        cx: &TaskContext,
        handler: &HandlerName,
        input: Bytes,
    ) -> Result<Waiting, HandlerError> {
        let room = self.notices.try_reserve().map_err(|error| {
            HandlerError::failed(match error {
                mpsc::error::TrySendError::Full(()) => {
                    "the program that completes these tasks has not yet read its earlier notices"
                }
                mpsc::error::TrySendError::Closed(()) => {
                    "the program that completes these tasks no longer accepts them"
                }
            })
        })?;
        // Add the entry before the notice, so that the program can complete the attempt at once.
        let waiting = Table::enter(&self.table, cx)?;
        room.send(ManualAttempt {
            task: cx.task(),
            attempt: cx.attempt(),
            owner: cx.peer(),
            handler: handler.clone(),
            params: cx.params().clone(),
            input,
        });
        Ok(waiting)
    }
}

/// A handler whose attempts wait at a desk, made by [`ManualDesk::handler`].
#[derive(Clone, Debug)]
pub struct ManualHandler {
    desk: ManualDesk,
    name: HandlerName,
    description: Option<Description>,
}

impl ManualHandler {
    /// The same handler with a description. An attempt whose parameters do not fit it fails before
    /// the program is notified; without a description all parameters are accepted.
    #[must_use]
    pub fn with_description(mut self, description: Description) -> Self {
        self.description = Some(description);
        self
    }
}

impl Handler for ManualHandler {
    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn describe(&self) -> Description {
        self.description.clone().unwrap_or_default()
    }

    async fn run(&self, cx: &TaskContext, input: Bytes) -> Result<Bytes, Failure> {
        if let Some(Description { params, .. }) = &self.description {
            cx.check_params(params)?;
        }
        let mut waiting = self.desk.open(cx, &self.name, input)?;
        tokio::select! {
            biased;
            outcome = waiting.answered() => Ok(outcome?),
            () = cx.cancelled() => Err(HandlerError::Stopped.into()),
        }
    }
}
