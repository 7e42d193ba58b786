//! `submit`: one task, or a group whose members are sent in as few requests as possible.

use std::time::Duration;

use meshwork_api::{BatchSpec, Client, ClientError, ErrorCode, GroupView, TaskSpec};
use meshwork_core::GroupId;

use self::{
    chunks::{Chunk, Chunks},
    source::Source,
};
use super::{family, run, spec, wait};
use crate::{
    args::{SubmitArgs, WaitArgs},
    exit,
    failure::Failure,
    limits,
    output::{Output, Unwritable, format, unprinted},
    signals::Signals,
};

mod chunks;
mod differs;
mod source;

/// Submits a task or group and prints its id.
pub(super) async fn submit(args: SubmitArgs, client: &Client, out: &Output) -> anyhow::Result<u8> {
    if args.each_line.is_some() || args.array.is_some() || args.from_json.is_some() {
        let (wait, handler) = (args.wait, args.run.handler.clone());
        let group = submit_group(args, client, out).await?;
        if group.queued > 0 {
            family::warn(&handler, &group.short, client, out).await;
        }
        if wait {
            return wait::wait(WaitArgs::of_group(group.id), client, out).await;
        }
        if out.json {
            out.value(&group).map_err(|error| unprinted_group(error, &group))?;
        }
        let (short, members) = (&group.short, format::count(group.members));
        out.say(format!("group {short} of {members} tasks: meshwork wait {short}"));
        return Ok(exit::DONE);
    }
    if args.wait {
        return run::run(args.run, client, out).await;
    }
    let task = client.submit(&spec::of(args.run)?, Duration::ZERO).await?;
    let printed = if out.json { out.value(&task) } else { out.line(&task.id).map_err(Into::into) };
    printed.map_err(|error| {
        let (id, short) = (&task.id, &task.short);
        unprinted(error, &format!("task {id} is accepted"), format!("meshwork task show {short}"))
    })?;
    family::warn_of_task(&task, client, out).await;
    Ok(exit::DONE)
}

/// Submits a group and prints its id, unless the output is JSON.
async fn submit_group(
    args: SubmitArgs,
    client: &Client,
    out: &Output,
) -> anyhow::Result<GroupView> {
    let source = Source::open(&args)?;
    if args.array.is_none() && !args.run.input.is_empty() {
        return Err(Failure::usage(
            "INPUT: the tasks of this group get their inputs from the file",
        )
        .with_hint("omit INPUT")
        .into());
    }
    let noun = Noun::of(&args);
    let max_fails = args.max_fails;
    let mut task = spec::of(args.run)?;
    let key = task.idempotency_key.take();
    let has_key = key.is_some();
    let group = key.map_or_else(GroupId::new, |key| GroupId::of_key(&key));
    let mut signals = Signals::take()?;
    let mut submission =
        Submission { task, group, max_fails, noun, accepted: None, printed: Ok(()), out, client };
    let submitted = tokio::select! {
        submitted = submission.all(source) => submitted,
        () = signals.next() => {
            // The interrupted request may have been accepted.
            submission.refresh().await;
            Err(Failure::new(exit::INTERRUPTED, "interrupted", "interrupted").into())
        }
    };
    match (submitted, submission.accepted) {
        (Ok(()), Some(view)) => {
            let printed = submission.printed;
            printed.map_err(|error| unprinted_group(error.into(), &view))?;
            Ok(view)
        }
        (Ok(()), None) => Err(Failure::usage("the source is empty: nothing to submit").into()),
        (Err(error), None) => Err(error),
        (Err(error), Some(view)) => Err(in_part(Failure::of(error), noun, &view, has_key).into()),
    }
}

fn unprinted_group(error: anyhow::Error, group: &GroupView) -> anyhow::Error {
    let GroupView { id, short, .. } = group;
    let kept = format!("group {id} of {} tasks is accepted", format::count(group.members));
    unprinted(error, &kept, format!("meshwork wait {short}"))
}

/// The word for one member in the source of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noun {
    Line,
    Element,
    Number,
}

impl Noun {
    fn of(args: &SubmitArgs) -> Self {
        match (&args.each_line, &args.array) {
            (Some(_), _) => Self::Line,
            (None, Some(_)) => Self::Number,
            (None, None) => Self::Element,
        }
    }

