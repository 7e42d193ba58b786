//! Makes a task from the arguments of `run` and `submit`.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
};

use meshwork_api::{Payload, TaskSpec};
use meshwork_core::{Requirements, RetryPolicy, TaskLimits, limits::INLINE_BYTES};

use crate::{args::RunArgs, failure::Failure, output::format};

#[cfg(test)]
mod tests;

/// The task that the arguments describe.
///
/// # Errors
///
/// An input cannot be read or is larger than a task may carry, or two arguments contradict each
/// other.
pub(super) fn of(args: RunArgs) -> Result<TaskSpec, Failure> {
    let input = input(&args.input, &mut io::stdin())?;
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
    Ok(TaskSpec {
        handler: args.handler,
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
    })
}

/// The value of `--on` that leaves the choice to placement.
const ANY: &str = "any";

/// The bytes of INPUT: words joined by spaces, or the unchanged bytes of one file or standard input.
fn input(parts: &[String], stdin: &mut impl Read) -> Result<Option<Payload>, Failure> {
    let mut bytes = Vec::new();
    match parts {
        [] => return Ok(None),
        [one] if one == "-" => append(&mut bytes, "standard input", stdin)?,
        [one] if let Some(path) = one.strip_prefix('@') => {
            let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
            append(&mut bytes, path, &mut file)?;
        }
        words => {
            if let Some(source) = words.iter().find(|word| *word == "-" || word.starts_with('@')) {
                return Err(several(words, source));
            }
            append(&mut bytes, "the text", &mut words.join(" ").as_bytes())?;
        }
    }
    Ok(Some(Payload::of(bytes)))
}

/// The failure for a file or standard input beside other INPUTs: joining them into the input of one
/// task is seldom what the user wants.
fn several(parts: &[String], source: &str) -> Failure {
    let files: Vec<&str> = parts.iter().filter_map(|part| part.strip_prefix('@')).collect();
    let message = format!("INPUT: {source} is one of {} inputs; a task has one", parts.len());
    Failure::usage(message).with_hint(if files.len() == parts.len() {
        format!(
            "run one command for each file, or join the files: cat {} | meshwork run HANDLER -",
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

/// Appends `from` to `bytes`; reads at most one byte more than a task may carry.
fn append(bytes: &mut Vec<u8>, what: &str, from: &mut impl Read) -> Result<(), Failure> {
    let room = INLINE_BYTES.saturating_sub(bytes.len());
    let most = u64::try_from(room).unwrap_or(u64::MAX).saturating_add(1);
    let read = from.take(most).read_to_end(bytes).map_err(|error| unreadable(what, &error))?;
    if read > room {
        let limit = format::size(u64::try_from(INLINE_BYTES).unwrap_or(u64::MAX));
        return Err(Failure::usage(format!("the input is larger than {limit} ({what})"))
            .with_hint("split it into smaller tasks"));
    }
    Ok(())
}

fn unreadable(what: &str, error: &io::Error) -> Failure {
    let failure = Failure::usage(format!("INPUT: cannot read {what}")).because(error);
    if error.kind() == io::ErrorKind::NotFound {
        return failure
            .with_hint("@PATH names a file; send a text that begins with @ by standard input (-)");
    }
    failure
}
