//! Handlers for tests and measurements; off unless a node is told to have them.
//!
//! | handler | does | parameters |
//! |---|---|---|
//! | `debug/noop` | nothing | – |
//! | `debug/echo` | puts out its input, without a copy | – |
//! | `debug/sleep` | waits, then puts out nothing | `ms`: how long, default 1000, up to [`SLEEP`] |
//! | `debug/fail` | fails | `message`; `permanent`: `true` or `false` (default); `exit`: 1 to 123 |
//! | `debug/panic` | panics | `message` |
//!
//! With a log, each execution of `debug/sleep` appends one line, `TASK ATTEMPT OWNER`, before it
//! waits. A line is one write to a file opened for appending, so that it is whole, and there, even
//! if the process is killed right after: a test can count executions.
//!
//! Absent on purpose: anything that reads or changes the machine otherwise.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::PathBuf,
    time::Duration,
};

use bytes::Bytes;

use crate::{
    context::TaskContext,
    handler::{Handler, HandlerError},
    limits::SLEEP,
    registry::{RegisterError, Registry},
};

#[cfg(test)]
mod tests;

/// How long `debug/sleep` waits unless it is told otherwise.
const DEFAULT_SLEEP_MS: u64 = 1_000;

pub(crate) fn register(registry: &mut Registry, log: Option<PathBuf>) -> Result<(), RegisterError> {
    let log = log.map(open_log).transpose()?;
    registry.register(Noop)?;
    registry.register(Echo)?;
    registry.register(Sleep { log })?;
    registry.register(Fail)?;
    registry.register(Panic)
}

fn open_log(path: PathBuf) -> Result<File, RegisterError> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .map_err(|source| RegisterError::Log { path, source })
}

struct Noop;

impl Handler for Noop {
    fn name(&self) -> &str {
        "debug/noop"
    }

    async fn run(&self, cx: &TaskContext, _input: Bytes) -> Result<Bytes, HandlerError> {
        cx.expect_params(&[])?;
        Ok(Bytes::new())
    }

    fn is_instant(&self, _input_len: usize) -> bool {
        true
    }
}

struct Echo;

impl Handler for Echo {
    fn name(&self) -> &str {
        "debug/echo"
    }

    async fn run(&self, cx: &TaskContext, input: Bytes) -> Result<Bytes, HandlerError> {
        cx.expect_params(&[])?;
        Ok(input)
    }

    fn is_instant(&self, _input_len: usize) -> bool {
        true
    }
}

struct Sleep {
    log: Option<File>,
}

impl Handler for Sleep {
    fn name(&self) -> &str {
        "debug/sleep"
    }

    async fn run(&self, cx: &TaskContext, _input: Bytes) -> Result<Bytes, HandlerError> {
        cx.expect_params(&["ms"])?;
        let longest = u64::try_from(SLEEP.as_millis()).unwrap_or(u64::MAX);
        let ms = cx.param_in("ms", 0..=longest)?.unwrap_or(DEFAULT_SLEEP_MS);
        if let Some(mut log) = self.log.as_ref() {
            let line = format!("{} {} {}\n", cx.task(), cx.attempt(), cx.peer());
            log.write_all(line.as_bytes())?;
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(ms)) => Ok(Bytes::new()),
            () = cx.cancelled() => Err(HandlerError::Stopped),
        }
    }
}

struct Fail;

impl Handler for Fail {
    fn name(&self) -> &str {
        "debug/fail"
    }

    async fn run(&self, cx: &TaskContext, _input: Bytes) -> Result<Bytes, HandlerError> {
        cx.expect_params(&["exit", "message", "permanent"])?;
        let message = cx.param("message")?.unwrap_or_else(|| "failed as asked".to_owned());
        let exit: Option<u8> = cx.param_in("exit", 1..=123)?;
        let error = if cx.param("permanent")?.unwrap_or(false) {
            HandlerError::permanent(message)
        } else {
            HandlerError::failed(message)
        };
        Err(match exit {
            Some(exit) => error.with_exit(exit),
            None => error,
        })
    }

    fn is_instant(&self, _input_len: usize) -> bool {
        true
    }
}

struct Panic;

impl Handler for Panic {
    fn name(&self) -> &str {
        "debug/panic"
    }

    #[expect(clippy::panic, reason = "it is what this handler is for")]
    async fn run(&self, cx: &TaskContext, _input: Bytes) -> Result<Bytes, HandlerError> {
        cx.expect_params(&["message"])?;
        let message = cx.param("message")?.unwrap_or_else(|| "panicked as asked".to_owned());
        panic!("{message}");
    }

    fn is_instant(&self, _input_len: usize) -> bool {
        true
    }
}
