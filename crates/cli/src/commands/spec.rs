//! Makes a task from the arguments of `run` and `submit`.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use meshwork_api::{Client, ErrorCode, Payload, TaskSpec, TransferError};
use meshwork_blob::folder::{Links, PlanError};
use meshwork_core::{
    HandlerName, PeerId, Requirements, RetryPolicy, TaskLimits, limits::INLINE_BYTES,
};

use super::files::{self, Source};
use crate::{
    args::RunArgs,
    exit,
    failure::Failure,
    output::{Output, format},
};

#[cfg(test)]
mod tests;

/// A task that is ready to be submitted, except for a large input.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) task: TaskSpec,
    /// The input, if it does not fit into the task. Nothing of it was sent.
    large: Option<Source>,
}

impl Prepared {
    /// Checks whether the node would accept the task now, before the bytes of a large input travel in
    /// vain.
    ///
    /// # Errors
    ///
    /// The node refuses the task.
    pub(super) async fn check(&self, client: &Client) -> anyhow::Result<()> {
        if self.large.is_some() {
            client.check_task(&self.task).await?;
        }
        Ok(())
    }

    /// Sends a large input to the node, and returns the task.
    ///
    /// # Errors
    ///
    /// No node has the handler, a target is unknown, the node has no space, or the input changed or
    /// cannot be read.
    pub(super) async fn send(self, client: &Client, out: &Output) -> anyhow::Result<TaskSpec> {
        let Self { mut task, large } = self;
        if let Some(source) = large {
            require_handler(&task.handler, client).await?;
            require_targets(&task.targets, client).await?;
            task.input = Some(Payload::Blob(source.send_shown(client, out).await?));
        }
        Ok(task)
    }
}

/// Checks that a node has the handler, before the bytes of an input travel in vain.
///
/// # Errors
///
/// The name is malformed, or no node that this one knows has the handler.
pub(super) async fn require_handler(handler: &str, client: &Client) -> anyhow::Result<()> {
    let name: HandlerName = handler.parse().map_err(|error| {
        Failure::usage(format!("HANDLER: {error}")).with_hint("meshwork handlers")
    })?;
    let known = client.handlers().await?.items;
    if known.iter().any(|known| known.name == name.as_str()) {
        return Ok(());
    }
    let message = format!("no node here has the handler {name}, so nothing was sent");
    let failure = Failure::new(exit::NOT_FOUND, ErrorCode::UnknownHandler, message);
    Err(failure.with_hint("meshwork handlers").into())
}

/// Checks that each name of a target means one peer, before the bytes of an input travel in vain. A
/// peer id need not be known.
///
/// # Errors
///
/// No known peer has a name, or several do.
pub(super) async fn require_targets(targets: &[String], client: &Client) -> anyhow::Result<()> {
    for target in targets.iter().filter(|target| target.parse::<PeerId>().is_err()) {
        // This node itself is no peer, and a target all the same.
        if let Err(error) = client.peer(target).await
            && [ErrorCode::PeerNotFound, ErrorCode::Ambiguous].contains(error.code())
        {
            return Err(error.into());
        }
    }
    Ok(())
}

/// The task that the arguments describe. The input is checked, and read as far as it fits into the
/// task.
///
/// # Errors
///
/// An input cannot be read or sent, or two arguments contradict each other.
pub(super) fn of(args: RunArgs) -> Result<Prepared, Failure> {
    let Input { payload: input, large } =
        input(&args.input, files::links(args.follow_links), files::stdin)?;
    let usual = TaskLimits::default();
    let limits = TaskLimits {
        queue: args.queue_timeout.or(usual.queue),
        attempt: args.time,
        total: args.deadline,
    };
    if let (Some(delay), Some(queue)) = (args.retry_delay, limits.queue)
        && delay >= queue
    {
        let (delay, queue) = (format::span(delay), format::span(queue));
        let message = format!(
            "--retry-delay {delay}: the task waits {queue} at most, and expires before the retry"
        );
        let longer = humantime::format_duration(args.retry_delay.unwrap_or_default());
        return Err(
            Failure::usage(message).with_hint(format!("add --queue-timeout {longer} or more"))
        );
    }
    let retry = RetryPolicy::default();
    let task = TaskSpec {
        handler: handler(&args.handler)?,
        input,
        params: by_name("--param", args.param)?,
        targets: targets(args.on)?,
        requirements: Requirements {
            capabilities: args.capability,
            labels: by_name("--label", args.label)?,
            cpus: args.cpus,
            memory_bytes: args.mem.unwrap_or(0),
            gpus: args.gpu,
        },
        priority: args.priority,
        limits,
        retry: RetryPolicy {
            attempts: args.retries.map_or(retry.attempts, |retries| retries.saturating_add(1)),
            hedge: args.hedge,
            backoff: args.retry_delay.unwrap_or(retry.backoff),
            max_backoff: retry.max_backoff.max(args.retry_delay.unwrap_or_default()),
            ..retry
        },
        idempotency_key: args.key,
        durability: args.durability,
    };
    Ok(Prepared { task, large })
}

/// The handler's name as text.
pub(super) fn handler(name: &OsStr) -> Result<String, Failure> {
    name.to_str().map(str::to_owned).ok_or_else(|| {
        Failure::usage(format!("HANDLER: {} is not UTF-8", name.to_string_lossy()))
            .with_hint("meshwork handlers")
    })
}