    fn one(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Element => "element",
            Self::Number => "number",
        }
    }

    /// `1 line`, `4,096 lines`.
    fn count(self, count: u64) -> String {
        let s = if count == 1 { "" } else { "s" };
        format!("{} {}{s}", format::count(count), self.one())
    }

    /// `line 1 is`, `lines 1 to 4,096 are`.
    fn first(self, count: u64) -> String {
        match count {
            1 => format!("{} 1 is", self.one()),
            count => format!("{}s 1 to {} are", self.one(), format::count(count)),
        }
    }
}

/// Adds to a failure that the members accepted before it are submitted.
fn in_part(failure: Failure, noun: Noun, view: &GroupView, has_key: bool) -> Failure {
    let short = &view.short;
    let before = noun.first(view.members);
    let failure = Failure {
        message: format!("{}; {before} submitted as group {short}", failure.message),
        ..failure
    };
    match (&failure.code, has_key) {
        (ErrorCode::GroupStopped | ErrorCode::GroupCancelled | ErrorCode::Conflict, _) => failure,
        (_, true) => failure.with_hint("submit again with the same --key to add the rest"),
        (_, false) => failure.with_hint(format!(
            "meshwork task list --group {short}; a group with --key KEY can be submitted again"
        )),
    }
}

/// A group that is being submitted.
struct Submission<'a> {
    task: TaskSpec,
    group: GroupId,
    max_fails: Option<u32>,
    noun: Noun,
    /// The group in the last answer of the node.
    accepted: Option<GroupView>,
    /// The result of printing the id. After an error the rest is still submitted.
    printed: Result<(), Unwritable>,
    out: &'a Output,
    client: &'a Client,
}

impl Submission<'_> {
    async fn all(&mut self, source: Source) -> anyhow::Result<()> {
        let mut chunks = Chunks::of(source, self.task.bytes_per_member())?;
        while let Some(chunk) = chunks.next().await? {
            let Chunk { first, members, last } = chunk;
            let until = u64::from(first).saturating_add(members.len());
            let batch = BatchSpec {
                task: self.task.clone(),
                members,
                group: Some(self.group.to_string()),
                first,
                last,
                max_fails: self.max_fails,
            };
            let view = match self.submit_when_free(&batch).await {
                Err(error) if *error.code() == ErrorCode::Conflict => {
                    return Err(self.conflict(error, chunks, until).await);
                }
                view => view?,
            };
            if self.accepted.is_none() && !self.out.json {
                self.printed = self.out.line(&view.id);
            }
            self.accepted = Some(view);
        }
        Ok(())
    }

    /// The error for a node that knows a different group by the same key.
    async fn conflict(&mut self, error: ClientError, rest: Chunks, until: u64) -> anyhow::Error {
        let ClientError::Api(problem) = &error else { return error.into() };
        // The members that the node has were submitted earlier.
        self.accepted = None;
        let id = self.group.to_string();
        let Ok(known) = self.client.group(&id, Duration::ZERO).await else {
            return error.into();
        };
        let total = match rest.count(until).await {
            Ok(total) => total,
            Err(failure) => return failure.into(),
        };
        let differs = problem.task_id.as_ref().and_then(|task| task.parse().ok());
        let given = differs::Given {
            members: total,
            max_fails: self.max_fails,
            durability: self.task.durability,
            differs: differs.and_then(|task| self.group.index_of(&task)),
        };
        let failure = Failure::of(error.into());
        let cause = failure.message.clone();
        match differs::text(&known, &given, self.noun) {
            Some(text) => {
                let message = format!("the key names a group that was submitted before: {text}");
                Failure { message, ..failure }
                    .because(cause)
                    .with_hint(format!(
                        "meshwork wait {}, or submit with another --key",
                        known.short
                    ))
                    .into()
            }
            None => failure.into(),
        }
    }

    /// Asks the node for the current state of the group.
    async fn refresh(&mut self) {
        let id = self.group.to_string();
        // On an error the last answer stays.
        if let Ok(view) = self.client.group(&id, Duration::ZERO).await {
            self.accepted = Some(view);
        }
    }

    /// Submits a batch; waits and retries while the node has no room.
    async fn submit_when_free(&self, batch: &BatchSpec) -> Result<GroupView, ClientError> {
        let mut warned = false;
        loop {
            let error = match self.client.submit_batch(batch).await {
                Ok(view) => return Ok(view),
                Err(error) => error,
            };
            let ClientError::Api(problem) = &error else { return Err(error) };
            if ![ErrorCode::QueueFull, ErrorCode::DiskFull, ErrorCode::Busy].contains(error.code())
            {
                return Err(error);
            }
            if !std::mem::replace(&mut warned, true) {
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
