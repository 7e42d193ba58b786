//! What a handler knows of its attempt, and what it can say about it.
//!
//! Absent on purpose: anything of the node itself. A handler reaches neither other tasks nor peers
//! through its context.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc, time::Instant};

use meshwork_core::{PeerId, TaskId};

use crate::handler::{HandlerError, ParamSpec};

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

    /// The task that this is an attempt of.
    pub fn task(&self) -> TaskId {
        self.attempt.order().task
    }

    /// Which attempt of the task, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt.order().number
    }

    /// The task's owner; this node's own id for its own tasks.
    pub fn peer(&self) -> PeerId {
        self.attempt.order().owner
    }

    /// When the attempt runs into its limit; none if it has no limit.
    pub fn deadline(&self) -> Option<Instant> {
        self.attempt.order().deadline
    }

    /// Ends when the attempt shall stop: it was cancelled, has reached its limit, or the node shuts
    /// down. The handler then has [`STOP_GRACE`](crate::limits::STOP_GRACE) to end by itself; what
    /// it returns is not looked at any more.
    pub async fn cancelled(&self) {
        self.attempt.stopped().await;
    }

    /// Whether the attempt shall stop; see [`cancelled`](Self::cancelled). Costs next to nothing.
    pub fn is_cancelled(&self) -> bool {
        self.attempt.is_stopped()
    }

    /// Goes on, or not: [`is_cancelled`](Self::is_cancelled) for use with `?`.
    ///
    /// # Errors
    ///
    /// [`HandlerError::Stopped`] if the attempt shall stop.
    pub fn ensure_running(&self) -> Result<(), HandlerError> {
        if self.is_cancelled() { Err(HandlerError::Stopped) } else { Ok(()) }
    }

    /// Says how far the attempt is: `fraction` from 0 to 1 (clamped; not a number counts as 0), and
    /// a message that is cut to [`MESSAGE_BYTES`](meshwork_core::limits::MESSAGE_BYTES).
    ///
    /// Never waits. At most one report per
    /// [`PROGRESS_INTERVAL`](crate::limits::PROGRESS_INTERVAL) goes out; of those between, the
    /// latest follows when the interval is over. Under overload reports are dropped.
    pub fn progress(&self, fraction: f32, message: impl AsRef<str>) {
        self.attempt.report(fraction, message.as_ref());
    }

    /// The task's parameters.
    pub fn params(&self) -> &BTreeMap<String, String> {
        &self.attempt.order().params
    }

    /// The parameter `name` as a `T`, if the task has it.
    ///
    /// # Errors
    ///
    /// [`HandlerError::BadParameter`] if its value does not parse.
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

    /// The parameter of this `spec` as a `T`: what the task has, else the default.
    ///
    /// # Errors
    ///
    /// [`HandlerError::BadParameter`] if there is neither, or its value does not parse.
    pub fn value<T>(&self, spec: &ParamSpec) -> Result<T, HandlerError>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let given = self.params().get(&*spec.name).map(String::as_str);
        let value = given.or(spec.default.as_deref()).ok_or_else(|| missing(spec))?;
        parsed(&spec.name, value)
    }

    /// Refuses parameters that are not of these `specs`, values that their kinds do not take, and a
    /// task without one that is required: whatever would be ignored is more likely a mistake.
    ///
    /// # Errors
    ///
    /// [`HandlerError::BadParameter`], which names the first that is wrong and what would be right.
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

    /// Refuses every parameter but those that are `known`: a parameter that would be ignored is
    /// more likely a mistake.
    ///
    /// # Errors
    ///
    /// [`HandlerError::BadParameter`], which names the first that is unknown and all that are known.
    pub fn expect_params(&self, known: &[&str]) -> Result<(), HandlerError> {
        match self.params().keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(unknown(name, known.iter().copied())),
        }
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
    HandlerError::bad_parameter(name, format!("not known; this handler takes {known}"))
}
