//! `run`.

use std::time::Duration;

use indicatif::ProgressBar;
use meshwork_api::{Client, ClientError, ErrorCode, TaskView};
use tokio::time::Instant;

use super::{
    away::Waited,
    family,
    place::Place,
    results,
    spec::{self, Prepared},
};
use crate::{
    args::RunArgs,
    exit, limits,
    output::{Output, bar, format, show_progress, unprinted},
    signals::Signals,
};

/// Submits a task, prints where it runs and its result, and returns its exit code. After Ctrl-C the
/// task goes on.
pub(super) async fn run(args: RunArgs, client: &Client, out: &Output) -> anyhow::Result<u8> {
    let place = args.out.as_ref().map(|dir| Place::of(dir.clone(), &args.input));
    if let Some(place) = &place {
        place.require_free()?;
    }
    let prepared = spec::of(args)?;
    let mut signals = Signals::take()?;
    let mut reporter = Reporter {
        out,
        bar: bar(out, 1, Duration::ZERO),
        accepted: None,
        last: String::new(),
        since: Instant::now(),
    };
    let ended = tokio::select! {
        ended = to_the_end(prepared, client, &mut reporter) => Some(ended),
        () = signals.next() => None,
    };
    reporter.bar.finish_and_clear();
    let ended = ended.transpose()?;
    let Some(task) = ended else {
        match &reporter.accepted {
            Some(short) => out.say(format!(
                "\ndetached: task {short} goes on; to get its result: meshwork wait {short} --results"
            )),
            None => out.say(
                "\ninterrupted before the node answered; a task that it has accepted goes on: \
                 meshwork task list",
            ),
        }
        return Ok(exit::INTERRUPTED);
    };
    let short = task.short.clone();
    // A large result takes a while as well.
    tokio::select! {
        code = give(task, place, client, out) => code,
        () = signals.next() => {
            out.say(format!(
                "\ninterrupted: task {short} has ended, and its result is kept: meshwork task \
                 result {short}"
            ));
            Ok(exit::INTERRUPTED)
        }
    }
}

/// Prints or saves the result of a task. Returns its exit code.
async fn give(
    task: TaskView,
    place: Option<Place>,
    client: &Client,
    out: &Output,
) -> anyhow::Result<u8> {
    let (code, short) = (exit::of_task(&task), task.short.clone());
    let kept = format!("task {short} has ended, and its result is kept");
    if let Some(place) = place {
        let saved = place.save(task, client, out).await;
        let way = format!("meshwork task result {short} --out DIR");
        return saved.map(|()| code).map_err(|error| unprinted(error, &kept, way));
    }
    let output = match &task.error {
        None => {
            let output = results::Output::of(&task, client).await;
            Some(output.map_err(|error| failure(error, &task, client))?)
        }
        Some(_) => None,
    };
    let printed = results::print(task, output, client, out).await;
    printed.map_err(|error| unprinted(error, &kept, format!("meshwork task result {short}")))?;
    Ok(code)
}

async fn to_the_end(
    prepared: Prepared,
    client: &Client,
    reporter: &mut Reporter<'_>,
) -> anyhow::Result<TaskView> {
    prepared.check(client).await?;
    let spec = prepared.send(client, reporter.out).await?;
    // The request does not wait, so that the task's id is known if the user interrupts.
    let mut task = client.submit(&spec, Duration::ZERO).await?;
    reporter.accepted = Some(task.short.clone());
    family::warn_of_task(&task, client, reporter.out).await;
    let mut wait = limits::FIRST_WAIT;
    while !task.is_ended() {
        let waited = match client.wait_task(&task.id, wait).await {
            // Too many requests wait already: ask without waiting, then try again.
            Err(error) if error.is_retryable() && *error.code() == ErrorCode::Busy => {
                tokio::time::sleep(wait).await;
                client.task(&task.id).await
            }
            waited => waited,
        };
        task = waited.map_err(|error| failure(error, &task, client))?;
        reporter.report(&task);
        wait = if reporter.out.shows_bars() { limits::BAR_INTERVAL } else { limits::NEXT_WAIT };
    }
    reporter.report(&task);
    Ok(task)
}

fn failure(error: ClientError, task: &TaskView, client: &Client) -> anyhow::Error {
    Waited::tasks(std::slice::from_ref(task)).failure(error, client)
}

/// Prints where a task runs or why it waits, each message once, and shows its progress.
struct Reporter<'o> {
    out: &'o Output,
    /// Empty until the task reports progress.
    bar: ProgressBar,
    /// The task's short id, once it is accepted.
    accepted: Option<String>,
    /// The last message.
    last: String,
    since: Instant,
}

impl Reporter<'_> {
    fn report(&mut self, task: &TaskView) {
        show_progress(&self.bar, task);
        let news = match (&task.worker, &task.waiting) {
            (Some(worker), _) => {
                format!("-> {}", format::peer_label(task.worker_name.as_deref(), worker))
            }
            // A short wait is not worth a line.
            (None, Some(_)) if self.since.elapsed() < limits::QUIET_WAIT => return,
            (None, Some(waiting)) => format!(
                "waits: {}; why: meshwork task explain {}",
                format::printable(&waiting.message),
                task.short
            ),
            (None, None) => return,
        };
        if news != self.last {
            self.bar.suspend(|| self.out.say(format!("task {} {news}", task.short)));
            self.last = news;
        }
    }
}
