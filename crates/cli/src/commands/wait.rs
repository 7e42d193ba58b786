//! `wait`.

use std::time::Duration;

use meshwork_api::{Client, ClientError, GroupView, Problem, TaskState, TaskView};

use super::{
    away::{Away, Waited},
    group,
    place::{self, Place},
    results::{self, Lines},
    several::{self, Named, Outcomes},
    story,
};
use crate::{
    args::WaitArgs,
    exit,
    failure::Failure,
    limits,
    output::{Output, bar, format, show_progress},
    signals::Signals,
};

/// Waits for tasks and groups. For a single task the exit code is that of the task.
pub(super) async fn wait(args: WaitArgs, client: &Client, out: &Output) -> anyhow::Result<u8> {
    if args.is_all() && args.tasks.len() > 1 {
        return Err(several::all_with_other_ids("meshwork wait all").into());
    }
    until_interrupted(args, Signals::take()?, client, out).await
}

/// As [`wait`], with signals that were taken before: one that came meanwhile is not lost.
pub(super) async fn until_interrupted(
    args: WaitArgs,
    mut signals: Signals,
    client: &Client,
    out: &Output,
) -> anyhow::Result<u8> {
    let again = again(&args.tasks);
    let waiting = async {
        if args.is_all() { all(&args, client, out).await } else { some(&args, client, out).await }
    };
    tokio::select! {
        code = with_timeout(args.timeout, waiting) => code,
        () = signals.next() => {
            out.say(format!("\nstopped waiting; the tasks go on: {again}"));
            Ok(exit::INTERRUPTED)
        }
    }
}

/// The command that waits for the same tasks again; for many tasks, one that lists them.
fn again(tasks: &[String]) -> String {
    const MOST: usize = 4;
    if tasks.len() > MOST {
        return "meshwork task list".to_owned();
    }
    let tasks: Vec<String> = tasks.iter().map(|task| format::shell(task)).collect();
    format!("meshwork wait {}", tasks.join(" "))
}

async fn with_timeout(
    timeout: Option<Duration>,
    waiting: impl Future<Output = anyhow::Result<u8>>,
) -> anyhow::Result<u8> {
    let Some(timeout) = timeout else { return waiting.await };
    tokio::time::timeout(timeout, waiting).await.unwrap_or_else(|_| {
        let message = format!("not all tasks have ended within {}", format::span(timeout));
        Err(Failure::new(exit::TIME_LIMIT, "time_limit", message)
            .with_hint("meshwork task list")
            .into())
    })
}

/// Waits until the node has no open task.
async fn all(args: &WaitArgs, client: &Client, out: &Output) -> anyhow::Result<u8> {
    if args.results {
        let failure = Failure::usage("--results needs ids of tasks or groups, not `all`");
        return Err(failure.with_hint("meshwork wait ID --results").into());
    }
    let start = client.summary().await?;
    let waited = Waited {
        what: "each task with the durability disk".to_owned(),
        ids: "all".to_owned(),
        durable: true,
    };
    let mut away = Away::new(waited, client, out);
    let bar = bar(out, start.open(), Duration::ZERO);
    let (mut ended, mut failed) = (0, 0);
    let mut now = start;
    while now.open() > 0 {
        tokio::time::sleep(limits::BAR_INTERVAL).await;
        let before = now;
        now = away.ask(async || client.summary().await).await?;
        ended += since(before.ended_since_start, now.ended_since_start);
        failed += since(before.unsuccessful_since_start, now.unsuccessful_since_start);
        bar.set_length(ended + now.open());
        bar.set_position(ended);
        bar.set_message(failed_message(failed));
    }
    bar.finish_and_clear();
    if out.json {
        out.value(&now)?;
    } else {
        out.say(match failed {
            0 => "all tasks have ended".to_owned(),
            failed => format!("all tasks have ended, {} without a result", format::count(failed)),
        });
    }
    Ok(if failed == 0 || args.ok_if_failed { exit::DONE } else { exit::FAILED })
}

