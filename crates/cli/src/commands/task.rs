//! `task`.

use chrono::Utc;
use meshwork_api::{Client, TaskQuery, TaskView};

use super::story;
use crate::{
    args::TaskVerb,
    exit,
    output::{Output, Table, format},
};

pub(super) async fn task(verb: TaskVerb, client: &Client, out: &Output) -> anyhow::Result<u8> {
    match verb {
        TaskVerb::List { all, state, handler, limit } => {
            let states = match (all, state.is_empty()) {
                (true, _) => Vec::new(),
                (false, true) => OPEN.map(str::to_owned).to_vec(),
                (false, false) => state,
            };
            list(&TaskQuery { states, handler, limit: Some(limit) }, client, out).await?;
        }
        TaskVerb::Show { task } => show(&client.task(&task).await?, out)?,
        TaskVerb::Explain { task } => {
            let task = client.task(&task).await?;
            show(&task, out)?;
            if task.waiting.is_some_and(|waiting| waiting.code == "no_eligible_peer") {
                return Ok(exit::NO_PEER);
            }
        }
        TaskVerb::Result { task } => {
            let bytes = client.result(&task).await?;
            out.data(&bytes)?;
            if out.stdout_tty && !bytes.is_empty() && !bytes.ends_with(b"\n") {
                out.data(b"\n")?;
            }
        }
        TaskVerb::Cancel { tasks, reason } => cancel(&tasks, &reason, client, out).await?,
    }
    Ok(exit::DONE)
}

fn show(task: &TaskView, out: &Output) -> anyhow::Result<()> {
    if out.json {
        out.value(task)
    } else if out.quiet {
        Ok(out.line(&task.id)?)
    } else {
        Ok(out.data(story::story(task, Utc::now()).as_bytes())?)
    }
}

/// The states of a task that has not ended.
const OPEN: [&str; 3] = ["queued", "assigned", "running"];

async fn list(query: &TaskQuery, client: &Client, out: &Output) -> anyhow::Result<()> {
    let tasks = client.tasks(query).await?;
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
            "no such tasks; those that have ended: meshwork task list --all"
        });
        return Ok(());
    }
    let mut table =
        Table::new(&["TASK", "STATE", "HANDLER", "WORKER", "ATTEMPTS", "SUBMITTED", "NOTE"]);
    for task in &tasks.items {
        let people = out.stdout_tty;
        table.row([
            if people { task.short.clone() } else { task.id.clone() },
            task.state.clone(),
            task.handler.clone(),
            worker(task, people),
            task.attempts.last().map_or(0, |attempt| attempt.number).to_string(),
            if people {
                format::ago(task.submitted_at, Utc::now())
            } else {
                format::time(task.submitted_at)
            },
            note(task),
        ]);
    }
    Ok(table.print(out)?)
}

fn worker(task: &TaskView, people: bool) -> String {
    match &task.worker {
        Some(worker) if people => format::peer_label(task.worker_name.as_deref(), worker),
        Some(worker) => worker.clone(),
        None => String::new(),
    }
}

fn note(task: &TaskView) -> String {
    match (&task.error, &task.waiting) {
        (Some(error), _) => error.message.clone(),
        (None, Some(waiting)) => waiting.message.clone(),
        (None, None) => String::new(),
    }
}

async fn cancel(
    tasks: &[String],
    reason: &str,
    client: &Client,
    out: &Output,
) -> anyhow::Result<()> {
    for selector in tasks {
        let task = client.cancel(selector, reason).await?;
        if out.json {
            out.value(&task)?;
        } else if out.quiet {
            out.line(&task.id)?;
        } else if task.state == "cancelled" {
            out.say(format!("task {} is cancelled", task.short));
        } else {
            out.say(format!("task {} had ended before: {}", task.short, task.state));
        }
    }
    Ok(())
}
