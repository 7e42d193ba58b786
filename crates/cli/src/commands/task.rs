//! `task`.

use std::path::PathBuf;

use meshwork_api::{Client, RetryAnswer, TaskQuery, TaskState, TaskView, WaitCode};

use super::{
    cancel, group,
    place::{self, Place},
    results,
    several::{self, Named},
    story,
};
use crate::{
    args::TaskVerb,
    exit,
    output::{Output, Table, format},
};

pub(super) async fn task(verb: TaskVerb, client: &Client, out: &Output) -> anyhow::Result<u8> {
    match verb {
        TaskVerb::List { all, state, handler, group, limit } => {
            let states = if state.is_empty() && !all && group.is_none() {
                TaskState::OPEN.to_vec()
            } else {
                state
            };
            let query = TaskQuery { states, handler, group, limit: Some(limit), cursor: None };
            list(&query, all, client, out).await?;
        }
        TaskVerb::Groups { all, state, limit } => {
            group::list(all, state, limit, client, out).await?;
        }
        TaskVerb::Show { task } => show(&task, client, out).await?,
        TaskVerb::Explain { task } => return explain(&task, client, out).await,
        TaskVerb::Result { task, out: dir } => return result(&task, dir, client, out).await,
        TaskVerb::Retry { task, only_failed: _ } => return retry(&task, client, out).await,
        TaskVerb::Cancel { tasks, reason } => {
            return cancel::cancel(&tasks, &reason, client, out).await;
        }
    }
    Ok(exit::DONE)
}

async fn show(name: &str, client: &Client, out: &Output) -> anyhow::Result<()> {
    match Named::find(name, client).await? {
        Named::Task(task) => story(&task, out),
        Named::Group(group) if out.json => out.value(&group),
        Named::Group(group) if out.quiet => Ok(out.line(&group.id)?),
        Named::Group(group) => Ok(out.line(group::summary(&group))?),
    }
}

fn story(task: &TaskView, out: &Output) -> anyhow::Result<()> {
    if out.json {
        out.value(task)
    } else if out.quiet {
        Ok(out.line(&task.id)?)
    } else {
        Ok(out.data(story::story(task, meshwork_node::time_of_day()).as_bytes())?)
    }
}

async fn explain(name: &str, client: &Client, out: &Output) -> anyhow::Result<u8> {
    let task = match Named::find(name, client).await? {
        Named::Task(task) => task,
        Named::Group(group) => return group::explain(&group.id, client, out).await,
    };
    story(&task, out)?;
    let nobody = task.waiting.is_some_and(|waiting| waiting.code == WaitCode::NoEligiblePeer);
    Ok(if nobody { exit::NO_PEER } else { exit::DONE })
}

async fn result(
    name: &str,
    dir: Option<PathBuf>,
    client: &Client,
    out: &Output,
) -> anyhow::Result<u8> {
    match (Named::find(name, client).await?, dir) {
        (Named::Group(group), None) => group::results(*group, client, out).await,
        (Named::Group(group), Some(dir)) => place::save_group(&group, &dir, client, out).await,
        (Named::Task(task), None) => {
            let output = results::Output::of(&task, client).await?;
            results::print(*task, Some(output), client, out).await?;
            Ok(exit::DONE)
        }
        (Named::Task(task), Some(dir)) => {
            let code = exit::of_task(&task);
            Place::of(dir, &[]).save(*task, client, out).await?;
            Ok(code)
        }
    }
}

/// The new task or group of a retry.
#[derive(Debug)]
enum Retried {
    Task(Box<TaskView>),
    Group(Box<RetryAnswer>),
}