/// The growth of a count that restarts at 0 with the node.
fn since(before: u64, now: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

async fn some(args: &WaitArgs, client: &Client, out: &Output) -> anyhow::Result<u8> {
    let outcomes = Outcomes::new(&args.tasks, out);
    let lines = Lines::new(client, out);
    let mut wait = Wait { args, client, out, outcomes, lines };
    // Once, because `last` may name another task at the next request.
    let mut found = Vec::with_capacity(args.tasks.len());
    for id in &args.tasks {
        let named = Named::find(id, client).await;
        found.push(match named {
            Ok(named) => Ok(named),
            Err(error) => Err(wait.outcomes.report(id, error.into())?),
        });
    }
    if let [Ok(Named::Task(task))] = found.as_slice() {
        return wait.one(TaskView::clone(task)).await;
    }
    if !args.results {
        let tasks = found.iter().flatten().filter_map(Named::task).cloned().collect();
        wait.until_ended(tasks).await?;
    }
    for (id, named) in args.tasks.iter().zip(found) {
        match named {
            Err(failure) => wait.failed(id, &failure)?,
            Ok(Named::Group(group)) => wait.group(id, *group).await?,
            Ok(Named::Task(task)) => wait.task(id, *task).await?,
        }
    }
    wait.end()
}

/// A command that waits for the tasks and groups that it names.
struct Wait<'a> {
    args: &'a WaitArgs,
    client: &'a Client,
    out: &'a Output,
    outcomes: Outcomes<'a>,
    lines: Lines<'a>,
}

impl<'a> Wait<'a> {
    /// Waits for the only task and returns its exit code.
    async fn one(&self, task: TaskView) -> anyhow::Result<u8> {
        let task = self.ended(task).await?;
        let code = if self.args.ok_if_failed { exit::DONE } else { exit::of_task(&task) };
        if let Some(dir) = &self.args.out {
            Place::of(dir.clone(), &[]).save(task, self.client, self.out).await?;
            return Ok(code);
        }
        if !self.args.results {
            print_end(&task, self.out)?;
            return Ok(code);
        }
        let output = match task.error {
            None => {
                let mut away = self.away(std::slice::from_ref(&task));
                Some(away.ask(async || results::Output::of(&task, self.client).await).await?)
            }
            Some(_) => None,
        };
        results::print(task, output, self.client, self.out).await?;
        Ok(code)
    }

    /// Prints one task of several. Waits for it if results are printed; otherwise it has ended.
    async fn task(&mut self, id: &str, task: TaskView) -> anyhow::Result<()> {
        let mut away = self.away(std::slice::from_ref(&task));
        let ended = if self.args.results {
            self.ended(task).await
        } else {
            away.ask(async || self.client.task(&task.id).await).await
        };
        let ended = match ended {
            Ok(ended) => ended,
            Err(error) => return self.report(id, error),
        };
        let output = match ended.error {
            None if self.args.results => {
                match away.ask(async || results::Output::of(&ended, self.client).await).await {
                    Ok(output) => Some(output),
                    Err(error) => return self.report(id, error),
                }
            }
            _ => None,
        };
        let failed = ended.error.is_some() && !self.args.ok_if_failed;
        let code = if failed { exit::FAILED } else { exit::DONE };
        self.outcomes.add(&ended, code)?;
        if let Some(dir) = &self.args.out {
            return match Place::of(dir.clone(), &[]).save(ended, self.client, self.out).await {
                Ok(()) => Ok(()),
                Err(error) => self.report(id, error),
            };
        }
        if !self.args.results {
            self.out.say(format!("{} {}", ended.id, ended.state));
            return Ok(());
        }
        self.lines.task(ended, output)
    }

    /// Prints the failure of one of several ids and adds it; the others are still waited for.
    fn report(&mut self, id: &str, error: anyhow::Error) -> anyhow::Result<()> {
        let failure = self.outcomes.report(id, error)?;
        self.failed(id, &failure)
    }

    /// Adds a failure. It takes a line among the results, so that line N belongs to id N.
    fn failed(&mut self, id: &str, failure: &Failure) -> anyhow::Result<()> {
        if self.args.results {
            self.lines.failed(id, failure)?;
        }
        self.outcomes.add_failure(id, failure)
    }

    async fn group(&mut self, id: &str, group: GroupView) -> anyhow::Result<()> {
        let lines = self.args.results.then_some(&mut self.lines);
        let ended = match group::wait(group, lines, self.client, self.out).await {
            Ok(ended) => ended,
            Err(error) => {
                let failure = self.outcomes.report(id, error)?;
                return self.outcomes.add_failure(id, &failure);
            }
        };
        let code = if self.args.ok_if_failed { exit::DONE } else { group::code(&ended) };
        self.outcomes.add(&ended, code)?;
        if let Some(dir) = &self.args.out {
            // Several groups would have the same names.
            let dir = if self.args.is_one() { dir.clone() } else { dir.join(&ended.short) };
            self.outcomes.raise(place::save_group(&ended, &dir, self.client, self.out).await?);
        }
        if !self.out.json || self.args.results {
            group::say_end(&ended, self.out);
        }
        Ok(())
    }

