//! `submit`: one task, or a group of them, handed in as many at a time as a request carries.

use std::{thread, time::Duration};

use meshwork_api::{BatchSpec, Client, ClientError, GroupView, TaskSpec};
use meshwork_core::GroupId;
use tokio::sync::mpsc;

use self::source::{Chunk, Source};
use super::spec;
use crate::{
    args::SubmitArgs,
    exit,
    failure::Failure,
    limits,
    output::{Output, Unwritable, format, unprinted},
    signals::Signals,
};

mod source;

/// Submits, and prints the id.
pub(super) async fn submit(args: SubmitArgs, client: &Client, out: &Output) -> anyhow::Result<u8> {
    if args.each_line.is_some() || args.array.is_some() || args.from_json.is_some() {
        return submit_group(args, client, out).await;
    }
    let task = client.submit(&spec::of(args.run)?, Duration::ZERO).await?;
    let printed = if out.json { out.value(&task) } else { out.line(&task.id).map_err(Into::into) };
    printed.map_err(|error| {
        let (id, short) = (&task.id, &task.short);
        unprinted(error, &format!("task {id} is accepted"), format!("meshwork task show {short}"))
    })?;
    Ok(exit::DONE)
}

async fn submit_group(args: SubmitArgs, client: &Client, out: &Output) -> anyhow::Result<u8> {
    let source = Source::open(&args)?;
    if args.array.is_none() && !args.run.input.is_empty() {
        return Err(Failure::usage("INPUT: each task of the group has its own")
            .with_hint("leave INPUT out")
            .into());
    }
    let max_fails = args.max_fails;
    let mut task = spec::of(args.run)?;
    let key = task.idempotency_key.take();
    let has_key = key.is_some();
    let group = key.map_or_else(GroupId::new, |key| GroupId::of_key(&key));
    let mut signals = Signals::take()?;
    let mut submission =
        Submission { task, group, max_fails, accepted: None, printed: Ok(()), out, client };
    let submitted = tokio::select! {
        submitted = submission.all(source) => submitted,
        () = signals.next() => {
            Err(Failure::new(exit::INTERRUPTED, "interrupted", "interrupted").into())
        }
    };
    match (submitted, submission.accepted) {
        (Ok(()), Some(view)) => {
            let printed = submission.printed.map_err(Into::into);
            let printed = if out.json { out.value(&view) } else { printed };
            let (id, short, members) = (&view.id, &view.short, format::count(view.members));
            printed.map_err(|error| {
                let kept = format!("group {id} of {members} tasks is accepted");
                unprinted(error, &kept, format!("meshwork wait {short}"))
            })?;
            out.say(format!("group {short} of {members} tasks: meshwork wait {short}"));
            Ok(exit::DONE)
        }
        (Ok(()), None) => Err(Failure::usage("there is no task in it: it is empty").into()),
        (Err(error), None) => Err(error),
        (Err(error), Some(view)) => Err(in_part(Failure::of(error), &view, has_key).into()),
    }
}

/// What was accepted before it failed goes on.
fn in_part(failure: Failure, view: &GroupView, has_key: bool) -> Failure {
    let count = format::count(view.members);
    let short = &view.short;
    let failure = Failure {
        message: format!(
            "{}; {count} tasks of group {short} were accepted before",
            failure.message
        ),
        ..failure
    };
    match (failure.code.as_str(), has_key) {
        ("group_stopped" | "group_cancelled", _) => failure,
        (_, true) => failure.with_hint("submit again with the same --key: it adds what is missing"),
        (_, false) => failure.with_hint(format!(
            "meshwork task list --group {short}; with --key KEY the same can be submitted again"
        )),
    }
}

/// A group on its way to the node.
struct Submission<'a> {
    task: TaskSpec,
    group: GroupId,
    max_fails: Option<u32>,
    /// The group as it was when the node answered last.
    accepted: Option<GroupView>,
    /// How printing the id ended. The rest is submitted even if it failed.
    printed: Result<(), Unwritable>,
    out: &'a Output,
    client: &'a Client,
}

impl Submission<'_> {
    async fn all(&mut self, source: Source) -> anyhow::Result<()> {
        let mut first = 0;
        let mut chunks = read(source)?;
        while let Some(chunk) = chunks.recv().await {
            let Chunk { members, last } = chunk?;
            let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
            let batch = BatchSpec {
                task: self.task.clone(),
                members,
                group: Some(self.group.to_string()),
                first,
                last,
                max_fails: self.max_fails,
            };
            let view = self.when_free(&batch).await?;
            if self.accepted.is_none() && !self.out.json {
                self.printed = self.out.line(&view.id);
            }
            self.accepted = Some(view);
            first = first.saturating_add(count);
        }
        Ok(())
    }

    /// Hands it in; waits as long as the node has no room.
    async fn when_free(&self, batch: &BatchSpec) -> Result<GroupView, ClientError> {
        let mut told = false;
        loop {
            let error = match self.client.submit_batch(batch).await {
                Ok(view) => return Ok(view),
                Err(error) => error,
            };
            let ClientError::Api(problem) = &error else { return Err(error) };
            if !["queue_full", "disk_full", "busy"].contains(&error.code()) {
                return Err(error);
            }
            if !std::mem::replace(&mut told, true) {
                let before = format::count(batch.first.into());
                let why = &problem.detail;
                self.out
                    .say(format!("{why}: {before} tasks are accepted, the others wait for room"));
            }
            let rest = problem.retry_after_ms.map(Duration::from_millis);
            tokio::time::sleep(rest.unwrap_or(limits::FULL_REST)).await;
        }
    }
}

/// What is read, up to the first failure.
type Chunks = mpsc::Receiver<Result<Chunk, Failure>>;

/// Reads on a thread of its own, one chunk ahead: who types the lines can still be interrupted.
fn read(mut source: Source) -> Result<Chunks, Failure> {
    let (sender, chunks) = mpsc::channel(1);
    let run = move || {
        while let Some(chunk) = source.next_chunk().transpose() {
            let failed = chunk.is_err();
            if sender.blocking_send(chunk).is_err() || failed {
                return;
            }
        }
    };
    let thread = thread::Builder::new().name("submit-source".to_owned()).spawn(run);
    thread.map_err(|error| {
        Failure::new(exit::FAILED, "failed", "cannot start a thread").because(error)
    })?;
    Ok(chunks)
}