/// Submits a task or group again and prints the new id.
async fn retry(name: &str, client: &Client, out: &Output) -> anyhow::Result<u8> {
    let task = async { client.retry(name).await.map(|task| Retried::Task(Box::new(task))) };
    let group =
        async { client.retry_group(name).await.map(|answer| Retried::Group(Box::new(answer))) };
    let retried = match several::task_or_group(task, group).await? {
        Retried::Group(answer) => answer,
        Retried::Task(task) => {
            if out.json {
                out.value(&task)?;
            } else {
                out.line(&task.id)?;
            }
            return Ok(exit::DONE);
        }
    };
    if out.json {
        out.value(&retried)?;
    } else {
        out.line(&retried.group.id)?;
    }
    let (count, short) = (format::count(retried.group.members), &retried.group.short);
    out.say(format!("group {short} of {count} tasks: meshwork wait {short}"));
    if retried.forgotten == 0 {
        return Ok(exit::DONE);
    }
    let forgotten = format::count(retried.forgotten.into());
    out.say(format!("{forgotten} more tasks did not succeed, but are no longer kept"));
    Ok(exit::FAILED)
}

async fn list(query: &TaskQuery, all: bool, client: &Client, out: &Output) -> anyhow::Result<()> {
    let tasks = client.tasks(query).await?;
    if tasks.next_cursor.is_some() {
        out.say(more(tasks.items.len(), &command(query, all)));
    }
    if out.json {
        return out.value(&tasks);
    }
    if out.quiet {
        for task in &tasks.items {
            out.line(&task.id)?;
        }
        return Ok(());
    }
    if tasks.items.is_empty() {
        out.say(if query.states.is_empty() {
            "no tasks"
        } else {
            "no matching tasks; to include ended tasks: meshwork task list --all"
        });
        return Ok(());
    }
    let mut table = Table::new(&[
        "TASK",
        "STATE",
        "HANDLER",
        "GROUP",
        "WORKER",
        "ATTEMPTS",
        "SUBMITTED",
        "NOTE",
    ]);
    for task in &tasks.items {
        let people = out.stdout_tty;
        table.row([
            if people { task.short.clone() } else { task.id.clone() },
            task.state.to_string(),
            task.handler.clone(),
            place(task, people),
            worker(task, people),
            task.attempts.last().map_or(0, |attempt| attempt.number).to_string(),
            if people {
                format::ago(task.submitted_at, meshwork_node::time_of_day())
            } else {
                format::time(task.submitted_at)
            },
            note(task),
        ]);
    }
    Ok(table.print(out)?)
}

/// A note that a list has more than `shown` items, with the command that shows ten times as many.
pub(super) fn more(shown: usize, command: &str) -> String {
    let (count, limit) =
        (shown.try_into().map_or_else(|_| shown.to_string(), format::count), 10 * shown);
    format!("these are the newest {count}; there are more: {command} --limit {limit}")
}

/// The words as the value of a flag, separated by commas.
pub(super) fn words(words: &[impl ToString]) -> String {
    words.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// The command that lists these tasks, without `--limit`.
fn command(query: &TaskQuery, all: bool) -> String {
    let mut command = "meshwork task list".to_owned();
    if all {
        command.push_str(" --all");
    } else if !query.states.is_empty() && query.states != TaskState::OPEN {
        command.push_str(&format!(" --state {}", words(&query.states)));
    }
    for (flag, value) in [("--handler", &query.handler), ("--group", &query.group)] {
        if let Some(value) = value {
            command.push_str(&format!(" {flag} {value}"));
        }
    }
    command
}

/// A task's group and its index there.
fn place(task: &TaskView, people: bool) -> String {
    let (Some(group), Some(index)) = (&task.group, task.index) else { return String::new() };
    let shown = if people { group.get(group.len().saturating_sub(6)..) } else { Some(&**group) };
    format!("{}/{index}", shown.unwrap_or(group))
}

fn worker(task: &TaskView, people: bool) -> String {
    match &task.worker {
        Some(worker) if people => format::peer_label(task.worker_name.as_deref(), worker),
        Some(worker) => worker.clone(),
        None => String::new(),
    }
}

fn note(task: &TaskView) -> String {
    match (&task.error, &task.waiting, &task.progress) {
        (Some(error), ..) => error.message.clone(),
        (None, Some(waiting), _) => waiting.message.clone(),
        (None, None, Some(progress)) => format::progress(progress),
        (None, None, None) => String::new(),
    }
}
