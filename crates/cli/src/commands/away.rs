//! Requests to a node that may stop while a command waits for its tasks.
//!
//! Durable tasks outlive the node's process, so the command waits for the node to come back. If it
//! does not, the failure says how to continue.

use std::{path::Path, time::Duration};

use meshwork_api::{Client, ClientError, Durability, ErrorCode, GroupView, TaskView};
use tokio::time::Instant;

use crate::{
    exit,
    failure::Failure,
    limits,
    output::{Output, format},
};

#[cfg(test)]
mod tests;

/// The tasks that a command waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Waited {
    /// The tasks in a message: `task 8f3a21`.
    pub(super) what: String,
    /// The arguments of `meshwork wait` for the tasks.
    pub(super) ids: String,
    /// Whether all tasks are on disk and outlive the node's process.
    pub(super) durable: bool,
}

impl Waited {
    /// Names these tasks.
    pub(super) fn tasks(tasks: &[TaskView]) -> Self {
        let durable = tasks.iter().all(|task| task.durability == Durability::Disk);
        let ids = tasks.iter().map(|task| task.short.as_str()).collect::<Vec<_>>().join(" ");
        let what = match tasks {
            [_] => format!("task {ids}"),
            tasks => format!("each of {} tasks", tasks.len()),
        };
        Self { what, ids, durable }
    }

    /// Names a group.
    pub(super) fn group(group: &GroupView) -> Self {
        Self {
            what: format!("group {}", group.short),
            ids: group.short.clone(),
            durable: group.durability == Durability::Disk,
        }
    }

    /// The failure of a command that stops waiting. If the node went away, it says what happens to
    /// the tasks and how to continue.
    pub(super) fn failure(&self, error: ClientError, client: &Client) -> anyhow::Error {
        if State::of(&error) != State::Away {
            return error.into();
        }
        let Self { what, ids, durable } = self;
        let up = up(client.path());
        let (fate, hint) = if *durable {
            (KEPT, format!("{up}, then: meshwork wait {ids} --results"))
        } else {
            let again = "then submit it again, with --durability disk to keep it";
            ("ends with the node, because its durability is memory", format!("{up}, {again}"))
        };
        let message = format!("the node went away; {what} {fate}");
        Failure::new(exit::UNREACHABLE, error.code().clone(), message)
            .because(error)
            .with_hint(hint)
            .into()
    }
}

/// What happens to a durable task while its node is away.
const KEPT: &str = "is kept on disk and goes on when the node is back";

/// The state of the node, as an error shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The node does not run or is stopping.
    Away,
    /// The node has no room or reads its journal; a later request may succeed.
    Busy,
    /// The node runs and would give the same answer again.
    Here,
}

impl State {
    fn of(error: &ClientError) -> Self {
        match error {
            ClientError::Unreachable { .. }
            | ClientError::Broken { .. }
            | ClientError::Silent { .. } => Self::Away,
            ClientError::Api(problem) if problem.code == ErrorCode::ShuttingDown => Self::Away,
            ClientError::Api(problem) if problem.is_retryable() => Self::Busy,
            ClientError::Api(problem) if problem.status == STOPPED => Self::Away,
            ClientError::Api(_) | ClientError::Protocol { .. } | _ => Self::Here,
        }
    }
}

/// The HTTP status of a stopped node's answers.
const STOPPED: u16 = 503;

/// The command that starts the node of this socket.
fn up(socket: &Path) -> String {
    let home = socket.parent().unwrap_or(socket).display().to_string();
    format!("meshwork up --home {}", format::shell(&home))
}

/// Sends requests to a node that may be away for a while.
#[derive(Debug)]
pub(super) struct Away<'a> {
    client: &'a Client,
    out: &'a Output,
    waited: Waited,
    /// When the node was first found to be away.
    since: Option<Instant>,
}

impl<'a> Away<'a> {
    pub(super) fn new(waited: Waited, client: &'a Client, out: &'a Output) -> Self {
        Self { client, out, waited, since: None }
    }

    /// The answer to `request`, which is sent again while the node is away or has no room.
    pub(super) async fn ask<T>(
        &mut self,
        mut request: impl AsyncFnMut() -> Result<T, ClientError>,
    ) -> anyhow::Result<T> {
        loop {
            match request().await {
                Ok(answer) => {
                    if self.since.take().is_some() {
                        self.out.say("the node is back");
                    }
                    return Ok(answer);
                }
                Err(error) => self.rest(error).await?,
            }
        }
    }

    /// Sleeps before the next request, or returns the failure if there should be none.
    async fn rest(&mut self, error: ClientError) -> anyhow::Result<()> {
        match State::of(&error) {
            State::Here => return Err(error.into()),
            State::Busy => {
                tokio::time::sleep(limits::BAR_INTERVAL).await;
                return Ok(());
            }
            State::Away => {}
        }
        let is_over = self.since.is_some_and(|since| since.elapsed() >= limits::AWAY);
        if is_over || !self.waited.durable {
            return Err(self.waited.failure(error, self.client));
        }
        if self.since.is_none() {
            self.since = Some(Instant::now());
            let (what, up) = (&self.waited.what, up(self.client.path()));
            let most = format::span(limits::AWAY);
            self.out.say(format!("the node went away; {what} {KEPT}: {up}"));
            self.out.say(format!("waiting at most {most} for the node; Ctrl-C to stop waiting"));
        }
        tokio::time::sleep(AGAIN).await;
        Ok(())
    }
}

/// Delay between two requests to a node that is away.
const AGAIN: Duration = Duration::from_millis(250);
