//! `run`.

use std::time::Duration;

use indicatif::ProgressBar;
use meshwork_api::{Client, ClientError, ErrorCode, TaskSpec, TaskView};
use tokio::time::Instant;

use super::{away::Waited, family, results, spec};
use crate::{
    args::RunArgs,
    exit, limits,
    output::{Output, bar, format, show_progress, unprinted},
    signals::Signals,
};

/// Submits, tells where it runs, prints the result, and ends as the task did. Ctrl-C leaves the
/// task to itself.
pub(super) async fn run(args: RunArgs, client: &Client, out: &Output) -> anyhow::Result<u8> {
    let spec = spec::of(args)?;
    let mut signals = Signals::take()?;
    let mut teller = Teller {
        out,
        bar: bar(out, 1, Duration::ZERO),
        known: None,
        told: String::new(),
        since: Instant::now(),
    };
    let ended = tokio::select! {
        ended = to_the_end(&spec, client, &mut teller) => Some(ended),
        () = signals.next() => None,
    };
    teller.bar.finish_and_clear();
    let ended = ended.transpose()?;
    let Some(task) = ended else {
        match &teller.known {
            Some(short) => out.say(format!(
                "\ndetached: task {short} goes on; come back with: meshwork wait {short} --results"
            )),
            None => out.say("\ninterrupted before the task was accepted: meshwork task list"),
        }
        return Ok(exit::INTERRUPTED);
    };
    let output = match &task.error {
        None => Some(client.result(&task.id).await.map_err(|error| left(error, &task, client))?),
        Some(_) => None,
    };
    let code = exit::of_task(&task);
    let short = task.short.clone();
    results::print(task, output, out).map_err(|error| {
        let kept = format!("task {short} has ended, and its result is kept");
        unprinted(error, &kept, format!("meshwork task result {short}"))
    })?;
    Ok(code)
}

async fn to_the_end(
    spec: &TaskSpec,
    client: &Client,
    teller: &mut Teller<'_>,
) -> anyhow::Result<TaskView> {
    // Not waited for: from the answer on, an interrupted task can be named.
    let mut task = client.submit(spec, Duration::ZERO).await?;
    teller.known = Some(task.short.clone());
    family::warn_of_task(&task, client, teller.out).await;
    let mut wait = limits::FIRST_WAIT;
    while !task.is_ended() {
        let waited = match client.wait_task(&task.id, wait).await {
            // Too many wait already: look, and wait again.
            Err(error) if error.is_retryable() && *error.code() == ErrorCode::Busy => {
                tokio::time::sleep(wait).await;
                client.task(&task.id).await
            }
            waited => waited,
        };
        task = waited.map_err(|error| left(error, &task, client))?;
        teller.tell(&task);
        wait = if teller.out.shows_bars() { limits::BAR_INTERVAL } else { limits::NEXT_WAIT };
    }
    teller.tell(&task);
    Ok(task)
}

fn left(error: ClientError, task: &TaskView, client: &Client) -> anyhow::Error {
    Waited::tasks(std::slice::from_ref(task)).left(error, client)
}

/// Tells where a task is, each thing once, and how far it is.
struct Teller<'o> {
    out: &'o Output,
    /// Empty until the task says how far it is.
    bar: ProgressBar,
    /// The task's short id, once it is accepted.
    known: Option<String>,
    told: String,
    since: Instant,
}

impl Teller<'_> {
    fn tell(&mut self, task: &TaskView) {
        show_progress(&self.bar, task);
        let news = match (&task.worker, &task.waiting) {
            (Some(worker), _) => {
                format!("-> {}", format::peer_label(task.worker_name.as_deref(), worker))
            }
            // What is sent within a moment is no news.
            (None, Some(_)) if self.since.elapsed() < limits::QUIET_WAIT => return,
            (None, Some(waiting)) => format!(
                "waits: {}; why: meshwork task explain {}",
                format::printable(&waiting.message),
                task.short
            ),
            (None, None) => return,
        };
        if news != self.told {
            self.bar.suspend(|| self.out.say(format!("task {} {news}", task.short)));
            self.told = news;
        }
    }
}
