//! From the arguments of `run` and `submit` to the task that is submitted.

use std::{
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
    let retry = RetryPolicy::default();
    Ok(TaskSpec {
        handler: args.handler,
        input,
        params: args.param.into_iter().collect(),
        targets: args.on.into_iter().filter(|peer| peer != ANY).collect(),
        requirements: Requirements {
            capabilities: args.capability,
            labels: args.label.into_iter().collect(),
            cpus: args.cpus,
            memory_bytes: args.mem.unwrap_or(0),
            gpus: args.gpu,
        },
        priority: args.priority,
        limits,
        retry: RetryPolicy {
            attempts: args.retries.map_or(retry.attempts, |retries| retries.saturating_add(1)),
            hedge: args.hedge,
            ..retry
        },
        idempotency_key: args.key,
        durability: args.durability,
    })
}

/// The word for leaving the choice to placement.
const ANY: &str = "any";

/// The bytes that INPUT means: words joined by spaces, files and standard input as they are.
fn input(parts: &[String], stdin: &mut impl Read) -> Result<Option<Payload>, Failure> {
    if parts.is_empty() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let mut after_word = false;
    for part in parts {
        let is_word = match (part.as_str(), part.strip_prefix('@')) {
            ("-", _) => {
                append(&mut bytes, "standard input", stdin)?;
                false
            }
            (_, Some(path)) => {
                let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
                append(&mut bytes, path, &mut file)?;
                false
            }
            (word, None) => {
                if after_word {
                    bytes.push(b' ');
                }
                append(&mut bytes, "the text", &mut word.as_bytes())?;
                true
            }
        };
        after_word = is_word;
    }
    Ok(Some(Payload::of(bytes.into())))
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
        return failure.with_hint("@PATH is a file; leave out the @ for text");
    }
    failure
}