    fn end(mut self) -> anyhow::Result<u8> {
        // Also with --ok-if-failed: a result that cannot be printed is no failed task.
        if self.lines.lost() > 0 {
            self.outcomes.raise(exit::FAILED);
        }
        if self.args.results { Ok(self.outcomes.code()) } else { self.outcomes.print() }
    }

    /// Waits until one task has ended, and shows its progress.
    async fn ended(&self, task: TaskView) -> anyhow::Result<TaskView> {
        let mut task = task;
        let mut away = self.away(std::slice::from_ref(&task));
        let bar = bar(self.out, 1, Duration::ZERO);
        while !task.is_ended() {
            show_progress(&bar, &task);
            task = away.ask(async || self.client.wait_task(&task.id, self.each()).await).await?;
        }
        bar.finish_and_clear();
        Ok(task)
    }

    /// How long one request to the node waits.
    fn each(&self) -> Duration {
        if self.out.shows_bars() { limits::BAR_INTERVAL } else { limits::PLAIN_WAIT }
    }

    /// Waits until all tasks have ended. A task that the node no longer knows counts as ended.
    async fn until_ended(&self, tasks: Vec<TaskView>) -> anyhow::Result<()> {
        let mut away = self.away(&tasks);
        let mut open: Vec<TaskView> = Vec::with_capacity(tasks.len());
        for task in tasks.into_iter().filter(|task| !task.is_ended()) {
            if !open.iter().any(|other| other.id == task.id) {
                open.push(task);
            }
        }
        if let [task] = open.as_slice() {
            return match self.ended(task.clone()).await {
                Err(error) if !is_unknown(&error) => Err(error),
                Ok(_) | Err(_) => Ok(()),
            };
        }
        let mut pending: Vec<String> = open.into_iter().map(|task| task.id).collect();
        let total = pending.len();
        let bar = bar(self.out, wide(total), Duration::ZERO);
        let mut failed = 0;
        while !pending.is_empty() {
            let rest = pending.split_off(pending.len().min(limits::WAITED_TASKS));
            let answer =
                away.ask(async || self.client.wait(pending.clone(), self.each()).await).await;
            match answer {
                Ok(answer) => {
                    let ends = answer.ended.iter();
                    failed += ends.filter(|task| task.state != TaskState::Succeeded).count();
                    // The next request starts with the rest, so that the bar counts them too.
                    pending = rest;
                    pending.extend(answer.pending);
                }
                Err(error) => {
                    let unknown = unknown(&error).ok_or(error)?;
                    pending.retain(|id| *id != unknown);
                    pending.extend(rest);
                }
            }
            bar.set_position(wide(total.saturating_sub(pending.len())));
            bar.set_message(failed_message(wide(failed)));
        }
        bar.finish_and_clear();
        Ok(())
    }

    fn away(&self, tasks: &[TaskView]) -> Away<'a> {
        Away::new(Waited::tasks(tasks), self.client, self.out)
    }
}

/// Whether the node does not know the task or has forgotten it.
fn is_unknown(error: &anyhow::Error) -> bool {
    unknown_problem(error).is_some()
}

/// The id of the task that the node does not know, if that is the error.
fn unknown(error: &anyhow::Error) -> Option<String> {
    unknown_problem(error)?.task_id.clone()
}

fn unknown_problem(error: &anyhow::Error) -> Option<&Problem> {
    let ClientError::Api(problem) = error.downcast_ref()? else { return None };
    matches!(problem.status, 404 | 410).then_some(&**problem)
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn print_end(task: &TaskView, out: &Output) -> anyhow::Result<()> {
    if out.json {
        out.value(task)?;
    } else if task.error.is_some() {
        out.failure(&story::failure(task));
    } else {
        out.say(format!("task {} succeeded: meshwork task result {}", task.short, task.short));
    }
    Ok(())
}

fn failed_message(failed: u64) -> String {
    if failed == 0 { String::new() } else { format!("{} failed", format::count(failed)) }
}
