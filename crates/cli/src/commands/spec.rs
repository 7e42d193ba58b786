//! From the arguments of `run` and `submit` to the task that is submitted.

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
/// An input cannot be read, or is larger than a task carries.
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
            "--retry-delay: after {delay} the task has expired, as it waits for {queue} at most"
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

/// The word for leaving the choice to placement.
const ANY: &str = "any";

/// The bytes that INPUT means: words joined by spaces, or one file or standard input as it is.
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
    Ok(Some(Payload::of(bytes.into())))
}

/// That a file or standard input is not the only INPUT: joined with the rest it would be one input of one task,
/// which is seldom what is meant.
fn several(parts: &[String], source: &str) -> Failure {
    let files: Vec<&str> = parts.iter().filter_map(|part| part.strip_prefix('@')).collect();
    let message = format!("INPUT: {source} is one of {} inputs; a task has one", parts.len());
    Failure::usage(message).with_hint(if files.len() == parts.len() {
        format!(
            "one command for each file; or all in one input: cat {} | meshwork run HANDLER -",
            files.join(" ")
        )
    } else {
        "@PATH or - alone, or words; a text that begins with @ is read from standard input"
            .to_owned()
    })
}

/// Pairs of a flag by their names.
///
/// # Errors
///
/// A name is there twice: one of its values would be lost.
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

/// The targets; none leaves the choice to placement.
fn targets(on: Vec<String>) -> Result<Vec<String>, Failure> {
    if on.len() > 1 && on.iter().any(|peer| peer == ANY) {
        return Err(Failure::usage("--on: `any` is given beside a peer")
            .with_hint("--on any, or --on PEER for each peer that may run it"));
    }
    Ok(on.into_iter().filter(|peer| peer != ANY).collect())
}

/// Reads no more than what would be too much.
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
        return failure.with_hint(
            "@PATH is a file; a text that begins with @ is read from standard input (-)",
        );
    }
    failure
}
