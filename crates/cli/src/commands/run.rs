//! `run`.

use std::time::Duration;

use bytes::Bytes;
use meshwork_api::{Client, ClientError, Payload, TaskSpec, TaskView};
use serde::Serialize;

use super::{spec, story};
use crate::{
    args::RunArgs,
    exit, limits,
    output::{Output, format, unprinted},
    signals::Signals,
};

/// What `run --json` prints.
#[derive(Serialize)]
struct Run {
    #[serde(flatten)]
    task: TaskView,
    /// The result, if there is one.
    output: Option<Payload>,
}

/// Submits, tells where it runs, prints the result, and ends as the task did. Ctrl-C leaves the
/// task to itself.
pub(super) async fn run(args: RunArgs, client: &Client, out: &Output) -> anyhow::Result<u8> {
    let spec = spec::of(args)?;
    let mut signals = Signals::take()?;
    let mut teller = Teller { out, known: None, told: String::new() };
    let ended = tokio::select! {
        ended = to_the_end(&spec, client, &mut teller) => Some(ended?),
        () = signals.next() => None,
    };
    let Some(task) = ended else {
        match &teller.known {
            Some(short) => out.say(format!(
                "\ndetached: task {short} goes on; come back with: meshwork wait {short}, then \
                 meshwork task result {short}"
            )),
            None => out.say("\ninterrupted before the task was accepted: meshwork task list"),
        }
        return Ok(exit::INTERRUPTED);
    };
    let output = match &task.error {
        None => Some(client.result(&task.id).await?),
        Some(_) => None,
    };
    let code = exit::of_task(&task);
    let short = task.short.clone();
    print(task, output, out).map_err(|error| {
        let kept = format!("task {short} has ended, and its result is kept");
        unprinted(error, &kept, format!("meshwork task result {short}"))
    })?;
    Ok(code)
}

fn print(task: TaskView, output: Option<Bytes>, out: &Output) -> anyhow::Result<()> {
    if out.json {
        return out.value(&Run { task, output: output.map(Payload::of) });
    }
    match output {
        Some(bytes) => {
            out.data(&bytes)?;
            if out.stdout_tty && !bytes.is_empty() && !bytes.ends_with(b"\n") {
                out.data(b"\n")?;
            }
        }
        None => out.failure(&story::failure(&task)),
    }
    Ok(())
}

async fn to_the_end(
    spec: &TaskSpec,
    client: &Client,
    teller: &mut Teller<'_>,
) -> Result<TaskView, ClientError> {
    // Not waited for: from the answer on, an interrupted task can be named.
    let mut task = client.submit(spec, Duration::ZERO).await?;
    teller.known = Some(task.short.clone());
    let mut wait = limits::FIRST_WAIT;
    while !task.is_ended() {
        match client.wait(vec![task.id.clone()], wait).await {
            Ok(_) => {}
            // Too many wait already: look, and wait again.
            Err(error) if error.is_retryable() && error.code() == "busy" => {
                tokio::time::sleep(wait).await;
            }
            Err(error) => return Err(error),
        }
        task = client.task(&task.id).await?;
        teller.tell(&task);
        wait = limits::NEXT_WAIT;
    }
    teller.tell(&task);
    Ok(task)
}

/// Tells where a task is, each thing once.
struct Teller<'o> {
    out: &'o Output,
    /// The task's short id, once it is accepted.
    known: Option<String>,
    told: String,
}

impl Teller<'_> {
    fn tell(&mut self, task: &TaskView) {
        let news = match (&task.worker, &task.waiting) {
            (Some(worker), _) => {
                format!("-> {}", format::peer_label(task.worker_name.as_deref(), worker))
            }
            (None, Some(waiting)) => format!("waits: {}", format::printable(&waiting.message)),
            (None, None) => return,
        };
        if news != self.told {
            self.out.say(format!("task {} {news}", task.short));
            self.told = news;
        }
    }
}
