//! `submit`: one task, or a group whose members are sent in as few requests as possible.

use std::{ffi::OsString, time::Duration};

use meshwork_api::{BatchSpec, Client, ClientError, ErrorCode, GroupView, TaskSpec};
use meshwork_core::GroupId;

use self::{
    chunks::{Chunk, Chunks},
    each_file::Files,
    source::Source,
};
use super::{family, files, names, run, spec, wait};
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
mod each_file;
mod source;

/// Submits a task or group and prints its id.
pub(super) async fn submit(
    mut args: SubmitArgs,
    client: &Client,
    out: &Output,
) -> anyhow::Result<u8> {
    if args.run.out.is_some() && !args.wait {
        let hint = "meshwork wait TASK --out DIR, once the tasks are submitted";
        return Err(Failure::usage("--out needs --wait").with_hint(hint).into());
    }
    if args.each_file
        || args.each_line.is_some()
        || args.array.is_some()
        || args.from_json.is_some()
    {
        let (wait, dir) = (args.wait, args.run.out.take());
        let (group, handler, signals) = submit_group(args, client, out).await?;
        if group.queued > 0 {
            family::warn(&handler, &group.short, client, out).await;
        }
        if wait {
            let args = WaitArgs::of_group(group.id, dir);
            return wait::until_interrupted(args, signals, client, out).await;
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
    let prepared = spec::of(args.run)?;
    prepared.check(client).await?;
    let task = prepared.send(client, out).await?;
    let task = client.submit(&task, Duration::ZERO).await?;
    let printed = if out.json { out.value(&task) } else { out.line(&task.id).map_err(Into::into) };
    printed.map_err(|error| {
        let (id, short) = (&task.id, &task.short);
        unprinted(error, &format!("task {id} is accepted"), format!("meshwork task show {short}"))
    })?;
    family::warn_of_task(&task, client, out).await;
    Ok(exit::DONE)
}

/// Submits a group and prints its id, unless the output is JSON. Also returns the handler, and the
/// signals, which it has taken.
async fn submit_group(
    mut args: SubmitArgs,
    client: &Client,
    out: &Output,
) -> anyhow::Result<(GroupView, String, Signals)> {
    let files = if args.each_file { Some(take_files(&mut args, out)?) } else { None };
    if args.array.is_none() && !args.run.input.is_empty() {
        return Err(Failure::usage(
            "INPUT: the tasks of this group get their inputs from the file",
        )
        .with_hint("omit INPUT")
        .into());
    }
    // Read before the input of all tasks is sent.
    let source = if files.is_none() { Some(Source::open(&args)?) } else { None };
    let noun = Noun::of(&args);
    let max_fails = args.max_fails;
    let mut task = spec::of(args.run)?.send(client, out).await?;
    let handler = task.handler.clone();
    let key = task.idempotency_key.take();
    let has_key = key.is_some();
    let group = key.map_or_else(GroupId::new, |key| GroupId::of_key(&key));
    let mut signals = Signals::take()?;
    let source = match (source, files) {
        (Some(source), _) => source,
        (None, files) => send_files(files.unwrap_or_default(), &task, group, client, out).await?,
    };
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
            Ok((view, handler, signals))
        }
        (Ok(()), None) => Err(Failure::usage("the source is empty: nothing to submit").into()),
        (Err(error), None) => Err(error),
        (Err(error), Some(view)) => Err(in_part(Failure::of(error), noun, &view, has_key).into()),
    }
}

/// Takes the files out of the arguments; the last word is the handler.
fn take_files(args: &mut SubmitArgs, out: &Output) -> Result<Files, Failure> {
    let hint = "meshwork submit --each-file PATH… HANDLER: the handler comes last";
    let Some(handler) = args.run.input.pop() else {
        return Err(Failure::usage("--each-file: no file is named").with_hint(hint));
    };
    let first = std::mem::replace(&mut args.run.handler, handler);
    let words: Vec<OsString> = std::iter::once(first).chain(args.run.input.drain(..)).collect();
    let found = Files::find(&words, files::links(args.run.follow_links))?;
    if found.skipped > 0 {
        let skipped = format::count(found.skipped);
        out.say(format!("{skipped} links and other entries that are no files are left out"));
    }
    Ok(found)
}

/// Checks all that can be checked, keeps the files' names, and begins to send the files.
async fn send_files(
    files: Files,
    task: &TaskSpec,
    group: GroupId,
    client: &Client,
    out: &Output,
) -> anyhow::Result<Source> {
    let names = files.names()?;
    if files.has_large() {
        spec::require_handler(&task.handler, client).await?;
        spec::require_targets(&task.targets, client).await?;
        files.require_space(client).await?;
    }
    if !files.is_empty() {
        names::keep(&group.to_string(), &names, client)?;
    }
    Ok(Source::Sent(files.send(client, out)))
}

fn unprinted_group(error: anyhow::Error, group: &GroupView) -> anyhow::Error {
    let GroupView { id, short, .. } = group;
    let kept = format!("group {id} of {} tasks is accepted", format::count(group.members));
    unprinted(error, &kept, format!("meshwork wait {short}"))
}

/// The word for one member in the source of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noun {
    File,
    Line,
    Element,
    Number,
}

impl Noun {
    fn of(args: &SubmitArgs) -> Self {
        match (&args.each_line, &args.array) {
            _ if args.each_file => Self::File,
            (Some(_), _) => Self::Line,
            (None, Some(_)) => Self::Number,
            (None, None) => Self::Element,
        }
    }

    fn one(self) -> &'static str {
        match self {
            Self::File => "file",
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
