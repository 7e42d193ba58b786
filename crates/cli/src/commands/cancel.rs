//! `task cancel`.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use meshwork_api::{
    Client, ClientError, ErrorCode, GroupQuery, GroupState, TaskQuery, TaskState, TaskView,
};
use serde::Serialize;

use super::{
    group,
    several::{self, Named, Outcomes},
};
use crate::{
    args::ALL,
    exit, limits,
    output::{Output, format},
};

/// Cancels tasks and groups by id; `all` means every task that has not ended.
pub(super) async fn cancel(
    ids: &[String],
    reason: &str,
    client: &Client,
    out: &Output,
) -> anyhow::Result<u8> {
    if ids.iter().any(|id| id == ALL) {
        if ids.len() > 1 {
            return Err(several::all_with_other_ids("meshwork task cancel all").into());
        }
        return all(reason, client, out).await;
    }
    let mut outcomes = Outcomes::new(ids, out);
    for id in ids {
        match cancel_one(id, reason, client).await {
            Ok(Named::Task(task)) => {
                print_cancelled(&task.id, &after_cancel(&task), out)?;
                outcomes.add(&task, exit::DONE)?;
            }
            Ok(Named::Group(group)) => {
                print_cancelled(&group.id, &group::after_cancel(&group), out)?;
                outcomes.add(&group, exit::DONE)?;
            }
            Err(error) => {
                let failure = outcomes.report(id, error.into())?;
                outcomes.add_failure(id, &failure)?;
            }
        }
    }
    outcomes.print()
}

async fn cancel_one(id: &str, reason: &str, client: &Client) -> Result<Named, ClientError> {
    let task = async { client.cancel(id, reason).await.map(Named::of_task) };
    let group = async { client.cancel_group(id, reason).await.map(Named::of_group) };
    several::task_or_group(task, group).await
}

fn print_cancelled(id: &str, text: &str, out: &Output) -> anyhow::Result<()> {
    if out.json {
        return Ok(());
    }
    if out.quiet {
        out.line(id)?;
    }
    out.say(text);
    Ok(())
}

/// The state of a task after a request to cancel it.
fn after_cancel(task: &TaskView) -> String {
    if task.state == TaskState::Cancelled {
        return format!("task {} is cancelled", task.short);
    }
    format!("task {} has already ended: {}", task.short, task.state)
}

/// The JSON of `task cancel all`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Cancelled {
    /// Cancelled groups.
    groups: u64,
    /// Cancelled tasks without a group.
    tasks: u64,
}

/// Cancels everything that was submitted before the call and has not ended, groups first.
async fn all(reason: &str, client: &Client, out: &Output) -> anyhow::Result<u8> {
    let mut cancelled = Cancelled::default();
    let mut groups = GroupQuery { states: GroupState::OPEN.to_vec(), ..GroupQuery::default() };
    let tasks = TaskQuery { states: TaskState::OPEN.to_vec(), ..TaskQuery::default() };
    // The newest items come first. Compare times of the node's clock only: ours may differ.
    let newest_group = client.groups(&groups).await?.items.first().map(|group| group.submitted_at);
    let newest_task = client.tasks(&tasks).await?.items.first().map(|task| task.submitted_at);
    let now = newest_group.max(newest_task);
    loop {
        let list = client.groups(&groups).await?;
        for found in list.items.iter().filter(|group| Some(group.submitted_at) <= now) {
            cancelled.groups += 1;
            settled(async || client.cancel_group(&found.id, reason).await.map(|_| ())).await?;
        }
        groups.cursor = list.next_cursor;
        if groups.cursor.is_none() {
            break;
        }
    }
    let mut cancelled_ids = BTreeSet::new();
    loop {
        let list = client.tasks(&tasks).await?.items;
        let mut found = Vec::new();
        for task in list.into_iter().filter(|task| Some(task.submitted_at) <= now) {
            if cancelled_ids.insert(task.id.clone()) {
                // Members of a group are already being cancelled, which may take a while.
                cancelled.tasks += u64::from(task.group.is_none());
                found.push(task.id);
            }
        }
        if found.is_empty() {
            break;
        }
        each(found, reason, client).await?;
    }
    if out.json {
        out.value(&cancelled)?;
    } else {
        let (groups, tasks) = (format::count(cancelled.groups), format::count(cancelled.tasks));
        out.say(match (cancelled.groups, cancelled.tasks) {
            (0, 0) => "nothing to cancel".to_owned(),
            (0, _) => format!("cancelled {tasks} tasks"),
            (_, 0) => format!("cancelled {groups} groups"),
            _ => format!("cancelled {groups} groups, and {tasks} tasks without a group"),
        });
    }
    Ok(exit::DONE)
}

/// Cancels several tasks at a time, because a handler may take a while to stop.
async fn each(ids: Vec<String>, reason: &str, client: &Client) -> Result<(), ClientError> {
    let ends = ids
        .into_iter()
        .map(async |id| settled(async || client.cancel(&id, reason).await.map(|_| ())).await);
    let mut ends = stream::iter(ends).buffer_unordered(limits::CANCELLED_AT_ONCE);
    while let Some(end) = ends.next().await {
        end?;
    }
    Ok(())
}

/// Repeats a request while the node is busy. A task that the node no longer knows has ended.
async fn settled(cancel: impl AsyncFn() -> Result<(), ClientError>) -> Result<(), ClientError> {
    loop {
        match cancel().await {
            Err(error) if error.is_retryable() && *error.code() == ErrorCode::Busy => {
                tokio::time::sleep(limits::BAR_INTERVAL).await;
            }
            Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::Forgotten) => {
                return Ok(());
            }
            ended => return ended,
        }
    }
}
