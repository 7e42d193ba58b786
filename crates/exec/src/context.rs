//! What a handler knows of its attempt, and what it can say about it.
//!
//! Absent on purpose: anything of the node itself. A handler reaches neither other tasks nor peers
//! through its context.

use std::{
    collections::BTreeMap, fmt, ops::RangeInclusive, str::FromStr, sync::Arc, time::Instant,
};

use meshwork_core::{PeerId, TaskId};

use crate::handler::HandlerError;

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
        match value.parse() {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(HandlerError::bad_parameter(name, format!("{error}: {value:?}"))),
        }
    }

    /// As [`param`](Self::param), and within `range`.
    pub(crate) fn param_in<T>(
        &self,
        name: &str,
        range: RangeInclusive<T>,
    ) -> Result<Option<T>, HandlerError>
    where
        T: FromStr + PartialOrd + fmt::Display,
        T::Err: fmt::Display,
    {
        let value = self.param(name)?;
        match &value {
            Some(given) if !range.contains(given) => Err(HandlerError::bad_parameter(
                name,
                format!("{} to {}, not {given}", range.start(), range.end()),
            )),
            _ => Ok(value),
        }
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
            Some(name) if known.is_empty() => {
                Err(HandlerError::bad_parameter(name, "not known; this handler takes none"))
            }
            Some(name) => Err(HandlerError::bad_parameter(
                name,
                format!("not known; this handler takes {}", known.join(", ")),
            )),
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
