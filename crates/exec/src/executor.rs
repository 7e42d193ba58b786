//! Runs attempts: in place if the handler is instant, else on threads of its own.
//!
//! The node's driver owns the executor, and the executor never makes it wait. Handlers cannot harm
//! the driver: panics are caught, handlers block only their own threads, and supervisors run on the
//! driver's runtime, so that limits hold even when every handler thread is blocked.
//!
//! Absent on purpose: queues. Every attempt that is started runs; the engine decides how many run
//! at once, and for which owner.

use std::{
    collections::BTreeSet,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use meshwork_core::{
    Assignment, AttemptEnd, FailureCode, HandlerName, PeerId, TaskFailure, engine::RunId,
};
use rustc_hash::FxHashMap;
use tokio::{runtime::Handle, sync::mpsc};

use crate::{
    context::{
        TaskContext,
        attempt::{Attempt, Cause, Order},
    },
    files::Files,
    limits::PROGRESS_INTERVAL,
    registry::{Registry, erased::Run},
    report::{Ended, Report},
};

mod end;
mod entry;
mod panics;
mod pool;
mod running;
mod supervisor;
#[cfg(test)]
mod tests;
mod watch;

use self::{
    end::End,
    entry::{Entry, Polled},
    pool::Pool,
    running::Running,
    supervisor::Supervisor,
};

/// Runs attempts by the handlers of a [`Registry`].
///
/// # How an attempt ends
///
/// | cause | end |
/// |---|---|
/// | the handler returns | its output, or the failure of its error |
/// | an output above [`INLINE_BYTES`], and no store | failure `output_too_large` |
/// | a handler that wrote to its input | failure `permanent`; [`Ended::written`] names the input |
/// | the handler panics | failure `panicked`, with the panic's message |
/// | no such handler | failure `unknown_handler`, which names the handlers of this node |
/// | [`stop`](Self::stop) | cancelled, unless it ended first |
/// | the attempt's limit | failure `timed_out` |
/// | [`shutdown`](Self::shutdown), or drop | failure `lost` |
///
/// In the last three cases the handler is first signalled to stop and has
/// [`STOP_GRACE`](crate::limits::STOP_GRACE) to return; then its future is dropped.
///
/// # Inputs and outputs of any size
///
/// With [`Files`], inputs may be blobs, and an output above [`INLINE_BYTES`] becomes one. It is
/// hashed and stored on the handler's thread after the handler has returned; the time limit does not
/// count that time, and a stop still ends it. [`Ended::blobs`] has what the node must publish.
///
/// [`INLINE_BYTES`]: meshwork_core::limits::INLINE_BYTES
///
/// # Handlers that block
///
/// A blocked thread cannot be interrupted. The attempt still ends in time; its thread is abandoned
/// and counts in [`blocked_threads`](Self::blocked_threads) until it returns. When all threads of
/// the pool are abandoned, further attempts get a new pool of the same size. At most
/// [`BLOCKED_POOLS`](crate::limits::BLOCKED_POOLS) pools are replaced at once; after that attempts
/// fail (retryable) until a thread returns. An attempt without a limit is abandoned only if it is
/// cancelled: if such attempts block all threads, further attempts wait for a thread, and end by
/// their own limits.
///
/// # Example
///
/// ```
/// use std::collections::BTreeMap;
///
/// use meshwork_core::{Assignment, AttemptEnd, Epoch, TaskId, engine::RunId};
/// use meshwork_exec::{Executor, Registry};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let owner = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN".parse()?;
/// let (reports, _from_executor) = tokio::sync::mpsc::channel(64);
/// let mut executor = Executor::new(Registry::new().with_text()?, 2, reports, None)?;
/// let work = Assignment {
///     epoch: Epoch { boot: 1, number: 1 },
///     task: TaskId::new(),
///     attempt: 1,
///     handler: "text/upper".parse()?,
///     input: "small".into(),
///     params: BTreeMap::new(),
///     limit: None,
///     priority: 0,
///     durable: false,
/// };
/// let ended = executor.start(RunId(1), owner, work).ok_or("a small text runs in place")?;
/// assert_eq!(ended.end, AttemptEnd::Output("SMALL".into()));
/// executor.shutdown();
/// # Ok(())
/// # }
/// ```
pub struct Executor {
    entries: FxHashMap<HandlerName, Entry>,
    /// Carries the reports of attempts that do not run in place.
    reports: mpsc::Sender<Report>,
    pool: Pool,
    running: Running,
    /// The blobs and work folders of attempts; `None` if this node has neither.
    files: Option<Files>,
    /// The attempt that ran in place last; the next one reuses its memory.
    spare: Option<Arc<Attempt>>,
}

impl Executor {
    /// An executor with the given number of handler threads, clamped to 1 to
    /// [`THREADS`](crate::limits::THREADS). Attempts that do not end in place report to `reports`.
    /// Without `files`, inputs and outputs are at most
    /// [`INLINE_BYTES`](meshwork_core::limits::INLINE_BYTES), and handlers get no work folders.
    ///
    /// # Errors
    ///
    /// The operating system refused to start the handler threads.
    pub fn new(
        registry: Registry,
        threads: usize,
        reports: mpsc::Sender<Report>,
        files: Option<Files>,
    ) -> std::io::Result<Self> {
        let handlers = registry.into_handlers();
        Ok(Self {
            entries: handlers.map(|(name, handler)| (name, Entry::new(handler))).collect(),
            reports,
            pool: Pool::new(threads)?,
            running: Running::default(),
            files,
            spare: None,
        })
    }

    /// Starts an attempt. Returns its end if it ended in place; else a [`Report::Ended`] follows.
    ///
    /// `run` must not name an attempt that still runs. Call this inside a tokio runtime with time
    /// enabled, where attempts are supervised; outside of one, only instant handlers succeed.
    pub fn start(&mut self, run: RunId, owner: PeerId, work: Assignment) -> Option<Ended> {
        self.execute(run, owner, work, Instant::now())
    }

    /// Signals an attempt to stop. Its [`Report::Ended`] follows within
    /// [`STOP_GRACE`](crate::limits::STOP_GRACE). Does nothing if the attempt has ended.
    pub fn stop(&mut self, run: RunId) {
        if let Some(attempt) = self.running.find(run) {
            attempt.stop(Cause::Cancelled);
        }
    }

    /// The names of all handlers.
    pub fn names(&self) -> BTreeSet<HandlerName> {
        self.entries.keys().cloned().collect()
    }

    /// Number of threads that run handlers, without the abandoned ones.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Number of threads that abandoned attempts block.
    pub fn blocked_threads(&self) -> usize {
        self.pool.blocked_threads()
    }

    /// Whether all pools are blocked by abandoned attempts: further attempts fail until a thread
    /// returns.
    pub fn is_exhausted(&self) -> bool {
        self.pool.is_exhausted()
    }

    /// Signals all attempts to stop, and releases the threads. Never waits: a blocked thread goes
    /// on until its handler returns or the process ends. Dropping the executor does the same.
    ///
    /// Attempts that run still end with a [`Report::Ended`].
    pub fn shutdown(self) {
        drop(self);
    }

    fn execute(
        &mut self,
        run: RunId,
        owner: PeerId,
        work: Assignment,
        started: Instant,
    ) -> Option<Ended> {
        let now = |end: End| Some(end.ended(run, None, started));
        let Assignment { task, attempt: number, handler, input, params, limit, .. } = work;
        let Some(entry) = self.entries.get_mut(&handler) else {
            return now(self.unknown(&handler));
        };
        let instant = match entry.is_instant(&input) {
            Ok(instant) => instant,
            Err(end) => return now(end),
        };
        let deadline = limit.and_then(|limit| started.checked_add(limit));
        let order = Order { run, task, number, owner, params, deadline };
        // The progress of an attempt that ends in place would arrive after its end.
        let quiet_until = if instant { started.checked_add(PROGRESS_INTERVAL) } else { None };
        let fresh =
            |order| Attempt::new(order, quiet_until, self.reports.clone(), self.files.clone());
        let attempt = renewed(&mut self.spare, order, quiet_until, fresh);
        entry.prepare(TaskContext::new(attempt), input);
        if instant && let Polled::Ended(end) = entry.poll() {
            return Some(end.ended(run, self.spare.as_deref(), started));
        }
        let future = entry.take();
        self.hand_over(future, limit, started).and_then(now)
    }

    /// Moves the latest attempt, which has not ended in place, to the pool. Returns its end if that
    /// is not possible.
    fn hand_over(&mut self, future: Run, limit: Option<Duration>, started: Instant) -> Option<End> {
        let attempt = self.spare.take()?;
        let Ok(driver) = Handle::try_current() else {
            return Some(End::failed("started outside a tokio runtime"));
        };
        if !self.running.insert(&attempt) {
            return Some(End::failed("this node runs its maximum number of attempts"));
        }
        let (join, watch) = match self.pool.spawn(future, Arc::clone(&attempt)) {
            Ok(spawned) => spawned,
            Err(error) => return Some(End::failed(error.to_string())),
        };
        let reports = self.reports.clone();
        let supervisor = Supervisor { attempt, join, watch, limit, started, reports };
        // The supervisor ends with its attempt, at most `STOP_GRACE` after a stop.
        drop(driver.spawn(supervisor.run()));
        None
    }

    fn unknown(&self, handler: &HandlerName) -> End {
        let names = self.names();
        let names: Vec<&str> = names.iter().map(HandlerName::as_str).collect();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        AttemptEnd::Failed(TaskFailure::new(
            FailureCode::UnknownHandler,
            format!("no handler {handler} on this node; available: {known}"),
        ))
        .into()
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        for attempt in self.running.drain() {
            attempt.stop(Cause::Shutdown);
        }
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor")
            .field("handlers", &self.names())
            .field("threads", &self.threads())
            .field("blocked_threads", &self.blocked_threads())
            .finish_non_exhaustive()
    }
}

/// An attempt for `order`, also kept in `spare`. Reuses the spare one if nothing else holds it.
fn renewed(
    spare: &mut Option<Arc<Attempt>>,
    order: Order,
    quiet_until: Option<Instant>,
    fresh: impl FnOnce(Order) -> Attempt,
) -> Arc<Attempt> {
    let reused = match spare.take() {
        Some(mut attempt) => match Arc::get_mut(&mut attempt) {
            Some(unshared) => unshared.renew(order, quiet_until).map_or(Ok(attempt), Err),
            None => Err(order),
        },
        None => Err(order),
    };
    let attempt = reused.unwrap_or_else(|order| Arc::new(fresh(order)));
    *spare = Some(Arc::clone(&attempt));
    attempt
}
