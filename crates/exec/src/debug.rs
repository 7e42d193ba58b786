//! Handlers for tests and measurements. A node has them only when its configuration says so.
//!
//! | handler | does | parameters |
//! |---|---|---|
//! | `debug/noop` | nothing | – |
//! | `debug/echo` | returns its input, without a copy | – |
//! | `debug/pack` | returns a folder that contains its input, a file or a folder, under the name `input` | – |
//! | `debug/sleep` | waits and reports progress, then returns nothing | `ms`: how long, default 1000, up to [`SLEEP`] |
//! | `debug/fail` | fails | `message`; `permanent`: `true` or `false` (default); `exit`: 1 to 123 |
//! | `debug/panic` | panics | `message` |
//!
//! With a log, each execution of `debug/sleep` appends the line `TASK ATTEMPT OWNER` before it
//! waits. Each line is one write to a file opened for appending, so that the line is complete even
//! if the process is killed right after it: a test can count executions.
//!
//! Absent on purpose: any other access to the machine.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::PathBuf,
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

use crate::{
    context::TaskContext,
    handler::{
        Description, Failure, FileHandler, Handler, HandlerError, Input, Output, ParamKind,
        ParamSpec,
    },
    limits::{SLEEP, SLEEP_STEP},
    registry::{RegisterError, Registry},
};

#[cfg(test)]
mod tests;

const MS: ParamSpec = ParamSpec::with_default(
    "ms",
    ParamKind::Integer { min: 0, max: SLEEP.as_millis() as i64 },
    "1000",
    "how long, in milliseconds",
);
const FAIL_MESSAGE: ParamSpec = ParamSpec::with_default(
    "message",
    ParamKind::Text,
    "failed on request",
    "the failure's message",
);
const PERMANENT: ParamSpec = ParamSpec::with_default(
    "permanent",
    ParamKind::Boolean,
    "false",
    "whether another attempt is useless",
);
const EXIT: ParamSpec = ParamSpec::optional(
    "exit",
    ParamKind::Integer { min: 1, max: 123 },
    "the task's own exit code",
);
const PANIC_MESSAGE: ParamSpec = ParamSpec::with_default(
    "message",
    ParamKind::Text,
    "panicked on request",
    "the panic's message",
);

const SLEEP_PARAMS: &[ParamSpec] = &[MS];
const FAIL_PARAMS: &[ParamSpec] = &[FAIL_MESSAGE, PERMANENT, EXIT];
const PANIC_PARAMS: &[ParamSpec] = &[PANIC_MESSAGE];

pub(crate) fn register(registry: &mut Registry, log: Option<PathBuf>) -> Result<(), RegisterError> {
    let log = log.map(open_log).transpose()?;
    registry.register(Noop)?;
    registry.register(Echo)?;
    registry.register_file_handler(Pack)?;
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

    fn describe(&self) -> Description {
        Description::new("Does nothing.")
    }

    async fn run(&self, cx: &TaskContext, _input: Bytes) -> Result<Bytes, Failure> {
        cx.check_params(&[])?;
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

    fn describe(&self) -> Description {
        Description::new("Returns its input.").with_input()
    }

    async fn run(&self, cx: &TaskContext, input: Bytes) -> Result<Bytes, Failure> {
        cx.check_params(&[])?;
        Ok(input)
    }

    fn is_instant(&self, _input_len: usize) -> bool {
        true
    }
}

struct Pack;

impl FileHandler for Pack {
    fn name(&self) -> &str {
        "debug/pack"
    }

    fn describe(&self) -> Description {
        Description::new("Returns a folder that contains its input.").with_input()
    }

    async fn run(&self, cx: &TaskContext, input: Input) -> Result<Output, Failure> {
        cx.check_params(&[])?;
        let folder = cx.work_dir()?.join("packed");
        fs::create_dir(&folder)?;
        let (from, to) = (input.path()?, folder.join("input"));
        if input.is_folder() {
            // It was unpacked for this attempt alone.
            fs::rename(from, to)?;
        } else {
            fs::copy(from, to)?;
        }
        Ok(Output::folder(folder))
    }
}

struct Sleep {
    log: Option<File>,
}

impl Handler for Sleep {
    fn name(&self) -> &str {
        "debug/sleep"
    }

    fn describe(&self) -> Description {
        Description {
            params: SLEEP_PARAMS.into(),
            ..Description::new("Waits, then returns nothing.")
        }
    }

    async fn run(&self, cx: &TaskContext, _input: Bytes) -> Result<Bytes, Failure> {
        cx.check_params(SLEEP_PARAMS)?;
        let ms = cx.value(&MS)?;
        if let Some(mut log) = self.log.as_ref() {
            let line = format!("{} {} {}\n", cx.task(), cx.attempt(), cx.peer());
            log.write_all(line.as_bytes())?;
        }
        tokio::select! {
            () = sleep(cx, Duration::from_millis(ms)) => Ok(Bytes::new()),
            () = cx.cancelled() => Err(HandlerError::Stopped.into()),
        }
    }
}

/// Sleeps, and reports progress in a hundred steps, or in fewer if the sleep is short.
async fn sleep(cx: &TaskContext, time: Duration) {
    let began = Instant::now();
    let step = (time / 100).max(SLEEP_STEP);
    let mut passed = step;
    while passed < time {
        tokio::time::sleep_until(began + passed).await;
        let (part, whole) = (passed.as_secs_f32(), time.as_secs_f32());
        cx.progress(part / whole, format!("slept {part:.1} s of {whole:.1} s"));
        passed += step;
    }
    sleep_to(began + time).await;
}

/// Sleeps until `end`, exact to less than a millisecond. A thread sleeps the last part, because its
/// sleep ends within a tenth of a millisecond.
async fn sleep_to(end: Instant) {
    if let Some(before) = end.checked_sub(TIMER_LATE)
        && Instant::now() < before
    {
        tokio::time::sleep_until(before).await;
    }
    let rest = end.saturating_duration_since(Instant::now());
    if !rest.is_zero() {
        // This fails only while the runtime stops.
        tokio::task::spawn_blocking(move || std::thread::sleep(rest)).await.ok();
    }
}

/// Maximum delay of a tokio timer on an idle machine: the timer rounds up to whole milliseconds,
/// and so does the poll that waits for it.
const TIMER_LATE: Duration = Duration::from_millis(2);

struct Fail;

impl Handler for Fail {
    fn name(&self) -> &str {
        "debug/fail"
    }

    fn describe(&self) -> Description {
        Description { params: FAIL_PARAMS.into(), ..Description::new("Fails.") }
    }

    async fn run(&self, cx: &TaskContext, _input: Bytes) -> Result<Bytes, Failure> {
        cx.check_params(FAIL_PARAMS)?;
        let message: String = cx.value(&FAIL_MESSAGE)?;
        let exit = cx.param(&EXIT.name)?;
        let failure = Failure::new(message);
        let failure = if cx.value(&PERMANENT)? { failure.permanent() } else { failure };
        Err(match exit {
            Some(exit) => failure.with_exit(exit),
            None => failure,
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

    fn describe(&self) -> Description {
        Description { params: PANIC_PARAMS.into(), ..Description::new("Panics.") }
    }

    #[expect(clippy::panic, reason = "this handler exists to panic")]
    async fn run(&self, cx: &TaskContext, _input: Bytes) -> Result<Bytes, Failure> {
        cx.check_params(PANIC_PARAMS)?;
        let message: String = cx.value(&PANIC_MESSAGE)?;
        panic!("{message}");
    }

    fn is_instant(&self, _input_len: usize) -> bool {
        true
    }
}
