//! The context of an attempt: what its handler can read, and how it reports progress.
//!
//! Absent on purpose: the node itself. A handler cannot reach other tasks or peers through its
//! context.

use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr, sync::Arc, time::Instant};

use meshwork_core::{PeerId, TaskId};

use crate::{
    files::{Files, work::Work},
    handler::{HandlerError, ParamSpec},
};

pub(crate) mod attempt;
mod progress;
#[cfg(test)]
mod tests;

use self::attempt::Attempt;

/// One attempt, as its handler sees it. Cheap to clone.
#[derive(Clone)]
pub struct TaskContext {
    attempt: Arc<Attempt>,
}

impl TaskContext {
    pub(crate) fn new(attempt: Arc<Attempt>) -> Self {
        Self { attempt }
    }

    /// The id of the task.
    pub fn task(&self) -> TaskId {
        self.attempt.order().task
    }

    /// The number of this attempt among the task's attempts, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt.order().number
    }

    /// The task's owner; this node's own id for its own tasks.
    pub fn peer(&self) -> PeerId {
        self.attempt.order().owner
    }

    /// When the attempt reaches its time limit; `None` without a limit.
    pub fn deadline(&self) -> Option<Instant> {
        self.attempt.order().deadline
    }

    /// Completes when the attempt must stop: it was cancelled, reached its limit, or the node shuts
    /// down. The handler then has [`STOP_GRACE`](crate::limits::STOP_GRACE) to return; its output
    /// is ignored.
    pub async fn cancelled(&self) {
        self.attempt.stopped().await;
    }

    /// Whether the attempt must stop; see [`cancelled`](Self::cancelled). Reads one atomic value.
    pub fn is_cancelled(&self) -> bool {
        self.attempt.is_stopped()
    }

    /// [`is_cancelled`](Self::is_cancelled) as a result, for use with `?`.
    ///
    /// # Errors
    ///
    /// [`HandlerError::Stopped`] if the attempt must stop.
    pub fn ensure_running(&self) -> Result<(), HandlerError> {
        if self.is_cancelled() { Err(HandlerError::Stopped) } else { Ok(()) }
    }

    /// Reports progress: `fraction` from 0 to 1 (clamped; NaN counts as 0), and a message that is
    /// cut to [`MESSAGE_BYTES`](meshwork_core::limits::MESSAGE_BYTES).
    ///
    /// Never waits. At most one report is sent per
    /// [`PROGRESS_INTERVAL`](crate::limits::PROGRESS_INTERVAL); the latest of the others follows at
    /// the end of the interval. Under overload reports are dropped.
    pub fn progress(&self, fraction: f32, message: impl AsRef<str>) {
        self.attempt.report(fraction, message.as_ref());
    }

    /// The attempt's own folder, empty at first; removed with all that is in it when the attempt ends.
    /// [`Output::file`](crate::Output::file) takes an output from it. Blocks on the disk, so that a
    /// handler that is polled in place must not call it.
    ///
    /// # Errors
    ///
    /// The node has no work folders, the attempt has ended, or the disk is full or failed.
    pub fn work_dir(&self) -> Result<PathBuf, HandlerError> {
        if self.attempt.is_over() {
            return Err(HandlerError::Stopped);
        }
        self.work().work_dir(self.files_or_fail()?)
    }

    /// The task's parameters.
    pub fn params(&self) -> &BTreeMap<String, String> {
        &self.attempt.order().params
    }

    /// The parameter `name` parsed as a `T`; `None` if the task does not have it.
    ///
    /// # Errors
    ///
    /// [`HandlerError::BadParameter`] if the value does not parse.
    pub fn param<T>(&self, name: &str) -> Result<Option<T>, HandlerError>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let Some(value) = self.params().get(name) else {
            return Ok(None);
        };
        parsed(name, value).map(Some)
    }

    /// The parameter that `spec` describes, parsed as a `T`: the task's value, else the default.
    ///
    /// # Errors
    ///
    /// [`HandlerError::BadParameter`] if there is no value and no default, or the value does not
    /// parse.
    pub fn value<T>(&self, spec: &ParamSpec) -> Result<T, HandlerError>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let given = self.params().get(&*spec.name).map(String::as_str);
        let value = given.or(spec.default.as_deref()).ok_or_else(|| missing(spec))?;
        parsed(&spec.name, value)
    }

    /// Checks the task's parameters against `specs`: no unknown names, no invalid values, none that
    /// is required missing. An unknown parameter is probably a mistake, so it is not ignored.
    ///
    /// # Errors
    ///
    /// [`HandlerError::BadParameter`] names the first wrong parameter and what is accepted.
    pub fn check_params(&self, specs: &[ParamSpec]) -> Result<(), HandlerError> {
        for (name, value) in self.params() {
            match specs.iter().find(|spec| spec.name == *name) {
                Some(spec) => spec.check(value)?,
                None => return Err(unknown(name, specs.iter().map(|spec| &*spec.name))),
            }
        }
        let absent = |spec: &&ParamSpec| spec.required && !self.params().contains_key(&*spec.name);
        specs.iter().find(absent).map_or(Ok(()), |spec| Err(missing(spec)))
    }

    /// Refuses parameters whose name is not in `known`: they are probably mistakes, so they are not
    /// ignored.
    ///
    /// # Errors
    ///
    /// [`HandlerError::BadParameter`] names the first unknown parameter and all known ones.
    pub fn expect_params(&self, known: &[&str]) -> Result<(), HandlerError> {
        match self.params().keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(unknown(name, known.iter().copied())),
        }
    }

    pub(crate) fn files(&self) -> Option<&Files> {
        self.attempt.files()
    }

    pub(crate) fn files_or_fail(&self) -> Result<&Files, HandlerError> {
        self.files().ok_or_else(|| HandlerError::failed("this node has no store for files"))
    }

    pub(crate) fn work(&self) -> &Work {
        self.attempt.work()
    }

    /// See [`Attempt::note_collecting`].
    pub(crate) fn note_collecting(&self) {
        self.attempt.note_collecting();
    }
}

impl fmt::Debug for TaskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskContext")
            .field("task", &self.task())
            .field("attempt", &self.attempt())
            .field("peer", &self.peer())
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

fn parsed<T>(name: &str, value: &str) -> Result<T, HandlerError>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    value.parse().map_err(|error| HandlerError::bad_parameter(name, format!("{error}: {value:?}")))
}

fn missing(spec: &ParamSpec) -> HandlerError {
    HandlerError::bad_parameter(&*spec.name, format!("missing; {}", spec.doc))
}

fn unknown<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> HandlerError {
    let known: Vec<&str> = known.collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    HandlerError::bad_parameter(name, format!("unknown; this handler takes {known}"))
}
