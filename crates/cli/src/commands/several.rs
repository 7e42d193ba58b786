//! Verbs that take several ids: a failure does not stop the verb and names its id, and the highest
//! exit code counts. The JSON output is one value, in the order of the ids.

use std::time::Duration;

use meshwork_api::{Client, ClientError, ErrorCode, GroupView, TaskView};
use serde::Serialize;
use serde_json::Value;

use crate::{exit, failure::Failure, output::Output};

#[cfg(test)]
mod tests;

/// The task or group that an id on the command line names.
#[derive(Clone, Debug)]
pub(super) enum Named {
    Task(Box<TaskView>),
    Group(Box<GroupView>),
}

impl Named {
    pub(super) async fn find(id: &str, client: &Client) -> Result<Self, ClientError> {
        let task = async { client.task(id).await.map(Self::of_task) };
        let group = async { client.group(id, Duration::ZERO).await.map(Self::of_group) };
        task_or_group(task, group).await
    }

    pub(super) fn of_task(task: TaskView) -> Self {
        Self::Task(Box::new(task))
    }

    pub(super) fn of_group(group: GroupView) -> Self {
        Self::Group(Box::new(group))
    }

    pub(super) fn task(&self) -> Option<&TaskView> {
        match self {
            Self::Task(task) => Some(task),
            Self::Group(_) => None,
        }
    }
}

/// The answer of `task`, or that of `group` if the id does not name a task.
///
/// # Errors
///
/// A request fails. If the id names neither a task nor a group, the error is that of `task`.
pub(super) async fn task_or_group<T>(
    task: impl Future<Output = Result<T, ClientError>>,
    group: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    // For the full id of a group, a request for a task answers `NotFound`.
    let error = match task.await {
        Err(error) if [ErrorCode::IsGroup, ErrorCode::NotFound].contains(error.code()) => error,
        found => return found,
    };
    match group.await {
        Err(other) if [ErrorCode::IsTask, ErrorCode::NotFound].contains(other.code()) => Err(error),
        found => found,
    }
}

/// The failure of a command with `all` and other ids, which would be ignored silently.
pub(super) fn all_with_other_ids(command: &str) -> Failure {
    Failure::usage("`all` means every open task and cannot be combined with other ids")
        .with_hint(command)
}

/// The outcomes of the ids on a command line.
#[derive(Debug)]
pub(super) struct Outcomes<'o> {
    out: &'o Output,
    /// Whether there is only one id: its failure is that of the command.
    is_one: bool,
    values: Vec<Value>,
    code: u8,
}

impl<'o> Outcomes<'o> {
    pub(super) fn new(ids: &[String], out: &'o Output) -> Self {
        Self { out, is_one: ids.len() == 1, values: Vec::new(), code: exit::DONE }
    }

    /// Adds the JSON and the exit code of the next id.
    pub(super) fn add(&mut self, value: &impl Serialize, code: u8) -> anyhow::Result<()> {
        if self.out.json {
            self.values.push(serde_json::to_value(value)?);
        }
        self.raise(code);
        Ok(())
    }

    /// Raises the exit code to `code`, unless it is higher already.
    pub(super) fn raise(&mut self, code: u8) {
        self.code = self.code.max(code);
    }

    /// Adds the failure of the next id, without printing it.
    pub(super) fn add_failure(&mut self, id: &str, failure: &Failure) -> anyhow::Result<()> {
        self.add(&Failed::new(id, failure), failure.exit)
    }

    /// Prints the failure of `id` and returns it.
    ///
    /// # Errors
    ///
    /// `id` is the only id: `error` is that of the command.
    pub(super) fn report(&self, id: &str, error: anyhow::Error) -> anyhow::Result<Failure> {
        if self.is_one {
            return Err(error);
        }
        let failure = Failure::of(error);
        let failure = Failure { message: format!("{id}: {}", failure.message), ..failure };
        self.out.failure(&failure);
        Ok(failure)
    }

    /// Prints the JSON and returns the exit code.
    pub(super) fn print(self) -> anyhow::Result<u8> {
        match (self.out.json, self.is_one, self.values.as_slice()) {
            (false, ..) => {}
            (true, true, [value]) => self.out.value(value)?,
            (true, _, values) => self.out.value(&values)?,
        }
        Ok(self.code)
    }

    /// The highest exit code so far.
    pub(super) fn code(&self) -> u8 {
        self.code
    }
}

/// The JSON of an id whose request failed, in the place of the answer.
#[derive(Debug, Serialize)]
pub(super) struct Failed<'a> {
    /// The id as it was written on the command line.
    id: &'a str,
    error: Value,
}

impl<'a> Failed<'a> {
    pub(super) fn new(id: &'a str, failure: &Failure) -> Self {
        Self { id, error: failure.value() }
    }
}
