//! Verbs that take several ids do all they can: each failure names its id, and the highest exit code
//! counts. As JSON it is one value, in the order asked.

use std::time::Duration;

use meshwork_api::{Client, ClientError, ErrorCode, GroupView, TaskView};
use serde::Serialize;
use serde_json::Value;

use crate::{exit, failure::Failure, output::Output};

#[cfg(test)]
mod tests;

/// What an id on the command line names.
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

/// What is answered about a task, or, where an id names no task, about the group of that id.
///
/// # Errors
///
/// Those about a task where the id names no group either.
pub(super) async fn task_or_group<T>(
    task: impl Future<Output = Result<T, ClientError>>,
    group: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    // The whole id of a group is not known as that of a task.
    let error = match task.await {
        Err(error) if [ErrorCode::IsGroup, ErrorCode::NotFound].contains(error.code()) => error,
        found => return found,
    };
    match group.await {
        Err(other) if [ErrorCode::IsTask, ErrorCode::NotFound].contains(other.code()) => Err(error),
        found => found,
    }
}

/// Why `all` is refused beside other ids: they would be left out in silence.
pub(super) fn all_is_alone(command: &str) -> Failure {
    Failure::usage("`all` stands for every open task, and takes no ids beside it")
        .with_hint(command)
}

/// What came of the ids of a command line.
#[derive(Debug)]
pub(super) struct Outcomes<'o> {
    out: &'o Output,
    /// With one id its failure is that of the command.
    is_one: bool,
    values: Vec<Value>,
    code: u8,
}

impl<'o> Outcomes<'o> {
    pub(super) fn new(ids: &[String], out: &'o Output) -> Self {
        Self { out, is_one: ids.len() == 1, values: Vec::new(), code: exit::DONE }
    }

    /// Keeps the JSON of the next id, and the exit code that it asks for.
    pub(super) fn add(&mut self, value: &impl Serialize, code: u8) -> anyhow::Result<()> {
        if self.out.json {
            self.values.push(serde_json::to_value(value)?);
        }
        self.raise(code);
        Ok(())
    }

    /// The exit code is at least this one.
    pub(super) fn raise(&mut self, code: u8) {
        self.code = self.code.max(code);
    }

    /// Keeps the failure of the next id, which was told already.
    pub(super) fn add_failure(&mut self, id: &str, failure: &Failure) -> anyhow::Result<()> {
        self.add(&Failed::new(id, failure), failure.exit)
    }

    /// Tells why nothing came of `id`.
    ///
    /// # Errors
    ///
    /// It is the only id.
    pub(super) fn tell(&self, id: &str, error: anyhow::Error) -> anyhow::Result<Failure> {
        if self.is_one {
            return Err(error);
        }
        let failure = Failure::of(error);
        let failure = Failure { message: format!("{id}: {}", failure.message), ..failure };
        self.out.failure(&failure);
        Ok(failure)
    }

    /// Prints the JSON; gives the exit code.
    pub(super) fn print(self) -> anyhow::Result<u8> {
        match (self.out.json, self.is_one, self.values.as_slice()) {
            (false, ..) => {}
            (true, true, [value]) => self.out.value(value)?,
            (true, _, values) => self.out.value(&values)?,
        }
        Ok(self.code)
    }

    /// The exit code.
    pub(super) fn code(&self) -> u8 {
        self.code
    }
}

/// An id of which nothing came, in the place of what was asked for.
#[derive(Debug, Serialize)]
pub(super) struct Failed<'a> {
    /// As it was asked for.
    id: &'a str,
    error: Value,
}

impl<'a> Failed<'a> {
    pub(super) fn new(id: &'a str, failure: &Failure) -> Self {
        Self { id, error: failure.value() }
    }
}
