//! `wait`.

use std::{collections::BTreeMap, time::Duration};

use meshwork_api::{Client, ClientError, GroupView, TaskView};
use tokio::time::Instant;

use super::{group, story};
use crate::{
    args::WaitArgs,
    exit,
    failure::Failure,
    limits,
    output::{Output, bar, format},
    signals::Signals,
};

/// Waits; on one task the exit code is the task's own.
pub(super) async fn wait(args: WaitArgs, client: &Client, out: &Output) -> anyhow::Result<u8> {
    let mut signals = Signals::take()?;
    let waiting = async {
        if args.is_all() { all(&args, client, out).await } else { some(&args, client, out).await }
    };
    let code = tokio::select! {
        code = with_timeout(args.timeout, waiting) => code?,
        () = signals.next() => {
            out.say("\nstopped waiting; the tasks go on");
            return Ok(exit::INTERRUPTED);
        }
    };
    Ok(if args.ok_if_failed { exit::DONE } else { code })
}

async fn with_timeout(
    timeout: Option<Duration>,
    waiting: impl Future<Output = anyhow::Result<u8>>,
) -> anyhow::Result<u8> {
    let Some(timeout) = timeout else { return waiting.await };
    tokio::time::timeout(timeout, waiting).await.unwrap_or_else(|_| {
        let message = format!("not all have ended within {}", format::span(timeout));
        Err(Failure::new(exit::TIME_LIMIT, "time_limit", message)
            .with_hint("meshwork task list")
            .into())
    })
}

/// Waits until the node has no open task.
async fn all(args: &WaitArgs, client: &Client, out: &Output) -> anyhow::Result<u8> {
    let start = client.summary().await?;
    let bar = bar(out, start.open());
    let mut now = start;
    while now.open() > 0 {
        tokio::time::sleep(limits::BAR_INTERVAL).await;
        now = client.summary().await?;
        let ended = now.succeeded + now.unsuccessful() - start.succeeded - start.unsuccessful();
        bar.set_length(ended + now.open());
        bar.set_position(ended);
        bar.set_message(failed_message(now.unsuccessful() - start.unsuccessful()));
    }
    bar.finish_and_clear();
    let failed = now.unsuccessful().saturating_sub(start.unsuccessful());
    if out.json {
        out.value(&now)?;
    } else {
        out.say(match failed {
            0 => "all have ended".to_owned(),
            failed => format!("all have ended, {} without a result", format::count(failed)),
        });
    }
    Ok(if failed == 0 || args.ok_if_failed { exit::DONE } else { exit::FAILED })
}

async fn some(args: &WaitArgs, client: &Client, out: &Output) -> anyhow::Result<u8> {
    // Now, and not with each request: `last` must stay the same task.
    let (mut pending, mut groups) = (Vec::with_capacity(args.tasks.len()), Vec::new());
    for selector in &args.tasks {
        if let Some(found) = group::find(client, selector).await? {
            groups.push(found);
            continue;
        }
        let id = client.task(selector).await?.id;
        if !pending.contains(&id) {
            pending.push(id);
        }
    }
    let mut code = exit::DONE;
    for found in groups {
        code = code.max(one_group(found, args, client, out).await?);
    }
    if pending.is_empty() {
        return Ok(code);
    }
    Ok(code.max(some_tasks(pending, args, client, out).await?))
}

async fn one_group(
    found: GroupView,
    args: &WaitArgs,
    client: &Client,
    out: &Output,
) -> anyhow::Result<u8> {
    let ended = group::wait(found, args.results, client, out).await?;
    if out.json && !args.results {
        out.value(&ended)?;
    } else {
        group::say_end(&ended, out);
    }
    Ok(group::code(&ended))
}

async fn some_tasks(
    pending: Vec<String>,
    args: &WaitArgs,
    client: &Client,
    out: &Output,
) -> anyhow::Result<u8> {
    let tasks = pending.clone();
    let states = until_ended(pending, client, out).await?;
    if let ([id], true) = (tasks.as_slice(), args.is_one()) {
        return one(&client.task(id).await?, out);
    }
    let failed = states.values().filter(|state| *state != "succeeded").count();
    if out.json {
        let mut views = Vec::with_capacity(tasks.len());
        for id in &tasks {
            views.push(client.task(id).await?);
        }
        out.value(&views)?;
    } else {
        for id in &tasks {
            let state = states.get(id).map_or("ended", String::as_str);
            out.say(format!("{id} {state}"));
        }
    }
    Ok(if failed == 0 { exit::DONE } else { exit::FAILED })
}

/// Waits for the end of all these; gives their states.
async fn until_ended(
    mut pending: Vec<String>,
    client: &Client,
    out: &Output,
) -> Result<BTreeMap<String, String>, ClientError> {
    let mut states = BTreeMap::new();
    let total = pending.len();
    let bar = bar(out, u64::try_from(total).unwrap_or(u64::MAX));
    let each = if out.shows_bars() { limits::BAR_INTERVAL } else { limits::PLAIN_WAIT };
    while !pending.is_empty() {
        let rest = pending.split_off(pending.len().min(limits::WAITED_TASKS));
        let asked = Instant::now();
        let answer = match client.wait(pending.clone(), each).await {
            Ok(answer) => answer,
            Err(error) if error.is_retryable() && error.code() == "busy" => {
                tokio::time::sleep_until(asked + limits::BAR_INTERVAL).await;
                pending.extend(rest);
                continue;
            }
            Err(error) => return Err(error),
        };
        states.extend(answer.ended.into_iter().map(|task| (task.id, task.state)));
        // Those behind come first next time, so that the bar moves for them as well.
        pending = rest;
        pending.extend(answer.pending);
        bar.set_position(u64::try_from(states.len()).unwrap_or(u64::MAX));
        let failed = states.values().filter(|state| *state != "succeeded").count();
        bar.set_message(failed_message(u64::try_from(failed).unwrap_or(u64::MAX)));
    }
    bar.finish_and_clear();
    Ok(states)
}

/// Ends as the task did.
fn one(task: &TaskView, out: &Output) -> anyhow::Result<u8> {
    if out.json {
        out.value(task)?;
    } else if task.error.is_some() {
        out.failure(&story::failure(task));
    } else {
        out.say(format!("task {} succeeded: meshwork task result {}", task.short, task.short));
    }
    Ok(exit::of_task(task))
}

fn failed_message(failed: u64) -> String {
    if failed == 0 { String::new() } else { format!("{} failed", format::count(failed)) }
}