/// The value of `--on` that leaves the choice to placement.
const ANY: &str = "any";

/// The input of a task: inside it, or too large for that.
#[derive(Debug, Default)]
struct Input {
    payload: Option<Payload>,
    large: Option<Source>,
}

impl Input {
    fn inline(bytes: Vec<u8>) -> Self {
        Self { payload: Some(Payload::of(bytes)), large: None }
    }

    fn large(source: Source) -> Self {
        Self { payload: None, large: Some(source) }
    }
}

/// INPUT: words joined by spaces, or one file, folder or stream.
fn input(
    parts: &[OsString],
    links: Links,
    stdin: impl FnOnce() -> Result<File, Failure>,
) -> Result<Input, Failure> {
    match parts {
        [] => Ok(Input::default()),
        [one] if one == "-" => stream("standard input", stdin()?),
        [one] if let Some(path) = path(one) => of_path(path, links),
        words => {
            let is_source = |word: &&OsString| *word == "-" || path(word).is_some();
            if let Some(source) = words.iter().find(is_source) {
                return Err(several(words, &source.to_string_lossy()));
            }
            let words: Option<Vec<&str>> = words.iter().map(|word| word.to_str()).collect();
            let text = words.ok_or_else(|| {
                Failure::usage("INPUT: the text is not UTF-8")
                    .with_hint("send other bytes as a file (@PATH) or by standard input (-)")
            })?;
            let text = text.join(" ").into_bytes();
            if text.len() > INLINE_BYTES {
                return Ok(Input::large(Source::Stream { start: text, rest: None }));
            }
            Ok(Input::inline(text))
        }
    }
}

/// The path in @PATH.
pub(super) fn path(word: &OsStr) -> Option<&Path> {
    word.as_bytes().strip_prefix(b"@").map(|path| Path::new(OsStr::from_bytes(path)))
}

fn of_path(path: &Path, links: Links) -> Result<Input, Failure> {
    let shown = path.to_string_lossy();
    let facts = path.metadata().map_err(|error| unreadable(&shown, &error))?;
    let failed = |error: TransferError| {
        let is_stream = matches!(error, TransferError::Plan(PlanError::NotFile { .. }));
        let failure = Failure::of(error.into());
        if !is_stream {
            return failure;
        }
        failure.with_hint(format!("cat {} | meshwork run HANDLER -", format::shell(&shown)))
    };
    if !facts.is_dir()
        && let Some(bytes) = files::read_small(path).map_err(failed)?
    {
        return Ok(Input::inline(bytes));
    }
    Ok(Input::large(Source::open(path, links).map_err(failed)?))
}

/// The bytes of a stream, if they fit into a task.
fn stream(what: &str, mut file: File) -> Result<Input, Failure> {
    let most = u64::try_from(INLINE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut start = Vec::new();
    let read = (&mut file).take(most).read_to_end(&mut start);
    read.map_err(|error| unreadable(what, &error))?;
    if start.len() > INLINE_BYTES {
        return Ok(Input::large(Source::Stream { start, rest: Some(file) }));
    }
    Ok(Input::inline(start))
}

/// The failure for a file or standard input beside other INPUTs: joining them into the input of one
/// task is seldom what the user wants.
fn several(parts: &[OsString], source: &str) -> Failure {
    let files = parts.iter().filter_map(|part| path(part));
    let files: Vec<String> = files.map(|file| format::shell(&file.to_string_lossy())).collect();
    let message = format!("INPUT: {source} is one of {} inputs; a task has one", parts.len());
    Failure::usage(message).with_hint(if files.len() == parts.len() {
        format!(
            "meshwork submit --each-file {0} HANDLER, or join the files: cat {0} | meshwork run \
             HANDLER -",
            files.join(" ")
        )
    } else {
        "give one @PATH, one -, or words; send a text that begins with @ by standard input (-)"
            .to_owned()
    })
}

/// The NAME=VALUE pairs of a flag, by name.
///
/// # Errors
///
/// A name occurs twice: one of its values would be lost.
pub(super) fn by_name(
    flag: &str,
    pairs: Vec<(String, String)>,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut named = BTreeMap::new();
    for (name, value) in pairs {
        if let Some(other) = named.get(&name) {
            let message = format!("{flag} {name} is given twice, as {other:?} and {value:?}");
            return Err(Failure::usage(message).with_hint(format!("{flag} {name}=VALUE once")));
        }
        named.insert(name, value);
    }
    Ok(named)
}

/// The targets of `--on`, empty if placement chooses.
fn targets(on: Vec<String>) -> Result<Vec<String>, Failure> {
    if on.len() > 1 && on.iter().any(|peer| peer == ANY) {
        return Err(Failure::usage("--on: `any` cannot be combined with a peer")
            .with_hint("use --on any, or --on PEER for each peer that may run the task"));
    }
    Ok(on.into_iter().filter(|peer| peer != ANY).collect())
}

fn unreadable(what: &str, error: &io::Error) -> Failure {
    let failure = Failure::usage(format!("INPUT: cannot read {what}")).because(error);
    if error.kind() == io::ErrorKind::NotFound {
        return failure.with_hint(
            "@PATH names a file or folder; send a text that begins with @ by standard input (-)",
        );
    }
    failure
}
